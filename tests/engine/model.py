"""The outbox on a page: what must become of a message, without database, threads or SQL."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.model import RetryPolicy, RouteStep, TargetSpec
from tests.support import target

POLICY = RetryPolicy(first_ms=1_000, cap_ms=4_000, attempts=3, max_age_ms=3_600_000, jitter=0.0)
TARGETS: dict[str, TargetSpec] = {
    "a": target("a", retry=POLICY, breaker=False),
    "b": target("b", channel="other", retry=POLICY, breaker=False, order_blocked_by=("held", "uncertain", "dead")),
}
ROUTES = {"r": (RouteStep("a"), RouteStep("b", 10_000))}
FINAL = {"delivered", "dead", "cancelled", "expired"}
KEEP_MS = {"delivered": 86_400_000, "cancelled": 86_400_000, "expired": 86_400_000, "dead": 2 * 86_400_000}
FITS = {
    "retry": {"dead", "queued"},
    "cancel": {"queued", "held", "sending", "uncertain"},
    "hold": {"queued"},
    "release": {"held"},
    "resend": {"uncertain"},
    "settle-delivered": {"uncertain"},
    "settle-dead": {"uncertain"},
}


@dataclass
class Letter:
    """A message as the model sees it."""

    id: int
    target: str
    priority: int
    due_ms: int
    cycle_ms: int
    expires_ms: int | None
    ordering_key: str | None
    collapse_key: str | None
    ask: bool
    route: str
    hop_ms: int | None
    template: str
    state: str = "queued"
    attempts: int = 0
    failures: int = 0
    cycle: int = 1
    hop: int = 0
    epoch: int = 0
    finished_ms: int | None = None
    cancel_requested: bool = False
    settled: bool = False
    given_up: int = 0

    def to(self, state: str, now_ms: int) -> None:
        """Step into a state."""
        self.state = state
        self.finished_ms = now_ms if state in FINAL else None
        self.cancel_requested = False


@dataclass
class Model:
    """Every message, the holds, and the rules that move them."""

    letters: dict[int, Letter] = field(default_factory=dict)
    keys: dict[str, tuple[int, str]] = field(default_factory=dict)
    holds: dict[str, int] = field(default_factory=dict)

    def held(self, letter: Letter, now_ms: int) -> bool:
        """Whether a hold in force keeps it back."""
        channel = TARGETS[letter.target].channel
        scopes = {"all", f"channel:{channel}", f"target:{letter.target}", f"template:{letter.template}"}
        return any(self.holds.get(scope, now_ms) > now_ms for scope in scopes)

    def end_run_out(self, now_ms: int) -> None:
        """A hold that is over stays over, even when the clock is set back."""
        self.holds = {scope: until for scope, until in self.holds.items() if until > now_ms}

    def turn(self, key: str) -> int | None:
        """Whose turn it is within an ordering key."""
        ours = [letter for letter in self.sorted() if letter.ordering_key == key]
        if any(letter.state == "sending" for letter in ours):
            return None
        for letter in ours:
            if letter.state == "queued":
                return letter.id
            if letter.state in TARGETS[letter.target].order_blocked_by:
                return None
        return None

    def claimable(self, now_ms: int) -> set[int]:
        """What may leave now."""
        return {
            letter.id
            for letter in self.letters.values()
            if letter.state == "queued"
            and letter.due_ms <= now_ms
            and (letter.expires_ms is None or letter.expires_ms > now_ms)
            and not self.held(letter, now_ms)
            and (letter.ordering_key is None or self.turn(letter.ordering_key) == letter.id)
        }

    def sorted(self) -> list[Letter]:
        """In order of enqueue."""
        return [self.letters[number] for number in sorted(self.letters)]

    def collapse(self, new: Letter, now_ms: int) -> None:
        """A new message takes the place of those that wait with its collapse key."""
        for old in self.sorted():
            if (
                old.id != new.id
                and old.state == "queued"
                and (old.target, old.route) == (new.target, new.route)
                and new.collapse_key is not None
                and old.collapse_key == new.collapse_key
            ):
                old.to("cancelled", now_ms)

    def finish(self, letter: Letter, kind: str, now_ms: int) -> None:
        """An attempt that still owns its message ended."""
        cancelled = letter.cancel_requested
        if kind == "delivered":
            letter.to("delivered", now_ms)
            return
        letter.failures += 1
        letter.given_up = letter.attempts if kind == "abandoned" else 0
        unknown = kind in {"unknown", "abandoned"}
        if cancelled:
            letter.to("cancelled", now_ms)
        elif unknown and letter.ask:
            letter.to("uncertain", now_ms)
        elif kind == "rejected":
            self._end(letter, now_ms)
        else:
            wait_ms = 0 if kind == "abandoned" else min(1_000 * 2 ** (letter.failures - 1), 4_000)
            if letter.failures >= POLICY.attempts or now_ms + wait_ms - letter.cycle_ms > POLICY.max_age_ms:
                self._end(letter, now_ms)
            elif letter.hop_ms is not None and letter.hop_ms <= now_ms:
                self.hop(letter, now_ms)
            else:
                letter.to("queued", now_ms)
                letter.due_ms = now_ms + wait_ms

    def late(self, letter: Letter, kind: str, attempt_no: int, now_ms: int) -> bool:
        """An attempt that was given up was accepted after all; return whether that settles its message."""
        waits = letter.state in {"queued", "uncertain"}
        if kind != "delivered" or not waits or not letter.given_up == letter.attempts == attempt_no:
            return False
        letter.given_up = 0
        letter.to("delivered", now_ms)
        return True

    def _end(self, letter: Letter, now_ms: int) -> None:
        if letter.route and letter.hop == 0:
            self.hop(letter, now_ms)
        else:
            letter.to("dead", now_ms)

    def hop(self, letter: Letter, now_ms: int) -> None:
        """The route's next step takes over."""
        letter.to("queued", now_ms)
        letter.target, letter.hop, letter.hop_ms = "b", 1, None
        letter.due_ms = letter.cycle_ms = now_ms
        letter.failures = 0
        letter.cycle += 1

    def act(self, action: str, letter: Letter, now_ms: int) -> None:
        """What an operator does, where it fits."""
        if action == "retry" and letter.state == "dead":
            letter.to("queued", now_ms)
            letter.due_ms = letter.cycle_ms = now_ms
            letter.failures, letter.hop_ms = 0, None
            letter.cycle += 1
        elif action in {"retry", "resend"}:
            letter.to("queued", now_ms)
            letter.due_ms = now_ms
        elif action == "cancel" and letter.state == "sending":
            letter.cancel_requested = True
        elif action == "cancel":
            letter.to("cancelled", now_ms)
        elif action == "hold":
            letter.to("held", now_ms)
        elif action == "release":
            letter.to("queued", now_ms)
        else:
            letter.to(action.removeprefix("settle-"), now_ms)
            letter.settled = True

    def undo(self, action: str, before: str, letter: Letter, now_ms: int) -> None:
        """Take an act back, as far as the message has not gone on."""
        if action == "cancel" and letter.state == "sending":
            letter.cancel_requested = False
        elif action == "cancel" and letter.state == "cancelled" and before in {"queued", "held"}:
            letter.to(before, now_ms)
        elif action == "hold" and letter.state == "held":
            letter.to("queued", now_ms)
        elif action == "release" and letter.state == "queued":
            letter.to("held", now_ms)

    def expire(self, now_ms: int) -> None:
        """Time passed over what waited."""
        for letter in self.letters.values():
            if letter.state == "queued" and letter.expires_ms is not None and letter.expires_ms <= now_ms:
                letter.to("expired", now_ms)

    def follow_routes(self, now_ms: int) -> None:
        """What was not accepted in time goes on, unless everything is paused."""
        if self.holds.get("all", now_ms) > now_ms:
            return
        for letter in self.letters.values():
            if letter.state == "queued" and letter.hop_ms is not None and letter.hop_ms <= now_ms:
                self.hop(letter, now_ms)

    def retain(self, now_ms: int) -> None:
        """What was finished long ago is forgotten, but never the newest: its number would be given out again."""
        newest = max(self.letters, default=0)
        gone = {
            letter.id
            for letter in self.letters.values()
            if letter.finished_ms is not None
            and letter.finished_ms < now_ms - KEEP_MS[letter.state]
            and letter.id != newest
        }
        self.letters = {number: letter for number, letter in self.letters.items() if number not in gone}
        self.keys = {key: known for key, known in self.keys.items() if known[0] not in gone}
