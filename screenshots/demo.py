"""An afternoon on a small box, for the pictures: the same messages at the same times in every run. Sends nothing."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Callable

from engine.model import (
    DELIVERED,
    Attachment,
    Message,
    NewMessage,
    OnUncertain,
    Outcome,
    Priority,
    RouteStep,
    Settings,
    TargetSpec,
)
from engine.operations import holding
from engine.operations.acts import Action, act_on_one
from engine.operations.context import Context
from engine.operations.enqueue import enqueue
from tests.support import Box, settings

MINUTE_MS = 60_000
_ORDERS = ("Order 2026-1180 paid", "Order 2026-1181 paid", "Order 2026-1182 shipped", "Order 2026-1183 paid")
_CHECKS = ("Health of box: all is well", "Certificates: 61 days left", "Disk at 71 %", "Updates: none pending")
_LOG = b"rsync: write failed on /backup/db.tar: No space left on device (28)\n" * 40
_OK = Outcome(DELIVERED, "202 Accepted", "202")
_MAILED = Outcome(DELIVERED, "2.0.0 queued as 4F2A91C3", "250", accepted=("ops@example.org",))
_REFUSED = Outcome("rejected", "5.7.8 authentication failed: password expired", "535")
_BUSY = Outcome("not_sent", "service unavailable, try again later", "503")


def configuration() -> Settings:
    """Return what the box is configured to do."""
    specs = (
        TargetSpec("ops", "email", {"to": ["ops@example.org"]}, lane="ops", on_uncertain=OnUncertain.ASK),
        TargetSpec("billing", "email", {"to": ["billing@example.org"]}, lane="billing"),
        TargetSpec("crm", "webhook", {"url": "https://crm.example.org/hooks/orders"}, lane="crm"),
        TargetSpec("pager", "webhook", {"url": "https://pager.example.org/v2/enqueue"}, lane="pager"),
        TargetSpec("archive", "maildir", {"path": "mail"}, lane="archive"),
    )
    routes = {"alerts": (RouteStep("pager"), RouteStep("ops", 5 * MINUTE_MS))}
    return settings({spec.name: spec for spec in specs}, routes)


def fill(box: Box) -> dict[str, int]:
    """Live through the afternoon; return the numbers of messages that the pictures show."""
    day = _Day(box)
    for minute in range(55):
        day.orders(minute)
        if minute % 9 == 4:
            day.settle(
                day.put("cli:health", target="ops", subject=_CHECKS[minute // 9 % 4], text="See below."), _MAILED
            )
        if minute == 20:
            day.trouble()
        box.clock.advance_ms(MINUTE_MS)
    day.finish()
    return day.shown


class _Day:
    """shown: messages by what they are in the pictures."""

    def __init__(self, box: Box) -> None:
        self._box = box
        self._orders = itertools.count(1_184)
        self._entropy = _entropy()
        self.shown: dict[str, int] = {}

    def put(self, actor: str, **fields: object) -> Message:
        new = NewMessage(**fields)  # type: ignore[arg-type]
        return enqueue(self._as(actor), new).message

    def _as(self, actor: str) -> Context:
        box = self._box
        return Context(box.database, box.clock, box.context.settings, actor, self._entropy, 1)

    def settle(self, message: Message, *outcomes: Outcome | None) -> None:
        """Try a message once for each outcome, waiting in between as the engine does; None leaves it on the wire."""
        for outcome in outcomes:
            waits_ms = self._box.message(message).due_ms - self._box.clock.now_ms()
            if waits_ms > 0:
                self._box.clock.advance_ms(waits_ms)
            claimed = {one.taken.id: one for one in self._box.claim()}[message.id]
            if outcome is not None:
                self._box.clock.advance_ms(180)
                self._box.finish(claimed, outcome)

    def orders(self, minute: int) -> None:
        """Hand on what the shop sold: more at noon, now and then refused at first."""
        for number in range((3, 5, 2, 4, 6, 1, 3)[minute % 7]):
            order = next(self._orders)
            data = json.dumps({"order": f"2026-{order}", "total": f"{19 + order % 80}.90", "state": "paid"})
            message = self.put(
                "cli:shop", target="crm", subject=f"Order 2026-{order} paid", data=data, tags=("orders",)
            )
            if minute in {17, 18, 31} and number == 0:
                self.settle(message, _BUSY, _OK)
            else:
                self.settle(message, _OK)

    def trouble(self) -> None:
        """Let some of it go wrong for good, or nobody knows how."""
        for subject in ("Invoice 2026-0911", "Invoice 2026-0912", "Reminder: invoice 2026-0874"):
            self.settle(
                self.put("cli:invoices", target="billing", subject=subject, text="See the attachment."), _REFUSED
            )
        message = self.put("cli:cron", target="ops", subject="Night shift report", text="Nothing to report.")
        self.settle(message, Outcome("unknown", "connection lost after the text was sent"))
        self.shown["uncertain"] = message.id

    def finish(self) -> None:
        """Bring about what the pictures begin with."""
        box = self._box
        message = self.put(
            "cli:backup",
            target="billing",
            subject="Backup failed on box",
            text="Copying db.tar stopped: the disk is full.\n\n  /dev/sdb1  500G  500G  0  100%  /backup\n\n"
            "The copy of yesterday is still there and was verified.\nThe next try is tomorrow at 02:00.",
            tags=("backup", "nightly"),
            headers=(("X-Job", "backup-nightly"),),
            attachments=(Attachment("backup.log", "text/plain", _LOG),),
            idempotency_key="backup-2026-09-21",
            priority=Priority.HIGH,
        )
        self.settle(message, _BUSY, _BUSY, _REFUSED)
        self.shown["dead"] = message.id
        sale = self.put("cli:shop", target="crm", subject="Sale ends today", data='{"sale": "autumn"}')
        act_on_one(self._as("cockpit:maria"), Action.CANCEL, sale.id)
        disk = self.put("cli:health", target="ops", subject="Disk at 91 %", text="/backup fills up.")
        act_on_one(self._as("cockpit:maria"), Action.HOLD, disk.id)
        box.clock.advance_ms(2 * MINUTE_MS)
        holding.pause(self._as("cockpit:maria"), "channel:email", for_ms=30 * MINUTE_MS, reason="password renewed")
        for number in range(4):
            self.put("cli:invoices", target="billing", subject=f"Invoice 2026-{913 + number:04d}", text="See below.")
        for number in range(3):
            message = self.put("cli:shop", target="crm", subject=_ORDERS[number], data="{}")
            self.settle(message, _BUSY if number == 0 else _OK if number == 1 else None)
        later_ms = box.clock.now_ms() + 6 * 3_600_000
        self.put("cli:reports", target="ops", subject="Weekly report", text="Sums.", not_before_ms=later_ms)
        box.clock.advance_ms(18 * MINUTE_MS // 10)


def _entropy() -> Callable[[int], bytes]:
    """Return bytes that look like chance and are the same in each run."""
    number = itertools.count()

    def take(n: int) -> bytes:
        return hashlib.shake_256(next(number).to_bytes(8, "big")).digest(n)

    return take
