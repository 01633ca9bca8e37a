"""An event as the fields of a message. Pure; what came from outside is data: put in once and never read as a pattern.

A pattern is text with {places}: a path into the JSON body (`issue.title`, `items[0].name`, or with `body.` before it),
`source`, `event.id`, `event.kind`, or `headers.NAME`. `{{` and `}}` are braces.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping
from html import escape
from typing import Any, NamedTuple
from urllib.parse import parse_qsl

from engine.errors import BadInput
from engine.model import NewMessage, Priority
from engine.rules.paths import MISSING, Path, look_up, parse_path
from engine.rules.text import safe_block, safe_line
from engine.rules.verifiers.base import parse

MOST_VALUE_CHARS = 10_000
MOST_TEXT_CHARS = 100_000
MOST_SUBJECT_CHARS = 250
MOST_DEFAULT_CHARS = 8 * 1024
_MOST_KEY_CHARS = 256
_MOST_HEADERS = 50
_MOST_HEADER_CHARS = 512
_MOST_NAMED = 10

_PLACE = re.compile(r"\{\{|\}\}|\{([^{}]*)\}|[{}]")
_HEADER = re.compile(r"headers\.([A-Za-z0-9-]{1,100})", re.ASCII)
_SECRET_HEADER = re.compile(r"authorization|cookie|signature|token|secret|password|api-?key")


class Event(NamedTuple):
    """A proven event. headers: those that may be kept, see `kept_headers`."""

    source: str
    event_id: str
    kind: str
    headers: Mapping[str, str]
    content_type: str
    body: bytes


class Mapped(NamedTuple):
    """What to send, and the places that led nowhere."""

    new: NewMessage
    missing: tuple[str, ...]


class Document(NamedTuple):
    """An event read once. json: the body, or the fields of a form; MISSING where it is neither."""

    event: Event
    text: str
    json: Any
    is_json: bool


def kept_headers(headers: Mapping[str, str]) -> dict[str, str]:
    """Return the headers that may be stored and shown: short ones, none that may hold a secret, not too many."""
    fit = {
        name.lower(): safe_line(value, _MOST_HEADER_CHARS)
        for name, value in headers.items()
        if len(value) <= _MOST_HEADER_CHARS and not _SECRET_HEADER.search(name.lower())
    }
    return dict(list(fit.items())[:_MOST_HEADERS])


def read(event: Event) -> Document:
    """Read an event's body: JSON, or a form's fields (GitHub's `payload` among them is JSON again), or text."""
    text = event.body.decode("utf-8", "replace")
    try:
        return Document(event, text, parse(event.body), is_json=True)
    except ValueError:
        pass
    if event.content_type.partition(";")[0].strip().lower() != "application/x-www-form-urlencoded":
        return Document(event, text, MISSING, is_json=False)
    try:
        fields: dict[str, Any] = dict(parse_qsl(text, keep_blank_values=True, max_num_fields=1000))
        return Document(
            event, text, parse(fields["payload"].encode()) if "payload" in fields else fields, is_json=False
        )
    except ValueError:
        return Document(event, text, MISSING, is_json=False)


def check_pattern(pattern: str) -> None:
    """Raise BadInput, with words, for a pattern that could not be filled in."""
    for place in _places(pattern):
        _source_of(place)


def check_place(place: str) -> None:
    """Raise BadInput for what is no place: a key of `when`."""
    _source_of(place)


def wanted(when: Mapping[str, Any], document: Document) -> str:
    """Return why an event is not wanted, "" when every condition holds. when: place → its value, or several."""
    for place, value in when.items():
        words = {_word(one) for one in (value if isinstance(value, list) else [value])}
        found = _source_of(place)(document)
        if found is MISSING or _word(found) not in words:
            got = "nothing" if found is MISSING else repr(safe_line(_word(found), 60))
            return f"deliver.when: {place} is {got}"
    return ""


def to_message(deliver: Mapping[str, Any], document: Document, now_ms: int, target: str | None = None) -> Mapped:
    """Return the message that `deliver:` makes of an event. target: in place of the configured one.

    Raises BadInput where it cannot: a body that has to be passed on as JSON and is none.
    """
    missing: list[str] = []

    def fill(name: str, clean: Callable[[str], str] = str) -> str | None:
        pattern = deliver[name]
        return None if pattern is None else _filled(pattern, document, missing, clean)

    subject, text, html = fill("subject"), fill("text"), fill("html", escape)
    if not subject and not text and not html:
        subject, text = _default(document)
    if deliver["data"] and not document.is_json:
        raise BadInput("deliver.data: the body is not JSON and cannot be passed on as it is")
    expires_ms = deliver["expires_ms"]
    new = NewMessage(
        target=target or deliver["target"],
        subject=safe_line(subject or "", MOST_SUBJECT_CHARS),
        text=None if text is None else safe_block(text, MOST_TEXT_CHARS),
        html=None if html is None else safe_block(html, MOST_TEXT_CHARS),
        data=document.text if deliver["data"] else None,
        template=deliver["template"] or "",
        priority=Priority[deliver["priority"].upper()],
        expires_ms=None if expires_ms is None else now_ms + expires_ms,
        collapse_key=_key(deliver["collapse_key"], document, missing),
        ordering_key=_key(deliver["ordering_key"], document, missing),
        tags=tuple(dict.fromkeys(tag for one in deliver["tags"] if (tag := _key(one, document, missing)) is not None)),
    )
    return Mapped(new, tuple(dict.fromkeys(missing))[:_MOST_NAMED])


def _default(document: Document) -> tuple[str, str]:
    """Return the subject and the text of a source that says nothing about them."""
    event = document.event
    subject = f"{event.source}: {event.kind}" if event.kind else event.source
    text = document.text if document.json is MISSING else _json(document.json, document.text, indent=2)
    return subject, safe_block(text, MOST_DEFAULT_CHARS) or "(an empty body)"


def _filled(pattern: str, document: Document, missing: list[str], clean: Callable[[str], str]) -> str:
    """Fill in every place in one pass over the pattern, so that a value is never looked at for places."""

    def put(match: re.Match[str]) -> str:
        if match[1] is None:
            return match[0][0]
        found = _source_of(match[1])(document)
        if found is MISSING:
            missing.append(match[1])
            return ""
        return clean(safe_block(_word(found), MOST_VALUE_CHARS))

    return _PLACE.sub(put, pattern)


def _key(pattern: str | None, document: Document, missing: list[str]) -> str | None:
    """Return a key or tag; None where a place led nowhere: messages must not share a key that says nothing.

    Blanks and what does not print are written as %XX, and a long one ends in a digest, so that two stay two.
    """
    if pattern is None:
        return None
    before = len(missing)
    said = _filled(pattern, document, missing, str)
    if len(missing) > before or not said:
        return None
    key = "".join(c if c.isprintable() and not c.isspace() and c != "%" else _escaped(c) for c in said)
    if len(key) > _MOST_KEY_CHARS:
        key = f"{key[:180]}~{hashlib.sha256(key.encode()).hexdigest()}"
    return key


def _escaped(character: str) -> str:
    return "".join(f"%{byte:02X}" for byte in character.encode("utf-8", "replace"))


def _places(pattern: str) -> Iterator[str]:
    for match in _PLACE.finditer(pattern):
        if match[1] is not None:
            yield match[1]
        elif len(match[0]) == 1:
            raise BadInput(f"a lone {match[0]} at character {match.start() + 1}; write {match[0] * 2} for a brace")


def _source_of(place: str) -> Callable[[Document], Any]:
    """Return how to look a place up. Raises BadInput for one that is malformed, or may hold a secret."""
    if place == "source":
        return lambda document: document.event.source
    if place == "event.id":
        return lambda document: document.event.event_id
    if place == "event.kind":
        return lambda document: document.event.kind
    if (header := _HEADER.fullmatch(place)) is not None:
        name = header[1].lower()
        if _SECRET_HEADER.search(name):
            raise BadInput(f"{{{place}}} may hold a secret and is not put into messages")
        return lambda document: document.event.headers.get(name, MISSING)
    path: Path = parse_path(place)
    if path[0] == "body" and len(path) > 1:
        path = path[1:]
    elif path == ("body",):
        return lambda document: document.text
    return lambda document: MISSING if document.json is MISSING else look_up(document.json, path)


def _word(value: Any) -> str:
    """Return a value as text: text as it is, null as nothing, everything else as JSON."""
    if value is None:
        return ""
    return value if isinstance(value, str) else _json(value, "…")


def _json(value: Any, otherwise: str, indent: int | None = None) -> str:
    try:
        return json.dumps(value, ensure_ascii=False, indent=indent)
    except RecursionError:
        return otherwise  # what could be read can still be nested too deeply to be laid out
