"""The documents that command line, HTTP and exports share, as docs/commands.md describes them. Reads no row.

A key, once handed out, keeps its meaning.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from engine.model import Attempt, Content, Hold, Message, Priority
from engine.rules.durations import rfc3339

if TYPE_CHECKING:
    from engine.operations.apikeys import ApiKey, Created
    from engine.operations.auditing import Entry
    from engine.operations.checkpointing import Checkpoint
    from engine.operations.health import Check
    from engine.operations.inbound import Event, SourceState
    from engine.operations.incidents import Incident
    from engine.operations.pruning import Archives, Pruned
    from engine.operations.reading import Detail
    from engine.operations.secrets import SecretCheck, SecretInfo
    from engine.operations.vault import VaultState
    from engine.operations.witnessing import Comparison, Signing
    from engine.rules.canonical import ChainResult


def stamp(at_ms: int | None) -> str | None:
    """Return RFC 3339; None stays None."""
    return None if at_ms is None else rfc3339(at_ms)


def message(found: Message, tags: Iterable[str] | None = None) -> dict[str, Any]:
    """Return one message; `tags` are stored apart and added where they were read."""
    document = {
        "id": found.id,
        "uid": found.uid,
        "state": found.state.value,
        "target": found.target,
        "channel": found.channel,
        "subject": found.subject,
        "priority": priority_word(found),
        "created_at": stamp(found.created_ms),
        "due_at": stamp(found.due_ms),
        "expires_at": stamp(found.expires_ms),
        "finished_at": stamp(found.finished_ms),
        "attempts": found.attempts,
        "cycle": found.cycle,
        "reason": found.state_reason,
        "last_code": found.last_code,
        "last_word": found.last_word,
        "cancel_requested": found.cancel_requested,
        "queued_by": found.queued_by,
        "route": found.route or None,
        "template": found.template or None,
        "idempotency_key": found.idempotency_key,
        "collapse_key": found.collapse_key,
        "ordering_key": found.ordering_key,
        "on_uncertain": str(found.on_uncertain),
        "size_bytes": found.size,
    }
    return document if tags is None else {**document, "tags": list(tags)}


def priority_word(found: Message) -> str:
    """Return low, normal, high or urgent."""
    return Priority(found.priority).name.lower()


def detail(found: Detail) -> dict[str, Any]:
    """Return one message with everything but its content."""
    return {
        **message(found.message, found.tags),
        "history": [attempt(one) for one in found.attempts],
        "attachments": [
            {"name": name, "content_type": content_type, "size_bytes": size}
            for name, content_type, size in found.attachments
        ],
    }


def attempt(found: Attempt) -> dict[str, Any]:
    """Return one attempt; outcome null: it is under way, or its engine died."""
    return {
        "attempt": found.attempt_no,
        "target": found.target,
        "started_at": stamp(found.started_ms),
        "finished_at": stamp(found.finished_ms),
        "outcome": found.outcome,
        "code": found.code,
        "detail": found.detail,
        "rule": found.rule,
        "next_at": stamp(found.next_ms),
        "accepted": list(found.accepted),
        "refused": [{"recipient": recipient, "detail": words} for recipient, words in found.refused],
    }


def content(found: Content) -> dict[str, Any]:
    """Return what a message says; attachments are listed beside it, without their bytes."""
    return {
        "text": found.text,
        "html": found.html,
        "data": found.data,
        "headers": [{"name": name, "value": value} for name, value in found.headers],
    }


def hold(found: Hold) -> dict[str, Any]:
    """Return one hold."""
    return {
        "scope": found.scope,
        "since": stamp(found.since_ms),
        "until": stamp(found.until_ms),
        "reason": found.reason,
        "by": found.actor,
    }


def check(found: Check) -> dict[str, Any]:
    """Return one check of health or doctor."""
    return {"name": found.name, "status": found.level.value, "value": found.value, "advice": found.advice}


def health(found: Sequence[Check]) -> dict[str, Any]:
    """Return all checks and the worst of them: critical, warning, ok. What could not be checked counts as a warning."""
    levels = {one.level.value for one in found}
    worst = "critical" if "critical" in levels else "ok" if levels <= {"ok"} else "warning"
    return {"status": worst, "checks": [check(one) for one in found]}


def entry(found: Entry) -> dict[str, Any]:
    """Return one entry of the audit log with its hash."""
    return {
        "seq": found.seq,
        "at": found.at,
        "actor": found.actor,
        "action": found.action,
        "subject": found.subject,
        "detail": found.detail,
        "risk": found.risk.level.value,
        "risk_reason": found.risk.reason,
        "prev": found.prev,
        "hash": found.hash,
    }


def api_key(found: ApiKey, now_ms: int) -> dict[str, Any]:
    """Return one API key; empty targets or networks mean any."""
    return {
        "id": found.id,
        "name": found.name,
        "scopes": [str(scope) for scope in found.scopes],
        "targets": list(found.targets),
        "networks": list(found.networks),
        "state": str(found.state(now_ms)),
        "words": found.words(now_ms),
        "expires_at": stamp(found.expires_ms),
        "created_at": stamp(found.created_ms),
        "created_by": found.created_by,
        "revoked_at": stamp(found.revoked_ms),
        "replaced_by": found.successor,
        "last_used_at": stamp(found.last_used_ms),
        "last_used_from": found.last_used_from or None,
        "uses": found.uses,
    }


def api_key_created(made: Created, now_ms: int) -> dict[str, Any]:
    """Return a new key with its text, which no other document holds."""
    document = api_key(made.key, now_ms)
    head = {"id": made.key.id, "key": made.text, **{name: document[name] for name in ("name", "scopes", "expires_at")}}
    replaced = None if made.replaced is None else api_key(made.replaced, now_ms)
    return {**head, "targets": document["targets"], "networks": document["networks"], "replaces": replaced}


def incident(found: Incident) -> dict[str, Any]:
    """Return one incident; `alert` is the uid of the message that tells of it, null where none does."""
    return {
        "id": found.id,
        "kind": found.kind,
        "subject": found.subject,
        "detail": found.detail,
        "severity": found.severity,
        "state": found.state,
        "count": found.count,
        "first_at": stamp(found.first_ms),
        "last_at": stamp(found.last_ms),
        "note": found.note,
        "changed_at": stamp(found.changed_ms),
        "changed_by": found.changed_by,
        "alert": found.alert_uid,
    }


def incident_in_full(found: Incident, story: Iterable[Entry]) -> dict[str, Any]:
    """Return one incident with what the audit log tells of it, oldest first, and its page of the playbook."""
    from engine.rules import playbook

    page = playbook.page(found.kind)
    return {
        **incident(found),
        "story": [entry(one) for one in story],
        "playbook": None
        if page is None
        else {
            "title": page.title,
            "severity": page.severity.value,
            "subject": page.subject,
            "means": page.means,
            "check": list(page.check),
            "act": list(page.act),
            "rule": page.rule,
            "source": page.source,
        },
    }


def source(found: SourceState) -> dict[str, Any]:
    """Return one source of incoming events; rejections newest first."""
    return {
        "name": found.name,
        "verify": found.verify,
        "path": found.path,
        "target": found.deliver,
        "secret_ok": found.secret_ok,
        "secrets_missing": list(found.secrets_missing),
        "accepted": found.accepted,
        "duplicates": found.duplicates,
        "replays": found.replays,
        "rejected": found.rejected,
        "failed": found.failed,
        "last_accepted_at": stamp(found.last_accepted_ms),
        "last_rejected_at": stamp(found.last_rejected_ms),
        "last_reason": found.last_reason,
        "rejections": [
            {
                "reason": one.reason,
                "remote": one.remote,
                "detail": one.detail,
                "first_at": stamp(one.first_ms),
                "last_at": stamp(one.last_ms),
                "count": one.count,
            }
            for one in found.rejections
        ],
    }


def event(found: Event) -> dict[str, Any]:
    """Return one accepted event without its body."""
    return {
        "id": found.id,
        "source": found.source,
        "event_id": found.event_id,
        "received_at": stamp(found.received_ms),
        "remote": found.remote,
        "kind": found.kind,
        "content_type": found.content_type,
        "size_bytes": found.size,
        "outcome": found.outcome,
        "detail": found.detail,
        "message": found.message_uid,
        "duplicates": found.duplicates,
        "replayed": found.replayed,
    }


def secret(found: SecretInfo) -> dict[str, Any]:
    """Return one secret, without its value."""
    return {
        "name": found.name,
        "where": found.where,
        "version": found.version,
        "updated_at": stamp(found.updated_ms),
        "used_by": list(found.used_by),
    }


def secret_check(found: SecretCheck) -> dict[str, Any]:
    """Return whether one secret can be had."""
    return {"name": found.name, "where": found.where, "ok": found.ok, "problem": found.problem or None}


def vault(found: VaultState | None) -> dict[str, Any] | None:
    """Return what is known of the vault without a key; null before there is one."""
    if found is None:
        return None
    return {
        "provider": found.provider.value,
        "root_id": found.root_id,
        "key_version": found.key_version,
        "created_at": stamp(found.created_ms),
        "rotated_at": stamp(found.rotated_ms),
    }


def checkpoint(found: Checkpoint) -> dict[str, Any]:
    """Return a signed checkpoint as a witness keeps it."""
    return found.document()


def chain(found: ChainResult) -> dict[str, Any]:
    """Return what verification of the audit log found."""
    return {
        "ok": found.ok,
        "entries": found.entries,
        "head_seq": found.head_seq,
        "head_hash": found.head_hash,
        "bad_seq": found.bad_seq,
        "why": found.why or None,
        "among": list(found.span) if found.span else None,
        "checkpoints": found.checkpoints,
        "signed_seq": found.signed_seq,
        "confirmed": found.confirmed,
        "note": found.note or None,
    }


def verification(found: ChainResult, compared: Comparison | None, archives: Archives | None) -> dict[str, Any]:
    """Return what verification found, alone or with what a witness and the archives say."""
    document = chain(found)
    if compared is not None:
        document |= {
            "ok": compared.ok,
            "bad_seq": compared.bad_seq,
            "why": compared.why or None,
            "among": list(compared.span) if compared.span else None,
            "note": compared.note or None,
            "witness": {
                "seq": compared.witness_seq,
                "entries": compared.compared,
                "checkpoints": compared.checkpoints,
            },
        }
    if archives is not None:
        document["ok"] = document["ok"] and archives.ok
        document["archives"] = {
            "ok": archives.ok,
            "files": archives.files,
            "entries": archives.entries,
            "why": archives.why or None,
        }
    return document


def pruned(found: Pruned) -> dict[str, Any]:
    """Return what was archived and taken from the audit log, or would be."""
    return {
        "dry_run": found.dry_run,
        "entries": found.entries,
        "first": found.first,
        "last": found.last,
        "before": stamp(found.before_ms),
        "files": list(found.files),
    }


def signing(found: Signing) -> dict[str, Any]:
    """Return how far the audit log is signed and where its head was sent."""
    return {
        "checkpoint": None if found.newest is None else checkpoint(found.newest),
        "entries_since": found.since,
        "witness": found.witness or None,
        "witnessed": None
        if found.sent is None
        else {"at": stamp(found.sent.at_ms), "seq": found.sent.seq, "to": found.sent.to, "uid": found.sent.uid},
    }
