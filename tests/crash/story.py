"""What the audit log says of one message. Imports nothing of engine/."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Row = dict[str, Any]

_STATE_AFTER = {
    "queued": "queued",
    "retried": "queued",
    "resent": "queued",
    "released": "queued",
    "rerouted": "queued",
    "held": "held",
    "cancelled": "cancelled",
    "expired": "expired",
    "delivered": "delivered",
    "dead": "dead",
    "uncertain": "uncertain",
}
_OF_THE_ENGINE = frozenset({"queued", "delivered", "dead", "uncertain", "expired"})


class Story:
    """The entries about one message, played through."""

    def __init__(self, entries: list[Row]) -> None:
        self.entries = entries
        self.state = "unknown to it"
        self.settled = False
        self.operated = False
        for entry in entries:
            self._play(entry["action"].removeprefix("message."), entry["detail"])

    def _play(self, word: str, detail: Row) -> None:
        self.operated = self.operated or word not in _OF_THE_ENGINE
        if word == "settled":
            self.settled, self.state = True, detail["as"]
        elif not (word == "cancelled" and detail.get("requested")):
            self.state = _STATE_AFTER.get(word, self.state)

    def compare(self, message: Row, delivered_by: list[int]) -> Iterator[str]:
        """Yield where the entries and the rows do not say the same. delivered_by: the attempts that did it."""
        queued = [entry for entry in self.entries if entry["action"] == "message.queued"]
        if len(queued) != 1:
            yield f"has {len(queued)} entries that say it was queued"
            return
        told = queued[0]["detail"]
        if (told["id"], told["sha256"], told.get("key")) != (
            message["id"],
            message["content_hash"],
            message["idempotency_key"],
        ):
            yield "is not the message that its audit entry says was queued"
        if queued[0] is not self.entries[0]:
            yield "has an audit entry older than its enqueue"
        told_by = [entry["detail"]["attempt"] for entry in self.entries if entry["action"] == "message.delivered"]
        if told_by != delivered_by:
            yield f"was delivered by attempts {delivered_by}; the audit log says {told_by}"
