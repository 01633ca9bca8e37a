"""`p`: holds back a scope for a time. Enter may say yes here, because `u` takes it back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widgets import Input

from chronos_tui import bridge
from chronos_tui.commands import times
from chronos_tui.dialogs.dialog import Dialog, keys_line
from chronos_tui.keys import Command, Danger
from chronos_tui.views import holds as views
from chronos_tui.views.prompt import hints
from chronos_tui.views.spans import Span
from chronos_tui.widgets.bar import Bar
from chronos_tui.widgets.bound import bindings
from chronos_tui.widgets.field import Field
from chronos_tui.widgets.lineinput import LineInput
from chronos_tui.widgets.panel import host

COMMANDS = (
    Command("pause.accept", ("enter",), "pause", "hold it back", danger=Danger.UNDOABLE),
    Command("pause.next", ("tab", "down"), "next field", "the next field"),
    Command("pause.previous", ("shift+tab", "up"), "previous field", "the field before"),
    Command("pause.leave", ("escape", "ctrl+c"), "leave", "leave without holding anything"),
)
DEFAULT = "30m"


class Asked(NamedTuple):
    """What the operator wants held, and for how long."""

    scope: str
    for_ms: int
    reason: str


class Rules(NamedTuple):
    """What may be said here. Both functions raise a ChronosError that says what is wrong."""

    scopes: Sequence[str]
    scope: Callable[[str], str]
    hold_ms: Callable[[str], int]
    durations: Sequence[str]


class Pause(Dialog[Asked | None]):
    """Returns what was asked, None for nothing."""

    BINDINGS = bindings(COMMANDS)
    DEFAULT_CSS = """
    Pause Bar { height: 1; }
    """

    def __init__(self, rules: Rules, scope: str = "") -> None:
        super().__init__()
        self._rules = rules
        self._scope = Field("scope", scope, self._complete_scope)
        self._for = Field("for", DEFAULT, self._complete_duration)
        self._reason = Field("reason", "", label="reason")
        self._effect = Bar(id="effect")
        self._hints = Bar(id="hints")
        self._counted: tuple[str, int] | None = None

    def compose(self) -> ComposeResult:
        """See Screen.compose."""
        with Vertical(classes="box") as box:
            box.border_title = Content("Pause, at most 7d: messages wait, nothing is dropped")
            yield self._scope
            yield self._for
            yield self._reason
            yield Bar()
            yield self._effect
            yield self._hints
            yield Bar(keys_line(("enter", "pauses"), ("tab", "next field"), ("→", "completes"), ("esc", "leaves")))

    def on_mount(self) -> None:
        """Begin where something is missing."""
        (self._for if self._scope.value else self._scope).line.focus()
        self._judge()

    def _complete_scope(self, text: str, _cursor: int) -> list[str]:
        low = text.strip().lower()
        begins = [one for one in self._rules.scopes if one.lower().startswith(low)]
        return begins or [one for one in self._rules.scopes if one.lower().partition(":")[2].startswith(low)]

    def _complete_duration(self, text: str, _cursor: int) -> list[str]:
        return [one for one in self._rules.durations if one.startswith(text.strip())]

    def on_line_input_looked(self, event: LineInput.Looked) -> None:
        """Judge what stands there now."""
        event.stop()
        self._judge()

    def on_descendant_focus(self) -> None:
        """Say what could be meant in the field that has the focus now."""
        self._judge()

    def _judge(self) -> Asked | None:
        """Say beside each field what it means or what is wrong; return what is asked when nothing is."""
        scope = self._judge_scope()
        for_ms = self._judge_duration()
        self._show_hints()
        if not scope or not for_ms:
            self._effect.show((Span(""),))
            return None
        self._count(scope)
        return Asked(scope, for_ms, self._reason.value)

    def _judge_scope(self) -> str:
        word = self._scope.value
        if not word:
            self._scope.say("all, channel, target, template")
            return ""
        try:
            scope = self._rules.scope(word)
        except bridge.ChronosError as error:
            self._scope.say(str(error), "dim" if self._scope.line.candidates else "failed")
            return ""
        self._scope.say(views.scope_words(scope))
        return scope

    def _judge_duration(self) -> int:
        word = self._for.value
        if not word:
            self._for.say("30m, 4h, at most 7d", "failed")
            return 0
        try:
            for_ms = self._rules.hold_ms(word)
        except bridge.ChronosError as error:
            self._for.say(str(error), "failed")
            return 0
        self._for.say(f"until {times.moment(host(self).now_ms() + for_ms)}", "")
        return for_ms

    def _show_hints(self) -> None:
        field = self._focused_field()
        if field is None:
            return
        wrong = "".join(span.text for span in field.words) if field.words and field.words[0].role == "failed" else ""
        candidates = field.line.candidates
        if wrong and not candidates:
            self._hints.show((Span(wrong, "failed"),))
        elif not candidates:
            self._hints.show(field.words)
        else:
            line = hints(field.line.value, candidates, field.line.chosen, "", " ", self._hints.size.width)
            self._hints.show(line)

    def _focused_field(self) -> Field | None:
        focused = self.focused
        return focused.parent if focused is not None and isinstance(focused.parent, Field) else None

    def _count(self, scope: str) -> None:
        if self._counted is not None and self._counted[0] == scope:
            self._show_effect(scope, self._counted[1])
            return

        def show(n: int) -> None:
            self._counted = (scope, n)
            self._show_effect(scope, n)

        expression = views.filter_of(scope)
        host(self).desk.read(
            "pause preview",
            lambda engine: engine.count(expression),
            show,
            lambda text: self._effect.show((Span(text, "failed"),)),
        )

    def _show_effect(self, scope: str, n: int) -> None:
        words = f"Holds {views.scope_words(scope)}: {views.wait(n)} there now."
        self._effect.show((Span(words, "held"),))

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in a field."""
        event.stop()
        self.action_accept()

    def action_accept(self) -> None:
        """Pause, unless something is wrong or missing: then go there."""
        asked = self._judge()
        if asked is not None:
            self.dismiss(asked)
            return
        at_fault = self._for if self._scope_is_right() else self._scope
        if at_fault is self._scope and not self._scope.value:
            self._scope.say("say what: all, a channel, a target, a template", "failed")
        at_fault.line.focus()

    def _scope_is_right(self) -> bool:
        return bool(self._judge_scope())

    def on_line_input_left(self, event: LineInput.Left) -> None:
        """ctrl+c in a field."""
        event.stop()
        self.action_leave()

    def action_next(self) -> None:
        """The next field."""
        self.focus_next()

    def action_previous(self) -> None:
        """The field before."""
        self.focus_previous()

    def action_leave(self) -> None:
        """Leave."""
        self.dismiss(None)
