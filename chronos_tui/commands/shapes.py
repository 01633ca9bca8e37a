"""The documents that --json prints, as docs/commands.md describes them. A key, once printed, keeps its meaning."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from chronos_tui import bridge
from chronos_tui.commands.times import stamp


def message(found: bridge.Message, tags: Iterable[str] | None = None) -> dict[str, Any]:
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


def priority_word(found: bridge.Message) -> str:
    """Return low, normal, high or urgent."""
    return bridge.Priority(found.priority).name.lower()


def detail(found: bridge.Detail) -> dict[str, Any]:
    """Return one message with everything but its content."""
    return {
        **message(found.message, found.tags),
        "history": [attempt(one) for one in found.attempts],
        "attachments": [
            {"name": name, "content_type": content_type, "size_bytes": size}
            for name, content_type, size in found.attachments
        ],
    }


def attempt(found: bridge.Attempt) -> dict[str, Any]:
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


def content(found: Any) -> dict[str, Any]:
    """Return what a message says; attachments are listed beside it, without their bytes."""
    return {
        "text": found.text,
        "html": found.html,
        "data": found.data,
        "headers": [{"name": name, "value": value} for name, value in found.headers],
    }


def hold(found: bridge.Hold) -> dict[str, Any]:
    """Return one hold."""
    return {
        "scope": found.scope,
        "since": stamp(found.since_ms),
        "until": stamp(found.until_ms),
        "reason": found.reason,
        "by": found.actor,
    }


def check(found: bridge.Check) -> dict[str, Any]:
    """Return one check of health or doctor."""
    return {"name": found.name, "status": found.level.value, "value": found.value, "advice": found.advice}
