"""The OpenAPI 3.1 document, made from the table of routes and the models that check what comes in. Knows no request."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from engine import __version__
from engine.inbound.http import documents, problems
from engine.inbound.http.problems import BY_STATUS
from engine.inbound.http.routes import Answer, Route

_REF = "#/components/schemas/{model}"
_ABOUT = (
    "The outbox of one machine. Errors are RFC 9457 problem documents; every answer names its request in "
    "`X-Request-Id`. docs/http.md tells more."
)
_PATH_PATTERNS = {"uid": "^msg_[0-9a-f]{32}$", "source": "^[a-z0-9_-]{1,64}$"}
_KEY_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "The same key and content: queued once. With or without the quotes of a structured field.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 256, "pattern": "^[!#-~]+$"},
}


def document(routes: Sequence[Route]) -> dict[str, Any]:
    """Return the document. Every status that a route may answer is in it."""
    schemas = _schemas(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in routes:
        paths.setdefault(route.path, {})[route.method.lower()] = _operation(route, schemas)
    queries = {route.query.__name__ for route in routes if route.query is not None}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Chronos", "version": __version__, "description": _ABOUT, "license": {"name": "MIT"}},
        "paths": paths,
        "components": {
            "schemas": {name: schema for name, schema in schemas.items() if name not in queries},
            "headers": _headers(),
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "bearerFormat": "chr_ID_SECRETCRC",
                    "description": "An API key of `chronos key create`.",
                }
            },
        },
    }


def _schemas(routes: Sequence[Route]) -> dict[str, Any]:
    given: dict[type[BaseModel], Any] = {}
    for route in routes:
        for model in (route.query, route.body):
            if model is not None:
                given[model] = "validation"
        for answer in route.answers:
            if answer.model is not None:
                given[answer.model] = "serialization"
    given[documents.Problem] = "serialization"
    _, found = models_json_schema(list(given.items()), ref_template=_REF)
    schemas: dict[str, Any] = _untitled(found["$defs"])
    # Of a problem, `errors` is there only where there are some, and each names one place.
    schemas["Problem"]["required"] = [name for name in schemas["Problem"]["required"] if name != "errors"]
    schemas["FaultOut"]["required"] = ["detail"]
    return schemas


def _untitled(schema: Any) -> Any:
    """Without pydantic's titles, which repeat the names; a property that is called title stays."""
    if isinstance(schema, list):
        return [_untitled(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    return {key: _untitled(value) for key, value in schema.items() if key != "title" or not isinstance(value, str)}


def _operation(route: Route, schemas: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"operationId": route.name, "summary": route.words}
    if parameters := _parameters(route, schemas):
        found["parameters"] = parameters
    if route.body is not None:
        schema = {"$ref": _REF.format(model=route.body.__name__)}
        found["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    found["responses"] = {
        **{str(one.status): _answer(route, one) for one in route.answers},
        **{str(status): _problem(route, status) for status in route.kinds},
    }
    if route.scope is None:
        found["security"] = []
    else:
        found["description"] = f"Scope: `{route.scope.value}`."
        found["security"] = [*([{}] if route.open_on_loopback else []), {"key": []}]
    return found


def _parameters(route: Route, schemas: dict[str, Any]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "pattern": _PATH_PATTERNS[name]},
        }
        for name in re.findall(r"{(\w+)}", route.path)
    ]
    if route.idempotent:
        found.append(_KEY_HEADER)
    if route.query is not None:
        for name, schema in schemas[route.query.__name__].get("properties", {}).items():
            found.append({"name": name, "in": "query", "required": False, "schema": _not_null(schema)})
    return found


def _not_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A query cannot say null: what may be left out is left out."""
    rest = {key: value for key, value in schema.items() if key not in {"anyOf", "default"}}
    if schema.get("default") is not None:
        rest["default"] = schema["default"]
    for choice in schema.get("anyOf", ()):
        if choice.get("type") != "null":
            rest.update(choice)
    return rest


def _answer(route: Route, answer: Answer) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": "object" if answer.content_type == "application/json" else "string"}
    if answer.model is not None:
        schema = {"$ref": _REF.format(model=answer.model.__name__)}
    headers = _common_headers(route)
    if answer.status in {200, 202} and route.idempotent:
        headers["Location"] = {"$ref": "#/components/headers/Location"}
    return {"description": answer.words, "headers": headers, "content": {answer.content_type: {"schema": schema}}}


def _problem(route: Route, status: int) -> dict[str, Any]:
    headers = _common_headers(route) if status not in {401, 500} else {"X-Request-Id": _header("X-Request-Id")}
    if status == 401:
        headers["WWW-Authenticate"] = _header("WWW-Authenticate")
    if status in {429, 503}:
        headers["Retry-After"] = _header("Retry-After")
    schema = {"$ref": _REF.format(model="Problem")}
    return {
        "description": BY_STATUS[status].title + ".",
        "headers": headers,
        "content": {problems.CONTENT_TYPE: {"schema": schema}},
    }


def _header(name: str) -> dict[str, str]:
    return {"$ref": f"#/components/headers/{name}"}


def _common_headers(route: Route) -> dict[str, dict[str, str]]:
    names = ["X-Request-Id"]
    if route.scope is not None:
        names += ["RateLimit-Policy", "RateLimit", "RateLimit-Limit", "RateLimit-Remaining", "RateLimit-Reset"]
    return {name: _header(name) for name in names}


def _headers() -> dict[str, Any]:
    def header(words: str, kind: str = "string") -> dict[str, Any]:
        return {"description": words, "schema": {"type": kind}}

    return {
        "X-Request-Id": header("What the access log calls this request."),
        "Location": header("Where the message is shown."),
        "WWW-Authenticate": header("Bearer."),
        "Retry-After": header("Seconds.", "integer"),
        "RateLimit-Policy": header("draft-ietf-httpapi-ratelimit-headers: the quota (q) of a window of w seconds."),
        "RateLimit": header("draft-ietf-httpapi-ratelimit-headers: what is left (r), and when there is more (t)."),
        "RateLimit-Limit": header("Requests an hour that the key has.", "integer"),
        "RateLimit-Remaining": header("How many of them are left.", "integer"),
        "RateLimit-Reset": header("Seconds until all of them are there again.", "integer"),
    }
