"""What leaves the outbox panel: exports, attachments, the clipboard, the operator's own program."""

from __future__ import annotations

import contextlib
import csv
import json
import os
import signal
import stat
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
from textual.app import App, SuspendNotSupported

from chronos_tui.dialogs import editor, savefile
from engine.engine import Engine
from engine.errors import NotPossible
from engine.host.paths import paths
from engine.model import Attachment, NewMessage
from tests.support import Box, data_dir, opened_engine
from tests.tui.cockpit import Rig, opened_cockpit, run
from tests.tui.pty import Terminal
from tests.tui.screens.test_outbox_acts import at


async def answer(rig: Rig, text: str) -> None:
    """Put a text into the prompt and accept it."""
    await rig.press("ctrl+u")
    await rig.type(text)
    await rig.press("enter")


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    made = tmp_path / "out"
    made.mkdir()
    return made


def test_w_writes_what_matches_in_the_order_of_the_list(tmp_path: Path, out: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path) as rig:
            rig.app.go("outbox", "state:dead,held,uncertain")
            await rig.press("s", "u", "w")
            assert "write 3 messages to:" in rig.screen_text()
            await answer(rig, str(out / "a.csv"))
            await rig.shows(f"3 messages in {out}/a.csv")
            with (out / "a.csv").open(newline="") as file:
                written = list(csv.DictReader(file))
            assert [row["id"] for row in written] == ["3", "6", "4"]
            assert written[0]["tags"] == "backup nightly"
            assert mode(out / "a.csv") == 0o600
            await rig.press("w")
            await answer(rig, str(out / "a.jsonl"))
            await rig.shows("a.jsonl")
            documents = [json.loads(line) for line in (out / "a.jsonl").read_text().splitlines()]
            assert [(one["id"], one["state"]) for one in documents] == [(3, "dead"), (6, "held"), (4, "uncertain")]

    run(test())


def test_an_export_of_thousands_holds_each_once(tmp_path: Path, out: Path) -> None:
    news = [NewMessage("hook", subject=f"number {n}", text="hi") for n in range(1_700)]

    async def test() -> None:
        async with opened_cockpit(tmp_path, fill=lambda _box: {}, news=news, panel="outbox") as rig:
            await rig.press("w")
            await answer(rig, str(out / "all.jsonl"))
            await rig.shows("1 700 messages in")
            ids = [json.loads(line)["id"] for line in (out / "all.jsonl").read_text().splitlines()]
            assert ids == list(range(1_700, 0, -1))
            assert [path.name for path in out.iterdir()] == ["all.jsonl"]

    run(test())


def test_a_file_is_never_replaced_without_asking(tmp_path: Path, out: Path) -> None:
    (out / "a.csv").write_text("mine")

    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            await rig.press("w")
            await answer(rig, str(out / "a.csv"))
            assert "What is in it would be lost" in rig.screen_text()
            await rig.press("enter")
            assert (out / "a.csv").read_text() == "mine"
            await rig.press("w")
            await answer(rig, str(out / "a.csv"))
            await rig.press("y")
            await rig.shows("8 messages in")
            assert (out / "a.csv").read_text().startswith("id,uid,state")

    run(test())


def test_a_path_that_cannot_be_is_refused_while_it_is_typed(tmp_path: Path, out: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            await rig.press("w")
            await answer(rig, str(out / "a.txt"))
            assert "let its name end in .csv or .jsonl" in rig.screen_text()
            await answer(rig, str(out / "no" / "a.csv"))
            assert "no directory" in rig.screen_text()
            await rig.press("escape")
            assert list(out.iterdir()) == []

    run(test())


def with_attachments(*names: str) -> Any:
    def fill(box: Box) -> dict[str, int]:
        files = tuple(Attachment(name, "text/plain", f"content of {n}".encode()) for n, name in enumerate(names))
        return {"queued": box.put(subject="Files", attachments=files).id}

    return fill


def test_w_in_the_details_saves_the_attachment(tmp_path: Path, out: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            await at(rig, "dead")
            await rig.press("enter", "w")
            assert "save to: backup.log" in rig.screen_text()
            await answer(rig, str(out / "backup.log"))
            await rig.shows("200 B in")
            assert (out / "backup.log").read_bytes() == b"disk full\n" * 20
            assert mode(out / "backup.log") == 0o600

    run(test())


def test_of_several_attachments_one_is_chosen(tmp_path: Path, out: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, fill=with_attachments("a.txt", "b.txt", "c.txt"), panel="outbox") as rig:
            await rig.press("enter", "w")
            assert "Save which attachment?" in rig.screen_text()
            await rig.press("2")
            assert "save to: b.txt" in rig.screen_text()
            await answer(rig, str(out / "mine.txt"))
            await rig.shows("mine.txt")
            assert (out / "mine.txt").read_bytes() == b"content of 1"

    run(test())


def test_a_message_without_attachments_says_so(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            await rig.press("enter", "w")
            assert "this message has no attachment" in rig.screen_text()

    run(test())


@pytest.mark.parametrize(
    ("name", "proposed"),
    [
        ("report.pdf", "report.pdf"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\evil.exe", "evil.exe"),
        (".bashrc", "bashrc"),
        ("-rf", "rf"),
        ("..", "attachment"),
        ("~root/$(id).txt", "_(id).txt"),
        ("a\x1b[2Jb\u202egpj.exe", "abgpj.exe"),
        ("x" * 300, "x" * 99 + "…"),
    ],
)
def test_the_proposed_name_is_bare_and_harmless(name: str, proposed: str) -> None:
    assert savefile.bare_name(name) == proposed


@pytest.mark.parametrize("name", ["字" * 300, "字" * 84, "x" * 255])
def test_what_is_proposed_can_be_written(out: Path, name: str) -> None:
    path = out / savefile.bare_name(name)
    with savefile.created(path, replace=False) as file:
        file.write(b"whole")
    assert path.read_bytes() == b"whole"
    assert [one.name for one in out.iterdir()] == [path.name]


def test_paths_are_completed_and_directories_end_in_a_slash(out: Path) -> None:
    (out / "sub").mkdir()
    (out / "some.csv").touch()
    (out / ".hidden").touch()
    (out / "s\x1b[m").touch()
    assert savefile.complete(f"{out}/s", len(f"{out}/s")) == [f"{out}/sub/", f"{out}/some.csv"]
    assert savefile.complete(f"{out}/.", len(f"{out}/.")) == [f"{out}/.hidden"]
    assert savefile.complete("/nonexistent/x", 14) == []


@pytest.mark.parametrize("text", ["", "  ", "a\0b"])
def test_no_name_is_no_path(text: str) -> None:
    assert savefile.check(text)


def test_a_file_appears_only_when_it_is_whole(out: Path) -> None:
    def write(path: Path, *, replace: bool = False, fail: bool = False) -> None:
        with savefile.created(path, replace=replace) as file:
            file.write(b"half")
            assert not path.exists() or path.read_bytes() == b"old"
            if fail:
                raise RuntimeError("the disk went away")

    with pytest.raises(RuntimeError):
        write(out / "a", fail=True)
    assert list(out.iterdir()) == []
    (out / "a").write_bytes(b"old")
    with pytest.raises(NotPossible, match="something stands there already"):
        write(out / "a")
    assert (out / "a").read_bytes() == b"old"
    write(out / "a", replace=True)
    assert (out / "a").read_bytes() == b"half"
    with pytest.raises(NotPossible, match="cannot write"):
        write(out / "no" / "a")
    assert [path.name for path in out.iterdir()] == ["a"]


def test_a_link_is_replaced_not_followed(out: Path) -> None:
    (out / "target").write_bytes(b"precious")
    (out / "link").symlink_to(out / "target")
    with savefile.created(out / "link", replace=True) as file:
        file.write(b"new")
    assert (out / "target").read_bytes() == b"precious"
    assert (out / "link").read_bytes() == b"new"


def test_y_copies_the_uid(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            number = await at(rig, "dead")
            await rig.press("y")
            assert f"copied {rig.engine.detail(number).message.uid}" in rig.screen_text()

    run(test())


def test_a_terminal_that_cannot_be_lent_is_said(tmp_path: Path) -> None:
    async def test() -> None:
        async with opened_cockpit(tmp_path, panel="outbox") as rig:
            await at(rig, "dead")
            await rig.press("E")
            await rig.shows("this terminal cannot be lent to another program")

    run(test())


class Lender:
    """An app as far as lending the terminal goes."""

    def __init__(self, *, lends: bool = True) -> None:
        self.lends = lends
        self.lent = 0

    @contextlib.contextmanager
    def suspend(self) -> Iterator[None]:
        if not self.lends:
            raise SuspendNotSupported
        self.lent += 1
        yield


SHOW = """
import os, sys, stat
file = sys.argv[-1]
rooms = [oct(stat.S_IMODE(os.stat(one).st_mode)) for one in (file, os.path.dirname(file))]
open(os.environ["SEEN"], "w").write("\\n".join([file, *rooms, os.environ["LESSSECURE"], open(file).read()]))
"""


def test_the_editor_gets_a_private_file_that_is_gone_afterwards(out: Path) -> None:
    (out / "show editor.py").write_text(SHOW)
    lender = Lender()
    env = {"VISUAL": f"{sys.executable} '{out}/show editor.py'", "SEEN": str(out / "seen"), "PATH": os.environ["PATH"]}
    editor.open_text(cast("App[object]", lender), "what it says; $(touch x)", env)
    name, of_file, of_directory, secure, text = (out / "seen").read_text().split("\n")
    assert (of_file, of_directory, secure) == ("0o600", "0o700", "1")
    assert text == "what it says; $(touch x)"
    assert not Path(name).parent.exists()
    assert lender.lent == 1


def test_an_editor_that_is_not_there_is_said(out: Path) -> None:
    app = cast("App[object]", Lender())
    with pytest.raises(NotPossible, match="cannot start /nonexistent/vi"):
        editor.open_text(app, "x", {"EDITOR": "/nonexistent/vi"})
    with pytest.raises(NotPossible, match="VISUAL cannot be taken apart"):
        editor.open_text(app, "x", {"VISUAL": "vi 'x"})
    with pytest.raises(NotPossible, match=r"set \$VISUAL or \$EDITOR"):
        editor.open_text(app, "x", {"PATH": str(out)})
    with pytest.raises(NotPossible, match="cannot be lent"):
        editor.open_text(cast("App[object]", Lender(lends=False)), "x", {"EDITOR": "/bin/true"})


def test_visual_goes_before_editor_before_less() -> None:
    assert editor.command({"VISUAL": "emacs -nw", "EDITOR": "vi"}) == ["emacs", "-nw"]
    assert editor.command({"VISUAL": "", "EDITOR": "vi"}) == ["vi"]


def test_the_terminal_is_lent_and_the_cockpit_comes_back(tmp_path: Path) -> None:
    program = tmp_path / "show"
    program.write_text('#!/bin/sh\necho "it says:"; cat "$1"; read line\n')
    program.chmod(0o700)
    home = tmp_path / "data"
    home.mkdir(mode=0o700)
    (home / "config.yaml").write_text("targets: {box: {channel: maildir, path: mail}}\n")
    where = paths(str(home), None, {})
    engine = Engine.open(where, {}, actor="test:me")
    engine.enqueue(NewMessage("box", subject="Hello", text="Wipe\x1b[2J this.", not_before_ms=2_000_000_000_000))
    engine.close()
    (home / "cockpit.json").write_text('{"panel": "outbox"}')
    command = [str(Path(sys.executable).with_name("chronos-tui")), "--data-dir", str(home)]
    with Terminal(command, env={"VISUAL": str(program), "HOME": str(tmp_path)}) as terminal:
        terminal.wait_for("Hello")
        terminal.send("E")
        terminal.wait_for("it says:")
        terminal.wait_for("Wipe this.")
        assert "due/age" not in terminal.text
        terminal.send("enter")
        terminal.wait_for("due/age")
        assert "it says" not in terminal.text
        terminal.send("j", "e")
        terminal.wait_for("What to do")


def test_told_to_end_it_ends_the_editor_too_and_leaves_no_file(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    program = tmp_path / "show"
    program.write_text(f'#!/bin/sh\necho "$1" > {seen}; echo "it says:"; exec sleep 3600\n')
    program.chmod(0o700)
    home = data_dir(tmp_path)
    with opened_engine(home) as engine:
        engine.enqueue(NewMessage("hook", subject="Hello", text="Wipe this.", not_before_ms=2_000_000_000_000))
    (home.data_dir / "cockpit.json").write_text('{"panel": "outbox"}')
    command = [str(Path(sys.executable).with_name("chronos-tui")), "--data-dir", str(home.data_dir)]
    with Terminal(command, env={"VISUAL": str(program), "HOME": str(tmp_path)}) as terminal:
        terminal.wait_for("Hello")
        terminal.send("E")
        terminal.wait_for("it says:")
        terminal.signal(signal.SIGTERM)
        assert terminal.wait_exit() == 0
        assert terminal.modes == set()
        assert terminal.attributes_restored is True
    assert not Path(seen.read_text().strip()).parent.exists()
