"""The tables of incoming events: what came, what was refused, how often. What a repeat is, is decided by operations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from engine.store.tx import Row, Tx


class Known(NamedTuple):
    """An event that came before."""

    id: int
    event_id: str
    body_sha256: str
    message_uid: str | None


class Counted(NamedTuple):
    """What was counted of a source. last_reason: of the newest refusal or replay."""

    accepted: int = 0
    duplicates: int = 0
    replays: int = 0
    rejected: int = 0
    last_accepted_ms: int | None = None
    last_rejected_ms: int | None = None
    last_reason: str = ""


def known(tx: Tx, source: str, event_id: str) -> Known | None:
    """Return the event that came under this id."""
    row = tx.row("inbound.known", {"source": source, "event_id": event_id})
    return None if row is None else Known(*row)


def known_proof(tx: Tx, source: str, proof: str) -> Known | None:
    """Return an event that came with the same signed content."""
    row = tx.row("inbound.known_proof", {"source": source, "proof": proof})
    return None if row is None else Known(*row)


def add_event(tx: Tx, row: Mapping[str, object]) -> int:
    """Remember an event; return its number."""
    return tx.insert("inbound.add_event", row)


def count_duplicates(tx: Tx, event: int, n: int) -> None:
    tx.run("inbound.count_duplicates", {"id": event, "n": n})


def count_source(tx: Tx, source: str, **counts: int | str | None) -> None:
    """Add to a source's figures. counts: accepted, duplicates, replays, rejected; accepted_ms, rejected_ms, reason."""
    nothing: dict[str, int | str | None] = dict.fromkeys(("accepted", "duplicates", "replays", "rejected"), 0)
    nothing.update(accepted_ms=None, rejected_ms=None, reason="")
    tx.run("inbound.count_source", {**nothing, **counts, "source": source})


def count_rejection(tx: Tx, row: Mapping[str, object]) -> None:
    tx.run("inbound.count_rejection", row)


def trim_rejections(tx: Tx, source: str, most: int) -> None:
    """Keep the newest rows of a source."""
    tx.run("inbound.trim_rejections", {"source": source, "most": most})


def states(tx: Tx) -> dict[str, Counted]:
    """Return what was counted, by source."""
    return {row[0]: Counted(*row[1:]) for row in tx.rows("inbound.states")}


def rejections(tx: Tx, source: str, n: int) -> list[Row]:
    """Return (reason, remote, detail, first_ms, last_ms, count), newest first."""
    return tx.rows("inbound.rejections", {"source": source, "n": n})


def failed(tx: Tx, source: str) -> int:
    """Return how many events became no message, counted up to 1 000."""
    return int(tx.value("inbound.failed", {"source": source}))


def page(tx: Tx, source: str | None, before: int, n: int) -> list[Row]:
    """Return events without bodies, newest first."""
    params = {"source": source, "before": before, "n": n}
    return tx.rows("inbound.page" if source is None else "inbound.page_of", params)


def event(tx: Tx, number: int) -> Row | None:
    """Return an event with its body."""
    return tx.row("inbound.event", {"id": number})


def headers(tx: Tx, number: int) -> str:
    """Return the JSON of an event's kept headers."""
    return str(tx.value("inbound.headers", {"id": number}))


def mark_replayed(tx: Tx, number: int, detail: str, message_uid: str) -> None:
    tx.run("inbound.replayed", {"id": number, "detail": detail, "message_uid": message_uid})


def kept_before(tx: Tx, source: str, before_ms: int, n: int) -> list[int]:
    """Return up to `n` events with a body that came before a time, oldest first."""
    return [row[0] for row in tx.rows("inbound.kept", {"source": source, "before_ms": before_ms, "n": n})]


def known_before(tx: Tx, source: str, before_ms: int, n: int) -> list[int]:
    """Return up to `n` events that came before a time, oldest first."""
    return [row[0] for row in tx.rows("inbound.known_for_long", {"source": source, "before_ms": before_ms, "n": n})]


def drop_bodies(tx: Tx, numbers: Sequence[int]) -> None:
    """Let the bodies go; the events stay known."""
    tx.run_many("inbound.drop_body", [{"id": number} for number in numbers])


def forget(tx: Tx, numbers: Sequence[int]) -> None:
    tx.run_many("inbound.forget", [{"id": number} for number in numbers])
