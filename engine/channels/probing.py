"""The steps of a probe, timed, each in words; the first that fails ends the list."""

from __future__ import annotations

from collections.abc import Callable
from time import monotonic_ns
from typing import TypeVar

from engine.errors import DeliveryError
from engine.model import ProbeStep

Result = TypeVar("Result")


class Steps:
    """Collects steps; `run` returns what the act returned, or None once a step has failed."""

    __slots__ = ("done", "failed")

    def __init__(self) -> None:
        self.done: list[ProbeStep] = []
        self.failed = False

    def run(self, name: str, act: Callable[[], Result], words: Callable[[Result], str]) -> Result | None:
        """Do one step. Only DeliveryError counts as a failed step: anything else is a defect and is let through."""
        if self.failed:
            return None
        start_ns = monotonic_ns()
        try:
            result = act()
        except DeliveryError as error:
            self.add(name, f"{error.code} {error.detail}".strip(), start_ns, ok=False)
            return None
        self.add(name, words(result), start_ns, ok=True)
        return result

    def add(self, name: str, detail: str, start_ns: int, *, ok: bool) -> None:
        """Record a step that began at `start_ns` (monotonic) and ends now; one that failed ends the list."""
        self.failed = self.failed or not ok
        took_ms = (monotonic_ns() - start_ns) // 1_000_000
        self.done.append(ProbeStep(name, ok=ok, detail=detail[:2_000], took_ms=took_ms))
