"""The net under all care: nothing but text reaches the terminal, as wide as before, whatever a widget draws."""

from __future__ import annotations

import asyncio
import random
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from rich.text import Text
from textual import events
from textual.app import ComposeResult
from textual.color import Color
from textual.filter import LineFilter
from textual.strip import Strip
from textual.widgets import Input, Static

from chronos_tui.terminal.likeness import IN_ASCII
from chronos_tui.terminal.safe_app import SafeApp
from chronos_tui.terminal.safety import MOST_MARKS, NoColours, OnlyText, clean, to_ascii
from tests.tui import wire

DARK = Color.parse("#101010")
UTF8 = {"LANG": "C.UTF-8"}
HOSTILE = [
    "\x1b[31mred\x1b[0m",
    "\x1b]0;title\x07",
    "\x1b]52;c;aGk=\x07",
    "\x1b]8;;http://x/\x1b\\link\x1b]8;;\x1b\\",
    "\x1bP1$r\x1b\\",
    "\x9b31mC1",
    "\x90q\x9c",
    "\x00\x01\x07\x08\x0b\x0c\x0e\x7f",
    "tab\tline\nreturn\rend",
    "\u202eevil\u202c",
    "\u2066iso\u2069",
    "\u200b\u200c\u2060\ufeffzero",
    "\u00adsoft",
    "tag\U000e0041\U000e007f",
    "\ud800\udfff lone",
    "\ufff9a\ufffab\ufffb",
    "Z" + "\u0301" * 50 + "algo",
    "\u0301starts",
    "e\u0301 fine",
    "👨‍👩‍👧‍👦 family",
    "🇩🇪🇫🇷",
    "👍🏽",
    "❤️",
    "1️⃣",
    "🏴\U000e0067\U000e0062\U000e007f",
    "日本語\u3099",
    "हिन्दी क्षि",
    "ไทยกำ",
    "\u2028\u2029",
    "\ue000private",
    "\U0010ffff",
    "ﷺ",
    "𒐫",
    "\u115f\u1160",
    "ㅤ",
    "한\u1161",
    "a" * 5000 + "\x1b",
    "\x1b" * 300,
    "",
    " ",
]


def forbidden(text: str) -> list[str]:
    return wire.foreign(text.replace("\r", "\x00").replace("\n", "\x00").replace("\b", "\x00")) + re.findall(
        "[\u200d\ufe00-\ufe0f\U0001f1e6-\U0001f1ff\u00ad]", text
    )


def check(text: str) -> None:
    for cleaned in (clean(text), to_ascii(text)):
        assert cell_len(cleaned) == cell_len(text), ascii(text)
        assert forbidden(cleaned) == [], ascii(text)
        assert not re.search(f"[\u0300-\u036f]{{{MOST_MARKS + 1}}}", cleaned)
    assert to_ascii(text).isascii()


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_text_loses_everything_but_its_width(text: str) -> None:
    check(text)


@given(st.text(st.characters(exclude_categories=()), max_size=12))
@settings(max_examples=600, deadline=None)
def test_any_text_keeps_its_width(text: str) -> None:
    check(text)


def test_hostile_texts_in_any_order_keep_their_width() -> None:
    rng = random.Random(7)
    for _ in range(600):
        check("".join(rng.choice(HOSTILE)[:40] for _ in range(rng.randint(1, 5))))


def test_every_character_by_itself_keeps_its_width() -> None:
    for codepoint in [
        *range(0x3000),
        *range(0xA000, 0xAC10),
        *range(0xD700, 0x11000),
        *range(0x1F000, 0x20010),
        *range(0xE0000, 0xE0200),
    ]:
        check(chr(codepoint))


def test_harmless_text_stays_as_it_is() -> None:
    for text in ("plain", "Größe", "日本語", "e\u0301", "o\u0302\u0323", "─│┌ ✓ ✗ ⏸ ▸ • …", "Привет", "שלום", "🎉"):
        assert clean(text) == text


def test_a_flag_becomes_its_letters_and_a_family_its_first_member() -> None:
    assert clean("🇩🇪") == "DE"
    assert clean("👨‍👩‍👧x") == "👨x"


def test_every_symbol_has_an_ascii_likeness_of_the_same_width() -> None:
    for symbol in "✓✗⏸▸•…·─│┌┐└┘├┤▁▂▃▄▅▆▇█⏎→▲▼☐☑“”‘’–—×":  # noqa: RUF001
        assert symbol in IN_ASCII
    assert all(len(likeness) == cell_len(symbol) == 1 for symbol, likeness in IN_ASCII.items())
    assert to_ascii("é日") == "???"


def rendered(segments: list[Segment], *filters: Any, background: Color = DARK) -> list[Segment]:
    for one in filters:
        segments = one.apply(segments, background)
    return segments


def test_links_and_actions_are_taken_off_and_places_are_kept() -> None:
    style = Style(bold=True, link="http://evil/", meta={"@click": "app.quit", "offset": (1, 2)})
    (link,) = rendered([Segment("click", Style(link="http://evil/"))], OnlyText())
    assert link.style is not None
    assert link.style.link is None
    (segment,) = rendered([Segment("click", style)], OnlyText())
    assert segment.style is not None
    assert segment.style.link is None
    assert segment.style.meta == {"offset": (1, 2)}
    assert segment.style.bold
    assert "\x1b]8" not in Strip.render_style(segment.style, "click", 3)  # type: ignore[arg-type]


def test_segments_that_are_sequences_are_dropped() -> None:
    from rich.control import Control

    assert rendered([Control.title("x").segment, Segment("text")], OnlyText()) == [Segment("text")]


def test_without_colours_the_weight_stays_and_the_selection_is_reversed() -> None:
    styles = [
        Style(color="red", bgcolor="#101010", bold=True),
        Style(color="white", bgcolor="#0000ff"),
        Style(color="white", bgcolor="blue", reverse=True, dim=True),
        Style(color="white", underline=True),
    ]
    done = [segment.style for segment in rendered([Segment("x", style) for style in styles], NoColours())]
    assert all(style is not None and style.color is None and style.bgcolor is None for style in done)
    bold, selected, twice, underlined = (style for style in done if style is not None)
    assert bold.bold
    assert not bold.reverse
    assert selected.reverse
    assert twice.dim
    assert not twice.reverse
    assert underlined.underline
    assert not underlined.reverse


class Shown(SafeApp):
    """Shows hostile text every way that is at hand."""

    def compose(self) -> ComposeResult:
        """See App.compose."""
        yield Static(Text("\n".join(text[:90] for text in HOSTILE)))
        yield Input("\x1b[31m\u202epasted before", placeholder="\x1b]0;x\x07")


class Unfiltered(Shown):
    """The same without the net."""

    def get_line_filters(self) -> list[LineFilter]:
        """Return none."""
        return []


async def drawn_by(app: SafeApp) -> str:
    async with app.run_test(size=(100, 90)) as pilot:
        await pilot.pause()
        app.notify("\x1b[5mtoast\u202e", markup=False)
        await pilot.pause()
        return "".join(strip.render(app.console) for strip in app.screen._compositor.render_strips())


def screen_text(app: SafeApp) -> str:
    """Return what the app would write for its whole screen."""
    return asyncio.run(drawn_by(app))


def test_an_app_writes_nothing_foreign_whatever_it_shows() -> None:
    drawn = screen_text(Shown(env=UTF8))
    assert "zero" in drawn
    assert wire.foreign(drawn) == []
    assert "\x1b]8;;http://x/\x1b\\" in wire.foreign(screen_text(Unfiltered(env=UTF8)))  # Textual itself passes it on


def test_an_app_in_another_locale_writes_ascii_alone() -> None:
    drawn = screen_text(Shown(env={"LANG": "de_DE.ISO-8859-1"}))
    assert drawn.isascii()
    assert "zero" in drawn


def test_an_app_under_no_color_writes_no_colour() -> None:
    drawn = screen_text(Shown(env={**UTF8, "NO_COLOR": "1"}))
    parameters = {one for sequence in re.findall(r"\x1b\[([\d;]*)m", drawn) for one in sequence.split(";")}
    assert parameters <= {"", "0", "1", "2", "3", "4", "7", "9"}


def test_no_cursor_blinks() -> None:
    async def focused() -> bool:
        app = Shown(env=UTF8)
        async with app.run_test() as pilot:
            field = app.query_one(Input)
            field.focus()
            await pilot.pause()
            return bool(field.cursor_blink)

    assert asyncio.run(focused()) is False


def test_a_paste_is_cleaned_before_a_widget_sees_it() -> None:
    async def pasted() -> str:
        app = Shown(env=UTF8)
        async with app.run_test() as pilot:
            field = app.query_one(Input)
            field.value = ""
            field.focus()
            await pilot.pause()
            app.post_message(events.Paste("a\x1b[31mb\u202ec\x07"))
            await pilot.pause()
            return field.value

    assert asyncio.run(pasted()) == "abc"
