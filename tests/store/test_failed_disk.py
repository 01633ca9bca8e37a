"""A disk that fails a write: nothing is acknowledged after it, here or elsewhere, until the database was rewritten."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest

from engine.errors import DatabaseBusy, Degraded, NotPossible
from engine.host.locks import EngineLock
from engine.model import NewMessage
from engine.operations.health import Level
from engine.store.tx import Tx
from tests.store.rig import get, look, put, run
from tests.support import SKIP_NOTHING, data_dir, open_database, opened_engine

pytestmark = pytest.mark.skipif(
    shutil.which("strace") is None and not SKIP_NOTHING, reason="strace, which injects the error, is not installed"
)

_TAKE = """
    import json, sys
    from pathlib import Path
    from engine.errors import ChronosError
    from tests.store.rig import get, put
    from tests.support import open_database
    database = open_database(Path(sys.argv[1]), owner=sys.argv[2] == "owner")
    said = []
    for number in range(8):
        try:
            put(database, f"key-{number}")
            said.append("ok")
        except ChronosError as error:
            said.append(type(error).__name__)
        if sys.argv[2] == "owner" and number == 3:
            try:
                database.checkpoint()
            except ChronosError as error:
                pass
    print(json.dumps({"said": said, "degraded": database.degraded}))
    database.close()
"""


def _strace(call: str, when: int) -> tuple[str, ...]:
    quiet = ("strace", "-f", "-qq", "-o", "/dev/null")
    return (*quiet, "-e", f"trace={call}", "-e", f"inject={call}:error=EIO:when={when}")


# The second is the directory's, whose failure SQLite does not report: it holds names, and ours is years old.
_FIRST_COMMIT = 3


@pytest.mark.parametrize("when", [1, _FIRST_COMMIT, _FIRST_COMMIT + 3])
def test_nothing_is_acknowledged_after_a_failed_fsync(tmp_path: Path, when: int) -> None:
    open_database(tmp_path).close()
    found = run(_TAKE, tmp_path, "other", command=_strace("fdatasync", when))
    good = found["said"].index("Degraded")
    assert found["said"] == ["ok"] * good + ["Degraded"] * (8 - good), "once is for good"
    assert found["degraded"] is True

    note = json.loads((tmp_path / "DEGRADED").read_text())
    assert "dmesg" in note["error"]
    other = open_database(tmp_path, migrated=False)
    try:
        with pytest.raises(Degraded, match="chronos doctor --fix"):
            put(other, "a")
        assert [get(other, f"key-{number}") for number in range(good)] == ["1"] * good, "what was acknowledged is there"
        assert other.degraded
    finally:
        other.close()


def test_a_failed_fsync_while_the_log_is_folded_in_ends_the_acknowledging_too(tmp_path: Path) -> None:
    open_database(tmp_path).close()
    found = run(_TAKE, tmp_path, "owner", command=_strace("fdatasync", _FIRST_COMMIT + 4))
    assert found["said"] == ["ok"] * 4 + ["Degraded"] * 4


def test_doctor_mends_a_degraded_database_and_keeps_all_that_was_acknowledged(tmp_path: Path) -> None:
    where = data_dir(tmp_path)
    with opened_engine(where) as engine:
        uids = [engine.enqueue(NewMessage(target="hook", text=f"{n}")).message.uid for n in range(5)]
    run(_TAKE, where.data_dir, "other", command=_strace("fdatasync", _FIRST_COMMIT))

    with opened_engine(where) as engine:
        with pytest.raises(Degraded):
            engine.enqueue(NewMessage(target="hook", text="refused"))
        assert engine.status()["degraded"] is True, "it can still be looked at"
        assert engine.counts()["queued"] == 5
        before = where.database.stat().st_ino
        mended = engine.doctor(fix=True)
        assert [check.value for check in mended if check.level == Level.CRITICAL] == []
        assert where.database.stat().st_ino != before, "every page was written anew"
        assert not where.degraded.exists()
        assert [engine.detail(uid).message.state.value for uid in uids] == ["queued"] * 5
        engine.enqueue(NewMessage(target="hook", text="taken again"))
        assert engine.audit_verify().ok
    assert [path.name for path in where.data_dir.iterdir() if "rewrite" in path.name] == []


def test_doctor_does_not_rewrite_under_a_process_that_has_the_database_open(tmp_path: Path) -> None:
    """Regression: at its end that process folded the log of the new file into the old one, and deleted it."""
    database = open_database(tmp_path)
    other = open_database(tmp_path)
    code = """
        import json, sys
        from pathlib import Path
        from engine.errors import DatabaseBusy
        from tests.support import open_database
        database = open_database(Path(sys.argv[1]))
        try:
            database.rewrite()
            print('"rewritten"')
        except DatabaseBusy as error:
            print(json.dumps(str(error)))
        database.close()
    """
    try:
        put(other, "a")
        assert "stop every one" in run(code, tmp_path)
        other.close()

        def in_the_middle_of_reading(tx: Tx) -> None:
            look(tx, "a")
            with pytest.raises(DatabaseBusy, match="stop every one"):
                database.rewrite()

        database.read(in_the_middle_of_reading)
        put(database, "b")
        database.rewrite()
        put(database, "c")
        assert [get(database, key) for key in "abc"] == ["1"] * 3
    finally:
        other.close()
        database.close()


def test_doctor_refuses_to_rewrite_while_an_engine_runs(tmp_path: Path) -> None:
    where = data_dir(tmp_path)
    with opened_engine(where) as engine:
        where.degraded.write_text("{}\n")
        lock = EngineLock(where.engine_lock)
        assert lock.acquire({"pid": 4242})
        try:
            with pytest.raises(NotPossible, match="4242"):
                engine.doctor(fix=True)
        finally:
            lock.release()
        assert where.degraded.exists()


def test_an_engine_on_a_failed_disk_still_stops_and_lets_go(tmp_path: Path) -> None:
    """Regression: folding the log in at the end was refused, and the lock was kept."""
    where = data_dir(tmp_path)
    with opened_engine(where) as engine:
        engine.start("test")
        where.degraded.write_text("{}\n")
        engine.stop()
        assert engine.owner() is None


def test_what_a_failed_disk_leaves_behind_is_closed_to_others(tmp_path: Path) -> None:
    """Whatever the umask of the command that met the failure; the data directory may be open for reading on purpose."""
    before = os.umask(0o022)
    database = open_database(tmp_path)
    try:
        put(database, "a")
        database._degrade(Degraded("the disk did not take a write"))
        marker = (tmp_path / "DEGRADED").stat().st_mode & 0o777
        database.rewrite()
        rewritten = (tmp_path / "chronos.db").stat().st_mode & 0o777
    finally:
        database.close()
        os.umask(before)

    assert (marker, rewritten) == (0o600, 0o600)
