"""Reads a backup in a child process: neither the work of unpacking nor what a crafted file does is an engine's."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from engine.host import children
from engine.host.archive.reader import Progress, open_archive

MODULE = "engine.host.archive.apart"
_MEMORY_BYTES = 512 * 1024 * 1024
_LEAST_S = 300
_BYTES_PER_S = 1024 * 1024
"""How slow a disk may be; only what goes round in circles is ended."""


class Content(NamedTuple):
    """What was found: the manifest as it stands in the file, its signature not judged; how many members it lists."""

    manifest: dict[str, Any]
    members: int


def read(
    archive: Path,
    into: Path | None,
    *,
    ours: bool = False,
    progress: Progress = lambda _done, _total: None,
    stopped: Callable[[], bool] | None = None,
) -> Content:
    """Check every member of a backup, not encrypted, and with `into` unpack it there, as reader.Archive.extract does.

    ours: this process wrote the file a moment ago, so that it may be inflated by the faster library.
    Raises what reader.open_archive, verify and extract raise, what `progress` and `stopped` raise.
    """
    order = {"archive": str(archive), "into": None if into is None else str(into), "ours": ours}
    found = children.run(
        MODULE,
        order,
        on_progress=lambda told: progress(int(told["done"]), int(told["total"])),
        limit_s=_LEAST_S + archive.stat().st_size / _BYTES_PER_S if archive.is_file() else _LEAST_S,
        stopped=stopped,
        memory_bytes=_MEMORY_BYTES,
        nice=True,
    )
    return Content(found["manifest"], int(found["members"]))


def main(order: Mapping[str, Any], tell: Callable[[dict[str, Any]], None]) -> dict[str, Any]:
    """Do one order: {"archive", "into": paths, "ours"}."""

    def went(done: int, total: int) -> None:
        tell({"done": done, "total": total})

    with open_archive(Path(order["archive"]), ours=order["ours"]) as found:
        if order["into"] is None:
            found.verify(went)
        else:
            found.extract(Path(order["into"]), went)
        return {"manifest": found.manifest, "members": len(found.members)}


if __name__ == "__main__":
    children.serve(main)
