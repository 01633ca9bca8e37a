"""Backups and restores as an operator asks for them: class Archiving, below Engine. Delivers nothing."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import NotPossible
from engine.keeping import Keeping
from engine.operations.context import Context, writable

if TYPE_CHECKING:
    from engine.operations.backup.backups import Backup
    from engine.operations.backup.backupstanding import Standing
    from engine.operations.backup.drilling import Opener, Verdict
    from engine.operations.backup.retaining import Decision
    from engine.operations.commanding import Command, Performer, Report
    from engine.operations.restore.applying import Restored
    from engine.operations.restore.restoring import Plan

BACKUP, RESTORE = "backup", "restore"


class Archiving(Keeping):
    """What is kept safe. Every method may be called from any thread, in any process.

    report: told (stage in words, done, total); what it raises ends the act, and everything is as it was before.
    """

    # Looking

    def backups(self) -> list[Backup]:
        """Every backup in the folder and those of the ledger, newest first."""
        from engine.operations.backup import backups

        return backups.listing(self.context)

    def backup(self, word: str) -> Backup:
        """One backup by file name, path or number. Raises NotFound."""
        from engine.operations.backup import backups

        return backups.get(self.context, word)

    def backup_standing(self) -> Standing:
        """How it stands with backups: what is proven, what comes next, room, what is under way; opens no file."""
        from engine.operations.backup import backupstanding

        return backupstanding.standing(self.context)

    def backup_file(self, word: str) -> Path:
        """The file of a backup: a path, or a name in the folder. Raises NotFound."""
        from engine.operations.backup import backups

        return backups.find_file(self.context, word)

    def commands(self) -> list[Command]:
        """What was asked of the engine and has not ended, the oldest first."""
        from engine.operations import commanding

        return commanding.unfinished(self.context)

    def command(self, number: int) -> Command:
        """One act that was asked for. Raises NotFound."""
        from engine.operations import commanding

        return commanding.get(self.context, number)

    def command_cancel(self, number: int) -> bool:
        """Ask an act to end at its next step; False when it has ended."""
        from engine.operations import commanding

        return commanding.cancel(self.context, number)

    # Proving and keeping

    def backup_verify(self, word: str, *, opener: Opener | None = None, report: Report | None = None) -> Verdict:
        """Read a backup's file again: every sum, the manifest, its signature. Raises NotFound."""
        from engine.operations.backup import drilling

        return drilling.verify(self.context, self.backup_file(word), report=report, opened=opener)

    def backup_drill(
        self,
        word: str,
        *,
        kit: tuple[str, str] | None = None,
        opener: Opener | None = None,
        report: Report | None = None,
    ) -> Verdict:
        """Restore a backup into a scratch directory and look at everything; kit: a recovery kit and its passphrase."""
        from engine.operations.backup import drilling

        return drilling.drill(self.context, self.backup_file(word), report=report, kit=kit, opened=opener)

    def backup_prune(self, *, dry_run: bool = False, report: Report | None = None) -> list[Decision]:
        """Remove what retention does not keep; say of each backup why it stays or goes."""
        from engine.operations.backup import retaining

        return retaining.prune(self.context, dry_run=dry_run, report=report)

    # Backing up

    def backup_create(
        self, *, folder: Path | None = None, drill: bool | None = None, report: Report | None = None
    ) -> Backup:
        """Make a backup, by whoever delivers or else here. drill: instead of what the configuration says.

        Raises StorageFull, NotPossible while another one is made, TryAgain when the engine does not take it.
        """
        from engine.operations.backup import backups

        arguments = {"folder": None if folder is None else str(folder), "drill": drill}
        done = self._have_done(BACKUP, arguments, report)
        return backups.get(self.context, str(done["path"]))

    # Restoring

    def restore_plan(
        self, word: str, *, trust: Sequence[str] = (), opener: Opener | None = None, report: Report | None = None
    ) -> Plan:
        """Say what a restore would change. Touches nothing. Raises NotFound, ArchiveRefused."""
        from engine.operations.backup import drilling
        from engine.operations.restore import restoring

        with drilling.plain(self.context, self.backup_file(word), opener) as file:
            return restoring.plan(self.context, file, trust=trust, report=report)

    def restore_apply(
        self,
        word: str,
        *,
        with_configuration: bool = False,
        trust: Sequence[str] = (),
        planned: str = "",
        opener: Opener | None = None,
        report: Report | None = None,
    ) -> Mapping[str, Any]:
        """Put a backup in place, by whoever delivers or else here; return what applying.document says of it.

        planned: the sum of the archive that somebody saw a plan of; another file is refused.

        Raises NotFound, ArchiveRefused, NotPossible, StorageFull; then everything is as it was before.
        """
        from engine.operations.backup import drilling

        writable(self.context)
        with drilling.plain(self.context, self.backup_file(word), opener) as file:
            arguments = {
                "file": str(file),
                "with_configuration": with_configuration,
                "trust": list(trust),
                "planned": planned,
            }
            done = self._have_done(RESTORE, arguments, report)
        self._forget_what_was()
        return done

    # How an act is done

    def _performers(self) -> dict[str, Performer]:
        return {BACKUP: _backup, RESTORE: self._restore}

    def _have_done(self, kind: str, arguments: Mapping[str, Any], report: Report | None) -> Mapping[str, Any]:
        """Ask whoever delivers, and wait; where nobody does, do it here."""
        from engine.operations import commanding

        owner = self.owner()
        if owner is not None and owner.get("mode") == RESTORE:
            raise NotPossible(f"a restore is under way (pid {owner.get('pid')}); wait for it to end")
        asked = commanding.ask(self.context, kind, arguments)
        self._asked()
        if self.owner() is None:
            self._do_here(asked, report)
        return commanding.follow(self.context, asked.id, alive=lambda: self.owner() is not None, told=report)

    def _do_here(self, asked: Command, report: Report | None) -> None:
        from engine.operations import commanding
        from engine.store import leader

        delivering = asked.kind == RESTORE
        if delivering and not self._lock.acquire({"pid": os.getpid(), "mode": RESTORE}):
            return  # an engine started just now: it takes it
        try:
            if delivering:
                self.context.database.allow_checkpoints()
            epoch = self.context.database.read(leader.read).epoch
            commanding.perform(self.context, asked, self._performers(), epoch=epoch, told=report)
        finally:
            if delivering:
                self.context.database.allow_checkpoints(allowed=False)
                self._lock.release()

    def _asked(self) -> None:
        """Something was asked that an executor of this process should look at."""

    def _forget_what_was(self) -> None:
        """Another database stands in the place of the one that was read."""
        from engine.operations.restore import applying

        applying.forget_what_was(self.context)

    def _quiesce(self) -> AbstractContextManager[None]:
        """Let nothing be delivered from here meanwhile."""
        return nullcontext()

    def _restore(self, context: Context, arguments: Mapping[str, Any], report: Report) -> Mapping[str, Any]:
        from engine.operations.restore import applying

        done: Restored = applying.apply(
            context,
            Path(arguments["file"]),
            quiesce=self._quiesce,
            with_configuration=bool(arguments["with_configuration"]),
            trust=tuple(arguments["trust"]),
            planned=str(arguments.get("planned", "")),
            report=report,
        )
        self._forget_what_was()
        return applying.document(done)


def _backup(context: Context, arguments: Mapping[str, Any], report: Report) -> Mapping[str, Any]:
    from engine.operations.backup import backups
    from engine.rules.backups import Kind

    folder = arguments.get("folder")
    made = backups.create(
        context,
        Kind(arguments.get("kind", Kind.MANUAL)),
        folder=None if folder is None else Path(folder),
        drill=arguments.get("drill"),
        report=report,
    )
    return {"path": str(made.path), "name": made.name, "proof": made.proof.value, "took_ms": made.took_ms}
