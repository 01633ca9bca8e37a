"""Proves the audit log: chain, signatures, both ends, guards. Reads; all that it ever writes is an incident."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import NamedTuple

from engine.errors import VaultDamaged
from engine.operations import checkpointing
from engine.operations.auditing import SLICE, Progress
from engine.operations.context import Context
from engine.rules.canonical import GENESIS, ChainResult, unbroken, verify_chain
from engine.rules.checkpoints import CHECKPOINT, Checkpoint, Proofs, Trust
from engine.rules.incidents import Kind
from engine.store import audit
from engine.store.audit import Span, fields_of
from engine.store.tx import Tx

_OURS = b'{"action":"audit.'


def verify(context: Context, progress: Progress | None = None, *, former: Sequence[str] = ()) -> ChainResult:
    """Prove the log as `examine` does; make an incident of what is found, or end it. Nothing else is written."""
    found = examine(context, progress, former=former)
    if not found.ok:
        report(context, found.why)
    else:
        from engine.operations import incidents

        incidents.clear(context, Kind.AUDIT_BROKEN, "audit", "the whole log was verified and is what was written")
    return found


def report(context: Context, why: str) -> None:
    """Make an incident of it, where anything may be written."""
    if not context.read_only:
        from engine.operations import incidents

        incidents.report(context, Kind.AUDIT_BROKEN, "audit", why)


def examine(context: Context, progress: Progress | None = None, *, former: Sequence[str] = ()) -> ChainResult:
    """Prove the log from the first entry kept to the head, in slices: the chain, the signed checkpoints in it, the head
    that is recorded beside it, the newest checkpoint that is kept outside, what was pruned, and the table's guards.

    progress: told how many entries of how many were checked, every SLICE of them and at the end. What it raises ends
    the verification and is passed on. former: public keys of a lost vault, which the caller vouches for.
    """
    while True:
        found, moved = _verified(context, progress, former)
        if found.ok or not moved:
            return found
        # Entries that are archived away while they are looked for are no reason for an alarm. The low end only rises.


def _verified(context: Context, progress: Progress | None, former: Sequence[str]) -> tuple[ChainResult, bool]:
    """Return what was found, and whether entries were archived away or deleted for that while it was looked for."""
    kept = checkpointing.kept_head(context)  # before the log is looked at: so it can only be older
    try:
        trust, damage = checkpointing.trust(context, former), ""
    except VaultDamaged as error:
        trust, damage = Trust(), str(error)
    view = context.database.read(_view)
    proofs = Proofs(trust)
    found = _chain(context, view, proofs, progress)
    notes = [trust.note] if proofs.signed and trust.note else []
    if kept is not None and not (kept.fits() and (trust.keys is None or kept.key in trust.keys)):
        notes.append("audit-head.json is not signed by this vault and was left out")
        kept = None
    if found.ok:
        found = _edges(context, view, proofs, found, kept)
    if found.ok and damage:
        found = found._replace(ok=False, why=damage)
    found = found._replace(
        checkpoints=len(proofs.signed),
        signed_seq=proofs.signed[-1] if proofs.signed else None,
        confirmed=bool(proofs.signed) and trust.confirmed,
        note="; ".join(notes),
    )
    return found, context.database.read(_low_end) > (view.mark, view.span.after)


class _View(NamedTuple):
    """The log from one snapshot. mark: up to where it was pruned. base: the hash that entry mark + 1 names.

    span: what is looked at. prev: what its first entry follows; None where nobody can say.
    """

    span: Span
    prev: str | None
    mark: int
    base: str
    recorded: tuple[int, str] | None
    strays: int
    changed: list[str]


def _view(tx: Tx) -> _View:
    head = audit.head(tx)[0]
    mark, start = _low_end(tx)
    first = audit.get(tx, mark + 1)
    return _View(
        span=Span(start, head + 1),
        prev=GENESIS if start == 0 else None,
        mark=mark,
        base=str(fields_of(first.body).get("prev")) if first is not None else "",
        recorded=audit.recorded(tx),
        strays=audit.bounds(tx, mark)[0],
        changed=audit.schema_changes(tx),
    )


def _low_end(tx: Tx) -> tuple[int, int]:
    """Return up to where the log was pruned, and up to where its entries are deleted already."""
    mark = audit.pruned_seq(tx)
    lowest = audit.bounds(tx, mark)[1]
    return mark, mark if lowest is None else min(mark, lowest - 1)


def _chain(context: Context, view: _View, proofs: Proofs, progress: Progress | None) -> ChainResult:
    """Check hashes, numbers and order, and what the signed entries among them claim."""
    start, end = view.span
    total = end - start - 1
    if view.strays and (start < 0 or view.strays != view.mark - start):
        why = f"entry {start + 1} was put in: the log begins with entry {view.mark + 1}"
        return _bad(0, start, GENESIS, start + 1, why)
    seq, head, prev = start, view.prev or GENESIS, view.prev
    while seq < end - 1:
        rows = context.database.read(lambda tx, seq=seq: audit.slice_of(tx, Span(seq, end)))  # type: ignore[misc]
        if not rows:
            # As if the last entries had never been: they were there a moment ago.
            return _bad(seq - start, seq, head, seq + 1, f"entry {seq + 1} is missing: the log ended with {end - 1}")
        digest = None if prev is None else unbroken(rows, prev, seq + 1)
        part = None if digest is not None else verify_chain(map(_text, rows), prev=prev, first_seq=seq + 1)
        good = rows if part is None else rows[: part.entries]
        for number, body, _digest in [row for row in good if row[1].startswith(_OURS)]:
            if why := proofs.notice(number, body):
                since = proofs.signed[-1] if proofs.signed else start
                why = f"{why}; something in entries {since + 1} to {number} was written anew"
                return _bad(number - start - 1, number - 1, head, number, why)._replace(span=(since + 1, number))
        if part is not None and not part.ok:
            return part._replace(entries=seq - start + part.entries)
        seq, head = rows[-1][0], digest or rows[-1][2].decode()
        prev = head
        if progress is not None and ((seq - start) % SLICE == 0 or seq == end - 1):
            progress(seq - start, total)
    if progress is not None and not total:
        progress(0, 0)
    return ChainResult(ok=True, entries=total, head_seq=seq, head_hash=head)


def _text(row: audit.Row) -> tuple[int, str, str]:
    """Bytes that are no text give one whose hash is another."""
    return row[0], row[1].decode(errors="surrogateescape"), row[2].decode(errors="replace")


def _bad(entries: int, head_seq: int, head_hash: str, bad_seq: int | None, why: str) -> ChainResult:
    return ChainResult(ok=False, entries=entries, head_seq=head_seq, head_hash=head_hash, bad_seq=bad_seq, why=why)


def _edges(context: Context, view: _View, proofs: Proofs, found: ChainResult, kept: Checkpoint | None) -> ChainResult:
    """Check both ends of a chain that is sound in itself, and what guards it."""
    bad = partial(_bad, found.entries, found.head_seq, found.head_hash)
    mark, head = view.mark, (found.head_seq, found.head_hash)
    if view.recorded is None:
        return bad(None, "the head that is kept beside the log (counts, audit_head) was taken away")
    if view.recorded != head:
        return bad(*_head_words(view.recorded, head))
    if mark and proofs.pruned.get(mark) != view.base:
        return bad(mark + 1, f"entries up to {mark} are gone, and no signed entry says that they were archived")
    if kept is not None and (apart := disagreement(context, kept, mark)):
        why = f"{apart.why} (audit-head.json, which is kept beside the database)"
        return bad(apart.bad_seq, why)._replace(span=apart.span)
    if view.changed:
        return bad(None, f"the entries are sound, and what guards the table was changed: {', '.join(view.changed)}")
    return found


def _head_words(recorded: tuple[int, str], head: tuple[int, str]) -> tuple[int, str]:
    noted, seq = recorded[0], head[0]
    if noted > seq:
        return seq + 1, f"entry {seq + 1} is missing: the log ends at {seq}, its recorded head is {noted}"
    if noted < seq:
        return noted + 1, f"entry {noted + 1} was put in: the log's recorded head is {noted}"
    return seq, f"entry {seq} was written anew: its recorded hash is another"


class Apart(NamedTuple):
    """Where a log and a checkpoint that was kept elsewhere part."""

    why: str
    bad_seq: int
    span: tuple[int, int] | None


def disagreement(context: Context, kept: Checkpoint, mark: int) -> Apart | None:
    """Return how the log differs from a genuine checkpoint of it; None where it does not, or where what the checkpoint
    saw was archived. mark: up to where the log was pruned.
    """

    def work(tx: Tx) -> tuple[int, audit.Stored | None, list[audit.Stored]]:
        before = audit.of_action(tx, CHECKPOINT, Span(mark, kept.seq + 1), 1, upwards=False)
        return audit.head(tx)[0], audit.get(tx, kept.seq), before

    head, stored, before = context.database.read(work)
    if kept.seq > head:
        return Apart(
            f"entry {head + 1} is missing: the log ends at {head}, a checkpoint saw {kept.seq}", head + 1, None
        )
    if stored is None or stored.hash == kept.hash:
        return None
    first = before[0].seq if before else mark + 1
    why = f"something in entries {first} to {kept.seq} was written anew: a checkpoint saw entry {kept.seq} as another"
    return Apart(why, first, (first, kept.seq))
