"""How far the tables behind the locked door have moved, as one value. What is in them, each table's module knows."""

from __future__ import annotations

from engine.store.tx import Tx


def revision(tx: Tx) -> tuple[object, ...]:
    """Return what differs once any of them shows something else. Cheap enough for each commit that is seen."""
    row = tx.row("keeping.revision")
    assert row is not None, "a SELECT without FROM has one row"
    return tuple(row)
