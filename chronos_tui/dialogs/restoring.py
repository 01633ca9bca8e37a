"""The way to a restore: its plan, what it would hold, the typed name, its stages, the result. The engine acts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content

from chronos_tui import bridge
from chronos_tui.dialogs import staged
from chronos_tui.dialogs.bulk import AskTyped
from chronos_tui.dialogs.dialog import Dialog, keys_line
from chronos_tui.dialogs.reading import Reading
from chronos_tui.keys import TEXT, Command, Danger
from chronos_tui.views import restoring as views
from chronos_tui.views.spans import Document, Span
from chronos_tui.widgets.bar import Bar
from chronos_tui.widgets.bound import bindings
from chronos_tui.widgets.panel import Host
from chronos_tui.widgets.textview import TextView
from chronos_tui.widgets.wrapping import wrap

PLAN = (
    Command(
        "plan.go-on", ("R",), "restore", "restore it; the name of this box is asked for first", danger=Danger.FINAL
    ),
    Command("plan.turn", ("h", "tab"), "held", "what will be held, each with its reason; back to the plan"),
    Command("plan.configuration", ("c",), "configuration", "put the backup's configuration in place too, or not"),
    Command("plan.leave", ("escape", "q", "minus", "ctrl+c"), "leave", "leave; nothing was touched"),
)
RESULT = (
    Command("restored.outbox", ("o",), "outbox", "open the outbox on what the restore holds"),
    Command("restored.close", ("escape", "q", "minus", "ctrl+c"), "close", "close what is read"),
)


_HINT = (
    "Everything is as it was before. A key, a passphrase or a kit that is not kept on this box is taken by "
    "'chronos restore plan FILE --help' and 'chronos restore apply'."
)


class Chosen(NamedTuple):
    """What the operator wants of a restore."""

    with_configuration: bool


class Text(TextView):
    """The plan, or the result."""

    BINDINGS = bindings(TEXT)


class WholePage(Dialog[Any]):
    """A text that fills the screen, and a line of keys below it."""

    DEFAULT_CSS = """
    WholePage .box { width: 100%; max-width: 120; height: 100%; max-height: 48; border: solid $warning; }
    """

    def __init__(self, title: str) -> None:
        super().__init__()
        self._title = title
        self._text = Text()
        self._keys = Bar()

    def compose(self) -> ComposeResult:
        """See Screen.compose."""
        with Vertical(classes="box") as box:
            box.border_title = Content(self._title)
            yield self._text
            yield self._keys

    def on_mount(self) -> None:
        """Fill it."""
        self._fill()
        self._text.focus()

    def _fill(self) -> None:
        raise NotImplementedError


class PlanShown(WholePage):
    """Shows what a restore would change. Returns Chosen when the operator goes on, None when it was left."""

    BINDINGS = bindings(PLAN)

    def __init__(self, plan: bridge.RestorePlan) -> None:
        super().__init__(f"Restore plan: {bridge.safe_line(plan.archive.rpartition('/')[2], 60)}")
        self._plan = plan
        self._held = False
        self._with_configuration = False

    def _fill(self) -> None:
        plan = self._plan
        document: Document
        if self._held:
            document = views.held(views.held_of(plan), plan.held_total)
        else:
            document = views.plan(plan, with_configuration=self._with_configuration)
        self._text.show(document, "held" if self._held else "plan")
        turn = ("h", "plan" if self._held else f"what is held ({plan.held_total})")
        configuration = [("c", "keep the configuration" if self._with_configuration else "configuration too")]
        more = configuration if self._choosing() else []
        self._keys.show(keys_line(("R", "go on"), turn, *more, ("j k", "scroll"), ("esc", "leaves")))

    def _choosing(self) -> bool:
        """Whether there is another configuration to choose."""
        return self._plan.config == "differs"

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer the configuration only where there is a choice."""
        if action == "configuration":
            return self._choosing()
        return super().check_action(action, parameters)

    def action_go_on(self) -> None:
        """Go on to the question."""
        self.dismiss(Chosen(self._with_configuration))

    def action_turn(self) -> None:
        """From the plan to what is held, and back."""
        self._held = not self._held
        self._fill()

    def action_configuration(self) -> None:
        """Take the backup's configuration too, or not."""
        self._with_configuration = not self._with_configuration
        self._held = False
        self._fill()

    def action_leave(self) -> None:
        """Leave everything as it is."""
        self.dismiss(None)


class ResultShown(WholePage):
    """Shows what a restore did. Returns the outbox's place when the operator wants to see what is held, else ""."""

    BINDINGS = bindings(RESULT)

    def __init__(self, done: Mapping[str, Any]) -> None:
        super().__init__("Restored")
        self._done = done

    def _fill(self) -> None:
        self._text.show(views.result(self._done), "result")
        held = [("o", "opens the outbox on what is held")] if views.outbox_place(self._done) else []
        self._keys.show(keys_line(*held, ("j k", "scroll"), ("esc", "closes")))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Lead to the outbox only where something is held."""
        if action == "outbox":
            return bool(views.outbox_place(self._done))
        return super().check_action(action, parameters)

    def action_outbox(self) -> None:
        """Go to what is held."""
        self.dismiss(views.outbox_place(self._done))

    def action_close(self) -> None:
        """Close it."""
        self.dismiss("")


def begin(host: Host, word: str) -> None:
    """Make the plan of a restore and lead through it. word: the backup's path, name or number."""
    if host.read_only:
        host.say("opened read-only: nothing can be restored from here", "failed")
        return
    staged.run(
        host,
        "Plan of a restore",
        lambda engine, report: engine.restore_plan(word, report=report),
        lambda plan: _show(host, word, plan),
        leaving="nothing is touched",
        stops=True,
        failed=lambda text: _refused(host, text),
    )


def _refused(host: Host, text: str) -> None:
    """Show why in full: a footer would cut what has to be done."""
    said = ((Span("✗ ", "failed"), Span(bridge.safe_line(text, 1_000))), (), (Span(_HINT, "dim"),))
    host.push_screen(Reading("No restore", lambda cells: tuple(part for line in said for part in wrap(line, cells))))


def _show(host: Host, word: str, plan: bridge.RestorePlan) -> None:
    def chosen(answer: Chosen | None) -> None:
        if answer is not None:
            _ask(host, word, plan, answer)

    host.push_screen(PlanShown(plan), chosen)


def _ask(host: Host, word: str, plan: bridge.RestorePlan, chosen: Chosen) -> None:
    instance = host.desk.engine.settings.instance
    question = AskTyped(views.question(plan, instance, with_configuration=chosen.with_configuration))
    host.push_screen(question, lambda yes: _apply(host, word, plan, chosen) if yes else None)


def _apply(host: Host, word: str, plan: bridge.RestorePlan, chosen: Chosen) -> None:
    configure, planned = chosen.with_configuration, plan.sha256
    staged.run(
        host,
        "Restore",
        lambda engine, report: engine.restore_apply(word, with_configuration=configure, planned=planned, report=report),
        lambda done: show_result(host, done),
        leaving="it goes on; panel 4 shows how far it is",
        stops=False,
        failed=lambda text: _refused(host, text),
    )


def show_result(host: Host, done: Mapping[str, Any]) -> None:
    """Show what a restore did; lead to what it holds."""
    host.push_screen(ResultShown(done), lambda place: host.go("outbox", place) if place else None)
