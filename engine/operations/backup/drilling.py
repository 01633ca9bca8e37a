"""Proves a backup: reads its file again, restores it into a scratch directory, opens everything. Touches nothing live.

What an archive turns out to be is a verdict, not an exception: a step holds, fails, or could not be made. A backup that
is damaged or was swapped has failed. One that is a faithful copy of a database that was not right itself (an audit log
that was tampered with, a secret that does not open, a table that is not ours) is unproven: it is not what anybody wants
to restore, but while such a trouble lasts it is better than none. Neither is one proven whose key is away.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from engine.errors import (
    ArchiveForged,
    ArchiveRefused,
    ChronosError,
    NotFound,
    NotPossible,
    TryAgain,
)
from engine.host import children
from engine.host.archive import apart
from engine.host.scratch import scratch
from engine.operations import recovery
from engine.operations.backup import signing, untouchable
from engine.operations.backup.unlocking import Opener as Opener  # noqa: PLC0414 - handed on
from engine.operations.backup.unlocking import decrypt_into, signing_key_of, unlocked
from engine.operations.backup.unlocking import own_opener as own_opener  # noqa: PLC0414 - handed on
from engine.operations.backup.verdicts import Step as Step  # noqa: PLC0414 - handed on
from engine.operations.backup.verdicts import Steps
from engine.operations.backup.verdicts import Verdict as Verdict  # noqa: PLC0414 - handed on
from engine.operations.commanding import Report, Stopped
from engine.operations.context import Context
from engine.rules.backups import DATABASE, Kind, Proof, parse_name
from engine.rules.durations import format_size
from engine.store import audit, backups, judging
from engine.store.tx import Tx

DRILLED, VERIFIED = "backup.drilled", "backup.verified"
SCRATCH = "drill"
AGE = ".age"

_MEMORY_BYTES = 512 * 1024 * 1024
_LEAST_S = 300
_BYTES_PER_S = 2 * 1024 * 1024
"""How slow a judge may be: a tenth of what a small machine reads, so that only what goes round in circles is ended."""


# The three ways to ask


def verify(context: Context, file: Path, *, report: Report | None = None, opened: Opener | None = None) -> Verdict:
    """Read a backup's file again: every sum, the manifest, its signature; and that it is the file that was made.

    Records it where the ledger knows the file. Raises NotFound without a file, what `report` raises, and nothing about
    a bad archive.
    """
    steps = Steps(context, file, report)
    entry = _entry(context, file)
    _begin(steps, entry)
    if steps.sound:
        with _plainly(steps, opened) as archive:
            if archive is not None and _sums(steps, archive):
                steps.make("signature", lambda: _signature(steps, frozenset()))
    found = steps.verdict(Proof.UNPROVEN if entry is None else entry.proof)
    _record(context, VERIFIED, found, entry)
    return found


def drill(
    context: Context,
    file: Path,
    *,
    report: Report | None = None,
    kit: tuple[str, str] | None = None,
    opened: Opener | None = None,
) -> Verdict:
    """Restore a backup into a scratch directory and look at everything. kit: a recovery kit's text and passphrase.

    Records it where the ledger knows the file. Raises NotFound without a file, BadInput for a kit that does not open,
    what `report` raises, and nothing about a bad archive.
    """
    steps = Steps(context, file, report)
    entry = _entry(context, file)
    _begin(steps, entry)
    key = None if kit is None else recovery.open_kit(*kit)
    if steps.sound:
        with _plainly(steps, opened) as archive:
            if archive is not None:
                _restore(steps, archive, key)
    found = steps.verdict(Proof.PROVEN)
    _record(context, DRILLED, found, entry)
    return found


def drill_archive(
    context: Context, archive: Path, *, report: Report | None = None, kit: tuple[str, str] | None = None
) -> Verdict:
    """The same for a ZIP that we wrote a moment ago and that stands in no ledger yet. Records nothing."""
    steps = Steps(context, archive, report)
    _restore(steps, archive, None if kit is None else recovery.open_kit(*kit), ours=True)
    return steps.verdict(Proof.PROVEN)


@contextmanager
def plain(context: Context, file: Path, opened: Opener | None) -> Iterator[Path]:
    """Give the path of a backup's ZIP: the file itself, or a decrypted copy of it in a scratch directory.

    opened: what opens it, instead of what the configuration names.
    Raises NotFound, ArchiveRefused for what is no age file, BadInput where nothing opens it, NotPossible, StorageFull.
    """
    untouchable.check(context, file)
    if not file.name.endswith(AGE):
        yield file
        return
    with scratch(_data_dir(context), SCRATCH) as folder:
        decrypted = folder / file.name.removesuffix(AGE)
        decrypt_into(file, decrypted, opened or own_opener(context))
        yield decrypted


# The steps


def _begin(steps: Steps, entry: backups.Entry | None) -> None:
    """Look at the file as a whole: that it may be opened at all, and is the one that was made."""
    if entry is not None:
        steps.make("file", lambda: _same_file(steps, entry))
        return
    try:
        untouchable.check(steps.context, steps.file)
    except ArchiveRefused as error:
        steps.add("file", ok=False, detail=str(error), took_ms=0)


def _same_file(steps: Steps, entry: backups.Entry) -> str:
    untouchable.check(steps.context, steps.file)
    try:
        with steps.file.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except FileNotFoundError as error:
        raise NotFound(f"{steps.file}: there is no such file") from error
    except OSError as error:
        raise ArchiveRefused(f"{steps.file}: damaged: it cannot be read: {error.strerror}") from error
    if found != entry.sha256:
        raise ArchiveRefused(f"{steps.file}: damaged: its SHA-256 is not the one of the file that was made")
    return "every byte is as it was written"


@contextmanager
def _plainly(steps: Steps, opened: Opener | None) -> Iterator[Path | None]:
    """Give the ZIP inside the file; None where it cannot be had, which is a step of its own."""
    if not steps.file.name.endswith(AGE):
        yield steps.file
        return
    with _scratch(steps) as folder:
        decrypted = (folder or steps.file.parent) / steps.file.name.removesuffix(AGE)

        def work() -> str:
            keys = opened or own_opener(steps.context)
            decrypt_into(steps.file, decrypted, keys, steps.counting("decrypting"))
            return "it opens"

        yield decrypted if folder is not None and steps.make("decrypting", work) else None


@contextmanager
def _scratch(steps: Steps) -> Iterator[Path | None]:
    """Give a scratch directory; None where none can be made, which is a step of its own."""
    with ExitStack() as stack:
        folder = None
        try:
            folder = stack.enter_context(scratch(_data_dir(steps.context), SCRATCH))
        except (NotPossible, TryAgain) as error:
            steps.add("scratch", None, str(error), 0)
        yield folder


def _data_dir(context: Context) -> Path:
    paths = context.machine.paths
    if paths is None:
        raise NotPossible("no data directory is known here")
    return paths.data_dir


def _sums(steps: Steps, archive: Path) -> bool:
    return steps.make("sums", lambda: _read(steps, archive, None, ours=False))


def _read(steps: Steps, archive: Path, into: Path | None, *, ours: bool) -> str:
    """Check every member and, with `into`, unpack it there."""
    found = apart.read(archive, into, ours=ours, progress=steps.counting("sums"), stopped=steps.ask)
    steps.manifest = found.manifest
    words = f"{found.members} members, each as it was backed up"
    if ours or found.manifest.get("name") == archive.name:
        return words
    return f"{words}; it says of itself that it is {signing.name_of(found.manifest)}"


def _signature(steps: Steps, own_keys: frozenset[str]) -> str:
    assert steps.manifest is not None, "the sums hold"
    found = signing.judge(steps.context, steps.manifest, own_keys=own_keys)
    steps.authenticity = found.value
    if found is not signing.Authenticity.CONFIRMED:
        if signing.must_be_known(steps.context):
            key = signing.signing_key(steps.manifest)
            raise ArchiveForged(
                f"{steps.file}: signed with a key that nobody here knows, though there are keys here: a restore "
                f"refuses it unless you vouch for it with --trust-key {key}"
            )
        raise NotPossible("signed, and by nobody whose key is known here: whether it was swapped cannot be told")
    return "by a key of this installation"


def _restore(steps: Steps, archive: Path, key: tuple[str, bytes] | None, *, ours: bool = False) -> None:
    """Unpack, judge the database in a child, open the secrets, judge the signature by the keys that are then known.

    key: a root key and its id, from a recovery kit. ours: whether we wrote the file a moment ago.
    """
    with _scratch(steps) as folder:
        if folder is None or not steps.make("sums", lambda: _read(steps, archive, folder, ours=ours)):
            return
        keys: list[str] = []
        found = _judged(steps, folder / DATABASE)
        if found is not None and found["steps"][-1]["name"] == "vault" and found["steps"][-1]["ok"]:
            steps.make("secrets", lambda: _secrets(steps, found, key, keys))
        steps.make("signature", lambda: _signature(steps, frozenset(keys)))


def _judged(steps: Steps, database: Path) -> dict[str, Any] | None:
    """Have a child look at the database; each thing that it looked at is a step. None where it gave no answer."""
    assert steps.manifest is not None, "the sums hold"
    size = database.stat().st_size
    limit_s = _LEAST_S + size // _BYTES_PER_S
    began_ms = steps.context.clock.monotonic_ms()
    claimed = {name: steps.manifest.get(name) for name in ("schema", "database_id", "counts", "rows", "audit")}
    try:
        found = children.run(
            judging.MODULE,
            {"database": str(database), "manifest": claimed, "cpu_s": limit_s},
            on_progress=lambda told: steps.tell(str(told["stage"]), int(told["done"]), int(told["total"])),
            limit_s=limit_s,
            stopped=steps.ask,
            memory_bytes=_MEMORY_BYTES,
            file_bytes=0,
            nice=True,
        )
    except Stopped:
        raise
    except ChronosError as error:
        took_ms = steps.context.clock.monotonic_ms() - began_ms
        steps.add("database", None, f"could not be judged ({format_size(size)}): {error}", took_ms)
        return None
    for one in found["steps"]:
        steps.add(str(one["name"]), bool(one["ok"]), _named(steps, one), int(one["took_ms"]))
    return found


def _named(steps: Steps, one: dict[str, Any]) -> str:
    """Return what the judge says; of what failed, with the file's name, as every other refusal has it."""
    detail = str(one["detail"])
    return detail if one["ok"] else f"{steps.file}: damaged: {DATABASE}: {detail}"


def _secrets(steps: Steps, found: dict[str, Any], root: tuple[str, bytes] | None, keys: list[str]) -> str:
    """Open every secret; note the key that this vault signs with."""
    box = unlocked(steps.context, found["vault"], root)
    if box is None:
        if found["secrets"]:
            raise ArchiveRefused(f"{steps.file}: damaged: it holds secrets and no vault")
        return "there is no vault in it"
    count = 0
    for row in found["secrets"]:
        key = signing_key_of(box, row)
        if key is not None:
            keys.append(key)
        count += 1
        steps.tell("secrets", count, len(found["secrets"]))
    return f"{count} of {count} open"


# Recording


def _entry(context: Context, file: Path) -> backups.Entry | None:
    """Return what the ledger knows of a file."""
    place = Path(os.path.abspath(file))  # noqa: PTH100 - as the ledger names it: Path.resolve would follow links
    found = context.database.read(lambda tx: backups.of_file(tx, str(place.parent), place.name))
    return None if found is None or found.pruned_ms is not None else found


def _record(context: Context, action: str, found: Verdict, entry: backups.Entry | None) -> None:
    """Write down what was found, where anything may be written."""
    if context.read_only:
        return
    name = Path(found.file).name
    adopted = _adopted(context, found) if action == DRILLED and entry is None else None
    detail = {"ok": found.ok, "proof": found.proof.value, "took_ms": found.took_ms, "why": found.why[:500]}

    def work(tx: Tx) -> None:
        now_ms = context.clock.now_ms()
        if entry is not None:
            _note(tx, action, found, entry, now_ms)
        elif adopted is not None:
            backups.insert(tx, adopted)
        audit.append(tx, now_ms, context.actor, action, f"backup:{name}", detail)

    context.database.write(work)


def _adopted(context: Context, found: Verdict) -> backups.Entry | None:
    """Return the ledger's row for a backup that lies in the folder, was not known, and was restored just now.

    None for every other file, and for an encrypted one: what is inside was looked at in a copy that is gone.
    """
    from engine.operations.backup import backups as known

    file = Path(os.path.abspath(found.file))  # noqa: PTH100 - as the ledger names it
    name = parse_name(file.name)
    if name is None or name.encrypted or file.parent != known.folder(context):
        return None
    if found.proof is not Proof.PROVEN or found.manifest is None:
        return None
    with file.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    now_ms = context.clock.now_ms()
    return backups.Entry(
        id=0,
        folder=str(file.parent),
        name=file.name,
        kind=Kind.FOUND,
        taken_ms=name.at_ms,
        took_ms=0,
        size=file.stat().st_size,
        sha256=sha256,
        archive_sha256=sha256,
        encrypted=False,
        manifest=found.manifest,
        proof=Proof.PROVEN,
        proof_detail="",
        proven_ms=now_ms,
        drilled_ms=now_ms,
        drill_took_ms=found.took_ms,
        verified_ms=now_ms,
        verified_ok=True,
        verified_word="",
        gone_ms=None,
        pruned_ms=None,
    )


def _note(tx: Tx, action: str, found: Verdict, entry: backups.Entry, now_ms: int) -> None:
    whole, bad = found.proof is not Proof.FAILED, found.proof is Proof.FAILED
    if any(step.name in {"file", "sums"} for step in found.steps):
        backups.record_verification(tx, entry.id, ok=whole, word=found.why[:500], at_ms=now_ms)
    made = action == DRILLED and (found.proof is Proof.PROVEN or not found.ok or entry.proof is not Proof.PROVEN)
    if bad or made:
        # A drill that could not be made takes nothing from one that was; a file that is damaged takes everything.
        backups.record_drill(tx, entry.id, found.proof, found.why[:500], at_ms=now_ms, took_ms=found.took_ms)
