"""What the words without a panel do: holds, targets, undo, theme, configuration. One function a word."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from chronos_tui import bridge
from chronos_tui.cockpit import arguments, flows
from chronos_tui.commands import times
from chronos_tui.dialogs import onbackups
from chronos_tui.dialogs.probe import Probe
from chronos_tui.dialogs.reading import Reading
from chronos_tui.keys import Danger
from chronos_tui.views import acts
from chronos_tui.views import holds as views
from chronos_tui.views import targets as target_views
from chronos_tui.views.spans import Line, Span

if TYPE_CHECKING:
    from chronos_tui.cockpit.shell import Cockpit


def pause(shell: Cockpit, given: list[str]) -> None:
    """Pause a scope; without one ask in the dialog."""
    word, duration, reason = given
    scope = arguments.scope(word, shell.line.known()) if word else ""
    if not duration:
        flows.pause(shell, scope)
        return
    flows.do_pause(shell, scope, arguments.hold_ms(duration), reason)


def resume(shell: Cockpit, given: list[str]) -> None:
    """End a hold, or say which there are."""
    word = given[0]
    known = shell.line.known()
    flows.resume(shell, word if word in known.held else arguments.scope(word, known) if word else "")


def holds(shell: Cockpit, _given: list[str]) -> None:
    """Show what is paused."""

    def show(found: list[bridge.Hold]) -> None:
        if not found:
            shell.say("nothing is held; 'pause SCOPE DURATION' holds back messages for a time")
            return
        lines = views.holds(found, shell.now_ms(), times.moment)
        shell.push_screen(Reading("Held", lines))

    shell.coming.read("holds", lambda engine: engine.holds(), show)


def undo(shell: Cockpit, given: list[str]) -> None:
    """Take back the last act of this visit, else the last that can be; or the one of that number."""
    if not given[0] and shell.undoable:
        shell.action_undo()
        return
    number = int(given[0]) if given[0] else None

    def work(engine: bridge.Engine, progress: Callable[[int, int], None]) -> bridge.Bulk:
        return engine.undo(number, progress)

    def done(bulk: bridge.Bulk) -> None:
        shell.say(acts.taken_back(bulk))

    shell.desk.long(work, done, lambda text: shell.say(text, "failed"))


def target(shell: Cockpit, given: list[str]) -> None:
    """Show how one target fares, or all."""
    name = given[0]

    def show(found: list[bridge.TargetState]) -> None:
        wanted = [one for one in found if name in ("", one.spec.name)]
        if not wanted:
            shell.say("no target is configured; 'chronos config path' names the file", "warning")
            return
        title = f"Target {bridge.safe_line(name, 40)}" if name else "Targets"
        shell.push_screen(Reading(title, target_views.targets(wanted, full=bool(name))))

    shell.coming.read("targets", lambda engine: engine.targets(), show)


def enable(shell: Cockpit, given: list[str]) -> None:
    """Close a target's breaker and lift what was switched off."""
    name = given[0]

    def done(lifted: object) -> None:
        shell.say(f"{name} is enabled again" if lifted else f"{name}: nothing kept it from sending")

    shell.desk.act(lambda engine: engine.enable_target(name), done, lambda text: shell.say(text, "failed"))


def test(shell: Cockpit, given: list[str]) -> None:
    """Try a target as far as it goes without sending."""
    spec = shell.engine.settings.targets[given[0]]
    shell.push_screen(Probe(spec.name, spec.timeout_ms))


def theme(shell: Cockpit, given: list[str]) -> None:
    """Take another theme; remembered for the next visit."""
    shell.theme = given[0]
    shell.say(f"theme {given[0]}")


def reload(shell: Cockpit, _given: list[str]) -> None:
    """Read the configuration again where this process delivers; else say who has to."""
    if shell.engine.role != bridge.Role.OWNER:
        situation = shell.situation
        owner = situation.owner if situation is not None else None
        who = f"kill -HUP {owner.pid}" if owner is not None and owner.pid is not None else "start an engine"
        shell.say(f"the engine that delivers reads it: systemctl reload chronos, or {who}", "warning")
        return

    def done(problems: list[str]) -> None:
        if not problems:
            shell.say("configuration read again")
            return
        lines: list[Line] = [(Span("The configuration in force stays as it was.", "warning"),), ()]
        lines += [(Span(bridge.safe_line(one, 300), "failed"),) for one in problems]
        shell.push_screen(Reading("Configuration refused", tuple(lines)))

    shell.desk.act(lambda engine: engine.reload(), done, lambda text: shell.say(text, "failed"))


def new(shell: Cockpit, given: list[str]) -> None:
    """Write a message."""
    flows.compose(shell, given[0])


def backup(shell: Cockpit, _given: list[str]) -> None:
    """Have a backup made; its panel shows how far it is."""
    shell.go("backups", then=lambda panel: onbackups.create(panel.host))


Verb = tuple[str, str, str, Danger, Callable[["Cockpit", list[str]], None]]
VERBS: tuple[Verb, ...] = (
    ("pause", "[SCOPE] [DURATION] [REASON]", "hold back messages of a scope for a time", Danger.UNDOABLE, pause),
    ("resume", "[HELD]", "let what is paused go on; asks first", Danger.FINAL, resume),
    ("holds", "", "what is paused, and until when", Danger.NONE, holds),
    ("undo", "[N]", "take back the last act, or the act of that number", Danger.PLAIN, undo),
    ("new", "[TO]", "write a message", Danger.UNDOABLE, new),
    ("send", "[TO]", "the same as new", Danger.UNDOABLE, new),
    ("target", "[TARGET]", "how a target fares, or all of them", Danger.NONE, target),
    ("enable", "TARGET", "let a target that was switched off send again", Danger.PLAIN, enable),
    ("test", "TARGET", "try a target without sending: resolve, connect, TLS, login", Danger.NONE, test),
    ("backup", "", "make a backup now and prove it", Danger.PLAIN, backup),
    ("theme", "THEME", "the colours: dark, light, contrast, colour-blind, ansi", Danger.NONE, theme),
    ("reload", "", "read the configuration again", Danger.PLAIN, reload),
)
"""Name, pattern of what stands behind it, help, danger, function."""
