"""`n`: writes a message. Judged while it is typed; ctrl+s queues it, once, however often it is pressed."""

from __future__ import annotations

import os

from textual import events
from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.widgets import Input, TextArea

from chronos_tui import bridge
from chronos_tui.commands import times
from chronos_tui.dialogs import drafting
from chronos_tui.dialogs.confirm import Confirm
from chronos_tui.dialogs.dialog import Dialog, keys_line
from chronos_tui.dialogs.drafting import Draft, Judged, Rules
from chronos_tui.keys import Command, Danger
from chronos_tui.views.prompt import hints
from chronos_tui.views.spans import Line, Span
from chronos_tui.widgets.bar import Bar
from chronos_tui.widgets.bound import bindings
from chronos_tui.widgets.field import Field
from chronos_tui.widgets.lineinput import LineInput
from chronos_tui.widgets.panel import host
from chronos_tui.widgets.sheet import Sheet
from chronos_tui.widgets.wrapping import wrap

COMMANDS = (
    Command("compose.send", ("ctrl+s",), "send", "queue the message", danger=Danger.UNDOABLE),
    Command("compose.next", ("tab", "down"), "next field", "the next field; in the text down is a line down"),
    Command("compose.previous", ("shift+tab", "up"), "previous field", "the field before; in the text a line up"),
    Command("compose.leave", ("escape", "ctrl+c"), "leave", "leave; asks before what was typed is lost"),
)


class Compose(Dialog["bridge.Message | None"]):
    """Returns the message that was queued, None when it was left.

    engine: its settings and its rules for what may be sent. The message itself goes over the host's desk.
    """

    BINDINGS = bindings(COMMANDS)
    DEFAULT_CSS = """
    Compose .box { width: 100%; max-width: 110; height: 100%; max-height: 32; }
    Compose Bar { height: 1; }
    Compose .text { height: 1fr; min-height: 3; }
    Compose .text Bar { width: 10; }
    Compose #words { height: 2; }
    Compose TextArea, Compose TextArea:focus { height: 1fr; width: 1fr; border: none; padding: 0; background: $panel; }
    """

    def __init__(self, engine: bridge.Engine, target: str = "") -> None:
        super().__init__()
        settings = engine.settings
        self._rules = Rules(
            check=lambda new: bridge.check_message(engine.context, new),
            resolve=lambda name: bridge.resolve_target(settings, name),
            most_bytes=settings.outbox["max_message_bytes"],
            zone=times.local_zone(os.environ),
            now_ms=engine.context.clock.now_ms,
        )
        # One key a form: whatever is pressed twice is queued once.
        self._key = f"cockpit-{engine.context.entropy(12).hex()}"
        complete = drafting.completions(settings)
        self._fields = {
            name: Field(name, value, complete.get(name, lambda _text, _cursor: []), label)
            for name, value, label in (
                ("target", target, "to"),
                ("subject", "", "subject"),
                ("attach", "", "attach"),
                ("when", "", "when"),
                ("expires", "", "expires"),
                ("priority", "normal", "priority"),
            )
        }
        self._text = TextArea(soft_wrap=True, show_line_numbers=False, highlight_cursor_line=False, compact=True)
        self._text.cursor_blink = False
        self._hints = Bar(id="hints")
        self._words = Sheet(id="words")
        self._sending = False
        self._tried = False

    def compose(self) -> ComposeResult:
        """See Screen.compose."""
        fields = self._fields
        with Vertical(classes="box") as box:
            box.border_title = Content("New message")
            yield fields["target"]
            yield fields["subject"]
            with Horizontal(classes="text"):
                yield Bar((Span("text", "dim"),))
                yield self._text
            yield fields["attach"]
            yield fields["when"]
            yield fields["expires"]
            yield fields["priority"]
            yield self._hints
            yield self._words
            yield Bar(keys_line(("^s", "sends"), ("tab", "next field"), ("→", "completes"), ("esc", "leaves")))

    def on_mount(self) -> None:
        """Begin where something is missing."""
        first = "subject" if self._fields["target"].value else "target"
        self._fields[first].line.focus()
        self._judge()

    # Judging

    def draft(self) -> Draft:
        """Return what stands in the form."""
        return Draft(text=self._text.text, **{name: field.value for name, field in self._fields.items()})

    def _judge(self) -> Judged:
        judged = drafting.judge(self.draft(), self._rules, self._key)
        for name, field in self._fields.items():
            words, role = judged.notes.get(name, drafting.Note(""))
            # Somebody who is still typing is not wrong yet: while it can be completed, and before anything was typed.
            early = role == "failed" and not self._tried and (not field.value or bool(field.line.candidates))
            field.say(words, "dim" if early else role)
        self._show_hints(judged)
        return judged

    def _show_hints(self, judged: Judged) -> None:
        focused = self.focused
        field = focused.parent if focused is not None and isinstance(focused.parent, Field) else None
        candidates: Line = (Span(""),)
        words: Line = ()
        if field is not None:
            line = field.line
            if line.candidates:
                candidates = hints(line.value, line.candidates, line.chosen, "", "", self._hints.size.width)
            words = field.words
        if judged.trouble and (self._tried or self.draft().typed):
            words = (Span(f"✗ {bridge.safe_line(judged.trouble, 300)}", "failed"),)
        self._hints.show(candidates)
        self._tell(words)

    def _tell(self, words: Line) -> None:
        """Show words whole, on two rows if need be."""
        self._words.show(tuple(wrap(words, self._words.size.width)))

    def on_line_input_looked(self, event: LineInput.Looked) -> None:
        """A field has changed."""
        event.stop()
        self._judge()

    def on_text_area_changed(self, event: TextArea.Changed) -> None:
        """The text has changed."""
        event.stop()
        self._judge()

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Show the words of the field that has the focus now."""
        if self.is_mounted:
            self._judge()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """Enter in a field goes on to the next; it never sends."""
        event.stop()
        self.action_next()

    # Keys

    def action_next(self) -> None:
        """The next field."""
        self.focus_next()

    def action_previous(self) -> None:
        """The field before."""
        self.focus_previous()

    def action_send(self) -> None:
        """Queue it, unless something is wrong: then go there."""
        if self._sending:
            return
        self._tried = True
        judged = self._judge()
        if not judged.right:
            if wrong := judged.first_wrong():
                self._fields[wrong].line.focus()
            return
        self._sending = True
        most_bytes = self._rules.most_bytes
        self._tell((Span("queueing …", "dim"),))
        host(self).desk.act(
            lambda engine: engine.enqueue(drafting.with_files(judged, most_bytes)), self._sent, self._refused
        )

    def _sent(self, done: bridge.Enqueued) -> None:
        if self.is_attached:
            self.dismiss(done.message)

    def _refused(self, text: str) -> None:
        self._sending = False
        if self.is_attached:
            self._tell((Span(f"✗ {text}", "failed"),))

    def on_line_input_left(self, event: LineInput.Left) -> None:
        """ctrl+c in a field."""
        event.stop()
        self.action_leave()

    def action_leave(self) -> None:
        """Leave; ask before what was typed is lost."""
        if self._sending:
            return
        if not self.draft().typed:
            self.dismiss(None)
            return
        lines: tuple[Line, ...] = ((Span("It was not sent, and what was typed is kept nowhere."),),)

        def answered(yes: object) -> None:
            if yes:
                self.dismiss(None)

        self.app.push_screen(Confirm("Discard the message", lines, "discard it"), answered)
