"""Description of the API by OpenAPI 3.1, made from its endpoints and the types of their answers."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import MISSING, fields
from importlib import metadata
from typing import Any, Literal, NamedTuple, get_type_hints

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from seyolo.web.answers import Refusal

JSON = "application/json"
IMAGE = {"type": "string", "contentMediaType": "image/*"}
UPLOAD = {
    "required": True,
    "description": "A JPEG, PNG or WebP: the body, whatever its content type, or the one file of a form.",
    "content": {
        "image/*": {},
        "application/octet-stream": {},
        "multipart/form-data": {
            "schema": {"type": "object", "required": ["picture"], "properties": {"picture": IMAGE}}
        },
    },
}
RETRY_AFTER = {"Retry-After": {"description": "Seconds to wait.", "schema": {"type": "integer"}}}


class Endpoint(NamedTuple):
    """An endpoint of the API; the docstring of `run` is its summary."""

    path: str
    method: Literal["get", "post"]
    run: Callable[[Request], Awaitable[Response]]
    answer: type  # of the JSON
    refusals: Sequence[int] = ()  # status codes
    question: type | None = None  # dataclass of the options in the query string
    takes_image: bool = False


def describe(endpoints: Sequence[Endpoint], models: Sequence[str]) -> dict[str, object]:
    """Returns the description of a service with models of these names, the first being the default."""
    types = [*(each.answer for each in endpoints), Refusal]
    _, schemas = msgspec.json.schema_components(types, ref_template="#/components/schemas/{name}")
    paths: dict[str, Any] = {}
    for each in endpoints:
        paths.setdefault(each.path, {})[each.method] = _operation(each, models)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "seyolo serve",
            "summary": "Object detection on one or two models.",
            "version": metadata.version("seyolo"),
            "license": {"name": "MIT", "identifier": "MIT"},
        },
        "paths": paths,
        "components": {"schemas": schemas},
    }


def _operation(endpoint: Endpoint, models: Sequence[str]) -> dict[str, Any]:
    answers = {"200": _response(endpoint.answer)}
    for status in endpoint.refusals:
        answers[str(status)] = _response(Refusal) | ({"headers": RETRY_AFTER} if status == 503 else {})
    described: dict[str, Any] = {
        "operationId": endpoint.path.strip("/"),
        "summary": inspect.getdoc(endpoint.run),
        "responses": answers,
    }
    if endpoint.question is not None:
        described["parameters"] = _parameters(endpoint.question, models)
    return described | ({"requestBody": UPLOAD} if endpoint.takes_image else {})


def _response(answer: type) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{answer.__name__}"}
    return {"description": inspect.getdoc(answer), "content": {JSON: {"schema": schema}}}


def _parameters(question: type, models: Sequence[str]) -> list[dict[str, Any]]:
    """Returns the options of a query string; `model` is one of the names."""
    hints = get_type_hints(question, include_extras=True)
    parameters = []
    for field in fields(question):
        schema = msgspec.json.schema(hints[field.name])
        text = schema.pop("description")
        if field.name == "model":
            schema = {"type": "string", "enum": list(models), "default": models[0]}
        elif field.default is not MISSING:
            schema["default"] = field.default
        parameters.append({"name": field.name, "in": "query", "description": text, "schema": schema})
    return parameters
