"""The table rate_limits: how far each bucket is used up, across restarts. Decides nothing."""

from __future__ import annotations

from collections.abc import Mapping

from engine.store.tx import Tx


def load(tx: Tx, most: int) -> dict[str, int]:
    """Return bucket → theoretical arrival time in ms, those used up furthest where there are more than `most`."""
    return {row[0]: row[1] for row in tx.rows("limits.all", {"most": most})}


def save(tx: Tx, tats_ms: Mapping[str, int]) -> None:
    """Write these and nothing else: a bucket that rested, or was forgotten, has no row."""
    tx.run("limits.forget_all")
    tx.run_many("limits.save", [{"bucket": bucket, "tat_ms": tat_ms} for bucket, tat_ms in tats_ms.items()])
