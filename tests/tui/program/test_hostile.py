"""Everything over an outbox with hostile strings in every field: none of it reaches the terminal, nothing acts."""

from __future__ import annotations

import hashlib
import os
import re
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from engine.host.locks import EngineLock
from engine.host.paths import paths
from tests.interfaces.program import Box
from tests.tui import wire
from tests.tui.program import hostile
from tests.tui.program.visit import STILL_MS, Visit
from tests.tui.pty import paste

_COLOUR = re.compile(r"\x1b\[(?:[\d;]*;)?(?:3[0-8]|4[0-8]|9[0-7]|10[0-7])(?:;[\d;]*)?m")
_ESC_MS = 160
"""Esc alone is told from the beginning of a sequence by what does not follow it."""

_OUTBOX: tuple[tuple[str, ...], ...] = (
    ("2",),
    ("G",),
    ("g",),
    *(("j" * 20,) for _ in range(4)),
    *(("ctrl+d",) for _ in range(4)),
    ("enter",),
    ("G",),
    ("ctrl+u",),
    ("z",),
    ("G",),
    ("z",),
    ("/", "e", "esc"),
    ("esc",),
    ("G", "enter"),  # the first ones: as the engine took them
    ("z", "G", "g", *("ctrl+d",) * 6),
    ("q",),
    *((("k" * 3), "enter", "G", "ctrl+u", "g", "esc") for _ in range(4)),
)
_PROMPTS: tuple[tuple[str, ...], ...] = (
    *(
        ("/", word, "tab", "tab", "tab", "shift+tab", "esc")
        for word in ("", "tag:", "target:", "template:", "chan", "x")
    ),
    ("/", "state:dead", "enter"),
    ("j" * 5, "enter", "esc"),
    ("/", "ctrl+u", "pwned", "enter"),
    ("esc",),
    ("esc",),
    ("/", "up", "up", "esc"),
    *((":", word, "tab", "tab", "tab", "esc") for word in ("pause ", "resume ", "target ", "outbox tag:", "new ", "#")),
    (":", "holds", "enter"),
    ("G", "esc"),
    (":", "target", "enter"),
    ("G", "esc"),
    (":", "#3", "enter"),
    ("esc",),
)
_DIALOGS: tuple[tuple[str, ...], ...] = (
    ("?",),
    ("G", "esc"),
    ("ctrl+p", "re", "down", "down", "esc"),
    ("p",),
    ("tab", "esc"),
    ("P",),
    ("esc",),
    ("s",),
    ("j", "esc"),
    ("space", "j", "space", "j", "j", "v"),
    ("x",),
    ("n",),  # no
    ("esc",),
    ("a",),
    ("j", "enter"),
    ("esc",),
    ("esc",),
    ("w",),
    ("esc",),
    ("!",),
    ("esc",),
    ("n",),
    ("[@click=app.quit]x[/]", "tab", "[/]", "ctrl+c"),
    ("y",),  # yes, lose it
)
_AUDIT: tuple[tuple[str, ...], ...] = (
    ("2", "g", "i"),
    ("-",),
    ("3",),
    ("G",),
    ("g",),
    *(("j" * 20,) for _ in range(2)),
    ("enter",),
    ("G", "z", "z", "esc"),
    *(("/", word, "tab", "tab", "esc") for word in ("actor:", "action:", "subject:")),
    ("o",),
    ("-",),
    ("V",),
    ("esc",),
    ("1",),
    ("j" * 5, "tab", "j" * 5, "G", "tab", "ctrl+d"),
)
_SECURITY: tuple[tuple[str, ...], ...] = (
    ("7",),
    ("h",),
    *(("j" * 8,) for _ in range(4)),
    ("enter", "G", "z", "g", "z", "tab"),
    *(("j",) for _ in range(12)),
    ("i",),
    ("-",),
    ("r", "ctrl+c"),
    ("esc",),
    ("tab",),
    *(("j" * 10,) for _ in range(4)),
    ("enter", "G", "tab"),
    *(("k",) for _ in range(12)),
    ("esc",),
    ("X", "x", "enter", "esc"),
    ("R", "enter"),
    ("esc",),
    ("n", "[@click=app.quit]x[/]", "tab", "ctrl+u", "[/]", "tab", "[", "ctrl+c"),
    ("tab",),
    ("enter", "G", "ctrl+u", "esc"),
    ("r",),
    ("j" * 12, "k", "enter"),
    ("esc",),
    ("tab",),
    ("j" * 20, "enter", "G", "tab", "k" * 9, "esc"),
    ("X", "[/]", "enter", "esc"),
    *((":", word, "tab", "tab", "tab", "ctrl+c") for word in ("key revoke ", "secret delete ", "key rotate [")),
    ("tab",),
)
WALK = (*_OUTBOX, *_PROMPTS, *_DIALOGS, *_AUDIT, *_SECURITY)


@contextmanager
def _nobody_delivers(box: Box) -> Iterator[None]:
    """Hold the owner's lock, so that what is shown stays as it is."""
    lock = EngineLock(paths(str(box.data_dir), None, {}).engine_lock)
    about = {"pid": os.getpid(), "mode": hostile.STRINGS[35], "host": "box", "started_ms": time.time_ns() // 1_000_000}
    assert lock.acquire(about)
    try:
        yield
    finally:
        lock.release()


def _state_of(box: Box) -> str:
    """Return a digest of everything that an act would change."""
    digest = hashlib.sha256()
    with closing(sqlite3.connect(box.data_dir / "chronos.db")) as connection:
        connection.text_factory = bytes
        for question in (
            "SELECT id, state, attempts, due_ms, target, subject FROM messages ORDER BY id",
            "SELECT id, scope, until_ms, ended_ms FROM holds ORDER BY id",
            "SELECT seq, hash FROM audit ORDER BY seq",
            "SELECT id, state, note FROM incidents ORDER BY id",
            "SELECT id, revoked_ms, successor FROM api_keys ORDER BY id",
            "SELECT name, version FROM secrets ORDER BY name",
            "SELECT id, replayed FROM inbound_events ORDER BY id",
        ):
            for row in connection.execute(question):
                digest.update(repr(row).encode())
    return digest.hexdigest()


def _walk(visit: Visit, steps: tuple[tuple[str, ...], ...]) -> None:
    for step in steps:
        visit.send(*step)
        visit.quiet(_ESC_MS if step[-1] == "esc" else STILL_MS)
        assert visit.running, f"ended at {step}: {visit.events[-1]}\n{visit.text}"


@pytest.mark.parametrize(
    ("words", "env", "size"),
    [
        ((), {}, (80, 24)),
        (("--plain-terminal",), {}, (160, 50)),
        ((), {"LANG": "C", "LC_ALL": "C", "NO_COLOR": "1"}, (80, 24)),
        (("--plain-terminal",), {"LANG": "POSIX", "LC_ALL": "POSIX", "NO_COLOR": "1"}, (100, 30)),
    ],
    ids=["frugal", "plain, wide", "C and no colour", "POSIX and no colour, plain"],
)
def test_a_walk_through_everything_writes_nothing_foreign_and_does_nothing(
    hostile_box: Box, words: tuple[str, ...], env: dict[str, str], size: tuple[int, int]
) -> None:
    before = _state_of(hostile_box)
    with (
        _nobody_delivers(hostile_box),
        Visit(hostile_box, *words, env=env, columns=size[0], rows=size[1]) as visit,
    ):
        _walk(visit, WALK)
        assert visit.leave() == 0
        visit.assert_as_before()
        raw = bytes(visit.raw)

    assert wire.foreign(raw) == []
    assert not re.search("[\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufe00-\ufe0f]", raw.decode())
    if "LC_ALL" in env:
        assert raw.isascii(), sorted(set(re.findall("[^\x00-\x7f]", raw.decode())))
    if "NO_COLOR" in env:
        assert _COLOUR.findall(raw.decode()) == []
    else:
        assert _COLOUR.search(raw.decode())
    assert _state_of(hostile_box) == before
    assert _complaints(hostile_box) == []


def test_nothing_that_is_shown_can_be_clicked(hostile_box: Box) -> None:
    """With --mouse a click moves the cursor; links and actions in what others wrote are neither."""
    before = _state_of(hostile_box)
    with _nobody_delivers(hostile_box), Visit(hostile_box, "--mouse", columns=100, rows=30) as visit:
        for steps in (
            (("2", "G"),),
            (("k" * 40, "enter", "z"),),
            (
                ("z",),
                ("q",),
                ("3",),
            ),
            (("enter",),),
        ):
            _walk(visit, steps)
            for row in range(4, 29, 2):
                for column in (12, 40, 70):
                    visit.send(f"\x1b[<0;{column};{row}M".encode(), f"\x1b[<0;{column};{row}m".encode())
            visit.quiet(STILL_MS)
            assert visit.running
        assert visit.leave() == 0
        visit.assert_as_before()
        assert wire.foreign(visit.raw) == []
    assert _state_of(hostile_box) == before
    assert _complaints(hostile_box) == []


def test_what_is_pasted_is_text_and_no_keys(hostile_box: Box) -> None:
    before = _state_of(hostile_box)
    with _nobody_delivers(hostile_box), Visit(hostile_box) as visit:
        visit.panel(2, "due/age")
        visit.send(paste("q\rx\ry\rquit\r:quit\r\x03\x03"))  # a panel takes no text at all
        visit.quiet(STILL_MS)
        assert visit.running
        for opening, some in (("/", hostile.STRINGS[::3]), (":", hostile.STRINGS[1::3])):
            for text in some:
                if "\x1b[201~" not in text:
                    visit.send(opening, paste(text + "\rquit\r"), "ctrl+c")
            visit.caught_up()
        assert visit.leave() == 0
        visit.assert_as_before()
        assert wire.foreign(visit.raw) == []
    assert _state_of(hostile_box) == before


def test_a_megabyte_on_one_line_is_opened_like_any_other(hostile_box: Box) -> None:
    with _nobody_delivers(hostile_box), Visit(hostile_box) as visit:
        visit.panel(2, "due/age")
        with closing(sqlite3.connect(hostile_box.data_dir / "chronos.db")) as connection:
            big = [row[0] for row in connection.execute("SELECT id FROM messages WHERE size > 1000000")]
        assert len(big) == 2
        for message in big:
            visit.say(f"#{message}")
            visit.wait_for(f"─ #{message} ")
            _walk(visit, (("z", "G"), ("g", "ctrl+d"), ("z", "esc")))
        assert visit.leave() == 0
        assert wire.foreign(visit.raw) == []
    assert _complaints(hostile_box) == []


def test_words_of_the_environment_are_shown_as_words(hostile_box: Box) -> None:
    env = {"SUDO_USER": "[@click=app.quit]x[/]", "EDITOR": "true", "TMUX": ""}
    with Visit(hostile_box, env=env) as visit:
        visit.panel(2, "due/age")
        visit.say("resume target:mail")
        visit.wait_for("y resume")
        visit.send("y")
        visit.panel(3, "hold.ended")
        visit.send("enter")
        visit.quiet(STILL_MS)
        assert visit.leave() == 0
        assert wire.foreign(visit.raw) == []


def _complaints(box: Box) -> list[str]:
    """Return what the cockpit logged as its own defects."""
    lines: list[str] = []
    for file in sorted(Path(box.data_dir / "logs").glob("chronos*.jsonl*")):
        lines += [line for line in file.read_text().splitlines() if '"event":"cockpit_' in line]
    return lines
