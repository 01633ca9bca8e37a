"""What both front ends set up around an engine: log files, secrets kept out of them, the demo's embedded sink."""

from __future__ import annotations

import contextlib
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
    try:
        yield bridge.get_log()
    finally:
        logs.close()


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
