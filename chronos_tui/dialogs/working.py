"""Long work with a number and a bar once it takes more than a step. The work itself is the caller's."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from chronos_tui import bridge
from chronos_tui.desk import Job, Progress
from chronos_tui.dialogs.bulk import Progress as ProgressDialog
from chronos_tui.widgets.panel import Host

T = TypeVar("T")


def run(
    host: Host,
    title: str,
    work: Callable[[bridge.Engine, Progress], T],
    done: Callable[[T], None],
    *,
    leaving: str,
    stops: bool,
) -> None:
    """Run `work`; show how far it has come. stops: whether leaving the dialog ends the work too."""
    shown = _Shown(host, title, leaving, stops=stops)

    def finished(answer: T) -> None:
        shown.end()
        done(answer)

    def failed(text: str) -> None:
        shown.end()
        host.say(text, "warning" if text == "cancelled" else "failed")

    shown.job = host.desk.long(work, finished, failed, shown.step)


class _Shown:
    """The dialog of one piece of work, there from its first step on."""

    def __init__(self, host: Host, title: str, leaving: str, *, stops: bool) -> None:
        self.job: Job | None = None
        self._host = host
        self._title = title
        self._leaving = leaving
        self._stops = stops
        self._dialog: ProgressDialog | None = None
        self._over = False

    def step(self, at: int, total: int) -> None:
        """So much is done."""
        if self._over or at >= total:
            return
        if self._dialog is None:
            self._dialog = ProgressDialog(self._title, self._leaving)
            self._host.push_screen(self._dialog, self._left)
        self._dialog.step(at, total)

    def end(self) -> None:
        """It has come to its end."""
        self._over = True
        if self._dialog is not None:
            self._dialog.end()

    def _left(self, leave: bool | None) -> None:  # noqa: FBT001 - what a dialog returns
        if not leave:
            return
        if self._stops and self.job is not None:
            self.job.cancel()
        elif not self._over:
            self._host.say(f"{self._title}: {self._leaving}", "")
