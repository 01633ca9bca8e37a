"""Reads what opens an encrypted backup or a recovery kit: from a file, from stdin or typed without echo, never argv."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from chronos_tui import bridge
from chronos_tui.commands import asking
from chronos_tui.commands.parsing import Arguments, text

_MOST_BYTES = 64 * 1024
_IDENTITY = "AGE-SECRET-KEY-"
STDIN = "-"


def opener_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what opens an encrypted backup."""
    parser.add_argument(
        "--identity-file",
        metavar="F",
        type=text,
        help="of an encrypted one: the file with its age identity; - is stdin (default: backup.identity)",
    )
    parser.add_argument(
        "--passphrase-file",
        metavar="F",
        type=text,
        help="of an encrypted one: the file with its passphrase in one line; - is stdin, or asked on a terminal",
    )


def opener(given: Arguments) -> bridge.Opener | None:
    """Return what opens the backup; None leaves it to the configuration.

    Raises BadInput for a file that holds neither, NotFound for one that is not there.
    """
    bridge.harden()
    names = [given.identity_file, given.passphrase_file]
    if names.count(STDIN) > 1:
        raise bridge.BadInput("--identity-file and --passphrase-file: only one of them can be stdin")
    identities = () if given.identity_file is None else _identities(given.identity_file)
    passphrase = None if given.passphrase_file is None else _passphrase(given.passphrase_file)
    return bridge.Opener(identities, passphrase) if identities or passphrase is not None else None


def unlock(engine: bridge.Engine, given: Arguments, opener: bridge.Opener | None) -> None:
    """Have the vault opened where it holds what opens the backup. Raises VaultLocked, VaultDamaged."""
    if opener is None and given.file.endswith(".age"):
        asking.unlock(engine)


def _identities(name: str) -> tuple[str, ...]:
    lines = [line.strip() for line in read(name, "--identity-file").splitlines()]
    found = tuple(line for line in lines if line and not line.startswith("#"))
    if not found or not all(line.startswith(_IDENTITY) for line in found):
        raise bridge.BadInput(f"--identity-file {name}: holds no age identity ({_IDENTITY}1…, one a line)")
    return found


def _passphrase(name: str) -> str:
    if name == STDIN and sys.stdin.isatty():
        return asking.hidden("passphrase of the backup: ")
    found = read(name, "--passphrase-file").removesuffix("\n").removesuffix("\r")
    if not found or "\n" in found:
        raise bridge.BadInput(f"--passphrase-file {name}: must hold the passphrase in one line")
    return found


def kit(given: Arguments) -> tuple[str, str] | None:
    """Return a recovery kit and its passphrase, which is asked for, or read from stdin; None where none was named."""
    if given.kit is None:
        return None
    bridge.harden()
    words = read(given.kit, "--kit")
    if STDIN in {given.identity_file, given.passphrase_file} and not sys.stdin.isatty():
        raise bridge.BadInput("--kit: its passphrase comes from stdin, so the backup's own secret has to lie in a file")
    if sys.stdin.isatty():
        return words, asking.hidden("passphrase of the kit: ")
    return words, read(STDIN, "the passphrase of the kit").removesuffix("\n").removesuffix("\r")


def read(name: str, what: str) -> str:
    """Return a short text from a file or stdin. Raises NotFound, BadInput."""
    try:
        data = sys.stdin.buffer.read(_MOST_BYTES + 1) if name == STDIN else _head(Path(name).expanduser())
    except OSError as error:
        raise bridge.NotFound(f"{what} {name}: {error.strerror}") from error
    if len(data) > _MOST_BYTES:
        raise bridge.BadInput(f"{what} {name}: has more than {_MOST_BYTES} bytes")
    decoded = _decoded(data)
    if decoded is None:
        raise bridge.BadInput(f"{what} {name}: is not UTF-8 text")
    return decoded


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(_MOST_BYTES + 1)


def _decoded(data: bytes) -> str | None:
    """Decode, or None: the decoder's own error holds the bytes, so it must not stay attached to ours."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
