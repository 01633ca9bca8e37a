"""Opens `secret:NAME` from the environment. Keeps no value and writes none anywhere.

CHRONOS_SECRET_<NAME> comes first, then the file that CHRONOS_SECRET_<NAME>_FILE names. A file that others can change is
refused. One that others can only read is accepted, because Docker mounts its secrets with mode 0444; `weakness` says so
for `doctor` and the warnings of the configuration.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from engine.errors import ConfigError, SecretMissing

REFERENCE = re.compile(r"secret:([A-Za-z0-9](?:[A-Za-z0-9_.-]{0,62}[A-Za-z0-9])?)")
MAX_SECRET_BYTES = 64 * 1024


def is_reference(text: str) -> bool:
    """Whether `text` is a well-formed `secret:NAME`."""
    return REFERENCE.fullmatch(text) is not None


def variable(reference: str) -> str:
    """Name the variable that provides a reference: "secret:n8n-in" → "CHRONOS_SECRET_N8N_IN".

    Raises SecretMissing if it is no reference. The text is not repeated: it may be the secret itself.
    """
    match = REFERENCE.fullmatch(reference)
    if match is None:
        raise SecretMissing("not a reference to a secret; write secret:NAME (letters, digits, - _ .)")
    return "CHRONOS_SECRET_" + re.sub(r"[.-]", "_", match[1]).upper()


def lookup(reference: str, env: Mapping[str, str], on_open: Callable[[str], None] | None = None) -> str:
    """Return the secret that `reference` names, and hand it to `on_open` so that logs can hide it.

    One trailing newline of a file is left out: editors and `echo` add it.

    Raises SecretMissing, naming both variables, if neither provides it, if it is empty, or if its file cannot be used.
    """
    name = variable(reference)
    value = env.get(name) or _from_file(reference, name, env)
    if on_open is not None:
        on_open(value)
    return value


def weakness(reference: str, env: Mapping[str, str]) -> str | None:
    """Say in one line that other users can read the secret's file; None when they cannot, or there is no file."""
    name = variable(reference)
    path = env.get(f"{name}_FILE")
    if env.get(name) or not path:
        return None
    try:
        mode = stat.S_IMODE(Path(path).stat().st_mode)
    except (OSError, ValueError):
        return None
    return f"{name}_FILE: other users can read {path}; run: chmod 600 {path}" if mode & 0o004 else None


def _from_file(reference: str, name: str, env: Mapping[str, str]) -> str:
    from engine.host.files import read_small

    path = env.get(f"{name}_FILE")
    if not path:
        raise SecretMissing(f"{reference}: not set; set {name}, or {name}_FILE to a file that holds it")
    where = f"{reference}: {name}_FILE: {path}"
    advice = f"correct it, or set {name}"
    try:
        data = read_small(Path(path), MAX_SECRET_BYTES)
        mode = Path(path).stat().st_mode
    except FileNotFoundError as error:
        raise SecretMissing(f"{where}: no such file; {advice}") from error
    except ConfigError as error:
        raise SecretMissing(f"{where}: {error}; {advice}") from error
    if mode & 0o022:
        raise SecretMissing(f"{where}: other users can change it; run: chmod 600 {path}")
    value = _text(data)
    if value is None:
        raise SecretMissing(f"{where}: is not UTF-8 text; {advice}")
    value = value.removesuffix("\n").removesuffix("\r")
    if not value:
        raise SecretMissing(f"{where}: is empty; {advice}")
    return value


def _text(data: bytes) -> str | None:
    """Decode, or None: the decoder's own error holds the bytes, so it must not stay attached to ours."""
    try:
        return data.decode()
    except UnicodeDecodeError:
        return None
