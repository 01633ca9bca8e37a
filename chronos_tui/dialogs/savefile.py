"""Asks where to write a file and writes it whole or not at all: 0600, never over another file without asking."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import BinaryIO

from chronos_tui import bridge
from chronos_tui.desk import Progress
from chronos_tui.dialogs.confirm import Confirm
from chronos_tui.dialogs.pathnames import begun, resolve
from chronos_tui.views.spans import Span
from chronos_tui.widgets.panel import Host, Prompt

_LONGEST_NAME = 100
_LONGEST_NAME_BYTES = 200
"""Most file systems take 255."""

_NO_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK})


def ask(
    host: Host, label: str, name: str, write: Callable[[Path, bool], None], *, endings: tuple[str, ...] = ()
) -> None:
    """Ask for a path, then call `write(path, replace)`. name: what is proposed, in the current directory.

    endings: what the name may end in; any where there are none.
    """

    def accept(text: str) -> None:
        path = resolve(text)
        if not os.path.lexists(path):
            write(path, False)  # noqa: FBT003 - as documented
            return
        question = Confirm(
            "Replace?",
            ((Span(bridge.safe_line(str(path), 74), "bold"),), (Span("exists. What is in it would be lost."),)),
            "replace it",
        )
        host.push_screen(question, lambda yes: write(path, True) if yes else None)  # noqa: FBT003

    host.prompt(
        Prompt(label, accept, initial=name, complete=complete, check=lambda text: check(text, endings), history="files")
    )


def ask_attachment(host: Host, message_id: int, position: int, name: str) -> None:
    """Ask where to, then write an attachment there. name: as the message calls it."""

    def write(path: Path, replace: bool) -> None:  # noqa: FBT001 - as `ask` calls it
        def work(engine: bridge.Engine, _progress: Progress) -> int:
            content = engine.attachment(message_id, position).content
            with created(path, replace=replace) as file:
                file.write(content)
            return len(content)

        def done(size: int) -> None:
            host.say(f"{bridge.format_size(size)} in {bridge.safe_line(str(path), 100)}")

        host.desk.long(work, done, lambda text: host.say(text, "failed"))

    ask(host, "save to: ", bare_name(name), write)


def check(text: str, endings: tuple[str, ...] = ()) -> str:
    """Return what keeps a file from being written there, "" when nothing does."""
    if not text.strip():
        return "a file's name is missing"
    if "\0" in text:
        return "a file's name cannot hold NUL"
    path = resolve(text)
    try:
        if path.is_dir():
            return "that is a directory; go on with a file's name"
        if not path.parent.is_dir():
            return f"no directory {bridge.safe_line(str(path.parent), 60)}"
    except OSError as error:
        return error.strerror or "it cannot be written there"
    if endings and path.suffix not in endings:
        return f"let its name end in {' or '.join(endings)}"
    return ""


def complete(text: str, cursor: int) -> list[str]:
    """Return the paths that begin so, with what stands behind the cursor."""
    return [one + text[cursor:] for one in begun(text[:cursor])]


def bare_name(name: str) -> str:
    """Return a file's name from outside as one that is harmless here: no directories, not hidden, no option."""
    name = bridge.safe_line(name, _LONGEST_NAME).replace("\\", "/").rpartition("/")[2]
    name = "".join(char if char.isprintable() and char not in "~*?\"'`$<>|;&" else "_" for char in name).strip()
    return name.lstrip(".-").encode()[:_LONGEST_NAME_BYTES].decode(errors="ignore") or "attachment"


@contextlib.contextmanager
def created(path: Path, *, replace: bool) -> Iterator[BinaryIO]:
    """Write a file that appears under its name only when it is whole. Mode 0600.

    Raises NotPossible when it cannot be written, or when something has come to stand there and `replace` is not set.
    """
    temporary = path.with_name(f".chronos-{os.getpid()}-{os.urandom(4).hex()}.tmp")
    try:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with open(os.open(temporary, flags, 0o600), "wb") as file:  # noqa: PTH123 - a descriptor, not a path
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                _put(temporary, path, replace=replace)
            except BaseException:
                with contextlib.suppress(OSError):
                    temporary.unlink()
                raise
    except FileExistsError as error:
        raise bridge.NotPossible(f"{path}: something stands there already; choose another name") from error
    except OSError as error:
        raise bridge.NotPossible(f"cannot write {path}: {error.strerror or error}") from error


def _put(temporary: Path, path: Path, *, replace: bool) -> None:
    if replace:
        temporary.replace(path)
        return
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno not in _NO_LINKS or os.path.lexists(path):
            raise
        temporary.rename(path)  # a file system without hard links has no way to refuse in the same step
    else:
        temporary.unlink()
