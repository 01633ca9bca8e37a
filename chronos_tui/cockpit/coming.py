"""Dialogs that are shown once something was read: what is typed meanwhile is meant for them. Reads nothing itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from chronos_tui import bridge
from chronos_tui.desk import Desk, Failed

T = TypeVar("T")


class Coming:
    """failed: told in one line why a dialog does not come."""

    def __init__(self, desk: Desk, failed: Failed) -> None:
        self._desk = desk
        self._failed = failed
        self._keys: set[str] = set()

    def __bool__(self) -> bool:
        """Whether a dialog is on its way."""
        return bool(self._keys)

    def read(self, key: str, query: Callable[[bridge.Engine], T], show: Callable[[T], None]) -> None:
        """Read as Desk.read does, for a dialog that `show` opens."""
        self._keys.add(key)
        self._desk.read(key, query, lambda answer: self._come(key, show, answer), lambda text: self._stay(key, text))

    def _come(self, key: str, show: Callable[[T], None], answer: T) -> None:
        self._keys.discard(key)
        show(answer)

    def _stay(self, key: str, text: str) -> None:
        self._keys.discard(key)
        self._failed(text)
