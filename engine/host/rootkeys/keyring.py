"""Root keys in the keyring of the operating system. Every call runs in a child that is killed after 5 s.

A keyring that is locked waits for somebody at a screen, and a daemon that hangs never answers: neither may hold up us.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from engine.errors import NotPossible, VaultLocked
from engine.host import sealing
from engine.host.sealing import KEY_BYTES

LIMIT_S = 5.0
_KEPT_FROM_CHILD = ("PYTHON_KEYRING", "KEYRING_PROPERTY_", "CHRONOS_", "CREDENTIALS_DIRECTORY")
_UNLOCK = (
    "unlock it in your desktop session, or on a text console with 'gnome-keyring-daemon --replace --unlock', which "
    "reads the keyring's password from stdin"
)


class KeyringKeys:
    """See base.RootKeys."""

    brings_own = False

    def __init__(self, env: Mapping[str, str], directory: Path, *, limit_s: float = LIMIT_S) -> None:
        """directory: the data directory. Stands beside each key: a copy of the directory finds the key by its id, and
        does not remove what the original needs.
        """
        self._env = env
        self._directory = str(directory)
        self._limit_s = limit_s
        self.words = "OS keyring"

    def trouble(self) -> str | None:
        """See base.RootKeys. Writes a key, reads it back and removes it: one that stores nothing would look alright."""
        probe = os.urandom(KEY_BYTES)
        name = f"probe {probe[:8].hex()}"
        try:
            self.keep(name, probe)
            self.forget(name)
        except (NotPossible, VaultLocked) as error:
            return str(error)
        return None

    def find(self, root_id: str) -> bytes:
        answer = self._ask("get", root_id)
        key = _key(answer.get("value"))
        if key is None:
            raise VaultLocked(
                f"the {self.words} holds no root key {root_id}: it is another user's, or the key was removed; "
                "'chronos secret import-recovery-kit FILE' brings it back"
            )
        if sealing.root_id(key) != root_id:
            raise VaultLocked(f"what the {self.words} holds as root key {root_id} is another key; somebody replaced it")
        return key

    def fresh(self, not_id: str) -> bytes:
        raise NotPossible("a keyring's key is made here, none is brought")

    def keep(self, root_id: str, key: bytes) -> None:
        answer = self._ask("set", root_id, f"{key.hex()} {self._directory}")
        if _key(answer.get("value")) != key:
            raise NotPossible(f"the {self.words} does not give back what was stored in it; choose another place")

    def forget(self, root_id: str) -> None:
        self._ask("delete", root_id, self._directory)

    def _ask(self, act: str, name: str, value: str = "") -> dict[str, Any]:
        out = _run_child(json.dumps({"act": act, "name": name, "value": value}), self._env, self._limit_s)
        if out is None:
            raise VaultLocked(
                f"the OS keyring did not answer within {self._limit_s:g} s: it is locked and waits for somebody at a "
                f"screen, or its daemon hangs; {_UNLOCK}"
            )
        try:
            answer: dict[str, Any] = json.loads(out)
        except ValueError as error:
            raise VaultLocked("the OS keyring cannot be asked: its child process failed") from error
        if answer["ok"]:
            self.words = f"OS keyring ({answer['words']})"
            return answer
        if answer["why"] == "none":
            raise VaultLocked(f"no OS keyring can be used here ({answer['detail']})")
        if answer["why"] == "locked":
            raise VaultLocked(f"the OS keyring is locked; {_UNLOCK}")
        raise VaultLocked(f"the OS keyring failed ({answer['detail']})")


def _key(value: object) -> bytes | None:
    try:
        key = bytes.fromhex(str(value).partition(" ")[0])
    except ValueError:
        return None
    return key if len(key) == KEY_BYTES else None


def _run_child(request: str, env: Mapping[str, str], limit_s: float) -> str | None:
    """Return what the child answered; None when it was killed at the limit.

    The request holds a key: it goes through a pipe, where no other process can read it.
    """
    import subprocess

    passed = {name: value for name, value in env.items() if not name.startswith(_KEPT_FROM_CHILD)}
    # -P: no module of the directory one happens to stand in.
    command = [sys.executable, "-P", "-m", "engine.host.rootkeys.keyring_child"]
    child = subprocess.Popen(  # noqa: S603 - our own module
        command,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=passed,
        text=True,
        start_new_session=True,
    )
    with child:
        try:
            return child.communicate(request, timeout=limit_s)[0]
        except subprocess.TimeoutExpired:
            return None
        finally:
            # With what it may have started: a bus of its own would keep the pipes open.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
