"""The real cockpit on a real engine for tests of panels: a clock that stands, messages in every state, what it shows.

Nobody delivers: the test itself holds the engine's lock, so that messages stay as they were put.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from textual.pilot import Pilot

from chronos_tui.cockpit.session import Session
from chronos_tui.cockpit.shell import Cockpit
from engine import __version__
from engine.engine import Engine
from engine.host.locks import EngineLock
from engine.host.paths import Paths
from engine.model import Attachment, Message, NewMessage, OnUncertain, Outcome, Settings, State
from engine.operations import apikeys, housekeeping, incidents
from engine.operations.acts import Action, act_on_one
from engine.rules.incidents import Kind
from engine.store import leader
from tests.support import PATIENCE_S, Box, EventLog, FakeClock, data_dir, opened_box, settings

MINUTE_MS = 60_000


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test's coroutine: `def test_x(tmp_path): run(_x(tmp_path))`."""
    asyncio.run(test)


@dataclass(slots=True)
class Rig:
    """A cockpit under test. ids: the number of one message in each state, by the state's name."""

    app: Cockpit
    pilot: Pilot[Any]
    engine: Engine
    clock: FakeClock
    log: EventLog
    ids: dict[str, int] = field(default_factory=dict)

    def screen_lines(self) -> list[str]:
        """Return what the terminal would show, a string a line, without the blanks at the ends."""
        strips = self.app.screen._compositor.render_strips()
        return ["".join(segment.text for segment in strip).rstrip() for strip in strips]

    def screen_text(self) -> str:
        """Return the same as one text."""
        return "\n".join(self.screen_lines())

    async def press(self, *keys: str) -> None:
        """Press keys one by one, each only when what the one before asked for has been answered."""
        for key in keys:
            await self.pilot.press(key)
            await self.settle()

    async def type(self, text: str) -> None:
        """Type text into what has the focus."""
        names = {" ": "space", ":": "colon", "/": "slash", "-": "minus", "#": "number_sign", ".": "full_stop"}
        await self.pilot.press(*(names.get(char, char) for char in text))
        await self.settle()

    async def settle(self) -> None:
        """Wait until nothing is being read or done, and what came back is painted."""
        for _ in range(3):
            await self._passed(self.app.desk.act)
            await self._passed(lambda work, done, failed: self.app.desk.read("test fence", work, done, failed))
            await self.pilot.pause()

    async def _passed(self, submit: Callable[..., None]) -> None:
        """Queue up behind everything that waits on one of the desk's threads."""
        passed = asyncio.Event()
        submit(lambda _engine: None, lambda _answer: passed.set(), lambda _text: passed.set())
        await asyncio.wait_for(passed.wait(), PATIENCE_S)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds; for what a timer or another thread brings."""
        for _ in range(int(PATIENCE_S / 0.02)):
            if condition():
                return
            await self.pilot.pause(0.02)
        raise AssertionError("never came true; on the screen:\n" + self.screen_text())

    async def shows(self, text: str) -> None:
        """Wait until the screen shows `text`."""
        await self.until(lambda: text in self.screen_text())

    def state(self, message_id: int) -> State:
        """Return a message's state in the database."""
        return self.engine.detail(message_id).message.state


def seed(box: Box) -> dict[str, int]:
    """Put one message into each state; return their numbers by state. The newest was queued a moment ago.

    Words of receivers, keys, tags, headers, an attachment and several tries are among them.
    """
    ids: dict[str, int] = {}

    def claimed(message: Message, outcome: Outcome | None) -> None:
        ids_of = {one.taken.id: one for one in box.claim()}
        if outcome is not None:
            box.finish(ids_of[message.id], outcome)

    message = box.put(subject="Weekly report", text="All is well.", target="mail")
    claimed(message, Outcome("delivered", "queued as 4F2A", "250", accepted=("ops@example.org",)))
    ids["delivered"] = message.id
    box.clock.advance_ms(50 * MINUTE_MS)

    message = box.put(subject="Certificate expires", text="Soon.", expires_ms=box.clock.now_ms() + MINUTE_MS)
    box.clock.advance_ms(2 * MINUTE_MS)
    housekeeping.expire(box.context)
    ids["expired"] = message.id

    message = box.put(
        subject="Backup failed on box",
        text="Copying stopped.\nThe disk is full.",
        tags=("nightly", "backup"),
        headers=(("X-Job", "backup"),),
        attachments=(Attachment("backup.log", "text/plain", b"disk full\n" * 20),),
        idempotency_key="cron-1",
    )
    claimed(message, Outcome("not_sent", "connection refused"))
    box.clock.advance_ms(MINUTE_MS)
    claimed(message, Outcome("rejected", "5.7.8 authentication failed", "535", refused=(("ops@example.org", "no"),)))
    ids["dead"] = message.id

    message = box.put(subject="Invoice 2026-09", text="See below.", on_uncertain=OnUncertain.ASK)
    claimed(message, Outcome("unknown", "connection lost after DATA"))
    ids["uncertain"] = message.id

    message = box.put(subject="Sale ends today", text="Buy.")
    act_on_one(box.context, Action.CANCEL, message.id)
    ids["cancelled"] = message.id

    message = box.put(subject="Disk at 91 %", data='{"disk": "/", "used": 91, "hosts": ["box", "nas"]}')
    act_on_one(box.context, Action.HOLD, message.id)
    ids["held"] = message.id

    box.clock.advance_ms(2 * MINUTE_MS)
    message = box.put(subject="New sign-up", text="Somebody.", target="mail")
    claimed(message, None)
    ids["sending"] = message.id

    message = box.put(subject="Good morning", text="Hello.", not_before_ms=box.clock.now_ms() + 5 * MINUTE_MS)
    ids["queued"] = message.id
    return ids


def troubled(box: Box) -> dict[str, int]:
    """Four incidents, one of them critical, four keys, and messages in every state."""
    ids = seed(box)
    context = box.context

    def work(tx: Any) -> None:
        incidents.raise_incident(tx, context, Kind.REPLAY, "n8n", "event 44 came with another body")
        incidents.raise_incident(tx, context, Kind.AUTH_FAILURES, "10.0.0.0/32", "no such key", times=412)
        incidents.raise_incident(tx, context, Kind.AUDIT_BROKEN, "audit", "entry 3 was changed")
        incidents.raise_incident(tx, context, Kind.CLOCK_JUMP, "clock", "went back by 3 min")

    box.database.write(work)
    incidents.resolve(context, 4, "summer time by hand")
    apikeys.create(context, "n8n", ["send"], targets=["hook"], networks=["10.0.0.0/8"])
    apikeys.create(context, "cron-box", ["send", "read"], expires_ms=box.clock.now_ms() + 3 * 24 * 60 * MINUTE_MS)
    apikeys.create(context, "old", ["admin"])
    apikeys.revoke(context, "old")
    apikeys.rotate(context, "n8n", overlap_ms=24 * 60 * MINUTE_MS)
    box.clock.advance_ms(7 * MINUTE_MS)
    return ids


@contextmanager
def in_utc() -> Iterator[None]:
    """Let local time be UTC, whatever the machine's zone is."""
    before = os.environ.get("TZ")
    os.environ["TZ"] = "UTC"
    time.tzset()
    try:
        yield
    finally:
        del os.environ["TZ"]
        if before is not None:
            os.environ["TZ"] = before
        time.tzset()


@contextmanager
def _delivered_elsewhere(where: Paths, now_ms: int) -> Iterator[None]:
    lock = EngineLock(where.engine_lock)
    assert lock.acquire({"pid": 812, "mode": "engine-only", "host": "box", "started_ms": now_ms})
    try:
        yield
    finally:
        lock.release()


def _prepare(
    where: Paths, configuration: Settings, clock: FakeClock, fill: Callable[[Box], dict[str, int]]
) -> dict[str, int]:
    where.data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    with opened_box(where.data_dir, configuration, clock) as box:
        ids = fill(box)
        box.database.write(  # its heartbeat is as fresh as the clock
            lambda tx: leader.take_over(
                tx, pid=812, host="box", mode="engine-only", version=__version__, now_ms=clock.now_ms()
            )
        )
    return ids


@dataclass(slots=True)
class Ready:
    """A cockpit that does not run yet, on messages of which nobody delivers any."""

    app: Cockpit
    engine: Engine
    clock: FakeClock
    log: EventLog
    ids: dict[str, int]


@contextmanager
def ready_cockpit(
    tmp_path: Path,
    *,
    fill: Callable[[Box], dict[str, int]] = seed,
    configuration: Settings | None = None,
    read_only: bool = False,
    session: Session | None = None,
    news: Sequence[NewMessage] = (),
    panel: str = "",
) -> Iterator[Ready]:
    """Make a cockpit on messages that `fill` put there and then `news`, on a panel, in UTC."""
    clock, where, configuration = FakeClock(), data_dir(tmp_path), configuration or settings()
    ids = _prepare(where, configuration, clock, fill)
    log = EventLog()
    with in_utc(), _delivered_elsewhere(where, clock.now_ms()):
        if news:
            engine = Engine.open(where, {}, actor="test:me", settings=configuration, clock=clock)
            for start in range(0, len(news), 1_000):
                engine.enqueue_many(news[start : start + 1_000])
            engine.close()
        engine = Engine.open(
            where, {}, actor="cockpit:me", settings=configuration, clock=clock, log=log, read_only=read_only
        )
        try:
            visit = session or Session()
            visit.panel = panel or visit.panel
            app = Cockpit(engine, log=log, session=visit, read_only=read_only)
            yield Ready(app, engine, clock, log, ids)
            app.desk.stop()
        finally:
            engine.close()
        defects = [fields for _level, name, fields in log.events if name == "cockpit_failed"]
        assert not defects, defects


@asynccontextmanager
async def opened_cockpit(tmp_path: Path, *, size: tuple[int, int] = (120, 40), **how: Any) -> AsyncIterator[Rig]:
    """Run such a cockpit at a size; `how`: see ready_cockpit."""
    with ready_cockpit(tmp_path, **how) as ready:
        async with ready.app.run_test(size=size) as pilot:
            rig = Rig(ready.app, pilot, ready.engine, ready.clock, ready.log, ready.ids)
            await rig.settle()
            yield rig
            ready.app.desk.stop()
