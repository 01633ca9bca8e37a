"""`chronos-sendmail`: the name is reserved for the drop-in of /usr/sbin/sendmail; this version takes no mail by it."""

from __future__ import annotations

import os

from chronos_tui import bridge, failure


def main() -> int:
    """Refuse, so that a caller learns at once that its mail went nowhere; return the exit code."""
    return failure.guarded("chronos-sendmail", _run, os.environ)


def _run() -> int:
    raise bridge.NotPossible("not available in this version; use 'chronos send'")
