"""The child that encrypts a file with age, so that neither its memory nor its work is an engine's. Removes nothing."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine.host import age, temporary
from engine.host.trickle import Trickle

MODULE = "engine.host.encrypting"


def main(order: dict[str, Any], tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Do one order: {"source", "target": paths, "recipients", "passphrase"}. target: exists, and is empty."""
    source, target = Path(order["source"]), Path(order["target"])
    try:
        with source.open("rb") as src, target.open("r+b") as dst:
            trickle = Trickle(dst.fileno())

            def went(done: int, total: int) -> None:
                trickle.wrote()
                tell({"stage": "encrypting", "done": done, "total": total})

            age.encrypt(src, dst, recipients=order["recipients"], passphrase=order["passphrase"], progress=went)
    except OSError as error:
        raise temporary.cannot_write(target.parent, error) from error
    return {}


if __name__ == "__main__":
    from engine.host.children import serve

    serve(main)
