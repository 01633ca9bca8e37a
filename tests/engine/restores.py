"""What tests of restores share: an outbox with a data directory, backups of it, and restores as the owner does them."""

from __future__ import annotations

import hashlib
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from engine.errors import Sent
from engine.host.archive.reader import open_archive
from engine.host.archive.writer import ZipWriter
from engine.host.paths import Paths, paths
from engine.model import Outcome, Settings
from engine.operations import rotating, verifying
from engine.operations.backup import backups, signing
from engine.operations.context import Machine
from engine.operations.restore import applying, rescuing, restoring
from engine.operations.restore.applying import Restored
from engine.operations.restore.restoring import Plan
from engine.operations.vault import Provider
from engine.rules.backups import DATABASE, Kind
from tests.support import Box, EventLog, FakeClock, opened_box, settings


class Site(Box):
    """An outbox whose data directory is a real one."""

    paths: Paths

    def furnish(self) -> None:
        self.paths = paths(str(self.directory), None, {})
        self.context.machine = Machine(self.paths, {}, EventLog())

    def make_vault(self) -> None:
        rotating.create(self.context, Provider.FILE)

    def back_up(self) -> Path:
        """Make a backup; a second later, so that the next one has another name."""
        made = backups.create(self.context, Kind.MANUAL, drill=False)
        self.clock.advance_ms(1_000)
        return made.path

    def plan(self, file: Path, **more: Any) -> Plan:
        return restoring.plan(self.context, file, **more)

    def apply(self, file: Path, **more: Any) -> Restored:
        """Restore as an owner does: nothing is on the wire, and a new epoch begins."""
        self.clock.advance_ms(1_000)
        done = applying.apply(self.context, file, **{"quiesce": nullcontext, **more})
        self.take_over()
        return done

    def deliver(self) -> list[str]:
        """Deliver everything that is due; return the uids in order."""
        sent = []
        while claimed := self.claim():
            for one in claimed:
                self.finish(one)
                sent.append(one.taken.uid)
        return sent

    def kill(self) -> None:
        """Have everything that is due refused for good."""
        for one in self.claim():
            self.finish(one, Outcome(Sent.REJECTED, "no such user", "550"))

    def rows(self, sql: str, **params: Any) -> list[tuple[Any, ...]]:
        return self.database.read(lambda tx: tx.search(sql, params))

    def change(self, sql: str, **params: Any) -> None:
        self.database.write(lambda tx: tx.search(sql, params))

    def states(self) -> dict[str, int]:
        return dict(self.rows("SELECT state, count(*) FROM messages GROUP BY state"))

    def sound(self) -> None:
        """Counts as counted, the log verified to its end, every page in order, and nothing left lying about."""
        kept = dict(self.rows("SELECT name, n FROM counts WHERE name NOT IN ('revision', 'audit_head') AND n > 0"))
        assert kept == self.states()
        found = verifying.verify(self.context)
        assert found.ok, found.why
        assert self.rows("PRAGMA integrity_check") == [("ok",)]
        assert self.rows("PRAGMA foreign_key_check") == []
        assert list(self.directory.glob("restore-*")) == []


@contextmanager
def opened_site(
    directory: Path, configuration: Settings | None = None, clock: FakeClock | None = None
) -> Iterator[Site]:
    """Open the outbox of a data directory and close it again."""
    directory.mkdir(mode=0o700, exist_ok=True)
    with opened_box(directory, configuration, clock) as box:
        box.__class__ = Site
        assert isinstance(box, Site)
        box.furnish()
        yield box


def repacked(site: Site, file: Path, change: Callable[[sqlite3.Connection, dict[str, Any]], object]) -> Path:
    """Return the same archive with another database and manifest, sound and signed by the same keys."""
    target = file.with_name("changed.zip")
    with open_archive(file) as archive, tempfile.TemporaryDirectory() as folder:
        archive.extract(Path(folder))
        manifest, at_ms = dict(archive.manifest), archive.created_ms
        small = {one.name: archive.read(one.name) for one in archive.members if one.name != DATABASE}
        with closing(sqlite3.connect(Path(folder) / DATABASE)) as connection:
            change(connection, manifest)
            connection.commit()
            connection.execute("VACUUM")
        database = (Path(folder) / DATABASE).read_bytes()
    with target.open("w+b") as stream:
        writer = ZipWriter(stream, at_ms)
        writer.begin_deflated(DATABASE)
        writer.write(database)
        members = [writer.end(), *(writer.add_stored(name, data) for name, data in small.items())]
        manifest["members"] = {one.name: one.document() for one in members}
        writer.add_manifest(signing.sign(site.context, manifest), members)
        writer.finish()
    return target


def rescue(where: Paths, file: Path, clock: FakeClock, **more: Any) -> Restored:
    """Restore where there is no database that opens."""
    return rescuing.rescue(where, settings(), {}, file, actor="test:me", clock=clock, log=EventLog(), **more)


def fingerprint(directory: Path) -> dict[str, str]:
    """Return the sum of every file but locks and the memory that processes share."""
    return {
        str(path.relative_to(directory)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and not path.name.endswith(("-shm", ".lock"))
    }
