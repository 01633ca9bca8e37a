"""Canonical JSON (RFC 8785) and the hash chain over it. Reads and writes nothing: entries come in as text."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Sequence
from json.encoder import encode_basestring
from typing import Any, NamedTuple

from engine.errors import BadInput

GENESIS = "0" * 64
"""The `prev` of the first entry."""

_MOST = 2**53 - 1
_DEEPEST = 100


def canonical_json(value: object) -> str:
    """Return `value` as RFC 8785 text: sorted keys, no blanks, one spelling for each number and string.

    Takes None, bool, int, float, str, and lists, tuples and dicts of these.
    Raises BadInput for what two readers could understand differently: integers beyond ±(2^53-1), NaN and infinity,
    lone surrogates, keys that are not text; and for anything else, and nesting beyond 100 levels.
    """
    text = _encode(value, 0)
    if not text.isascii():
        try:
            text.encode()
        except UnicodeEncodeError as error:
            raise BadInput(f"text with half a character (U+{ord(text[error.start]):04X}) cannot be stored") from error
    return text


def _encode(value: object, depth: int) -> str:  # noqa: C901 - one branch a type, the common ones first
    kind = type(value)
    if kind is str:
        return encode_basestring(value)  # type: ignore[arg-type]
    if kind is int:
        if -_MOST <= value <= _MOST:  # type: ignore[operator]
            return repr(value)
        raise BadInput("an integer beyond ±9007199254740991 is not the same number everywhere; write it as text")
    if value is None:
        return "null"
    if value is True:
        return "true"
    if value is False:
        return "false"
    if depth >= _DEEPEST:
        raise BadInput(f"JSON nested deeper than {_DEEPEST} levels")
    if kind is dict:
        return _encode_object(value, depth + 1)  # type: ignore[arg-type]
    if kind is list or kind is tuple:
        return "[" + ",".join([_encode(item, depth + 1) for item in value]) + "]"  # type: ignore[attr-defined]
    if kind is float:
        return _encode_float(value)  # type: ignore[arg-type]
    return _encode(_plain(value), depth)


def _plain(value: object) -> object:
    """An enumeration or another subclass counts as what it is made of."""
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return float(value)
    if isinstance(value, dict):
        return dict(value)
    if isinstance(value, list | tuple):
        return list(value)
    raise BadInput(f"a {type(value).__name__} has no JSON form")


def _encode_object(value: dict[str, Any], depth: int) -> str:
    try:
        keys = sorted(value)
        plain = "".join(keys).isascii()
    except TypeError as error:
        raise BadInput("a JSON object's keys must be text") from error
    if not plain:
        # The RFC sorts by UTF-16 code units; by code points an emoji would come after U+E000..U+FFFF.
        keys.sort(key=lambda key: key.encode("utf-16-be", "surrogatepass"))
    return "{" + ",".join([f"{encode_basestring(key)}:{_encode(value[key], depth)}" for key in keys]) + "}"


def _encode_float(value: float) -> str:
    """The shortest digits that give `value` back, laid out as ECMAScript's Number::toString does."""
    if not math.isfinite(value):
        raise BadInput(f"{value} has no JSON form")
    if value == 0:
        return "0"
    sign = "-" if value < 0 else ""
    mantissa, _, exponent = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    digits = (whole + fraction).lstrip("0")
    # value = 0.digits * 10^point
    point = int(exponent or 0) + len(whole) - (len(whole + fraction) - len(digits))
    digits = digits.rstrip("0")
    count = len(digits)
    if count <= point <= 21:
        return sign + digits + "0" * (point - count)
    if 0 < point <= 21:
        return f"{sign}{digits[:point]}.{digits[point:]}"
    if -6 < point <= 0:
        return f"{sign}0.{'0' * -point}{digits}"
    tail = f".{digits[1:]}" if count > 1 else ""
    return f"{sign}{digits[0]}{tail}e{point - 1:+d}"


def entry_hash(entry_json: str) -> str:
    """Return the SHA-256, in hex, of an entry's canonical JSON without its `hash`."""
    return hashlib.sha256(entry_json.encode()).hexdigest()


class ChainResult(NamedTuple):
    """What verification found.

    entries: how many were checked and good. head_seq, head_hash: the last good one; with none, what came before.
    bad_seq: the first entry that is not what it was, or is missing. why: in words; "" when all is good.
    span: the first and last entry among which the change is, where it cannot be said more exactly.
    checkpoints: how many signed ones fit. signed_seq: the newest entry that one vouches for.
    confirmed: their key is this vault's own. note: in words, what could not be confirmed.
    """

    ok: bool
    entries: int
    head_seq: int
    head_hash: str
    bad_seq: int | None = None
    why: str = ""
    span: tuple[int, int] | None = None
    checkpoints: int = 0
    signed_seq: int | None = None
    confirmed: bool = False
    note: str = ""


def verify_chain(
    entries: Iterable[tuple[int, str, str]], *, prev: str | None = None, first_seq: int | None = None
) -> ChainResult:
    """Check that each (seq, body, hash) is hashed right, numbered without a gap, and names its predecessor's hash.

    body: the entry's canonical JSON without `hash`, with `prev` and `seq` in it. prev: the hash before the first entry.
    first_seq: the number the chain must begin with. Without `prev` the first entry's own word is taken, except that
    entry 1 must name 64 zeros. Stops at the first bad entry. A tail that was cut off leaves no trace in the chain:
    compare the head with one that was witnessed elsewhere.
    """
    sha256 = hashlib.sha256
    head = prev or GENESIS
    expected = first_seq
    seq = first_seq - 1 if first_seq is not None else 0
    good = 0
    for number, body, digest in entries:
        if number != expected:
            if expected is not None:
                why = f"entry {expected} is missing: entry {number} follows entry {expected - 1}"
                return ChainResult(ok=False, entries=good, head_seq=seq, head_hash=head, bad_seq=expected, why=why)
            expected = number
        if good == 0 and prev is None and number != 1:
            head = str(_top_level(body).get("prev"))
        if sha256(body.encode("utf-8", "surrogatepass")).hexdigest() != digest or not _follows(body, number, head):
            why = _why_bad(body, number, digest, head)
            return ChainResult(ok=False, entries=good, head_seq=seq, head_hash=head, bad_seq=number, why=why)
        head = digest
        seq = number
        expected = number + 1
        good += 1
    return ChainResult(ok=True, entries=good, head_seq=seq, head_hash=head)


def unbroken(rows: Sequence[tuple[int, bytes, bytes]], prev: str, first_seq: int) -> str | None:
    """Return the hash of the last of some rows that certainly are a sound piece of the chain; None: look at each one.

    Faster than verify_chain and as strict. rows: (seq, body, hash) as they are stored, at least one.
    """
    sha256 = hashlib.sha256
    digests = [sha256(body).hexdigest() for _seq, body, _digest in rows]
    written = [digest for _seq, _body, digest in rows]
    if set(map(len, written)) != {64} or "".join(digests).encode() != b"".join(written):
        return None
    if not all(_is_text(body) for _seq, body, _digest in rows if not body.isascii()):
        return None
    seq = first_seq
    for (number, body, _digest), digest in zip(rows, digests, strict=True):
        # The reasons why this is enough are in _follows. Most subjects are as long as a uid: look there first.
        tail = f',"prev":"{prev}","seq":{seq},"subject":"'.encode()
        at = len(body) - len(tail) - 38
        if body[at:-38] != tail:
            at = body.rfind(tail)
        end = at + len(tail)
        if at < 1 or number != seq or body.find(b'"', end) != len(body) - 2 or body[-1] != 0x7D:
            return None
        if body.find(b"\\", end) != -1:
            return None
        prev = digest
        seq += 1
    return prev


def _is_text(body: bytes) -> bool:
    try:
        body.decode()
    except UnicodeDecodeError:
        return False
    return True


def _follows(body: str, seq: int, prev: str) -> bool:
    """Whether `body` names `seq` and `prev` at its top level.

    Fast where it is certain, which is for every entry that Chronos writes: keys are sorted, so prev, seq and subject
    come last. When nothing but the subject's text and one brace follow, they stand in the outermost object, for a
    nested one would need a second brace; and inside a text their quotes would have backslashes. Otherwise the body is
    parsed.
    """
    tail = f',"prev":"{prev}","seq":{seq},"subject":"'
    at = body.rfind(tail)
    if at > 0 and body.endswith('"}'):
        subject = body[at + len(tail) : -2]
        if '"' not in subject and "\\" not in subject:
            return True
    top = _top_level(body)
    found = top.get("seq")
    return top.get("prev") == prev and type(found) is int and found == seq


def _top_level(body: str) -> dict[str, Any]:
    try:
        value = json.loads(body)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}


def _why_bad(body: str, seq: int, digest: str, prev: str) -> str:
    if hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest() != digest:
        return f"entry {seq} was changed: its text does not match its hash"
    top = _top_level(body)
    if top.get("seq") != seq:
        return f"entry {seq} stands in another's place: it says that it is entry {top.get('seq')!r:.40}"
    named = str(top.get("prev"))[:64]
    return f"entry {seq} does not follow the entry before it: it names {named[:12]}…, the chain has {prev[:12]}…"
