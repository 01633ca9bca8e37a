"""The process of its own in which the OS keyring is asked, so that one that hangs can be killed. Decides nothing.

`python -m engine.host.rootkeys.keyring_child`: one JSON request on stdin, one JSON answer on stdout, both pipes. A
backend is made by its class, never found: what else is installed or configured is not looked at.
"""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module
from typing import Any

ALLOWED = (
    ("keyring.backends.SecretService", "Keyring", "Secret Service"),
    ("keyring.backends.libsecret", "Keyring", "Secret Service by libsecret"),
    ("keyring.backends.kwallet", "DBusKeyring", "KWallet"),
    ("keyring.backends.kwallet", "DBusKeyringKWallet4", "KWallet 4"),
    ("keyring.backends.macOS", "Keyring", "macOS Keychain"),
    ("keyring.backends.Windows", "WinVaultKeyring", "Windows Credential Locker"),
)
"""Those that encrypt, by module, class. keyring 25.7 also has chainer (hands on to any other), fail and null."""

SERVICE = "Chronos root key"


def main() -> int:
    """Answer one request."""
    from engine.host.process import harden

    harden()
    # What a library prints must not stand in the answer.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    request = json.load(sys.stdin)
    answers.write(json.dumps(_answer(request)))
    answers.close()
    return 0


def _answer(request: dict[str, str]) -> dict[str, Any]:
    """Return {"ok": true, "words", "value"?} or {"ok": false, "why": none | locked | failed, "detail"}."""
    from keyring import errors

    backend, words = _choose()
    if backend is None:
        return {"ok": False, "why": "none", "detail": words}
    try:
        value = _do(backend, request)
    except errors.KeyringLocked as error:
        return {"ok": False, "why": "locked", "detail": str(error)}
    except Exception as error:  # noqa: BLE001 - backends raise what their bus raises; the parent says it in one line
        why = "locked" if "locked" in type(error).__name__.lower() else "failed"
        return {"ok": False, "why": why, "detail": f"{type(error).__name__}: {error}"[:500]}
    return {"ok": True, "words": words, "value": value}


def _do(backend: Any, request: dict[str, str]) -> str | None:
    """Return what is stored: after `set` what can be read back, before `delete` what was there."""
    act, name = request["act"], request.get("name", "")
    if act == "set":
        backend.set_password(SERVICE, name, request["value"])
    found: str | None = backend.get_password(SERVICE, name)
    if act == "delete" and found is not None and found.partition(" ")[2] == request["value"]:
        backend.delete_password(SERVICE, name)
    return found


def _choose() -> tuple[Any, str]:
    """Return the best backend that is allowed and works here, with its name; or None and why there is none."""
    best: tuple[float, Any, str] | None = None
    reasons = []
    for module, name, words in ALLOWED:
        try:
            kind = getattr(import_module(module), name)
            priority = float(kind.priority)
        except Exception as error:  # noqa: BLE001 - a property that raises whatever its platform raises: not viable
            reasons.append(f"{words}: {error}"[:200])
            continue
        if best is None or priority > best[0]:
            best = (priority, kind, words)
    if best is None:
        return None, reasons[0]
    return best[1](), best[2]


if __name__ == "__main__":
    raise SystemExit(main())
