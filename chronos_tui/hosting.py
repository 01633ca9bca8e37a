"""What both front ends set up around an engine: log files, secrets kept out of them, the demo's embedded sink."""

from __future__ import annotations

import contextlib
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

from chronos_tui import bridge


@contextlib.contextmanager
def logging(
    paths: bridge.Paths, settings: bridge.Settings, redactor: bridge.Redactor, *, stderr: Literal["json"] | None
) -> Iterator[bridge.Log]:
    """Send events to the files while the context lasts, and to stderr as `stderr` says ("json" or not at all)."""
    logs = bridge.configure_logs(
        paths.logs if settings.logging["file_enabled"] else None,
        settings.logging["level"],
        redactor=redactor,
        stderr=stderr,
        retention_ms=settings.logging["retention_ms"],
        clock=bridge.SystemClock(),
    )
    log = bridge.get_log()
    try:
        with _nobody_caught(log):
            yield log
    finally:
        logs.close()


@contextlib.contextmanager
def _nobody_caught(log: bridge.Log) -> Iterator[None]:
    """Log what no thread and no destructor caught. Python would print it on stderr, past the redactor."""
    before = threading.excepthook, sys.unraisablehook

    def of_a_thread(caught: threading.ExceptHookArgs) -> None:
        if not issubclass(caught.exc_type, SystemExit):
            log.event("CRITICAL", "thread_died", error=caught.exc_value)

    def of_a_destructor(caught: sys.UnraisableHookArgs) -> None:
        log.event("ERROR", "destructor_failed", error=caught.exc_value)

    threading.excepthook, sys.unraisablehook = of_a_thread, of_a_destructor
    try:
        yield
    finally:
        threading.excepthook, sys.unraisablehook = before


def start_sink(engine: bridge.Engine, log: bridge.Log) -> bridge.Sink:
    """Start the demo's mail and web server. Raises OSError when a port is taken."""
    demo = engine.settings.demo

    def received(kind: str, fields: Mapping[str, object]) -> None:
        log.event("INFO", "demo_received", kind=kind, what=dict(fields))

    sink = bridge.Sink(engine.paths.data_dir / "demo-inbox", demo["smtp_port"], demo["http_port"], received, log)
    smtp_port, http_port = sink.start()
    log.event("INFO", "demo_listening", smtp_port=smtp_port, http_port=http_port)
    return sink


def door_words(address: str) -> str:
    """Return where HTTP is served as the ready line says it: 127.0.0.1:8467, unix:/path, https://…, or off."""
    return address or "off"


def report_start(
    settings: bridge.Settings, env: Mapping[str, str], log: bridge.Log, not_hardened: Sequence[str]
) -> None:
    """Note what about this process or its configuration is weaker than it could be."""
    for words in not_hardened:
        log.event("WARNING", "not_hardened", reason=words)
    for words in bridge.config_warnings(settings, env):
        if not words.startswith("demo.sink"):  # a demo knows that it is one
            log.event("WARNING", "config_warning", reason=words)
