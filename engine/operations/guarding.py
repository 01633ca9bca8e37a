"""What the owner looks at now and then and makes incidents of: files, clock, vault, secrets, audit log. Mends nothing.

A finding is one incident for as long as it is found, not one more count a look; it ends when it is no longer found.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from engine.errors import NotPossible, VaultDamaged, VaultLocked
from engine.operations import alerting, configwatch, incidents
from engine.operations.context import Context
from engine.rules.durations import format_duration, rfc3339
from engine.rules.incidents import MANY, MOST_SUBJECTS, SEVERITIES, Kind, Severity, worse
from engine.store import audit
from engine.store import incidents as store
from engine.store.audit import Span
from engine.store.tx import Tx

CLOCK_JUMP_MS = 60_000
"""More than NTP slews away or a busy machine delays a look, less than signatures or backoff would notice much of."""

VERIFY_EVERY_MS = 86_400_000
_PACE_S = 0.002
_KEYRING_EVERY_MS = 10 * 60_000
"""Asking a keyring costs a process of 0.3 s each time; a file or a credential costs nothing."""


class Finding(NamedTuple):
    """What is wrong with one subject. severity None: as usual for the kind."""

    words: str
    severity: Severity | None = None


def chores() -> tuple[tuple[int, Callable[[Context], object]], ...]:
    """Return what the upkeep thread is to do, and every how many seconds."""
    return (
        (5, incidents.flush),
        (60, clock),
        (60, permissions),
        (60, configwatch.watch),
        (60, root_key),
        (60, alerting.tell_untold),
        (3_600, secrets),
        (3_600, audit_log),
        (3_600, incidents.retain),
    )


def reconcile(context: Context, kind: Kind, findings: Mapping[str, Finding], gone: str) -> None:
    """Let the incidents of a kind be what was found just now. gone: the note of one that is found no longer.

    Writes nothing where nothing changed.
    """
    shown = dict(list(findings.items())[:MOST_SUBJECTS])
    if len(findings) > len(shown):
        shown[MANY] = Finding(f"and {len(findings) - len(shown)} more")
    known = {one.subject: one for one in context.database.read(lambda tx: store.active_of(tx, kind))}
    new = {of: one for of, one in shown.items() if of not in known or _differs(kind, one, known[of])}
    over = [of for of in known if of not in shown]
    if not new and not over:
        return

    def work(tx: Tx) -> None:
        for of in over:
            incidents.settle(tx, context, kind, of, gone)
        for of, one in new.items():
            incidents.raise_incident(tx, context, kind, of, one.words, severity=one.severity)

    context.database.write(work)


def _differs(kind: Kind, found: Finding, known: store.Incident) -> bool:
    """Whether it says something else than the incident that there is, or is worse."""
    severity = found.severity or SEVERITIES[kind]
    return known.detail != incidents.said(found.words) or worse(severity, Severity(known.severity))


def permissions(context: Context) -> None:
    """Look at the modes of everything that only we should read or change."""
    from engine.host.exposure import exposed
    from engine.operations.backup import backups

    if context.machine.paths is None:
        return
    paths = context.machine.paths._replace(backups=backups.folder(context))
    found = {
        str(one.path): Finding(f"{one.words}; '{one.mend}'", Severity.CRITICAL if one.grave else None)
        for one in exposed(paths)
    }
    reconcile(context, Kind.PERMISSIONS, found, "nobody else may read or change it any more")


def clock(context: Context) -> None:
    """Compare how far both clocks went since the last look. The dispatcher mends what a jump back would have parked."""
    now = (context.clock.now_ms(), context.clock.monotonic_ms())
    last = context.kept.get("guarding.clock")
    context.kept["guarding.clock"] = now
    if last is None:
        return
    moved_ms = (now[0] - last[0]) - (now[1] - last[1])
    if abs(moved_ms) <= CLOCK_JUMP_MS:
        return
    way = "forwards" if moved_ms > 0 else "back"
    words = f"it went {way} by {format_duration(abs(moved_ms))}: {rfc3339(now[0] - moved_ms)} became {rfc3339(now[0])}"
    incidents.report(context, Kind.CLOCK_JUMP, "clock", words)


def root_key(context: Context) -> None:
    """Ask for the root key where it should be; what is missing at two looks in a row is an incident."""
    from engine.operations import vault

    state = vault.state(context)
    if state is None or not context.settings.security["encryption_enabled"]:
        reconcile(context, Kind.ROOT_KEY_MISSING, {}, "there is no vault to open")
        return
    now_ms = context.clock.monotonic_ms()
    if state.provider is vault.Provider.KEYRING and now_ms < context.kept.get("guarding.keyring", 0):
        return
    context.kept["guarding.keyring"] = now_ms + _KEYRING_EVERY_MS
    trouble = _vault_trouble(context)
    before = context.kept.get("guarding.vault")
    context.kept["guarding.vault"] = trouble
    if trouble is None:
        reconcile(context, Kind.ROOT_KEY_MISSING, {}, "the vault can be opened")
    elif before is not None:
        reconcile(context, Kind.ROOT_KEY_MISSING, {state.provider.value: Finding(trouble)}, "another provider is asked")


def _vault_trouble(context: Context) -> str | None:
    """Say why the vault could not be opened if this process began anew; None when it could."""
    from engine.operations import vault
    from engine.store import vault as vault_store

    row = context.database.read(vault_store.read)
    if row is None or row.provider == vault.Provider.PASSPHRASE:
        return vault.reachable(context)  # what was typed once is not asked for again
    try:
        vault.unwrap(vault.root_of(context, row, None), row)
    except (VaultLocked, VaultDamaged, NotPossible) as error:
        return str(error)
    return None


def secrets(context: Context) -> None:
    """Open every secret of the vault; what is sealed and cannot be opened, or was put back, is an incident."""
    from engine.operations import secrets as sealed
    from engine.operations import vault

    if vault.state(context) is not None and vault.reachable(context) is not None:
        return  # one incident tells of that: the vault's
    found = {
        one.name: Finding(one.problem, Severity.CRITICAL if one.name == "vault" else None)
        for one in sealed.check(context)
        if not one.ok and one.where == sealed.VAULT
    }
    reconcile(context, Kind.SECRET_UNREADABLE, found, "it can be opened")


# The audit log


def audit_log(context: Context) -> None:
    """Verify the whole log once a day, in slices and at a pace that leaves the others their turn; a new log when it is
    a day old.
    """
    from engine.operations import verifying

    now_ms = context.clock.now_ms()
    if rfc3339(now_ms - VERIFY_EVERY_MS) < context.database.read(_verified) <= rfc3339(now_ms):
        return
    result = verifying.verify(context, lambda _done, _total: time.sleep(_PACE_S))  # makes the incident, or ends it
    detail = {"ok": result.ok, "entries": result.entries, "head_seq": result.head_seq}
    context.database.write(
        lambda tx: audit.append(tx, context.clock.now_ms(), store.ENGINE, "audit.verified", "audit", detail)
    )


def _verified(tx: Tx) -> str:
    """Return when the log was verified last; before the first time, when it began."""
    last = audit.newest_of(tx, "audit.verified")
    mark = audit.pruned_seq(tx)
    found = last or next(iter(audit.walk(tx, Span(mark, mark + 2), [], upwards=True)), None)
    # One that somebody tampered with says nothing, and then the log is verified at once.
    return "" if found is None else str(audit.fields_of(found.body).get("at", ""))
