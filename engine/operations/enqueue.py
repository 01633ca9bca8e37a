"""T1: takes a message in. Durable, with its audit entry, before the caller gets the uid. Touches no network."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from engine.errors import BadInput, IdempotencyConflict, NotPossible
from engine.model import Message, NewMessage, RouteStep, Settings, State, TargetSpec
from engine.operations import ordering
from engine.operations.context import Context, recorded, target_spec
from engine.rules.identity import content_hash, new_uid
from engine.rules.scopes import unknown_target
from engine.store import audit, messages
from engine.store.tx import Tx

_RESERVED_CHANNELS = {"telegram": "Telegram", "n8n": "n8n"}
_MOST_KEY_CHARS = 256
_LAST_MS = 253_402_300_799_999  # the end of the year 9999, the last that RFC 3339 can write
_MOST_SUBJECT_CHARS = 998  # RFC 5322, 2.1.1: the longest line


class Enqueued(NamedTuple):
    """The message, and whether this call made it (False: the idempotency key was known, with the same content)."""

    message: Message
    created: bool


class _Prepared(NamedTuple):
    new: NewMessage
    row: dict[str, Any]


def enqueue(context: Context, new: NewMessage) -> Enqueued:
    """Store one message; once this returns it survives kill -9 and a power cut.

    Raises NotFound for an unknown target, BadInput for what cannot be sent, IdempotencyConflict when the key was used
    for other content, TryAgain when nothing was stored.
    """
    prepared = prepare(context, new)
    return context.database.write(lambda tx: store(tx, context, prepared))


def enqueue_many(context: Context, news: Sequence[NewMessage]) -> list[Enqueued]:
    """Store all of them or none, in one transaction."""
    prepared = [prepare(context, new) for new in news]
    return context.database.write(lambda tx: [store(tx, context, one) for one in prepared])


def prepare(context: Context, new: NewMessage) -> _Prepared:
    """Check a message and lay out its row, before any transaction."""
    if context.read_only:
        raise NotPossible("opened read-only: nothing can be sent from here")
    settings = context.settings
    spec, steps = resolve(settings, new.target)
    now_ms = context.clock.now_ms()
    _check(new, settings, spec.channel, now_ms)
    due_ms = max(new.not_before_ms or now_ms, now_ms)
    return _Prepared(
        new,
        {
            "uid": new_uid(now_ms, context.entropy(10)),
            "target": spec.name,
            "lane": spec.lane or spec.name,
            "channel": spec.channel,
            "template": new.template,
            "subject": new.subject,
            "priority": int(new.priority),
            "created_ms": now_ms,
            "due_ms": due_ms,
            "expires_ms": new.expires_ms,
            "on_uncertain": (new.on_uncertain or spec.on_uncertain).value,
            "idempotency_key": new.idempotency_key,
            "content_hash": content_hash(new),
            "collapse_key": new.collapse_key,
            "ordering_key": new.ordering_key,
            "ready": 1,
            "route": new.target if steps else "",
            "hop_ms": due_ms + steps[1].after_ms if len(steps) > 1 else None,
            "queued_by": context.actor,
            "size": _size(new),
        },
    )


def resolve(settings: Settings, target: str) -> tuple[TargetSpec, tuple[RouteStep, ...]]:
    """Return the spec that is tried first, and the route's steps where the name is a route's.

    Raises NotFound for an unknown name, BadInput for an ad hoc address that is malformed, NotPossible for one that the
    configuration does not allow or a channel that this version does not have.
    """
    steps = settings.routes.get(target, ())
    name = steps[0].target if steps else target
    spec = target_spec(settings, name)
    if spec is None:
        raise unknown_target(settings, name)
    if not spec.trusted and settings.production and not settings.security.get("allow_adhoc_targets", False):
        raise NotPossible(
            f"{name}: ad hoc targets are off in production; configure a target, or set security.allow_adhoc_targets"
        )
    if spec.channel in _RESERVED_CHANNELS:
        raise NotPossible(f"target {name}: the channel {spec.channel} is not available in this version")
    return spec, steps


def store(tx: Tx, context: Context, prepared: _Prepared) -> Enqueued:
    """Insert inside a transaction of the caller's (a schedule's tick, an inbound event)."""
    row, new = prepared.row, prepared.new
    key = new.idempotency_key
    if key is not None and (known := messages.by_idempotency_key(tx, key)) is not None:
        return _repeated(tx, known, row, key)
    if new.ordering_key is not None:
        row = {**row, "ready": 0}
    message_id = messages.insert(tx, row, new)
    if new.ordering_key is not None:
        ordering.settle(tx, context.settings, new.ordering_key)
    detail: dict[str, object] = {"id": message_id, "target": recorded(row["target"]), "sha256": row["content_hash"]}
    if row["route"]:
        detail["route"] = row["route"]
    if key is not None:
        detail["key"] = key
    audit.append(tx, row["created_ms"], context.actor, "message.queued", row["uid"], detail)
    if new.collapse_key is not None:
        _collapse(tx, context, row, message_id)
    if new.ordering_key is not None:
        stored = messages.get(tx, message_id)
        assert stored is not None, "inserted in this transaction"
        return Enqueued(stored, created=True)  # with its turn, which others may have moved
    return Enqueued(_message(message_id, row), created=True)


def _repeated(tx: Tx, known: tuple[int, str], row: dict[str, Any], key: str) -> Enqueued:
    message = messages.get(tx, known[0])
    assert message is not None, "found by its key in this transaction"
    if known[1] != row["content_hash"]:
        raise IdempotencyConflict(
            f"idempotency key {key!r} was used for other content by {message.uid} (#{message.id}); use another key"
        )
    return Enqueued(message, created=False)


def _collapse(tx: Tx, context: Context, row: dict[str, Any], message_id: int) -> None:
    params = {name: row[name] for name in ("target", "route", "collapse_key")}
    waiting = tx.rows("messages.waiting_in_collapse", params)
    for (old_id,) in waiting:
        old = messages.get(tx, old_id)
        if old is None or old.id == message_id:
            continue
        now_ms = row["created_ms"]
        reason = f"replaced by #{message_id}, which has the same collapse key"
        messages.move(tx, old.id, State.QUEUED, State.CANCELLED, reason=reason, due_ms=old.due_ms, finished_ms=now_ms)
        ordering.settle(tx, context.settings, old.ordering_key)
        detail = {"id": old.id, "reason": reason}
        audit.append(tx, now_ms, context.actor, "message.cancelled", old.uid, detail)


def _message(message_id: int, row: dict[str, Any]) -> Message:
    return Message(
        id=message_id,
        uid=row["uid"],
        state=State.QUEUED,
        target=row["target"],
        lane=row["lane"],
        channel=row["channel"],
        template=row["template"],
        subject=row["subject"],
        priority=row["priority"],
        created_ms=row["created_ms"],
        due_ms=row["due_ms"],
        expires_ms=row["expires_ms"],
        finished_ms=None,
        attempts=0,
        failures=0,
        cycle=1,
        cycle_ms=row["created_ms"],
        lease_until_ms=None,
        cancel_requested=False,
        on_uncertain=row["on_uncertain"],
        idempotency_key=row["idempotency_key"],
        collapse_key=row["collapse_key"],
        ordering_key=row["ordering_key"],
        ready=bool(row["ready"]),
        route=row["route"],
        hop=0,
        hop_ms=row["hop_ms"],
        queued_by=row["queued_by"],
        last_code="",
        last_word="",
        state_reason="",
        size=row["size"],
    )


def _size(new: NewMessage) -> int:
    texts = (new.subject, new.text, new.html, new.data)
    # Half a character is refused by the content's hash, with words.
    said = sum(len(text.encode(errors="surrogatepass")) for text in texts if text)
    return said + sum(len(a.content) for a in new.attachments)


def _check(new: NewMessage, settings: Settings, channel: str, now_ms: int) -> None:
    most_bytes = settings.outbox["max_message_bytes"]
    size = _size(new)
    if size > most_bytes:
        from engine.rules.durations import format_size

        raise BadInput(
            f"the message has {format_size(size)}, more than outbox.max_message ({format_size(most_bytes)}); "
            "send a link instead"
        )
    if not (new.subject or new.text or new.html or new.data or new.attachments):
        raise BadInput("an empty message: give a subject, a text, html, data or an attachment")
    _check_subject(new.subject)
    for name, key in (
        ("idempotency key", new.idempotency_key),
        ("collapse key", new.collapse_key),
        ("ordering key", new.ordering_key),
    ):
        if key is not None:
            _check_key(name, key)
    for tag in new.tags:
        _check_key("tag", tag)
    _check_times(new, now_ms)
    for attachment in new.attachments:
        if not attachment.name or set(attachment.name) & set("/\\\0\r\n") or attachment.name in {".", ".."}:
            raise BadInput(f"attachment name {attachment.name!r}: give a bare file name")
    if new.headers or "=?" in new.subject:
        from engine.channels.headers import check_headers  # 29 ms that a plain message does not pay

        check_headers(new.headers, subject=new.subject, channel=channel)
    if new.data is not None:
        _check_json(new.data)


def _check_times(new: NewMessage, now_ms: int) -> None:
    if max(new.not_before_ms or 0, new.expires_ms or 0) > _LAST_MS:
        raise BadInput("a send time or expiry beyond the year 9999; give an earlier one")
    if new.expires_ms is None:
        return
    if new.expires_ms <= now_ms:
        raise BadInput("expires before it could be sent; give a later time")
    if new.not_before_ms is not None and new.expires_ms <= new.not_before_ms:
        raise BadInput("expires before its send time; give a later expiry")


def _check_subject(subject: str) -> None:
    if any(ord(character) < 32 or ord(character) == 127 for character in subject):
        raise BadInput("the subject has a line break or another control character; leave it out")
    if len(subject) > _MOST_SUBJECT_CHARS:
        raise BadInput(f"the subject has {len(subject)} characters; the limit is {_MOST_SUBJECT_CHARS}")


def _check_key(name: str, key: str) -> None:
    if not key or len(key) > _MOST_KEY_CHARS or any(ord(c) < 33 or "\ud800" <= c <= "\udfff" for c in key):
        raise BadInput(f"{name} {key[:40]!r}: 1 to {_MOST_KEY_CHARS} characters without blanks or control characters")


def _check_json(data: str) -> None:
    import json

    try:
        json.loads(data)
    except (ValueError, RecursionError) as error:
        raise BadInput(f"data is not JSON: {error}") from error
