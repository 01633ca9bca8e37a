"""Takes old entries out of the audit log: archived in signed segments, read back and proved, only then deleted.

Order: temporary file, fsync, proof of what was written, rename, fsync of the directory; then one transaction with the
signed audit.pruned entry and the mark; then the deletion, 500 entries at a time. Killed anywhere in between, the next
run goes on: an archive without its entry is written anew, a deletion that was left is finished.
"""

from __future__ import annotations

import fcntl
import gzip
import hashlib
import json
import os
import re
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from engine.errors import BadInput, NotPossible, StorageFull
from engine.host.files import NO_SPACE, ensure_private_dir, sync_dir
from engine.operations import checkpointing, vault, verifying
from engine.operations.context import Context, writable
from engine.rules import checkpoints
from engine.rules.canonical import GENESIS, canonical_json, entry_hash, verify_chain
from engine.rules.checkpoints import CHECKPOINT, PRUNED, Checkpoint, Signer
from engine.rules.durations import rfc3339
from engine.store import audit
from engine.store.audit import Span, Stored, fields_of
from engine.store.tx import Tx

FOLDER = "audit-archive"
SEGMENT = 100_000
"""Entries a file: some 6 MB packed, so that one archive can be looked at with ordinary tools."""

_NAME = re.compile(r"audit-([0-9]{1,18})-([0-9]{1,18})\.jsonl\.gz", re.ASCII)
_NO_ARCHIVE = (EOFError, gzip.BadGzipFile, zlib.error)
_NO_ENTRY = (ValueError, KeyError, TypeError, AttributeError, RecursionError, BadInput)
"""What reading an archive raises where it, or a line in it, is not what was written."""

Report = Callable[[int, int], None]


@dataclass(frozen=True, slots=True)
class Pruned:
    """What went, or with `dry_run` would go. first, last: the entries' numbers; None when none did.

    files: the archives' names, in the folder audit-archive of the data directory.
    """

    first: int | None
    last: int | None
    entries: int
    before_ms: int
    files: tuple[str, ...] = ()
    dry_run: bool = False


class _Plan(NamedTuple):
    """mark: up to where the log was pruned before. last: up to where it may be. cutoff: the time that must be kept."""

    mark: int
    last: int
    cutoff: str


def prune(
    context: Context,
    *,
    keep_ms: int,
    dry_run: bool = False,
    progress: Report | None = None,
    signer: Signer | None = None,
    segment: int = SEGMENT,
    former: Sequence[str] = (),
) -> Pruned:
    """Archive the entries that are older than `keep_ms` and take them from the table.

    Never goes beyond the first entry that is younger, nor beyond the newest checkpoint. progress: told how many entries
    of how many were deleted. signer: instead of the vault's. former: as for verifying.verify.
    Raises NotPossible without a vault or where the entries are not sound, StorageFull.
    """
    cutoff_ms = context.clock.now_ms() - keep_ms
    plan = _plan(context, cutoff_ms)
    if dry_run:
        return _result(plan, cutoff_ms, (), dry_run=True)
    writable(context)
    if signer is None:
        if vault.state(context) is None:
            raise NotPossible("archives are signed, and there is no vault; 'chronos init --root-key …' makes one")
        signer = vault.signer(context)
    folder = _folder(context)
    found = verifying.verify(context, former=former)
    if not found.ok:
        raise NotPossible(_unsound(found.why))
    with _alone(folder):
        plan = _plan(context, cutoff_ms)
        _sweep(folder, plan.mark)
        files = [_archive(context, folder, signer, last) for last in _ends(plan, segment)]
        _delete(context, plan.last, progress)
    return _result(plan, cutoff_ms, tuple(files), dry_run=False)


def _result(plan: _Plan, cutoff_ms: int, files: tuple[str, ...], *, dry_run: bool) -> Pruned:
    count = plan.last - plan.mark
    first, last = (plan.mark + 1, plan.last) if count else (None, None)
    return Pruned(first, last, count, cutoff_ms, files, dry_run)


# What may go


def _plan(context: Context, cutoff_ms: int) -> _Plan:
    cutoff = rfc3339(max(0, cutoff_ms))

    def edges(tx: Tx) -> tuple[int, int]:
        newest = audit.newest_of(tx, CHECKPOINT)
        return audit.pruned_seq(tx), (newest.seq if newest is not None else audit.head(tx)[0]) - 1

    mark, most = context.database.read(edges)
    seq = mark
    while seq < most:
        rows = context.database.read(lambda tx, seq=seq: audit.slice_of(tx, Span(seq, most + 1)))  # type: ignore[misc]
        for number, body, _digest in rows:
            # A clock that was set back does not matter: the first entry that is young enough ends it.
            if str(fields_of(body.decode(errors="replace")).get("at", cutoff)) >= cutoff:
                return _Plan(mark, number - 1, cutoff)
        if not rows:
            break
        seq = rows[-1][0]
    return _Plan(mark, max(seq, mark), cutoff)


def _ends(plan: _Plan, segment: int) -> list[int]:
    """Return the last entry of each archive."""
    return [*range(plan.mark + segment, plan.last, segment), plan.last] if plan.last > plan.mark else []


def _delete(context: Context, mark: int, progress: Report | None) -> None:
    """Delete what was archived, the oldest first, 500 entries a transaction."""
    left = total = context.database.read(lambda tx: audit.bounds(tx, mark))[0]
    while left > 0:
        left -= max(1, context.database.write(lambda tx: audit.delete_pruned(tx, mark)))
        if progress is not None:
            progress(total - max(0, left), total)


# An archive


def _folder(context: Context) -> Path:
    paths = context.machine.paths
    if paths is None:
        raise NotPossible("opened without a data directory: there is no place for an archive")
    folder = paths.data_dir / FOLDER
    ensure_private_dir(folder)
    return folder


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Let one process prune at a time."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise NotPossible("the audit log is being pruned by another process; wait for it to end") from error
        yield
    finally:
        os.close(descriptor)


def _sweep(folder: Path, mark: int) -> None:
    """Remove what a killed run left: a temporary file, an archive of which the log says nothing, so that the table
    still holds what is in it.
    """
    for left in folder.iterdir():
        named = _NAME.fullmatch(left.name)
        if left.name.endswith(".jsonl.gz.tmp") or (named is not None and int(named[1]) > mark):
            left.unlink(missing_ok=True)


def _archive(context: Context, folder: Path, signer: Signer, last: int) -> str:
    """Write, prove and put in place one segment, then say in the log that it is there."""
    mark = context.database.read(audit.pruned_seq)
    first = context.database.read(lambda tx: audit.get(tx, mark + 1))
    if first is None:
        raise NotPossible(_unsound(f"entry {mark + 1} is missing"))
    prev = GENESIS if mark == 0 else str(fields_of(first.body).get("prev"))
    name = f"audit-{mark + 1}-{last}.jsonl.gz"
    temporary = folder / f".{name}.tmp"
    try:
        with _created(temporary) as file:
            made = _write(context, file, signer, Span(mark, last + 1), prev)
        _end, sha256 = prove(temporary, first_seq=mark + 1, prev=prev, key=signer.public_hex)
        temporary.rename(folder / name)
        sync_dir(folder)
    except OSError as error:
        words = "the disk is full; free some space" if error.errno in NO_SPACE else str(error.strerror)
        raise (StorageFull if error.errno in NO_SPACE else NotPossible)(
            f"cannot write {folder / name}: {words}"
        ) from error
    finally:
        temporary.unlink(missing_ok=True)
    context.database.write(lambda tx: _say(tx, context, signer, made, mark, name, sha256))
    return name


def _unsound(why: str) -> str:
    return f"nothing more was archived: {why}; see 'chronos audit verify'"


@contextmanager
def _created(path: Path) -> Iterator[gzip.GzipFile]:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    with open(os.open(path, flags, 0o600), "wb") as raw:  # noqa: PTH123 - a descriptor, not a path
        with gzip.GzipFile("", "wb", compresslevel=6, fileobj=raw, mtime=0) as file:
            yield file
        raw.flush()
        os.fsync(raw.fileno())


def _write(context: Context, file: gzip.GzipFile, signer: Signer, span: Span, prev: str) -> Checkpoint:
    """Write the entries as they are exported, and a checkpoint over the last. They are verified on the way."""
    seq, digest = span.after, prev
    while seq < span.before - 1:
        rows = context.database.read(lambda tx, seq=seq: audit.slice_of(tx, Span(seq, span.before)))  # type: ignore[misc]
        stored = [
            Stored(number, body.decode(errors="replace"), raw.decode(errors="replace")) for number, body, raw in rows
        ]
        found = verify_chain(stored, prev=digest, first_seq=seq + 1)
        if not found.ok or not rows:
            raise NotPossible(_unsound(found.why or f"entry {seq + 1} is missing"))
        for one in stored:
            line = json.dumps({**fields_of(one.body), "hash": one.hash}, sort_keys=True)
            file.write(line.encode() + b"\n")
        seq, digest = found.head_seq, found.head_hash
    made = checkpoints.sign(signer, seq, digest, rfc3339(context.clock.now_ms()), context.settings.instance)
    file.write(json.dumps(made.document(), sort_keys=True).encode() + b"\n")
    return made


def prove(path: Path, *, first_seq: int, prev: str, key: str | None) -> tuple[Checkpoint, str]:
    """Read an archive as a stranger would; return the checkpoint that it ends with, and the file's SHA-256 in hex.

    key: whose signature it must be; None: its own word. Raises NotPossible when it is not sound, OSError.
    """
    seq, digest, end = first_seq - 1, prev, None
    try:
        with gzip.open(path, "rb") as file:
            for line in file:
                entry = json.loads(line)
                if "prev" not in entry:
                    end = checkpoints.from_document(entry)
                    break
                claimed = entry.pop("hash")
                if (entry["seq"], entry["prev"]) != (seq + 1, digest) or entry_hash(canonical_json(entry)) != claimed:
                    raise NotPossible(_unsound(f"{path.name}: entry {seq + 1} does not read back as it was written"))
                seq, digest = seq + 1, claimed
            rest = file.read(1)
    except (*_NO_ARCHIVE, *_NO_ENTRY) as error:
        raise NotPossible(_unsound(f"{path.name} does not read back: {error}")) from error
    if end is None or rest or (end.seq, end.hash) != (seq, digest) or not end.fits() or key not in {None, end.key}:
        raise NotPossible(_unsound(f"{path.name} does not end with the checkpoint that it must"))
    with path.open("rb") as raw:
        return end, hashlib.file_digest(raw, "sha256").hexdigest()


def _say(tx: Tx, context: Context, signer: Signer, made: Checkpoint, mark: int, name: str, sha256: str) -> None:
    """The entry that vouches for the archive, and the mark that lets go of its entries."""
    if audit.pruned_seq(tx) != mark:
        raise NotPossible("the audit log was pruned by another process meanwhile; look at it again")
    now_ms = context.clock.now_ms()
    detail: dict[str, object] = {
        "at": rfc3339(now_ms),
        "entries": made.seq - mark,
        "file": name,
        "first": mark + 1,
        "hash": made.hash,
        "key": signer.public_hex,
        "seq": made.seq,
        "sha256": sha256,
    }
    detail["signature"] = checkpoints.signature_of(signer, checkpoints.pruning_statement(detail))
    audit.append(tx, now_ms, context.actor, PRUNED, "audit", detail)
    audit.mark_pruned(tx, made.seq)


# All archives together


@dataclass(frozen=True, slots=True)
class Archives:
    """What the archives prove. why: the first thing that is wrong, naming the file; "" when all is good."""

    ok: bool
    files: int
    entries: int
    why: str = ""


def verify_archives(context: Context, *, former: Sequence[str] = ()) -> Archives:
    """Prove the chain from entry 1 through every archive to the first entry that the table holds. Writes nothing."""
    paths = context.machine.paths
    mark = context.database.read(audit.pruned_seq)
    first = context.database.read(lambda tx: audit.get(tx, mark + 1))
    trusted = checkpointing.trust(context, former)
    seq, prev, files = 0, GENESIS, 0

    def bad(entries: int, why: str) -> Archives:
        return Archives(ok=False, files=files, entries=entries, why=why)

    while seq < mark:
        found = [] if paths is None else sorted((paths.data_dir / FOLDER).glob(f"audit-{seq + 1}-*.jsonl.gz"))
        if not found:
            return bad(seq, f"the archive that begins with entry {seq + 1} is missing")
        path = found[-1]
        try:
            end, _sha256 = prove(path, first_seq=seq + 1, prev=prev, key=None)
        except (NotPossible, OSError) as error:
            return bad(seq, f"{path.name}: {error}")
        if trusted.keys is not None and end.key not in trusted.keys:
            return bad(seq, f"{path.name} is signed with another key than the vault's")
        seq, prev, files = end.seq, end.hash, files + 1
    if first is not None and mark and str(fields_of(first.body).get("prev")) != prev:
        return bad(seq, f"entry {mark + 1} does not follow the last archive")
    return Archives(ok=True, files=files, entries=seq)
