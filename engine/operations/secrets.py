"""Secrets by name: stored sealed, looked up where they are provided, checked all at once. Shows no value."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from engine.errors import BadInput, ChronosError, NotFound, NotPossible, SecretMissing, TryAgain, VaultLocked
from engine.host import secrets_env
from engine.model import Settings
from engine.operations import rotating, vault
from engine.operations.context import Context, writable
from engine.store import audit
from engine.store import vault as store
from engine.store.tx import Tx
from engine.store.vault import SecretRow

ENVIRONMENT = "environment"
VAULT = "vault"
MISSING = "missing"
_SET = "secret.set"
_DELETED = "secret.deleted"
_SIGNING_KEY_WORDS = "the audit log's signing key"


@dataclass(frozen=True, slots=True)
class SecretInfo:
    """A secret without its value.

    where: "environment" (a variable or the file that one names), "vault" or "missing". The environment wins: a version
    beside it says that the vault holds one too. used_by: the keys of the configuration that refer to it.
    """

    name: str
    where: str
    version: int | None
    updated_ms: int | None
    used_by: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SecretCheck:
    """Whether one secret can be had. problem: in one line; "" when it can."""

    name: str
    where: str
    ok: bool
    problem: str


def set_secret(context: Context, name: str, value: str) -> SecretInfo:
    """Seal a value under a name, in place of the one before.

    Raises BadInput for a name or a value that is none, NotPossible without a vault or where it is off, VaultLocked,
    VaultDamaged.
    """
    writable(context)
    vault.check_on(context)
    _check_name(name)
    plain = _checked_value(value)
    box = vault.opened(context)
    context.machine.on_secret(value)

    def work(tx: Tx) -> SecretRow:
        if store.read(tx) != box.row:
            raise TryAgain("the vault was changed meanwhile; try again")
        version = 1 + max(_version(store.secret(tx, name)), _recorded_version(tx, name))
        now_ms = context.clock.now_ms()
        row = SecretRow(name, version, box.row.key_version, box.seal(context, name, version, plain), now_ms, now_ms)
        store.put(tx, row)
        audit.append(tx, now_ms, context.actor, _SET, f"secret:{name}", {"version": version})
        return row

    return _info(context, name, context.database.write(work), uses(context.settings))


def delete_secret(context: Context, name: str) -> None:
    """Forget a secret. Raises NotFound."""
    writable(context)
    # What is no name may be a value that was given at the wrong place: it is not repeated.
    called = repr(name) if secrets_env.is_reference(f"secret:{name}") else "of that name"

    def work(tx: Tx) -> None:
        if name.startswith(".") or not store.delete(tx, name):
            raise NotFound(f"the vault holds no secret {called}; 'chronos secret list' shows them")
        audit.append(tx, context.clock.now_ms(), context.actor, _DELETED, f"secret:{name}", {})

    context.database.write(work)


def listing(context: Context) -> list[SecretInfo]:
    """Return every secret that the vault holds or the configuration names, by name. Opens nothing."""
    rows = {row.name: row for row in context.database.read(store.secrets) if not row.name.startswith(".")}
    used = uses(context.settings)
    return [_info(context, name, rows.get(name), used) for name in sorted({*rows, *used})]


def revision(context: Context) -> object:
    """Return a word that differs once any secret was stored or deleted, or the vault was changed."""
    return context.database.read(store.revision)


def look_up(context: Context, reference: str) -> str:
    """Return the secret that "secret:NAME" refers to: from the environment, else its file, else the vault.

    It is handed to `machine.on_secret`, so that logs can hide it.
    Raises SecretMissing when nothing provides it, VaultLocked when the vault cannot be opened now, VaultDamaged.
    """
    env, on_secret = context.machine.env, context.machine.on_secret
    if _from_environment(reference, env):
        return secrets_env.lookup(reference, env, on_secret)
    value = _from_vault(context, reference.partition(":")[2])
    on_secret(value)
    return value


def _from_vault(context: Context, name: str) -> str:
    row = context.database.read(lambda tx: store.secret(tx, name))
    variable = secrets_env.variable(f"secret:{name}")
    if row is None:
        raise SecretMissing(
            f"secret:{name}: not set; 'chronos secret set {name}' stores it; or set {variable}, or {variable}_FILE to "
            "a file that holds it"
        )
    try:
        return vault.opened(context).unseal(row).decode()
    except NotPossible as error:
        raise SecretMissing(f"secret:{name}: {error}; or set {variable}") from error
    except VaultLocked as error:
        raise VaultLocked(f"secret:{name}: {error}") from error


def check(context: Context) -> list[SecretCheck]:
    """Open every secret that there is, and say of every one that is referred to whether it can be had.

    Also compares with the audit log: what was put back from an older copy, brought back or taken out is found. Removes
    a root key that a killed rotation left behind.
    """
    with suppress(VaultLocked, NotPossible):  # the leftover key does no harm; the next check tries again
        rotating.tidy(context)
    found = list(_vault_checks(context))
    names = {one.name for one in found}
    for info in listing(context):
        if info.where == MISSING and info.name not in names:
            problem = f"used by {', '.join(info.used_by)} and nothing provides it; 'chronos secret set {info.name}'"
            found.append(SecretCheck(info.name, MISSING, ok=False, problem=problem))
        elif info.where == ENVIRONMENT:
            found.append(_environment_check(context, info.name))
    return sorted(found, key=lambda one: (one.name != "vault", one.name))


def _vault_checks(context: Context) -> Iterator[SecretCheck]:
    row = context.database.read(store.read)
    stored = context.database.read(store.secrets)
    if row is None and not stored:
        return
    problem = vault.reachable(context) or (row and vault.mismatch(context, row)) or ""
    if row is None:
        problem = "secrets are stored and the vault's own row is gone: it was removed"
    if not context.settings.security["encryption_enabled"]:
        problem = vault.OFF
    yield SecretCheck("vault", VAULT, ok=not problem, problem=problem)
    box = None
    with suppress(ChronosError):  # said above, once
        box = vault.opened(context)
    for secret in stored:
        words = _problem(context, box, secret)
        name = _SIGNING_KEY_WORDS if secret.name == vault.SIGNING_KEY else secret.name
        yield SecretCheck(name, VAULT, ok=not words, problem=words)
    there = {secret.name for secret in stored}
    for name in context.database.read(store.recorded_names):
        word = _recorded(context, name)
        if name not in there and word is not None and word[0] == _SET:
            yield SecretCheck(name, VAULT, ok=False, problem=f"secret {name} was stored and is gone: it was removed")


def _problem(context: Context, box: vault.Opened | None, secret: SecretRow) -> str:
    if box is None:
        return "the vault cannot be opened"
    try:
        box.unseal(secret)
    except ChronosError as error:
        return str(error)
    if secret.name.startswith("."):
        return ""
    word = _recorded(context, secret.name)
    if word is not None and word[0] == _DELETED:
        return f"secret {secret.name} was deleted and is back: it was put back from an older copy"
    if word is not None and word[1].get("version") != secret.version:
        return (
            f"secret {secret.name} is version {secret.version} and the audit log's newest is "
            f"{word[1].get('version')}: it was put back from an older copy"
        )
    return ""


def _environment_check(context: Context, name: str) -> SecretCheck:
    reference = f"secret:{name}"
    try:
        secrets_env.lookup(reference, context.machine.env, context.machine.on_secret)
    except SecretMissing as error:
        return SecretCheck(name, ENVIRONMENT, ok=False, problem=str(error))
    return SecretCheck(name, ENVIRONMENT, ok=True, problem="")


def _check_name(name: str) -> None:
    """Refuse what is no name, without repeating it: it may be a value that was given at the wrong place."""
    if not secrets_env.is_reference(f"secret:{name}"):
        raise BadInput(
            "this is no name for a secret: letters, digits, - _ . (not first or last), at most 64 characters"
        )


def _checked_value(value: str) -> bytes:
    if not value:
        raise BadInput("the value is empty; nothing was stored")
    if "\0" in value:
        raise BadInput("the value holds a NUL, which no header, URL or password can carry; nothing was stored")
    try:
        plain = value.encode()
    except UnicodeEncodeError as error:
        raise BadInput("the value is not UTF-8 text; nothing was stored") from error
    if len(plain) > secrets_env.MAX_SECRET_BYTES:
        raise BadInput(f"the value is larger than {secrets_env.MAX_SECRET_BYTES // 1024} KiB; nothing was stored")
    return plain


def _version(row: SecretRow | None) -> int:
    return 0 if row is None else row.version


def _recorded_version(tx: Tx, name: str) -> int:
    """Return the newest version that the audit log knows, also of one that was deleted since; 0 without."""
    word = store.last_word(tx, f"secret:{name}", (_SET,))
    version = 0 if word is None else word[1].get("version")
    return version if isinstance(version, int) else 0  # else tampered with: verification says so


def _recorded(context: Context, name: str) -> tuple[str, dict[str, Any]] | None:
    return context.database.read(lambda tx: store.last_word(tx, f"secret:{name}", (_SET, _DELETED)))


def _from_environment(reference: str, env: Mapping[str, str]) -> bool:
    if not secrets_env.is_reference(reference):
        return False  # put into the table by another hand: still to be listed
    name = secrets_env.variable(reference)
    return bool(env.get(name) or env.get(f"{name}_FILE"))


def _info(context: Context, name: str, row: SecretRow | None, used: Mapping[str, tuple[str, ...]]) -> SecretInfo:
    env = context.machine.env
    where = ENVIRONMENT if _from_environment(f"secret:{name}", env) else VAULT if row is not None else MISSING
    version, updated_ms = (None, None) if row is None else (row.version, row.updated_ms)
    return SecretInfo(name, where, version, updated_ms, used.get(name, ()))


def uses(settings: Settings) -> dict[str, tuple[str, ...]]:
    """Return which keys of the configuration refer to each secret, by its name."""
    places: list[tuple[str, Any]] = [
        (section, getattr(settings, section)) for section in ("smtp", "telegram", "sources", "schedules", "backup")
    ]
    for name, target in settings.targets.items():
        places.append((f"targets.{name}", target.options))
        places.append((f"targets.{name}.headers", dict(target.headers)))
    found: dict[str, list[str]] = {}
    for place, value in places:
        for key, text in _strings(place, value):
            if secrets_env.is_reference(text):
                found.setdefault(text.partition(":")[2], []).append(key)
    return {name: tuple(sorted(set(keys))) for name, keys in found.items()}


def _strings(place: str, value: Any) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield place, value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _strings(f"{place}.{key}", item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(place, item)
