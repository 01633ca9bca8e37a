"""The engine's logs by loguru. Import it where the engine runs, never from a command: loguru costs 100 ms.

A line is one JSON object in ASCII. Always there: `at` (RFC 3339, UTC, milliseconds), `level`, `event`, `channel`,
`pid`. Then `thread`, and where they apply `message_id`, `uid`, `attempt`, `target`, `request`, `actor` and the event's
other fields; one that would hide a field of this list's beginning gets a "_" behind its name. `error` is
{"type", "text", "frames", "cause"}: frames without local variables, the innermost last.

What other libraries log through the standard library comes out as event "library" with `logger` and `text`.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any, Literal

from loguru import logger

from engine.clock import Clock
from engine.errors import BadInput
from engine.host.log import CHANNELS, LEVELS, Log
from engine.host.logfiles import Line, LineQueue, LogFiles
from engine.rules.durations import rfc3339

if TYPE_CHECKING:
    from loguru import Message, Record

    from engine.rules.redact import Redactor

# What travels in loguru's `extra` without being a field.
_CHANNEL, _ERROR = "_channel", "_error"
_RESERVED = frozenset({"at", "level", "event", "channel", "pid", "thread", "error"})
_MAX_TEXT = 4_000
_MAX_ITEMS = 50
_MAX_DEPTH = 4
_MAX_FRAMES = 20
_MAX_CAUSES = 3
_MAX_LINE_BYTES = 64 * 1024
_LONGEST_SECRET = 64 * 1024

_Redact = Callable[[str], str]


class EngineLog:
    """The Log of a process that called configure(). Stateless: what it says goes where configure() said."""

    __slots__ = ()

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
        """See Log.event. Raises BadInput for a level or a channel that does not exist."""
        if level not in LEVELS:
            raise BadInput(f"there is no log level {level!r}; there are {', '.join(LEVELS)}")
        if channel not in CHANNELS:
            raise BadInput(f"there is no log channel {channel!r}; there are {', '.join(CHANNELS)}")
        _say(level, name, {**fields, _CHANNEL: channel, _ERROR: error})

    def context(self, **fields: object) -> AbstractContextManager[None]:
        """See Log.context."""
        return logger.contextualize(**fields)


def get() -> Log:
    """Return the Log of this process."""
    return EngineLog()


def _say(level: str, name: str, fields: Mapping[str, object]) -> None:
    try:
        logger.bind(**fields).log(level, name)
    except RuntimeError:
        # loguru refuses a line that interrupts another one of the same thread: a signal handler or a finaliser spoke.
        # Waiting would be a deadlock.
        return


class Logs:
    """What configure() opened, to be closed at the end."""

    def __init__(self, queues: Sequence[LineQueue], files: LogFiles | None, undo: Callable[[], None]) -> None:
        self._queues = queues
        self._files = files
        self._undo = undo

    @property
    def dropped(self) -> int:
        """How many lines were lost: the disk was full, or the terminal did not read."""
        return sum(queue.dropped for queue in self._queues)

    def close(self, timeout_s: float = 2.0) -> None:
        """Write what waits, for at most `timeout_s` seconds each, and stop logging. May be called again."""
        undo, self._undo = self._undo, lambda: None
        undo()
        flushed = [queue.close(timeout_s) for queue in self._queues]
        if self._files is not None and all(flushed):
            self._files.close()


def configure(
    log_dir: Path | None,
    level: str,
    *,
    redactor: Redactor,
    stderr: Literal["json", "plain"] | None,
    retention_ms: int,
    clock: Clock,
) -> Logs:
    """Send this process's log lines to files in `log_dir`, to stderr, or both; replaces what was configured before.

    log_dir: only for the process that owns the engine, because a file has one writer; None for everybody else. Made
    when the first line comes. retention_ms: how long rotated files are kept.
    Every line passes the redactor last, whole. Lines that a disk or a terminal cannot take are dropped and counted; the
    next line that gets through is preceded by the event "lines_dropped".

    Raises BadInput for a level that does not exist.
    """
    least = level.upper()
    if least not in LEVELS:
        raise BadInput(f"there is no log level {level!r}; there are {', '.join(LEVELS)}")

    outputs: list[_Output] = []
    files = None
    if log_dir is not None:
        files = LogFiles(log_dir, clock, retention_ms=retention_ms)
        outputs.append(_Output("chronos-log-files", files.write, bytes, clock))
    if stderr is not None:
        terminal = partial(_write_through, sys.stderr.fileno())
        outputs.append(_Output("chronos-log-stderr", terminal, _plain if stderr == "plain" else bytes, clock))

    def sink(message: Message) -> None:
        record = _record(message.record, clock.now_ms(), redactor.redact)
        line = _clean(record, redactor.redact)
        for output in outputs:
            output.put(str(record["channel"]), line)

    undo = _connect(sink, least)
    return Logs([output.queue for output in outputs], files, undo)


class _Output:
    """A queue and the shape that a JSON line takes before it goes in."""

    def __init__(
        self,
        name: str,
        write: Callable[[Sequence[Line]], Sequence[Line]],
        shape: Callable[[bytes], bytes],
        clock: Clock,
    ) -> None:
        self._shape = shape
        self._clock = clock
        self.queue = LineQueue(name, write, self._report)

    def put(self, channel: str, line: bytes) -> None:
        self.queue.put(Line(channel, self._shape(line)))

    def _report(self, dropped: int) -> Line:
        record = {"at": rfc3339(self._clock.now_ms()), "level": "WARNING", "event": "lines_dropped"}
        line = _dumped({**record, "channel": "chronos", "pid": os.getpid(), "dropped": dropped})
        return Line("chronos", self._shape(line))


def _connect(sink: Callable[[Message], None], level: str) -> Callable[[], None]:
    """Make loguru and the standard library's logging end in `sink`. Returns what takes it back."""
    logger.remove()
    handler = logger.add(
        sink, level=level, format=lambda _: "", colorize=False, backtrace=False, diagnose=False, catch=False
    )
    root = logging.getLogger()
    level_before = root.level
    intercept = _Intercept()
    root.addHandler(intercept)
    # Below WARNING libraries talk about every connection; that is for people who asked for it.
    root.setLevel(logging.DEBUG if level == "DEBUG" else logging.WARNING)
    logging.captureWarnings(capture=True)

    def undo() -> None:
        logging.captureWarnings(capture=False)
        root.removeHandler(intercept)
        root.setLevel(level_before)
        logger.remove(handler)

    return undo


class _Intercept(logging.Handler):
    """Hands what libraries log to loguru."""

    def emit(self, record: logging.LogRecord) -> None:
        try:
            text = record.getMessage()
        except (TypeError, ValueError, KeyError):
            # A library's mistake in its own call; the raw format still says something.
            text = str(record.msg)
        error = record.exc_info[1] if record.exc_info else None
        level = LEVELS[max(0, min(record.levelno // 10, len(LEVELS)) - 1)]
        _say(level, "library", {"logger": record.name, "text": text, _ERROR: error})


def _record(record: Record, now_ms: int, redact: _Redact) -> dict[str, object]:
    fields = dict(record["extra"])
    channel = fields.pop(_CHANNEL, "chronos")
    error = fields.pop(_ERROR, None)
    if error is None and record["exception"] is not None:
        error = record["exception"].value
    line: dict[str, object] = {
        "at": rfc3339(now_ms),
        "level": record["level"].name,
        "event": _cut(record["message"], redact),
        "channel": channel,
        "pid": record["process"].id,
        "thread": record["thread"].name,
    }
    for key, value in fields.items():
        line[f"{key}_" if key in _RESERVED else key] = _value(value, 0, redact)
    if error is not None:
        line["error"] = _error(error, 0, redact)
    return line


def _value(value: object, depth: int, redact: _Redact) -> object:
    """Return a field as JSON can say it: bounded, and without running any code of the object's own."""
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return value if len(value) <= _MAX_TEXT else f"{_cut(value, redact)}…"
    if isinstance(value, int):
        return value if abs(value) < 2**63 else "<a number beyond 63 bits>"
    if isinstance(value, float):
        return value if abs(value) < float("inf") else str(value)
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, (bytes, bytearray)):
        return f"<{len(value)} bytes>"
    if depth < _MAX_DEPTH and isinstance(value, dict):
        return {_key(key, redact): _value(item, depth + 1, redact) for key, item in list(value.items())[:_MAX_ITEMS]}
    if depth < _MAX_DEPTH and isinstance(value, (list, tuple, set, frozenset)):
        return [_value(item, depth + 1, redact) for item in list(value)[:_MAX_ITEMS]]
    return f"<{type(value).__name__}>"


def _cut(text: str, redact: _Redact) -> str:
    """Return as much of a text as a line holds. The redactor reads first: half a secret is one it no longer knows."""
    return text if len(text) <= _MAX_TEXT else redact(text[: _MAX_TEXT + _LONGEST_SECRET])[:_MAX_TEXT]


def _key(key: object, redact: _Redact) -> str:
    return str(_value(key, _MAX_DEPTH, redact))


def _error(error: BaseException, depth: int, redact: _Redact) -> dict[str, object]:
    stack = list(traceback.walk_tb(error.__traceback__))[-_MAX_FRAMES:]
    said = "".join(traceback.format_exception_only(error)).strip()
    shown: dict[str, object] = {
        "type": type(error).__name__,
        "text": _cut(said, redact),
        "frames": [_frame(frame, line_no) for frame, line_no in stack],
    }
    cause = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    if cause is not None and depth < _MAX_CAUSES:
        shown["cause"] = _error(cause, depth + 1, redact)
    return shown


def _frame(frame: FrameType, line_no: int) -> str:
    return f"{frame.f_code.co_filename}:{line_no} {frame.f_code.co_name}"


def _dumped(record: Mapping[str, object]) -> bytes:
    """Return a line in ASCII, so that no terminal, pager or later program meets a control character in it."""
    text = json.dumps(record, ensure_ascii=True, allow_nan=False, separators=(",", ":"))
    return text.replace("\x7f", "\\u007f").encode("ascii") + b"\n"


def _clean(record: Mapping[str, object], redact: Callable[[str], str]) -> bytes:
    """Return the line without secrets, still one JSON object.

    The redactor reads the whole line, since a secret may be a field's value under a telling name. If it found one, the
    strings are cleaned before they are quoted, so that no rule can eat a quote. What then is no JSON is withheld.
    """
    line = _bounded(record)
    text = line.decode("ascii")
    if redact(text) == text:
        return line
    cleaned = redact(_bounded(_redacted(record, redact)).decode("ascii"))
    try:
        if isinstance(json.loads(cleaned), dict) and cleaned.count("\n") == 1:
            return cleaned.encode("ascii", "backslashreplace")
    except ValueError:
        pass
    kept = {key: record[key] for key in ("at", "level", "channel", "pid")}
    about = str(record["event"])
    if redact(about) != about:
        about = "?"
    return _dumped({**kept, "event": "line_withheld", "about": about[:100]})


def _bounded(record: Mapping[str, object]) -> bytes:
    line = _dumped(record)
    if len(line) <= _MAX_LINE_BYTES:
        return line
    kept = {key: value for key, value in record.items() if len(_dumped({key: value})) <= _MAX_TEXT}
    return _dumped(dict(list(kept.items())[:_MAX_ITEMS]) | {"cut": True})


def _redacted(value: Any, redact: Callable[[str], str]) -> Any:
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(key): _redacted(item, redact) for key, item in value.items()}
    if isinstance(value, list):
        return [_redacted(item, redact) for item in value]
    return value


def _plain(line: bytes) -> bytes:
    """Return a JSON line in the form for eyes: time, level, event, fields, the error's own words."""
    record = json.loads(line)
    error = record.pop("error", None)
    head = [record.pop("at"), record.pop("level"), _word(record.pop("event"))]
    fields = [
        f"{_word(key)}={_word(value)}" for key, value in record.items() if key not in ("channel", "pid", "thread")
    ]
    tail = [f"error={_word(error['text'])}"] if isinstance(error, dict) else []
    return " ".join([*head, *fields, *tail]).encode("ascii") + b"\n"


def _word(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    if text and text.isascii() and text.isprintable() and not set(text) & set(' "='):
        return text
    return json.dumps(text).replace("\x7f", "\\u007f")


def _write_through(fd: int, lines: Sequence[Line]) -> Sequence[Line]:
    for index, line in enumerate(lines):
        rest = line.text
        try:
            while rest:
                rest = rest[os.write(fd, rest) :]
        except OSError:
            # The terminal is gone, or its reader.
            return lines[index:]
    return []
