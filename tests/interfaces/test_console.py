"""The sentences of the engine on a terminal."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Mapping
from typing import Any

import pytest

from chronos_tui.console import Console
from engine.host.log import NullLog
from engine.rules.redact import Redactor


class Recorded(NullLog):
    """Remembers which events were handed on."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def event(
        self,
        level: str,
        name: str,
        /,
        *,
        channel: str = "chronos",
        error: BaseException | None = None,
        **fields: object,
    ) -> None:
        self.names.append(name)


def said(level: str, name: str, fields: Mapping[str, Any], **options: Any) -> str:
    """What stands on the terminal after one event, without its time."""
    redactor = Redactor()
    redactor.register("hunter2hunter2")
    screen, log = io.StringIO(), Recorded()
    console = Console(log, redactor.redact, screen)
    console.event(level, name, **options, **fields)
    console.close()
    assert log.names == [name]
    text = screen.getvalue()
    assert re.fullmatch(r"(\d\d:\d\d:\d\d .*\n)?", text)
    return text[9:-1]


@pytest.mark.parametrize(
    ("name", "fields", "sentence"),
    [
        ("delivered", {"message_id": 3, "target": "hook", "took_ms": 12}, "delivered #3 to hook in 12 ms"),
        ("attempt_failed", {"message_id": 4, "target": "hook", "code": "503"}, "#4 to hook: 503"),
        ("orphans_taken_up", {"count": 2}, "took up 2 messages that an engine left on the wire when it died"),
        ("stopping", {"signal": "SIGTERM"}, "stopping (SIGTERM): what is on the wire may finish"),
        ("something_new", {"n": 1}, "something new n=1"),
        (
            "demo_received",
            {"kind": "mail", "what": {"to": ("a@x.org", "b@x.org"), "file": "000001-mail.eml"}},
            "the demo's mail server took a mail for a@x.org, b@x.org and kept it as demo-inbox/000001-mail.eml",
        ),
        (
            "demo_received",
            {"kind": "webhook", "what": {"path": "/flaky", "status": 503, "file": ""}},
            "the demo's web server answered 503 to a webhook on /flaky",
        ),
    ],
)
def test_an_event_is_a_sentence(name: str, fields: dict[str, object], sentence: str) -> None:
    assert said("INFO", name, fields) == sentence


def test_what_a_human_must_see_is_marked_and_its_error_named() -> None:
    assert said("ERROR", "disk_slow", {}, error=OSError("no")) == "error: disk slow error=OSError: no"


def test_what_nobody_watches_is_only_handed_on() -> None:
    assert said("DEBUG", "detail", {}) == ""
    assert said("INFO", "send", {}, channel="performance") == ""


def test_neither_a_secret_nor_an_escape_reaches_the_terminal() -> None:
    assert said("INFO", "odd", {"word": "hunter2hunter2\x1b[2J\n"}) == "odd word=<secret>"


def test_a_terminal_that_does_not_read_costs_lines_and_not_time() -> None:
    reading = threading.Event()

    class Stuck(io.StringIO):
        def write(self, text: str) -> int:
            assert reading.wait(60)
            return super().write(text)

    screen, log = Stuck(), Recorded()
    console = Console(log, str, screen)
    for number in range(3_000):
        console.event("INFO", "tick", n=number)
    assert len(log.names) == 3_000
    reading.set()
    console.close(60)
    assert "lines left out here; 'chronos log' has them" in screen.getvalue()
