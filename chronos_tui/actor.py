"""Who acts, for the audit log."""

from __future__ import annotations

import os
from collections.abc import Mapping


def actor(front: str, env: Mapping[str, str]) -> str:
    """Return who acts by which front end: "cli:root", or "cli:root(sudo:alice)" where sudo says who it was.

    The uid decides. SUDO_USER is taken from root only: everybody else could set it to any name.
    """
    import pwd

    uid = os.getuid()
    try:
        name = pwd.getpwuid(uid).pw_name
    except KeyError:
        name = str(uid)
    behind = env.get("SUDO_USER", "")
    if uid == 0 and behind and behind != name and len(behind) <= 64 and behind.isprintable() and " " not in behind:
        return f"{front}:{name}(sudo:{behind})"
    return f"{front}:{name}"
