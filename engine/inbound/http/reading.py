"""From what a request says to a route's models, naming every field that is wrong. Stores nothing, asks no database."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError

from engine.inbound.http.problems import BAD_REQUEST, MEDIA_TYPE, TOO_LARGE, Fault, Problem, invalid
from engine.rules.durations import format_size
from engine.rules.text import suggest

M = TypeVar("M", bound=BaseModel)

_LATER = {"template": "this version has no templates; give text or html", "vars": "this version has no templates"}
_KEY = "[key]"  # how pydantic says that the name itself is meant
_MOST_FAULTS = 50
_MOST_PARAMETERS = 50
_MOST_NAME_CHARS = 60
_WORDS = {
    "missing": "is required",
    "string_type": "must be a text",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "string_unicode": "is not Unicode",
}


def query(model: type[M], text: str) -> M:
    """Return what a query string says. Raises a 422 that names every parameter that is wrong."""
    try:
        pairs = parse_qsl(text, keep_blank_values=True, max_num_fields=_MOST_PARAMETERS)
    except ValueError:
        raise Problem(BAD_REQUEST, f"more than {_MOST_PARAMETERS} query parameters") from None
    names = [name for name, _value in pairs]
    if twice := sorted({name for name in names if names.count(name) > 1}):
        raise invalid(*(Fault("parameter", _short(name), "is given more than once") for name in twice))
    try:
        return model.model_validate(dict(pairs))
    except ValidationError as error:
        found = _errors(error, model)
        raise invalid(*(Fault("parameter", _short(str(loc[0])), words) for loc, words in found)) from None


def check_type(content_type: str | None, content_encoding: str | None) -> None:
    """Raise a 415 unless it is JSON in UTF-8, not compressed."""
    kind, _, rest = (content_type or "").partition(";")
    if kind.strip().lower() != "application/json":
        said = f"Content-Type {kind.strip()[:_MOST_NAME_CHARS]!a}" if content_type else "no Content-Type"
        raise Problem(MEDIA_TYPE, f"{said}; send application/json", headers={"Accept": "application/json"})
    name, _, value = rest.strip().lower().partition("=")
    if name.strip() == "charset" and value.strip().strip('"') not in {"utf-8", "utf8", "us-ascii"}:
        raise Problem(MEDIA_TYPE, "JSON is sent in UTF-8", headers={"Accept": "application/json"})
    if content_encoding and content_encoding.strip().lower() != "identity":
        raise Problem(MEDIA_TYPE, "the body is compressed; send it as it is", headers={"Accept-Encoding": "identity"})


def too_large(most_bytes: int) -> Problem:
    return Problem(TOO_LARGE, f"the body has more than http.max_body ({format_size(most_bytes)})")


def body(model: type[M], content: bytes) -> M:
    """Return what a JSON body says. Raises a 400 for what is no JSON, a 422 that names every field that is wrong."""
    given = _loaded(content)
    if not isinstance(given, dict):
        raise invalid(Fault("pointer", "#", "must be an object"))
    given = {name: value for name, value in given.items() if value is not None or name not in _LATER}
    try:
        return model.model_validate(given)
    except ValidationError as error:
        raise invalid(*(Fault("pointer", pointer(loc), words) for loc, words in _errors(error, model))) from None


def _loaded(content: bytes) -> Any:
    try:
        text = content.decode()
        found = json.loads(text, parse_constant=_no_constant)
        if "\\ud" in text or "\\uD" in text:  # half a character, which nothing behind this can store
            json.dumps(found, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise Problem(BAD_REQUEST, "the body has half of a surrogate pair, which is no character") from None
    except UnicodeDecodeError as error:
        raise Problem(BAD_REQUEST, f"the body is not UTF-8: byte {error.start}") from None
    except json.JSONDecodeError as error:
        where = f"line {error.lineno}, column {error.colno}"
        raise Problem(BAD_REQUEST, f"the body is not JSON: {error.msg}, {where}") from None
    except RecursionError:
        raise Problem(BAD_REQUEST, "the body is nested too deep") from None
    except ValueError as error:  # NaN, or a number with thousands of digits
        raise Problem(BAD_REQUEST, f"the body is not JSON: {str(error)[:100]}") from None
    return found


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no JSON number")


def _errors(error: ValidationError, model: type[BaseModel]) -> list[tuple[Sequence[int | str], str]]:
    raw = error.errors(include_url=False, include_input=False, include_context=True)[:_MOST_FAULTS]
    return [(tuple(part for part in one["loc"] if part != _KEY) or ("",), _words(one, model)) for one in raw]


def _words(one: Mapping[str, Any], model: type[BaseModel]) -> str:
    kind, loc, context = one["type"], one["loc"], one.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown(str(loc[-1]), model, nested=len(loc) > 1)
    if kind == "string_pattern_mismatch":
        return f"has a character that is not allowed; it must match {context['pattern']}"
    if kind == "literal_error":
        return f"must be {context['expected']}"
    if kind in _WORDS:
        return _WORDS[kind]
    words: str = one["msg"]
    for subject in ("Input ", "String ", "List "):
        words = words.removeprefix(subject)
    return words


def _unknown(name: str, model: type[BaseModel], *, nested: bool) -> str:
    if nested:
        return "unknown; docs/http.md names what there is"
    if name in _LATER and "target" in model.model_fields:
        return _LATER[name]
    guess = suggest(name, model.model_fields)
    return f"unknown; did you mean {guess}?" if guess else "unknown; docs/http.md names what there is"


def pointer(loc: Sequence[int | str]) -> str:
    """Return a JSON pointer (RFC 6901, 6: as a URI fragment) to a place in the body."""
    parts = [_short(str(part)).replace("~", "~0").replace("/", "~1") for part in loc if part != ""]
    return "#" + "".join(f"/{part}" for part in parts)


def _short(name: str) -> str:
    return name if len(name) <= _MOST_NAME_CHARS else name[: _MOST_NAME_CHARS - 1] + "…"
