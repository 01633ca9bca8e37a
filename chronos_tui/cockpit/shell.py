"""The cockpit itself: first line, tabs, one panel at a time, prompt and footer. Knows no panel by name."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, ClassVar, NamedTuple, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.dom import DOMNode
from textual.events import Event, Key
from textual.screen import Screen
from textual.widget import Widget
from textual.widgets import ContentSwitcher

from chronos_tui import bridge, screens
from chronos_tui.cockpit import flows, themes
from chronos_tui.cockpit.lines import CommandLine
from chronos_tui.cockpit.session import Session
from chronos_tui.desk import Desk
from chronos_tui.dialogs.confirm import Confirm
from chronos_tui.keys import LIST, MARKS, SHELL, TEXT, Command, by_id
from chronos_tui.terminal.safe_app import SafeApp
from chronos_tui.views import shell as views
from chronos_tui.views.spans import Line, Span
from chronos_tui.widgets.bar import Bar
from chronos_tui.widgets.bound import bindings
from chronos_tui.widgets.panel import Panel, Prompt, Work
from chronos_tui.widgets.promptbar import PromptBar

_NOTICE_S = 8.0
_QUIET_S = 1.0
"""A panel is read anew at most so often."""

_BUSY_S = 0.25
"""The same while the operator is at the keys."""

_AT_THE_KEYS_S = 3.0
_TWICE_S = 2.0
_MOST_BACK = 50
_LEAST = (60, 20)
_ALL = frozenset(bridge.Topic)
_ACTS = frozenset({"pause", "resume", "new", "undo"})
"""What read-only leaves out."""


class Active(NamedTuple):
    """A command with those of its keys that work now, and where its action is run."""

    command: Command
    node: DOMNode
    action: str


class Main(Screen[None], inherit_bindings=False):
    """The one screen that is not a dialog."""

    AUTO_FOCUS = ""  # the shell gives the focus to the panel, never to a prompt that is closed

    def on_screen_resume(self) -> None:
        """A dialog has gone: show again which keys work."""
        cast("Cockpit", self.app).looked()


class Cockpit(SafeApp, inherit_bindings=False):
    """The cockpit on an opened engine.

    session: the last visit, changed on the way. on_owner: called on another thread once this process delivers.
    """

    BINDINGS: ClassVar[list[Any]] = [
        *bindings(command for command in SHELL if command.id != "shell.panel"),
        *(Binding(str(n), f"panel({n})", "panel", show=False, id="shell.panel") for n in range(1, 10)),
    ]
    CSS = """
    Screen { layout: vertical; background: $background; layers: default prompt; }
    #header { background: $panel; }
    #footer { background: $panel; }
    #panels { height: 1fr; }
    #small { display: none; }
    .-small #small { display: block; }
    .-small #header, .-small #tabs, .-small #panels, .-small #prompt, .-small #footer { display: none; }
    """

    def __init__(
        self,
        engine: bridge.Engine,
        *,
        log: bridge.Log,
        session: Session | None = None,
        read_only: bool = False,
        on_owner: Callable[[], None] = lambda: None,
        **options: Any,
    ) -> None:
        super().__init__(**options)
        self.engine = engine
        self.session = session or Session()
        self.desk = Desk(
            engine, self._from_desk, moved=self._note_moved, role=self._note_role, on_owner=on_owner, log=log
        )
        self._read_only = read_only
        self.kinds = screens.panels()
        self.commands = by_id([*SHELL, *LIST, *MARKS, *TEXT, *(one for kind in self.kinds for one in kind.COMMANDS)])
        # Held, not looked up: a query goes to the screen on top, which may be a dialog.
        self._header = Bar(id="header")
        self._tabs = Bar(id="tabs")
        self._panels = ContentSwitcher(id="panels")
        self._prompt = PromptBar(self._typed_before, self._remember)
        self.line = CommandLine(self)
        self._footer = Bar(id="footer")
        self._small = Bar(id="small")
        self._open: dict[str, Panel] = {}
        self._present: Panel | None = None
        self._situation: bridge.Situation | None = None
        self._back: list[tuple[str, str]] = []
        self._undo: list[tuple[str, Work]] = []
        self._dirty: frozenset[bridge.Topic] = frozenset()
        self._next_s = 0.0
        self._key_s = 0.0
        self._interrupt_s = 0.0
        self._due = False
        self._notice = 0
        self._minute = 0

    # Composition

    def get_default_screen(self) -> Screen[Any]:
        """See App.get_default_screen."""
        return Main(id="main")

    def compose(self) -> ComposeResult:
        """See App.compose."""
        yield self._header
        yield self._tabs
        yield self._panels
        yield self._prompt
        yield self._footer
        yield self._small

    async def on_mount(self) -> None:
        """Show where the operator was last time, then begin to read."""
        for theme in themes.THEMES:
            self.register_theme(theme)
        known = {theme.name for theme in themes.THEMES}
        self.theme = self.session.theme if self.session.theme in known else themes.DEFAULT
        first = self.session.panel if self.session.panel in self._ids() else self.kinds[0].ID
        await self._show(first)
        self.screen.bindings_updated_signal.subscribe(self, lambda _screen: self._show_footer())
        self.desk.start()
        self._read_situation()
        self.set_interval(1.0, self._second)

    def _ids(self) -> list[str]:
        return [kind.ID for kind in self.kinds]

    async def _show(self, panel_id: str, place: str = "", then: Callable[[Panel], None] | None = None) -> None:
        panel = self._open.get(panel_id)
        if panel is None:
            panel = next(kind for kind in self.kinds if panel_id == kind.ID)()
            self._open[panel_id] = panel
            await self._panels.mount(panel)
            panel.restore(self.session.panels.get(panel_id, {}))
        self._present = panel
        self._panels.current = panel_id
        if place:
            panel.go_to(place)
        self._focus()
        panel.reload()
        self._show_tabs()
        self._show_footer()
        if then is not None:
            then(panel)

    def _typed_before(self, history: str) -> list[str]:
        return self.session.histories.get(history, [])

    def _remember(self, history: str, text: str) -> None:
        self.session.remember(history, text)

    def _focus(self) -> None:
        """Give the focus to the pane that had it, or to the first of the panel."""
        panel = self._present
        if panel is None or self.screen.id != "main":
            return
        if self.focused is not None and panel in self.focused.ancestors_with_self:
            return
        for widget in panel.walk_children(Widget):
            if widget.focusable:
                widget.focus()
                return
        self.set_focus(None)

    # What panels ask of it

    @property
    def read_only(self) -> bool:
        """See Host."""
        return self._read_only

    def now_ms(self) -> int:
        """See Host."""
        return self.engine.context.clock.now_ms()

    def say(self, text: str, role: str = "ok") -> None:
        """See Host."""
        self._notice += 1
        number = self._notice
        mark = {"ok": "✓ ", "warning": "! ", "failed": "✗ "}.get(role, "")
        self._footer.show((Span(f" {mark}{bridge.safe_line(text, 300)}", role),))
        self.set_timer(_NOTICE_S, lambda: self._end_notice(number))

    def _end_notice(self, number: int) -> None:
        if number == self._notice:
            self._notice = 0
            self._show_footer()

    def prompt(self, prompt: Prompt) -> None:
        """See Host."""
        self._prompt.ask(prompt)

    def on_prompt_bar_closed(self) -> None:
        """Give the focus back."""
        self._focus()

    def go(self, panel: str, place: str = "", then: Callable[[Panel], None] | None = None) -> None:
        """See Host. then: called with the panel once it is shown."""
        if self._present is not None:
            self._back = [*self._back, (self._present.ID, self._present.place())][-_MOST_BACK:]
        self.run_worker(self._show(panel, place, then), exclusive=True, group="show")

    def run_line(self, line: str) -> None:
        """See Host."""
        self.line.run(line)

    def remember_undo(self, label: str, work: Work) -> None:
        """See Host."""
        self._undo = [*self._undo, (label, work)][-_MOST_BACK:]

    def looked(self) -> None:
        """See Host."""
        if self._present is not None:
            self.screen.refresh_bindings()
            self.call_after_refresh(self._show_footer)

    # Reading

    def _from_desk(self, function: Callable[[], None]) -> None:
        loop = self._loop
        if loop is None or loop.is_closed():
            raise RuntimeError("the cockpit has ended")
        loop.call_soon_threadsafe(self._in_context, function)

    def _in_context(self, function: Callable[[], None]) -> None:
        """Run on the loop as if Textual had called, so that `self.app` and timers work."""
        if self._running:
            self.call_later(function)

    def _note_moved(self, topics: frozenset[bridge.Topic]) -> None:
        self._dirty |= topics
        if self._due:
            return
        wait_s = self._next_s - time.monotonic()
        if wait_s <= 0:
            self._reload()
        else:
            self._due = True
            self.set_timer(wait_s, self._reload)

    def _reload(self) -> None:
        self._due = False
        topics, self._dirty = self._dirty, frozenset()
        now_s = time.monotonic()
        self._next_s = now_s + (_BUSY_S if now_s - self._key_s < _AT_THE_KEYS_S else _QUIET_S)
        self._read_situation()
        if self._present is not None and self._present.TOPICS & topics:
            self._present.reload()

    def _read_situation(self) -> None:
        self.desk.read("situation", lambda engine: engine.situation(), self._show_situation, self._show_failure)

    def _show_situation(self, situation: bridge.Situation) -> None:
        self._situation = situation
        self._show_header()
        self._show_tabs()

    def _show_failure(self, text: str) -> None:
        self._header.show((Span(f" ✗ {text}", "failed"),))

    def _note_role(self, role: bridge.Role) -> None:
        self._read_situation()

    def _second(self) -> None:
        """What time alone changes: the clock, a countdown, a heartbeat that stays away; lists once a minute."""
        self._show_header()
        minute = self.now_ms() // 60_000
        if minute != self._minute and self._present is not None:
            self._present.reload()
        self._minute = minute

    # Lines

    def _show_header(self) -> None:
        bar = self._header
        bar.show(views.header(self._situation, self.now_ms(), bar.size.width, read_only=self._read_only))

    def _show_tabs(self) -> None:
        counts = self._situation.counts if self._situation is not None else {}
        bar = self._tabs
        present = self._present.NUMBER if self._present is not None else 0
        titles = []
        for kind in self.kinds:
            badge, role = kind.badge(counts)
            titles.append((kind.NUMBER, kind.TITLE, badge, role))
        bar.show(views.tabs(titles, present, bar.size.width))

    @property
    def situation(self) -> bridge.Situation | None:
        """What the first line shows, None before it was read."""
        return self._situation

    @property
    def present(self) -> Panel | None:
        """The panel that is open."""
        return self._present

    def active(self) -> list[Active]:
        """Return what works now with the keys that do it, in the order of the bindings."""
        found: dict[str, Active] = {}
        for key, active in self.screen.active_bindings.items():
            command = self.commands.get(active.binding.id or "")
            if command is None or not active.enabled:
                continue
            known = found.get(command.id)
            keys = (*(known.command.keys if known is not None else ()), key)
            # As the registry has them: the first is the one that is shown.
            keys = tuple(one for one in command.keys if one in keys)
            found[command.id] = Active(replace(command, keys=keys), active.node, active.binding.action)
        return list(found.values())

    def working(self) -> list[Command]:
        """Return the commands whose keys work now, each once, with those of its keys that do."""
        return [one.command for one in self.active()]

    def _show_footer(self) -> None:
        if self._notice or self.screen.id != "main":
            return
        bar = self._footer
        bar.show(views.footer([command for command in self.working() if command.rank], bar.size.width))

    def on_resize(self) -> None:
        """Fit the lines; say so where there is no room for a panel."""
        columns, rows = self.size
        small = columns < _LEAST[0] or rows < _LEAST[1]
        self.screen_stack[0].set_class(small, "-small")
        if small:
            words = f"{columns}x{rows} is too small: {_LEAST[0]}x{_LEAST[1]} are needed"
            self._small.show((Span(words, "warning"),))
        self.call_after_refresh(self._show_lines)

    def _show_lines(self) -> None:
        self._show_header()
        self._show_tabs()
        self._show_footer()

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer no panel that there is not, and no act where the engine would refuse every one."""
        if action == "panel":
            return any(number == kind.NUMBER for kind in self.kinds for number in parameters)
        if self._read_only and action in _ACTS:
            return False
        return super().check_action(action, parameters)

    async def on_event(self, event: Event) -> None:
        """See App.on_event: note that somebody is there."""
        if isinstance(event, Key):
            self._key_s = time.monotonic()
        await super().on_event(event)

    async def action_panel(self, number: int) -> None:
        """Open the panel of that number."""
        for kind in self.kinds:
            if number == kind.NUMBER and (self._present is None or self._present.ID != kind.ID):
                self.go(kind.ID)

    def action_next_pane(self) -> None:
        """Go to the next pane."""
        self.screen.focus_next()

    def action_previous_pane(self) -> None:
        """Go to the pane before."""
        self.screen.focus_previous()

    def action_filter(self) -> None:
        """Ask for a filter, or for what to search."""
        asked = self._present.slash() if self._present is not None else None
        if asked is None:
            self.say("there is nothing to filter here", "warning")
        else:
            self.prompt(asked)

    def action_command_line(self) -> None:
        """Ask for a command by name."""
        self.line.open()

    def action_attention(self) -> None:
        """Go to what the first line speaks of."""
        need = views.attention(self._situation, self.now_ms()) if self._situation is not None else None
        if need is None:
            self.say("nothing needs you")
        else:
            self.go(need.panel, need.place)

    def action_palette(self) -> None:
        """Choose a command by a part of its name."""
        flows.show_palette(self)

    def action_help(self) -> None:
        """Show the keys that work here."""
        flows.show_help(self)

    def action_pause(self) -> None:
        """Hold back a scope."""
        flows.pause(self)

    def action_resume(self) -> None:
        """End a hold."""
        flows.resume(self)

    def action_new(self) -> None:
        """Write a message."""
        flows.compose(self)

    @property
    def can_undo(self) -> bool:
        """Whether this visit has done something that `u` takes back."""
        return bool(self._undo)

    def action_undo(self) -> None:
        """Take the last act back: of this visit, else the last one of many that anybody did."""
        if not self._undo:
            self.say("nothing to undo in this visit; ':undo' takes back the last act on many", "warning")
            return
        _label, work = self._undo.pop()
        self.desk.act(work, self.say, lambda text: self.say(text, "failed"))

    async def action_back(self) -> None:
        """Go where the operator was before."""
        if not self._back:
            if self._present is not None and not self._present.leave_pane():
                self.say("this is where you began", "warning")
            return
        panel, place = self._back.pop()
        self.run_worker(self._show(panel, place), exclusive=True, group="show")

    def action_close(self) -> None:
        """Leave what is open."""
        if self._present is not None and not self._present.leave_pane():
            self._present.clear()

    def action_repaint(self) -> None:
        """Draw everything anew."""
        self.repaint()

    def action_leave(self) -> None:
        """Close what is open, else leave; ask first when messages would wait for it."""
        if self._present is not None and self._present.leave_pane():
            return
        waiting = self._waiting()
        if not waiting or self.engine.role != bridge.Role.OWNER:
            self.depart()
            return
        words: tuple[Line, ...] = (
            (Span("This cockpit delivers. What is on the wire is finished first;"),),
            (Span(f"{waiting} messages then wait until an engine runs again."),),
        )
        self.push_screen(Confirm("Quit", words, "quit"), lambda yes: self.depart() if yes else None)

    def _waiting(self) -> int:
        counts = self._situation.counts if self._situation is not None else {}
        return counts.get("queued", 0) + counts.get("sending", 0)

    def action_interrupt(self) -> None:
        """Leave at the second time."""
        now_s = time.monotonic()
        if now_s - self._interrupt_s < _TWICE_S:
            self.depart()
        else:
            self._interrupt_s = now_s
            self.say("once more ^c leaves; q asks first", "warning")

    def depart(self) -> None:
        """Leave. What each panel shows is remembered for the next visit."""
        self.keep()
        self.exit()

    def keep(self) -> None:
        """Put what is worth remembering into the session."""
        if self._present is not None:
            self.session.panel = self._present.ID
        self.session.theme = self.theme
        for panel_id, panel in self._open.items():
            self.session.panels[panel_id] = panel.saved()
