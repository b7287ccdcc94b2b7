# Every target sets up what it needs: a fresh machine needs Python 3.11 or newer and nothing else.
PYTHON ?= python3
VENV := .venv
RUN := $(VENV)/bin
STAMP := $(VENV)/.installed
OPENCV5 := .venv-opencv5
OPENCV5_STAMP := $(OPENCV5)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test test-opencv5 kills check format docs

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(STAMP) ## make .venv with seyolo and its development tools

demo: $(STAMP) ## the main job, small, on drawn hands: about five minutes in all
	$(RUN)/seyolo demo

# Tests start many processes: without bytecode each would compile all of PyTorch. A file's tests share fixtures,
# so they stay in one worker; tests/conftest.py orders the files, the longest first.
test: $(STAMP) ## run all tests, in as many workers as there are cores
	PYTHONDONTWRITEBYTECODE= $(RUN)/python -m pytest -q -n auto --dist loadfile --no-loadscope-reorder

test-opencv5: $(STAMP) $(OPENCV5_STAMP) ## the base install and what we export on OpenCV 5, in an environment of its own
	PYTHONPATH=tests $(RUN)/python tests/opencv5/write_models.py build/opencv5
	$(OPENCV5)/bin/python -m pytest -q --noconftest tests/opencv5

kills: $(STAMP) ## kill 300 runs at any moment and resume them; about half an hour, goes on where it stopped
	PYTHONPATH=src:tests $(RUN)/python -m kills

docs: $(STAMP) ## the pages and references as a site in build/docs; a warning or a broken link is an error
	$(RUN)/python -m sphinx -q -W --keep-going -b html docs build/docs
	@echo build/docs/index.html

check: $(STAMP) ## format, lint, types and the figures of the source, changing nothing
	$(RUN)/ruff format --check .
	$(RUN)/ruff check .
	$(RUN)/mypy
	$(RUN)/python tools/house.py

format: $(STAMP) ## format and mend what the linter can
	$(RUN)/ruff format .
	$(RUN)/ruff check --fix .

# Bytecode of the big wheels is compiled when first used: doing it here would cost half a minute for code
# that never runs.
$(STAMP): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(RUN)/python -m pip install --quiet --disable-pip-version-check --no-compile -c constraints.txt -e '.[dev]'
	@touch $@

$(OPENCV5_STAMP): pyproject.toml
	$(PYTHON) -m venv $(OPENCV5)
	$(OPENCV5)/bin/python -m pip install --quiet --disable-pip-version-check --no-compile -e . 'opencv-python-headless>=5' pytest
	@touch $@
