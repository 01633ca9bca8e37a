"""Pauses by scope, always with an end: messages wait, nothing is dropped, and it cannot be forgotten."""

from __future__ import annotations

from engine.errors import BadInput, NotFound
from engine.model import Hold
from engine.operations.context import Context, writable
from engine.rules.durations import rfc3339
from engine.rules.scopes import check_scope
from engine.store import audit, lanes
from engine.store.tx import Tx

LONGEST_MS = 7 * 86_400_000
"""A hold that outlives a week is a forgotten one."""


def pause(context: Context, scope: str, *, for_ms: int, reason: str = "") -> Hold:
    """Hold back what falls into `scope` until `for_ms` from now; pausing a paused scope moves its end.

    Raises BadInput for a scope that is none or a time that is no time, NotFound for an unknown target.
    """
    writable(context)
    check_scope(context.settings, scope)
    if not 0 < for_ms <= LONGEST_MS:
        raise BadInput("a pause lasts from a moment to 7d; pause again to prolong it")
    reason = reason.strip()[:200]

    def work(tx: Tx) -> Hold:
        now_ms = context.clock.now_ms()
        _end_run_out(tx, now_ms)
        params = {
            "scope": scope,
            "now_ms": now_ms,
            "until_ms": now_ms + for_ms,
            "reason": reason,
            "actor": context.actor,
        }
        if tx.run("holds.extend", params) == 0:
            tx.run("holds.insert", params)
        detail = {"until": rfc3339(now_ms + for_ms), "reason": reason}
        audit.append(tx, now_ms, context.actor, "hold.started", f"hold:{scope}", detail)
        return next(hold for hold in lanes.active_holds(tx, now_ms) if hold.scope == scope)

    return context.database.write(work)


def resume(context: Context, scope: str | None = None) -> list[str]:
    """End the hold on `scope`, or all holds; return the scopes that were ended.

    Raises NotFound when nothing of that name is held.
    """
    writable(context)

    def work(tx: Tx) -> list[str]:
        now_ms = context.clock.now_ms()
        held = [hold.scope for hold in lanes.active_holds(tx, now_ms) if scope in (None, hold.scope)]
        if not held:
            raise NotFound(f"{scope} is not held; 'chronos holds' shows what is" if scope else "nothing is held")
        for one in held:
            tx.run("holds.end_one", {"scope": one, "now_ms": now_ms, "actor": context.actor})
            audit.append(tx, now_ms, context.actor, "hold.ended", f"hold:{one}", {})
        return held

    return context.database.write(work)


def _end_run_out(tx: Tx, now_ms: int) -> int:
    rows = tx.rows("holds.run_out", {"now_ms": now_ms})
    for _hold_id, scope in rows:
        tx.run("holds.end_one", {"scope": scope, "now_ms": now_ms, "actor": "engine"})
        audit.append(tx, now_ms, "engine", "hold.ended", f"hold:{scope}", {"reason": "its time is over"})
    return len(rows)


def end_run_out(context: Context) -> int:
    """Close the holds whose time is over; return how many. For the dispatcher."""
    return context.database.write(lambda tx: _end_run_out(tx, context.clock.now_ms()))
