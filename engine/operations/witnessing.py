"""The audit log's witness: sends its signed head to a target, and compares the log with what was kept elsewhere."""

from __future__ import annotations

import json
from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace

from engine.errors import NotPossible
from engine.model import NewMessage
from engine.operations import checkpointing, vault, verifying
from engine.operations.auditing import Progress
from engine.operations.checkpointing import DAY_MS
from engine.operations.context import Context, writable
from engine.operations.enqueue import prepare, store
from engine.rules import witnesses
from engine.rules.canonical import ChainResult
from engine.rules.checkpoints import Checkpoint, Signer
from engine.rules.witnesses import Witness
from engine.store import audit
from engine.store.audit import Span
from engine.store.tx import Tx

WITNESSED = "audit.witnessed"
LOOK_EVERY_S = 60
_SLICE = 2_000
_RETRY_KEY = "witnessing.retry_ms"
_PATIENCE_MS = 300_000


# Sending


def witness(context: Context, target: str | None = None, signer: Signer | None = None) -> tuple[Checkpoint, str]:
    """Sign the head and send it to a target or route; return the checkpoint and the message's uid.

    target: instead of security.audit_witness. Raises NotPossible without either, or without a vault; NotFound.
    """
    writable(context)
    chosen = target or context.settings.security["audit_witness"]
    if not chosen:
        raise NotPossible("no witness is configured: set security.audit_witness to a target, or name one with --to")
    prepare(context, _message(str(chosen), _SAMPLE))  # a target that cannot be used costs no checkpoint
    made = checkpointing.make(context, signer)
    prepared = prepare(context, _message(str(chosen), made))

    def work(tx: Tx) -> str:
        uid = store(tx, context, prepared).message.uid
        detail = {"at": made.at, "seq": made.seq, "to": str(chosen), "uid": uid}
        audit.append(tx, context.clock.now_ms(), context.actor, WITNESSED, "audit", detail)
        return uid

    return made, context.database.write(work)


_SAMPLE = Checkpoint(0, "0" * 64, "", "0" * 64, "")


def _message(target: str, made: Checkpoint) -> NewMessage:
    document = json.dumps(made.document(), indent=2, sort_keys=True)
    text = (
        f"The audit log of {made.instance} ended with entry {made.seq} at {made.at}.\n\n"
        "Keep this message. It proves later that nothing up to that entry was changed, put in or cut off:\n\n"
        "    chronos audit verify --against FILE     (FILE: this message, saved or copied)\n\n"
        f"{document}\n"
    )
    subject = f"Audit log of {made.instance}: entry {made.seq}"
    # One message for one head and one receiver. By the hash, which nobody knows beforehand: who may send may use any
    # key, and one that was taken for other content must not keep the witness from being told.
    key = f"audit-witness:{made.seq}:{made.hash[:16]}:{target}"[:256]
    return NewMessage(target, subject, text, idempotency_key=key)


def send_when_due(context: Context) -> str | None:
    """Send the head to security.audit_witness once a day, also over restarts. For the owner's upkeep."""
    if not context.settings.security["audit_witness"] or vault.state(context) is None:
        return None
    sent = last_sent(context)
    now_ms = context.clock.now_ms()
    if sent is not None and 0 <= now_ms - sent.at_ms < DAY_MS:
        return None
    monotonic_ms = context.clock.monotonic_ms()
    if monotonic_ms < context.kept.get(_RETRY_KEY, 0):
        return None
    context.kept[_RETRY_KEY] = monotonic_ms + _PATIENCE_MS
    _made, uid = witness(context.acting_as("engine"))
    context.kept.pop(_RETRY_KEY, None)  # a restore may have forgotten it meanwhile
    return uid


@dataclass(frozen=True, slots=True)
class Sent:
    """The newest witness message. seq: the entry that it saw as the last. to: the target or route."""

    at_ms: int
    seq: int
    to: str
    uid: str


def last_sent(context: Context) -> Sent | None:
    """Return the newest witness message that was queued; None before there was one."""
    stored = context.database.read(lambda tx: audit.newest_of(tx, WITNESSED))
    if stored is None:
        return None
    try:
        entry = json.loads(stored.body)
        detail = entry["detail"]
        at_ms = checkpointing.time_ms(str(entry["at"]))
        return Sent(at_ms, int(detail["seq"]), str(detail["to"]), str(detail["uid"]))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None  # tampered with: verification says so


@dataclass(frozen=True, slots=True)
class Signing:
    """How far the log is signed. newest: the newest checkpoint. since: entries it does not vouch for. sent: the newest
    witness message. witness: where the head goes once a day; "" when nowhere. vault: whether there is one to sign with.
    """

    newest: Checkpoint | None
    since: int
    age_ms: int | None
    sent: Sent | None
    witness: str
    vault: bool


def signing(context: Context) -> Signing:
    """Return how far the log is signed, by a few seeks."""
    since, age_ms = checkpointing.since_newest(context)
    return Signing(
        newest=checkpointing.newest(context),
        since=since,
        age_ms=age_ms,
        sent=last_sent(context),
        witness=str(context.settings.security["audit_witness"] or ""),
        vault=vault.state(context) is not None,
    )


# Comparing


@dataclass(frozen=True, slots=True)
class Comparison:
    """A log against what was kept of it elsewhere.

    chain: what the log proves by itself. why: the first thing that is wrong, "" when nothing is. bad_seq: the first
    entry that is not what it was, or is missing; span: among which the change is, where it cannot be said exactly.
    witness_seq: the newest entry that the witness saw. compared: how many entries were compared one by one.
    checkpoints: how many signed ones the witness holds. note: what could not be compared or confirmed.
    """

    ok: bool
    chain: ChainResult
    why: str
    bad_seq: int | None
    witness_seq: int | None
    checkpoints: int
    compared: int = 0
    span: tuple[int, int] | None = None
    note: str = ""


@dataclass(slots=True)
class _Finding:
    why: str = ""
    bad_seq: int | None = None
    span: tuple[int, int] | None = None


def compare(
    context: Context, data: bytes, progress: Progress | None = None, *, former: Sequence[str] = ()
) -> Comparison:
    """Verify the log, and hold it against a witness: what was changed, and also what was cut off or written anew.

    Raises BadInput when `data` is no witness at all.
    """
    seen = witnesses.read(data)
    chain = verifying.examine(context, progress, former=former)
    mark, head = context.database.read(lambda tx: (audit.pruned_seq(tx), audit.head(tx)[0]))
    notes = [chain.note] if chain.note else []
    found = _entries(context, seen, mark, head)
    for one in seen.checkpoints:
        found = _first(found, _checkpoint(context, one, mark, former))
    last = max([*seen.seqs[-1:], *(one.seq for one in seen.checkpoints)])
    skipped = sum(seq <= mark for seq in seen.seqs) + sum(one.seq < mark for one in seen.checkpoints)
    if skipped:
        notes.append(f"the log was pruned up to entry {mark}: what the witness saw before is in the archives alone")
    result = Comparison(
        ok=chain.ok and not found.why,
        chain=chain,
        why=found.why,
        bad_seq=found.bad_seq,
        witness_seq=last,
        checkpoints=len(seen.checkpoints),
        compared=sum(mark < seq <= head for seq in seen.seqs),
        span=found.span,
        note="; ".join(notes),
    )
    result = result if chain.ok else _with_chain(result, chain)
    if not chain.ok or result.bad_seq is not None:
        # Not before: the report is an entry itself. A file that is no genuine witness of this log accuses nobody.
        verifying.report(context, result.why)
    return result


def _with_chain(found: Comparison, chain: ChainResult) -> Comparison:
    """Of what the log and the witness each say, name what comes first."""
    if found.why and found.bad_seq is not None and (chain.bad_seq is None or found.bad_seq <= chain.bad_seq):
        return found
    why = f"{chain.why}; {found.why}" if found.why else chain.why
    return replace(found, why=why, bad_seq=chain.bad_seq, span=chain.span)


def _first(one: _Finding, other: _Finding) -> _Finding:
    """An entry that is named exactly says more than a range; of two, the earlier one."""
    found = [finding for finding in (one, other) if finding.why]
    found.sort(key=lambda finding: (finding.bad_seq is None, finding.span is not None, finding.bad_seq or 0))
    return found[0] if found else one


def _entries(context: Context, seen: Witness, mark: int, head: int) -> _Finding:
    """Compare entry by entry, in slices."""
    if seen.damaged is not None:
        return _Finding(f"the file itself was changed: its entry {seen.damaged} does not match its own hash")
    index, count = 0, len(seen.seqs)
    while index < count and seen.seqs[index] <= mark:
        index += 1
    while index < count:
        upto = bisect_left(seen.seqs, seen.seqs[index] + _SLICE, index)
        span = Span(seen.seqs[index] - 1, seen.seqs[upto - 1] + 1)
        hashes = context.database.read(lambda tx, span=span: audit.hashes(tx, span))  # type: ignore[misc]
        for place in range(index, upto):
            seq = seen.seqs[place]
            if seq not in hashes:
                if seq <= context.database.read(audit.pruned_seq):
                    continue  # archived a moment ago
                return _Finding(_gone(seq, head, seen.seqs[-1]), seq)
            if hashes[seq] != seen.hash_at(place):
                strange = " (every entry does: it may be another log's)" if place == 0 and seq == 1 else ""
                return _Finding(f"entry {seq} is not the one that the witness saw{strange}", seq)
        index = upto
    return _Finding()


def _gone(seq: int, head: int, last: int) -> str:
    if seq > head:
        return f"entry {seq} is missing: the log ends at {head}, the witness saw {last}"
    return f"entry {seq} is missing: the witness saw it"


def _checkpoint(context: Context, one: Checkpoint, mark: int, former: Sequence[str]) -> _Finding:
    if not one.fits():
        return _Finding(f"the witness's checkpoint of entry {one.seq} is not genuine: its signature does not fit")
    known = checkpointing.trust(context, former).keys
    if known is not None and one.key not in known:
        ours = ", ".join(sorted(key[:12] for key in known))
        whose = f" of {one.instance}" if one.instance else ""
        return _Finding(
            f"the witness is another log's{whose}: signed with the key {one.key[:12]}…, this one's is {ours}… "
            f"(a former key of this log's is named with --key)"
        )
    apart = verifying.disagreement(context, one, mark)
    return _Finding() if apart is None else _Finding(apart.why, apart.bad_seq, apart.span)
