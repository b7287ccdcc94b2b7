# seyolo without PyTorch: detect, val, benchmark and serve on a CPU. docs/how-to/docker.md shows its use.
FROM python:3.13-slim AS build
WORKDIR /src
COPY pyproject.toml README.md LICENSE ./
COPY src ./src
RUN python -m venv /opt/seyolo \
    && /opt/seyolo/bin/pip install --no-cache-dir ".[web]"

FROM python:3.13-slim
COPY --from=build /opt/seyolo /opt/seyolo
RUN useradd --create-home --uid 1000 seyolo \
    && install --directory --owner=seyolo /home/seyolo/work
USER seyolo
WORKDIR /home/seyolo/work
ENV PATH=/opt/seyolo/bin:$PATH \
    PYTHONUNBUFFERED=1 \
    SEYOLO_CACHE=/home/seyolo/.cache/seyolo
EXPOSE 8000
STOPSIGNAL SIGTERM
ENTRYPOINT ["seyolo"]
CMD ["serve", "hand", "--host", "0.0.0.0"]
