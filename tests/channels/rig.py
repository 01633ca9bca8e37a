"""What the channels' tests share: a delivery, a context, and how a failure is caught."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

import pytest

from engine.channels.base import Channel, ChannelContext
from engine.errors import DeliveryError, SecretMissing
from engine.model import Attachment, Content, Delivery, Priority, TargetSpec

CREATED_MS = 1_790_000_000_000
UID = "msg_0192f0c0a1b27c3d8e4f5a6b7c8d9e0f"


def content(**changes: Any) -> Content:
    plain = Content(subject="Backup", text="All is well.\n", html=None, data=None, headers=(), attachments=())
    return plain._replace(**changes)


def delivery(target: TargetSpec | None = None, **changes: Any) -> Delivery:
    """Return a delivery; `uid`, `attempt_no`, `timeout_ms` … and the fields of Content may be given."""
    fields = set(Content._fields)
    said = content(**{name: value for name, value in changes.items() if name in fields})
    plain = Delivery(
        message_id=1,
        uid=UID,
        attempt_no=1,
        target=target or TargetSpec("me", "email"),
        content=said,
        created_ms=CREATED_MS,
        priority=Priority.NORMAL,
        domain="box.example.org",
        accepted=(),
        timeout_ms=5_000,
        tags=("nightly",),
    )
    return plain._replace(**{name: value for name, value in changes.items() if name not in fields})


def context(
    *,
    smtp: Mapping[str, Any] | None = None,
    secrets: Mapping[str, str] | None = None,
    allow_private: bool = False,
    data_dir: str = "/nonexistent",
    now_ms: int | None = None,
) -> ChannelContext:
    known = dict(secrets or {})

    def secret(reference: str) -> str:
        if reference not in known:
            raise SecretMissing(f"{reference} is not set")
        return known[reference]

    return ChannelContext(
        smtp=smtp or {},
        secret=secret,
        allow_private=allow_private,
        data_dir=data_dir,
        now_ms=lambda: now_ms if now_ms is not None else time.time_ns() // 1_000_000,
    )


def failure(channel: Channel, message: Delivery) -> DeliveryError:
    """Deliver, and return the error that must come of it."""
    with pytest.raises(DeliveryError) as caught:
        channel.deliver(message)
    return caught.value


FILES = (
    Attachment("Übersicht für März, groß.pdf", "application/pdf", bytes(range(256)) * 9),
    Attachment("plain.txt", "text/plain", b"line\r\nline\nend"),
)
