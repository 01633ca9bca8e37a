"""A shell in miniature: leads a session on the terminal at its stdin and runs one program in the foreground, like bash.

Run by tests/tui/pty.py as a script of its own; imports nothing but the standard library. Says on a pipe what happens to
the program, one JSON object a line, and takes "fg" and "bg" on another.
"""

from __future__ import annotations

import fcntl
import json
import os
import select
import signal
import sys
import termios
from typing import Any


def main() -> None:
    """Run `leader.py REPORT_FD CONTROL_FD NOHUP PROGRAM…` until the program ends."""
    report_fd, control_fd, nohup = (int(number) for number in sys.argv[1:4])
    fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)  # it moves the foreground about
    wake_r, wake_w = os.pipe()
    for end in (wake_r, wake_w):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(wake_w)
    attributes = termios.tcgetattr(0)
    pid = _start(sys.argv[4:], bool(nohup))
    signal.signal(signal.SIGCHLD, lambda *_: None)
    signal.signal(signal.SIGHUP, lambda *_: _signal_job(pid, signal.SIGHUP, signal.SIGCONT))
    _say(report_fd, event="started", pid=pid)
    while not _reap(pid, report_fd, attributes):
        ready, _, _ = select.select([wake_r, control_fd], [], [])
        if wake_r in ready:
            os.read(wake_r, 1024)
        if control_fd in ready:
            _obey(pid, control_fd)


def _start(argv: list[str], nohup: bool) -> int:
    pid = os.fork()
    if pid == 0:
        try:
            os.setpgid(0, 0)
            os.tcsetpgrp(0, os.getpid())
            signal.signal(signal.SIGTTOU, signal.SIG_DFL)
            if nohup:
                signal.signal(signal.SIGHUP, signal.SIG_IGN)
            os.execvp(argv[0], argv)
        finally:
            os._exit(127)
    return pid


def _reap(pid: int, report_fd: int, attributes: list[Any]) -> bool:
    """Report what became of the program; return whether it ended."""
    found, status, usage = os.wait4(pid, os.WNOHANG | os.WUNTRACED)
    if found == 0:
        return False
    try:
        now: list[Any] | None = termios.tcgetattr(0)
        os.tcsetpgrp(0, os.getpgrp())
    except (OSError, termios.error):
        now = None
    same = None if now is None else now == attributes
    if os.WIFSTOPPED(status):
        _say(report_fd, event="stopped", attributes_restored=same)
        return False
    _say(
        report_fd,
        event="ended",
        code=os.waitstatus_to_exitcode(status),
        cpu_s=usage.ru_utime + usage.ru_stime,
        most_kib=usage.ru_maxrss,
        attributes_restored=same,
    )
    return True


def _obey(pid: int, control_fd: int) -> None:
    for word in os.read(control_fd, 1024).split():
        if word == b"fg":
            os.tcsetpgrp(0, pid)
        _signal_job(pid, signal.SIGCONT)


def _signal_job(pid: int, *numbers: signal.Signals) -> None:
    for number in numbers:
        try:
            os.killpg(pid, number)
        except ProcessLookupError:
            return


def _say(report_fd: int, **words: object) -> None:
    os.write(report_fd, json.dumps(words).encode() + b"\n")


if __name__ == "__main__":
    main()
