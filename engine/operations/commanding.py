"""One-off acts with a result, asked of whoever delivers: asked, taken, followed, ended. Knows no act by name."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from engine.errors import ChronosError, NotFound, NotPossible, TryAgain, revived
from engine.operations.context import Context, writable
from engine.store import commands as store
from engine.store.commands import Command as Command  # noqa: PLC0414 - what callers know it by
from engine.store.tx import Tx

Report = Callable[[str, int, int], None]
"""Told how far an act is: (stage in words, done, total). Raises Stopped when it has to end."""

Performer = Callable[[Context, Mapping[str, Any], Report], Mapping[str, Any]]
"""Does one kind of act: (context, arguments, report) → result, as it is stored (JSON)."""

WITHIN_MS = 30_000
"""How long a wish waits for an owner to take it."""

KEEP_MS = 30 * 86_400_000
FORGET_EVERY_S = 3_600
LOOK_S = 0.2
"""How often who waits looks again."""

_REPORT_EVERY_MS = 500
"""A bar repaints at most twice a second; each report is a commit."""

_INTERRUPTED = "interrupted; everything is as it was before"
_GONE = "the process that did it ended in the middle of it; what was there before is there still; ask for it again"


class Stopped(ChronosError):
    """The act was cancelled, or the engine stops; everything is as it was before."""


def ask(context: Context, kind: str, arguments: Mapping[str, Any], *, within_ms: int = WITHIN_MS) -> Command:
    """Ask for an act. Raises NotPossible where the engine was opened read-only."""
    writable(context)
    return context.database.write(lambda tx: ask_in(tx, context, kind, arguments, within_ms=within_ms))


def ask_in(tx: Tx, context: Context, kind: str, arguments: Mapping[str, Any], *, within_ms: int = WITHIN_MS) -> Command:
    """The same in a transaction of the caller's."""
    now_ms = context.clock.now_ms()
    number = store.ask(tx, now_ms, kind, arguments, actor=context.actor, expires_ms=now_ms + within_ms)
    found = store.get(tx, number)
    assert found is not None, "inserted in this transaction"
    return found


def get(context: Context, number: int) -> Command:
    """Return one. Raises NotFound."""
    found = context.database.read(lambda tx: store.get(tx, number))
    if found is None:
        raise NotFound(f"there is no command {number}; it was long ago, or another database was put in place")
    return found


def unfinished(context: Context) -> list[Command]:
    """Return what waits or runs, the oldest first."""
    return context.database.read(store.unfinished)


def cancel(context: Context, number: int) -> bool:
    """Ask an act to end at its next step; False when it has ended."""
    writable(context)
    now_ms = context.clock.now_ms()
    return context.database.write(lambda tx: store.cancel(tx, now_ms, number))


# Doing


def perform(
    context: Context,
    command: Command,
    performers: Mapping[str, Performer],
    *,
    epoch: int,
    stopped: Callable[[], bool] = lambda: False,
    told: Report | None = None,
) -> None:
    """Do one act that waits, as whoever asked for it, and record how it ended. told: hears of the progress too.

    Does nothing where it is not to be had any more. Raises nothing that the act raises: that is its result.
    """
    now_ms = context.clock.now_ms()
    if not context.database.write(lambda tx: store.take(tx, now_ms, command.id, epoch)):
        return
    report = _reporter(context, command.id, stopped, told)
    state, result, error, kind = "failed", None, "", ""
    try:
        performer = performers.get(command.kind, _unknown)
        result = performer(context.acting_as(command.actor), command.arguments, report)
        state = "done"
    except Stopped as problem:
        state, error = "cancelled", str(problem)
    except ChronosError as problem:
        error, kind = str(problem), type(problem).__name__
    except Exception as problem:  # noqa: BLE001 - a defect in an act ends the act, not the engine; it is logged
        error = "a defect of the engine; see 'chronos log'"
        context.log.event("ERROR", "command_defect", command=command.id, kind=command.kind, error=problem)
    except BaseException:  # Ctrl-C where whoever asked does it: nobody would ever end the row
        with suppress(ChronosError):
            context.database.write(lambda tx: store.give_up(tx, context.clock.now_ms(), command.id, _INTERRUPTED))
        raise
    _finish(context, command.id, state, result, error, kind)


def _unknown(_context: Context, _arguments: Mapping[str, Any], _report: Report) -> Mapping[str, Any]:
    raise NotPossible("this engine does not know how to do that; it is older than what asked: restart it")


def _finish(context: Context, number: int, state: str, result: Mapping[str, Any] | None, error: str, kind: str) -> None:
    now_ms = context.clock.now_ms()

    def work(tx: Tx) -> None:
        store.finish(tx, now_ms, number, state=state, result=result, error=error, error_kind=kind)

    context.database.write(work)
    level = "INFO" if state == "done" else "WARNING"
    context.log.event(level, "command_ended", command=number, state=state, reason=error)


def _reporter(context: Context, number: int, stopped: Callable[[], bool], told: Report | None) -> Report:
    last: list[tuple[str, int]] = []

    def report(stage: str, done: int, total: int) -> None:
        if told is not None:
            told(stage, done, total)
        if stopped():
            raise Stopped("stopped: the engine ends; everything is as it was before")
        now_ms = context.clock.monotonic_ms()
        if last and stage == last[0][0] and now_ms - last[0][1] < _REPORT_EVERY_MS:
            return
        last[:] = [(stage, now_ms)]
        try:
            go_on = context.database.write(lambda tx: store.progress(tx, number, stage, done, total))
        except TryAgain:
            return  # how far it is can be said a moment later
        if not go_on:
            raise Stopped("cancelled; everything is as it was before")

    return report


class Telling:
    """Tells how far an act is, and again while nothing moves, so that somebody who wants it to end is heard."""

    def __init__(self, report: Report | None, stage: str = "") -> None:
        self._report = report
        self._last = (stage, 0, 0)

    def __call__(self, stage: str, done: int, total: int) -> None:
        self._last = (stage, done, total)
        self.ask()

    def ask(self) -> bool:
        """Never ends anything by itself: what the listener raises does."""
        if self._report is not None:
            self._report(*self._last)
        return False


def settle(context: Context, epoch: int) -> None:
    """End what nobody will do: what waited too long, and what a former owner was at. For the owner, between two acts:
    one of its own that still runs is one whose end could not be recorded.
    """
    now_ms = context.clock.now_ms()
    for command in unfinished(context):
        if command.state == "waiting" and command.expires_ms <= now_ms:
            context.database.write(lambda tx, number=command.id: store.expire(tx, now_ms, number))  # type: ignore[misc]
        elif command.state == "running" and command.epoch is not None and command.epoch <= epoch:
            context.database.write(
                lambda tx, number=command.id: store.give_up(tx, now_ms, number, _GONE)  # type: ignore[misc]
            )


def forget(context: Context) -> int:
    """Delete what ended more than 30 days ago; the audit log tells of it for longer. For the owner's upkeep."""
    before_ms = context.clock.now_ms() - KEEP_MS
    return context.database.write(lambda tx: store.forget(tx, before_ms))


# Waiting


def follow(
    context: Context,
    number: int,
    *,
    alive: Callable[[], bool],
    told: Report | None = None,
    pause: Callable[[float], object] = time.sleep,
) -> Mapping[str, Any]:
    """Wait until an act has ended; return its result. alive: whether anybody delivers.

    Where `told` raises Stopped, the act is asked to end and is waited for: it may be past the point where it can. Where
    it raises anything else, or the wait is interrupted, the exception goes on. Raises what the act raised, TryAgain
    when nobody took it in time or whoever did it is gone, Stopped when it was cancelled.
    """
    silent = 0
    while True:
        command = get(context, number)
        if command.ended:
            return _outcome(command)
        silent = 0 if alive() else silent + 1
        too_late = command.state == "waiting" and context.clock.now_ms() >= command.expires_ms
        if too_late or silent * LOOK_S > _PATIENCE_S:
            _bury(context, command)
            continue
        try:
            if told is not None:
                told(command.stage or _WAITING, command.done, command.total)
            pause(LOOK_S)
        except Stopped:
            cancel(context, number)
            told = None  # whoever wants it to end wants to know whether it did
        except BaseException:
            cancel(context, number)
            raise


_WAITING = "waiting for the engine"
_PATIENCE_S = 3.0
"""How long nobody may deliver before an act is taken for lost: an owner that is restarted settles its rows itself."""


def _bury(context: Context, command: Command) -> None:
    now_ms = context.clock.now_ms()

    def work(tx: Tx) -> None:
        store.expire(tx, now_ms, command.id)
        store.give_up(tx, now_ms, command.id, _GONE)

    context.database.write(work)


def _outcome(command: Command) -> Mapping[str, Any]:
    if command.state == "done":
        return command.result or {}
    if command.state == "expired":
        raise TryAgain("the engine did not take it in time; see 'chronos health', then ask again")
    if command.state == "cancelled":
        raise Stopped(command.error or "cancelled; everything is as it was before")
    raise revived(command.error_kind, command.error)
