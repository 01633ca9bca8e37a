"""What a restore did: as it is returned, stored and printed, and as the audit log says it. Restores nothing."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from engine.operations.context import Context
from engine.operations.restore import revaulting
from engine.operations.restore.restoring import HeldMessage, Here, Outcome, Plan
from engine.operations.restore.staging import Prepared
from engine.rules.durations import rfc3339
from engine.store import audit

APPLIED, FAILED = "restore.applied", "restore.failed"


@dataclass(frozen=True, slots=True)
class Restored:
    """What a restore did. safety: the name of the backup that undoes it; None where there was nothing to back up.

    held: the first thousand; the tag finds all. blocked_ms: how long nobody else could write.
    """

    archive: str
    safety: str | None
    held: tuple[HeldMessage, ...]
    held_total: int
    tag: str
    audit_entries_carried: int
    epoch: int
    took_ms: int
    blocked_ms: int
    notes: tuple[str, ...]
    plan: Plan


def document(done: Restored) -> Mapping[str, Any]:
    """Return it as it is stored and printed."""
    from engine.operations.backup.archiveshapes import restored_shape

    return restored_shape(done)


def restored(outcome: Outcome, safety: str | None, took_ms: int, blocked_ms: int, notes: list[str]) -> Restored:
    """Put together what is said of a restore."""
    plan = outcome.plan
    lost = [f"secret {one.name}: {one.what}" for one in plan.secrets if one.what.startswith("not")]
    return Restored(
        plan.archive, safety, plan.held, plan.held_total, outcome.tag, plan.audit_carried, outcome.epoch, took_ms,
        blocked_ms, (*notes, *lost), plan,
    )  # fmt: skip


def record(
    context: Context, ready: Prepared, here: Here, outcome: Outcome, now_ms: int, more: Mapping[str, object]
) -> None:
    """Write the restore's own entry into the copy's audit log."""
    plan = outcome.plan
    detail: dict[str, object] = {
        "archive": ready.archive,
        "sha256": ready.sha256,
        "taken_at": rfc3339(ready.created_ms),
        "backup_seq": ready.staged.log.head,
        "relation": here.how.value,
        "carried": plan.audit_carried,
        "held": outcome.by_state,
        "tag": outcome.tag,
        "epoch": outcome.epoch,
        "authenticity": plan.authenticity,
        **more,
    }
    lost = [one.name for one in plan.secrets if one.what.startswith("not")]
    if lost:
        detail["secrets_lost"] = lost
    tx = ready.staged.tx
    audit.append(tx, now_ms, context.actor, APPLIED, f"backup:{ready.archive}", detail)
    revaulting.record(tx, context, now_ms)
    tx.end_part()
