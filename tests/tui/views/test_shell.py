"""First line, tabs and footer: at each width the most important stays, and one thing is named as needing somebody."""

from __future__ import annotations

import time
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

import pytest

from chronos_tui.keys import SHELL, Command
from chronos_tui.views import shell
from chronos_tui.views.spans import line_text, width
from engine.model import Hold
from engine.operations.incidents import Incident
from engine.operations.situation import Owner, Situation
from engine.store.leader import Leader
from tests.support import START_MS

MINUTE = 60_000
OWNER = Owner(pid=4242, mode="engine-only", started_ms=START_MS - 3 * 86_400_000)


def situation(counts: Mapping[str, int] | None = None, **changes: Any) -> Situation:
    leader = Leader(7, 4242, "box", "engine-only", "1", START_MS - 10_000, START_MS - 1_000, "running")
    return Situation(
        **{
            "instance": "box.example.org",
            "owner": OWNER,
            "here": True,
            "leader": leader,
            "counts": MappingProxyType(dict(counts or {})),
            "oldest_due_ms": None,
            "holds": (),
            "troubles": MappingProxyType({}),
            "incidents": (),
            "audit_seq": 3,
            "audit_hash": "ab",
            "degraded": False,
            **changes,
        }
    )


def hold(scope: str = "channel:email", left_ms: int = 12 * MINUTE) -> Hold:
    return Hold(1, scope, START_MS - MINUTE, START_MS + left_ms, "mail server is down", "cli:root")


def incident(severity: str = "high") -> Incident:
    return Incident(3, "inbound.replay", "n8n", "event 44 came again", "open", START_MS, START_MS, 1, severity)


def test_badges_count_messages_and_incidents() -> None:
    found = situation({"dead": 2}, incidents=(incident(), incident("low")))
    assert shell.counted(found) == {"dead": 2, "incidents": 2, "incidents serious": 1}
    assert shell.counted(None) == {}


def header(found: Situation, cells: int = 120, **changes: Any) -> str:
    line = shell.header(found, START_MS, cells, **{"read_only": False, **changes})
    assert width(line) <= cells
    return line_text(line)


def test_the_first_line_says_which_box_who_delivers_what_is_held_and_what_is_wrong() -> None:
    text = header(situation({"dead": 3}, holds=(hold(),)), 140)

    assert "box.example.org" in text
    assert "delivering here" in text
    assert "✗ 3 dead → !" in text
    assert "⏸ email held, 12 min left" in text


def test_an_attached_cockpit_names_the_owner_and_whether_it_lives() -> None:
    late = Leader(7, 4242, "box", "engine-only", "1", START_MS, START_MS - 40_000, "running")

    assert "delivered by pid 4242 (engine-only), heartbeat ok" in header(situation(here=False))
    assert "heartbeat 40s ago" in header(situation(here=False, leader=late)).replace("40 s", "40s")
    assert "nobody delivers" in header(situation(here=False, owner=None))


@pytest.mark.parametrize("cells", range(1, 200, 7))
def test_no_width_breaks_a_line(cells: int) -> None:
    line = shell.header(situation({"dead": 3}, holds=(hold(), hold("all"))), START_MS, cells, read_only=True)
    assert cells < 60 or width(line) <= cells
    assert width(shell.footer([command for command in SHELL if command.rank], cells)) <= cells


def test_at_eighty_cells_what_needs_somebody_and_the_hold_are_still_there() -> None:
    text = header(situation({"dead": 3}, holds=(hold(),)), 80)

    assert "3 dead" in text
    assert "⏸ email" in text


@pytest.mark.parametrize(
    ("changes", "words", "place"),
    [
        ({"degraded": True, "counts": {"dead": 1}}, "DEGRADED", ""),
        ({"owner": None}, "nobody delivers", ""),
        (
            {"counts": {"dead": 1}, "incidents": (incident("critical"), incident())},
            "2 incidents, 1 critical",
            "incidents/3",
        ),
        ({"counts": {"dead": 1}, "incidents": (incident("medium"),)}, "1 dead", "state:dead"),
        ({"counts": {"dead": 1, "uncertain": 2}}, "1 dead", "state:dead"),
        ({"counts": {"uncertain": 2}}, "2 uncertain", "state:uncertain"),
        ({"oldest_due_ms": START_MS - 10 * MINUTE}, "oldest due", "state:queued due<0s"),
        ({"troubles": {"ops": "closed: 5 failures in a row\x1b[31m"}}, "ops: closed", ""),
    ],
)
def test_the_worst_is_named_first(changes: dict[str, Any], words: str, place: str) -> None:
    need = shell.attention(situation(**changes), START_MS)

    assert need is not None
    assert words in need.words
    assert "\x1b" not in need.words
    assert need.place == place


def test_nothing_is_named_where_nothing_is_wrong() -> None:
    assert shell.attention(situation({"queued": 4, "delivered": 9}), START_MS) is None


@pytest.mark.parametrize("cells", range(60, 200, 7))
def test_a_target_in_trouble_leaves_room_for_who_delivers_and_for_the_time(cells: int) -> None:
    troubles = {"gone": "breaker open, next probe in 4 s: ECONNREFUSED cannot connect to 127.0.0.1 port 18098"}

    text = header(situation(troubles=troubles), cells)

    assert "! gone: breaker open" in text
    assert cells < 80 or "delivering here" in text
    assert text.rstrip().endswith(time.strftime("%Z", time.localtime(START_MS / 1000)))
    assert "read-only" in header(situation(troubles=troubles, holds=(hold(),)), cells, read_only=True)


@pytest.mark.parametrize(
    ("ms", "words"),
    [
        (0, "0 s"),
        (-5, "0 s"),
        (59_000, "59 s"),
        (59_001, "1 min"),
        (61_000, "2 min"),
        (3 * 3_600_000, "3 h 0 min"),
        (6 * 86_400_000, "6 d 0 h"),
    ],
)
def test_a_countdown_counts_seconds_only_in_its_last_minute(ms: int, words: str) -> None:
    assert shell.countdown(ms) == words


def test_badges_leave_before_titles_do() -> None:
    titles = [(n, name, "3 dead" if n == 2 else "", "failed") for n, name in enumerate(["Overview", "Outbox"], 1)]

    assert "·3 dead" in line_text(shell.tabs(titles, 1, 80))
    assert line_text(shell.tabs(titles, 1, 24)).split() == ["1", "Overview", "2", "Outbox"]


def test_help_and_quit_are_the_last_to_leave_the_footer() -> None:
    many = [Command(f"x.a{n}", ("a",), f"something {n}", "", rank=n) for n in range(1, 20)]
    text = line_text(shell.footer([*many, *(command for command in SHELL if command.rank)], 40))

    assert "? help" in text
    assert "q quit" in text
    assert text.startswith(" a something 1 ")


def test_at_eighty_cells_an_attached_cockpit_still_says_who_delivers() -> None:
    late = Leader(7, 4242, "box", "engine-only", "1", START_MS, START_MS - 40_000, "running")

    assert " by pid 4242 " in header(situation({"uncertain": 1}, here=False, holds=(hold(),)), 80)
    assert "pid 4242 silent for 40" in header(
        situation({"uncertain": 1}, here=False, leader=late, holds=(hold(),)), 100
    )
    unknown = Owner(pid=None, mode="", started_ms=None)
    assert "delivered by another process" in header(situation(here=False, owner=unknown))
