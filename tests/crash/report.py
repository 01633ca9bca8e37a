"""The table at the end of a crash run."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

from tests.crash.check import reigns

if TYPE_CHECKING:
    from tests.crash.evidence import Evidence
    from tests.crash.loop import Result


def table(result: Result) -> str:
    """Return the figures, one a line."""
    e = result.evidence
    lines = {
        "seed": result.plan.seed,
        "kills": result.kills,
        "starts refused on a full disk": result.refused_starts,
        "acknowledged": len({uid for uid, _ in e.acks}),
        "lost": len({uid for uid, _ in e.acks} - e.messages.keys()),
        **dict(sorted(Counter(m["state"] for m in e.messages.values()).items())),
        **_wire(e),
        "slowest take-up after a start": f"{slowest_take_up_ms(e)} ms",
        "time": f"{result.took_s:.1f} s",
        "violations": len(result.violations),
    }
    return "".join(f"{name:<34}{value:>10}\n" for name, value in lines.items())


def _wire(e: Evidence) -> dict[str, int]:
    """twice: accepted more than once, which only a kill can bring about; the rest is the sinks' own dropping."""
    outcomes = [receipt for receipts in e.receipts.values() for receipt in receipts]
    arrived = sum(max(sum(one.arrived for one in receipts) - 1, 0) for receipts in e.receipts.values())
    twice = sum(max(sum(one.outcome == "accepted" for one in all_) - 1, 0) for all_ in e.receipts.values())
    abandoned = sum(one["outcome"] == "abandoned" for attempts in e.attempts.values() for one in attempts)
    return {
        "attempts": sum(map(len, e.attempts.values())),
        "answers dropped by the sinks": sum(one.outcome == "dropped" for one in outcomes),
        "duplicates": arrived,
        "of these after a kill": twice,
        "in flight at kills": abandoned,
    }


def slowest_take_up_ms(e: Evidence) -> int:
    """How long after its start an engine had taken up the last orphan."""
    begins = {epoch: from_ms for epoch, _, from_ms in reigns(e)}
    waits = [
        attempt["finished_ms"] - begins[attempt["epoch"] + 1]
        for attempts in e.attempts.values()
        for attempt in attempts
        if attempt["outcome"] == "abandoned" and attempt["epoch"] + 1 in begins
    ]
    return max(waits, default=0)
