"""What the keys do to backups in a panel that lists them: made, proven, restored, removed. The engine decides."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from chronos_tui import bridge
from chronos_tui.dialogs import restoring, staged
from chronos_tui.dialogs.bulk import AskTyped
from chronos_tui.dialogs.confirm import Confirm
from chronos_tui.dialogs.reading import Reading
from chronos_tui.keys import Command, Danger
from chronos_tui.views import backupdetail as detail
from chronos_tui.views import backups as views
from chronos_tui.views.quoting import quoted
from chronos_tui.views.spans import Document, Span
from chronos_tui.widgets.panel import Host, Panel
from chronos_tui.widgets.wrapping import wrap

COMMANDS = (
    Command("backups.create", ("b",), "back up", "make a backup now and prove it", 20, Danger.PLAIN),
    Command("backups.verify", ("v",), "verify", "read its file again: every sum, who signed it", 22, Danger.PLAIN),
    Command(
        "backups.drill",
        ("d",),
        "drill",
        "restore it into a scratch directory and look at everything",
        24,
        Danger.PLAIN,
        "drill [FILE]",
    ),
    Command(
        "backups.restore",
        ("R",),
        "restore",
        "put it in place: shows the plan first, then asks for this box's name",
        26,
        Danger.FINAL,
        "restore [FILE]",
    ),
    Command("backups.prune", ("P",), "prune", "remove what retention does not keep", 62, Danger.FINAL),
    Command("backups.cancel", ("x",), "cancel", "end what is under way at its next step", 15, Danger.FINAL),
    Command("backups.result", ("o",), "result", "what the last restore did, and what it holds", 30),
    Command("backups.audit", ("i",), "audit", "what the audit log says of it", 61),
    Command("backups.copy", ("y",), "copy", "copy the path of its file", 0),
)
_ON_ONE = frozenset({"verify", "drill", "restore", "audit", "copy"})


class OnBackups(Panel):
    """A panel that lists backups."""

    standing: bridge.BackupStanding | None = None
    """What the engine said last."""

    @property
    def under(self) -> bridge.Backup | None:
        """The backup under the cursor."""
        raise NotImplementedError

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Offer what can be done to what is there."""
        standing = self.standing
        if action in _ON_ONE and self.under is None:
            return False
        if action == "cancel" and not (standing is not None and standing.under_way):
            return False
        if action == "result" and not (standing is not None and standing.restored is not None):
            return False
        return super().check_action(action, parameters)

    def line(self, word: str, rest: str) -> bool:
        """See Panel.line: an act on what is named."""
        acts = {"drill": drill, "restore": restoring.begin}
        if word not in acts:
            return False
        acts[word](self.host, rest)
        return True

    def action_create(self) -> None:
        """Make one."""
        create(self.host)

    def action_verify(self) -> None:
        """Read its file again."""
        if (one := self.under) is not None:
            verify(self.host, path(one))

    def action_drill(self) -> None:
        """Restore it for a trial."""
        if (one := self.under) is not None:
            drill(self.host, path(one))

    def action_restore(self) -> None:
        """Put it in place."""
        if (one := self.under) is not None:
            restoring.begin(self.host, path(one))

    def action_prune(self) -> None:
        """Remove what retention does not keep."""
        prune(self.host)

    def action_cancel(self) -> None:
        """Ask, then end what is under way."""
        if self.standing is not None and self.standing.under_way:
            cancel(self.host, self.standing.under_way[0])

    def action_result(self) -> None:
        """Show what the last restore did."""
        if self.standing is not None and self.standing.restored is not None:
            restoring.show_result(self.host, self.standing.restored.result or {})

    def action_audit(self) -> None:
        """Go to what the audit log says of it."""
        if (one := self.under) is not None:
            self.host.go("audit", f"subject:{quoted(f'backup:{one.name}')}")

    def action_copy(self) -> None:
        """Copy the path of its file."""
        if (one := self.under) is not None:
            self.app.copy_to_clipboard(bridge.safe_line(path(one), 1_000))


def path(one: bridge.Backup) -> str:
    """Return where its file lies."""
    return f"{one.folder}/{one.name}"


def create(host: Host) -> None:
    """Have one made by whoever delivers; how far it is the panel shows, of whichever cockpit."""
    if host.read_only:
        host.say("opened read-only: no backup can be made from here", "failed")
        return
    host.say("asked for a backup; panel 4 shows how far it is", "")

    def done(made: bridge.Backup) -> None:
        host.say(*views.made(made))

    # It reports to nobody here: that this cockpit ends must not end what another process makes.
    host.desk.long(lambda engine, _steps: engine.backup_create(), done, _failed(host))


def verify(host: Host, word: str) -> None:
    """Read a backup's file again; show what was found."""
    _check(host, word, lambda engine, report: engine.backup_verify(word, report=report), drilled=False)


def drill(host: Host, word: str) -> None:
    """Restore a backup into a scratch directory; show what was found."""
    _check(host, word, lambda engine, report: engine.backup_drill(word, report=report), drilled=True)


def _check(
    host: Host, word: str, work: Callable[[bridge.Engine, staged.Report], bridge.Verdict], *, drilled: bool
) -> None:
    title = f"{'Drill' if drilled else 'Verify'}: {bridge.safe_line(word.rpartition('/')[2], 60)}"

    def done(found: bridge.Verdict) -> None:
        host.say(*detail.verdict_words(found, drilled=drilled))
        host.push_screen(Reading(title, lambda cells: _wrapped(detail.verdict(found, drilled=drilled), cells)))

    staged.run(host, title, work, done, leaving="it ends; nothing is recorded", stops=True)


def _wrapped(document: Document, cells: int) -> Document:
    return tuple(part for line in document for part in wrap(line, cells))


def prune(host: Host) -> None:
    """Show what retention does not keep, have their number typed, remove them."""

    def show(found: Sequence[bridge.Decision]) -> None:
        if all(one.keep for one in found):
            host.say("retention keeps all of them: nothing goes")
            return
        question = AskTyped(views.pruning(found, host.now_ms()))
        host.push_screen(question, lambda yes: act() if yes else None)

    def act() -> None:
        staged.run(
            host,
            "Remove backups",
            lambda engine, report: engine.backup_prune(report=report),
            lambda found: host.say(views.pruned(found)),
            leaving="it ends at the next one",
            stops=True,
        )

    host.desk.long(lambda engine, _steps: engine.backup_prune(dry_run=True), show, _failed(host))


def cancel(host: Host, one: bridge.EngineCommand) -> None:
    """Ask, then end an act at its next step."""

    def act() -> None:
        host.desk.act(
            lambda engine: engine.command_cancel(one.id),
            lambda asked: host.say("it ends at its next step" if asked else "it has ended already"),
            _failed(host),
        )

    lines = ((Span(bridge.safe_line(views.doing(one), 74), "bold"),), (Span(views.stopped(one)),))
    host.push_screen(Confirm("Cancel what is under way?", lines, "cancel it"), lambda yes: act() if yes else None)


def _failed(host: Host) -> Callable[[str], None]:
    return lambda text: host.say(text, "warning" if text.startswith("cancelled") else "failed")
