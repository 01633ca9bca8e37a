"""The shapes of answers, for the OpenAPI document. What is answered is made in operations/shapes.py; tests compare."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, WithJsonSchema

Time = Annotated[str, WithJsonSchema({"type": "string", "format": "date-time"})]
Uid = Annotated[str, Field(pattern=r"^msg_[0-9a-f]{32}$")]
StateWord = Literal["queued", "sending", "delivered", "dead", "cancelled", "expired", "held", "uncertain"]


class Message(BaseModel):
    """A message as it stands. Texts of receivers (`last_word`, `detail`) are hostile: show them, never run them."""

    id: int
    uid: Uid
    state: StateWord
    target: str
    channel: str
    subject: str
    priority: Literal["low", "normal", "high", "urgent"]
    created_at: Time
    due_at: Time
    expires_at: Time | None
    finished_at: Time | None
    attempts: int
    cycle: int
    reason: str
    last_code: str
    last_word: str
    cancel_requested: bool
    queued_by: str
    route: str | None
    template: str | None
    idempotency_key: str | None
    collapse_key: str | None
    ordering_key: str | None
    on_uncertain: Literal["resend", "ask"]
    size_bytes: int
    tags: list[str]


class RefusedRecipient(BaseModel):
    """A recipient that was refused for good, and why."""

    recipient: str
    detail: str


class Attempt(BaseModel):
    """One try at the wire; outcome null: it is under way, or its engine died."""

    attempt: int
    target: str
    started_at: Time
    finished_at: Time | None
    outcome: str | None
    code: str
    detail: str
    rule: str
    next_at: Time | None
    accepted: list[str]
    refused: list[RefusedRecipient]


class AttachmentInfo(BaseModel):
    """A file of a message, without its bytes."""

    name: str
    content_type: str
    size_bytes: int


class MessageDetail(Message):
    """A message with its attempts."""

    history: list[Attempt]
    attachments: list[AttachmentInfo]


class MessagePage(BaseModel):
    """Messages, newest first. next: what to give as `after` for the page behind; null at the end."""

    messages: list[Message]
    next: int | None


class Check(BaseModel):
    """One check, and what to do when it is not ok."""

    name: str
    status: Literal["ok", "warning", "critical", "unknown"]
    value: str
    advice: str


class Health(BaseModel):
    """All checks and the worst of them."""

    status: Literal["ok", "warning", "critical"]
    checks: list[Check]


class AuditEntry(BaseModel):
    """An entry of the audit log. docs/audit-format.md says how `hash` is made: the risk is no part of it."""

    seq: int
    at: str
    actor: str
    action: str
    subject: str
    detail: dict[str, Any]
    risk: Literal["low", "medium", "high", "critical"]
    risk_reason: str
    prev: str
    hash: str


class AuditPage(BaseModel):
    """Entries, newest first. next: what to give as `before` (or `after`, where that was asked for) to go on."""

    entries: list[AuditEntry]
    next: int | None


class Incident(BaseModel):
    """Something that went wrong. count: how often since `first_at`. alert: the uid of the message that tells of it."""

    id: int
    kind: str
    subject: str
    detail: str
    severity: Literal["low", "medium", "high", "critical"]
    state: Literal["open", "acknowledged", "resolved"]
    count: int
    first_at: Time
    last_at: Time
    note: str
    changed_at: Time | None
    changed_by: str
    alert: str | None


class IncidentList(BaseModel):
    """Incidents, as `chronos incident list --json` shows them."""

    incidents: list[Incident]


class BackupCopy(BaseModel):
    """A copy of a backup off the box. due_at: when it is tried next, while it waits."""

    destination: str
    state: Literal["waiting", "copied", "failed"]
    attempts: int
    due_at: Time
    copied_at: Time | None
    verified_at: Time | None
    detail: str


class Backup(BaseModel):
    """A backup. proof: what the last drill said, a restore into a scratch directory. id null: found in the folder.

    sha256 is of the file, archive_sha256 of the ZIP inside an encrypted one. gone_at: since when the file is missing.
    """

    id: int | None
    name: str
    folder: str
    kind: Literal["scheduled", "manual", "safety", "found"]
    taken_at: Time
    took_ms: int
    size_bytes: int
    sha256: str
    archive_sha256: str
    encrypted: bool
    proof: Literal["proven", "unproven", "failed"]
    proof_detail: str
    proven_at: Time | None
    drilled_at: Time | None
    drill_took_ms: int | None
    verified_at: Time | None
    verified_ok: bool | None
    verified_detail: str
    gone_at: Time | None
    copies: list[BackupCopy]


class BackupList(BaseModel):
    """Backups, newest first, as `chronos backup list --json` shows them."""

    backups: list[Backup]


class Event(BaseModel):
    """What became of an event. message: the uid of the message that was made of it, if any."""

    status: Literal["accepted", "duplicate"]
    event_id: str
    message: Uid | None


class Status(BaseModel):
    """Yes."""

    status: Literal["ok", "ready"]


class FaultOut(BaseModel):
    """One thing that is wrong, and where: one of pointer (into the body), parameter and header."""

    pointer: str | None = None
    parameter: str | None = None
    header: str | None = None
    detail: str


class Problem(BaseModel):
    """An error (RFC 9457). instance: the request's id, which the access log names too."""

    type: Annotated[str, WithJsonSchema({"type": "string", "format": "uri"})]
    title: str
    status: int
    detail: str
    instance: str
    errors: list[FaultOut] = []
