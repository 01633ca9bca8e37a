"""What every scheme shares: the request, the proof, ids that can be stored, a body read as JSON. Judges no sender."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from engine.rules.signing import BadSignature, Reason

MOST_ID_CHARS = 256
MOST_KIND_CHARS = 100
_SECONDS = re.compile(r"[0-9]{1,14}", re.ASCII)
_FIRST_MILLISECOND = 100_000_000_000
"""As seconds this is the year 5138: a timestamp this long counts milliseconds, as JavaScript's Date.now() does."""


class Request(NamedTuple):
    """One request. headers: names in lower case. body: the raw bytes. now_s: our clock."""

    headers: Mapping[str, str]
    body: bytes
    now_s: int


class Proof(NamedTuple):
    """What a request proved.

    event_id: the sender's identity of the event; "" when it gives none. signed_id: nobody but the sender can put
    another id on the same content. kind: what happened, in the sender's word; "" when it does not say.
    digest: SHA-256 in hex of what the signature covers. id_in_body: the id stands in the signed body, so that the
    sender itself says of another body with this id that it is the same event.
    """

    event_id: str
    signed_id: bool
    kind: str
    digest: str
    id_in_body: bool = False


def required(request: Request, name: str) -> str:
    """Return a header. Raises BadSignature when it is missing or empty."""
    value = request.headers.get(name.lower(), "")
    if not value:
        raise BadSignature(f"header {name} is missing", Reason.MISSING)
    return value


def identity(value: object, where: str) -> str:
    """Return an id as text. Raises BadSignature for one that nobody could tell from another when it is printed."""
    text = str(value) if isinstance(value, int) and not isinstance(value, bool) else value
    if text is None or text == "":
        raise BadSignature(f"{where} is missing", Reason.MISSING)
    if not isinstance(text, str) or len(text) > MOST_ID_CHARS or not text.isprintable():
        raise BadSignature(f"{where} is no id: it needs 1 to {MOST_ID_CHARS} printable characters")
    return text


def age_s(timestamp: str, where: str, now_s: int) -> int:
    """Return how long ago a timestamp in seconds or milliseconds is. Raises BadSignature when it is neither."""
    if not _SECONDS.fullmatch(timestamp):
        raise BadSignature(f"{where} is not a number of seconds")
    value = int(timestamp)
    return now_s - (value // 1000 if value >= _FIRST_MILLISECOND else value)


def digest(*parts: bytes) -> str:
    """Return the SHA-256 of what a signature covers."""
    found = hashlib.sha256()
    for part in parts:
        found.update(part)
    return found.hexdigest()


def parse(body: bytes) -> Any:
    """Return a body as JSON. Raises ValueError for anything else, also for NaN and for what is nested too deeply."""
    try:
        return json.loads(body.decode("utf-8"), parse_constant=_refuse, parse_float=_finite)
    except RecursionError as error:
        raise ValueError("nested too deeply") from error


def parsed(request: Request) -> Mapping[str, Any]:
    """Return the body as a JSON object, where the event's id stands in it. Raises BadSignature."""
    try:
        document = parse(request.body)
    except ValueError as error:
        raise BadSignature("the signature is right, but the body is not JSON", Reason.BODY) from error
    if not isinstance(document, dict):
        raise BadSignature("the signature is right, but the body is no JSON object", Reason.BODY)
    return document


def kind_in(body: bytes) -> str:
    """Return what a body calls itself under `type` or `event`; "" when it is no JSON or does not say."""
    try:
        document = parse(body)
    except ValueError:
        return ""
    found = (document.get(name) for name in ("type", "event")) if isinstance(document, dict) else ()
    return next((word for word in map(kind_word, found) if word), "")


def kind_word(value: object) -> str:
    """Return a short printable word as it is, anything else as ""."""
    return value if isinstance(value, str) and len(value) <= MOST_KIND_CHARS and value.isprintable() else ""


def _refuse(word: str) -> float:
    raise ValueError(f"{word} is not JSON")


def _finite(word: str) -> float:
    number = float(word)
    if not math.isfinite(number):
        raise ValueError(f"{word[:20]} is out of range")
    return number
