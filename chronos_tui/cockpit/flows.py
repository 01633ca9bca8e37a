"""From a key of the shell to what it does, such as help, pause, resume, a new message. Asks before what is final."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, NamedTuple

from chronos_tui import bridge
from chronos_tui.cockpit import arguments
from chronos_tui.commands import times
from chronos_tui.dialogs.choose import Choice, Choose
from chronos_tui.dialogs.compose import Compose
from chronos_tui.dialogs.confirm import Confirm
from chronos_tui.dialogs.help import Help
from chronos_tui.dialogs.palette import Palette
from chronos_tui.dialogs.pause import Asked, Pause, Rules
from chronos_tui.keys import key_words
from chronos_tui.views import acts
from chronos_tui.views import holds as views
from chronos_tui.views.palette import Item
from chronos_tui.views.shell import attention
from chronos_tui.views.spans import Document, Span, line_text
from chronos_tui.views.times import number as grouped

if TYPE_CHECKING:
    from chronos_tui.cockpit.shell import Cockpit


class _Waiting(NamedTuple):
    """A hold and what waits in it: all, and those that would leave at once."""

    hold: bridge.Hold
    all: int
    due: int


def show_help(shell: Cockpit) -> None:
    """Show every key that works now."""
    titles = {kind.ID: kind.TITLE for kind in shell.kinds}
    present = shell.present
    place = present.TITLE if present is not None else ""
    shell.push_screen(Help(shell.working(), titles, place))


def leave(shell: Cockpit) -> None:
    """Leave; ask first when messages would wait for this cockpit."""
    counts = shell.situation.counts if shell.situation is not None else {}
    waiting = counts.get("queued", 0) + counts.get("sending", 0)
    acts = shell.situation.acts if shell.situation is not None else 0
    if not (waiting or acts) or shell.engine.role != bridge.Role.OWNER:
        shell.exit()
        return
    lines: Document = ((Span("This cockpit delivers. What is on the wire is finished first."),),)
    if waiting:
        words = "1 message then waits" if waiting == 1 else f"{grouped(waiting)} messages then wait"
        lines += ((Span(f"{words} until an engine runs again."),),)
    if acts:
        lines += ((Span("A backup or a restore is under way here: it ends, and all is as it was before.", "warning"),),)
    shell.push_screen(Confirm("Quit", lines, "quit"), lambda yes: shell.exit() if yes else None)


def show_palette(shell: Cockpit) -> None:
    """Let a command be chosen by its name; run it where the palette was opened."""
    items: list[Item] = []
    runs: list[Callable[[], object]] = []
    # Acts first: who knows a key to move by needs no palette for it.
    for command, node, action in sorted(shell.active(), key=lambda one: one.command.scope in ("list", "text")):
        if command.id in ("shell.palette", "shell.panel"):
            continue
        items.append(Item(command.title, command.help, key_words(command.keys[0])))
        runs.append(lambda action=action, node=node: shell.call_later(shell.run_action, action, node))  # type: ignore[misc]
    for kind in shell.kinds:
        items.append(Item(kind.TITLE, f"the panel {kind.TITLE}", str(kind.NUMBER)))
        runs.append(lambda kind=kind: shell.go(kind.ID))  # type: ignore[misc]
    named = {command.line.partition(" ")[0] for command, _node, _action in shell.active() if command.line}
    for word in shell.line.words().values():
        if word.name in named or any(word.name == kind.ID for kind in shell.kinds):
            continue
        items.append(Item(f":{word.name}", word.help, word.pattern))
        runs.append(lambda word=word: _say(shell, word.name, word.pattern))  # type: ignore[misc]

    def chosen(at: int | None) -> None:
        if at is not None:
            runs[at]()

    shell.push_screen(Palette(items), chosen)


def _say(shell: Cockpit, name: str, pattern: str) -> None:
    """Run a word that needs nothing behind it; let the operator go on typing one that takes something."""
    if pattern:
        shell.line.open(f"{name} ")
    else:
        shell.run_line(name)


def pause(shell: Cockpit, scope: str = "") -> None:
    """Ask what to hold back, and for how long."""
    if shell.read_only:
        shell.say("opened read-only: nothing can be paused from here", "failed")
        return
    present = shell.present
    offered = scope or (present.scope() if present is not None else "")
    # What cannot be shown as it is must not stand in a line that Enter accepts.
    prefilled = offered if offered == bridge.safe_line(offered, len(offered)) else ""

    def open_(values: dict[str, tuple[str, ...]]) -> None:
        known = arguments.Known(shell.engine.settings, values)
        rules = Rules(
            arguments.scopes(known), lambda word: arguments.scope(word, known), arguments.hold_ms, arguments.DURATIONS
        )
        shell.push_screen(Pause(rules, prefilled), asked)

    def asked(answer: Asked | None) -> None:
        if answer is not None:
            do_pause(shell, *answer)

    shell.coming.read("pause", lambda engine: engine.known_values(), open_)


def do_pause(shell: Cockpit, scope: str, for_ms: int, reason: str) -> None:
    """Hold it back; `u` ends it, or gives an earlier hold of the same scope its end back."""

    def work(engine: bridge.Engine) -> tuple[bridge.Hold | None, bridge.Hold]:
        before = next((hold for hold in engine.holds() if hold.scope == scope), None)
        return before, engine.pause(scope, for_ms=for_ms, reason=reason)

    def done(answer: tuple[bridge.Hold | None, bridge.Hold]) -> None:
        before, hold = answer
        shell.say(f"{views.scope_words(scope)} held until {times.moment(hold.until_ms)}; u takes it back")
        shell.remember_undo(f"pause of {scope}", lambda engine: _unpause(engine, scope, before))

    shell.desk.act(work, done, lambda text: shell.say(text, "failed"))


def _unpause(engine: bridge.Engine, scope: str, before: bridge.Hold | None) -> str:
    left_ms = before.until_ms - engine.context.clock.now_ms() if before is not None else 0
    if before is None or left_ms <= 0:
        engine.resume(scope)
        return f"{views.scope_words(scope)}: no longer held"
    hold = engine.pause(scope, for_ms=left_ms, reason=before.reason)
    return f"{views.scope_words(scope)} held until {times.moment(hold.until_ms)} again"


def resume(shell: Cockpit, scope: str = "") -> None:
    """Say what the end of a hold lets go, and ask; of several let one be chosen first."""
    if shell.read_only:
        shell.say("opened read-only: nothing can be resumed from here", "failed")
        return

    def work(engine: bridge.Engine) -> list[_Waiting]:
        holds = [hold for hold in engine.holds() if scope in ("", hold.scope)]
        return [
            _Waiting(hold, engine.count(views.filter_of(hold.scope)), engine.count(views.due_filter_of(hold.scope)))
            for hold in sorted(holds, key=lambda one: one.until_ms)
        ]

    def show(found: list[_Waiting]) -> None:
        if not found:
            shell.say(f"{views.scope_words(scope)}: not held" if scope else "nothing is held", "warning")
        elif len(found) == 1:
            _ask_resume(shell, found)
        else:
            _choose_resume(shell, found)

    shell.coming.read("resume", work, show)


def _choose_resume(shell: Cockpit, found: list[_Waiting]) -> None:
    choices = [
        Choice(str(at + 1) if at < 9 else "", str(at), f"{line_text(words)}; {views.wait(one.all)}", "held")
        for at, one in enumerate(found)
        for words in [views.hold_line(one.hold, shell.now_ms(), times.moment)]
    ]
    choices.append(Choice("a", str(len(found)), "all of them"))

    def chosen(at: str | None) -> None:
        if at:
            _ask_resume(shell, found if int(at) == len(found) else [found[int(at)]])

    shell.push_screen(Choose("Resume which one?", choices), chosen)


def _ask_resume(shell: Cockpit, found: list[_Waiting]) -> None:
    settings = shell.engine.settings
    lines: Document = ()
    for one in found:
        kind, _, name = one.hold.scope.partition(":")
        spec = settings.targets.get(name) if kind == "target" else None
        lines += views.release(one.hold.scope, one.due, one.all, spec)
    scopes = [one.hold.scope for one in found]

    def answered(yes: object) -> None:
        if yes:
            shell.desk.act(lambda engine: _end(engine, scopes), shell.say, lambda text: shell.say(text, "failed"))

    title = f"Resume {views.scope_words(scopes[0])}" if len(scopes) == 1 else f"Resume all {len(scopes)}"
    shell.push_screen(Confirm(title, lines, "resume"), answered)


def _end(engine: bridge.Engine, scopes: list[str]) -> str:
    for scope in scopes:
        engine.resume(scope)
    return f"no longer held: {', '.join(views.scope_words(scope) for scope in scopes)}"


def attend(shell: Cockpit) -> None:
    """Go to what needs the operator."""
    need = attention(shell.situation, shell.now_ms()) if shell.situation is not None else None
    if need is None:
        shell.say("nothing needs you")
    else:
        shell.go(need.panel, need.place)


def undo(shell: Cockpit) -> None:
    """Take back the last act of this visit."""
    if not shell.undoable:
        shell.say("nothing to undo in this visit; ':undo' takes back the last act on many", "warning")
        return
    shell.desk.act(shell.undoable.pop()[1], shell.say, lambda text: shell.say(text, "failed"))


def compose(shell: Cockpit, target: str = "") -> None:
    """Write a message; say its number, and let `u` cancel it while it waits."""
    if shell.read_only:
        shell.say("opened read-only: nothing can be sent from here", "failed")
        return

    def done(message: Any) -> None:
        if message is None:
            return
        number = message.id
        leaves = f", leaves {times.moment(message.due_ms)}" if message.due_ms > shell.now_ms() else ""
        shell.say(f"queued as #{number}{leaves}; u cancels it while it waits")
        shell.remember_undo(f"#{number}", lambda engine: _cancel(engine, number))

    shell.push_screen(Compose(shell.engine, target), done)


def _cancel(engine: bridge.Engine, number: int) -> str:
    before = engine.act(bridge.Action.CANCEL, number).before
    return acts.done_one(bridge.Act(number, before), "cancel", requested=before == bridge.State.SENDING)
