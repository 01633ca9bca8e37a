"""Panel 7, Security: incidents, API keys, sources, secrets. Shows no secret; a new key is shown once, by its dialog."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.widget import Widget

from chronos_tui import bridge
from chronos_tui.dialogs.onkept import COMMANDS as ON_KEPT
from chronos_tui.dialogs.onkept import OnKept
from chronos_tui.keys import TEXT, Command
from chronos_tui.views import incidents as incident_views
from chronos_tui.views import secrets as vault_views
from chronos_tui.views import security as views
from chronos_tui.views.security import Kept
from chronos_tui.views.spans import Span
from chronos_tui.widgets.bar import Bar
from chronos_tui.widgets.bound import bindings
from chronos_tui.widgets.kept import COLUMNS
from chronos_tui.widgets.pager import Pager
from chronos_tui.widgets.panel import Prompt
from chronos_tui.widgets.sections import ALL_FROM, Sections
from chronos_tui.widgets.table import Table
from chronos_tui.widgets.textview import TextView

_BESIDE_FROM = 140
"""Cells from which on what is open stands beside the tables."""

_MOST_EVENTS = 20
_PLACE = re.compile(r"(incidents|keys|sources|secrets)(?:/(.+))?", re.DOTALL)


class Text(TextView):
    """One of them in full."""

    BINDINGS = bindings(TEXT)


class Security(OnKept):
    """What is kept locked, and who tried the door."""

    ID = "security"
    NUMBER = 7
    TITLE = "Security"
    TOPICS = frozenset({bridge.Topic.SECURITY})
    COMMANDS = (
        *ON_KEPT,
        Command(
            "security.next-section", ("tab",), "next", "the next section; where one is open: between list and text"
        ),
        Command("security.previous-section", ("shift+tab",), "previous", "the section before"),
        Command("security.zoom", ("z",), "zoom", "give what is open all the room, or take it back", 0),
    )
    DEFAULT_CSS = """
    Security { layout: vertical; }
    Security #security-body { layout: vertical; height: 1fr; }
    Security #security-page { display: none; height: 3fr; }
    Security #sections { height: 2fr; }
    Security.-open #security-page { display: block; }
    Security.-beside #security-body { layout: horizontal; }
    Security.-beside #security-page, Security.-beside #sections { height: 1fr; width: 1fr; }
    Security.-beside #security-page { margin-left: 1; }
    Security.-zoom #sections, Security.-zoom #security-line { display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._sections = Sections([Table(name, views.TITLES[name], COLUMNS[name]) for name in views.SECTIONS])
        self._text = Text(id="security-text")
        self._known = False
        self._events: tuple[str, Sequence[bridge.Event]] = ("", ())
        self._offered: tuple[str, ...] = ()

    def compose(self) -> ComposeResult:
        """See Widget.compose."""
        yield Bar(id="security-line")
        with Container(id="security-body"):
            yield self._sections
            with Vertical(id="security-page"):
                yield Bar(id="security-title")
                yield self._text
        yield Bar(id="security-vault")

    # Reading

    def reload(self) -> None:
        """See Panel.reload."""
        everything = self.kept.everything
        self.host.desk.read("security", lambda engine: _read(engine, everything=everything), self._take, self._fail)
        self._read_events()

    def _take(self, kept: Kept) -> None:
        self.kept = replace(kept, wrong=self.kept.wrong)
        self._known = True
        self._show()

    def _fail(self, text: str) -> None:
        self.kept = replace(self.kept, troubles=dict.fromkeys((*views.SECTIONS, "vault"), text))
        self._known = True
        self._show()

    def _read_events(self) -> None:
        name = self.under
        if self.has_class("-open") and self.section == views.SOURCES and name:
            self.host.desk.read(
                "security events of one",
                lambda engine: engine.events(name, limit=_MOST_EVENTS),
                lambda events: self._take_events(name, events),
            )

    def _take_events(self, name: str, events: Sequence[bridge.Event]) -> None:
        self._events = (name, events)
        self._show_page()

    def note_checked(self, wrong: Mapping[str, str]) -> None:
        """See OnKept."""
        self.kept = replace(self.kept, wrong=wrong)
        self._show()

    def show_history(self) -> None:
        """See OnKept."""
        self.kept = replace(self.kept, everything=not self.kept.everything)
        self.reload()

    # Showing

    def _show(self) -> None:
        kept, now_ms = self.kept, self.host.now_ms()
        grown: Table | None = None
        for name, table in self._sections.tables.items():
            if trouble := kept.troubles.get(name):
                table.fail(trouble)
            else:
                shown = views.section(name, kept, now_ms)
                if table.take(shown.rows, shown.words, *shown.empty):
                    grown = table
        if grown is not None:
            grown.refresh(layout=True)  # a child's: it is what makes Textual place all of them anew
        self._show_lines()
        self._show_page()
        self._note_offered()

    def _note_offered(self) -> None:
        """Other keys work on another thing; those of the same kind are not counted anew."""
        offered = tuple(command.id for command in ON_KEPT if self.check_action(command.action, ()))
        if offered != self._offered:
            self._offered = offered
            self.host.looked()

    def _show_lines(self) -> None:
        bar = self.query_one("#security-line", Bar)
        kept = self.kept if self._known else None
        bar.show(views.line(self.section, kept, bar.size.width))
        if kept is not None:
            line = vault_views.vault_line(kept.vault, self.host.now_ms(), kept.incidents)
            trouble = kept.troubles.get("vault")
            self.query_one("#security-vault", Bar).show((Span(f" ✗ {trouble}", "failed"),) if trouble else line)

    def _show_page(self) -> None:
        if not self.has_class("-open"):
            return
        name, key = self.section, self.under
        events = self._events[1] if self._events[0] == key else ()
        self._text.show(views.document(name, key, self.kept, events, self.host.now_ms()), f"{name}/{key}")
        bar = self.query_one("#security-title", Bar)
        bar.show(views.page_title(name, key, bar.size.width))

    def on_resize(self) -> None:
        """Fit how many tables stand here, and where what is open stands."""
        self.set_class(self.size.width >= _BESIDE_FROM, "-beside")
        self._fit()

    def _fit(self) -> None:
        below = self.has_class("-open") and not self.has_class("-beside")
        single = below or self.size.height < ALL_FROM
        self.query_one("#security-line").display = single
        self._sections.fit(single=single)
        self.call_after_refresh(self._show_lines)
        self.call_after_refresh(self._show_page)

    def on_sections_present(self) -> None:
        """Other keys work there."""
        self._show_lines()
        self._show_page()
        self._note_offered()

    def on_pager_cursor_moved(self) -> None:
        """Let what is open follow."""
        self._show_page()
        self._read_events()
        self._note_offered()

    def on_pager_opened(self, event: Pager.Opened) -> None:
        """Open it and go into it."""
        event.stop()
        self.add_class("-open")
        self._fit()
        self._read_events()
        self._text.focus()
        self.host.looked()

    # What the shell asks of it

    @property
    def section(self) -> str:
        """See OnKept."""
        return self._sections.present

    @property
    def under(self) -> str:
        """See OnKept."""
        return self._sections.table.rows.name_under_cursor

    def look_at(self, section: str) -> None:
        """See OnKept."""
        self._sections.look_at(section)

    def place(self) -> str:
        """The section and what is under the cursor there."""
        return f"{self.section}/{self.under}"

    def go_to(self, place: str) -> None:
        """Show a section ("keys"), or something in it ("incidents/3")."""
        if found := _PLACE.fullmatch(place.removesuffix("/")):
            self._sections.look_at(found[1])
            if found[2]:
                self._sections.table.rows.put(found[2])

    def saved(self) -> dict[str, Any]:
        """See Panel.saved."""
        return {"section": self.section}

    def restore(self, saved: dict[str, Any]) -> None:
        """See Panel.restore."""
        if saved.get("section") in views.SECTIONS:
            self._sections.look_at(saved["section"])

    def slash(self) -> Prompt | None:
        """In what is open, what to search for."""
        if not self._text.has_focus:
            return None
        return Prompt("search: ", self._search, history="search", hint="n and N go to the next and the one before")

    def _search(self, text: str) -> None:
        if not self._text.search(text) and text:
            self.host.say("not found here", "warning")

    def first_pane(self) -> Widget:
        """See Panel.first_pane: where the operator was."""
        return self._text if self.has_class("-zoom") else self._sections.table.rows

    def leave_pane(self) -> bool:
        """See Panel.leave_pane."""
        if self.has_class("-zoom"):
            self.remove_class("-zoom")
            return True
        if self.has_class("-open"):
            self.remove_class("-open")
            self._fit()
            self._sections.table.rows.focus()
            self.host.looked()
            return True
        return False

    @classmethod
    def badge(cls, counts: Mapping[str, int]) -> tuple[str, str]:
        """See Panel.badge."""
        return incident_views.badge(counts.get("incidents", 0), counts.get("incidents serious", 0))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """See OnKept."""
        return self.has_class("-open") if action == "zoom" else super().check_action(action, parameters)

    # Keys

    def action_next_section(self) -> None:
        """The next section; with something open: from the list into its text and back."""
        self._step(1)

    def action_previous_section(self) -> None:
        """The section before."""
        self._step(-1)

    def _step(self, by: int) -> None:
        if not self.has_class("-open"):
            self._sections.step(by)
        elif self._text.has_focus and not self.has_class("-zoom"):
            self._sections.table.rows.focus()
        else:
            self._text.focus()

    def action_zoom(self) -> None:
        """Give what is open all the room, or take it back."""
        self.toggle_class("-zoom")
        self._text.focus()
        self.call_after_refresh(self._show_page)


def _read(engine: bridge.Engine, *, everything: bool) -> Kept:
    """Ask for each section; one that fails leaves the others alone."""
    answers: dict[str, Any] = {}
    troubles: dict[str, str] = {}
    questions: Mapping[str, Callable[[], Any]] = {
        views.INCIDENTS: lambda: tuple(engine.incidents(everything=everything)),
        views.KEYS: lambda: tuple(engine.api_keys()),
        views.SOURCES: lambda: tuple(engine.sources()),
        views.SECRETS: lambda: tuple(engine.secrets()),
        "vault": engine.vault,
    }
    for name, ask in questions.items():
        try:
            answers[name] = ask()
        except bridge.ChronosError as error:
            troubles[name] = bridge.safe_line(str(error), 300)
    return Kept(**answers, troubles=troubles, everything=everything)
