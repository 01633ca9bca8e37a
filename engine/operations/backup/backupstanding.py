"""How it stands with backups in one record: what is proven, what comes next, where they lie. Changes nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from engine.operations.backup import backups
from engine.operations.commanding import Command
from engine.operations.context import Context
from engine.store import archiving


@dataclass(frozen=True, slots=True)
class Standing:
    """What a front end says above a list of backups. Times: Unix time in ms, None where there is none.

    free_bytes: at the folder, or where it would be made; None: that cannot be read. next_ms: of the schedule, None
    while there is none. proven_ms: when the last drill proved one that is still there. warning_ms, critical_ms: from
    which age of it on that is worth a word. copies_failing: of those that are tried on, or were given up.
    under_way: acts that wait or run, in whichever process. restored: the restore that ended last, of a day.
    """

    folder: str
    free_bytes: int | None
    next_ms: int | None
    proven_ms: int | None
    newest_ms: int | None
    newest_proof: str
    newest_detail: str
    count: int
    size: int
    copies_waiting: int
    copies_failing: int
    warning_ms: int
    critical_ms: int
    under_way: tuple[Command, ...]
    restored: Command | None


def standing(context: Context) -> Standing:
    """Return it. Looks at no file of a backup."""
    now_ms = context.clock.now_ms()
    found = context.database.read(lambda tx: archiving.figures(tx, now_ms))
    monitoring, where = context.settings.monitoring, backups.folder(context)
    return Standing(
        folder=str(where),
        free_bytes=_free_bytes(where),
        next_ms=next_ms(context, now_ms),
        proven_ms=found.proven_ms,
        newest_ms=found.newest_ms,
        newest_proof=found.newest_proof,
        newest_detail=found.newest_detail,
        count=found.count,
        size=found.size,
        copies_waiting=found.copies_waiting,
        copies_failing=found.copies_failing,
        warning_ms=monitoring["backup_age_warning_ms"],
        critical_ms=monitoring["backup_age_critical_ms"],
        under_way=found.under_way,
        restored=found.restored,
    )


def next_ms(context: Context, now_ms: int) -> int | None:
    """Return when the schedule makes the next one; None while nothing is scheduled."""
    schedule = context.settings.backup["schedule"]
    if schedule == "off" or not context.settings.database["backup_enabled"]:
        return None
    from engine.host.zone import local
    from engine.rules.cron import next_after

    return next_after(schedule, now_ms, local(context.machine.env))


def _free_bytes(folder: Path) -> int | None:
    """Of the nearest directory that is there: the folder is made with the first backup."""
    for place in (folder, *folder.parents):
        try:
            found = os.statvfs(place)
        except FileNotFoundError:
            continue
        except OSError:
            return None
        return found.f_bavail * found.f_frsize
    return None
