"""What tests of store, operations and engine share: a clock, a configuration, a scripted channel, an opened outbox."""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

from engine.channels.base import Channel
from engine.dispatcher import Dispatcher
from engine.engine import Engine
from engine.host.config.load import load
from engine.host.locks import WriteTurn
from engine.host.paths import Paths, paths
from engine.model import DELIVERED, Delivery, Message, NewMessage, Outcome, ProbeStep, Receipt, Settings, TargetSpec
from engine.operations import delivering, reading
from engine.operations.context import Context
from engine.operations.delivering import Claimed, Finish
from engine.operations.enqueue import enqueue
from engine.store import leader, migrate
from engine.store.database import Database, Options

START_MS = 1_790_000_000_000
"""2026-09-21, for no reason."""

SKIP_NOTHING = bool(os.environ.get("CHRONOS_TESTS_SKIP_NOTHING"))
"""Whether a tool that is missing is a failure, as on the machine that guards the main branch."""

PATIENCE_S = 20.0
"""How long a test waits for an event before it fails. No test takes this long unless something is broken."""


class FakeClock:
    """Time that moves when a test says so. `jump_ms` sets the wall clock alone, as an operator or NTP does."""

    def __init__(self, now_ms: int = START_MS) -> None:
        self._now_ms = now_ms
        self._monotonic_ms = 1_000

    def now_ms(self) -> int:
        return self._now_ms

    def monotonic_ms(self) -> int:
        return self._monotonic_ms

    def advance_ms(self, ms: int) -> None:
        """Let time pass."""
        self._now_ms += ms
        self._monotonic_ms += ms

    def jump_ms(self, ms: int) -> None:
        """Set the wall clock."""
        self._now_ms += ms


class Entropy:
    """Bytes that differ at each call and are the same in each run."""

    def __init__(self) -> None:
        self._number = itertools.count(1)

    def __call__(self, n: int) -> bytes:
        return next(self._number).to_bytes(n, "big")


def target(name: str = "hook", **changes: Any) -> TargetSpec:
    """Return a target of the scripted channel."""
    return TargetSpec(**{"name": name, "channel": "test", "lane": name, **changes})


def settings(
    targets: Mapping[str, TargetSpec] | None = None,
    routes: Mapping[str, Any] | None = None,
    *,
    environment: str = "development",
    **sections: Mapping[str, Any],
) -> Settings:
    """Return the default configuration with these targets and routes; a section's keys are laid over its defaults."""
    known = load(paths("/nonexistent", None, {}), {}, lambda _name: None, hostname="box.example.org", text=b"")
    if targets is None:
        targets = {"hook": target("hook"), "mail": target("mail", channel="other")}
    changed: dict[str, Any] = {name: {**getattr(known, name), **values} for name, values in sections.items()}
    return known._replace(environment=environment, targets=dict(targets), routes=dict(routes or {}), **changed)


def open_database(directory: Path, *, migrated: bool = True, owner: bool = True, **options: int) -> Database:
    """Open the database of a data directory as a process does."""
    database = Database(
        directory / "chronos.db",
        turn=WriteTurn(directory / "write.lock"),
        degraded_marker=directory / "DEGRADED",
        options=Options(**options),
        may_checkpoint=owner,
    )
    if migrated:
        migrate.migrate(database, START_MS)
    return database


class Box:
    """An opened outbox without threads: a context, an epoch, and the steps of a delivery one by one."""

    def __init__(self, directory: Path, configuration: Settings, clock: FakeClock, database: Database) -> None:
        self.directory = directory
        self.clock = clock
        self.database = database
        self.context = Context(database, clock, configuration, "test:me", Entropy(), 1)
        self.epoch = self.take_over()

    def take_over(self) -> int:
        """Begin a new epoch, as the next owner does."""
        now_ms = self.clock.now_ms()
        self.epoch = self.database.write(
            lambda tx: leader.take_over(tx, pid=1, host="box", mode="test", version="0", now_ms=now_ms)
        )
        return self.epoch

    def put(self, **fields: Any) -> Message:
        """Take a message in."""
        return enqueue(self.context, NewMessage(**{"target": "hook", "text": "hi", **fields})).message

    def claim(self, most: int = 64, seats: Callable[[str], int] = lambda _lane: 64) -> list[Claimed]:
        """Plan and claim, as one turn of the dispatcher does."""
        plan = self.database.read(lambda tx: delivering.plan(tx, self.context, seats=seats, most=most))
        return self.database.write(lambda tx: delivering.claim(tx, self.context, self.epoch, plan.candidates))

    def finish(self, claimed: Claimed, outcome: Outcome | str = DELIVERED, **more: Any) -> None:
        """Record how an attempt ended."""
        if isinstance(outcome, str):
            outcome = Outcome(outcome, **more)
        one = Finish(claimed.taken.id, claimed.taken.attempt_no, outcome)
        self.database.write(lambda tx: delivering.finish(tx, self.context, self.epoch, [one]))

    def message(self, message: Message | int) -> Message:
        """Read a message anew."""
        number = message if isinstance(message, int) else message.id
        return reading.detail(self.context, number).message


@contextmanager
def opened_box(directory: Path, configuration: Settings | None = None, clock: FakeClock | None = None) -> Iterator[Box]:
    """Open an outbox and close it again."""
    database = open_database(directory)
    try:
        yield Box(directory, configuration or settings(), clock or FakeClock(), database)
    finally:
        database.close()


class Script:
    """A channel that does what a test says. Every delivery is noted; `gate` closed keeps it on the wire.

    answer: called with each delivery; returns a Receipt or raises.
    """

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.seen: list[Delivery] = []
        self.on_wire: list[Delivery] = []
        self.most_on_wire: dict[str, int] = {}
        self.opened: list[str] = []
        self.closed: list[str] = []
        self.gates: dict[str, threading.Event] = {}
        self.answer: Callable[[Delivery], Receipt] = lambda _delivery: Receipt("ok", "200")

    def open(self, spec: TargetSpec) -> Channel:
        """What the dispatcher is handed as its way to open channels."""
        with self.changed:
            self.opened.append(spec.name)
        return _Scripted(self, spec)

    def hold(self, name: str) -> threading.Event:
        """Keep deliveries to a target on the wire until the event that is returned is set."""
        return self.gates.setdefault(name, threading.Event())

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until a delivery makes `condition` true."""
        with self.changed:
            assert self.changed.wait_for(condition, PATIENCE_S), f"seen: {self.texts()}, on the wire: {self.on_wire}"

    def wait_seen(self, n: int) -> None:
        """Wait until `n` deliveries have begun."""
        self.wait_for(lambda: len(self.seen) >= n)

    def texts(self) -> list[str | None]:
        """The text of each delivery begun so far."""
        return [delivery.content.text for delivery in self.seen]


class _Scripted:
    def __init__(self, script: Script, spec: TargetSpec) -> None:
        self._script = script
        self._spec = spec

    def deliver(self, delivery: Delivery) -> Receipt:
        script = self._script
        lane = delivery.target.lane or delivery.target.name
        with script.changed:
            script.seen.append(delivery)
            script.on_wire.append(delivery)
            now = sum((one.target.lane or one.target.name) == lane for one in script.on_wire)
            script.most_on_wire[lane] = max(now, script.most_on_wire.get(lane, 0))
            script.changed.notify_all()
        gate = script.gates.get(delivery.target.name)
        try:
            if gate is not None:
                assert gate.wait(PATIENCE_S), "the test never opened the gate"
            return script.answer(delivery)
        finally:
            with script.changed:
                script.on_wire.remove(delivery)
                script.changed.notify_all()

    def probe(self, *, send: bool, timeout_ms: int) -> list[ProbeStep]:
        return [ProbeStep("send" if send else "connect", ok=True, detail="scripted", took_ms=timeout_ms * 0)]

    def close(self) -> None:
        with self._script.changed:
            self._script.closed.append(self._spec.name)


class EventLog:
    """A log that keeps events and can be waited for."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.events: list[tuple[str, str, dict[str, Any]]] = []
        self.contexts: list[dict[str, object]] = []

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
        with self.changed:
            self.events.append((level, name, {**fields, "channel": channel, "error": error}))
            self.changed.notify_all()

    def context(self, **fields: object) -> AbstractContextManager[None]:
        """Keep what a sender says its lines are about."""
        self.contexts.append(fields)
        return nullcontext()

    def names(self) -> list[str]:
        """The events so far."""
        return [name for _level, name, _fields in self.events]

    def wait_for(self, name: str, n: int = 1) -> None:
        """Wait until an event happened `n` times."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.names().count(name) >= n, PATIENCE_S), self.events

    def defects(self) -> list[dict[str, Any]]:
        """What no test wants to see."""
        return [fields for _level, name, fields in self.events if name in {"dispatcher_defect", "channel_defect"}]


class Desk:
    """An outbox with a running dispatcher, real sender threads and a scripted channel."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.script = Script()
        self.log = EventLog()
        self.dispatcher = self.employ()

    def employ(self, open_channel: Callable[[TargetSpec], Channel] | None = None) -> Dispatcher:
        """Start a dispatcher under the box's epoch."""
        self.dispatcher = Dispatcher(self.box.context, self.box.epoch, open_channel or self.script.open, self.log)
        self.dispatcher.start()
        return self.dispatcher

    def put(self, **fields: Any) -> Message:
        """Take a message in and tell the dispatcher."""
        message = self.box.put(**fields)
        self.dispatcher.wake()
        return message

    def pass_ms(self, ms: int) -> None:
        """Let time pass and have the dispatcher notice."""
        self.box.clock.advance_ms(ms)
        self.dispatcher.wake()

    def wait_state(self, message: Message | int, *states: str) -> Message:
        """Wait until a message stands in one of these states."""
        return self.wait_message(message, lambda found: found.state.value in states)

    def wait_message(self, message: Message | int, condition: Callable[[Message], bool]) -> Message:
        """Wait until `condition` holds for a message; looks again after each commit."""
        watch = self.box.database.watch()
        patience = threading.Event()
        try:
            for _ in range(int(PATIENCE_S / 0.01)):
                if watch.moved() and condition(found := self.box.message(message)):
                    return found
                patience.wait(0.01)  # another thread commits without telling us; data_version is what there is to poll
        finally:
            watch.close()
        raise AssertionError(f"{self.box.message(message)}; events: {self.log.events}")


@contextmanager
def opened_desk(
    directory: Path, configuration: Settings | None = None, clock: FakeClock | None = None
) -> Iterator[Desk]:
    """Open an outbox and deliver from it; stops the dispatcher at the end, whatever is on the wire."""
    with opened_box(directory, configuration, clock) as box:
        desk = Desk(box)
        try:
            yield desk
        finally:
            for gate in desk.script.gates.values():
                gate.set()
            desk.dispatcher.stop(drain_ms=0)


def data_dir(directory: Path) -> Paths:
    """Return the paths of a data directory below `directory`."""
    return paths(str(directory / "data"), None, {})


@contextmanager
def opened_engine(where: Paths, configuration: Settings | None = None, **changes: Any) -> Iterator[Engine]:
    """Open an engine on a data directory; not started."""
    engine = Engine.open(where, {}, actor="test:me", settings=configuration or settings(), **changes)
    try:
        yield engine
    finally:
        engine.close()
