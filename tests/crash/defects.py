"""Defects that a child process can be given, to see that the checker finds them. Never imported by a sound engine."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from typing import Any

Call = Callable[..., Any]


def _wrap(owner: Any, name: str, wrapper: Callable[[Call], Call]) -> None:
    """Put what `wrapper` makes of the sound function in its place."""
    setattr(owner, name, wrapper(getattr(owner, name)))


def _wrap_deliver(wrapper: Callable[[Call], Call]) -> None:
    from engine.channels.webhook import WebhookChannel

    _wrap(WebhookChannel, "deliver", wrapper)


class _DryRunError(Exception):
    pass


def acknowledge_early() -> None:
    """Enqueue answers before the commit: the uid is told, the write comes a little later."""
    from engine.store.database import Database

    def wrapper(write: Call) -> Call:
        def early(self: Any, work: Call) -> Any:
            found: list[Any] = []

            def dry(tx: Any) -> None:
                found.append(work(tx))
                raise _DryRunError

            try:
                write(self, dry)
            except _DryRunError:
                threading.Timer(0.5, write, (self, work)).start()
            return found[0]

        return early

    _wrap(Database, "write", wrapper)


def forget_identity() -> None:
    """A retry travels under a new identity."""
    from engine.operations import delivering

    def wrapper(load: Call) -> Call:
        def forgetful(tx: Any, context: Any, claimed: Any) -> Any:
            delivery = load(tx, context, claimed)
            return delivery if delivery.attempt_no == 1 else delivery._replace(uid=f"msg_{os.urandom(16).hex()}")

        return forgetful

    _wrap(delivering, "load", wrapper)


def lease_for_ever() -> None:
    """What a dead owner left is never taken up."""
    from engine.operations import delivering

    _wrap(delivering, "reclaim_orphans", lambda _: lambda *_: 0)


def deliver_nothing() -> None:
    """Every third message counts as delivered without having been sent."""
    from engine.model import Receipt

    def wrapper(deliver: Call) -> Call:
        return lambda self, one: Receipt("ok") if one.message_id % 3 == 0 else deliver(self, one)

    _wrap_deliver(wrapper)


def send_twice() -> None:
    """The channel repeats by itself what went wrong, and tells nobody."""
    from engine.errors import DeliveryError

    def wrapper(deliver: Call) -> Call:
        def stubborn(self: Any, one: Any) -> Any:
            try:
                return deliver(self, one)
            except DeliveryError:
                return deliver(self, one)

        return stubborn

    _wrap_deliver(wrapper)


def other_bytes() -> None:
    """The body differs from attempt to attempt."""
    from engine.channels import webhook

    _wrap(webhook, "default_body", lambda body: lambda delivery: body(delivery) + b" " * delivery.attempt_no)


def hide_uncertainty() -> None:
    """A connection that died after the body counts as not sent."""
    from engine.errors import DeliveryError, Sent

    def wrapper(deliver: Call) -> Call:
        def sure(self: Any, one: Any) -> Any:
            try:
                return deliver(self, one)
            except DeliveryError as error:
                error.sent = Sent.NO if error.sent == Sent.UNKNOWN else error.sent
                raise

        return sure

    _wrap_deliver(wrapper)


def no_backoff() -> None:
    """A failed message goes out again at once."""
    from engine.rules import decide

    _wrap(decide, "delay_ms", lambda _: lambda *_, **__: 0)


def no_audit() -> None:
    """Now and then an act is not written into the audit log."""
    from engine.store import audit

    def wrapper(append: Call) -> Call:
        def forgetful(tx: Any, now_ms: int, actor: str, action: str, subject: str, detail: Any) -> Any:
            forgotten = action == "message.delivered" and detail["id"] % 7 == 0
            return 0 if forgotten else append(tx, now_ms, actor, action, subject, detail)

        return forgetful

    _wrap(audit, "append", wrapper)


def no_fence() -> None:
    """Two owners at once: neither the lock nor the epoch is looked at."""
    from engine.host.locks import EngineLock
    from engine.operations import delivering
    from engine.store import leader

    _wrap(EngineLock, "acquire", lambda _: lambda *_: True)
    _wrap(delivering, "fence", lambda _: lambda *_: None)
    _wrap(leader, "beat", lambda _: lambda *_, **__: True)


DEFECTS: dict[str, Callable[[], None]] = {
    "acknowledge-early": acknowledge_early,
    "forget-identity": forget_identity,
    "lease-for-ever": lease_for_ever,
    "deliver-nothing": deliver_nothing,
    "send-twice": send_twice,
    "other-bytes": other_bytes,
    "hide-uncertainty": hide_uncertainty,
    "no-backoff": no_backoff,
    "no-audit": no_audit,
    "no-fence": no_fence,
}


def plant(name: str) -> None:
    """Put the defect into this process."""
    DEFECTS[name]()
