"""The engine's events as calm sentences on a terminal. A Log that hands every event on; changes nothing.

It never slows the engine: sentences are made and written on a thread of its own, and left out when a terminal does not
keep up.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TextIO

from chronos_tui import bridge

_MOST_WAITING = 2_000
_MOST_CHARS = 500
_RECORDED_WITHIN_S = 2.0
_LOOK_S = 0.02
_QUIET = frozenset({"dead", "uncertain", "config_refused"})
"""Said otherwise: with the attempt that decided it, or by the program itself."""

_ENDS = frozenset({"dead", "uncertain", "cancelled", "expired"})

_SENTENCES = {
    "demo_listening": "the demo's mail server listens on port {smtp_port}, its web server on port {http_port}",
    "orphans_taken_up": "took up {count} messages that an engine left on the wire when it died",
    "config_reloaded": "the configuration was reloaded",
    "config_warning": "note: {reason}",
    "http_closed": "error: the HTTP door is closed: {reason}",
    "http_refused": "refused what was no request, from {remote} ({what})",
    "request": "{remote} asked {method} {route}: {status} in {took_ms} ms",
    "stopping": "stopping ({signal}): what is on the wire may finish",
    "stopped": "stopped",
    "dispatcher_ended": "deliveries ended",
}


@dataclass(frozen=True, slots=True)
class _Event:
    at_s: float
    level: str
    name: str
    fields: Mapping[str, object]


class Console:
    """Hands events on to `log` and tells them to people on `stream`. redact: takes secrets out of a line."""

    def __init__(self, log: bridge.Log, redact: Callable[[str], str], stream: TextIO) -> None:
        self._log = log
        self._redact = redact
        self._stream = stream
        self._engine: bridge.Engine | None = None
        self._events: queue.Queue[_Event | None] = queue.Queue(_MOST_WAITING)
        self._left_out = 0
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="console", daemon=True)
        self._thread.start()

    def follow(self, engine: bridge.Engine) -> None:
        """Look up in `engine` what an event does not say itself."""
        self._engine = engine

    def event(
        self,
        level: str,
        name: str,
        /,
        *,
        channel: str = "chronos",
        error: BaseException | None = None,
        **fields: object,
    ) -> None:
        """See Log.event."""
        self._log.event(level, name, channel=channel, error=error, **fields)
        if channel != "chronos" or level == "DEBUG" or name in _QUIET:
            return
        if error is not None:
            fields["error"] = f"{type(error).__name__}: {error}"
        try:
            self._events.put_nowait(_Event(time.time(), level, name, fields))
        except queue.Full:
            self._left_out += 1

    def context(self, **fields: object) -> AbstractContextManager[None]:
        """See Log.context."""
        return self._log.context(**fields)

    def close(self, timeout_s: float = 1.0) -> None:
        """Say what waits, for about `timeout_s` at most. May be called again."""
        self._closing.set()
        if not self._thread.is_alive():
            return
        try:
            self._events.put(None, timeout=timeout_s)
        except queue.Full:
            return
        self._thread.join(timeout_s)

    def _run(self) -> None:
        while (event := self._events.get()) is not None:
            self._say(event.at_s, self._sentence(event))
            if self._events.empty():
                self._say_left_out()
        self._say_left_out()

    def _say_left_out(self) -> None:
        left_out, self._left_out = self._left_out, 0
        if left_out:
            self._say(time.time(), f"{left_out} lines left out here; 'chronos log' has them")

    def _say(self, at_s: float, text: str) -> None:
        line = bridge.safe_line(self._redact(text), _MOST_CHARS)
        try:
            self._stream.write(f"{time.strftime('%H:%M:%S', time.localtime(at_s))} {line}\n")
            self._stream.flush()
        except (OSError, ValueError):
            return  # the terminal is gone; the engine goes on

    def _sentence(self, event: _Event) -> str:
        fields = event.fields
        if event.name == "delivered":
            channel = self._channel(str(fields.get("target")))
            about = f"#{fields.get('message_id')} to {fields.get('target')}{channel}"
            return f"delivered {about} in {fields.get('took_ms')} ms"
        if event.name == "attempt_failed":
            return self._failure(fields)
        if event.name == "demo_received" and isinstance(what := fields.get("what"), dict):
            return _received(str(fields.get("kind")), what)
        if event.name in _SENTENCES:
            return _SENTENCES[event.name].format(**fields)
        said = " ".join(f"{key}={value}" for key, value in fields.items())
        mark = "" if event.level == "INFO" else f"{event.level.lower()}: "
        return f"{mark}{event.name.replace('_', ' ')} {said}".rstrip()

    def _channel(self, target: str) -> str:
        spec = self._engine.settings.targets.get(target) if self._engine is not None else None
        return f" ({spec.channel})" if spec is not None else ""

    def _failure(self, fields: Mapping[str, object]) -> str:
        """Tell a failed attempt with what was decided, which is recorded just after the event."""
        about = f"#{fields.get('message_id')} to {fields.get('target')}"
        attempt, state = self._recorded(fields)
        if attempt is None:
            return f"{about}: {fields.get('code') or fields.get('outcome')}"
        said = f"{about}: {f'{attempt.code} {attempt.detail}'.strip()[:200]}"
        if attempt.next_ms is not None:
            wait_ms = max(0, attempt.next_ms - (attempt.finished_ms or attempt.started_ms))
            return f"{said}; next try in {bridge.format_duration(wait_ms)}"
        if state not in _ENDS:  # the next step may have been taken meanwhile
            return f"{said}; its route goes on"
        return f"{said}; {state}: {attempt.rule}"

    def _recorded(self, fields: Mapping[str, object]) -> tuple[bridge.Attempt | None, str]:
        message_id, number = fields.get("message_id"), fields.get("attempt")
        give_up_s = time.monotonic() + _RECORDED_WITHIN_S
        while self._engine is not None and isinstance(message_id, int):
            try:
                found = self._engine.detail(message_id)
            except bridge.ChronosError:
                break
            for attempt in found.attempts:
                if attempt.attempt_no == number and attempt.outcome is not None:
                    return attempt, found.message.state.value
            if time.monotonic() >= give_up_s or self._closing.is_set():
                break
            self._closing.wait(_LOOK_S)
        return None, ""


def _received(kind: str, fields: Mapping[str, object]) -> str:
    kept = f" and kept it as demo-inbox/{fields['file']}" if fields.get("file") else ""
    if kind == "mail":
        to = fields.get("to")
        people = ", ".join(map(str, to)) if isinstance(to, list | tuple) else to
        return f"the demo's mail server took a mail for {people}{kept}"
    return f"the demo's web server answered {fields.get('status')} to a webhook on {fields.get('path')}{kept}"
