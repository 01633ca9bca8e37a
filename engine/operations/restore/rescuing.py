"""Puts a backup in the place of a database that cannot be opened, or is gone: by file, no page of it is used."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from engine.clock import Clock
from engine.errors import AlreadyOwned, ChronosError, DatabaseBusy, NotPossible, StorageFull
from engine.host.files import NO_SPACE, ensure_private_dir, sync_dir
from engine.host.locks import EngineLock, WriteTurn
from engine.host.log import Log
from engine.host.paths import Paths
from engine.model import Settings
from engine.operations import checkpointing, vault
from engine.operations.commanding import Report
from engine.operations.context import Context
from engine.operations.restore import restoring, settingback
from engine.operations.restore.restored import Restored, record, restored
from engine.operations.restore.staging import Prepared, prepared, tell, without_database

_WAIT_S = 5.0
_UNFINISHED = b"A restore was cut off here. Run 'chronos restore apply' again; the old files are in damaged-*.\n"


def rescue(  # noqa: PLR0913 - what an opened engine would have
    paths: Paths,
    settings: Settings,
    env: Mapping[str, str],
    file: Path,
    *,
    actor: str,
    clock: Clock,
    log: Log,
    with_configuration: bool = False,
    trust: Sequence[str] = (),
    planned: str = "",
    report: Report | None = None,
) -> Restored:
    """Put an archive, not encrypted, where there is no database that can be opened. What lies there is set aside.

    Raises AlreadyOwned while an engine runs, ArchiveRefused, NotFound, NotPossible, StorageFull.
    """
    ensure_private_dir(paths.data_dir)
    began_ms = clock.monotonic_ms()
    with (
        _alone(paths, clock),
        without_database(paths, settings, env, actor=actor, clock=clock, log=log) as context,
        prepared(context, file, report=report, trust=trust, planned=planned) as ready,
    ):
        now_ms = clock.now_ms()
        outcome = restoring.complete(context, ready, restoring.NOTHING_HERE, now_ms)
        kept = settingback.contradicted(context, ready)
        more = {**settingback.missing(ready, kept), "safety": ""}
        record(context, ready, restoring.NOTHING_HERE, outcome, now_ms, more)
        notes = _signed(context, ready)
        ready.staged.guard()
        ready.staged.prove()
        ready.staged.close()
        tell(report, "putting it in place")
        with settingback.set_aside(context, now_ms, wanted=kept is not None):
            notes += _put_in_place(paths, ready.staged.path, settingback.stamp(now_ms))
        with _said(notes):
            notes += settingback.put_configuration(context, paths, ready, outcome.tag, forced=with_configuration)
        return restored(outcome, None, clock.monotonic_ms() - began_ms, 0, notes)


@contextmanager
def _said(notes: list[str]) -> Iterator[None]:
    """What goes wrong now undoes nothing: it is said."""
    try:
        yield
    except ChronosError as error:
        notes.append(str(error))


@contextmanager
def _alone(paths: Paths, clock: Clock) -> Iterator[None]:
    """Be the one that delivers, and has the turn to write."""
    lock = EngineLock(paths.engine_lock)
    if not lock.acquire({"pid": os.getpid(), "mode": "restore", "started_ms": clock.now_ms()}):
        owner = lock.owner() or {}
        raise AlreadyOwned(f"{paths.data_dir}: an engine runs (pid {owner.get('pid', '?')}); stop it first")
    try:
        turn = WriteTurn(paths.write_lock)
        try:
            if not turn.acquire(_WAIT_S):
                raise DatabaseBusy(f"{paths.database}: another process writes; stop every chronos and try again")
            yield
        finally:
            turn.close()  # lets go of the turn, too
    finally:
        lock.release()


def _signed(context: Context, ready: Prepared) -> list[str]:
    """Sign the copy's audit log with the backup's own key, where its vault opened."""
    row = next((one for one in ready.staged.vault[1] if one.name == vault.SIGNING_KEY), None)
    if row is None:
        return []
    if ready.box is None:
        return ["the audit log is not signed yet: the vault does not open here; import its recovery kit"]
    checkpointing.append(ready.staged.tx, context, vault.Signer(ready.box.unseal(row)))
    ready.staged.tx.end_part()
    return []


# The files


def _put_in_place(paths: Paths, fresh: Path, stamp: str) -> list[str]:
    """Set aside what lies there and rename the new file into its place; return what was done in words."""
    home = paths.database.parent
    old = [path for path in (paths.database, *_companions(paths.database)) if path.exists()]
    aside = home / f"damaged-{stamp}"
    try:
        with fresh.open("rb") as file:
            os.fsync(file.fileno())
        if old:
            aside.mkdir(mode=0o700)
            for path in old:
                os.link(path, aside / path.name)
            sync_dir(aside)
            sync_dir(home)
        if len(old) > 1:
            _drop_log(paths.database, fresh.parent)
        fresh.replace(paths.database)
        sync_dir(home)
        paths.degraded.unlink(missing_ok=True)
    except OSError as error:
        kind = StorageFull if error.errno in NO_SPACE else NotPossible
        raise kind(f"{paths.database}: cannot be replaced: {error.strerror}") from error
    return [f"the old database lies in {aside}"] if old else []


def _companions(database: Path) -> list[Path]:
    return [database.with_name(f"{database.name}-{suffix}") for suffix in ("wal", "shm")]


def _drop_log(database: Path, folder: Path) -> None:
    """Remove the log of the old database: SQLite would play it back into the new one.

    First the old file goes: without its log it would be an older state of itself, and whoever opened it after a crash
    just here would send what was sent. What then stands there opens for nobody, until this is done once more.
    """
    marker = folder / "unfinished"
    marker.write_bytes(_UNFINISHED)
    with marker.open("rb") as file:
        os.fsync(file.fileno())
    marker.replace(database)
    sync_dir(database.parent)
    for path in _companions(database):
        path.unlink(missing_ok=True)
    sync_dir(database.parent)
