"""Opens the engine, runs the cockpit on it, and leaves in order. The terminal is as it was before anything is said."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Mapping

from chronos_tui import bridge, failure, hosting
from chronos_tui.actor import actor
from chronos_tui.terminal.environment import prepare_environment

PROGRAM = "chronos-tui"
_LEAVE_S = 4.9
"""Of the 5 s that leaving may take at most; a disk that hangs longer does not keep the process."""

_SAY_S = 0.5
"""A drain that takes longer than this is worth a word."""


def run(
    data_dir: str | None,
    config: str | None,
    env: Mapping[str, str],
    *,
    read_only: bool = False,
    mouse: bool = False,
    plain: bool = False,
) -> int:
    """Run the cockpit until the operator leaves; return the exit code.

    Raises ConfigError and what Engine.open raises, before the screen is touched.
    """
    not_hardened = bridge.harden()
    paths = bridge.paths(data_dir, config, env)
    if read_only and not paths.data_dir.exists():
        raise bridge.NotFound(f"{paths.data_dir}: no such data directory, and opened read-only none is made")
    bridge.ensure_private_dir(paths.data_dir)
    settings = bridge.load_settings_light(paths, env)
    if not read_only:
        bridge.judge_door(settings)
    redactor = bridge.Redactor()
    with contextlib.ExitStack() as stack:
        limit = stack.enter_context(contextlib.ExitStack())  # the last to be left
        log = stack.enter_context(hosting.logging(paths, settings, redactor, stderr=None))
        engine = bridge.Engine.open(
            paths,
            env,
            actor=actor("cockpit", env),
            log=log,
            settings=settings,
            read_only=read_only,
            on_secret=redactor.register,
        )
        sink = _Sink(engine, log)
        stack.callback(sink.stop)  # behind the last delivery to it
        stack.callback(_close, engine)
        hosting.report_start(settings, env, log, not_hardened)
        return _visit(engine, log, sink, redactor, limit, env=env, read_only=read_only, mouse=mouse, plain=plain)


def _visit(
    engine: bridge.Engine,
    log: bridge.Log,
    sink: _Sink,
    redactor: bridge.Redactor,
    limit: contextlib.ExitStack,
    *,
    env: Mapping[str, str],
    read_only: bool,
    mouse: bool,
    plain: bool,
) -> int:
    """Show it until the operator leaves. limit: left once all is closed."""
    prepare_environment(os.environ)
    from chronos_tui.cockpit import session
    from chronos_tui.cockpit.shell import Cockpit

    paths = engine.paths
    visit = session.load(paths.data_dir / session.FILE_NAME)
    app = Cockpit(
        engine,
        log=log,
        session=visit,
        read_only=read_only,
        on_owner=lambda: _open_doors(engine, sink),
        env=env,
        plain=plain,
        on_fatal=lambda error: log.event("CRITICAL", "cockpit_died", error=error),
        details=f"'chronos log' or {paths.logs}",
    )
    app.run(mouse=mouse)
    code = app.return_code or 0
    limit.callback(_limited(code).cancel)
    app.desk.stop()
    session.save(paths.data_dir / session.FILE_NAME, visit, redactor.redact)
    return code


def _open_doors(engine: bridge.Engine, sink: _Sink) -> None:
    """Let others in, now that this process delivers."""
    engine.serve()
    sink.start()


def _limited(code: int) -> threading.Timer:
    """Begin the time that leaving may take; when it is over the process ends where it stands."""
    late = threading.Timer(_LEAVE_S, os._exit, (code,))
    late.daemon = True
    late.start()
    return late


def _close(engine: bridge.Engine) -> None:
    """Let what is on the wire finish, with a word when that takes a moment."""
    word = threading.Timer(_SAY_S, failure.say, (PROGRAM, "finishing what is on the wire; nothing is lost"))
    word.daemon = True
    if engine.role == bridge.Role.OWNER:
        word.start()
    try:
        engine.close()
    finally:
        word.cancel()


class _Sink:
    """The demo's servers, started once this process delivers."""

    def __init__(self, engine: bridge.Engine, log: bridge.Log) -> None:
        self._engine = engine
        self._log = log
        self._changing = threading.Lock()
        self._sink: bridge.Sink | None = None
        self._over = False

    def start(self) -> None:
        """Start them if the configuration asks for them and they do not run yet."""
        with self._changing:
            if self._over or self._sink is not None or not self._engine.settings.demo["sink"]:
                return
            try:
                self._sink = hosting.start_sink(self._engine, self._log)
            except (bridge.ChronosError, OSError) as error:
                self._log.event("WARNING", "demo_not_started", reason=str(error))

    def stop(self) -> None:
        """Stop them, for good."""
        with self._changing:
            self._over = True
            if self._sink is not None:
                self._sink.stop()
