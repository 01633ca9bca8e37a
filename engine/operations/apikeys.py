"""API keys: making, listing, replacing and revoking them. Judges no request; that is the gate's.

A key's text exists once, in the answer to `create` or `rotate`. What is stored is PBKDF2-HMAC-SHA256 of its secret.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from engine.errors import BadInput, NotFound, NotPossible
from engine.operations.context import Context, writable
from engine.rules import apikeys as rules
from engine.rules.apikeys import KeyState, Scope
from engine.rules.durations import format_duration, rfc3339
from engine.rules.scopes import unknown_target
from engine.store import apikeys, audit
from engine.store.tx import Row, Tx

LONGEST_OVERLAP_MS = 30 * 86_400_000
"""Two keys for one client are a state to get out of: within a month somebody has put the new one in place."""


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret. Empty `targets` or `networks` mean any; expires_ms None: it does not end by itself.

    replaced_ms: when the successor was made. last_used_ms, last_used_from, uses: up to a minute old.
    """

    id: str
    name: str
    scopes: tuple[Scope, ...]
    targets: tuple[str, ...]
    networks: tuple[str, ...]
    created_ms: int
    created_by: str
    expires_ms: int | None
    revoked_ms: int | None
    revoked_by: str
    successor: str | None
    replaced_ms: int | None
    last_used_ms: int | None
    last_used_from: str
    uses: int
    iterations: int

    def state(self, now_ms: int) -> KeyState:
        """Return "active", "expiring", "replaced", "expired" or "revoked"."""
        return rules.state_of(now_ms, expires_ms=self.expires_ms, revoked_ms=self.revoked_ms, successor=self.successor)

    def words(self, now_ms: int) -> str:
        """Return in one line how it stands and what there is to do about it."""
        ends = "" if self.expires_ms is None else rules.distance(self.expires_ms, now_ms)
        match self.state(now_ms):
            case KeyState.REVOKED:
                assert self.revoked_ms is not None
                return f"revoked {rules.distance(self.revoked_ms, now_ms)} by {self.revoked_by}"
            case KeyState.EXPIRED if self.successor:
                return f"ended {ends}; replaced by {self.successor}"
            case KeyState.EXPIRED:
                return f"expired {ends}; 'chronos key rotate {self.name}' makes a new one"
            case KeyState.REPLACED:
                return f"replaced by {self.successor}; {self._still(now_ms)}; ends {ends}"
            case KeyState.EXPIRING:
                return f"expires {ends}; 'chronos key rotate {self.name}' makes its successor"
        return f"works; expires {ends}" if ends else "works"

    def _still(self, now_ms: int) -> str:
        if self.last_used_ms is None or self.last_used_ms < (self.replaced_ms or 0):
            return "not used since"
        return f"still used {self.used_words(now_ms)}"

    def used_words(self, now_ms: int) -> str:
        """Return "3 min ago from 10.0.0.1", or "never"."""
        if self.last_used_ms is None:
            return "never"
        return f"{rules.distance(self.last_used_ms, now_ms)} from {self.last_used_from}"


@dataclass(frozen=True, slots=True)
class Created:
    """A new key and, this once, its text. replaced: the key whose successor it is, as it stands now."""

    key: ApiKey
    text: str = field(repr=False)
    replaced: ApiKey | None = None


def create(
    context: Context,
    name: str,
    scopes: Sequence[str],
    *,
    expires_ms: int | None = None,
    targets: Sequence[str] = (),
    networks: Sequence[str] = (),
) -> Created:
    """Make a key. scopes: at least one; targets: names of targets and routes it may send to, () for any;
    networks: where it may be used from, () for anywhere; expires_ms: when it ends.

    Raises BadInput for words that are none, NotFound for an unknown target, NotPossible for a name that is in use.
    """
    writable(context)
    now_ms = context.clock.now_ms()
    if expires_ms is not None and expires_ms <= now_ms:
        raise BadInput(f"a key that ended at {rfc3339(expires_ms)} would open nothing; name a time ahead")
    wanted = _New(
        rules.check_name(name),
        rules.check_scopes(scopes),
        _checked_targets(context, targets),
        rules.check_networks(networks),
        expires_ms,
    )
    row, text = _made(context, wanted)

    def work(tx: Tx) -> ApiKey:
        taken = apikeys.in_force(tx, name)
        if taken is not None:
            raise NotPossible(f"the name {name} is in use by key {taken}; rotate or revoke that one, or choose another")
        return _store(tx, context, row, {})

    return Created(context.database.write(work), text)


def rotate(context: Context, word: str, *, overlap_ms: int) -> Created:
    """Make the successor of a key (by id or name): same name, scopes and bindings, and, where the old one had an end,
    the same life from now on. The old one works for `overlap_ms` more, never longer than it would have.

    Raises NotFound, BadInput for an overlap that is none, NotPossible for a key that was revoked or replaced before.
    """
    writable(context)
    if not 0 <= overlap_ms <= LONGEST_OVERLAP_MS:
        raise BadInput(f"overlap: from 0s to {format_duration(LONGEST_OVERLAP_MS)}")
    now_ms = context.clock.now_ms()
    old = context.database.read(lambda tx: _found(tx, word))
    _replaceable(old)
    lived = None if old.expires_ms is None else now_ms + max(1, old.expires_ms - old.created_ms)
    row, text = _made(context, _New(old.name, old.scopes, old.targets, old.networks, lived))
    ends_ms = now_ms + overlap_ms if old.expires_ms is None else min(old.expires_ms, now_ms + overlap_ms)

    def work(tx: Tx) -> tuple[ApiKey, ApiKey]:
        if not apikeys.replace(tx, old.id, row.id, ends_ms):
            _replaceable(get(tx, old.id))
        detail = {"name": old.name, "successor": row.id, "ends_at": rfc3339(ends_ms)}
        audit.append(tx, now_ms, context.actor, "key.rotated", f"key:{old.id}", detail)
        new = _store(tx, context, row, {"replaces": old.id})
        return new, get(tx, old.id)

    new, replaced = context.database.write(work)
    return Created(new, text, replaced)


def revoke(context: Context, word: str) -> ApiKey:
    """Let a key (by id, or by the name of the one in force) open nothing from now on, in every process.

    Raises NotFound, NotPossible for one that was revoked before.
    """
    writable(context)

    def work(tx: Tx) -> ApiKey:
        now_ms = context.clock.now_ms()
        found = _found(tx, word)
        if not apikeys.revoke(tx, found.id, now_ms=now_ms, actor=context.actor):
            raise NotPossible(f"key {found.id} ({found.name}) was revoked before, by {found.revoked_by}")
        detail = {"name": found.name, "uses": found.uses}
        audit.append(tx, now_ms, context.actor, "key.revoked", f"key:{found.id}", detail)
        return get(tx, found.id)

    return context.database.write(work)


def listing(context: Context) -> list[ApiKey]:
    """Return every key, newest first, revoked and expired ones too."""
    return context.database.read(lambda tx: [_key(row) for row in apikeys.all_keys(tx)])


def find(context: Context, word: str) -> ApiKey:
    """Return the key of that id, or the one in force of that name. Raises NotFound."""
    return context.database.read(lambda tx: _found(tx, word))


@dataclass(frozen=True, slots=True)
class _New:
    name: str
    scopes: tuple[Scope, ...]
    targets: tuple[str, ...]
    networks: tuple[str, ...]
    expires_ms: int | None


def _made(context: Context, wanted: _New) -> tuple[apikeys.NewRow, str]:
    """Outside of any transaction: deriving takes a tenth of a second."""
    parts, text = rules.make(context.entropy)
    taken = {key.id for key in listing(context)}
    while parts.id in taken:
        parts, text = rules.make(context.entropy)
    context.machine.on_secret(text)
    salt = context.entropy(rules.SALT_BYTES)
    iterations = int(context.settings.security["pbkdf2_iterations"])
    digest = rules.derive(parts.secret, salt, iterations)
    row = apikeys.NewRow(
        parts.id, wanted.name, wanted.scopes, wanted.targets, wanted.networks, salt, iterations, digest,
        wanted.expires_ms,
    )  # fmt: skip
    return row, text


def _store(tx: Tx, context: Context, row: apikeys.NewRow, more: dict[str, object]) -> ApiKey:
    now_ms = context.clock.now_ms()
    apikeys.insert(tx, row, now_ms=now_ms, actor=context.actor)
    detail: dict[str, object] = {
        "name": row.name,
        "scopes": [str(scope) for scope in row.scopes],
        "targets": list(row.targets),
        "networks": list(row.networks),
        "expires_at": None if row.expires_ms is None else rfc3339(row.expires_ms),
        **more,
    }
    audit.append(tx, now_ms, context.actor, "key.created", f"key:{row.id}", detail)
    return get(tx, row.id)


def _checked_targets(context: Context, names: Sequence[str]) -> tuple[str, ...]:
    settings = context.settings
    for name in names:
        if name not in settings.targets and name not in settings.routes:
            raise unknown_target(settings, name)
    return tuple(sorted(set(names)))


def _replaceable(key: ApiKey) -> None:
    if key.revoked_ms is not None:
        raise NotPossible(
            f"key {key.id} ({key.name}) was revoked; 'chronos key create --name {key.name}' makes another"
        )
    if key.successor is not None:
        raise NotPossible(f"key {key.id} was replaced by {key.successor} already; rotate that one")


def _found(tx: Tx, word: str) -> ApiKey:
    by_id = rules.id_in(word)
    if by_id is not None:
        row = apikeys.one(tx, by_id)
        if row is None:
            raise NotFound(f"no API key {by_id}; 'chronos key list' names them")
        return _key(row)
    in_force = apikeys.in_force(tx, word)
    if in_force is not None:
        return get(tx, in_force)
    former = apikeys.of_name(tx, word)
    if former:
        raise NotFound(f"no key called {word} is in force any more; by id: {', '.join(former[:5])}")
    raise NotFound(f"no API key {word!r:.70}; 'chronos key list' names them")


def get(tx: Tx, key_id: str) -> ApiKey:
    """Return the key of an id that is known to exist."""
    row = apikeys.one(tx, key_id)
    assert row is not None, "keys are never deleted"
    return _key(row)


def _key(row: Row) -> ApiKey:
    return ApiKey(row[0], row[1], tuple(Scope(word) for word in row[2]), *row[3:])
