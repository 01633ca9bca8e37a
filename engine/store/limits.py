"""The table rate_limits: how far each bucket is used up, across restarts. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping

from engine.store.tx import Tx


def load(tx: Tx, most: int) -> dict[str, int]:
    """Return bucket → theoretical arrival time in ms, those used up furthest where there are more than `most`."""
    return {row[0]: row[1] for row in tx.rows("limits.all", {"most": most})}


def save(tx: Tx, changed: Mapping[str, int], now_ms: int, *, anew: bool) -> None:
    """Write what changed and forget what rested; anew: `changed` is all there is."""
    tx.run("limits.forget_all" if anew else "limits.forget_rested", {} if anew else {"now_ms": now_ms})
    tx.run_many("limits.save", [{"bucket": bucket, "tat_ms": tat_ms} for bucket, tat_ms in changed.items()])
