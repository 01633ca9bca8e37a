"""An event comes in: proven, known or new, and made a message, all in one transaction. Tells the sender nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from engine.errors import BadInput, ChronosError, NotFound, NotPossible, TryAgain
from engine.operations import enqueue, incidents, tallying
from engine.operations.context import Context, writable
from engine.rules import mapping
from engine.rules.identity import new_uid
from engine.rules.incidents import Kind
from engine.rules.signing import BadSignature, Reason
from engine.rules.text import safe_line
from engine.rules.verifiers import API_KEY, verify
from engine.rules.verifiers.base import Proof, Request, digest
from engine.store import audit
from engine.store import inbound as store
from engine.store.tx import Tx

if TYPE_CHECKING:
    from engine.operations.gate import Caller

_MOST_REASON_CHARS = 500


class Verdict(StrEnum):
    """What became of a request."""

    ACCEPTED = "accepted"
    DUPLICATE = "duplicate"
    REPLAY = "replay"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Received:
    """How a request ended. reason: for the operator only, never for the sender."""

    verdict: Verdict
    event_id: str
    message_uid: str | None
    reason: str = ""


class _Arrival(NamedTuple):
    """A proven request before it is stored."""

    event: mapping.Event
    proof: Proof
    body_sha256: str
    remote: str


class Made(NamedTuple):
    """What an event was made. prepared: the message, checked and laid out; None where there is none."""

    outcome: str
    detail: str
    prepared: enqueue._Prepared | None


class _Seen(NamedTuple):
    known: store.Known
    verdict: Verdict
    reason: str


def receive(
    context: Context,
    source: str,
    headers: Mapping[str, str],
    body: bytes,
    *,
    remote: str,
    caller: Caller | None = None,
) -> Received:
    """Take an event in. Once this returns ACCEPTED it survives kill -9, and a copy of it has no effect any more.

    body: the raw bytes. caller: who showed an API key, for a source that asks for one.
    DUPLICATE: known, with the same body, or by an id that is part of the signed body. REPLAY: a known id with another
    body, or signed content that came before under another id. REFUSED: not proven; counted, and nothing of it was read.
    Raises NotFound for an unknown source, TryAgain when nothing could be judged or stored: the sender may come again.
    """
    writable(context)
    entry = context.settings.sources.get(source)
    if entry is None:
        raise NotFound(f"no source {source!r:.80}; 'chronos source list' shows them")
    lower = {name.lower(): value for name, value in headers.items()}
    try:
        proof = _proven(context, source, entry, Request(lower, body, context.clock.now_ms() // 1000), caller, remote)
    except BadSignature as error:
        tallying.refused(context, source, error.reason, remote, str(error))
        return Received(Verdict.REFUSED, "", None, str(error))
    named = proof.event_id or _unnamed(context, entry, proof)
    arrival = _arrival(source, named, lower, body, proof, remote)
    seen = context.database.read(lambda tx: _seen(tx, arrival))
    if seen is not None:
        return _again(context, arrival, seen)
    acting = context.acting_as(caller.actor if caller is not None else f"source:{source}")
    made = _make(acting, entry, arrival.event)
    stored = context.database.write(lambda tx: _store(tx, acting, arrival, made))
    return stored if isinstance(stored, Received) else _again(context, arrival, stored)


def _proven(
    context: Context, source: str, entry: Mapping[str, Any], request: Request, caller: Caller | None, remote: str
) -> Proof:
    if entry["verify"] == API_KEY:
        if caller is None:
            raise BadSignature("no API key was shown", Reason.KEY)
        return verify(entry, request, (), 0)
    opened, troubles = _open_secrets(context, entry)
    tolerance_s = context.settings.security["signature_tolerance_ms"] // 1000
    trouble = "; ".join(troubles)
    if opened:
        try:
            return verify(entry, request, opened, tolerance_s)
        except BadSignature:
            raise
        except BadInput as error:
            trouble = str(error)
    tallying.refused(context, source, Reason.SECRET, remote, trouble)
    raise TryAgain(f"source {source}: no event can be verified: {trouble}")


def _open_secrets(context: Context, entry: Mapping[str, Any]) -> tuple[list[str], list[str]]:
    """Return the secrets of a source that can be opened, and why the others cannot."""
    from engine.operations.secrets import look_up

    opened, troubles = [], []
    for reference in entry["secret"]:
        try:
            opened.append(look_up(context, reference))
        except ChronosError as error:
            troubles.append(str(error))
    return opened, troubles


def _unnamed(context: Context, entry: Mapping[str, Any], proof: Proof) -> str:
    """Return an id for an event that its sender gave none."""
    if entry["verify"] == API_KEY:
        return new_uid(context.clock.now_ms(), context.entropy(10)).replace("msg_", "evt_")
    return f"sha256:{proof.digest}"  # the same signed content is the same event


def _arrival(
    source: str, event_id: str, headers: Mapping[str, str], body: bytes, proof: Proof, remote: str
) -> _Arrival:
    content_type = safe_line(headers.get("content-type", ""), 200)
    event = mapping.Event(source, event_id, proof.kind, mapping.kept_headers(headers), content_type, body)
    return _Arrival(event, proof, digest(body), safe_line(remote, 100))


def _seen(tx: Tx, arrival: _Arrival) -> _Seen | None:
    """Return the event that a request repeats or misuses; None for a new one."""
    source, event_id = arrival.event.source, arrival.event.event_id
    known = store.known(tx, source, event_id)
    if known is not None and (known.body_sha256 == arrival.body_sha256 or arrival.proof.id_in_body):
        return _Seen(known, Verdict.DUPLICATE, "")
    if known is not None:
        return _Seen(known, Verdict.REPLAY, f"the id of event {known.id} came with another body")
    if not arrival.proof.signed_id and (known := store.known_proof(tx, source, arrival.proof.digest)) is not None:
        return _Seen(known, Verdict.REPLAY, f"the signature of event {known.id} came under another id")
    return None


def _again(context: Context, arrival: _Arrival, seen: _Seen) -> Received:
    source = arrival.event.source
    if seen.verdict is Verdict.DUPLICATE:
        tallying.duplicate(context, source, seen.known.id)
    else:
        tallying.replay(context, source, arrival.remote, seen.reason)
    return Received(seen.verdict, arrival.event.event_id, seen.known.message_uid, seen.reason)


def _make(context: Context, entry: Mapping[str, Any], event: mapping.Event) -> Made:
    """Make a message of an event. What keeps it from becoming one is a reason to keep the event, never to refuse it."""
    document = mapping.read(event)
    unwanted = mapping.wanted(entry["deliver"]["when"], document)
    if unwanted:
        return Made("ignored", unwanted, None)
    try:
        return make_message(context, entry, document, None)
    except (BadInput, NotFound, NotPossible) as error:
        return Made("failed", safe_line(str(error), _MOST_REASON_CHARS), None)


def make_message(context: Context, entry: Mapping[str, Any], document: mapping.Document, target: str | None) -> Made:
    """Make a message of an event, for the configured target or another. Raises what enqueue.prepare raises."""
    mapped = mapping.to_message(entry["deliver"], document, context.clock.now_ms(), target)
    detail = f"not in the event: {', '.join(mapped.missing)}" if mapped.missing else ""
    return Made("queued", safe_line(detail, _MOST_REASON_CHARS), enqueue.prepare(context, mapped.new))


def _store(tx: Tx, context: Context, arrival: _Arrival, made: Made) -> Received | _Seen:
    seen = _seen(tx, arrival)  # a copy may have been stored since it was looked for
    if seen is not None:
        return seen
    event, now_ms = arrival.event, context.clock.now_ms()
    uid = None if made.prepared is None else enqueue.store(tx, context, made.prepared).message.uid
    store.add_event(tx, _row(arrival, made, uid, now_ms))
    store.count_source(tx, event.source, accepted=1, accepted_ms=now_ms)
    detail = {"event_id": event.event_id, "sha256": arrival.body_sha256, "message": uid, "outcome": made.outcome}
    audit.append(tx, now_ms, context.actor, "event.accepted", f"source:{event.source}", detail)
    if made.outcome == "failed":
        words = f"{event.event_id}: {made.detail}"
        incidents.raise_incident(tx, context, Kind.NOT_MAPPED, event.source, words)
    return Received(Verdict.ACCEPTED, event.event_id, uid, made.detail)


def _row(arrival: _Arrival, made: Made, uid: str | None, now_ms: int) -> dict[str, object]:
    event = arrival.event
    return {
        "source": event.source,
        "event_id": event.event_id,
        "proof": arrival.proof.digest,
        "body_sha256": arrival.body_sha256,
        "received_ms": now_ms,
        "remote": arrival.remote,
        "kind": event.kind,
        "content_type": event.content_type,
        "headers": json.dumps(event.headers),
        "body": event.body,
        "size": len(event.body),
        "outcome": made.outcome,
        "detail": made.detail,
        "message_uid": uid,
    }
