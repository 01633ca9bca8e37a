"""`chronos-tui --engine-only`: owns a data directory and delivers until a signal says stop. Never imports Textual.

Signals are blocked in every thread and taken one by one by the main thread, so no handler ever interrupts anything.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from chronos_tui import bridge, failure, hosting

PROGRAM = "chronos-tui"
STOPPING = frozenset({signal.SIGTERM, signal.SIGINT})
_TAKEN = STOPPING | {signal.SIGHUP}
_LOOK_S = 1.0
_LEAVE_S = 4.9
"""Of the 5 s that leaving may take at most; a disk that hangs longer does not keep the process."""


@dataclass(slots=True)
class _Headless:
    """What runs. log: where events go."""

    engine: bridge.Engine
    log: bridge.Log
    env: Mapping[str, str]
    people: bool


def run(data_dir: str | None, config: str | None, env: Mapping[str, str]) -> int:
    """Deliver until SIGTERM or SIGINT; return the exit code.

    Raises AlreadyOwned, naming the owner's pid, ConfigError, also for a door that must not open so, and what
    Engine.open raises.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, _TAKEN)
    not_hardened = bridge.harden()
    paths = bridge.paths(data_dir, config, env)
    bridge.ensure_private_dir(paths.data_dir)
    settings = bridge.load_settings(paths, env)
    bridge.judge_door(settings)
    people = sys.stderr.isatty()
    redactor = bridge.Redactor()
    with contextlib.ExitStack() as stack:
        log = stack.enter_context(_logging(paths, settings, redactor, people=people))
        engine = bridge.Engine.open(paths, env, actor="engine", log=log, settings=settings, on_secret=redactor.register)
        stack.callback(engine.close)
        if people:
            from chronos_tui.console import Console

            assert isinstance(log, Console)
            log.follow(engine)
            stack.callback(log.close)  # before the engine that it looks things up in
        if settings.demo["sink"] and engine.owner() is None:
            stack.callback(hosting.start_sink(engine, log).stop)
        engine.own("engine-only")
        hosting.report_start(settings, env, log, not_hardened)
        return _serve(_Headless(engine, log, env, people))


@contextlib.contextmanager
def _logging(
    paths: bridge.Paths, settings: bridge.Settings, redactor: bridge.Redactor, *, people: bool
) -> Iterator[bridge.Log]:
    """Send events to the files, and to stderr: in sentences on a terminal, else as JSON lines."""
    with hosting.logging(paths, settings, redactor, stderr=None if people else "json") as log:
        if not people:
            yield log
            return
        from chronos_tui.console import Console

        console = Console(log, redactor.redact, sys.stderr)
        try:
            yield console
        finally:
            console.close()


def _serve(running: _Headless) -> int:
    engine, log, env = running.engine, running.log, running.env
    listening = hosting.door_words(engine.serve())
    with contextlib.suppress(OSError):  # nobody reads it; that is no reason not to deliver
        sys.stderr.write(f"chronos engine ready pid={os.getpid()} data={engine.paths.data_dir} http={listening}\n")
        sys.stderr.flush()
    bridge.notify("READY=1", env)
    # Behind the line that callers wait for.
    log.event("INFO", "engine_started", channel="security", data=engine.paths.data_dir)
    fed_every_s = bridge.watchdog_interval_s(env)
    while True:
        taken = _wait_for(_TAKEN, min(fed_every_s or _LOOK_S, _LOOK_S))
        if taken == signal.SIGHUP:
            _reload(running)
        elif taken is not None:
            return _leave(running, taken)
        if engine.ended():
            log.event("CRITICAL", "dispatcher_ended")
            failure.say(PROGRAM, "deliveries ended: another process took over, or see 'chronos log'; this one leaves")
            return 1
        if fed_every_s is not None and engine.turning():
            bridge.notify("WATCHDOG=1", env)


def _wait_for(signals: frozenset[signal.Signals], timeout_s: float) -> signal.Signals | None:
    """Return the one of `signals` that came, or None.

    A process that was stopped (Ctrl-Z, SIGSTOP, a machine that slept) for longer than `timeout_s` gets an answer from
    CPython's sigtimedwait that the kernel never filled in: whatever number it holds, no signal came.
    """
    taken = signal.sigtimedwait(signals, timeout_s)
    return None if taken is None or taken.si_signo not in signals else signal.Signals(taken.si_signo)


def _reload(running: _Headless) -> None:
    bridge.notify(f"RELOADING=1\nMONOTONIC_USEC={time.monotonic_ns() // 1000}", running.env)
    problems = running.engine.reload()
    if not problems:
        running.log.event("INFO", "config_reloaded")
    for problem in problems:
        failure.say(PROGRAM, f"not reloaded, the old configuration stays in force: {problem}")
    bridge.notify("READY=1", running.env)


def _leave(running: _Headless, taken: signal.Signals) -> int:
    """Drain and close. Whatever is still on the wire when time is over is recorded, or taken up by the next start."""
    bridge.notify("STOPPING=1", running.env)
    running.log.event("INFO", "stopping", signal=taken.name)
    recorded = threading.Event()
    threading.Thread(target=_leave_at_once, args=(recorded,), name="second-signal", daemon=True).start()
    clean = running.engine.stop()
    recorded.set()
    running.log.event("INFO" if clean else "WARNING", "stopped", drained=clean)
    return 0


def _leave_at_once(recorded: threading.Event) -> None:
    """Wait for a second signal, or for the time to be over, and end the process where it stands.

    recorded: the engine has stopped in order, so that only closing takes too long, which is no failure.
    """
    taken = _wait_for(STOPPING, _LEAVE_S)
    if taken is not None:
        os._exit(128 + taken)
    os._exit(0 if recorded.is_set() else 1)
