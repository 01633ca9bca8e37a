"""The bounded pool of sender threads, and the seats on the wire. No database, no decisions. Daemons: no exit waits."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import TYPE_CHECKING

from engine.errors import ChronosError, DeliveryError, Sent, TryAgain
from engine.model import DELIVERED, Delivery, Outcome, Receipt, TargetSpec

if TYPE_CHECKING:
    from engine.channels.base import Channel
    from engine.host.log import Log

DETAIL_CHARS = 2_000
_MOST_CHANNELS = 64  # ad hoc addresses make one each; the least recently used idle one is closed

OpenChannel = Callable[[TargetSpec], "Channel"]


@dataclass(frozen=True, slots=True)
class Result:
    """How an attempt ended, and how long the wire took, in ms."""

    message_id: int
    attempt_no: int
    lane: str
    outcome: Outcome
    took_ms: int


Fence = tuple[int, int]
"""A message's id and the number of its attempt."""


@dataclass(slots=True)
class _Seat:
    lane: str
    lease_until_ms: int
    size_bytes: int
    given_up: bool = False


class Seats:
    """What is on the wire, by fence. A seat past its lease stays taken until the sender comes back: its thread is.

    Leases by the monotonic clock: a wall clock that is set forward must cut nobody off. Changed by one thread, may be
    looked at by others.
    """

    def __init__(self) -> None:
        self._seats: dict[Fence, _Seat] = {}
        self._lanes: Counter[str] = Counter()

    def __len__(self) -> int:
        return len(self._seats)

    def __contains__(self, fence: object) -> bool:
        return fence in self._seats

    @property
    def bytes(self) -> int:
        """How much content is in memory."""
        return sum(seat.size_bytes for seat in self._seats.values())

    def of_lane(self, lane: str) -> int:
        """Return how many of a lane are taken."""
        return self._lanes[lane]

    def take(self, fence: Fence, lane: str, lease_until_ms: int, size_bytes: int) -> None:
        """Take one. size_bytes: what the message keeps in memory."""
        self._seats[fence] = _Seat(lane, lease_until_ms, size_bytes)
        self._lanes[lane] += 1

    def release(self, fence: Fence) -> bool:
        """Free the seat; return whether its attempt was still waited for."""
        seat = self._seats.pop(fence, None)
        if seat is None:
            return False
        self._lanes[seat.lane] -= 1
        return not seat.given_up

    def waited_for(self) -> list[Fence]:
        """Return those that are not given up."""
        return [fence for fence, seat in list(self._seats.items()) if not seat.given_up]

    def late(self, now_ms: int) -> list[Fence]:
        """Return those waited for beyond their lease."""
        return [fence for fence in self.waited_for() if now_ms >= self._seats[fence].lease_until_ms]

    def give_up(self, fences: list[Fence]) -> None:
        """Wait for them no longer."""
        for fence in fences:
            self._seats[fence].given_up = True


@dataclass(slots=True)
class _Open:
    """An open channel and how many threads are using it. `retired`: close it when the last one leaves."""

    spec: TargetSpec
    channel: Channel
    users: int = 0
    retired: bool = False
    closed: bool = False


@dataclass(slots=True)
class _Shared:
    lock: threading.Lock = field(default_factory=threading.Lock)
    opening: threading.Lock = field(default_factory=threading.Lock)
    channels: dict[str, _Open] = field(default_factory=dict)


class SenderPool:
    """Up to `most` threads, started as they are needed.

    `on_result` is called on a sender thread, once per delivery, and must return at once.
    """

    def __init__(
        self,
        most: int,
        open_channel: OpenChannel,
        on_result: Callable[[Result], None],
        monotonic_ms: Callable[[], int],
        log: Log,
    ) -> None:
        self.most = most
        self._open_channel = open_channel
        self._on_result = on_result
        self._monotonic_ms = monotonic_ms
        self._log = log
        self._jobs: SimpleQueue[Delivery | None] = SimpleQueue()
        self._shared = _Shared()
        self._threads = 0
        self._busy = 0

    def submit(self, delivery: Delivery) -> None:
        """Put one message on the wire; its result comes through `on_result`."""
        with self._shared.lock:
            self._busy += 1
            start = self._busy > self._threads and self._threads < self.most
            self._threads += start
        if start:
            self._start_thread()
        self._jobs.put(delivery)

    def _start_thread(self) -> None:
        try:
            threading.Thread(target=self._run, name=f"sender-{self._threads}", daemon=True).start()
        except RuntimeError:  # the system gives no more threads: those we have take the work
            with self._shared.lock:
                self._threads -= 1
                nobody = self._threads == 0
                self._busy -= nobody
            if nobody:
                raise

    def retire(self) -> None:
        """The configuration changed: every channel is opened anew at its next message."""
        with self._shared.lock:
            entries = list(self._shared.channels.values())
            self._shared.channels.clear()
            for entry in entries:
                entry.retired = True
        self._close_idle(entries)

    def close(self) -> None:
        """Let the threads end after what they are doing; close idle channels. Waits for nobody."""
        with self._shared.lock:
            threads = self._threads
        for _ in range(threads):
            self._jobs.put(None)
        self.retire()

    def _run(self) -> None:
        while (delivery := self._jobs.get()) is not None:
            started_ms = self._monotonic_ms()
            lane = delivery.target.lane or delivery.target.name
            about = {"message_id": delivery.message_id, "uid": delivery.uid, "attempt": delivery.attempt_no}
            with self._log.context(**about, target=lane):  # for what libraries log, too
                outcome = self._deliver(delivery)
            took_ms = self._monotonic_ms() - started_ms
            with self._shared.lock:
                self._busy -= 1
            self._on_result(Result(delivery.message_id, delivery.attempt_no, lane, outcome, took_ms))

    def _deliver(self, delivery: Delivery) -> Outcome:
        try:
            entry = self._enter(delivery.target)
        except TryAgain as error:  # a vault whose keyring is locked: the operator unlocks it, and nothing was wrong
            return Outcome(Sent.NO, _clean(str(error)))
        except ChronosError as error:  # a secret or a channel that is not there
            return Outcome(Sent.MISCONFIGURED, _clean(str(error)))
        except BaseException as error:  # noqa: BLE001 - a sender thread must survive a channel's defect, also its exit()
            self._log.event("ERROR", "channel_failed_to_open", error=error, target=delivery.target.name)
            return Outcome(Sent.MISCONFIGURED, _clean(f"the channel could not be opened: {type(error).__name__}"))
        try:
            try:
                return _accepted(entry.channel.deliver(delivery))
            except DeliveryError as error:
                return _refused(error)
        except BaseException as error:  # noqa: BLE001 - a sender thread must survive a channel's defect, also its exit()
            self._log.event("ERROR", "channel_defect", error=error, message_id=delivery.message_id)
            return Outcome(Sent.UNKNOWN, _clean(f"a defect in the channel: {type(error).__name__}"))
        finally:
            self._leave(entry)

    def _enter(self, spec: TargetSpec) -> _Open:
        with self._shared.lock:
            entry = self._shared.channels.get(spec.name)
            if entry is not None and entry.spec == spec:
                entry.users += 1
                return entry
        with self._shared.opening:  # two threads must not open the same target twice
            with self._shared.lock:
                entry = self._shared.channels.get(spec.name)
                if entry is not None and entry.spec == spec:
                    entry.users += 1
                    return entry
            fresh = _Open(spec, self._open_channel(spec), users=1)
            with self._shared.lock:
                old = self._shared.channels.pop(spec.name, None)
                self._shared.channels[spec.name] = fresh
                dropped = [old, *self._surplus()] if old else self._surplus()
                for one in dropped:
                    one.retired = True
        self._close_idle(dropped)
        return fresh

    def _surplus(self) -> list[_Open]:
        too_many = len(self._shared.channels) - _MOST_CHANNELS
        names = [name for name, entry in self._shared.channels.items() if entry.users == 0][: max(0, too_many)]
        return [self._shared.channels.pop(name) for name in names]

    def _leave(self, entry: _Open) -> None:
        with self._shared.lock:
            entry.users -= 1
        if entry.retired:
            self._close_idle([entry])

    def _close_idle(self, entries: list[_Open]) -> None:
        """Close what nobody uses any more, once each."""
        for entry in entries:
            with self._shared.lock:
                mine = entry.users == 0 and not entry.closed
                entry.closed = entry.closed or mine
            if not mine:
                continue
            try:
                entry.channel.close()
            except Exception as error:  # noqa: BLE001 - a sender thread must survive a channel's defect
                self._log.event("ERROR", "channel_defect", error=error, target=entry.spec.name)


def _accepted(receipt: Receipt) -> Outcome:
    reached, refused = _addresses(receipt.accepted), _pairs(receipt.refused)
    return Outcome(DELIVERED, _clean(receipt.detail), _clean(receipt.code), accepted=reached, refused=refused)


def _refused(error: DeliveryError) -> Outcome:
    """Take over what a channel said.

    Of an installed one it may be anything: what cannot be stored must fail here, in its own message, and not where the
    outcomes of all are recorded.
    """
    wait_ms = error.retry_after_ms
    return Outcome(
        Sent(error.sent).value,
        _clean(error.detail),
        _clean(error.code),
        None if wait_ms is None else max(0, int(wait_ms)),
        _addresses(error.accepted),
        _pairs(error.refused),
        bool(error.disable_target),
    )


def _addresses(accepted: Iterable[str]) -> tuple[str, ...]:
    return tuple(_clean(address) for address in accepted)


def _pairs(refused: Iterable[tuple[str, str]]) -> tuple[tuple[str, str], ...]:
    return tuple((_clean(address), _clean(words)) for address, words in refused)


def _clean(text: str) -> str:
    """Cut a receiver's words and make them storable: half characters become question marks."""
    return text[:DETAIL_CHARS].replace("\0", "\N{REPLACEMENT CHARACTER}").encode(errors="replace").decode()
