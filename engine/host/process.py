"""What this process is, and what it keeps from its neighbours. Changes the whole process: for `main` functions only."""

from __future__ import annotations

import os
import resource
import sys

# The number is from linux/prctl.h, see prctl(2).
_PR_SET_DUMPABLE = 4


def harden() -> tuple[str, ...]:
    """Keep files, memory and core dumps of this process private. Returns what could not be done, in words.

    umask 077. No core dumps. Not dumpable: other processes of the same user can neither attach to it nor read its
    memory and environment in /proc (root still can).
    """
    os.umask(0o077)
    problems = []
    try:
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    except (OSError, ValueError) as error:
        problems.append(f"core dumps stay as they are: {error}")
    if reason := _forbid_attaching():
        problems.append(f"other processes of this user may read the engine's memory: {reason}")
    return tuple(problems)


def _forbid_attaching() -> str:
    if not sys.platform.startswith("linux"):
        return "the system has no prctl"
    import ctypes

    try:
        prctl = ctypes.CDLL(None, use_errno=True).prctl
    except (OSError, AttributeError) as error:
        return f"prctl cannot be called: {error}"
    prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
    if prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0) != 0:
        return os.strerror(ctypes.get_errno())
    return ""
