"""The audit log as an endless list: asks the desk for entries, and goes on searching where few of many match."""

from __future__ import annotations

from dataclasses import dataclass, replace

from chronos_tui import bridge
from chronos_tui.keys import LIST
from chronos_tui.views import audit as views
from chronos_tui.views.audit import Verified
from chronos_tui.widgets.bound import bindings
from chronos_tui.widgets.columns import Column
from chronos_tui.widgets.pager import Ask, Pager, Row, Slice, Where
from chronos_tui.widgets.panel import host

_NARROW = (
    Column("", width=1),
    Column("seq", right=True, width=8),
    Column("when", right=True, width=6),
    Column("actor", least=8, weight=1, rank=2),
    Column("action", width=17),
    Column("subject", least=7, weight=1),
    Column("detail", least=14, weight=6, rank=1),
)
_WIDE = (
    Column("risk", width=10),
    _NARROW[1],
    Column("when", width=19),
    Column("actor", least=12, weight=1),
    Column("action", width=21),
    Column("subject", least=16, weight=2),
    Column("detail", least=20, weight=5),
)
_WIDE_FROM = 110
"""Cells from which on a row has room for whole times."""


@dataclass(frozen=True, slots=True)
class _Search:
    """An ask on its way: what was found, and up to which entry everything was looked at."""

    ask: Ask
    entries: tuple[bridge.AuditEntry, ...] = ()
    walked_to: int | None = None
    at_start: bool = False
    at_end: bool = False
    done: bool = False


class Entries(Pager):
    """The list. Entries never change, so that what is loaded is not read again: only what is new above it."""

    BINDINGS = bindings(LIST)

    def __init__(self) -> None:
        super().__init__(_NARROW, self._ask, empty=(), follow=True, id="entries")
        self.expression = ""
        self.verified: Verified | None = None
        self.searched_to: int | None = None
        self._wide = False
        self._moving = False
        self._anew = False
        self._kept: dict[int, bridge.AuditEntry] = {}
        self._last_seq: int | None = None
        self._current: Ask | None = None

    def entry(self, seq: int | None) -> bridge.AuditEntry | None:
        """Return a loaded entry."""
        return self._kept.get(seq) if seq is not None else None

    def list_again(self, expression: str) -> None:
        """Show what matches another filter, from the newest on."""
        self.expression = expression
        self._moving = views.moves_with_time(expression)
        self._last_seq = None
        self.restart()

    def read_anew(self, verified: Verified) -> None:
        """Read what is on the screen as it stands now: somebody may have changed what never changes."""
        self.verified = verified
        self._kept = {}
        self._anew = True
        self.reload()

    def fit_to(self, cells: int) -> None:
        """Show whole times where there is room for them."""
        wide = cells >= _WIDE_FROM
        if wide != self._wide:
            self._wide = wide
            self.set_columns(_WIDE if wide else _NARROW)
            self.reload()

    # Reading

    def _ask(self, ask: Ask) -> None:
        self._current = ask
        self._step(_Search(ask))

    def _step(self, search: _Search) -> None:
        expression, loaded = self.expression, self._loaded(search.ask)

        def query(engine: bridge.Engine) -> _Search:
            return _look(engine, expression, search, loaded)

        host(self).desk.read("audit.list", query, self._take, lambda text: self._refused(text, search.ask))

    def _take(self, search: _Search) -> None:
        if search.ask is not self._current:
            return
        if not search.done:
            self._show_search(search.walked_to)
            self._step(search)
            return
        self._show_search(None)
        self._kept |= {entry.seq: entry for entry in search.entries}
        if search.at_end:
            self._last_seq = search.entries[-1].seq if search.entries else search.ask.key
        rows = tuple(self._row(entry) for entry in search.entries)
        self.answer(search.ask, Slice(rows, search.at_start, search.at_end))
        self._forget()
        if self._anew:
            self._anew = False
            self.post_message(self.NewerChanged(self, self.newer, exact=self.newer_exact))

    def _refused(self, text: str, ask: Ask) -> None:
        self._show_search(None)
        self.fail(text, ask)

    def _show_search(self, walked_to: int | None) -> None:
        if walked_to != self.searched_to:
            self.searched_to = walked_to
            self.post_message(self.NewerChanged(self, self.newer, exact=self.newer_exact))

    def _row(self, entry: bridge.AuditEntry) -> Row:
        bad = self.verified.bad_seq if self.verified is not None else None
        return Row(entry.seq, views.cells(entry, host(self).now_ms(), wide=self._wide, bad_seq=bad))

    def _loaded(self, ask: Ask) -> _Search | None:
        """Return what AGAIN asks for out of the memory, its start not yet known; None where it has to be read."""
        if ask.where is not Where.AGAIN or ask.key is None or self._moving:
            return None
        at = next((at for at, row in enumerate(self.rows) if row.key == ask.key), None)
        if at is None:
            return None
        keys = [row.key for row in self.rows[at : at + ask.limit]]
        entries = tuple(self._kept[key] for key in keys if key in self._kept)
        if len(entries) < len(keys):
            return None
        return _Search(ask, entries, at_end=keys[-1] == self._last_seq, done=True)

    def _forget(self) -> None:
        """Keep the entries that are loaded, no others."""
        if len(self._kept) > 2 * len(self.rows) + 100:
            keys = {row.key for row in self.rows}
            self._kept = {key: entry for key, entry in self._kept.items() if key in keys}


def _look(engine: bridge.Engine, expression: str, search: _Search, loaded: _Search | None) -> _Search:
    """Go one step on; on the reader's thread."""
    ask = search.ask
    if loaded is not None:
        return replace(loaded, at_start=_nothing_above(engine, expression, loaded.entries[0].seq))
    upwards = ask.where in (Where.BEFORE, Where.END)
    start = ask.key if search.walked_to is None else search.walked_to
    if ask.where is Where.AGAIN and search.walked_to is None and start is not None:
        start += 1
    where = {} if start is None else {"after": start} if upwards else {"before": start}
    page = engine.audit_look(
        expression,
        limit=ask.limit - len(search.entries),
        from_oldest=ask.where is Where.END and start is None,
        **where,
    )
    entries = page.entries + search.entries if upwards else search.entries + page.entries
    # What was found is shown at once where the list goes on behind it; a refresh and a jump to the end are whole.
    enough = bool(entries) and ask.where in (Where.START, Where.BEHIND, Where.BEFORE)
    found = replace(search, entries=entries, walked_to=page.walked_to, done=page.walked_to is None or enough)
    if not found.done:
        return found
    ended = page.at_end
    if upwards:
        return replace(found, at_start=ended, at_end=ask.where is Where.END)
    at_start = ask.where is Where.START or ask.key is None
    if ask.where is Where.AGAIN and ask.key is not None:
        at_start = _nothing_above(engine, expression, entries[0].seq if entries else ask.key)
    return replace(found, at_start=at_start, at_end=ended)


def _nothing_above(engine: bridge.Engine, expression: str, seq: int) -> bool:
    page = engine.audit_look(expression, limit=1, after=seq)
    return page.at_end and not page.entries
