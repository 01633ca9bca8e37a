"""Whether a secret is the one that a key was made with: by memory where it can, by the slow function where it must.

Knows no rows and no networks. The slow function (65 ms of a core) runs in at most two threads and once per key at a
time; whoever waits for it finds the answer of the one before him.
"""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections import OrderedDict
from collections.abc import Callable
from enum import StrEnum
from typing import NamedTuple

from engine.clock import Clock
from engine.rules.apikeys import SALT_BYTES, KeyText, derive
from engine.store.apikeys import Lock

SLOTS = 2
"""A flood of guesses takes no more of the machine than this many cores, and never all request threads."""

WAIT_S = 5.0
"""How long a request waits for a slot. A client that starts waits behind some hundred others before it is told to come
back; its own patience is longer (10 s is a usual default)."""

REMEMBER_MS = 5 * 60_000
"""How long an answer is kept after its last use. Not a matter of safety, because every use compares the key's row;
it bounds what a process knows of a key that is no longer used."""

_MOST = 10_000


class Verdict(StrEnum):
    """What came of proving a secret."""

    RIGHT = "right"
    WRONG = "wrong"
    LIMITED = "limited"
    BUSY = "busy"


class _Seen(NamedTuple):
    right: bool
    digest: bytes
    used_ms: int


class Prover:
    """May be used from any thread. entropy: n random bytes; kdf_runs: how often the slow function ran."""

    def __init__(self, clock: Clock, entropy: Callable[[int], bytes]) -> None:
        self._clock = clock
        self._entropy = entropy
        # An answer is kept under a MAC of the key's text: a memory dump shows no key, and no table made elsewhere fits.
        self._pepper = entropy(32)
        self._turn = threading.Condition()
        self._running: set[str] = set()
        self._seen: OrderedDict[bytes, _Seen] = OrderedDict()
        self.kdf_runs = 0

    def tag(self, text: str) -> bytes:
        """Return what a key's text is remembered by."""
        # Not hmac.digest: that lets go of the interpreter, and in a busy process waits 0.04 ms to get it back.
        return hashlib.blake2b(text.encode("ascii"), key=self._pepper, digest_size=32).digest()

    def remembered(self, tag: bytes, digest: bytes) -> bool | None:
        """Return whether a key was right when it was last proved against `digest`; None when nobody knows."""
        with self._turn:
            return self._look(tag, digest)

    def _look(self, tag: bytes, digest: bytes) -> bool | None:
        seen = self._seen.get(tag)
        now_ms = self._clock.monotonic_ms()
        if seen is None or seen.digest != digest or now_ms - seen.used_ms >= REMEMBER_MS:
            return None
        self._seen[tag] = seen._replace(used_ms=now_ms)
        self._seen.move_to_end(tag)
        return seen.right

    def remember(self, tag: bytes, digest: bytes, *, right: bool) -> None:
        """Keep an answer."""
        with self._turn:
            self._keep(tag, digest, right=right)

    def _keep(self, tag: bytes, digest: bytes, *, right: bool) -> None:
        self._seen[tag] = _Seen(right, digest, self._clock.monotonic_ms())
        self._seen.move_to_end(tag)
        while len(self._seen) > _MOST:
            self._seen.popitem(last=False)

    def prove(
        self,
        tag: bytes,
        parts: KeyText,
        lock: Lock,
        *,
        may_run: Callable[[], bool],
        wrong: Callable[[], object],
    ) -> Verdict:
        """Compare the secret with the stored digest, in constant time, and remember the answer.

        may_run: asked when it is this request's turn, because the one before it may have used up what was left.
        wrong: told of a wrong secret before the next one's turn. Both are called with a lock held.
        """
        with self._turn:
            if not self._turn.wait_for(lambda: self._free(parts.id), WAIT_S):
                return Verdict.BUSY
            known = self._look(tag, lock.digest)
            if known is not None:
                return Verdict.RIGHT if known else Verdict.WRONG
            if not may_run():
                return Verdict.LIMITED
            self._running.add(parts.id)
            self.kdf_runs += 1
        right = None
        try:
            right = hmac.compare_digest(derive(parts.secret, lock.salt, lock.iterations), lock.digest)
        finally:
            with self._turn:
                self._running.discard(parts.id)
                if right is not None:
                    self._keep(tag, lock.digest, right=right)
                if right is False:
                    wrong()
                self._turn.notify_all()
        return Verdict.RIGHT if right else Verdict.WRONG

    def _free(self, key_id: str) -> bool:
        return key_id not in self._running and len(self._running) < SLOTS

    def strengthen(self, parts: KeyText, iterations: int) -> tuple[bytes, bytes] | None:
        """Return a new salt and the digest under more iterations; None when every slot is taken: it has time."""
        with self._turn:
            if not self._free(parts.id):
                return None
            self._running.add(parts.id)
            self.kdf_runs += 1
        try:
            salt = self._entropy(SALT_BYTES)
            return salt, derive(parts.secret, salt, iterations)
        finally:
            with self._turn:
                self._running.discard(parts.id)
                self._turn.notify_all()
