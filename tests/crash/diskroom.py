"""A small file system of its own, and a file that fills it up. Needs the right to mount: root, or a user namespace."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import subprocess
import sys
from pathlib import Path

_MARK = "CHRONOS_CRASH_PRIVATE_DISK"
_STEP_BYTES = 1 << 20


class NoPrivateDiskError(Exception):
    """This machine lets us mount nothing."""


def unshare_words() -> list[str]:
    """Return the command that gives a program mounts of its own. Raises NoPrivateDiskError when none works."""
    found = shutil.which("unshare")
    for flags in ("-m", "-rm") if found else ():
        words = [str(found), flags]
        script = 'd=$(mktemp -d) && mount -t tmpfs -o size=64k none "$d" && umount "$d"; rmdir "$d"'
        if subprocess.run([*words, "sh", "-c", script], capture_output=True, check=False).returncode == 0:
            return words
    raise NoPrivateDiskError(
        "a full disk needs a small file system: run as root, or allow user namespaces (unshare -rm)"
    )


def private_disk(arguments: list[str]) -> None:
    """Start this program again with mounts of its own, unless it has them already."""
    if os.environ.get(_MARK):
        return
    try:
        words = unshare_words()
    except NoPrivateDiskError as error:
        sys.stderr.write(f"{error}\n")
        sys.exit(2)
    os.environ[_MARK] = "1"
    os.execv(words[0], [*words, sys.executable, *arguments])


class Ballast:
    """The file that takes what space there is."""

    def __init__(self, path: Path) -> None:
        self._path = path

    @staticmethod
    def mount(folder: Path, size_bytes: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        options = f"size={size_bytes},mode=0700"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "none", str(folder)], check=True)

    @staticmethod
    def unmount(folder: Path) -> None:
        subprocess.run(["umount", str(folder)], check=True)

    def fill(self) -> None:
        """Take everything, to the last byte."""
        with self._path.open("ab", buffering=0) as file:
            step = _STEP_BYTES
            while step:
                try:
                    file.write(b"\0" * step)
                except OSError as error:
                    if error.errno != errno.ENOSPC:
                        raise
                    step //= 2

    def free(self) -> None:
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
