"""What health and /metrics say of backups: when a restore was last proven, where copies lie. Reads rows, no file."""

from __future__ import annotations

from typing import NamedTuple

from engine.host.zone import local
from engine.operations.context import Context
from engine.operations.health import Check, Level
from engine.rules.backups import Proof
from engine.rules.cron import next_after
from engine.rules.durations import format_duration, rfc3339
from engine.store import backupkeeping, copies
from engine.store.copies import CopyState
from engine.store.tx import Tx

GRACE_MS = 3_600_000
"""How long after its time the first backup may be under way."""

_DAY_MS = 86_400_000
_ADVICE = "'chronos backup create' makes one now; 'chronos backup list' shows those that there are, and why not"


def checks(context: Context) -> list[Check]:
    """Return both."""
    return [proven(context), copied(context)]


class _Facts(NamedTuple):
    """found: the newest backup that was proven. since_ms: when this database learnt to be backed up."""

    found: backupkeeping.Proven | None
    newest: tuple[str, str, str] | None
    since_ms: int


def _facts(context: Context) -> _Facts:
    now_ms = context.clock.now_ms()

    def work(tx: Tx) -> _Facts:
        return _Facts(backupkeeping.proven(tx, now_ms), backupkeeping.newest(tx), backupkeeping.since_ms(tx))

    return context.database.read(work)


def proven(context: Context) -> Check:
    """Say when a restore was last proven. The level goes by the age of what was proven, not of the proof: a backup of
    last year that is drilled today would still lose a year.

    Before the first one it is unknown, which is not healthy and no alarm, until the schedule's first time is past.
    """
    name = "backup_proven"
    facts = _facts(context)
    if facts.found is None:
        level, value = _never(context, facts)
        return Check(name, level, value, _ADVICE)
    now_ms = context.clock.now_ms()
    age_ms = now_ms - facts.found.taken_ms
    value = f"last proven restore: {format_duration(max(0, now_ms - facts.found.proven_ms))} ago"
    if age_ms - max(0, now_ms - facts.found.proven_ms) > GRACE_MS:
        value += f", of a backup that is {format_duration(age_ms)} old"
    monitoring = context.settings.monitoring
    if age_ms > monitoring["backup_age_critical_ms"]:
        return Check(name, Level.CRITICAL, value + _newest_words(facts), _ADVICE)
    if age_ms > monitoring["backup_age_warning_ms"]:
        return Check(name, Level.WARNING, value + _newest_words(facts), _ADVICE)
    return Check(name, Level.OK, value)


def _newest_words(facts: _Facts) -> str:
    """Say why the newest one does not count."""
    if facts.newest is None or facts.newest[1] == Proof.PROVEN.value:
        return ""
    _name, proof, detail = facts.newest
    return f"; the newest is {proof}{f' ({detail[:200]})' if detail else ''}"


def _never(context: Context, facts: _Facts) -> tuple[Level, str]:
    now_ms = context.clock.now_ms()
    words = f"no restore was ever proven{_newest_words(facts)}"
    due_ms = _first_ms(context, facts.since_ms)
    if due_ms is None:
        return (
            Level.WARNING if now_ms - facts.since_ms > _DAY_MS else Level.UNKNOWN
        ), f"{words}; no backup is scheduled"
    late_ms = now_ms - due_ms
    if late_ms <= GRACE_MS:
        when = f"due in {format_duration(-late_ms)}" if late_ms < 0 else "under way"
        return Level.UNKNOWN, f"{words}; the first backup is {when}"
    level = Level.CRITICAL if late_ms > context.settings.monitoring["backup_age_critical_ms"] else Level.WARNING
    return level, f"{words}; the first backup was due {format_duration(late_ms)} ago"


def _first_ms(context: Context, since_ms: int) -> int | None:
    """Return the schedule's first time after the beginning; None while nothing is scheduled."""
    words = context.settings.backup["schedule"]
    if words == "off" or not context.settings.database["backup_enabled"]:
        return None
    return next_after(words, since_ms, local(context.machine.env))


def since_words(context: Context) -> str:
    """Say in words that stay the same what `proven` complains of."""
    facts = _facts(context)
    if facts.found is None:
        return f"no restore was ever proven{_newest_words(facts)}"
    taken = rfc3339(facts.found.taken_ms)
    return f"the newest proven backup is of {taken}{_newest_words(facts)}"


def copied(context: Context) -> Check:
    """Say whether the newest backup lies at every place off the box."""
    name = "backup_copies"
    wanted = context.settings.backup["copy_to"]
    if not wanted:
        return Check(name, Level.OK, "none are configured: every backup lies on this box alone")
    standing = {one.destination: one for one in context.database.read(copies.standing)}
    missing = [place for place in wanted if place not in standing]
    behind = [one for place, one in standing.items() if place in wanted and one.state is not CopyState.COPIED]
    late = [one for one in behind if one.attempts]
    advice = "'chronos backup show FILE' has each copy's state; the engine goes on trying"
    if late:
        words = "; ".join(f"{one.destination}: {one.detail or one.state.value}" for one in late)[:300]
        return Check(name, Level.WARNING, f"{len(late)} of {len(wanted)} places behind: {words}", advice)
    if missing:
        return Check(name, Level.UNKNOWN, f"nothing was copied to {', '.join(missing)[:300]} yet", advice)
    value = f"the newest backup lies at {len(wanted) - len(behind)} of {len(wanted)} places"
    return Check(name, Level.OK, value + (f", {len(behind)} under way" if behind else ""))


class Figures(NamedTuple):
    """For /metrics. proofs, copies: how many there are of each word, also where there are none."""

    proven: backupkeeping.Proven | None
    proofs: dict[str, int]
    copies: dict[str, int]
    size_bytes: int


def figures(context: Context, now_ms: int) -> Figures:
    """Return them from one snapshot."""

    def work(tx: Tx) -> Figures:
        proofs, states = backupkeeping.proofs(tx), backupkeeping.copy_states(tx)
        return Figures(
            backupkeeping.proven(tx, now_ms),
            {one.value: proofs.get(one.value, 0) for one in Proof},
            {one.value: states.get(one.value, 0) for one in CopyState},
            backupkeeping.size_bytes(tx),
        )

    return context.database.read(work)
