"""Paging by every filter is complete: the pages together are what a plain Python filter over all rows finds."""

from __future__ import annotations

import operator
import re
import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.model import Priority
from engine.operations import housekeeping, reading
from engine.operations.context import Context
from engine.rules.filters import Filter, Term
from engine.store import search
from tests.store import crowd
from tests.support import START_MS

_ROWS = 3_000


@dataclass(frozen=True)
class _Row:
    fields: dict[str, Any]
    tags: frozenset[str]
    text: str


class _Rows(list[_Row]):
    """Every row, in order of id. Short in Hypothesis' reports."""

    def __repr__(self) -> str:
        return f"<{len(self)} rows>"


@pytest.fixture(scope="module")
def context(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Context]:
    made = crowd.make(tmp_path_factory.mktemp("search"), _ROWS, behind=300)
    yield made
    made.database.close()


@pytest.fixture(scope="module")
def rows(context: Context) -> _Rows:
    columns = (
        "id, uid, state, target, channel, template, subject, priority, created_ms, due_ms, attempts, idempotency_key,"
        " collapse_key, ordering_key, route, last_code, last_word, state_reason, size"
    )
    names = columns.replace(" ", "").split(",")
    found = context.database.read(lambda tx: tx.search(f"SELECT {columns} FROM messages ORDER BY id", {}))
    texts: dict[int, str] = dict(context.database.read(lambda tx: tx.search("SELECT message_id, text FROM bodies", {})))
    tags: dict[int, set[str]] = {}
    for tag, number in context.database.read(lambda tx: tx.search("SELECT tag, message_id FROM tags", {})):
        tags.setdefault(number, set()).add(tag)
    dicts = [dict(zip(names, row, strict=True)) for row in found]
    return _Rows(_Row(one, frozenset(tags.get(one["id"], ())), texts[one["id"]]) for one in dicts)


_COLUMN = {"key": "idempotency_key", "order": "ordering_key", "collapse": "collapse_key"}


def _plain(text: str) -> str:
    return "".join(char for char in unicodedata.normalize("NFKD", text.lower()) if not unicodedata.combining(char))


def _has_words(row: _Row, words: str) -> bool:
    """Each word begins one of the message's; letters without their accents, as the index has them."""
    known = re.findall(r"\w+", _plain(f"{row.fields['subject']} {row.text}"))
    return all(any(one.startswith(_plain(word)) for one in known) for word in re.findall(r"\w+", words))


def _holds(row: _Row, term: Term) -> bool:
    name, fields = term.field, row.fields
    if name == "text":
        found = _has_words(row, term.words[0])
    elif name == "tag":
        found = bool(row.tags & set(term.words))
    elif name == "priority":
        found = fields["priority"] in {int(Priority[word.upper()]) for word in term.words}
    elif name == "error":
        said = (fields["last_word"], fields["last_code"], fields["state_reason"])
        found = fields["last_word"] != "" and any(word.lower() in one.lower() for word in term.words for one in said)
    elif name in {"attempts", "size", "age", "due"}:
        times = {"age": START_MS - fields["created_ms"], "due": fields["due_ms"] - START_MS}
        left: int = times[name] if name in times else fields[name]
        compare = {"=": operator.eq, ">": operator.gt, ">=": operator.ge, "<": operator.lt, "<=": operator.le}
        found = compare[term.op](left, term.number) and (name != "due" or fields["state"] == "queued")
    else:
        found = str(fields[_COLUMN.get(name, name)] or "") in term.words
    return found != term.negated


def _words(name: str, *values: str) -> st.SearchStrategy[Term]:
    chosen = st.lists(st.sampled_from(values), min_size=1, max_size=3, unique=True)
    return st.builds(lambda words, negated: Term(name, ":", tuple(words), negated), chosen, st.booleans())


def _numbers(name: str, *values: int, ops: tuple[str, ...] = (">", ">=", "<", "<=")) -> st.SearchStrategy[Term]:
    return st.builds(Term, st.just(name), st.sampled_from(ops), st.sampled_from(values), st.booleans())


_STATES = ("queued", "sending", "delivered", "dead", "cancelled", "expired", "held", "uncertain")
_TERMS = st.one_of(
    _words("state", *_STATES),
    _words("target", *(f"target{n}" for n in range(8))),
    _words("channel", "email", "webhook", "none"),
    _words("template", "template0", "template1", "none"),
    _words("route", "route0", "route1", "none"),
    _words("tag", "nightly", "rare", "none"),
    _words("key", "key-17", "key-34", "key-2992", "none"),
    _words("order", "order-1", "order-5", "none"),
    _words("collapse", "collapse-0", "collapse-4", "none"),
    _words("uid", *(f"msg_{n:032x}" for n in (1, 77, 3_000, 9_999))),
    _words("id", "1", "77", "3000", "9999"),
    _words("error", "timeout", "TIME", "503", "refused_by", "100%", "%", "_", "for good", "none"),
    _words("priority", "low", "normal", "urgent", "high"),
    _numbers("age", 0, 1_000, 100_000, 2_000_000),
    _numbers("due", -2_000, 0, 5, 1_000),
    _numbers("attempts", 0, 1, 2, 5, ops=(">", ">=", "<", "<=", "=")),
    _numbers("size", 0, 500, 999, ops=(">", ">=", "<", "<=", "=")),
    st.builds(
        lambda word, negated: Term("text", ":", (word,), negated),
        st.sampled_from(["backup", "rare", "well", "box", "backup well", "2999", "zurich", "WELL", "absent", "ra"]),
        st.booleans(),
    ),
)
_SEVERAL = st.lists(_TERMS, max_size=3).map(tuple)


def _pages(context: Context, terms: Filter, size: int, *, newest_first: bool) -> list[int]:
    found: list[int] = []
    cursor = None
    while True:
        page = reading.page(context, terms, limit=size, cursor=cursor, newest_first=newest_first)
        assert len(page.messages) <= size
        found += [message.id for message in page.messages]
        if page.next_cursor is None:
            return found
        assert len(page.messages) == size
        cursor = page.next_cursor


def _comparable(terms: Filter) -> bool:
    """Phrases and negated words are looked for as they are written, not as words of the index."""
    texts = [term for term in terms if term.field == "text"]
    return all(len(term.words[0].split()) == 1 and not term.negated for term in texts) and len(texts) <= 1


@settings(max_examples=400, deadline=None)
@given(terms=_SEVERAL.filter(_comparable), size=st.sampled_from([7, 100, 1_000]), newest_first=st.booleans())
def test_the_pages_of_any_filter_are_complete_and_in_order(
    context: Context, rows: _Rows, terms: Filter, size: int, *, newest_first: bool
) -> None:
    wanted = [row.fields["id"] for row in rows if all(_holds(row, term) for term in terms)]
    found = _pages(context, terms, max(size, len(wanted) // 20), newest_first=newest_first)
    assert found == (wanted[::-1] if newest_first else wanted)
    assert reading.count(context, terms) == len(wanted)
    assert context.database.read(lambda tx: list(search.ids(tx, terms, now_ms=START_MS))) == wanted


@settings(max_examples=100, deadline=None)
@given(words=st.text(max_size=12))
def test_any_text_can_be_searched_for(context: Context, words: str) -> None:
    if words.strip():
        term = Term("text", ":", (words,))
        found = _pages(context, (term,), 1_000, newest_first=True)
        assert found == sorted(found, reverse=True)


def test_words_are_found_before_and_behind_what_the_index_holds(context: Context) -> None:
    found = _pages(context, (Term("text", ":", ("backup",)),), 100, newest_first=True)
    assert {found[0], found[-1]} == {_ROWS, 1}
    while housekeeping.index_text(context):
        pass
    assert _pages(context, (Term("text", ":", ("backup",)),), 100, newest_first=True) == found
