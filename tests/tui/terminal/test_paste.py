"""What is pasted: told from what is typed however it arrives, cleaned, and never more than there is room for."""

from __future__ import annotations

import random

import pytest

from chronos_tui.terminal.paste import END, MOST_PASTED_CHARS, START, Pasted, PasteSplitter, clean_paste


@pytest.mark.parametrize(
    ("pasted", "kept"),
    [
        ("plain", "plain"),
        ("a\r\nb\rc\nd\x85e\u2028f", "a\nb\nc\nd\ne\nf"),
        ("\x1b[31mred\x1b[0m \x1b]0;t\x07x\x1b\\y\x1bZz", "red xyz"),
        ("\x1b]52;c;never ended", ""),
        ("nul\x00 bell\x07 c1\x9b31m del\x7f", "nul bell c131m del"),
        ("\u202eevil\u2069 \u200bzero\ufeff \U000e0041tag \ud800lone", "evil zero tag lone"),
        ("tab\tstop", "tab    stop"),
        ("👨‍👩‍👧 e\u0301 שלום\u200f", "👨‍👩‍👧 e\u0301 שלום\u200f"),
    ],
)
def test_only_text_is_kept(pasted: str, kept: str) -> None:
    assert clean_paste(pasted) == kept


def test_more_than_there_is_room_for_is_not_taken() -> None:
    assert len(clean_paste("x" * (MOST_PASTED_CHARS + 5))) == MOST_PASTED_CHARS


def parts(chunks: list[str]) -> list[str | Pasted]:
    """Feed the chunks; join what is typed without a break."""
    splitter = PasteSplitter()
    found: list[str | Pasted] = []
    for part in [part for chunk in chunks for part in splitter.feed(chunk)] + [splitter.flush()]:
        if isinstance(part, str) and found and isinstance(found[-1], str):
            found[-1] += part
        elif part:
            found.append(part)
    return found


@pytest.mark.parametrize("seed", range(60))
def test_typed_and_pasted_are_told_apart_however_they_are_cut(seed: int) -> None:
    rng = random.Random(seed)
    text = f"ab\x1b[A{START}one\x1b[31m\r\ntwo{END}c\x1b[B{START}{END}{START}three{END}\x1b[20~"
    cuts = sorted(rng.sample(range(1, len(text)), rng.randint(0, 8)))
    # A lone ESC is a key: cut right after one, Textual's own parser takes the mark.
    cuts = [cut for cut in cuts if text[cut - 1] != "\x1b" or text[cut : cut + 4] == "[201"]
    chunks = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert parts(chunks) == ["ab\x1b[A", Pasted("one\ntwo"), "c\x1b[B", Pasted(""), Pasted("three"), "\x1b[20~"]


def test_a_key_is_not_held_back() -> None:
    splitter = PasteSplitter()
    assert splitter.feed("\x1b") == ["\x1b"]
    assert splitter.feed("x") == ["x"]
    assert splitter.feed("\x1b[2") == []
    assert splitter.flush() == "\x1b[2"


def test_a_paste_that_never_ends_uses_no_more_memory_than_one_that_does() -> None:
    splitter = PasteSplitter()
    splitter.feed(START)
    for _ in range(40):
        assert splitter.feed("x" * 65536) == []
    (found,) = splitter.feed(END)
    assert isinstance(found, Pasted)
    assert len(found.text) == MOST_PASTED_CHARS
