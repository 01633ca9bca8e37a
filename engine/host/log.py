"""The protocol that every floor logs through. Must not import loguru or logging."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

CHANNELS = ("chronos", "security", "performance")
"""Each is a file of its own, `logs/<channel>.jsonl`. security: who delivers, which configuration is in force, what a
target refuses because of who we are or it is not who it should be. performance: the pace. chronos: everything else.
"""

LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")
"""From least to most. WARNING means that a human may have to act."""


class Log(Protocol):
    """Takes events: a line is an event's name and its fields, never a sentence with values in it, never a payload.

    level: one of LEVELS. channel: one of CHANNELS (a message's own channel is the field `via`).
    Names of fields that readers look for: message_id, uid, attempt, target, request, actor.
    """

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
        """Note that `name` happened. Returns at once and never raises for what the disk or the terminal does.

        Not from a signal handler: it may have interrupted another line, and is then counted as dropped.
        """

    def context(self, **fields: object) -> AbstractContextManager[None]:
        """Give every line of this thread inside the `with` these fields, those of libraries too."""


class NullLog:
    """Keeps nothing. For commands, which answer on stdout and stderr, and for tests."""

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
        return None

    def context(self, **_fields: object) -> AbstractContextManager[None]:
        return nullcontext()
