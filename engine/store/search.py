"""Pages of messages by the shared filter language: chooses the index that drives the query. Reads only."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from engine.model import Message, Priority, State
from engine.rules.filters import Filter, Term
from engine.store import messages
from engine.store.tx import Params, Row, Tx

_FIRST = 0
_LAST = 1 << 62
_FREEZE_SLICE = 5_000
_SMALL_STATE = 20_000  # a state with fewer messages than this drives better than any target or channel

# The index behind each field, the most selective first. What is not here is filtered row by row.
_DRIVERS = (
    ("id", ""),
    ("uid", "messages_uid"),
    ("key", "messages_idempotency"),
    ("error", "messages_failed"),
    ("template", "messages_template"),
    ("route", "messages_route"),
)
_TABLE = "messages AS m"
# CROSS: SQLite must not turn the order round; the words are the rare thing, and their rows come sorted by id.
_BY_TEXT = "search CROSS JOIN messages AS m ON m.id = search.rowid"
_BY_TAG = "tags AS t CROSS JOIN messages AS m ON m.id = t.message_id"
BY_DUE = f"{_TABLE} INDEXED BY messages_due"
BY_UNREADY = f"{_TABLE} INDEXED BY messages_unready"
BY_FINISHED = f"{_TABLE} INDEXED BY messages_finished"
MOST_TARGETS = 500
_PLAIN = {"channel", "target", "template", "route", "priority", "key", "order", "collapse", "uid", "id", "tag"}


@dataclass(slots=True)
class _Where:
    """A growing condition and its parameters."""

    clauses: list[str] = field(default_factory=list)
    params: dict[str, object] = field(default_factory=dict)

    def bind(self, value: object) -> str:
        name = f"p{len(self.params)}"
        self.params[name] = value
        return f":{name}"


def page(
    tx: Tx,
    terms: Filter,
    *,
    now_ms: int,
    limit: int,
    before: int = _LAST,
    after: int = _FIRST,
    newest_first: bool = True,
) -> list[Message]:
    """Return up to `limit` messages with `after` < id < `before`, in order of id. Keyset paging: no OFFSET anywhere."""
    rows = {}
    order = "DESC" if newest_first else "ASC"
    for branch, driver in _branches(tx, terms):
        for row in _run(tx, "search.columns", branch, driver, now_ms, (after, before), limit, order):
            rows[row[0]] = row
    ordered = sorted(rows.values(), key=lambda row: row[0], reverse=newest_first)
    return [messages.from_row(row) for row in ordered[:limit]]


def count(tx: Tx, terms: Filter, *, now_ms: int, most: int) -> int:
    """Return how many match, counted up to `most`."""
    found: set[int] = set()
    for branch, driver in _branches(tx, terms):
        rows = _run(tx, "search.ids", branch, driver, now_ms, (_FIRST, _LAST), most, "")
        found.update(row[0] for row in rows)
    return min(len(found), most)


def keys(tx: Tx, terms: Filter, columns: str, *, now_ms: int, most: int) -> dict[int, Any]:
    """Return the second column of `columns` by the id of all that match; of more than `most`, at least `most`."""
    found: dict[int, Any] = {}
    for branch, driver in _branches(tx, terms):
        found.update(_run(tx, columns, branch, driver, now_ms, (_FIRST, _LAST), most, ""))
        if len(found) >= most:
            break
    return found


def ids(tx: Tx, terms: Filter, *, now_ms: int) -> Iterator[int]:
    """Yield the ids of all that match, oldest first, in slices that leave no cursor open."""
    after = _FIRST
    while True:
        found: set[int] = set()
        for branch, driver in _branches(tx, terms):
            rows = _run(tx, "search.ids", branch, driver, now_ms, (after, _LAST), _FREEZE_SLICE, "ASC")
            found.update(row[0] for row in rows)
        ordered = sorted(found)[:_FREEZE_SLICE]
        yield from ordered
        if len(ordered) < _FREEZE_SLICE:
            return
        after = ordered[-1]


def walk(
    tx: Tx, columns: str, driver: str, fixed: tuple[str, Params], terms: Filter, *, now_ms: int, order: str, limit: int
) -> list[Row]:
    """Return rows of an index in its own order. fixed: the condition that the index serves; terms: row by row."""
    where = _Where([fixed[0]], {**fixed[1]})
    _add_terms(tx, where, terms, now_ms)
    sql = f"{columns} FROM {driver} WHERE {' AND '.join(where.clauses)} ORDER BY {order} LIMIT {where.bind(limit)}"
    return tx.search(sql, where.params)


def _run(
    tx: Tx, columns: str, terms: Filter, driver: str, now_ms: int, span: tuple[int, int], limit: int, order: str
) -> list[Row]:
    """order: "ASC" or "DESC" by id; "" as they come, where all are wanted."""
    where = _Where()
    by = {_BY_TEXT: "search.rowid", _BY_TAG: "t.message_id"}.get(driver, "m.id")
    # One lower bound: of two, SQLite would seek by the first and walk the rest.
    after = max([span[0], *(term.number for term in terms if term.field == "behind")])
    where.clauses.append(f"{by} > {where.bind(after)} AND {by} < {where.bind(span[1])}")
    _add_terms(tx, where, [term for term in terms if term.field != "behind"], now_ms)
    sorting = f"ORDER BY {by} {order}" if order else ""
    found = f"FROM {driver} WHERE {' AND '.join(where.clauses)} {sorting} LIMIT {where.bind(limit)}"
    if driver == BY_DUE and order:
        # messages_due is not in order of id: sort bare ids, then read the rows of the few that are shown.
        found = f"FROM {_TABLE} WHERE m.id IN (SELECT m.id {found}) {sorting}"
    return tx.search(f"{tx.text(columns)} {found}", where.params)


def _add_terms(tx: Tx, where: _Where, terms: Iterable[Term], now_ms: int) -> None:
    for term in terms:
        clause = _clause(tx, term, where, now_ms)
        where.clauses.append(f"NOT ifnull(({clause}), 0)" if term.negated else f"({clause})")


def _branches(tx: Tx, terms: Filter) -> list[tuple[Filter, str]]:
    """Split the filter so that each part is driven by one index seek: one part a value of the driving term."""
    terms = _turned(tx, terms)
    positive = {term.field: term for term in terms if not term.negated}
    state = positive.get("state")
    if "tag" in positive:
        return _tag_branches(terms, positive["tag"])
    placed = "channel" in positive or "target" in positive
    if state is not None and (_small(tx, state) or not (placed or any(name in positive for name, _ in _DRIVERS))):
        return [branch for word in state.words for branch in _state_branches(_narrowed(terms, state, word), word)]
    for name, index in _DRIVERS:
        if name in positive:
            term = positive[name]
            hint = f"{_TABLE} INDEXED BY {index}" if index else _TABLE
            if name == "error":
                return [((*terms, Term("failed", "=", 1)), hint)]
            return [(_narrowed(terms, term, word), hint) for word in term.words]
    if placed:
        return _place_branches(tx, terms, positive.get("channel"), positive.get("target"))
    if "text" in positive:
        return _text_branches(tx, terms, positive["text"])
    attempts = positive.get("attempts")
    if attempts is not None and attempts.number + (attempts.op == ">") > 1 and attempts.op in {">", ">=", "="}:
        return [((*terms, Term("retried", "=", 1)), f"{_TABLE} INDEXED BY messages_retried")]
    priority = positive.get("priority")
    if priority is not None and "normal" not in priority.words:
        driver = f"{_TABLE} INDEXED BY messages_priority"
        unusual = Term("unusual", "=", 1)
        return [((*_narrowed(terms, priority, word), unusual), driver) for word in priority.words]
    return [(terms, _TABLE)]


def _tag_branches(terms: Filter, tag: Term) -> list[tuple[Filter, str]]:
    rest = tuple(term for term in terms if term is not tag)
    return [((*rest, Term("tagged", ":", (word,))), _BY_TAG) for word in tag.words]


def _state_branches(terms: Filter, word: str) -> list[tuple[Filter, str]]:
    if word != "queued":
        return [(terms, f"{_TABLE} INDEXED BY messages_{word}")]
    return [((*terms, Term("ready", "=", 1)), BY_DUE), ((*terms, Term("unready", "=", 1)), BY_UNREADY)]


def _place_branches(tx: Tx, terms: Filter, channel: Term | None, target: Term | None) -> list[tuple[Filter, str]]:
    """One part for each (channel, target): the index that serves both begins with the channel."""
    driver = f"{_TABLE} INDEXED BY messages_target"
    rest = tuple(term for term in terms if term is not channel and term is not target)
    if target is not None:
        names = channel.words if channel is not None else channels(tx)
        pairs = [(name, word) for name in names for word in target.words]
    else:
        assert channel is not None, "asked for where either is named"
        pairs = _pairs(tx, channel.words)
        if len(pairs) > MOST_TARGETS:
            return [(terms, _TABLE)]
    return [((*rest, Term("channel", ":", (name,)), Term("target", ":", (word,))), driver) for name, word in pairs]


def _pairs(tx: Tx, names: Iterable[str]) -> list[tuple[str, str]]:
    return [(name, row[0]) for name in names for row in tx.rows("search.targets", {"channel": name})]


def channels(tx: Tx) -> list[str]:
    """Return every channel that has messages."""
    return [row[0] for row in tx.rows("search.channels")]


def targets(tx: Tx, of: Sequence[str] = ()) -> list[str]:
    """Return every target that has messages, sorted; `of`: of these channels. Of very many, MOST_TARGETS + 1."""
    return sorted({target for _channel, target in _pairs(tx, of or channels(tx))})[: MOST_TARGETS + 1]


def templates(tx: Tx, most: int) -> list[str]:
    """Return up to `most` templates that messages were made from."""
    return [row[0] for row in tx.rows("search.templates", {"most": most})]


def routes(tx: Tx, most: int) -> list[str]:
    """Return up to `most` routes that messages were sent by."""
    return [row[0] for row in tx.rows("search.routes", {"most": most})]


def tags(tx: Tx, most: int) -> list[str]:
    """Return up to `most` tags that messages have."""
    return [row[0] for row in tx.rows("search.tags", {"most": most})]


def _text_branches(tx: Tx, terms: Filter, text: Term) -> list[tuple[Filter, str]]:
    """Free text: the index up to where it is filled, a scan behind that."""
    indexed = int(tx.value("search.indexed_id"))
    if not _match(text.words[0]):
        return [(terms, _TABLE)]
    rest = tuple(term for term in terms if term is not text)
    return [
        ((*rest, Term("text_indexed", ":", text.words)), _BY_TEXT),
        ((*rest, Term("behind", ">", indexed), Term("text_scanned", ":", text.words)), _TABLE),
    ]


def _turned(tx: Tx, terms: Filter) -> Filter:
    """Say `-state:delivered` as the states that are left, where these hold little: they have indexes."""
    states = [term for term in terms if term.field == "state"]
    if not states or not all(term.negated for term in states):
        return terms
    left = tuple(state.value for state in State if all(state.value not in term.words for term in states))
    turned = Term("state", ":", left)
    if not left or not _small(tx, turned):
        return terms
    return (*(term for term in terms if term.field != "state"), turned)


def _small(tx: Tx, state: Term) -> bool:
    known = messages.counts(tx)
    return sum(known[word] for word in state.words) <= _SMALL_STATE


def _narrowed(terms: Filter, term: Term, word: str) -> Filter:
    return tuple(Term(one.field, one.op, (word,)) if one is term else one for one in terms)


def _clause(tx: Tx, term: Term, where: _Where, now_ms: int) -> str:
    name = term.field
    if name == "state":
        return " OR ".join(tx.text("filters.state").format(word) for word in term.words)
    if name in _PLAIN:
        template = tx.text(f"filters.{name}")
        return " OR ".join(f"({template.format(where.bind(_stored(name, word)))})" for word in term.words)
    if name in {"error", "text_scanned"}:
        template = tx.text(f"filters.{name}")
        return " OR ".join(template.format(where.bind(_like(word))) for word in term.words)
    if name == "text":
        return " OR ".join(tx.text("filters.text_scanned").format(where.bind(_like(word))) for word in term.words)
    if name == "text_indexed":
        return _indexed_clause(tx, term.words[0], where)
    if name == "tagged":
        return tx.text("filters.tagged").format(where.bind(term.words[0]))
    if name in {"retried", "ready", "unready", "unusual", "failed"}:
        return tx.text(f"filters.{name}")
    if name == "age":  # older than 2 h means made before now - 2 h
        turned = {">": "<", ">=": "<=", "<": ">", "<=": ">="}[term.op]
        return tx.text("filters.age").format(where.bind(now_ms - term.number), turned)
    number = now_ms + term.number if name == "due" else term.number
    return tx.text(f"filters.{name}").format(where.bind(number), term.op)


def _indexed_clause(tx: Tx, words: str, where: _Where) -> str:
    clause = tx.text("filters.text_indexed").format(where.bind(_match(words)))
    if len(_words(words)) > 1 and words.isascii():
        # The index knows words, not their order: a phrase is checked in the text itself.
        clause += " AND " + tx.text("filters.text_scanned").format(where.bind(_like(words)))
    return clause


def _stored(name: str, word: str) -> object:
    return int(Priority[word.upper()]) if name == "priority" else word


def _words(text: str) -> list[str]:
    return re.findall(r"[^\W_]+", text)


def _match(text: str) -> str:
    """The full-text query: every word, or a word that begins so; "" when the index may split the text otherwise.

    Quoted: the text is never query syntax. A word of ours that is two for the index would be a phrase, which an index
    without positions refuses.
    """
    if not text.isascii() and not all(char.isascii() or _known_to_the_index(char) for char in text):
        return ""
    return " ".join(f'"{word}"*' for word in _words(text))


def _known_to_the_index(char: str) -> bool:
    """Whether it is a letter or digit to unicode61, whose tables are older than Python's: Unicode 3.2 is in both."""
    import unicodedata  # a text beyond ASCII is rare

    return unicodedata.ucd_3_2_0.category(char)[0] in "LN"


def _like(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    return f"%{escaped}%"
