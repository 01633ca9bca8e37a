"""The cockpit itself: first line, tabs, one panel at a time, prompt and footer. Knows no panel by name."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any, ClassVar, cast

from textual.app import ComposeResult
from textual.binding import Binding
from textual.events import Event, Key, Resize
from textual.screen import Screen
from textual.widgets import ContentSwitcher

from chronos_tui import bridge, screens
from chronos_tui.cockpit import flows, themes, working
from chronos_tui.cockpit.coming import Coming
from chronos_tui.cockpit.frame import Frame
from chronos_tui.cockpit.lines import CommandLine
from chronos_tui.cockpit.pulse import Pulse
from chronos_tui.cockpit.session import Session
from chronos_tui.desk import Desk
from chronos_tui.keys import LIST, MARKS, SHELL, TEXT, Command, by_id
from chronos_tui.terminal.safe_app import SafeApp
from chronos_tui.widgets.bound import bindings
from chronos_tui.widgets.panel import Panel, Prompt, Work
from chronos_tui.widgets.promptbar import PromptBar

_TWICE_S = 2.0
_MOST_BACK = 50


class Main(Screen[None], inherit_bindings=False):
    """The one screen that is not a dialog."""

    AUTO_FOCUS = ""  # the shell gives the focus to the panel, never to a prompt that is closed

    def on_screen_resume(self) -> None:
        """A dialog has gone: see Cockpit.back."""
        cast("Cockpit", self.app).back()


class Cockpit(SafeApp, inherit_bindings=False):
    """The cockpit on an opened engine.

    session: the last visit, changed on the way. on_owner: called on another thread once this process delivers.
    """

    BINDINGS: ClassVar[list[Any]] = [
        *bindings(command for command in SHELL if command.id != "shell.panel"),
        *(Binding(str(n), f"panel({n})", "panel", show=False, id="shell.panel") for n in range(1, 10)),
    ]
    CSS = """
    Main { layout: vertical; background: $background; layers: default prompt; }
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
        self._pulse = Pulse(self._reload, self.set_timer)
        moved, role = self._pulse.moved, self._read_situation
        self.desk = Desk(engine, self._from_desk, moved=moved, role=role, on_owner=on_owner, log=log)
        self.coming = Coming(self.desk, lambda text: self.say(text, "failed"))
        self._read_only = read_only
        self.kinds = screens.panels()
        self.commands = by_id([*SHELL, *LIST, *MARKS, *TEXT, *(one for kind in self.kinds for one in kind.COMMANDS)])
        self._frame = Frame(self._working_on_main, self.set_timer)
        self._panels = ContentSwitcher(id="panels")
        self._prompt = PromptBar(self.session.typed_before, self.session.remember)
        self.line = CommandLine(self)
        self._open: dict[str, Panel] = {}
        self._present: Panel | None = None
        self._situation: bridge.Situation | None = None
        self._back: list[tuple[str, str]] = []
        self.undoable: list[tuple[str, Work]] = []
        self._interrupt_s = 0.0

    # Composition

    def get_default_screen(self) -> Screen[Any]:
        """See App.get_default_screen."""
        return Main(id="main")

    def compose(self) -> ComposeResult:
        """See App.compose."""
        yield from self._frame.above()
        yield self._panels
        yield self._prompt
        yield from self._frame.below()

    async def on_mount(self) -> None:
        """Show where the operator was last time, then begin to read."""
        for theme in themes.THEMES:
            self.register_theme(theme)
        known = {theme.name for theme in themes.THEMES}
        self.theme = self.session.theme if self.session.theme in known else themes.DEFAULT
        known = {kind.ID for kind in self.kinds}
        first = self.session.panel if self.session.panel in known else self.kinds[0].ID
        await self._show(first)
        self.screen.bindings_updated_signal.subscribe(self, lambda _screen: self._frame.show_footer())
        self.desk.start()
        self._read_situation()
        self._pulse.new_minute(self.now_ms())
        self.set_interval(1.0, self._second)

    async def _show(self, panel_id: str, place: str = "", then: Callable[[Panel], None] | None = None) -> None:
        self._frame.say("", "")  # what was said of another place
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
        self._reload(panel.TOPICS)
        self._show_tabs()
        self._frame.show_footer()
        if then is not None:
            then(panel)

    def _focus(self) -> None:
        """Give the focus to the pane that had it, or to the first of the panel."""
        panel = self._present
        if panel is None or self.screen.id != "main" or self._prompt.has_class("open"):
            return
        if self.focused is not None and panel in self.focused.ancestors_with_self:
            return
        widget = panel.first_pane()
        if widget is None:
            self.set_focus(None)
        else:
            widget.focus()

    def back(self) -> None:
        """Show again which keys work; the pane had lost the focus if it was hidden under the dialog."""
        self.call_after_refresh(self._focus)
        self.looked()

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
        self._frame.say(text, role)

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
        self.undoable = [*self.undoable, (label, work)][-_MOST_BACK:]

    def looked(self) -> None:
        """See Host."""
        if self._present is not None:
            self.screen.refresh_bindings()
            self._show_tabs()
            self.call_after_refresh(self._frame.show_footer)

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

    def _reload(self, topics: frozenset[bridge.Topic]) -> None:
        self._read_situation()
        if self._present is not None and self._present.TOPICS & topics:
            self._present.reload()

    def _read_situation(self, _role: bridge.Role | None = None) -> None:
        self.desk.read("situation", lambda engine: engine.situation(), self._show_situation, self._frame.note_failure)

    def _show_situation(self, situation: bridge.Situation) -> None:
        self._frame.note_failure("")
        self._situation = situation
        self._show_header()
        self._show_tabs()

    def _second(self) -> None:
        """What time alone changes: the clock, a countdown, a heartbeat that stays away; lists once a minute."""
        self._show_header()
        if self._pulse.new_minute(self.now_ms()):
            self._reload(frozenset(bridge.Topic))

    # Lines

    def _show_header(self) -> None:
        self._frame.show_header(self._situation, self.now_ms(), read_only=self._read_only)

    def _show_tabs(self) -> None:
        present = self._present.NUMBER if self._present is not None else 0
        self._frame.show_tabs([self._open.get(kind.ID, kind) for kind in self.kinds], present, self._situation)

    @property
    def situation(self) -> bridge.Situation | None:
        """What the first line shows, None before it was read."""
        return self._situation

    @property
    def present(self) -> Panel | None:
        """The panel that is open."""
        return self._present

    def active(self) -> list[working.Active]:
        """Return what works now with the keys that do it, in the order of the bindings."""
        closing = self._present is not None and self._present.has_class("-open")
        return working.active(self.screen, self.commands, closing=closing)

    def working(self) -> list[Command]:
        """Return the commands whose keys work now, each once, with those of its keys that do."""
        return [one.command for one in self.active()]

    def _working_on_main(self) -> list[Command]:
        """What the footer offers: under a dialog it rests."""
        return self.working() if self.screen.id == "main" else []

    def on_resize(self, event: Resize) -> None:
        """Fit the lines; say so where there is no room for a panel."""
        # By the event: the app's own size is set only after this.
        fits = self._frame.fit(*event.size)
        self.screen_stack[0].set_class(not fits, "-small")
        self.call_after_refresh(self._show_lines)
        if fits:
            self.call_after_refresh(self._focus)  # what was hidden has lost it

    def _show_lines(self) -> None:
        self._show_header()
        self._show_tabs()
        self._frame.show_footer()

    # Keys

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """See working.offered."""
        small = bool(self.screen_stack) and self.screen_stack[0].has_class("-small")
        numbers = {kind.NUMBER for kind in self.kinds}
        if not working.offered(action, parameters, numbers, small=small, read_only=self._read_only):
            return False
        return super().check_action(action, parameters)

    async def on_event(self, event: Event) -> None:
        """See App.on_event: note that somebody is there."""
        if isinstance(event, Key):
            self._pulse.key()
        await super().on_event(event)

    def opening(self) -> bool:
        """See SafeApp: a panel, a dialog or another list is being opened."""
        shown = self._present is not None and self._present.jumping()
        return shown or bool(self.coming) or any(one.group == "show" and not one.is_finished for one in self.workers)

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
        flows.attend(self)

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

    def action_undo(self) -> None:
        """Take the last act of this visit back."""
        flows.undo(self)

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

    def action_leave(self) -> None:
        """Close what is open, else leave; ask first when messages would wait for it."""
        if self._present is not None and self._present.leave_pane():
            return
        flows.leave(self)

    def action_interrupt(self) -> None:
        """Leave at the second time."""
        now_s = time.monotonic()
        if now_s - self._interrupt_s < _TWICE_S:
            self.exit()
        else:
            self._interrupt_s = now_s
            self.say("once more ^c leaves; q asks first", "warning")

    def exit(self, *given: Any, **named: Any) -> None:
        """See App.exit: what each panel shows is remembered, whoever said that it is time."""
        self.keep()
        super().exit(*given, **named)

    def keep(self) -> None:
        """Put what is worth remembering into the session."""
        if self._present is not None:
            self.session.panel = self._present.ID
        self.session.theme = self.theme
        for panel_id, panel in self._open.items():
            self.session.panels[panel_id] = panel.saved()
