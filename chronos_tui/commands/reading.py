"""Reads what a message is made of, files and stdin, never more than may be sent. Loaded only when a file is named."""

from __future__ import annotations

import errno
import os
import stat
import sys
from collections.abc import Sequence
from pathlib import Path

from chronos_tui import bridge

_CHUNK_BYTES = 1 << 20


def text(option: str, name: str, most_bytes: int) -> str:
    """Return the text of a file, or of stdin for "-".

    Raises NotFound for a missing file, BadInput for one that cannot be read, is too big, or is not UTF-8.
    """
    data = _stdin(option, most_bytes) if name == "-" else _file(f"{option} {name}", name, most_bytes)
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        line_no = data.count(b"\n", 0, error.start) + 1
        where = f"{'stdin' if name == '-' else name}, line {line_no}"
        raise bridge.BadInput(
            f"{option}: {where}: is not UTF-8 text; convert it, or attach it with --attach"
        ) from error


def attachments(names: Sequence[str], most_bytes: int) -> tuple[bridge.Attachment, ...]:
    """Return the files to attach, all checked by size before the first is read.

    Raises NotFound for a missing one, BadInput for a directory, an unreadable one, or too much in all.
    """
    import mimetypes

    total_bytes(names, most_bytes)
    found = []
    for name in names:
        bare = Path(name).name
        content_type, encoding = mimetypes.guess_type(bare, strict=False)
        if content_type is None or encoding is not None:
            content_type = "application/octet-stream"
        try:
            bare.encode()
        except UnicodeEncodeError as error:
            raise bridge.BadInput(f"attachment {name!a}: its name is not UTF-8; rename it") from error
        found.append(bridge.Attachment(bare, content_type, _file(f"attachment {name}", name, most_bytes)))
    return tuple(found)


def total_bytes(names: Sequence[str], most_bytes: int) -> int:
    """Return the size of all files to attach without reading one. Raises as `attachments` does."""
    total = sum(_look(f"attachment {name}", name).st_size for name in names)
    if total > most_bytes:
        raise _too_big(f"attachments: {', '.join(names)}", most_bytes)
    return total


def _stdin(option: str, most_bytes: int) -> bytes:
    if sys.stdin is None:
        raise bridge.BadInput(f"{option} -: stdin is closed")
    chunks = []
    left = most_bytes + 1
    while left > 0 and (chunk := sys.stdin.buffer.read(min(left, _CHUNK_BYTES))):
        chunks.append(chunk)
        left -= len(chunk)
    if left <= 0:
        raise _too_big(f"{option}: stdin", most_bytes)
    return b"".join(chunks)


def _file(what: str, name: str, most_bytes: int) -> bytes:
    found = _look(what, name)
    if found.st_size > most_bytes:
        raise _too_big(what, most_bytes)
    try:
        with Path(name).open("rb") as file:
            data = file.read(most_bytes + 1)
    except OSError as error:
        raise _unreadable(what, error) from error
    if len(data) > most_bytes:
        raise _too_big(what, most_bytes)
    return data


def _look(what: str, name: str) -> os.stat_result:
    """Return what the file is. A device or a FIFO is refused: reading it might never end."""
    try:
        found = os.stat(name)  # noqa: PTH116 - a name that is empty or has a NUL is judged here too
    except (OSError, ValueError) as error:
        raise _unreadable(what, error) from error
    if stat.S_ISDIR(found.st_mode):
        raise bridge.BadInput(f"{what}: is a directory; name a file")
    if not stat.S_ISREG(found.st_mode):
        raise bridge.BadInput(f"{what}: is not a regular file; name a file, or pipe it into --text-file -")
    return found


def _unreadable(what: str, error: OSError | ValueError) -> bridge.ChronosError:
    if isinstance(error, OSError) and error.errno in {errno.ENOENT, errno.ENOTDIR}:
        return bridge.NotFound(f"{what}: no such file")
    words = error.strerror if isinstance(error, OSError) else "is no file name"
    return bridge.BadInput(f"{what}: cannot be read: {words}")


def _too_big(what: str, most_bytes: int) -> bridge.BadInput:
    most = bridge.format_size(most_bytes)
    return bridge.BadInput(f"{what}: more than outbox.max_message ({most}); send a link instead")
