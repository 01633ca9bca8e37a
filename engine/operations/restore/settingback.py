"""What a restore leaves beside the database: a fork of the audit log, a head that no longer fits, configuration."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from engine.errors import ChronosError, ConfigError, NotPossible, StorageFull
from engine.host.files import NO_SPACE, ensure_private_dir, read_small, sync_dir, write_atomic
from engine.host.paths import Paths
from engine.operations import checkpointing
from engine.operations.checkpointing import Checkpoint
from engine.operations.context import Context
from engine.operations.pruning import FOLDER
from engine.operations.restore.restoring import Here
from engine.operations.restore.staging import Prepared, configuration, paths_of
from engine.rules.backups import CONFIG, MOST_SMALL_BYTES, TEMPLATES
from engine.rules.carrying import Relation, tag
from engine.store import audit

PUT = "configuration:"
"""How the words begin that say that files were put in place."""


def stamp(at_ms: int) -> str:
    """Return a time as it stands in file names."""
    return tag(at_ms).rpartition("-")[2]


# A fork of the audit log


@contextmanager
def fork_exported(context: Context, ready: Prepared, here: Here, now_ms: int) -> Iterator[dict[str, object]]:
    """Write today's entries that the backup's log does not go on from into a file, and give what the restore's entry
    says of it. The file is gone again where the restore then fails.
    """
    if here.how == Relation.CONTINUES or here.log.head == here.fork:
        yield {}
        return
    folder = paths_of(context).data_dir / FOLDER
    ensure_private_dir(folder)
    first = max(here.fork, here.log.pruned) + 1
    path = folder / f"audit-fork-{first}-{here.log.head}-{stamp(now_ms)}.jsonl"
    try:
        try:
            digest = _write(path, ready, here.fork)
            sync_dir(folder)
        except OSError as error:
            kind = StorageFull if error.errno in NO_SPACE else NotPossible
            raise kind(f"{path}: cannot be written: {error.strerror}; nothing was changed") from error
        yield {"fork_file": path.name, "fork_sha256": digest}
    except BaseException:
        path.unlink(missing_ok=True)
        raise


def _write(path: Path, ready: Prepared, after: int) -> str:
    digest = hashlib.sha256()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:  # noqa: PTH123 - a descriptor, not a path
        for _seq, body, hashed in ready.staged.entries(after):
            fields = {**audit.fields_of(body.decode(errors="replace")), "hash": hashed.decode(errors="replace")}
            line = json.dumps(fields, sort_keys=True).encode() + b"\n"
            digest.update(line)
            file.write(line)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


# The head that is kept beside the database


def contradicted(context: Context, ready: Prepared) -> Checkpoint | None:
    """Return the kept head where the restored log is not the one that it saw."""
    kept = checkpointing.kept_head(context)
    if kept is None:
        return None
    tx = ready.staged.tx
    stored = audit.get(tx, kept.seq)
    if kept.seq > audit.head(tx)[0]:
        return kept
    return kept if stored is not None and stored.hash != kept.hash else None


def missing(ready: Prepared, kept: Checkpoint | None) -> dict[str, object]:
    """Return what an entry says of entries that were once signed and are lost."""
    head = audit.head(ready.staged.tx)[0]
    return {"missing": f"{head + 1}-{kept.seq}"} if kept is not None and kept.seq > head else {}


@contextmanager
def set_aside(context: Context, now_ms: int, *, wanted: bool) -> Iterator[None]:
    """Have the kept head out of the way, where the log that comes is another one; back where it then does not come."""
    if not wanted:
        yield
        return
    path = paths_of(context).data_dir / checkpointing.HEAD_FILE
    aside = path.with_name(f"{path.stem}.before-{stamp(now_ms)}{path.suffix}")
    try:
        path.replace(aside)
    except OSError as error:
        raise NotPossible(f"{path}: cannot be set aside: {error.strerror}; nothing was changed") from error
    try:
        yield
    except BaseException:
        aside.replace(path)
        raise


# Configuration


def put_configuration(context: Context, paths: Paths, ready: Prepared, name: str, *, forced: bool) -> list[str]:
    """Put the backup's configuration and templates in place, where there are none here or it is asked for.

    What is replaced stays beside it. Returns what was done in words, and what could not be.
    """
    home = paths.config_file.parent
    done: list[str] = []
    trouble = []
    try:
        differs = _put_configuration(paths, ready, name, done, forced=forced)
    except ChronosError as error:
        differs, trouble = False, [str(error)]
    except OSError as error:
        differs, trouble = False, [f"{error.filename or home}: cannot be put in place: {error.strerror}"]
    words = [f"{PUT} put in place: {', '.join(done)}; 'chronos config check' looks at it"] if done else []
    if differs:
        words.append("the configuration here stays; the backup's differs (--with-configuration puts it in place)")
    return words + trouble


def _put_configuration(paths: Paths, ready: Prepared, name: str, done: list[str], *, forced: bool) -> bool:
    """Do it; return whether something differs and was left as it is."""
    home = paths.config_file.parent
    templates = home / TEMPLATES.rstrip("/")
    has_templates = templates.is_dir() and any(templates.iterdir())
    differs = False
    for relative in configuration(ready):
        is_config = str(relative) == CONFIG
        target = paths.config_file if is_config else home / relative
        data = (ready.folder / relative).read_bytes()
        there = _bytes_of(target)
        if there == data:
            continue
        if not forced and (there is not None or (not is_config and has_templates)):
            differs = True
            continue
        target.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        if there is not None:
            write_atomic(target.with_name(f"{target.name}.before-restore-{name.rpartition('-')[2]}"), there)
        write_atomic(target, data)
        done.append(str(relative))
    return differs


def _bytes_of(path: Path) -> bytes | None:
    try:
        return read_small(path, MOST_SMALL_BYTES)
    except FileNotFoundError:
        return None
    except ConfigError as error:
        raise NotPossible(f"{path}: {error}; move it away, and restore its content from the backup") from error


def note_configuration(context: Context) -> None:
    """Record that the configuration file was changed through Chronos."""
    from engine.operations import configwatch

    configwatch.written(context, "set", "restore")
