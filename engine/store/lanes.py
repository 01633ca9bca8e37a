"""The tables lanes and holds: what slows a target down. Decides nothing."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field

from engine.model import Hold
from engine.rules.breaker import Breaker, BreakerState
from engine.store.tx import Row, Tx

_MEMO = "lanes"  # many messages of one transaction share a lane


@dataclass(frozen=True, slots=True)
class Lane:
    """What is remembered of a target (or an ad hoc address's server) between messages. Times in ms."""

    lane: str
    breaker: Breaker = field(default_factory=Breaker)
    rate_tat_ms: int = 0
    throttled_until_ms: int = 0
    disabled_reason: str = ""
    last_success_ms: int | None = None
    last_failure_ms: int | None = None
    last_word: str = ""


def _breaker(text: str) -> Breaker:
    if text == "{}":
        return Breaker()
    fields = json.loads(text)
    if "state" in fields:
        fields["state"] = BreakerState(fields["state"])
    return Breaker(**fields)


def _lane(row: Row) -> Lane:
    return Lane(row[0], _breaker(row[1]), *row[2:])


def all_lanes(tx: Tx) -> dict[str, Lane]:
    """Return every lane that has something to remember."""
    return {row[0]: _lane(row) for row in tx.rows("lanes.all")}


def get(tx: Tx, lane: str) -> Lane:
    """Return the lane, a fresh one when nothing is known of it."""
    memo: dict[str, Lane] = tx.memo.setdefault(_MEMO, {})
    if lane not in memo:
        row = tx.row("lanes.one", {"lane": lane})
        memo[lane] = _lane(row) if row else Lane(lane)
    return memo[lane]


def save(tx: Tx, lane: Lane) -> None:
    """Remember the lane."""
    params = {name: getattr(lane, name) for name in Lane.__slots__}
    tx.memo.setdefault(_MEMO, {})[lane.lane] = lane
    tx.run("lanes.save", {**params, "breaker": json.dumps(asdict(lane.breaker))})


def reset(tx: Tx, lane: str) -> bool:
    """Close the breaker and lift a disable; return whether there was anything to lift."""
    return tx.run("lanes.reset", {"lane": lane}) == 1


def active_holds(tx: Tx, now_ms: int) -> list[Hold]:
    """Return the holds that are in force."""
    return [Hold(*row) for row in tx.rows("holds.active", {"now_ms": now_ms})]
