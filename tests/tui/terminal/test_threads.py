"""The two threads at the terminal: they notice the end of the line, once, and keep nobody waiting."""

from __future__ import annotations

import os
import threading

from textual import events
from textual.message import Message

from chronos_tui.terminal.keyboard import Keyboard
from chronos_tui.terminal.writer import Writer
from tests.support import PATIENCE_S


def nothing() -> None:
    return


def test_the_end_of_the_input_is_said_once_and_keys_before_it_arrive() -> None:
    inner, outer = os.pipe()
    typed: list[Message] = []
    ends: list[int] = []
    ended = threading.Event()

    def end() -> None:
        ends.append(1)
        ended.set()

    keyboard = Keyboard(inner, on_message=typed.append, on_end=end)
    os.write(outer, b"q\x1b[200~a\x1b[31mb\x1b[201~\x1b[999999999999u\x1b[A")
    os.close(outer)
    assert ended.wait(PATIENCE_S)
    keyboard.stop()
    assert ends == [1]
    assert next(one.key for one in typed if isinstance(one, events.Key)) == "q"
    assert [one.text for one in typed if isinstance(one, events.Paste)] == ["ab"]
    os.close(inner)


def test_a_code_beyond_unicode_does_not_silence_the_keyboard() -> None:
    inner, outer = os.pipe()
    pressed: list[str] = []
    seen = threading.Event()

    def press(message: Message) -> None:
        if isinstance(message, events.Key):
            pressed.append(message.key)
            if message.key == "z":
                seen.set()

    keyboard = Keyboard(inner, on_message=press, on_end=nothing)
    os.write(outer, b"\x1b[99999999;5u")
    os.write(outer, b"z" * 3)
    for _ in range(50):
        if seen.wait(0.1):
            break
        os.write(outer, b"z")
    assert seen.is_set()
    keyboard.stop()
    os.close(outer)
    os.close(inner)


def test_a_line_that_is_gone_is_said_once_and_takes_everything_after() -> None:
    inner, outer = os.pipe()
    gone = threading.Event()
    writer = Writer(outer, on_drained=nothing, on_gone=gone.set)
    os.close(inner)
    writer.write("x")
    assert gone.wait(PATIENCE_S)
    assert writer.gone
    writer.write("more")
    assert writer.backlog_bytes == 0
    assert writer.stop(PATIENCE_S)
    os.close(outer)


def test_a_line_that_stands_still_keeps_nobody_waiting() -> None:
    inner, outer = os.pipe()
    writer = Writer(outer, on_drained=nothing, on_gone=nothing)
    writer.write("x" * 1_000_000)
    assert not writer.stop(0.05)
    assert writer.backlog_bytes > 0
    os.close(inner)  # now it fails, and the thread ends
    assert writer.stop(PATIENCE_S)
    os.close(outer)


def test_everything_is_written_in_order_and_then_said_to_be() -> None:
    inner, outer = os.pipe()
    drained = threading.Event()
    writer = Writer(outer, on_drained=drained.set, on_gone=nothing)
    for n in range(500):
        writer.write(f"{n},")
    assert writer.stop(PATIENCE_S)
    assert drained.is_set()
    os.close(outer)
    with os.fdopen(inner) as file:
        assert file.read() == "".join(f"{n}," for n in range(500))
