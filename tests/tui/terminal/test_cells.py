"""The model of the screen: fewer bytes, the same picture, cell by cell."""

from __future__ import annotations

import random
import re
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from chronos_tui.terminal.cells import Cells
from chronos_tui.terminal.style import DEFAULT, Styles
from chronos_tui.terminal.travel import travel
from tests.tui.pty import Emulator, Terminal
from tests.tui.terminal.screens import differences

WORDS = [
    "plain ASCII",
    "─" * 20,
    "│",
    " " * 30,
    " " * 5,
    "日本語",
    "한국어 text",
    "e\u0301a\u0308",
    "🎉",
    "x🚀y",
    "✓ ok",
    "⏸",
    "o\u0302\u0323",
    "Größe",
    "▁▂▃▄▅▆▇█",
    "a",
    "0123456789" * 12,
    "ไทย",
    "→ ▸ …",
]
LOOKS = [
    "",
    "1",
    "2",
    "1;31",
    "38;2;1;2;3",
    "38;5;9;48;5;235",
    "48;2;30;30;30",
    "7",
    "4;32",
    "3;9",
    "97;44",
    "2;48;5;16",
    "7;38;5;23;48;5;235",
]


def frame(rng: random.Random, width: int, height: int) -> str:
    """Return something like what Textual writes for one update: strips at places, each segment with its look."""
    out = []
    for _ in range(rng.randint(1, height + 3)):
        x, y = rng.randrange(width), rng.randrange(height)
        out.append(f"\x1b[{y + 1};{x + 1}H")
        for _ in range(rng.randint(1, 5)):
            text = fitting(rng.choice(WORDS), width - x)
            x += cell_len(text)
            look = rng.choice(LOOKS)
            out.append(f"\x1b[{look}m{text}\x1b[0m" if look and text else text)
        if y < height - 1:
            out.append(rng.choice(["", "\n"]))
    return "".join(out)


def screen(width: int, height: int) -> Emulator:
    emulator = Emulator(width, height)
    emulator.feed("\x1b[?7l")  # as the driver sets it: no wrap at the edge
    return emulator


def fitting(text: str, cells: int) -> str:
    while cell_len(text) > cells:
        text = text[:-1]
    return text


@pytest.mark.parametrize("coloured", [False, True])
@pytest.mark.parametrize("seed", range(40))
def test_the_picture_is_the_same_after_any_frames_and_sizes(seed: int, coloured: bool) -> None:
    rng = random.Random(seed)
    width, height = 60, 12
    cells, frugal, plain = (
        Cells(width, height, erases_colour=coloured),
        screen(width, height),
        screen(width, height),
    )
    for step in range(40):
        if rng.random() < 0.08:
            width, height = rng.choice([(1, 1), (2, 3), (60, 12), (90, 5), (33, 20)])
            cells.resize(width, height)
            frugal.resize(width, height)
            # What Textual does after a change of size: all of it anew.
            plain = screen(width, height)
            blank = "".join(f"\x1b[{y + 1};1H{' ' * width}" for y in range(height))
            plain.feed(blank)
            cells.take(blank)
        if rng.random() < 0.05:
            frugal.feed("\x1b[7mnoise from elsewhere\x1b[2J\x1b[0m")
            cells.invalidate()
        written = frame(rng, width, height)
        plain.feed(written)
        frugal.feed(cells.feed(written))
        assert differences(frugal, plain) == [], f"seed {seed}, step {step}"
    assert not cells.transparent


def list_frame(rng: random.Random, first: int, cursor: int, width: int, height: int) -> str:
    """Return a boxed list from row `first` on, its cursor, a bar at the right."""
    out = [f"\x1b[1;1H┌{'─' * (width - 2)}┐"]
    for y in range(1, height - 1):
        row = f" {first + y:5} {WORDS[(first + y) % len(WORDS)]}"[: width - 6]
        row += " " * (width - 4 - cell_len(row))
        look = "7" if first + y == cursor else "38;5;7;48;5;235"
        bar = "█" if y == first % height else " "
        out.append(f"\x1b[{y + 1};1H│\x1b[{look}m{row}\x1b[0m \x1b[44m{bar}\x1b[0m│")
    return "".join([*out, f"\x1b[{height};1H└{'─' * (width - 2)}┘\x1b[{rng.randint(1, height)};3H"])


@pytest.mark.parametrize("coloured", [False, True])
@pytest.mark.parametrize("seed", range(10))
def test_a_list_that_scrolls_is_moved_by_the_terminal(seed: int, coloured: bool) -> None:
    rng = random.Random(seed)
    width, height = rng.choice([(60, 12), (80, 24), (30, 7)])
    cells, frugal, plain = Cells(width, height, erases_colour=coloured), screen(width, height), screen(width, height)
    first, moved = 0, 0
    for _ in range(40):
        step = rng.choice([1, 1, 1, -1, -1, 2, -3, 5, height, 0])
        first = max(0, first + step)
        written = list_frame(rng, first, first + rng.randint(1, 3), width, height)
        plain.feed(written)
        fewer = cells.feed(written)
        frugal.feed(fewer)
        moved += bool(re.search(r"\x1b\[\d*[LM]", fewer))
        assert differences(frugal, plain) == [], f"seed {seed}"
    assert moved > 10


def test_rows_that_are_much_alike_change_where_they_differ() -> None:
    def page(first: int) -> str:
        return "".join(f"\x1b[{y + 1};1H{first + y:6} queued  nightly backup of the box" for y in range(20))

    cells = Cells(60, 20)
    cells.feed(page(100_000))
    fewer = cells.feed(page(100_010))
    assert not re.search(r"\x1b\[\d*[LM]", fewer)
    assert len(fewer) < 20 * 20


def test_writing_the_same_again_costs_nothing() -> None:
    cells = Cells(80, 24)
    written = frame(random.Random(1), 80, 24)
    assert cells.feed(written)
    assert cells.feed(written) == ""


def test_one_changed_letter_costs_a_move_and_the_letter() -> None:
    cells = Cells(80, 24)
    cells.feed("\x1b[3;1H\x1b[31mtry 1 of 16\x1b[0m")
    assert cells.feed("\x1b[3;1H\x1b[31mtry 2 of 16\x1b[0m") in {
        "\x1b[3;5H2",
        "\b\b\b\b\b\b\b2",
        "\x1b[7D2",
        "\x1b[5G2",
    }


def test_an_unknown_sequence_passes_through_and_ends_the_model() -> None:
    cells, frugal, plain = Cells(40, 5), screen(40, 5), screen(40, 5)
    odd = "\x1b[2;3H\x1b[32mgreen\x1b[2Lmore\x1b[0m \x1b[4;1Hlast"
    frugal.feed(cells.feed(odd))
    plain.feed(odd)
    assert cells.transparent
    assert cells.unknown.startswith("\x1b[2L")
    assert differences(frugal, plain) == []
    after = "\x1b[5;1H\x1b[1mtext\x1b[0m"
    assert cells.feed(after) == after


@pytest.mark.parametrize(
    "odd", ["\x1b[6n", "\x1b]0;title\x07", "\x1b(0", "\x9b31m", "\x1b[?1047h", "\x1b", "\x1b[31", "\x0e", "\x7f"]
)
def test_whatever_it_cannot_read_ends_the_model(odd: str) -> None:
    cells = Cells(10, 2)
    assert odd in cells.feed(f"ab{odd}cd")
    assert cells.transparent


def test_what_draws_nothing_goes_through_as_it_is() -> None:
    cells = Cells(10, 2)
    cells.feed("x")
    aside = "\x1b[?1000h\x1b[>1u\x1b[?2026$p\x1b[<u\x07\x1b]52;c;aGk=\x07"
    assert cells.feed(aside) == aside
    assert not cells.transparent


def test_only_long_frames_carry_marks_of_synchronised_output() -> None:
    cells = Cells(120, 40)
    cells.feed("\x1b[?2026h")
    noise = random.Random(3)
    long = "".join(f"\x1b[{y};1H" + "".join(chr(noise.randint(33, 126)) for _ in range(120)) for y in range(1, 41))
    assert re.fullmatch(r"\x1b\[\?2026h.*\x1b\[\?2026l", cells.feed(long), re.DOTALL)
    assert "2026" not in cells.feed("\x1b[1;1Hshort")
    assert "2026" not in Cells(120, 40).feed(long)


def test_a_terminal_without_coloured_erasing_gets_no_erasing_on_colour() -> None:
    blue = "\x1b[1;1H\x1b[44m" + "text".ljust(80) + "\x1b[0m"
    cleared = "\x1b[1;1H\x1b[44m" + " " * 80 + "\x1b[0m"
    for coloured, erased in ((False, False), (True, True)):
        cells = Cells(80, 2, erases_colour=coloured)
        out = cells.feed(blue) + cells.feed(cleared)
        assert bool(re.search(r"\x1b\[\d*[XK]", out)) == erased


parameters = st.lists(
    st.sampled_from(
        [
            "0",
            "1",
            "2",
            "3",
            "4",
            "5",
            "7",
            "9",
            "22",
            "23",
            "24",
            "27",
            "29",
            "31",
            "97",
            "39",
            "44",
            "49",
            "38;5;7",
            "48;2;1;2;3",
            "38;2;9;9;9",
            "53",
            "55",
            "21",
        ]
    ),
    max_size=4,
).map(";".join)


@given(st.lists(parameters, max_size=3), st.lists(parameters, max_size=3))
@settings(max_examples=300, deadline=None)
def test_the_shortest_way_between_two_looks_arrives(first: list[str], second: list[str]) -> None:
    styles = Styles()
    old = new = DEFAULT
    for one in first:
        old = styles.after(old, one)
    for one in second:
        new = styles.after(new, one)
    way = styles.between(old, new)
    assert (way == "") == (old is new)
    arrived = styles.after(old, way[2:-1]) if way else old
    assert (arrived.foreground, arrived.background, arrived.attributes) == (
        new.foreground,
        new.background,
        new.attributes,
    )
    assert arrived is new


def test_a_colour_of_the_palette_is_written_by_its_number_and_looks_the_same() -> None:
    cube, greys = (0, 95, 135, 175, 215, 255), range(8, 239, 10)
    colours = {(r, g, b) for r in cube for g in cube for b in cube} | {(grey,) * 3 for grey in greys}
    for colour in [*sorted(colours), (1, 2, 3), (95, 95, 96), (7, 7, 7), (248, 248, 248)]:
        cells, frugal, plain = Cells(3, 1), screen(3, 1), screen(3, 1)
        given_ = f"\x1b[1;1H\x1b[38;2;{colour[0]};{colour[1]};{colour[2]};48;2;8;8;8mx"
        written = cells.feed(given_)
        frugal.feed(written)
        plain.feed(given_)
        assert differences(frugal, plain) == [], colour
        assert ("38;5;" in written) == (colour in colours)
        assert "48;5;232" in written


@given(st.integers(-1, 30), st.integers(-1, 8), st.integers(0, 30), st.integers(0, 8))
@settings(deadline=None)
def test_the_cursor_arrives(from_x: int, from_y: int, x: int, y: int) -> None:
    emulator = screen(31, 9)
    emulator.feed(f"\x1b[{max(from_y, 0) + 1};{max(from_x, 0) + 1}H")
    way = travel(from_x, from_y, x, y)
    emulator.feed(way)
    assert (emulator.screen.cursor.x, emulator.screen.cursor.y) == (x, y) or (from_x, from_y) == (x, y)
    assert len(way) <= len(f"\x1b[{y + 1};{x + 1}H")


def test_styles_that_no_longer_fit_the_table_are_painted_right() -> None:
    cells, frugal, plain = Cells(20, 2), screen(20, 2), screen(20, 2)
    for n in range(6000):
        written = f"\x1b[1;{n % 18 + 1}H\x1b[38;2;{n % 256};{n // 256};7;4mx\x1b[0m"
        plain.feed(written)
        frugal.feed(cells.feed(written))
    assert differences(frugal, plain) == []


@pytest.mark.parametrize("seed", range(3))
def test_a_real_app_looks_the_same_through_the_model(seed: int) -> None:
    rng = random.Random(seed)
    sizes = [(80, 24), (120, 40), (20, 6), (1, 1), (61, 17)]
    width, height = 100, 30
    cells, frugal, plain = Cells(width, height, erases_colour=True), screen(width, height), screen(width, height)
    with Terminal(
        [sys.executable, "-m", "tests.tui.terminal.sample", "--plain"], columns=width, rows=height, emulate=False
    ) as terminal:
        terminal.wait_raw("…".encode())
        done = 0
        spent = [0, 0]
        for _ in range(25):
            terminal.quiet(60)
            written = bytes(terminal.raw[done:]).decode()
            done = len(terminal.raw)
            plain.feed(written)
            fewer = cells.feed(written)
            frugal.feed(fewer)
            spent = [spent[0] + len(written), spent[1] + len(fewer)]
            assert not cells.transparent, cells.unknown
            assert differences(frugal, plain) == []
            if rng.random() < 0.2:
                width, height = rng.choice(sizes)
                terminal.resize(width, height)
                for shown in (frugal, plain):
                    shown.resize(width, height)
                cells.resize(width, height)
            else:
                terminal.send(rng.choice(["f", "f", "down", "pagedown", "up", "c", "end", "home", "pageup"]))
        assert spent[1] < spent[0] / 3
