"""Long work in stages: which one, how far, with a bar once it takes more than a step. The work is the caller's."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TypeVar

from chronos_tui import bridge
from chronos_tui.desk import Cancelled, Job
from chronos_tui.desk import Progress as Steps
from chronos_tui.dialogs.bulk import Progress
from chronos_tui.views import backups as views
from chronos_tui.widgets.bar import Bar
from chronos_tui.widgets.panel import Host

T = TypeVar("T")
Report = Callable[[str, int, int], None]
"""Told (stage in words, done, total), on the thread of the work."""


class Stages(Progress):
    """A progress that names its stage too."""

    stage = ""

    def _show(self) -> None:
        for bar in self.query("#progress").results(Bar):
            bar.show(views.progress(self.stage, *self._at, max(20, bar.size.width)))


def run(
    host: Host,
    title: str,
    work: Callable[[bridge.Engine, Report], T],
    done: Callable[[T], None],
    *,
    leaving: str,
    stops: bool,
    failed: Callable[[str], None] | None = None,
) -> None:
    """Run `work`; show how far it has come, at most twice a second.

    leaving: what leaving the dialog means. stops: whether it ends the work; where it does not, nothing that this
    cockpit does ends it, not even its own end.
    """
    shown = _Shown(host, title, leaving, stops=stops)

    def begin(engine: bridge.Engine, steps: Steps) -> T:
        def report(stage: str, at: int, total: int) -> None:
            shown.stage = stage
            if stops:
                steps(at, total)
            else:
                with suppress(Cancelled):
                    steps(at, total)

        return work(engine, report)

    def finished(answer: T) -> None:
        shown.end()
        done(answer)

    def ended(text: str) -> None:
        shown.end()
        if text.startswith("cancelled"):
            host.say(text, "warning")
        elif failed is not None:
            failed(text)
        else:
            host.say(text, "failed")

    shown.job = host.desk.long(begin, finished, ended, shown.step)


class _Shown:
    """The dialog of one piece of work, there from its first step on."""

    def __init__(self, host: Host, title: str, leaving: str, *, stops: bool) -> None:
        self.job: Job | None = None
        self.stage = ""
        self._host = host
        self._title = title
        self._leaving = leaving
        self._stops = stops
        self._dialog: Stages | None = None
        self._over = False

    def step(self, at: int, total: int) -> None:
        """So much of this stage is done."""
        if self._over:
            return
        if self._dialog is None:
            self._dialog = Stages(self._title, self._leaving)
            self._host.push_screen(self._dialog, self._left)
        self._dialog.stage = self.stage
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
