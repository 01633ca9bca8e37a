"""The search itself: a canary that was put somewhere on purpose is found, in every kind of place and every spelling."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
import threading
from collections.abc import Callable
from urllib.parse import quote

import pytest

from tests.canaries import planted
from tests.canaries.planted import Canary
from tests.canaries.rig import Evidence
from tests.canaries.search import search
from tests.support import PATIENCE_S

ALL = [
    *planted.VAULT.values(),
    *(value for name, value in vars(planted).items() if name.isupper() and isinstance(value, Canary)),
]


def test_there_are_forty_and_none_is_a_part_of_another() -> None:
    assert len({one.name for one in ALL}) == len(ALL) >= 40
    for one in ALL:
        places = {other.name: other.text.encode() for other in ALL if other is not one}
        assert search(places, [one]) == []


@pytest.mark.parametrize(
    "spelled",
    [
        str.encode,
        lambda text: json.dumps(text).encode(),
        lambda text: json.dumps(json.dumps(text)).encode(),
        lambda text: quote(text).encode(),
        lambda text: base64.b64encode(text.encode()),
        lambda text: base64.b64encode(b"user:" + text.encode()),
        lambda text: base64.urlsafe_b64encode(b"u" + text.encode() + b"x"),
        lambda text: text.encode().hex().encode(),
        lambda text: text.encode()[: len(text) // 2 + 1],
        lambda text: repr(text)[:36].encode(),
    ],
    ids=["raw", "JSON", "JSON twice", "URL", "base64", "base64 at 2", "base64url", "hex", "half", "repr cut"],
)
def test_every_spelling_is_found(spelled: Callable[[str], bytes]) -> None:
    for one in ALL:
        assert search({"there": b"before " + spelled(one.text) + b" behind"}, [one]), one.name


def test_the_clean_and_the_planted_are_told_apart_in_every_place(evidence: Evidence) -> None:
    """Places that a Chronos fills, and the two that the kernel shows to everybody."""
    canary = planted.CRASHED
    evidence.ok("send", "box", "--text", "hello")
    evidence.keep_files("before")
    evidence.plant(canary)
    assert evidence.hits() == []
    evidence.ok("send", "box", "--text", f"said {canary.text}")
    evidence.keep_files("behind")
    evidence.ok("outbox", "show", "2", "--body")
    evidence.chronos("send", canary.text)
    (evidence.box.data_dir / "logs").mkdir(exist_ok=True)
    (evidence.box.data_dir / "logs" / "chronos.jsonl").write_text(json.dumps({"x": canary.text}))
    evidence.keep_files("with a log")
    _child_of_a_child(evidence, canary)
    found = {hit.place for hit in evidence.hits()}
    for place in ("data/chronos.db, behind", "stdout of outbox show", "stderr of send", "data/logs/chronos.jsonl"):
        assert any(one.startswith(place) for one in found), (place, found)
    for place in ("cmdline of", "environ of"):
        assert any(one.startswith(place) and one in evidence.watch.seen for one in found), (place, found)


def _child_of_a_child(evidence: Evidence, canary: Canary) -> None:
    inner = [sys.executable, "-c", "import time; time.sleep(60)", canary.text]
    outer = (
        "import subprocess, sys; child = subprocess.Popen(sys.argv[1:]); sys.stdin.read(); child.kill(); child.wait()"
    )
    env = {**evidence.box.env, "LEFT": canary.text}
    with subprocess.Popen([sys.executable, "-c", outer, *inner], env=env, stdin=subprocess.PIPE) as process:
        patience = threading.Event()
        for _ in range(int(PATIENCE_S / 0.02)):
            if any(canary.text.encode() in data for data in evidence.watch.seen.values()):
                break
            patience.wait(0.02)  # what the kernel shows has no event
        assert process.stdin is not None
        process.stdin.close()
        process.wait(PATIENCE_S)
