"""Tells systemd how the engine is doing (sd_notify(3)). Does nothing where nobody asked; needs no library."""

from __future__ import annotations

import os
from collections.abc import Mapping

_SEND_TIMEOUT_S = 1.0


def notify(state: str, env: Mapping[str, str]) -> bool:
    """Send `state` ("READY=1", "WATCHDOG=1", "STOPPING=1", "STATUS=…", several joined by newlines).

    env: the process's environment; NOTIFY_SOCKET names the socket, a leading "@" one in the abstract namespace.
    Returns whether the service manager took it: False where there is none or it does not listen. Never raises for
    that, because an engine that delivers is worth more than a service manager that knows about it.
    """
    address = env.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return False
    import socket

    name = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.settimeout(_SEND_TIMEOUT_S)
        try:
            sock.sendto(state.encode(), name)
        except OSError:
            return False
    return True


def watchdog_interval_s(env: Mapping[str, str]) -> float | None:
    """Return how often "WATCHDOG=1" is due, in seconds: half of what systemd allows, as sd_watchdog_enabled(3) advises.

    None if no watchdog watches this process (none is set, it is meant for another pid, or the number makes no sense).
    """
    if env.get("WATCHDOG_PID", "") not in ("", str(os.getpid())):
        return None
    try:
        allowed_us = int(env.get("WATCHDOG_USEC", ""))
    except ValueError:
        return None
    return allowed_us / 2_000_000 if allowed_us > 0 else None
