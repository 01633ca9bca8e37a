"""The tables messages, bodies, attachments, blobs and tags. Moves rows; decides nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any

from engine.model import Attachment, Content, Message, NewMessage, OnUncertain, Priority, State
from engine.store.tx import Row, Tx


def from_row(row: Row) -> Message:
    """Make the record of a row with the columns of messages.by_id."""
    values = list(row)
    values[2] = State(values[2])
    values[8] = Priority(values[8])
    values[18] = bool(values[18])
    values[19] = OnUncertain(values[19])
    values[23] = bool(values[23])
    return Message(*values)


def insert(tx: Tx, row: Mapping[str, Any], new: NewMessage) -> int:
    """Store a message with everything it says; return its id."""
    message_id = tx.insert("messages.insert", row)
    tx.run(
        "messages.insert_body",
        {
            "message_id": message_id,
            "text": new.text,
            "html": new.html,
            "data": new.data,
            "headers": json.dumps(new.headers) if new.headers else "[]",
        },
    )
    for position, attachment in enumerate(new.attachments):
        _insert_attachment(tx, message_id, position, attachment)
    for tag in new.tags:
        tx.run("messages.insert_tag", {"tag": tag, "message_id": message_id})
    return message_id


def _insert_attachment(tx: Tx, message_id: int, position: int, attachment: Attachment) -> None:
    sha256 = hashlib.sha256(attachment.content).hexdigest()
    tx.run("messages.insert_blob", {"sha256": sha256, "content": attachment.content})
    tx.run(
        "messages.insert_attachment",
        {
            "message_id": message_id,
            "position": position,
            "name": attachment.name,
            "content_type": attachment.content_type,
            "size": len(attachment.content),
            "sha256": sha256,
        },
    )


def get(tx: Tx, message_id: int) -> Message | None:
    """Return the message's row, or None."""
    row = tx.row("messages.by_id", {"id": message_id})
    return from_row(row) if row else None


def id_of_uid(tx: Tx, uid: str) -> int | None:
    """Return the short handle of an identity, or None."""
    found: int | None = tx.value("messages.id_of_uid", {"uid": uid})
    return found


def by_idempotency_key(tx: Tx, key: str) -> tuple[int, str] | None:
    """Return (id, content hash) of the message that used the key, or None."""
    row = tx.row("messages.by_idempotency_key", {"idempotency_key": key})
    return (row[0], row[1]) if row else None


def content(tx: Tx, message_id: int, *, files: bool = True) -> Content:
    """Return what a message says; files: attachments too, with their bytes."""
    row = tx.row("messages.body", {"id": message_id})
    assert row is not None, "a message has a body from the transaction that made it"
    subject, text, html, data, headers = row
    pairs: Sequence[Sequence[str]] = json.loads(headers)
    found = tuple(Attachment(*file) for file in tx.rows("messages.attachments", {"id": message_id})) if files else ()
    return Content(subject, text, html, data, tuple((name, value) for name, value in pairs), found)


def attachment_names(tx: Tx, message_id: int) -> list[tuple[str, str, int]]:
    """Return (name, content type, size in bytes) of each attachment."""
    return [(name, kind, size) for name, kind, size in tx.rows("messages.attachment_names", {"id": message_id})]


def attachment(tx: Tx, message_id: int, position: int) -> Attachment | None:
    """Return one attachment with its bytes, or None."""
    row = tx.row("messages.attachment", {"id": message_id, "position": position})
    return Attachment(*row) if row else None


def tags_of(tx: Tx, ids: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Return the tags of each message, sorted; () for one without."""
    found: dict[int, tuple[str, ...]] = dict.fromkeys(ids, ())
    for message_id, tag in tx.rows("messages.tags_of", {"ids": json.dumps(list(ids))}):
        found[message_id] += (tag,)
    return found


def tags(tx: Tx, message_id: int) -> tuple[str, ...]:
    """Return the message's tags, sorted."""
    return tuple(row[0] for row in tx.rows("messages.tags", {"id": message_id}))


def counts(tx: Tx) -> dict[str, int]:
    """Return how many messages stand in each state; every state is named, zero or not."""
    found: dict[str, int] = {name: n for name, n in tx.rows("messages.counts")}  # noqa: C416 - typed
    return {state.value: found.get(state.value, 0) for state in State}


def revision(tx: Tx) -> int:
    """Return a number that moves whenever any message changes its state."""
    return int(tx.value("meta.revision"))


def move(
    tx: Tx,
    message_id: int,
    before: State,
    after: State,
    *,
    reason: str,
    due_ms: int,
    finished_ms: int | None,
) -> bool:
    """Change the state if it still is `before`; return whether it was."""
    params = {
        "id": message_id,
        "before": before.value,
        "state": after.value,
        "reason": reason,
        "due_ms": due_ms,
        "finished_ms": finished_ms,
    }
    return tx.run("messages.move", params) == 1


def ended_by_step(tx: Tx, state: State, start_ms: int, end_ms: int, step_ms: int) -> dict[int, int]:
    """Return how many came to a final state in each step of a span, by the step's number; empty steps are left out."""
    params = {"state": state.value, "start_ms": start_ms, "end_ms": end_ms, "step_ms": step_ms}
    return {step: n for step, n in tx.rows("messages.ended_by_step", params)}  # noqa: C416 - typed
