"""A new message is judged by the engine's own rules while it is typed."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest

from chronos_tui.dialogs.drafting import Draft, Judged, Note, Rules, complete_path, completions, judge, with_files
from engine.engine import Engine
from engine.model import Priority, RouteStep
from engine.operations.enqueue import prepare, resolve
from tests.support import START_MS, FakeClock, data_dir, opened_engine, settings, target
from tests.tui.cockpit import in_utc

HOUR_MS = 3_600_000


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    routes = {"alerts": (RouteStep("hook"), RouteStep("mail", 900_000))}
    small = settings(
        {"hook": target("hook"), "mail": target("mail", channel="email")}, routes, outbox={"max_message_bytes": 1_000}
    )
    with in_utc(), opened_engine(data_dir(tmp_path), small, clock=FakeClock()) as engine:
        yield engine


@pytest.fixture
def rules(engine: Engine) -> Rules:
    return Rules(
        check=lambda new: prepare(engine.context, new),
        resolve=lambda name: resolve(engine.settings, name),
        most_bytes=engine.settings.outbox["max_message_bytes"],
        zone=ZoneInfo("UTC"),
        now_ms=engine.context.clock.now_ms,
    )


def judged(rules: Rules, **fields: str) -> Judged:
    return judge(Draft(**{"target": "hook", "text": "hi", **fields}), rules, "key-1")


def test_what_is_right_becomes_a_message_with_all_that_was_typed(rules: Rules) -> None:
    found = judged(rules, subject="Hello", when="30m", expires="2h", priority="high")
    assert found.right
    assert found.new is not None
    assert found.new.subject == "Hello"
    assert found.new.text == "hi"
    assert found.new.priority == Priority.HIGH
    assert found.new.not_before_ms == START_MS + HOUR_MS // 2
    assert found.new.expires_ms == START_MS + HOUR_MS // 2 + 2 * HOUR_MS
    assert found.new.idempotency_key == "key-1"


@pytest.mark.parametrize(
    ("field", "typed", "said"),
    [
        ("target", "", "to whom?"),
        ("target", "hok", "did you mean hook?"),
        ("target", "mailto:nobody", "mail address"),
        ("subject", "x" * 999, "the limit is 998"),
        ("subject", "a\x07b", "control character"),
        ("attach", "/nowhere/at/all", "no such file"),
        ("attach", "/", "is a directory"),
        ("attach", "'/tmp", "closing quote"),
        ("when", "soon", "write it like"),
        ("when", "2026-02-30 10:00", "no time that exists"),
        ("expires", "yesterday", "write it like"),
        ("expires", "2026-09-01", "before it could be sent"),
        ("priority", "hihg", "did you mean high?"),
        ("priority", "", "one of"),
    ],
)
def test_what_is_wrong_stands_beside_its_field(rules: Rules, field: str, typed: str, said: str) -> None:
    found = judged(rules, **{field: typed})
    assert not found.right
    assert found.first_wrong() == field
    assert said in found.notes[field].words


@pytest.mark.parametrize(
    ("when", "said"),
    [
        ("", "now; 30m"),
        ("30m", "2026-09-21 14:43:20 UTC, in 30 min"),
        ("+1h30m", "2026-09-21 15:43:20 UTC"),
        ("15:00", "2026-09-21 15:00:00 UTC"),
        ("14:00", "2026-09-22 14:00:00 UTC"),
        ("tomorrow 9:00", "2026-09-22 09:00:00 UTC"),
        ("2026-11-24 09:00", "2026-11-24 09:00:00 UTC"),
        ("2026-11-24T09:00+02:00", "2026-11-24 07:00:00 UTC"),
    ],
)
def test_a_time_is_echoed_absolute_with_its_zone(rules: Rules, when: str, said: str) -> None:
    assert judged(rules, when=when).notes["when"].words.startswith(said)


def test_a_time_that_is_past_is_a_warning(rules: Rules) -> None:
    found = judged(rules, when="2026-09-01 09:00")
    assert found.right
    assert found.notes["when"] == Note("2026-09-01 09:00:00 UTC is past: leaves at once", "warning")


def test_a_route_says_what_it_does(rules: Rules) -> None:
    assert judged(rules, target="alerts").notes["target"].words == "route: hook by test, then mail after 15 min"


def test_an_empty_message_is_the_whole_ones_trouble(rules: Rules) -> None:
    found = judged(rules, text="")
    assert not found.right
    assert found.first_wrong() == ""
    assert "an empty message" in found.trouble


def test_a_text_that_is_too_long_is_the_whole_ones_trouble(rules: Rules) -> None:
    assert "more than outbox.max_message" in judged(rules, text="x" * 1_001).trouble


def test_attachments_are_counted_and_read_only_when_it_is_sent(rules: Rules, tmp_path: Path) -> None:
    one, other = tmp_path / "a b.txt", tmp_path / "c.bin"
    one.write_bytes(b"x" * 400)
    other.write_bytes(b"y" * 300)
    found = judged(rules, text="", attach=f"'{one}' {other}")
    assert found.right
    assert found.notes["attach"].words == "2 files, 700 B of at most 1000 B"
    one.write_bytes(b"z" * 10)
    new = with_files(found, rules.most_bytes)
    assert [(file.name, len(file.content)) for file in new.attachments] == [("a b.txt", 10), ("c.bin", 300)]


def test_attachments_that_are_too_big_together_are_refused(rules: Rules, tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / name).write_bytes(b"x" * 600)
    found = judged(rules, attach=f"{tmp_path}/a {tmp_path}/b")
    assert "more than outbox.max_message" in found.notes["attach"].words


def test_a_file_that_may_not_be_read_is_said_before_it_is_sent(rules: Rules, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(b"x")
    secret.chmod(0)
    if os.access(secret, os.R_OK):
        return  # root reads everything; there is nothing to say
    assert "permission denied" in judged(rules, attach=str(secret)).notes["attach"].words


def test_paths_are_completed(tmp_path: Path) -> None:
    (tmp_path / "logs").mkdir()
    (tmp_path / "log file").write_text("")
    (tmp_path / ".hidden").write_text("")
    assert complete_path(f"{tmp_path}/lo", len(f"{tmp_path}/lo")) == [f"{tmp_path}/logs/", f'"{tmp_path}/log file"']
    assert complete_path(f"a {tmp_path}/.h", len(f"a {tmp_path}/.h")) == [f"a {tmp_path}/.hidden"]
    assert complete_path("/nowhere/x", 10) == []
    assert complete_path("abc", 1) == []


def test_fields_complete_what_they_take(engine: Engine) -> None:
    complete = completions(engine.settings)
    assert complete["target"]("", 0) == ["hook", "mail", "alerts"]
    assert complete["target"]("AL", 2) == ["alerts"]
    assert complete["priority"]("h", 1) == ["high"]
    assert complete["when"]("", 0) == []
