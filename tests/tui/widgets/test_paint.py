"""Roles become the theme's colours; a strip is exactly as wide as it says."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from textual.app import App, ComposeResult
from textual.theme import Theme
from textual.widget import Widget

from chronos_tui.views.spans import ROLES, Line, Span
from chronos_tui.widgets.paint import Palette, palette, strip

PLAIN = Theme(
    name="plain",
    primary="#111111",
    success="#00aa00",
    warning="#ffaa00",
    error="#aa0000",
    accent="#0000aa",
    foreground="#dddddd",
    background="#000000",
    variables={"held": "#aa00aa", "dim": "#888888", "cursor": "#333333"},
)
ANSI = Theme(
    name="sixteen",
    primary="ansi_blue",
    success="ansi_green",
    foreground="ansi_default",
    background="ansi_default",
    variables={"cursor": "ansi_bright_black"},
)


class OneApp(App[None]):
    CSS = "Screen { background: $background; } Widget { color: $foreground; }"

    def compose(self) -> ComposeResult:
        yield Widget(id="it")


async def in_theme(theme: Theme, look: Callable[[Widget], None]) -> None:
    app = OneApp()
    async with app.run_test(size=(20, 3)) as pilot:
        app.register_theme(theme)
        app.theme = theme.name
        await pilot.pause()
        look(app.query_one("#it"))


def colour(found: Palette, role: str) -> str:
    style = found.style(role)
    assert style.color is not None
    assert style.color.triplet is not None
    # Textual rounds on a theme's way through HSL: a step of one in a channel is no other colour.
    return "#" + "".join(f"{round(channel / 17):x}" * 2 for channel in style.color.triplet)


async def test_every_role_has_the_colour_of_the_theme() -> None:
    def look(widget: Widget) -> None:
        found = palette(widget)
        roles = ("", "ok", "warning", "failed", "held", "dim", "accent", "no such role")
        assert [colour(found, role) for role in roles] == [
            "#dddddd",
            "#00aa00",
            "#ffaa00",
            "#aa0000",
            "#aa00aa",
            "#888888",
            "#0000aa",
            "#dddddd",
        ]
        assert found.style("bold").bold
        assert found.style("title").bold
        assert found.style("selected") == found.style("", selected=True)
        ground = found.style("ok", selected=True)
        assert ground.bgcolor is not None
        assert ground.bgcolor.name == "#333333"
        assert palette(widget) is found

    await in_theme(PLAIN, look)


async def test_sixteen_colours_are_never_mixed_the_selection_is_reversed() -> None:
    def look(widget: Widget) -> None:
        found = palette(widget)
        assert found.style("ok").color is not None
        for role in ROLES:
            style = found.style(role, selected=True)
            assert style.reverse
            assert style.bold
        assert not found.style("ok").reverse

    await in_theme(ANSI, look)


@pytest.mark.parametrize("theme", ["textual-dark", "textual-light", "ansi-dark", "dracula"])
async def test_themes_that_know_nothing_of_roles_do(theme: str) -> None:
    app = OneApp()
    async with app.run_test(size=(20, 3)) as pilot:
        app.theme = theme
        await pilot.pause()
        found = palette(app.query_one("#it"))
        assert found.style("failed") != found.style("")
        assert found.style("", selected=True) != found.style("")


async def test_neighbours_that_look_alike_are_one_segment() -> None:
    def look(widget: Widget) -> None:
        made = strip(widget, (Span("a"), Span("b"), Span(" "), Span("c", "ok"), Span(" "), Span("", "failed")), 10)
        assert [segment.text for segment in made] == ["ab ", "c      "]
        assert [segment.text for segment in strip(widget, (Span("abc", "dim"),), 2)] == ["a…"]
        assert [segment.text for segment in strip(widget, (Span("ab"), Span("  ")), 2)] == ["ab"]
        assert [segment.text for segment in strip(widget, (Span("ab"), Span("c", "ok")), 2)] == ["a…"]
        assert [segment.text for segment in strip(widget, (), 3)] == ["   "]
        assert list(strip(widget, (Span("a"),), 0)) == []

    await in_theme(PLAIN, look)


async def test_any_line_fills_any_width_exactly() -> None:
    spans = st.builds(
        Span, st.text("ab 備é\u0301👩\u200d☁\ufe0f", max_size=12), st.sampled_from(["", "ok", "selected"])
    )

    def look(widget: Widget) -> None:
        @given(st.lists(spans, max_size=6).map(tuple), st.integers(0, 30))
        def exact(line: Line, width: int) -> None:
            made = strip(widget, line, width)
            assert sum(segment.cell_length for segment in made) == width
            assert made.cell_length == width
            assert all(segment.text for segment in made)

        exact()

    await in_theme(PLAIN, look)
