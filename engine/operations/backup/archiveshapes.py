"""The documents of backups and restores that command line, HTTP and exports share. Reads no row and no file.

A key, once handed out, keeps its meaning. What an archive says of itself is as hostile as the archive: show it.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from engine.operations.shapes import stamp

if TYPE_CHECKING:
    from engine.operations.backup.backups import Backup, Copy
    from engine.operations.backup.backupstanding import Standing
    from engine.operations.backup.drilling import Step, Verdict
    from engine.operations.backup.retaining import Decision
    from engine.operations.commanding import Command
    from engine.operations.restore.restored import Restored
    from engine.operations.restore.restoring import HeldMessage, Plan


def backup_shape(found: Backup) -> dict[str, Any]:
    """Return one backup; id null: a file that lies in the folder and stands in no ledger of ours."""
    return {
        "id": found.id,
        "name": found.name,
        "folder": found.folder,
        "kind": str(found.kind),
        "taken_at": stamp(found.taken_ms or None),
        "took_ms": found.took_ms,
        "size_bytes": found.size,
        "sha256": found.sha256,
        "archive_sha256": found.archive_sha256,
        "encrypted": found.encrypted,
        "proof": str(found.proof),
        "proof_detail": found.proof_detail,
        "proven_at": stamp(found.proven_ms),
        "drilled_at": stamp(found.drilled_ms),
        "drill_took_ms": found.drill_took_ms,
        "verified_at": stamp(found.verified_ms),
        "verified_ok": found.verified_ok,
        "verified_detail": found.verified_word,
        "gone_at": stamp(found.gone_ms),
        "copies": [_copy(one) for one in found.copies],
    }


def backup_in_full_shape(found: Backup) -> dict[str, Any]:
    """Return one backup with its manifest; {} where that cannot be read, as of an encrypted file of others."""
    return {**backup_shape(found), "manifest": dict(found.manifest)}


def _copy(found: Copy) -> dict[str, Any]:
    """Return what became of one copy off the box."""
    return {
        "destination": found.destination,
        "state": str(found.state),
        "attempts": found.attempts,
        "due_at": stamp(found.due_ms),
        "copied_at": stamp(found.copied_ms),
        "verified_at": stamp(found.verified_ms),
        "detail": found.detail,
    }


def standing_shape(found: Standing) -> dict[str, Any]:
    """Return how it stands with backups; next_at null: none is scheduled."""
    return {
        "folder": found.folder,
        "count": found.count,
        "size_bytes": found.size,
        "proven_at": stamp(found.proven_ms),
        "newest_at": stamp(found.newest_ms),
        "next_at": stamp(found.next_ms),
        "copies_waiting": found.copies_waiting,
        "copies_failing": found.copies_failing,
        "under_way": [_act(one) for one in found.under_way],
    }


def _act(found: Command) -> dict[str, Any]:
    """Return an act that was asked for; done and total are in the unit of its stage."""
    return {
        "id": found.id,
        "kind": found.kind,
        "state": found.state,
        "asked_at": stamp(found.asked_ms),
        "asked_by": found.actor,
        "stage": found.stage,
        "done": found.done,
        "total": found.total,
    }


def verdict_shape(found: Verdict) -> dict[str, Any]:
    """Return what a verification or a drill found; a step with ok null could not be made."""
    return {
        "file": found.file,
        "ok": found.ok,
        "proof": str(found.proof),
        "authenticity": str(found.authenticity) or None,
        "why": found.why or None,
        "took_ms": found.took_ms,
        "steps": [_step(one) for one in found.steps],
        "manifest": None if found.manifest is None else dict(found.manifest),
    }


def _step(found: Step) -> dict[str, Any]:
    return {"name": found.name, "ok": found.ok, "detail": found.detail, "took_ms": found.took_ms}


def retention_shape(found: Iterable[Decision], *, dry_run: bool) -> dict[str, Any]:
    """Return what retention keeps and takes, and why."""
    decided = [{"name": one.backup.name, "keep": one.keep, "reason": one.reason, **_facts(one)} for one in found]
    taken = [one for one in decided if not one["keep"]]
    return {
        "dry_run": dry_run,
        "kept": len(decided) - len(taken),
        "pruned": len(taken),
        "freed_bytes": sum(one["size_bytes"] for one in taken),
        "decisions": decided,
    }


def _facts(found: Decision) -> dict[str, Any]:
    one = found.backup
    return {
        "id": one.id,
        "folder": one.folder,
        "taken_at": stamp(one.taken_ms),
        "size_bytes": one.size,
        "proof": str(one.proof),
    }


def restore_plan_shape(found: Plan) -> dict[str, Any]:
    """Return what a restore would change. counts: here now, in the backup, and after the restore."""
    return {
        "archive": found.archive,
        "sha256": found.sha256,
        "taken_at": stamp(found.taken_ms),
        "age_ms": found.age_ms,
        "instance": found.instance,
        "relation": found.relation,
        "authenticity": str(found.authenticity),
        "schema": found.schema,
        "tables": [
            {"table": one.table, "here": one.here, "backup": one.backup, "after": one.after} for one in found.tables
        ],
        "states": {
            state: {"here": here, "backup": there, "after": after}
            for state, (here, there, after) in found.states.items()
        },
        "held": [_held(one) for one in found.held],
        "held_total": found.held_total,
        "would_resend": found.would_resend,
        "secrets": [{"name": one.name, "what": one.what} for one in found.secrets],
        "keys": [{"id": one.id, "name": one.name, "what": one.what} for one in found.keys],
        "audit_carried": found.audit_carried,
        "audit_note": found.audit_note,
        "config": found.config,
        "warnings": list(found.warnings),
        "needs_bytes": found.needs_bytes,
    }


def _held(found: HeldMessage) -> dict[str, Any]:
    """Return one message that waits for the operator after the restore, and why; id null: it gets a new number."""
    return {
        "id": found.id,
        "uid": found.uid,
        "target": found.target,
        "subject": found.subject,
        "was": found.was,
        "now": found.now,
        "reason": found.reason,
    }


def restored_shape(found: Restored) -> dict[str, Any]:
    """Return what a restore did; `held` has the first thousand, the tag finds all of them. blocked_ms: for how long
    nobody else could write.
    """
    planned = restore_plan_shape(found.plan)
    del planned["held"], planned["held_total"]
    return {
        "archive": found.archive,
        "safety_backup": found.safety,
        "held": [_held(one) for one in found.held],
        "held_total": found.held_total,
        "tag": found.tag,
        "audit_entries_carried": found.audit_entries_carried,
        "epoch": found.epoch,
        "took_ms": found.took_ms,
        "blocked_ms": found.blocked_ms,
        "notes": list(found.notes),
        "plan": planned,
    }
