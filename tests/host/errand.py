"""A module that is run as a child, and does what a test asks for."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.errors import NotPossible
from engine.host.children import serve

MODULE = "tests.host.errand"

Tell = Callable[[dict[str, Any]], None]


def main(order: dict[str, Any], tell: Tell) -> dict[str, Any]:
    for step in range(order.get("steps", 0)):
        tell({"step": step})
    return ACTS[order["act"]](order, tell)


def wait(_order: dict[str, Any], tell: Tell) -> dict[str, Any]:
    """Tell who this is, and never end."""
    tell({"pid": os.getpid()})
    threading.Event().wait()
    return {}


def write(order: dict[str, Any], _tell: Tell) -> dict[str, Any]:
    path = Path(order["path"])
    path.write_bytes(b"x" * order["size"])
    return {"mode": path.stat().st_mode & 0o777}


def refuse(_order: dict[str, Any], _tell: Tell) -> dict[str, Any]:
    raise NotPossible("the moon\nis full")


def break_down(_order: dict[str, Any], _tell: Tell) -> dict[str, Any]:
    raise RuntimeError("a defect")


def die(_order: dict[str, Any], _tell: Tell) -> dict[str, Any]:
    os.kill(os.getpid(), signal.SIGKILL)
    return {}


def chatter(_order: dict[str, Any], _tell: Tell) -> dict[str, Any]:
    sys.stdout.write("a library says something\n")
    os.write(1, b"and so does C\n")
    return {"said": True}


ACTS: dict[str, Callable[[dict[str, Any], Tell], dict[str, Any]]] = {
    "answer": lambda order, _tell: {"was": order},
    "environment": lambda _order, _tell: {"names": sorted(os.environ)},
    "priority": lambda _order, _tell: {"nice": os.nice(0)},
    "eat": lambda order, _tell: {"got": len(bytearray(order["size"]))},
    "wait": wait,
    "write": write,
    "refuse": refuse,
    "break": break_down,
    "die": die,
    "chatter": chatter,
}

if __name__ == "__main__":
    serve(main)
