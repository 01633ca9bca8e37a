"""What may stand behind a word at ":"."""

from __future__ import annotations

import pytest

from chronos_tui import bridge
from chronos_tui.cockpit.arguments import Known, complete, parse, wrong
from chronos_tui.views.handles import handle_place, handles
from chronos_tui.views.quoting import quoted, take, words
from engine.model import RouteStep
from tests.support import settings, target

PAUSE = "[SCOPE] [DURATION] [REASON]"
KNOWN = Known(
    settings(
        {"ops": target("ops", channel="telegram"), "me": target("me", channel="email"), "x": target("x", channel="x")},
        {"alerts": (RouteStep("ops"), RouteStep("me", 900_000))},
    ),
    {"channel": ("maildir",), "target": ("me", "ops"), "template": ("weekly report",), "tag": ("nightly",)},
    held=("channel:email",),
    themes=("dark", "light"),
    dialect=bridge.OUTBOX_FIELDS,
)


def test_a_pause_is_taken_apart_and_its_reason_may_have_an_apostrophe() -> None:
    assert parse(PAUSE, "email 30m the server's down", KNOWN) == ["email", "30m", "the server's down"]


def test_what_is_left_out_is_empty() -> None:
    assert parse(PAUSE, "", KNOWN) == ["", "", ""]


def test_a_scope_with_a_blank_is_quoted() -> None:
    assert parse(PAUSE, '"weekly report" 1h', KNOWN)[0] == "weekly report"
    assert complete(PAUSE, "wee", KNOWN) == ['"weekly report" ']
    assert complete(PAUSE, '"wee', KNOWN) == []


@pytest.mark.parametrize(
    ("pattern", "rest", "said"),
    [
        (PAUSE, "emial 30m", "did you mean email?"),
        (PAUSE, "email 8d", "7d"),
        (PAUSE, "email 0s", "7d"),
        (PAUSE, "email soon", "is not a duration"),
        (PAUSE, "alerts 30m", "route"),
        (PAUSE, "x 30m", "more than one thing"),
        (PAUSE, '"email 30m', "closing quote"),
        ("[HELD]", "ops", "held: channel:email"),
        ("TARGET", "", "a target is missing"),
        ("TARGET", "opss", "did you mean ops?"),
        ("TARGET", "ops me", "me: nothing more is taken"),
        ("", "now", "now: nothing is taken"),
        ("THEME", "", "theme is missing"),
        ("THEME", "drak", "there are dark, light"),
        ("[N]", "two", "is not a number"),
        ("[FILTER]", "stat:dead", "did you mean state"),
        ("[ID…|FILTER]", "state:daed", "did you mean dead"),
        ("delivered|dead", "lost", "delivered or dead"),
        ("delivered|dead", "", "delivered or dead"),
    ],
)
def test_what_is_wrong_is_said_in_words(pattern: str, rest: str, said: str) -> None:
    assert said in wrong(pattern, rest, KNOWN)


@pytest.mark.parametrize(
    ("pattern", "rest"),
    [
        (PAUSE, "all 1h30m"),
        (PAUSE, "target:ops 7d"),
        ("[HELD]", "email"),
        ("[HELD]", "channel:email"),
        ("[ID…|FILTER]", "1042 #1043"),
        ("[ID…|FILTER]", "state:dead age>1h"),
        ("[FILTER]", '"free text"'),
        ("[N]", ""),
    ],
)
def test_what_is_right_is_left_alone(pattern: str, rest: str) -> None:
    assert not wrong(pattern, rest, KNOWN)


@pytest.mark.parametrize(
    ("pattern", "rest", "found"),
    [
        (
            PAUSE,
            "",
            ["all ", "ops ", "me ", "target:x ", "email ", "maildir ", "telegram ", "channel:x ", '"weekly report" '],
        ),
        (PAUSE, "em", ["email "]),
        (PAUSE, "x", ["target:x ", "channel:x "]),
        (PAUSE, "email ", [f"email {one} " for one in ("15m", "30m", "1h", "4h", "1d")]),
        (PAUSE, "email 3", ["email 30m "]),
        (PAUSE, "email 30m w", []),
        ("[HELD]", "", ["channel:email"]),
        ("[HELD]", "em", ["channel:email"]),
        ("THEME", "d", ["dark"]),
        ("TARGET", "", ["ops", "me", "x"]),
        ("[FILTER]", "state:de", ["state:delivered", "state:dead"]),
        ("[FILTER]", "state:dead ta", ["state:dead target:", "state:dead tag:"]),
        ("[FILTER]", "tag:n", ["tag:nightly"]),
    ],
)
def test_what_could_be_meant_comes_as_whole_rests(pattern: str, rest: str, found: list[str]) -> None:
    assert sorted(complete(pattern, rest, KNOWN)) == sorted(found)


def test_messages_are_told_from_filters() -> None:
    uid = f"msg_{'0' * 32}"
    assert handles(f"1042 #7,{uid}") == ["1042", "#7", uid]
    assert handles("state:dead 1042") == []
    assert handles("") == []
    assert [handle_place(word) for word in ("1042", "#7", uid, "7 8", "outbox")] == ["#1042", "#7", uid, "", ""]


@pytest.mark.parametrize("word", ["plain", "two words", "it's", 'say "hi"', "back\\slash", "a\\ b"])
def test_a_quoted_word_comes_back_as_it_was(word: str) -> None:
    assert take(f"  {quoted(word)} rest") == (word, " rest")


def test_words_part_at_blanks_outside_quotes() -> None:
    assert words("a 'b c' \"d e\"") == ["a", "b c", "d e"]
    with pytest.raises(bridge.BadInput, match="closing quote"):
        words("a 'b c")
