"""Panel 4, Backups: what is proven, what is in each, what is under way. Makes, proves and restores nothing itself."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.widget import Widget

from chronos_tui import bridge
from chronos_tui.dialogs.onbackups import COMMANDS as ON_BACKUPS
from chronos_tui.dialogs.onbackups import OnBackups
from chronos_tui.keys import TEXT, Command
from chronos_tui.views import backupdetail as detail
from chronos_tui.views import backups as views
from chronos_tui.views import restoring as restore_views
from chronos_tui.views.spans import Span
from chronos_tui.widgets.bar import Bar
from chronos_tui.widgets.bound import bindings
from chronos_tui.widgets.columns import Column
from chronos_tui.widgets.pager import Pager
from chronos_tui.widgets.panel import Prompt
from chronos_tui.widgets.table import Table
from chronos_tui.widgets.textview import TextView
from chronos_tui.widgets.underway import UnderWay

_BESIDE_FROM = 150
"""Cells from which on what is open stands beside the list."""

_COLUMNS = (
    Column("proof", width=10),
    Column("taken", width=16),
    Column("age", right=True, width=6),
    Column("size", right=True, width=9),
    Column("kind", width=9),
    Column("copies", width=6),
    Column("encrypted", width=9, rank=2),
    Column("file", least=24, weight=3, rank=3),
    Column("why", least=14, weight=3, rank=1),
)


class Text(TextView):
    """One of them in full."""

    BINDINGS = bindings(TEXT)


class Backups(OnBackups):
    """What there is to go back to."""

    ID = "backups"
    NUMBER = 4
    TITLE = "Backups"
    TOPICS = frozenset({bridge.Topic.BACKUPS})
    COMMANDS = (
        *ON_BACKUPS,
        Command("backups.pane", ("tab", "shift+tab"), "pane", "between the list and what is open"),
        Command("backups.zoom", ("z",), "zoom", "give what is open all the room, or take it back", 0),
    )
    DEFAULT_CSS = """
    Backups { layout: vertical; }
    Backups #backups-body { layout: vertical; height: 1fr; }
    Backups #backups-page { display: none; height: 3fr; }
    Backups Table { height: 2fr; }
    Backups.-open #backups-page { display: block; }
    Backups.-beside #backups-body { layout: horizontal; }
    Backups.-beside #backups-page, Backups.-beside Table { height: 1fr; width: 1fr; }
    Backups.-beside #backups-page { margin-left: 1; }
    Backups.-zoom Table, Backups.-zoom #backups-line { display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._table = Table("backups", "Backups", _COLUMNS)
        self._text = Text(id="backups-text")
        self._found: Mapping[str, bridge.Backup] = {}
        self._read: dict[str, bridge.Backup] = {}
        self._followed: tuple[int, ...] = ()
        self._offered: tuple[str, ...] = ()

    def compose(self) -> ComposeResult:
        """See Widget.compose."""
        yield Bar(id="backups-line")
        with Container(id="backups-body"):
            yield self._table
            with Vertical(id="backups-page"):
                yield Bar(id="backups-title")
                yield self._text
        yield UnderWay(id="backups-underway")

    # Reading

    def reload(self) -> None:
        """See Panel.reload."""
        # How it stands first: a folder that cannot be read must not hide what is under way.
        self.host.desk.read("backups standing", lambda engine: engine.backup_standing(), self._take_standing)
        self.host.desk.read("backups", lambda engine: tuple(engine.backups()), self._take, self._table.fail)

    def _take_standing(self, standing: bridge.BackupStanding) -> None:
        self.standing = standing
        self._tell_ended(standing)
        self._show_lines()
        self._note_offered()

    def _tell_ended(self, standing: bridge.BackupStanding) -> None:
        """Say what came of an act that was seen under way, whoever had asked for it."""
        present = tuple(one.id for one in standing.under_way)
        gone = [number for number in self._followed if number not in present]
        self._followed = present
        for number in gone:
            self.host.desk.read(
                f"backups ended {number}",
                lambda engine, number=number: engine.command(number),  # type: ignore[misc]
                lambda one: self.host.say(*views.outcome(one)),
            )

    def _take(self, found: Sequence[bridge.Backup]) -> None:
        now_ms = self.host.now_ms()
        self._found = {views.key(one): self._looked_at(one) for one in found}
        rows = tuple((name, views.row(one, now_ms)) for name, one in self._found.items())
        self._table.take(rows, views.summary(found), *views.empty(read_only=self.host.read_only))
        self._show_page()
        self._note_offered()
        self.host.looked()

    def _looked_at(self, one: bridge.Backup) -> bridge.Backup:
        """Return a file that stands in no ledger with the manifest that was read of it."""
        return self._read.get(views.key(one), one) if one.id is None else one

    def _look_into(self, one: bridge.Backup) -> None:
        """Read the manifest of a file that stands in no ledger, once."""
        key, path = views.key(one), f"{one.folder}/{one.name}"
        if one.id is None and key not in self._read:
            self._read[key] = one
            self.host.desk.read("backups one", lambda engine: engine.backup(path), lambda seen: self._see(key, seen))

    def _see(self, key: str, seen: bridge.Backup) -> None:
        self._read[key] = seen
        self._found = {**self._found, key: self._looked_at(seen)}
        self._show_page()

    def _note_offered(self) -> None:
        offered = tuple(command.id for command in ON_BACKUPS if self.check_action(command.action, ()))
        if offered != self._offered:
            self._offered = offered
            self.host.looked()

    # Showing

    def _show_lines(self) -> None:
        standing = self.standing
        if standing is None:
            return
        bar, now_ms = self.query_one("#backups-line", Bar), self.host.now_ms()
        bar.show(views.line(standing, now_ms, bar.size.width))
        below = self.query_one(UnderWay)
        if standing.under_way:
            below.take(views.under_way(standing.under_way[0], self.size.width, keys=not self.host.read_only))
        else:
            below.take(restore_views.last(standing.restored, now_ms) if standing.restored is not None else ())

    def _show_page(self) -> None:
        if not self.has_class("-open"):
            return
        one, bar = self.under, self.query_one("#backups-title", Bar)
        if one is not None:
            self._look_into(one)
        self._text.show(detail.document(one, self.host.now_ms()) if one is not None else (), self._pointed)
        title = bridge.safe_line(one.name, 60) if one is not None else "nothing here"
        bar.show((Span("─ ", "dim"), Span(title, "title"), Span("  z zoom   esc closes", "dim")))

    def on_resize(self) -> None:
        """Fit the lines, and where what is open stands."""
        self.set_class(self.size.width >= _BESIDE_FROM, "-beside")
        self.call_after_refresh(self._show_lines)
        self.call_after_refresh(self._show_page)

    def on_pager_cursor_moved(self) -> None:
        """Let what is open follow."""
        self._show_page()
        self._note_offered()

    def on_pager_opened(self, event: Pager.Opened) -> None:
        """Open it and go into it."""
        event.stop()
        self.add_class("-open")
        self._show_page()
        self._text.focus()
        self.host.looked()

    # What the shell asks of it

    @property
    def _pointed(self) -> str:
        return self._table.rows.name_under_cursor

    @property
    def under(self) -> bridge.Backup | None:
        """See OnBackups."""
        return self._found.get(self._pointed)

    def place(self) -> str:
        """The file under the cursor."""
        return self._pointed

    def go_to(self, place: str) -> None:
        """Put the cursor on a file, by its path or its name."""
        name = next((key for key, one in self._found.items() if place in (key, one.name)), place)
        self._table.rows.put(name)

    def slash(self) -> Prompt | None:
        """In what is open, what to search for."""
        if not self._text.has_focus:
            return None
        return Prompt("search: ", self._search, history="search", hint="n and N go to the next and the one before")

    def _search(self, text: str) -> None:
        if not self._text.search(text) and text:
            self.host.say("not found here", "warning")

    def first_pane(self) -> Widget:
        """See Panel.first_pane."""
        return self._text if self.has_class("-zoom") else self._table.rows

    def leave_pane(self) -> bool:
        """See Panel.leave_pane."""
        if self.has_class("-zoom"):
            self.remove_class("-zoom")
            return True
        if self.has_class("-open"):
            self.remove_class("-open")
            self._table.rows.focus()
            self.host.looked()
            return True
        return False

    def own_badge(self, counts: Mapping[str, int]) -> tuple[str, str]:
        """See Panel.own_badge."""
        del counts
        return views.badge(tuple(self._found.values()))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """See OnBackups."""
        return self.has_class("-open") if action in ("zoom", "pane") else super().check_action(action, parameters)

    # Keys

    def action_pane(self) -> None:
        """From the list into what is open, and back."""
        if self._text.has_focus and not self.has_class("-zoom"):
            self._table.rows.focus()
        else:
            self._text.focus()

    def action_zoom(self) -> None:
        """Give what is open all the room, or take it back."""
        self.toggle_class("-zoom")
        self._text.focus()
        self.call_after_refresh(self._show_page)
