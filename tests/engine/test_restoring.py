"""A restore never sends twice and loses nothing."""

from __future__ import annotations

import hashlib
import json
import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ArchiveRefused, DatabaseBusy, NotPossible, SecretMissing, Sent
from engine.host.archive.reader import open_archive
from engine.model import OnUncertain, Outcome
from engine.operations import acts, apikeys, checkpointing, housekeeping, inbound, reading, rotating, secrets
from engine.operations.acts import Action
from engine.operations.bulk import act, freeze
from engine.operations.commanding import Stopped
from engine.operations.restore import settingback
from engine.rules.apikeys import Scope
from engine.store import audit, migrate
from engine.store.opening import APPLICATION_ID
from tests.engine.restores import Site, fingerprint, opened_site, repacked
from tests.store.rig import answer, running, tell


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    with opened_site(tmp_path / "data") as opened:
        yield opened


def test_the_issues_scenario(site: Site) -> None:
    """Backup at T0; 500 messages delivered and 50 queued after it; restore T0."""
    site.make_vault()
    before = [site.put(text=f"before {number}").uid for number in range(20)]
    file = site.back_up()
    sent = site.deliver()
    sent += [site.put(text=f"sent {number}").uid for number in range(480)]
    site.deliver()
    waiting = [site.put(text=f"waits {number}", idempotency_key=f"key-{number}").uid for number in range(50)]
    assert sorted(sent[:20]) == sorted(before)
    head = audit_head(site)
    plan = site.plan(file)

    done = site.apply(file)

    assert site.states() == {"delivered": 500, "held": 50}
    assert site.claim() == [], "nothing leaves by itself"
    assert {one.uid for one in done.held} == set(waiting)
    assert all(one.reason.startswith("restored: was queued at 2026-") for one in done.held)
    assert {one.was for one in done.held} == {"queued"}
    assert (done.held_total, plan.held_total, plan.would_resend) == (50, 50, 20)
    with open_archive(file) as archive:
        assert (plan.relation, plan.audit_carried) == ("continues", head - archive.manifest["audit"]["seq"])
    site.sound()
    # The log tells the whole story: every delivery, and the restore as its newest acts.
    delivered = {row[0] for row in site.rows("SELECT subject FROM audit WHERE action = 'message.delivered'")}
    assert delivered == set(sent)
    (entry,) = entries(site, "restore.applied")
    assert entry["detail"]["held"] == {"queued": 50}
    assert entry["detail"]["safety"] == done.safety
    assert entry["detail"]["tag"] == done.tag
    # The operator lets go what is held, once each.
    frozen = freeze(site.context, Action.RELEASE, expression=f"tag:{done.tag}")
    act(site.context, frozen.bulk_id)
    assert sorted(site.deliver()) == sorted(waiting)
    again = site.put(text="waits 7", idempotency_key="key-7")
    assert again.uid == waiting[7], "its key is still known"
    site.sound()


def audit_head(site: Site) -> int:
    return int(site.database.read(audit.head)[0])


def entries(site: Site, action: str) -> list[dict[str, Any]]:
    rows = site.rows("SELECT body FROM audit WHERE action = :action ORDER BY seq", action=action)
    return [json.loads(row[0]) for row in rows]


def test_it_is_the_archive_of_the_plan_that_is_put_in_place(site: Site) -> None:
    site.put()
    file, other = site.back_up(), site.back_up()
    plan = site.plan(file)
    file.write_bytes(other.read_bytes())

    with pytest.raises(ArchiveRefused):  # by the ledger, which knows the file, or by the plan
        site.apply(file, planned=plan.sha256)
    with pytest.raises(ArchiveRefused, match="is another file than the plan was made of"):
        site.apply(other, planned=plan.sha256)
    assert site.states() == {"queued": 1}

    assert site.apply(other, planned=site.plan(other).sha256).held_total == 1


def test_a_plan_touches_nothing_and_says_what_apply_then_does(site: Site) -> None:
    site.make_vault()
    apikeys.create(site.context, "ci", [Scope.SEND])
    for number in range(12):
        site.put(text=str(number))
    file = site.back_up()
    site.deliver()
    apikeys.revoke(site.context, "ci")
    for number in range(5):
        site.put(text=f"late {number}")
    site.database.checkpoint(truncate=True)
    before = fingerprint(site.directory)
    plan = site.plan(file)
    assert fingerprint(site.directory) == before

    done = site.apply(file)

    then = done.plan
    assert plan.states == then.states
    assert {state: after for state, (_here, _there, after) in plan.states.items() if after} == site.states()
    assert [one.uid for one in plan.held] == [one.uid for one in then.held] == [one.uid for one in done.held]
    assert plan.keys == then.keys
    assert [(one.name, one.what.split()[0]) for one in plan.keys] == [("ci", "revoked")]
    # The safety backup is listed and recorded before the swap; nothing else differs.
    differ = {one.table for one, other in zip(plan.tables, then.tables, strict=True) if one != other}
    assert differ == {"audit", "backups"}
    for one in then.tables:
        if one.table not in {"audit"}:
            assert site.rows(f"SELECT count(*) FROM {one.table}") == [(one.after,)], one.table


def test_no_door_opens_again(site: Site) -> None:
    site.make_vault()
    apikeys.create(site.context, "ci", [Scope.SEND])
    file = site.back_up()
    apikeys.revoke(site.context, "ci")
    site.change(
        "INSERT INTO inbound_events (source, event_id, proof, body_sha256, received_ms, remote, size, outcome)"
        " VALUES ('shop', 'evt-1', 'p', '', 1, '', 0, 'ignored')"
    )
    site.apply(file)
    assert [key.revoked_ms is not None for key in apikeys.listing(site.context)] == [True]
    assert [event.event_id for event in inbound.events(site.context)] == ["evt-1"]
    site.sound()


def test_a_restore_is_undone_by_its_safety_backup(site: Site) -> None:
    uid = site.put(text="kept").uid
    file = site.back_up()
    site.deliver()
    late = site.put(text="late").uid
    first = site.apply(file)
    assert first.safety is not None
    second = site.apply(site.directory / "backups" / first.safety)
    assert site.states() == {"delivered": 1, "held": 1}
    assert reading.detail(site.context, uid).message.state == "delivered"
    assert [one.uid for one in second.held] == [late], "what waits can be let go by the newer tag, too"
    assert site.claim() == []
    site.sound()


# Secrets


def test_secrets_of_today_stay_and_lost_ones_come_back(site: Site) -> None:
    site.make_vault()
    for name in ("kept", "changed", "deleted"):
        secrets.set_secret(site.context, name, f"{name} then")
    file = site.back_up()
    secrets.set_secret(site.context, "changed", "changed now")
    secrets.delete_secret(site.context, "deleted")
    secrets.set_secret(site.context, "new", "new now")
    done = site.apply(file)
    found = {name: secrets.look_up(site.context, f"secret:{name}") for name in ("kept", "changed", "deleted", "new")}
    assert found == {"kept": "kept then", "changed": "changed now", "deleted": "deleted then", "new": "new now"}
    assert {one.name: one.what for one in done.plan.secrets} == {
        "changed": "was changed since: keeps its value of today",
        "deleted": "comes back",
    }
    assert [one for one in secrets.check(site.context) if not one.ok] == []
    site.sound()


def test_a_secret_sealed_under_a_key_that_is_gone_is_reported(site: Site) -> None:
    site.make_vault()
    secrets.set_secret(site.context, "kept", "kept then")
    secrets.set_secret(site.context, "deleted", "deleted then")
    file = site.back_up()
    secrets.delete_secret(site.context, "deleted")
    rotating.rotate(site.context)
    done = site.apply(file)
    assert secrets.look_up(site.context, "secret:kept") == "kept then"
    with pytest.raises(SecretMissing):
        secrets.look_up(site.context, "secret:deleted")
    assert any(note.startswith("secret deleted: not brought back") for note in done.notes)
    assert entries(site, "restore.applied")[0]["detail"]["secrets_lost"] == ["deleted"]
    assert [one for one in secrets.check(site.context) if not one.ok] == []
    site.sound()


# Refusals, and ends in the middle


def test_a_newer_archive_is_refused(site: Site) -> None:
    def newer(connection: sqlite3.Connection, manifest: dict[str, Any]) -> None:
        connection.execute(f"PRAGMA user_version = {migrate.latest() + 1}")
        manifest["schema"] = migrate.latest() + 1

    file = repacked(site, site.back_up(), newer)
    with pytest.raises(ArchiveRefused, match="newer than this Chronos knows"):
        site.plan(file)
    with pytest.raises(ArchiveRefused, match="newer than this Chronos knows"):
        site.apply(file)
    (entry,) = entries(site, "restore.failed")
    assert "newer" in entry["detail"]["reason"]
    site.sound()


def test_an_archive_of_an_older_schema_is_brought_up_to_date(site: Site) -> None:
    uid = site.put(text="old").uid

    def older(connection: sqlite3.Connection, manifest: dict[str, Any]) -> None:
        rows = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in ("messages", "bodies")}
        log = connection.execute("SELECT seq, body, hash FROM audit").fetchall()
        head = connection.execute("SELECT n, word FROM counts WHERE name = 'audit_head'").fetchone()
        connection.execute("PRAGMA user_version = 0")
        with closing(migrate.blueprint(2)) as ours:
            ours.backup(connection)
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        for name, found in rows.items():
            for row in found:
                connection.execute(f"INSERT INTO {name} VALUES ({', '.join('?' * len(row))})", row)
        connection.executemany("INSERT INTO audit (seq, body, hash) VALUES (?, ?, ?)", log)
        connection.execute("UPDATE counts SET n = ?, word = ? WHERE name = 'audit_head'", head)
        tables = [row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        manifest["schema"], manifest["database_id"] = 2, None
        manifest["rows"] = {
            name: connection.execute(f"SELECT count(*) FROM {name}").fetchone()[0]
            for name in manifest["rows"]
            if name in tables
        }

    file = repacked(site, site.back_up(), older)
    site.deliver()
    done = site.apply(file)
    assert (done.plan.schema, done.plan.relation) == (2, "continues")
    assert reading.detail(site.context, uid).message.state == "delivered"
    assert migrate.version(site.database) == migrate.latest()
    site.sound()


@pytest.mark.parametrize("stage", ["unpacking", "judging: audit", "copying rows", "carrying", "putting it in place"])
def test_who_asks_it_to_end_finds_everything_as_it_was(site: Site, stage: str) -> None:
    site.put()
    file = site.back_up()
    site.put()
    before = site.states()

    def end(said: str, _done: int, _total: int) -> None:
        if said.startswith(stage):
            raise Stopped("stopped")

    with pytest.raises(Stopped):
        site.apply(file, report=end)
    assert site.states() == before == {"queued": 2}
    site.sound()


def test_who_locks_the_database_by_hand_does_not_keep_everybody_waiting(site: Site) -> None:
    site.put()
    file = site.back_up()
    site.database.options = site.database.options._replace(busy_ms=100)
    with closing(sqlite3.connect(site.database.path, isolation_level=None)) as shell:

        def lock(said: str, _done: int, _total: int) -> None:
            if said == "putting it in place":
                shell.execute("BEGIN IMMEDIATE")

        with pytest.raises(DatabaseBusy, match="keeps the database locked"):
            site.apply(file, report=lock)
        shell.execute("ROLLBACK")
    assert site.states() == {"queued": 1}
    site.sound()


def test_who_asks_it_to_end_is_heard_while_a_child_says_nothing(site: Site) -> None:
    """A table of a million rows is one step of a child's."""
    site.put()
    file = site.back_up()

    def end(said: str, _done: int, _total: int) -> None:
        if said == "judging":  # none of the judge's own stages
            raise Stopped("stopped")

    with pytest.raises(Stopped):
        site.apply(file, report=end)
    assert site.states() == {"queued": 1}
    site.sound()


@pytest.mark.parametrize("then", ["queued", "dead", "uncertain"])
def test_what_was_delivered_and_forgotten_since_does_not_wait_again(site: Site, then: str) -> None:
    """Retention has deleted it; the log knows that it arrived, and who finds it dead or in doubt might send it anew."""
    uid = site.put(on_uncertain=OnUncertain.ASK).uid
    if then != "queued":
        sent = Sent.REJECTED if then == "dead" else Sent.UNKNOWN
        for one in site.claim():
            site.finish(one, Outcome(sent, "no such user"))
    assert site.states() == {then: 1}
    file = site.back_up()
    if then != "queued":
        acts.act_on_one(site.context, Action.RETRY if then == "dead" else Action.RESEND, uid)
    assert site.deliver() == [uid]
    site.put(text="newer")  # the newest is never forgotten
    site.clock.advance_ms(400 * 86_400_000)
    while housekeeping.retain(site.context):
        pass
    assert site.rows("SELECT 1 FROM messages WHERE uid = :uid", uid=uid) == []
    site.apply(file)
    assert reading.detail(site.context, uid).message.state == "delivered"
    site.sound()


def test_what_happens_while_it_is_prepared_is_carried_too(site: Site) -> None:
    first = site.put(text="first").uid
    file = site.back_up()
    late: list[str] = []

    @contextmanager
    def quiesce() -> Iterator[None]:
        site.deliver()
        late.append(site.put(text="late").uid)
        yield

    done = site.apply(file, quiesce=quiesce)
    assert reading.detail(site.context, first).message.state == "delivered"
    assert [one.uid for one in done.held] == late
    site.sound()


_READER = """
import sys, time
from pathlib import Path
from tests.support import open_database
database = open_database(Path(sys.argv[1]), migrated=False, owner=False)
watch = database.watch()
count = lambda: database.read(lambda tx: tx.search("SELECT count(*) FROM messages WHERE state = 'held'", {}))[0][0]
watch.moved()
print(count(), flush=True)
sys.stdin.readline()
print(watch.moved(), count(), flush=True)
database.write(lambda tx: tx.search("INSERT INTO meta VALUES ('by the reader', '1')", {}))
print("wrote", flush=True)
"""


def test_an_attached_process_sees_the_new_data_and_goes_on(site: Site) -> None:
    site.put()
    file = site.back_up()
    with running(_READER, site.directory) as reader:
        assert answer(reader) == "0"
        site.apply(file)
        tell(reader)
        assert answer(reader) == "True 1"
        assert answer(reader) == "wrote"
    assert site.rows("SELECT value FROM meta WHERE key = 'by the reader'") == [("1",)]
    site.sound()


# Configuration


def test_the_configuration_stays_unless_it_is_asked_for(site: Site) -> None:
    config = site.paths.config_file
    assert config.parent != site.directory or not config.exists()
    site.paths = site.paths._replace(config_file=site.directory / "config.yaml")
    site.context.machine = site.context.machine._replace(paths=site.paths)
    config = site.paths.config_file
    config.write_text("instance: then\n")
    (site.directory / "templates").mkdir()
    (site.directory / "templates" / "alert.txt").write_text("then")
    file = site.back_up()
    config.write_text("instance: now\n")
    assert site.plan(file).config == "differs"
    done = site.apply(file)
    assert config.read_text() == "instance: now\n"
    assert any("--with-configuration" in note for note in done.notes)
    done = site.apply(file, with_configuration=True)
    assert config.read_text() == "instance: then\n"
    (kept,) = site.directory.glob("config.yaml.before-restore-*")
    assert kept.read_text() == "instance: now\n"
    (site.directory / "templates" / "alert.txt").unlink()
    (site.directory / "templates").rmdir()
    config.unlink()
    assert site.plan(file).config == "absent here"
    site.apply(file)
    assert config.read_text() == "instance: then\n"
    assert (site.directory / "templates" / "alert.txt").read_text() == "then"


def test_configuration_that_cannot_be_put_in_place_fails_no_restore(site: Site) -> None:
    site.paths = site.paths._replace(config_file=site.directory / "config.yaml")
    site.context.machine = site.context.machine._replace(paths=site.paths)
    site.paths.config_file.write_text("instance: then\n")
    templates = site.directory / "templates"
    templates.mkdir()
    (templates / "alert.txt").write_text("then")
    uid = site.put().uid
    file = site.back_up()
    site.paths.config_file.write_text("instance: now\n")
    shutil.rmtree(templates)
    templates.write_text("in the way of a directory")
    done = site.apply(file, with_configuration=True)
    assert [one.uid for one in done.held] == [uid]
    assert site.paths.config_file.read_text() == "instance: then\n"
    assert any("config.yaml" in note for note in done.notes), "what was put in place is said"
    assert any("templates" in note and "Not a directory" in note for note in done.notes)
    assert entries(site, "restore.failed") == []
    assert len(entries(site, "config.set")) == 1


def test_a_backup_of_another_outbox_is_refused_while_messages_wait(site: Site, tmp_path: Path) -> None:
    with opened_site(tmp_path / "other") as other:
        other.context.entropy = lambda n: (1 << 40).to_bytes(n, "big")
        other.put(text="theirs")
        file = other.back_up()
    site.put(text="ours")
    plan = site.plan(file)
    assert plan.relation == "foreign"
    assert any("1 message waits" in warning for warning in plan.warnings)
    with pytest.raises(NotPossible, match="1 message waits in this one"):
        site.apply(file)
    site.deliver()
    done = site.apply(file)
    assert site.states() == {"delivered": 1, "held": 1}
    (entry,) = entries(site, "restore.applied")
    fork = site.directory / "audit-archive" / entry["detail"]["fork_file"]
    lines = [json.loads(line) for line in fork.read_text().splitlines()]
    assert [line["seq"] for line in lines] == list(range(1, len(lines) + 1))
    assert {"message.delivered", "restore.failed", "backup.created"} <= {line["action"] for line in lines}
    assert done.plan.audit_note.startswith("today's log is another outbox's")
    site.sound()


# Histories that went their own ways


def copied(site: Site, directory: Path) -> None:
    """Put a copy of the data directory somewhere else, as an operator does with rsync while nothing runs."""
    site.database.checkpoint(truncate=True)
    shutil.copytree(site.directory, directory)
    for lock in directory.glob("*.lock"):
        lock.unlink()


def test_of_a_forked_history_nothing_is_lost_and_nothing_sent(site: Site, tmp_path: Path) -> None:
    site.make_vault()
    both = site.put(text="both").uid
    copied(site, tmp_path / "other")
    there = site.put(text="there").uid
    file = site.back_up()
    with opened_site(tmp_path / "other") as other:
        other.context.entropy = lambda n: (1 << 40).to_bytes(n, "big")
        other.deliver()
        here = other.put(text="here").uid
        plan = other.plan(file)
        done = other.apply(file)
        assert plan.relation == done.plan.relation == "forked"
        assert dict(other.rows("SELECT uid, state FROM messages")) == {
            both: "delivered",
            there: "held",
            here: "held",
        }
        (entry,) = entries(other, "restore.applied")
        fork = other.directory / "audit-archive" / entry["detail"]["fork_file"]
        assert hashlib.sha256(fork.read_bytes()).hexdigest() == entry["detail"]["fork_sha256"]
        lines = [json.loads(line) for line in fork.read_text().splitlines()]
        assert {"message.delivered", "message.queued"} <= {line["action"] for line in lines}
        assert fork.stat().st_mode & 0o777 == 0o600
        other.sound()


def test_what_was_tried_more_often_in_a_fork_can_be_tried_again(site: Site, tmp_path: Path) -> None:
    """The number of an attempt is given once: else the claim would fail, and with it every other one, for ever."""
    uid = site.put().uid
    copied(site, tmp_path / "other")
    for _ in range(2):
        for one in site.claim():
            site.finish(one, Outcome(Sent.NO, "connection refused"))
        site.clock.advance_ms(3_600_000)
    file = site.back_up()
    with opened_site(tmp_path / "other", clock=site.clock) as other:
        other.context.entropy = lambda n: (1 << 40).to_bytes(n, "big")
        other.put(text="here")
        done = other.apply(file)  # no log tells of attempts that failed, so it looks like a history that goes on
        frozen = freeze(other.context, Action.RELEASE, expression=f"tag:{done.tag}")
        act(other.context, frozen.bulk_id)
        assert uid in other.deliver()
        other.sound()


def test_a_backup_that_is_ahead_brings_its_newer_state(site: Site, tmp_path: Path) -> None:
    site.make_vault()
    secrets.set_secret(site.context, "smtp", "old")
    uid = site.put().uid
    copied(site, tmp_path / "other")
    secrets.set_secret(site.context, "smtp", "new")
    site.deliver()
    late = site.put().uid
    file = site.back_up()
    with opened_site(tmp_path / "other") as other:
        done = other.apply(file)
        assert done.plan.relation == "behind"
        assert secrets.look_up(other.context, "secret:smtp") == "new"
        assert dict(other.rows("SELECT uid, state FROM messages")) == {
            uid: "delivered",
            late: "held",
        }
        other.sound()


def test_a_swap_that_fails_leaves_nothing_behind(site: Site, tmp_path: Path) -> None:
    site.make_vault()
    copied(site, tmp_path / "other")
    site.put(text="there")
    file = site.back_up()
    with opened_site(tmp_path / "other") as other:
        other.put(text="here")
        checkpointing.make(other.context)
        # The name under which the kept head is set aside is taken by a directory that is not empty.
        taken = other.directory / f"audit-head.before-{settingback.stamp(other.clock.now_ms() + 1_000)}.json"
        (taken / "full").mkdir(parents=True)
        with pytest.raises(NotPossible, match="cannot be set aside"):
            other.apply(file)
        assert list(other.directory.glob("audit-archive/*")) == []
        assert (other.directory / "audit-head.json").exists()
        assert other.states() == {"queued": 1}
        other.sound()
        shutil.rmtree(taken)
        other.apply(file)
        assert len(list(other.directory.glob("audit-head.before-*.json"))) == 1
        assert len(list(other.directory.glob("audit-archive/*"))) == 1
        other.sound()
