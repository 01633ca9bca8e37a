"""Each guard, driven by its real cause: a mode, a clock, a key file, a ciphertext, an editor, a tampered log."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from engine import upkeep
from engine.engine import Engine
from engine.host.exposure import exposed
from engine.operations import configwatch, guarding, health, incidents, vault
from engine.operations.context import Context
from engine.operations.health import Level
from engine.operations.incidents import Incident
from engine.operations.vault import Provider
from engine.rules.incidents import MANY, MOST_SUBJECTS, Kind
from tests.support import FakeClock, data_dir, opened_engine

MINUTE_MS = 60_000
DAY_MS = 86_400_000


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def engine(tmp_path: Path, clock: FakeClock) -> Iterator[Engine]:
    """An engine on a data directory with a configuration file; not started, so that only the test runs chores."""
    where = data_dir(tmp_path)
    where.data_dir.mkdir(mode=0o700)
    config = where.data_dir / "config.yaml"
    config.write_text("instance: box\n")
    config.chmod(0o600)
    with opened_engine(where._replace(config_file=config), clock=clock) as opened:
        yield opened


def found(engine: Engine, kind: Kind | None = None) -> list[Incident]:
    return [one for one in engine.incidents() if kind is None or one.kind == kind]


def notes(engine: Engine) -> list[str]:
    return [one.note for one in engine.incidents(everything=True) if one.state == "resolved"]


def tamper(engine: Engine, *statements: str) -> None:
    with closing(sqlite3.connect(engine.paths.database, isolation_level=None)) as connection:
        for statement in statements:
            assert connection.execute(statement).rowcount != 0, statement


def later(engine: Engine, clock: FakeClock, chore: Callable[[Context], object], ms: int) -> None:
    clock.advance_ms(ms)
    chore(engine.context)


# Files


def test_a_healthy_box_has_nothing_to_say(engine: Engine, clock: FakeClock) -> None:
    for _every_s, chore in guarding.chores():
        later(engine, clock, chore, DAY_MS)
    assert engine.incidents(everything=True) == []
    assert exposed(engine.paths) == []


@pytest.mark.parametrize(
    ("name", "mode", "severity", "may"),
    [
        ("", 0o750, "high", "read"),
        ("chronos.db", 0o640, "high", "read"),
        ("chronos.db-wal", 0o644, "high", "read"),
        ("chronos.db-shm", 0o666, "critical", "read and change"),
        ("logs", 0o755, "high", "read"),
        ("logs/security.jsonl", 0o604, "high", "read"),
        ("backups/old.zip", 0o660, "critical", "read and change"),
        ("root.key", 0o640, "critical", "read"),
        ("config.yaml", 0o620, "critical", "change"),
    ],
)
def test_a_file_that_is_too_open_is_an_incident_until_it_is_mended(
    engine: Engine, name: str, mode: int, severity: str, may: str
) -> None:
    path = engine.paths.data_dir / name if name else engine.paths.data_dir
    if not path.exists():
        path.parent.mkdir(mode=0o700, exist_ok=True)
        path.mkdir(mode=0o700) if name == "logs" else path.touch(mode=0o600)
    closed = path.stat().st_mode & 0o777
    path.chmod(mode)
    guarding.permissions(engine.context)
    [incident] = found(engine)
    assert (incident.kind, incident.subject, incident.severity) == (Kind.PERMISSIONS, str(path), severity)
    assert f"mode {mode:04o}" in incident.detail
    assert f"may {may} it" in incident.detail
    mend = incident.detail.partition("'")[2].rstrip("'")
    assert mend in {f"chmod go= {path}", f"chmod go-w {path}"}
    guarding.permissions(engine.context)
    assert found(engine)[0].count == 1, "still the same finding"
    path.chmod(closed)
    guarding.permissions(engine.context)
    assert found(engine) == []
    assert notes(engine) == ["nobody else may read or change it any more"]


def test_what_gets_worse_is_said(engine: Engine) -> None:
    engine.paths.database.chmod(0o640)
    guarding.permissions(engine.context)
    engine.incident_ack(1)
    engine.paths.database.chmod(0o660)
    guarding.permissions(engine.context)
    [incident] = found(engine)
    assert (incident.severity, incident.state, incident.count) == ("critical", "open", 2)


def test_a_directory_where_the_configuration_could_be_replaced_counts(tmp_path: Path) -> None:
    where = data_dir(tmp_path)
    etc = tmp_path / "etc"
    etc.mkdir()
    (etc / "config.yaml").touch(mode=0o644)
    etc.chmod(0o777)
    judged = {one.path: one.mend for one in exposed(where._replace(config_file=etc / "config.yaml"))}
    assert judged == {etc: f"chmod go-w {etc}"}
    etc.chmod(0o1777)
    assert exposed(where._replace(config_file=etc / "config.yaml")) == [], "sticky: nobody replaces another one's file"
    (etc / "config.yaml").chmod(0o644)
    assert exposed(where._replace(config_file=etc / "config.yaml")) == [], "it holds no secret and may be read"


def test_very_many_open_files_are_a_bounded_number_of_incidents(engine: Engine) -> None:
    logs = engine.paths.data_dir / "logs"
    logs.mkdir(mode=0o700)
    for number in range(MOST_SUBJECTS + 5):
        (logs / f"{number:03}.jsonl").touch(mode=0o644)
        (logs / f"{number:03}.jsonl").chmod(0o644)
    for _ in range(3):
        guarding.permissions(engine.context)
    rows = found(engine)
    assert len(rows) == MOST_SUBJECTS + 1
    [rest] = [one for one in rows if one.subject == MANY]
    assert (rest.detail, rest.count) == ("and 5 more", 1)
    for path in logs.iterdir():
        path.chmod(0o600)
    guarding.permissions(engine.context)
    assert found(engine) == [], "and the one that stood for the rest"


def test_what_was_resolved_and_is_still_so_is_raised_again(engine: Engine) -> None:
    engine.paths.database.chmod(0o644)
    guarding.permissions(engine.context)
    engine.incident_resolve(1, "I thought that I had mended it")
    guarding.permissions(engine.context)
    assert [one.id for one in found(engine)] == [2]


# The clock


@pytest.mark.parametrize(("ms", "way"), [(2 * 3_600_000, "forwards by 2 h"), (-90_000, "back by 1 min 30 s")])
def test_a_clock_that_jumps_is_an_incident(engine: Engine, clock: FakeClock, ms: int, way: str) -> None:
    guarding.clock(engine.context)
    later(engine, clock, guarding.clock, 10 * MINUTE_MS)
    assert found(engine) == [], "time that passes is no jump, however much"
    clock.jump_ms(ms)
    later(engine, clock, guarding.clock, MINUTE_MS)
    [incident] = found(engine)
    assert (incident.kind, incident.subject) == (Kind.CLOCK_JUMP, "clock")
    assert way in incident.detail
    later(engine, clock, guarding.clock, MINUTE_MS)
    assert found(engine)[0].count == 1
    clock.jump_ms(-ms)
    later(engine, clock, guarding.clock, MINUTE_MS)
    assert found(engine)[0].count == 2, "a jump back again is one more"


def test_what_ntp_slews_is_no_jump(engine: Engine, clock: FakeClock) -> None:
    guarding.clock(engine.context)
    clock.jump_ms(guarding.CLOCK_JUMP_MS)
    later(engine, clock, guarding.clock, MINUTE_MS)
    assert found(engine) == []


# The vault


@pytest.fixture
def sealed(engine: Engine) -> Engine:
    engine.vault_create(Provider.FILE)
    engine.secret_set("smtp", "hunter2 hunter2")
    engine.secret_set("hook", "another value")
    return engine


def test_a_root_key_that_is_gone_is_found_although_the_vault_is_still_open(sealed: Engine, clock: FakeClock) -> None:
    key = sealed.paths.data_dir / "root.key"
    guarding.root_key(sealed.context)
    away = key.rename(key.with_name("elsewhere"))
    later(sealed, clock, guarding.root_key, MINUTE_MS)
    assert found(sealed) == [], "one look may meet a moment"
    later(sealed, clock, guarding.root_key, MINUTE_MS)
    [incident] = found(sealed)
    assert (incident.kind, incident.subject, incident.severity) == (Kind.ROOT_KEY_MISSING, "file", "critical")
    assert "root.key is missing" in incident.detail
    away.rename(key)
    later(sealed, clock, guarding.root_key, MINUTE_MS)
    assert found(sealed) == []
    assert notes(sealed) == ["the vault can be opened"]


def test_another_key_in_its_place_is_not_the_key(sealed: Engine, clock: FakeClock) -> None:
    key = sealed.paths.data_dir / "root.key"
    root_id = key.read_text().splitlines()[-1].split()[0]
    key.write_text(f"{root_id} {'00' * 32}\n")
    for _ in range(2):
        later(sealed, clock, guarding.root_key, MINUTE_MS)
    assert [one.kind for one in found(sealed)] == [Kind.ROOT_KEY_MISSING]


def test_a_passphrase_is_not_asked_for_again(engine: Engine, clock: FakeClock) -> None:
    engine.vault_create(Provider.PASSPHRASE, passphrase="correct horse battery staple")
    for _ in range(3):
        later(engine, clock, guarding.root_key, MINUTE_MS)
    assert found(engine) == []
    engine.context.kept.pop("vault")  # as in a process that nobody gave it to
    for _ in range(2):
        later(engine, clock, guarding.root_key, MINUTE_MS)
    assert [one.subject for one in found(engine)] == ["passphrase"]


def test_a_box_without_a_vault_misses_none(engine: Engine, clock: FakeClock) -> None:
    for _ in range(3):
        later(engine, clock, guarding.root_key, MINUTE_MS)
        guarding.secrets(engine.context)
    assert found(engine) == []


def test_swapped_ciphertexts_are_found_by_name(sealed: Engine) -> None:
    tamper(
        sealed,
        "CREATE TEMP TABLE kept AS SELECT name, sealed FROM secrets",
        "UPDATE secrets SET sealed = (SELECT sealed FROM kept WHERE name <> secrets.name AND name NOT LIKE '.%')"
        " WHERE name NOT LIKE '.%'",
    )
    guarding.secrets(sealed.context)
    assert sorted(one.subject for one in found(sealed, Kind.SECRET_UNREADABLE)) == ["hook", "smtp"]
    for name in ("hook", "smtp"):
        sealed.secret_set(name, "set again")
    guarding.secrets(sealed.context)
    assert found(sealed) == []


def test_a_locked_vault_is_one_incident_not_one_a_secret(sealed: Engine, clock: FakeClock) -> None:
    (sealed.paths.data_dir / "root.key").unlink()
    sealed.context.kept.pop("vault")
    guarding.secrets(sealed.context)
    for _ in range(2):
        later(sealed, clock, guarding.root_key, MINUTE_MS)
    assert [one.kind for one in found(sealed)] == [Kind.ROOT_KEY_MISSING]
    assert vault.reachable(sealed.context) is not None


# The configuration


def _edit(engine: Engine, text: str = "instance: other\n") -> None:
    engine.paths.config_file.write_text(text)


def test_a_change_that_nobody_takes_over_is_an_incident_after_ten_minutes(engine: Engine, clock: FakeClock) -> None:
    _edit(engine)
    configwatch.watch(engine.context)
    later(engine, clock, configwatch.watch, configwatch.UNNOTICED_MS - 1)
    assert found(engine) == [], "whoever edits it may take his time"
    later(engine, clock, configwatch.watch, 1)
    [incident] = found(engine)
    assert (incident.kind, incident.subject) == (Kind.CONFIG_TAMPERED, "config.yaml")
    assert "nobody took that over for 10 min" in incident.detail
    later(engine, clock, configwatch.watch, MINUTE_MS)
    assert found(engine)[0].count == 1
    assert engine.reload() == []
    assert found(engine) == []
    assert notes(engine) == ["taken over by test:me"]
    later(engine, clock, configwatch.watch, DAY_MS)
    assert found(engine) == []


def test_a_change_that_is_put_back_settles_it(engine: Engine, clock: FakeClock) -> None:
    before = engine.paths.config_file.read_text()
    engine.paths.config_file.unlink()
    for _ in range(2):
        later(engine, clock, configwatch.watch, configwatch.UNNOTICED_MS)
    assert "is gone" in found(engine)[0].detail
    _edit(engine, before)
    configwatch.watch(engine.context)
    assert found(engine) == []


def test_an_editor_who_saves_again_has_ten_minutes_more(engine: Engine, clock: FakeClock) -> None:
    for text in ("instance: a\n", "instance: b\n", "instance: c\n"):
        _edit(engine, text)
        later(engine, clock, configwatch.watch, configwatch.UNNOTICED_MS - 1)
    assert found(engine) == []


def test_config_set_by_another_process_is_known_from_the_audit_log(engine: Engine, clock: FakeClock) -> None:
    _edit(engine)
    with opened_engine(engine.paths, clock=clock) as other:
        other.config_written("set", "instance")
    for _ in range(3):
        later(engine, clock, configwatch.watch, configwatch.UNNOTICED_MS)
    assert found(engine) == []
    [entry] = engine.audit_page("action:config.set")
    assert entry.detail["key"] == "instance"
    assert "other" not in entry.body, "never a value"


def test_a_configuration_that_others_may_write_is_said_with_the_reason(engine: Engine) -> None:
    engine.paths.config_file.chmod(0o666)
    configwatch.watch(engine.context)
    [incident] = found(engine)
    assert (incident.kind, incident.severity) == (Kind.CONFIG_TAMPERED, "critical")
    assert "mode 0666: everybody may change it" in incident.detail
    engine.paths.config_file.chmod(0o600)
    configwatch.watch(engine.context)
    assert found(engine) == []


def test_what_was_mended_while_nobody_looked_is_settled_by_the_next_process(engine: Engine, clock: FakeClock) -> None:
    engine.paths.config_file.chmod(0o666)
    configwatch.watch(engine.context)
    engine.paths.config_file.chmod(0o600)
    with opened_engine(engine.paths, clock=clock) as other:
        configwatch.watch(other.context)
        assert found(other) == []


def _restarted(engine: Engine, clock: FakeClock) -> list[Incident]:
    """Start an engine on the same directory, as the next process does."""
    with opened_engine(engine.paths, clock=clock) as other:
        other.start("test")
        other.stop(0)
        return found(other)


def _touch(path: Path, at_ms: int) -> None:
    os.utime(path, ns=(at_ms * 1_000_000, at_ms * 1_000_000))


def test_an_edit_while_nobody_delivers_is_taken_over_by_the_start(engine: Engine, clock: FakeClock) -> None:
    _touch(engine.paths.config_file, clock.now_ms() - DAY_MS)
    assert _restarted(engine, clock) == []
    clock.advance_ms(DAY_MS)
    _edit(engine)
    _touch(engine.paths.config_file, clock.now_ms() - MINUTE_MS)
    assert _restarted(engine, clock) == []
    assert _restarted(engine, clock) == []


def test_another_file_with_an_older_time_was_put_there(engine: Engine, clock: FakeClock) -> None:
    _touch(engine.paths.config_file, clock.now_ms() - DAY_MS)
    assert _restarted(engine, clock) == []
    clock.advance_ms(DAY_MS)
    _edit(engine)
    _touch(engine.paths.config_file, clock.now_ms() - 2 * DAY_MS)
    [incident] = _restarted(engine, clock)
    assert incident.kind == Kind.CONFIG_TAMPERED
    assert "its time was set back" in incident.detail
    assert [one.id for one in _restarted(engine, clock)] == [incident.id], "a second start does not settle it"


# The audit log


def _grow(engine: Engine, n: int = 5) -> None:
    for number in range(n):
        engine.pause("all", for_ms=MINUTE_MS, reason=str(number))


def test_the_log_is_verified_once_a_day(engine: Engine, clock: FakeClock) -> None:
    _grow(engine)
    guarding.audit_log(engine.context)
    assert engine.audit_page("action:audit.verified") == [], "it is not a day old"
    later(engine, clock, guarding.audit_log, DAY_MS)
    [entry] = engine.audit_page("action:audit.verified")
    assert entry.detail == {"ok": True, "entries": 5, "head_seq": 5}
    later(engine, clock, guarding.audit_log, DAY_MS - 1)
    assert len(engine.audit_page("action:audit.verified")) == 1
    later(engine, clock, guarding.audit_log, 1)
    assert len(engine.audit_page("action:audit.verified")) == 2


def test_a_tampered_log_is_found_and_named(engine: Engine, clock: FakeClock) -> None:
    _grow(engine)
    tamper(
        engine,
        "DROP TRIGGER audit_is_append_only_update",
        "UPDATE audit SET body = replace(body, 'test:me', 'test:us') WHERE seq = 3",
    )
    later(engine, clock, guarding.audit_log, DAY_MS)
    [incident] = found(engine, Kind.AUDIT_BROKEN)
    assert (incident.subject, incident.severity) == ("audit", "critical")
    assert "entry 3" in incident.detail
    [entry] = engine.audit_page("action:audit.verified risk:critical")
    assert entry.detail["ok"] is False


def test_a_verification_that_finds_nothing_ends_the_incident(engine: Engine) -> None:
    _grow(engine)
    incidents.report(engine.context, Kind.AUDIT_BROKEN, "audit", "entry 3 was changed")
    assert engine.audit_verify().ok
    assert found(engine) == []
    assert notes(engine) == ["the whole log was verified and is what was written"]


def test_a_clock_set_back_does_not_put_off_the_verification(engine: Engine, clock: FakeClock) -> None:
    _grow(engine)
    later(engine, clock, guarding.audit_log, DAY_MS)
    clock.jump_ms(-10 * DAY_MS)
    guarding.audit_log(engine.context)
    assert len(engine.audit_page("action:audit.verified")) == 2


# Together


def test_health_and_status_mention_them(engine: Engine) -> None:
    def check() -> tuple[Level, str]:
        [one] = [one for one in engine.health() if one.name == "incidents"]
        return one.level, one.value

    assert check() == (Level.OK, "none open")
    engine.paths.database.chmod(0o640)
    guarding.permissions(engine.context)
    assert check() == (Level.WARNING, "1 high")
    incidents.report(engine.context, Kind.AUDIT_BROKEN, "audit", "entry 3 was changed")
    assert check() == (Level.CRITICAL, "1 critical, 1 high")
    document = health.status(engine.situation())["incidents"]
    assert [(one["id"], one["severity"], one["state"]) for one in document] == [
        (2, "critical", "open"),
        (1, "high", "open"),
    ]
    for number in (1, 2):
        engine.incident_ack(number)
    assert check() == (Level.OK, "none open, 2 acknowledged")


def test_the_owner_runs_every_guard(engine: Engine) -> None:
    chores = upkeep.chores()
    for every_s, chore in guarding.chores():
        assert (every_s, chore) in chores
    names = [chore.__name__ for _every_s, chore in chores]
    assert len(set(names)) == len(names), "troubles are told apart by the chore's name"
