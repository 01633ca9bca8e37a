"""What an operator sees of backups at one look: figures over the ledger, its copies and what is under way."""

from __future__ import annotations

from dataclasses import dataclass

from engine.store import commands
from engine.store.commands import Command
from engine.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Figures:
    """Times: Unix time in ms, None where there is none. size: bytes of all. failing: copies that were tried in vain.

    under_way: acts that wait or run. restored: the restore that ended last, of a day.
    """

    proven_ms: int | None
    newest_ms: int | None
    newest_proof: str
    newest_detail: str
    count: int
    size: int
    copies_waiting: int
    copies_failing: int
    under_way: tuple[Command, ...]
    restored: Command | None


_DAY_MS = 86_400_000


def revision(tx: Tx) -> tuple[object, ...]:
    """Return what differs once any of it shows something else. Cheap enough for each commit that is seen."""
    row = tx.row("archiving.revision")
    assert row is not None, "a SELECT without FROM has one row"
    return (*row, commands.revision(tx))


def figures(tx: Tx, now_ms: int) -> Figures:
    """Return them from one snapshot."""
    newest_ms, proof, detail = tx.row("archiving.newest") or (None, "", "")
    count, size = tx.row("archiving.held") or (0, 0)
    waiting, failing = tx.row("archiving.copies") or (0, 0)
    restored = tx.value("archiving.restored", {"since_ms": now_ms - _DAY_MS})
    return Figures(
        proven_ms=tx.value("archiving.proven"),
        newest_ms=newest_ms,
        newest_proof=proof,
        newest_detail=detail,
        count=count,
        size=size,
        copies_waiting=waiting,
        copies_failing=failing,
        under_way=tuple(commands.unfinished(tx)),
        restored=None if restored is None else commands.get(tx, restored),
    )
