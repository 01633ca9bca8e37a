"""Claims and the table attempts: the fence of a message on the wire. Decides nothing."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass

from engine.model import Attempt, Outcome
from engine.store.tx import Tx


@dataclass(frozen=True, slots=True)
class Candidate:
    """A message that could be claimed now, as seen in a snapshot."""

    id: int
    lane: str
    template: str
    channel: str
    target: str
    priority: int
    due_ms: int
    size: int


@dataclass(frozen=True, slots=True)
class Taken:
    """A claimed message: its fence is (attempt_no, epoch)."""

    id: int
    uid: str
    attempt_no: int
    priority: int
    created_ms: int
    size: int


def partitions(tx: Tx) -> list[tuple[str, str]]:
    """Return every (lane, template) with something queued and ready."""
    return [(lane, template) for lane, template in tx.rows("claims.partitions")]


def due(tx: Tx, lane: str, template: str, priority: int, now_ms: int, n: int) -> list[Candidate]:
    """Return the head of one partition at one priority."""
    params = {"lane": lane, "template": template, "priority": priority, "now_ms": now_ms, "n": n}
    return [
        Candidate(message_id, lane, template, channel, target, priority, due_ms, size)
        for message_id, channel, target, due_ms, size in tx.rows("claims.due", params)
    ]


def next_due(tx: Tx, lane: str, template: str, priority: int) -> int | None:
    """Return when the partition's next message of this priority becomes due, in ms."""
    found: int | None = tx.value("claims.next_due", {"lane": lane, "template": template, "priority": priority})
    return found


def take(tx: Tx, candidate: Candidate, *, now_ms: int, lease_until_ms: int, epoch: int) -> Taken | None:
    """Claim it and write the attempt's row; None when somebody acted on it since we looked."""
    params = {
        "id": candidate.id,
        "target": candidate.target,
        "lane": candidate.lane,
        "now_ms": now_ms,
        "lease_until_ms": lease_until_ms,
        "epoch": epoch,
    }
    rows = tx.rows("claims.take", params)
    if not rows:
        return None
    uid, attempt_no, priority, created_ms = rows[0]
    tx.run(
        "claims.start_attempt",
        {
            "message_id": candidate.id,
            "attempt_no": attempt_no,
            "target": candidate.target,
            "epoch": epoch,
            "now_ms": now_ms,
        },
    )
    return Taken(candidate.id, uid, attempt_no, priority, created_ms, candidate.size)


def end(
    tx: Tx, message_id: int, attempt_no: int, outcome: Outcome, *, now_ms: int, rule: str, next_ms: int | None
) -> None:
    """Record how an attempt ended, whoever owns the message by now."""
    tx.run(
        "claims.end_attempt",
        {
            "message_id": message_id,
            "attempt_no": attempt_no,
            "now_ms": now_ms,
            "outcome": outcome.kind,
            "code": outcome.code,
            "detail": outcome.detail,
            "rule": rule,
            "next_ms": next_ms,
            "accepted": json.dumps(outcome.accepted) if outcome.accepted else "[]",
            "refused": json.dumps(outcome.refused) if outcome.refused else "[]",
        },
    )


def history(tx: Tx, message_id: int) -> list[Attempt]:
    """Return a message's attempts, oldest first; of a very long history the newest 1 000."""
    rows = tx.rows("claims.attempts", {"id": message_id})
    return [
        Attempt(*head, accepted=tuple(json.loads(reached)), refused=_pairs(json.loads(refused)))  # type: ignore[misc]
        for *head, reached, refused in reversed(rows)
    ]


def accepted(tx: Tx, message_id: int, target: str) -> tuple[str, ...]:
    """Return the recipients that earlier attempts at this target already reached."""
    rows = tx.rows("claims.accepted", {"id": message_id, "target": target})
    return tuple({address: None for row in rows for address in json.loads(row[0])})


def orphans(tx: Tx, epoch: int) -> list[tuple[int, int, int]]:
    """Return (id, attempt_no, epoch) of attempts that a former owner left behind."""
    return [(row[0], row[1], row[2]) for row in tx.rows("claims.orphans", {"epoch": epoch})]


def overdue(tx: Tx, epoch: int, now_ms: int) -> list[tuple[int, int]]:
    """Return (id, attempt_no) of our own attempts past their lease."""
    return [(row[0], row[1]) for row in tx.rows("claims.overdue", {"epoch": epoch, "now_ms": now_ms})]


def _pairs(items: Iterable[Iterable[str]]) -> tuple[tuple[str, str], ...]:
    return tuple((str(first), str(second)) for first, second in items)
