"""Hostile text on one line: nothing that steers a terminal or hides, whatever was sent."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules.text import safe_block, safe_line, suggest

anything = st.text(st.characters() | st.sampled_from("\x1b[]m\x07\n\r\t\u202e\u200d\x9b;0123"), max_size=60)


def steers(char: str) -> bool:
    if char == "\u200d":
        return False
    return unicodedata.category(char) in {"Cc", "Cs", "Zl", "Zp"} or unicodedata.bidirectional(char) in {
        "LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI",
    } or 0xE0000 <= ord(char) <= 0xE0FFF  # fmt: skip


@given(anything, st.integers(0, 50))
def test_a_safe_line_steers_nothing_and_keeps_its_limit(text: str, limit: int) -> None:
    line = safe_line(text, limit)
    assert len(line) <= limit
    assert not [char for char in line if steers(char)]


@given(anything, st.integers(0, 50))
def test_a_safe_block_steers_nothing_but_line_ends(text: str, limit: int) -> None:
    block = safe_block(text, limit)
    assert len(block) <= limit
    assert not [char for char in block if steers(char) and char != "\n"]


@given(anything)
def test_cleaning_twice_changes_nothing(text: str) -> None:
    assert safe_line(safe_line(text, 100), 100) == safe_line(text, 100)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("plain", "plain"),
        ("a\nb\r\nc\rd", "a⏎b⏎c⏎d"),
        ("end\r\n", "end"),
        ("a\u2028b\x85c", "a⏎b⏎c"),
        ("a\tb", "a b"),
        ("a\x1b[31mred\x1b[0m", "ared"),
        ("a\x1b]0;title\x07b", "ab"),
        ("a\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\b", "alinkb"),
        ("a\x1b]52;c;aGk=\x07b", "ab"),
        ("a\x1bPdcs\x1b\\b", "ab"),
        ("a\x9b31mb", "ab"),
        ("a\x1bcb", "ab"),
        ("a\x1b(0b", "ab"),
        ("a\x00b\x7fc\x08", "abc"),
        ("a\u202ecod.exe", "acod.exe"),
        ("a\u200bb\ufeffc\u2066d", "abcd"),
        ("a\U000e0041\U000e0042b", "ab"),
        ("\U0001f468\u200d\U0001f469", "\U0001f468\u200d\U0001f469"),
        ("z" + "\u0301" * 40, "z" + "\u0301" * 4),
        ("[@click=x]b[/]", "[@click=x]b[/]"),
        ("Grüße 日本", "Grüße 日本"),
        ("a\ud800b", "ab"),
    ],
)
def test_safe_lines(text: str, line: str) -> None:
    assert safe_line(text, 100) == line


def test_an_escape_that_never_ends_swallows_only_so_much() -> None:
    assert safe_line("a\x1b]0;" + "x" * 1_000 + "Z", 5_000).endswith("Z")


@pytest.mark.parametrize(("limit", "line"), [(9, "123456789"), (8, "1234567…"), (1, "…"), (0, "")])
def test_a_cut_is_marked(limit: int, line: str) -> None:
    assert safe_line("123456789", limit) == line


def test_a_block_keeps_its_lines() -> None:
    assert safe_block("a\r\n\tb\x1b[2J\n\nc", 100) == "a\n  b\n\nc"


def test_a_hundred_megabytes_would_not_be_read_to_the_end() -> None:
    assert safe_line("\x00" * 200_000 + "x", 10) == ""


@pytest.mark.parametrize(
    ("word", "known", "meant"),
    [
        ("requre_https", ["require_https", "rate_limit"], "require_https"),
        ("Stat", ["state", "target"], "state"),
        ("zzz", ["state", "target"], None),
        ("", ["state"], None),
        ("x" * 100_000, ["state"], None),
        ("OPS", ["Ops"], "Ops"),
    ],
)
def test_suggestions(word: str, known: list[str], meant: str | None) -> None:
    assert suggest(word, known) == meant
