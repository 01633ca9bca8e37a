"""The filter language that command line, HTTP and cockpit share: text to terms and back. Knows no SQL and no clock."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import TypeAlias

from engine.errors import BadInput
from engine.model import Priority, State
from engine.rules.durations import compact_duration, parse_duration_ms, parse_size
from engine.rules.incidents import Severity
from engine.rules.text import suggest

MAX_CHARS = 2_000
MAX_TERMS = 50

_HEAD = re.compile(r"([A-Za-z][A-Za-z_]*)(:|>=|<=|>|<|=)")
_BARE_VALUE = re.compile(r'[^\s,"\x00-\x1f]+')
_PLAIN_WORD = re.compile(r'[^\s"\x00-\x1f-][^\s"\x00-\x1f]*')
_SPACE = re.compile(r"\s*")
_MOST = (1 << 62) - 1  # what the database can compare, with room to add the time
_LONE_SURROGATE = re.compile("[\ud800-\udfff]")


class Kind(Enum):
    """What a field's value is."""

    WORDS = "words"
    ID = "id"
    DURATION = "duration"
    COUNT = "count"
    SIZE = "size"
    SINCE = "since"


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a dialect. choices: the only words it takes; empty means any."""

    kind: Kind
    choices: tuple[str, ...] = ()
    help: str = ""


@dataclass(frozen=True, slots=True)
class Term:
    """One condition. All terms of a filter must hold.

    op ":" with words: any of them is meant. op ">", ">=", "<", "<=", "=" with a number: milliseconds for age, due and
    since (since: UTC), bytes for size, a plain count for attempts and seq. field "text" is free text to be searched.
    """

    field: str
    op: str
    value: tuple[str, ...] | int
    negated: bool = False

    @property
    def words(self) -> tuple[str, ...]:
        """The words of a ":" term; () for a number."""
        return self.value if isinstance(self.value, tuple) else ()

    @property
    def number(self) -> int:
        """The number of a comparison. Raises TypeError for words."""
        if isinstance(self.value, int):
            return self.value
        raise TypeError(f"{self.field}: holds words")


Filter: TypeAlias = tuple[Term, ...]
Dialect: TypeAlias = Mapping[str, Field]

_STATES = tuple(state.value for state in State)
_PRIORITIES = tuple(priority.name.lower() for priority in Priority)
_RISKS = tuple(level.value for level in Severity)
_TEXT = Field(Kind.WORDS, help="words in subject and text")

OUTBOX: Dialect = {
    "state": Field(Kind.WORDS, _STATES, "where it stands"),
    "channel": Field(Kind.WORDS, help="email, webhook …"),
    "target": Field(Kind.WORDS, help="the target's name"),
    "template": Field(Kind.WORDS, help="the template it was made from"),
    "tag": Field(Kind.WORDS, help="one of its tags"),
    "key": Field(Kind.WORDS, help="its idempotency key"),
    "route": Field(Kind.WORDS, help="the route it was sent by"),
    "error": Field(Kind.WORDS, help="words of the last error"),
    "priority": Field(Kind.WORDS, _PRIORITIES, "low normal high urgent"),
    "uid": Field(Kind.WORDS, help="its uid"),
    "id": Field(Kind.ID, help="its number"),
    "order": Field(Kind.WORDS, help="its ordering key"),
    "collapse": Field(Kind.WORDS, help="its collapse key"),
    "age": Field(Kind.DURATION, help="time since it was queued"),
    "due": Field(Kind.DURATION, help="time until its next attempt"),
    "attempts": Field(Kind.COUNT, help="how often it was tried"),
    "size": Field(Kind.SIZE, help="bytes"),
    "text": _TEXT,
}
AUDIT: Dialect = {
    "action": Field(Kind.WORDS, help="what was done"),
    "actor": Field(Kind.WORDS, help="who did it"),
    "subject": Field(Kind.WORDS, help="what it was done to"),
    "risk": Field(Kind.WORDS, _RISKS, "low medium high critical"),
    "seq": Field(Kind.COUNT, help="the entry's number"),
    "since": Field(Kind.SINCE, help="a duration, a date (UTC) or a time"),
    "age": Field(Kind.DURATION, help="time since it happened"),
    "text": _TEXT,
}

_EXAMPLES = {
    Kind.WORDS: "{0}:WORD",
    Kind.ID: "{0}:1042",
    Kind.DURATION: "{0}>2h or {0}<30m",
    Kind.COUNT: "{0}>=3 or {0}=0",
    Kind.SIZE: "{0}>1m or {0}<64k",
    Kind.SINCE: "{0}:24h or {0}:2026-11-23",
}


def parse(text: str, dialect: Dialect = OUTBOX) -> Filter:
    """Return the terms of a filter expression; () for an empty one.

    Raises BadInput that names the term, where it stands and what was probably meant.
    """
    if len(text) > MAX_CHARS:
        raise BadInput(f"filter: longer than {MAX_CHARS} characters; name fewer conditions")
    if found := _LONE_SURROGATE.search(text):
        raise BadInput(f"filter, column {found.start() + 1}: not a Unicode character")
    terms = tuple(_Parser(text, dialect).terms())
    if len(terms) > MAX_TERMS:
        raise BadInput(f"filter: more than {MAX_TERMS} conditions; use comma lists such as state:dead,uncertain")
    return terms


class _Parser:
    """A walk over one expression from left to right."""

    def __init__(self, text: str, dialect: Dialect) -> None:
        self.text = text
        self.dialect = dialect
        self.at = 0
        self.term_start = 0

    def terms(self) -> Iterator[Term]:
        self._skip_space()
        while self.at < len(self.text):
            self.term_start = self.at
            negated = self.text[self.at] == "-"
            self.at += negated
            yield self._term(negated=negated)
            if self.at < len(self.text) and not self.text[self.at].isspace():
                raise self._error("a space is missing after the quotes" if self._after_quote() else "unexpected here")
            self._skip_space()

    def _term(self, *, negated: bool) -> Term:
        if head := _HEAD.match(self.text, self.at):
            return self._field_term(head, negated=negated)
        if self.text.startswith('"', self.at):
            words = self._quoted()
        else:
            word = _PLAIN_WORD.match(self.text, self.at)
            if not word:
                raise self._error("nothing stands after the '-'" if negated else "unexpected here")
            self.at = word.end()
            words = word[0]
        return Term("text", ":", (words,), negated)

    def _field_term(self, head: re.Match[str], *, negated: bool) -> Term:
        name, op = head[1].lower(), head[2]
        field = self.dialect.get(name)
        if field is None:
            meant = suggest(name, self.dialect)
            hint = f"did you mean {meant}?" if meant else f"fields are {', '.join(self.dialect)}."
            raise self._error(f"unknown field {name}; {hint} To search for it as text, put it in quotes")
        self.at = head.end()
        values = self._values()
        if field.kind in {Kind.WORDS, Kind.ID}:
            if op not in ":=":
                raise self._error(f"{name} cannot be compared; write {_example(name, field)}")
            return Term(name, ":", tuple(self._word(name, field, value) for value in values), negated)
        if len(values) != 1:
            raise self._error(f"{name} takes one value; write {_example(name, field)}")
        return self._number_term(name, field, op, values[0], negated=negated)

    def _number_term(self, name: str, field: Field, op: str, value: str, *, negated: bool) -> Term:
        if field.kind is Kind.SINCE:
            if op not in ":=":
                raise self._error(f"{name} cannot be compared; write {_example(name, field)}")
            if re.fullmatch(r"(?:\d+[a-z]+)+", value, re.ASCII):
                return Term("age", "<=", self._number(parse_duration_ms, value), negated)
            return Term(name, ">=", self._number(_utc_ms, value), negated)
        if field.kind is Kind.DURATION and op in ":=":
            raise self._error(f"{name} needs > or <; write {_example(name, field)}")
        read = {Kind.DURATION: parse_duration_ms, Kind.SIZE: parse_size}.get(field.kind, _count)
        return Term(name, "=" if op == ":" else op, self._number(read, value), negated)

    def _number(self, read: Callable[[str], int], value: str) -> int:
        try:
            number = read(value)
        except BadInput as error:
            raise self._error(str(error)) from error
        if number > _MOST:
            raise self._error("the number is too large")
        return number

    def _word(self, name: str, field: Field, value: str) -> str:
        if field.kind is Kind.ID:
            digits = value.removeprefix("#")
            if not re.fullmatch(r"[0-9]{1,18}", digits):
                raise self._error(f"{value!r:.40} is not a message's number; write {name}:1042, or uid: for a uid")
            return str(int(digits))
        if not field.choices:
            return value
        if value.lower() not in field.choices:
            meant = suggest(value, field.choices)
            hint = f"did you mean {meant}?" if meant else f"use one of {', '.join(field.choices)}"
            raise self._error(f"unknown {name} {value!r:.40}; {hint}")
        return value.lower()

    def _values(self) -> list[str]:
        values = []
        while True:
            if self.text.startswith('"', self.at):
                values.append(self._quoted())
            else:
                bare = _BARE_VALUE.match(self.text, self.at)
                if not bare:
                    raise self._error("a value is missing")
                values.append(bare[0])
                self.at = bare.end()
            if not self.text.startswith(",", self.at):
                return values
            self.at += 1

    def _quoted(self) -> str:
        chars: list[str] = []
        at = self.at + 1
        while at < len(self.text):
            char = self.text[at]
            if char == '"':
                self.at = at + 1
                if not chars:
                    raise self._error("nothing stands between the quotes")
                return "".join(chars)
            if char == "\\" and at + 1 < len(self.text) and self.text[at + 1] in '"\\':
                at += 1
                char = self.text[at]
            if char < " " and char not in "\t\n\r":
                raise self._error("control characters are not allowed")
            chars.append(char)
            at += 1
        raise self._error('the closing " is missing')

    def _after_quote(self) -> bool:
        return self.at > 0 and self.text[self.at - 1] == '"'

    def _skip_space(self) -> None:
        found = _SPACE.match(self.text, self.at)
        assert found
        self.at = found.end()

    def _error(self, what: str) -> BadInput:
        rest = self.text[self.term_start :].split(maxsplit=1)
        term = rest[0] if rest else ""
        shown = term if len(term) <= 40 else term[:39] + "…"
        quoted = shown if shown.isprintable() else ascii(shown)
        return BadInput(f"filter, column {self.term_start + 1}, {quoted}: {what}")


def _example(name: str, field: Field) -> str:
    return _EXAMPLES[field.kind].format(name)


def _count(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,15}", text):
        raise BadInput(f"{text!r:.40} is not a number")
    return int(text)


def _utc_ms(text: str) -> int:
    from datetime import UTC, datetime

    if not re.match(r"\d{4}-\d\d-\d\d", text, re.ASCII):
        raise BadInput(f"{text!r:.40} is neither a duration such as 24h nor a date such as 2026-11-23")
    try:
        moment = datetime.fromisoformat(text)
        return round((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError) as error:
        raise BadInput(f"{text!r:.40} is no time that exists: {error}") from error


def format(terms: Filter) -> str:  # noqa: A001 - the counterpart of parse, called as filters.format
    """Return the shortest plain spelling; `parse` gives the same terms back."""
    return " ".join(map(_format_term, terms))


def _format_term(term: Term) -> str:
    sign = "-" if term.negated else ""
    if isinstance(term.value, int):
        return f"{sign}{term.field}{_format_number(term)}"
    if term.field == "text" and len(term.value) == 1:
        word = term.value[0]
        plain = _PLAIN_WORD.fullmatch(word) and not _HEAD.match(word)
        return sign + (word if plain else _quote(word))
    values = ",".join(word if _BARE_VALUE.fullmatch(word) else _quote(word) for word in term.value)
    return f"{sign}{term.field}:{values}"


def _format_number(term: Term) -> str:
    if term.field == "since":
        from engine.rules.durations import rfc3339

        return f":{rfc3339(term.number)}"
    if term.field in {"age", "due"}:
        return f"{term.op}{compact_duration(term.number, exact=True)}"
    return f"{term.op}{term.number}"


def _quote(word: str) -> str:
    return '"' + word.replace("\\", "\\\\").replace('"', '\\"') + '"'


def word_start(text: str, cursor: int) -> int:
    """Return where the term under the cursor begins: what `complete` suggests replaces text[start:cursor]."""
    start = 0
    quoted = False
    at = 0
    while at < min(cursor, len(text)):
        char = text[at]
        if quoted and char == "\\":
            at += 1
        elif char == '"':
            quoted = not quoted
        elif char.isspace() and not quoted:
            start = at + 1
        at += 1
    return start


def complete(text: str, cursor: int, values: Mapping[str, Sequence[str]], dialect: Dialect = OUTBOX) -> list[str]:
    """Return what the term under the cursor could become, whole terms, the likeliest first, at most 50.

    values: known values of a field, such as {"target": ["me", "ops"]}. Fields with fixed choices need none.
    """
    term = text[word_start(text, cursor) : cursor]
    sign = "-" if term.startswith("-") else ""
    word = term[len(sign) :]
    head = _HEAD.match(word)
    if not head:
        names = (name for name in dialect if name != "text" and name.startswith(word.lower()))
        return [f"{sign}{name}{_first_op(dialect[name])}" for name in names]
    field = dialect.get(head[1].lower())
    if field is None or field.kind not in {Kind.WORDS, Kind.ID}:
        return []
    done, comma, last = word[head.end() :].rpartition(",")
    known = field.choices or tuple(values.get(head[1].lower(), ()))
    prefix = last.removeprefix('"').lower()
    taken = set(done.split(",")) if comma else set()
    fits = [value for value in known if value.lower().startswith(prefix) and value not in taken]
    spelt = (value if _BARE_VALUE.fullmatch(value) else _quote(value) for value in fits[:50])
    return [f"{sign}{head[0]}{done}{comma}{value}" for value in spelt]


def _first_op(field: Field) -> str:
    if field.kind in {Kind.WORDS, Kind.ID, Kind.SINCE}:
        return ":"
    return ">=" if field.kind is Kind.COUNT else ">"
