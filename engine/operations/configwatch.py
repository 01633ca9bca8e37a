"""Whether the configuration file is the one that was taken over. Reads the file; judges none of its content.

What was taken over stands in the audit log: each entry of an engine's start, of a reload and of `chronos config set`
names the file's SHA-256, so that whoever changes the record too is found by the log's verification.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

from engine.operations import incidents
from engine.operations.context import Context, writable
from engine.rules.durations import format_duration, rfc3339
from engine.rules.incidents import Kind, Severity
from engine.store import audit
from engine.store import incidents as store
from engine.store.tx import Tx

UNNOTICED_MS = 10 * 60_000
"""How long an edited file may wait for its reload: nobody is alarmed by his own editor."""

_TAKEN = "configwatch.taken"
_DIFFERS = "configwatch.differs"
_RAISED = "configwatch.raised"
_LOOKED = "configwatch.looked"
_TAKING = ("engine.started", "config.loaded", "config.set", "config.unset")
_MOST_BYTES = 16 * 1024 * 1024
NO_FILE = ""


class _Taken(NamedTuple):
    """What the log says was taken over: in which entry, when, and the file's digest."""

    seq: int
    at: str
    digest: str


def digest_of(file: Path) -> str:
    """Return the SHA-256 of the file's bytes in hex; NO_FILE where there is none or it cannot be read."""
    try:
        with file.open("rb") as stream:
            return hashlib.sha256(stream.read(_MOST_BYTES)).hexdigest()
    except OSError:
        return NO_FILE


def take(context: Context) -> None:
    """Remember that this process goes by the file as it is now. To be called where the file has just been read."""
    if context.machine.paths is not None:
        context.kept[_TAKEN] = digest_of(context.machine.paths.config_file)
        context.kept.pop(_DIFFERS, None)


def said(context: Context) -> dict[str, object]:
    """Return what an audit entry says of the file that this process goes by."""
    digest = context.kept.get(_TAKEN)
    return {"file_sha256": digest} if digest else {}


def at_start(tx: Tx, context: Context) -> None:
    """Compare the file with what was recorded last, in the transaction that records the start and before it.

    A newer file was edited while nobody delivered; the start takes it over. A file that is another and claims to be
    older than the record was put there with its time set back.
    """
    paths, digest = context.machine.paths, context.kept.get(_TAKEN, NO_FILE)
    record = _record(tx)
    if paths is None or record is None or digest in {NO_FILE, record.digest}:
        return
    file = paths.config_file
    changed = _changed(file)
    if changed > record.at:
        incidents.settle(tx, context, Kind.CONFIG_TAMPERED, file.name, "taken over when the engine started")
        return
    words = (
        f"{file} is not what was taken over at {record.at}, although it claims not to have changed since {changed}: "
        "its time was set back, or an older copy was put there"
    )
    incidents.raise_incident(tx, context, Kind.CONFIG_TAMPERED, file.name, words)


def reloaded(tx: Tx, context: Context) -> None:
    """End the incident: somebody took the file over as it is."""
    if context.machine.paths is not None:
        note = f"taken over by {context.actor}"
        incidents.settle(tx, context, Kind.CONFIG_TAMPERED, context.machine.paths.config_file.name, note)


def watch(context: Context) -> None:
    """Look whether the file differs for a while from what this process took over, and whether others may write it."""
    from engine.host.exposure import config_exposed

    paths = context.machine.paths
    if paths is None:
        return
    file = paths.config_file
    found: tuple[str, Severity | None] | None = None
    if (exposed := config_exposed(paths)) is not None:
        found = f"{exposed.path} can be changed by others: {exposed.words}; '{exposed.mend}'", Severity.CRITICAL
    elif words := _differs(context, file):
        found = words, None
    if found is not None and context.kept.get(_RAISED) != found[0]:
        words, severity = found
        context.database.write(
            lambda tx: incidents.raise_incident(tx, context, Kind.CONFIG_TAMPERED, file.name, words, severity=severity)
        )
        context.kept[_RAISED] = words
    elif found is None and (context.kept.pop(_RAISED, None) or _left_open(context, file)):
        note = "the file is what was taken over, and nobody else may change it"
        context.database.write(lambda tx: incidents.settle(tx, context, Kind.CONFIG_TAMPERED, file.name, note))


def _left_open(context: Context, file: Path) -> bool:
    """Whether, at this process's first look, an incident of the one before stands that said who may change the file.
    Those are the critical ones; what a start finds of the file itself stands until somebody takes the file over.
    """
    if _LOOKED in context.kept:
        return False
    context.kept[_LOOKED] = True
    known = context.database.read(lambda tx: store.active(tx, Kind.CONFIG_TAMPERED, file.name))
    return known is not None and known.severity == Severity.CRITICAL


def _differs(context: Context, file: Path) -> str | None:
    taken = context.kept.get(_TAKEN)
    if taken is None:
        return None
    digest, now_ms = digest_of(file), context.clock.monotonic_ms()
    if digest == taken or _is_recorded(context, digest):
        context.kept.pop(_DIFFERS, None)
        return None
    seen, since_ms = context.kept.get(_DIFFERS) or (digest, now_ms)
    if seen != digest:
        since_ms = now_ms
    context.kept[_DIFFERS] = (digest, since_ms)
    if now_ms - since_ms < UNNOTICED_MS:
        return None
    what = f"was changed at {_changed(file)}" if digest else "is gone"
    return f"{file} {what}, and nobody took that over for {format_duration(UNNOTICED_MS)}"


def _changed(file: Path) -> str:
    """Return when the file says that it was changed; "" where it is gone meanwhile."""
    try:
        return rfc3339(file.stat().st_mtime_ns // 1_000_000)
    except OSError:
        return ""


def _is_recorded(context: Context, digest: str) -> bool:
    """Whether another process took it over: `chronos config set`."""
    record = context.database.read(_record)
    return record is not None and bool(digest) and record.digest == digest


def _record(tx: Tx) -> _Taken | None:
    """Return the newest entry that names the file's digest. One that somebody tampered with names none, and stops no
    start.
    """
    entries = [one for one in (audit.newest_of(tx, action) for action in _TAKING) if one is not None]
    told = [
        _Taken(one.seq, str(audit.fields_of(one.body).get("at", "")), digest)
        for one in entries
        if isinstance(digest := audit.detail_of(one.body).get("file_sha256"), str) and digest
    ]
    return max(told, default=None)


def written(context: Context, action: str, key: str) -> None:
    """Record that the file was changed through Chronos: which key, and the digest it has now. action: set or unset."""
    writable(context)
    paths = context.machine.paths
    assert paths is not None, "whoever changes a configuration file has paths"
    detail: dict[str, object] = {"key": key, "file_sha256": digest_of(paths.config_file)}
    now_ms = context.clock.now_ms()
    context.database.write(lambda tx: audit.append(tx, now_ms, context.actor, f"config.{action}", "config", detail))
