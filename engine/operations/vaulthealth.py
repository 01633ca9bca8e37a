"""What health and doctor say of the vault: quickly, and by opening everything. Mends nothing."""

from __future__ import annotations

from engine.errors import ChronosError, VaultLocked
from engine.operations import secrets, vault
from engine.operations.context import Context
from engine.operations.health import Check, Level
from engine.operations.vault import Provider, VaultState

_ADVICE = "'chronos doctor --fix' mends modes; a recovery kit brings a lost root key back"


def checks(context: Context) -> list[Check]:
    """Return where the root key lies and whether every secret that is referred to is provided. Asks no keyring.

    A keyring may take 5 s and a passphrase half a second: what asks them is `deep`, and the engine's own upkeep.
    """
    return [_root_key(context), _provided(context)]


def _root_key(context: Context) -> Check:
    found = vault.state(context)
    if not context.settings.security["encryption_enabled"]:
        return Check("root_key", Level.OK, "the vault is off; secrets come from the environment alone")
    if found is None:
        return Check("root_key", Level.OK, "no vault; secrets come from the environment alone")
    value = f"{found.words}, root key {found.root_id}"
    if not _cheap(context, found):
        return Check("root_key", Level.OK, value)
    problem = vault.reachable(context)
    if problem is None:
        return Check("root_key", Level.OK, value)
    return Check("root_key", Level.CRITICAL, f"{value}: {problem}", _ADVICE)


def _cheap(context: Context, found: VaultState) -> bool:
    """Whether opening is a matter of reading a file, or was done before. A shell is handed no credentials."""
    if "vault" in context.kept or found.provider == Provider.FILE:
        return True
    return found.provider == Provider.CREDENTIAL and bool(context.machine.env.get("CREDENTIALS_DIRECTORY"))


def _provided(context: Context) -> Check:
    listing = secrets.listing(context)
    missing = [one for one in listing if one.where == secrets.MISSING]
    if missing:
        words = "; ".join(f"{one.name} (used by {', '.join(one.used_by)})" for one in missing[:10])
        return Check("secrets", Level.WARNING, f"missing: {words}", f"'chronos secret set {missing[0].name}'")
    stored = sum(one.version is not None for one in listing)
    outside = sum(one.where == secrets.ENVIRONMENT for one in listing)
    return Check("secrets", Level.OK, f"{stored} in the vault, {outside} in the environment")


def deep(context: Context) -> list[Check]:
    """Open everything. May take 5 s where a keyring does not answer."""
    if vault.state(context) is None:
        return []
    try:
        vault.opened(context)
    except VaultLocked as error:
        return [Check("vault", Level.UNKNOWN, str(error), "'chronos secret check' once it can be opened")]
    except ChronosError as error:
        return [Check("vault", Level.CRITICAL, str(error), _ADVICE)]
    bad = [one.problem for one in secrets.check(context) if not one.ok and one.where != secrets.MISSING]
    if bad:
        return [Check("vault", Level.CRITICAL, "; ".join(bad)[:500], "'chronos secret set' stores a new value")]
    return [Check("vault", Level.OK, "every secret opens")]
