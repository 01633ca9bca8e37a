"""Who was refused and why: counted, logged at a bounded pace, and made incidents by stated rules. Refuses nobody.

Rules, each with its number's reason:

* AUTH_FAILURES for a network: 20 refused keys within 10 minutes, about the pace of the 100 failures an hour that OWASP
  ASVS 4.0.3 (2.2.1) allows for one account. One client that was given a wrong key and backs off stays below it.
* AUTH_FAILURES for a key: 5 wrong secrets within 10 minutes, the default of fail2ban (maxretry 5, findtime 10m). A
  secret is pasted, not typed: with the checksum right, even one wrong secret is no accident.
* REVOKED_KEY: at once. Whoever revoked it thought that nobody had it any more, or feared that somebody had.
* KDF_FLOOD: when a network used up its guesses (gate.GUESSES).

A request without any key counts for nothing: asking first and being told to bring one is how HTTP works (RFC 9110, 11).
"""

from __future__ import annotations

import threading
from collections import Counter, OrderedDict, deque
from enum import StrEnum
from typing import NamedTuple

from engine.host.log import Log
from engine.operations.context import Context
from engine.rules.incidents import Kind

WINDOW_MS = 10 * 60_000
MOST_PER_NETWORK = 20
MOST_PER_KEY = 5
LOG_EVERY_MS = 60_000
_MOST_LINES = 100
_MOST_SUBJECTS = 10_000
_OTHERS = "others"


class Reason(StrEnum):
    """Why a request was refused, for the operator; the caller is told less."""

    NO_KEY = "no_key"
    MALFORMED = "malformed"
    UNKNOWN_KEY = "unknown_key"
    REVOKED = "revoked"
    EXPIRED = "expired"
    NETWORK = "network"
    WRONG_SECRET = "wrong_secret"  # noqa: S105 - the name of a reason
    GUESSING = "guessing"
    BUSY = "busy"
    RATE_LIMITED = "rate_limited"
    SCOPE = "scope"
    SIGNATURE = "signature"


_FAILURES = frozenset(
    {
        Reason.MALFORMED, Reason.UNKNOWN_KEY, Reason.REVOKED, Reason.EXPIRED, Reason.NETWORK, Reason.WRONG_SECRET,
        Reason.GUESSING,
    }
)  # fmt: skip


class _Line(NamedTuple):
    """What the log is told. key: the id, where the line stands for one refusal; None for several."""

    reason: Reason
    network: str
    times: int
    key: str | None = None


class Window:
    """Whether something happened `most` times within `span_ms`, by subject. Not for several threads."""

    def __init__(self, most: int, span_ms: int) -> None:
        self._most = most
        self._span_ms = span_ms
        self._times: OrderedDict[str, deque[int]] = OrderedDict()

    def add(self, subject: str, now_ms: int) -> bool:
        """Count one; return whether that makes it too many."""
        times = self._times.setdefault(subject, deque(maxlen=self._most))
        times.append(now_ms)
        self._times.move_to_end(subject)
        if len(self._times) > _MOST_SUBJECTS:
            self._times.popitem(last=False)
        return len(times) == self._most and now_ms - times[0] < self._span_ms

    def clean(self, subject: str, now_ms: int) -> bool:
        """Return whether nothing happened within the span."""
        times = self._times.get(subject)
        return not times or now_ms - times[-1] >= self._span_ms


class Refusals:
    """May be used from any thread. counts: reason → how often since the process began."""

    def __init__(self, context: Context, log: Log) -> None:
        self._context = context
        self._log = log
        self._lock = threading.Lock()
        self.counts: Counter[Reason] = Counter()
        self._networks = Window(MOST_PER_NETWORK, WINDOW_MS)
        self._keys = Window(MOST_PER_KEY, WINDOW_MS)
        self._began_ms = context.clock.monotonic_ms()
        self._quiet: dict[tuple[Reason, str], int] = {}

    def add(self, reason: Reason, network: str, key_id: str = "") -> None:
        """Note one refusal. network: what the client's address is counted under; key_id: of a key that exists."""
        now_ms = self._context.clock.monotonic_ms()
        with self._lock:
            self.counts[reason] += 1
            lines = self._lines(reason, network, key_id, now_ms)
            found = self._judged(reason, network, key_id, now_ms)
        self._say(lines)
        if found:
            from engine.operations import incidents

            for kind, subject, detail in found:
                incidents.report(self._context, kind, subject, detail)

    def no_wrong_secret(self, key_id: str) -> bool:
        """Return whether nobody came with a wrong secret for this key lately."""
        with self._lock:
            return self._keys.clean(key_id, self._context.clock.monotonic_ms())

    def _judged(self, reason: Reason, network: str, key_id: str, now_ms: int) -> list[tuple[Kind, str, str]]:
        found = []
        whose = f" (key {key_id})" if key_id else ""
        if reason in _FAILURES and self._networks.add(network, now_ms):
            detail = f"{MOST_PER_NETWORK} or more refused keys from {network} within 10 min, the last: {reason}{whose}"
            found.append((Kind.AUTH_FAILURES, network, detail))
        if reason is Reason.WRONG_SECRET and self._keys.add(key_id, now_ms):
            detail = f"{MOST_PER_KEY} or more wrong secrets for key {key_id} within 10 min, the last from {network}"
            found.append((Kind.AUTH_FAILURES, key_id, detail))
        if reason is Reason.REVOKED:
            found.append((Kind.REVOKED_KEY, key_id, f"somebody at {network} still uses the revoked key {key_id}"))
        if reason is Reason.GUESSING:
            detail = f"wrong secrets from {network} faster than they are compared, the last for key {key_id}"
            found.append((Kind.KDF_FLOOD, network, detail))
        return found

    # The log: one line a reason and network, its repeats as a number once the minute is over

    def _lines(self, reason: Reason, network: str, key_id: str, now_ms: int) -> list[_Line]:
        lines = self._repeats() if now_ms - self._began_ms >= LOG_EVERY_MS else []
        if lines or not self._quiet:
            self._began_ms = now_ms
        if (reason, network) not in self._quiet and len(self._quiet) >= _MOST_LINES:
            network = _OTHERS
        if (reason, network) in self._quiet:
            self._quiet[reason, network] += 1
        else:
            self._quiet[reason, network] = 0
            lines.append(_Line(reason, network, 1, key_id or None))
        return lines

    def _repeats(self) -> list[_Line]:
        lines = [_Line(reason, network, count) for (reason, network), count in self._quiet.items() if count]
        self._quiet = {}
        return lines

    def flush(self, *, at_once: bool = False) -> None:
        """Log the repeats of a minute that is over; at_once: of one that is not."""
        now_ms = self._context.clock.monotonic_ms()
        with self._lock:
            due = at_once or now_ms - self._began_ms >= LOG_EVERY_MS
            lines = self._repeats() if due else []
        self._say(lines)

    def _say(self, lines: list[_Line]) -> None:
        for line in lines:
            level = "WARNING" if line.reason in _FAILURES else "INFO"
            self._log.event(
                level,
                "request_refused",
                channel="security",
                reason=str(line.reason),
                remote=line.network,
                count=line.times,
                key=line.key,
            )
