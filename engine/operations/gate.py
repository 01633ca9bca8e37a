"""The gate of the HTTP door: who may come in with which API key, and how often. Knows no HTTP beyond its status codes.

The cheap questions come first: how the header is written, the checksum, whether the id is known, revoked, expired or
used from elsewhere; then the rate; then memory; then the slow function. What fails before the slow function uses up a
bucket of its own ("bad:NET"), wrong secrets another ("guess:NET"), so that a flood takes nothing from a client with a
good key, not even from one at the same address.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from engine.errors import ChronosError
from engine.host.log import Log
from engine.model import Rate
from engine.operations import apikeys as keys
from engine.operations.apikeys import ApiKey
from engine.operations.buckets import MOST, Buckets, Room
from engine.operations.context import Context
from engine.operations.proving import Prover, Verdict
from engine.operations.refusals import Reason, Refusals
from engine.operations.usage import Usage
from engine.rules.apikeys import KeyState, KeyText, Scope, parse, state_of
from engine.rules.origins import Bounds, Origin, origin_of
from engine.store import apikeys, limits
from engine.store.apikeys import Lock
from engine.store.tx import Tx

GUESSES = Rate(5, 60_000)
"""Wrong secrets that one network may have compared: 5 at once, then one every 12 s. A third of a second of one core a
minute, and a secret of 256 bits is safe from far more."""

FLUSH_EVERY_S = 5
KEPT = "gate"
"""What `Context.kept` holds the process's gate under."""

_HOUR_MS = 3_600_000
_MOST_ORIGINS = 10_000
_LONGEST_HEADER = 200
_ROUNDS = 3

_TEXTS = {
    Reason.NO_KEY: "no API key; send the header 'Authorization: Bearer chr_…'",
    Reason.MALFORMED: "this is not a whole API key; copy it again",
}
_NOT_ACCEPTED = "the API key is not accepted; 'chronos key list' and 'chronos log --channel security' say why"


class Allowance(NamedTuple):
    """What the tightest of a caller's limits still gives. reset_s: until it is whole again."""

    limit: int
    remaining: int
    reset_s: int


class Refused(ChronosError):
    """A request may not come in. The text may be shown to whoever sent it.

    status: 401, 403, 429 or 503. retry_after_s: when it may be tried again. reason: for metrics and the log.
    """

    def __init__(
        self,
        status: int,
        text: str,
        reason: Reason,
        *,
        retry_after_s: int | None = None,
        allowance: Allowance | None = None,
    ) -> None:
        super().__init__(text)
        self.status = status
        self.reason = reason
        self.retry_after_s = retry_after_s
        self.allowance = allowance


@dataclass(frozen=True, slots=True)
class Caller:
    """Who came in. key: as it stood when this process last read it; its bindings are those in force."""

    key: ApiKey
    remote: str
    allowance: Allowance

    @property
    def actor(self) -> str:
        """Who acts, for the audit log."""
        return f"key:{self.key.id}"

    def may_send_to(self, target: str) -> bool:
        """Return whether the key is bound to no target, or to this one by the name that is given."""
        return not self.key.targets or target in self.key.targets


class _Known(NamedTuple):
    lock: Lock
    key: ApiKey
    bounds: Bounds


class Gate:
    """One per listening process. Every method may be called from any thread."""

    def __init__(self, context: Context, log: Log) -> None:
        self._context = context
        self._log = log
        now_ms = context.clock.now_ms()
        stored = context.database.read(lambda tx: limits.load(tx, MOST))
        ahead = {bucket: min(tat_ms - now_ms, _HOUR_MS) for bucket, tat_ms in stored.items()}
        self._buckets = Buckets(ahead, context.clock.monotonic_ms())
        self._prover = Prover(context.clock, context.entropy)
        self._refusals = Refusals(context, log)
        self._usage = Usage(context.clock)
        self._known: dict[str, _Known] = {}
        self._origins: dict[str, Origin] = {}
        context.kept[KEPT] = self

    @property
    def kdf_runs(self) -> int:
        """How often the slow function ran since the process began."""
        return self._prover.kdf_runs

    @property
    def admitted(self) -> int:
        """How many requests showed a good key since the process began, those beyond its scope among them."""
        return self._usage.total

    @property
    def refused(self) -> Mapping[str, int]:
        """Return reason → how many requests were refused for it since the process began."""
        return {str(reason): count for reason, count in self._refusals.counts.items()}

    # Coming in

    def admit(self, authorization: str | None, remote: str, scope: Scope) -> Caller:
        """Let a request in or raise Refused. authorization: the header's value; remote: the client's address after
        trusted proxies were taken into account, or "unix".

        The key's row is read each time, so that a revocation by any process holds for the next request.
        Raises Refused, and what reading the database raises.
        """
        origin = self._origin(remote)
        text, parts = self._read_header(authorization, origin)
        tag = self._prover.tag(text)
        for _ in range(_ROUNDS):
            known = self._look_up(parts.id, origin)
            right = self._prover.remembered(tag, known.lock.digest)
            if right:
                return self._welcome(known.key, origin, remote, scope)
            if right is False:
                raise self._failure(Reason.WRONG_SECRET, origin, parts.id)
            # Once more round: the row may have changed while the slow function ran.
            self._prove(tag, parts, known, origin)
        raise self._busy(origin)

    def knock(self, remote: str) -> None:
        """Count a request that costs something and shows no key, such as an event's. Raises Refused (429)."""
        origin = self._origin(remote)
        room = self._buckets.take((f"in:{origin.network}",), self._rate(), self._monotonic_ms())
        if not room.allowed:
            raise self._too_many(room, origin)

    def failed(self, remote: str) -> None:
        """Count a refused signature against the network it came from."""
        origin = self._origin(remote)
        self._refusals.add(Reason.SIGNATURE, origin.network)
        self._buckets.take((f"bad:{origin.network}",), self._rate(), self._monotonic_ms())

    def _read_header(self, authorization: str | None, origin: Origin) -> tuple[str, KeyText]:
        if not authorization:
            raise self._failure(Reason.NO_KEY, origin)
        scheme, _, text = authorization[:_LONGEST_HEADER].strip().partition(" ")
        text = text.strip()
        parts = parse(text) if scheme.lower() == "bearer" else None
        if parts is None:
            raise self._failure(Reason.MALFORMED, origin)
        return text, parts

    def _look_up(self, key_id: str, origin: Origin) -> _Known:
        """Return a key that may be used now and from there; its secret is not proved yet."""
        lock = self._context.database.read(lambda tx: apikeys.lock(tx, key_id), single=True)
        known = self._known.get(key_id)
        if lock is not None and (known is None or known.lock != lock):
            known = self._context.database.read(lambda tx: _read(tx, key_id))
        if lock is None or known is None:
            raise self._failure(Reason.UNKNOWN_KEY, origin)
        self._known[key_id], lock = known, known.lock
        state = state_of(
            self._context.clock.now_ms(), expires_ms=lock.expires_ms, revoked_ms=lock.revoked_ms, successor=None
        )
        if state is KeyState.REVOKED:
            raise self._failure(Reason.REVOKED, origin, key_id)
        if state is KeyState.EXPIRED:
            raise self._failure(Reason.EXPIRED, origin, key_id)
        if not known.bounds.hold(origin):
            raise self._failure(Reason.NETWORK, origin, key_id)
        return known

    def _prove(self, tag: bytes, parts: KeyText, known: _Known, origin: Origin) -> None:
        """Have the secret compared. Raises Refused unless it is right."""
        room = self._buckets.peek(self._names(parts.id, origin), self._rate(), self._monotonic_ms())
        if not room.allowed:
            raise self._too_many(room, origin)
        verdict = Verdict.LIMITED
        if self._may_guess(parts.id, origin):
            verdict = self._prover.prove(
                tag,
                parts,
                known.lock,
                may_run=lambda: self._may_guess(parts.id, origin),
                wrong=lambda: self._buckets.take((_guesses(origin),), GUESSES, self._monotonic_ms()),
            )
        match verdict:
            case Verdict.RIGHT:
                self._strengthen(tag, parts, known.lock)
            case Verdict.WRONG:
                raise self._failure(Reason.WRONG_SECRET, origin, parts.id)
            case Verdict.LIMITED:
                raise self._guessed_out(parts.id, origin)
            case Verdict.BUSY:
                raise self._busy(origin)

    def _may_guess(self, key_id: str, origin: Origin) -> bool:
        """A key that nobody guesses at is not kept out by a neighbour who guesses at another one's secret."""
        room = self._buckets.peek((_guesses(origin),), GUESSES, self._monotonic_ms())
        return room.allowed or self._refusals.no_wrong_secret(key_id)

    def _welcome(self, key: ApiKey, origin: Origin, remote: str, scope: Scope) -> Caller:
        room = self._buckets.take(self._names(key.id, origin), self._rate(), self._monotonic_ms())
        if not room.allowed:
            raise self._too_many(room, origin)
        self._usage.add(key.id, remote)
        if scope not in key.scopes:
            self._refusals.add(Reason.SCOPE, origin.network, key.id)
            text = f"this API key may {', '.join(key.scopes)} and this takes {scope}"
            raise Refused(403, text, Reason.SCOPE, allowance=_allowance(room))
        return Caller(key, remote, _allowance(room))

    # Staying out

    def _failure(self, reason: Reason, origin: Origin, key_id: str = "") -> Refused:
        self._refusals.add(reason, origin.network, key_id)
        room = self._buckets.take((f"bad:{origin.network}",), self._rate(), self._monotonic_ms())
        if not room.allowed:
            text = "too many requests without a good API key from this address; try again later"
            return Refused(429, text, reason, retry_after_s=_seconds(room.retry_ms))
        return Refused(401, _TEXTS.get(reason, _NOT_ACCEPTED), reason)

    def _too_many(self, room: Room, origin: Origin) -> Refused:
        self._refusals.add(Reason.RATE_LIMITED, origin.network)
        wait_s = _seconds(room.retry_ms)
        text = f"more than {room.limit} requests an hour; try again in {wait_s} s"
        return Refused(429, text, Reason.RATE_LIMITED, retry_after_s=wait_s, allowance=_allowance(room))

    def _guessed_out(self, key_id: str, origin: Origin) -> Refused:
        self._refusals.add(Reason.GUESSING, origin.network, key_id)
        room = self._buckets.peek((_guesses(origin),), GUESSES, self._monotonic_ms())
        text = "too many wrong API keys from this address; try again later"
        return Refused(429, text, Reason.GUESSING, retry_after_s=_seconds(room.retry_ms))

    def _busy(self, origin: Origin) -> Refused:
        self._refusals.add(Reason.BUSY, origin.network)
        return Refused(503, "too many API keys are being checked; try again in a moment", Reason.BUSY, retry_after_s=1)

    # Keeping

    def _strengthen(self, tag: bytes, parts: KeyText, lock: Lock) -> None:
        """Store the secret under as many iterations as are asked for now. What the disk says against it is logged."""
        iterations = int(self._context.settings.security["pbkdf2_iterations"])
        made = self._prover.strengthen(parts, iterations) if lock.iterations < iterations else None
        if made is None:
            return
        salt, digest = made

        def work(tx: Tx) -> bool:
            return apikeys.strengthen(tx, parts.id, was=lock.digest, salt=salt, iterations=iterations, digest=digest)

        try:
            done = self._context.database.write(work)
        except ChronosError as error:
            self._log.event("WARNING", "api_key_not_strengthened", channel="security", key=parts.id, reason=str(error))
            return
        if done:
            self._prover.remember(tag, digest, right=True)
            self._log.event("INFO", "api_key_strengthened", channel="security", key=parts.id, iterations=iterations)

    def flush(self) -> None:
        """Write down limits, and uses at most once a minute a key. Raises what the database says; nothing is lost."""
        self._write(every_use=False)
        self._refusals.flush()

    def close(self) -> None:
        """Write down everything. Never raises: what cannot be written is logged and forgotten."""
        try:
            self._write(every_use=True)
        except ChronosError as error:
            self._log.event("WARNING", "gate_not_saved", channel="security", reason=str(error))
        self._refusals.flush(at_once=True)
        if self._context.kept.get(KEPT) is self:
            del self._context.kept[KEPT]

    def _write(self, *, every_use: bool) -> None:
        ahead = self._buckets.unsaved(self._monotonic_ms())
        uses = self._usage.due(everything=every_use)
        if ahead is None and not uses:
            return
        now_ms = self._context.clock.now_ms()

        def work(tx: Tx) -> None:
            if ahead is not None:
                limits.save(tx, {bucket: now_ms + ms for bucket, ms in ahead.items()})
            apikeys.used(tx, uses)

        try:
            self._context.database.write(work)
        except ChronosError:
            self._buckets.not_saved()
            self._usage.put_back(uses)
            raise

    # Small things

    def _origin(self, remote: str) -> Origin:
        origin = self._origins.get(remote)
        if origin is None:
            if len(self._origins) >= _MOST_ORIGINS:
                self._origins = {}
            origin = self._origins[remote] = origin_of(remote)
        return origin

    def _names(self, key_id: str, origin: Origin) -> tuple[str, str]:
        return f"key:{key_id}", f"ip:{origin.network}"

    def _rate(self) -> Rate:
        return Rate(int(self._context.settings.security["rate_limit_per_hour"]), _HOUR_MS)

    def _monotonic_ms(self) -> int:
        # Limits go by the clock that nobody sets; only what is stored goes by the wall clock.
        return self._context.clock.monotonic_ms()


def flush_gate(context: Context) -> None:
    """Write down what this process's gate counted, where it has one. For the upkeep thread."""
    gate = context.kept.get(KEPT)
    if isinstance(gate, Gate):
        gate.flush()


def _read(tx: Tx, key_id: str) -> _Known | None:
    lock = apikeys.lock(tx, key_id)
    return None if lock is None else _Known(lock, keys.get(tx, key_id), Bounds(apikeys.unpacked(lock.networks)))


def _guesses(origin: Origin) -> str:
    return f"guess:{origin.network}"


def _allowance(room: Room) -> Allowance:
    return Allowance(room.limit, room.remaining, -(-room.reset_ms // 1_000))


def _seconds(ms: int) -> int:
    """Whole seconds after which it may be tried again; never 0, which would mean at once."""
    return max(1, -(-ms // 1_000))
