"""What the engine knows of its own condition, each fact with what to do about it. Never blocks deliveries."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from engine.host.paths import Paths
from engine.model import State
from engine.operations import reading
from engine.operations.context import Context
from engine.operations.situation import Situation
from engine.rules.durations import format_duration, format_size, rfc3339
from engine.store import incidents, leader, messages

_LATE_WARNING_MS = 5 * 60_000
_LATE_CRITICAL_MS = 60 * 60_000
_HEARTBEAT_LATE_MS = 30_000
_WAL_WARNING_BYTES = 256 * 1024 * 1024
_FREE_WARNING = 0.10
_FREE_CRITICAL = 0.05
_MOST_PATHS = 5
_SQLITE_FIXED = ((3, 51, 3), (3, 50, 7), (3, 44, 6))
"""Versions with the fix of the WAL-reset race (sqlite.org, "WAL-reset bug"); 3.50 and 3.44 got it back-ported."""


class Level(StrEnum):
    """How a check stands. `unknown`: it could not be made, which is not the same as healthy."""

    OK = "ok"
    WARNING = "warning"
    CRITICAL = "critical"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Check:
    """One check: its value in words, and what to do when it is not ok."""

    name: str
    level: Level
    value: str
    advice: str = ""


def status(now: Situation) -> dict[str, Any]:
    """Return the situation in one document; times in RFC 3339."""
    return {
        "instance": now.instance,
        "engine": _engine(now),
        "counts": dict(now.counts),
        "oldest_due": _time(now.oldest_due_ms),
        "holds": [
            {"scope": hold.scope, "until": rfc3339(hold.until_ms), "reason": hold.reason, "by": hold.actor}
            for hold in now.holds
        ],
        "targets_in_trouble": dict(now.troubles),
        "incidents": [
            {
                "id": one.id,
                "severity": one.severity,
                "state": one.state,
                "kind": one.kind,
                "subject": one.subject,
                "detail": one.detail,
                "last": rfc3339(one.last_ms),
                "count": one.count,
            }
            for one in now.incidents
        ],
        "audit": {"seq": now.audit_seq, "hash": now.audit_hash},
        "degraded": now.degraded,
    }


def _engine(now: Situation) -> dict[str, Any]:
    row = now.leader
    if now.owner is None:
        return {
            "running": False,
            "pid": None,
            "mode": None,
            "epoch": row.epoch,
            "last_heartbeat": _time(row.heartbeat_ms),
            "http": None,
        }
    return {
        "running": True,
        "pid": now.owner.pid,
        "mode": now.owner.mode or None,
        "epoch": row.epoch,
        "state": row.state,
        "version": row.version,
        "started": _time(row.started_ms),
        "last_heartbeat": _time(row.heartbeat_ms),
        "http": row.http or None,
    }


def _time(ms: int | None) -> str | None:
    return rfc3339(ms) if ms else None


def checks(context: Context, paths: Paths, owner: dict[str, Any] | None, env: Mapping[str, str]) -> list[Check]:
    """Make every quick check."""
    from engine.operations import checkpointing, listening

    return [
        *_engine_checks(context, owner),
        listening.check(context, owner),
        *_outbox_checks(context),
        *_target_checks(context),
        *_database_checks(context),
        _disk_check(paths),
        _permission_check(_with_folder(context, paths)),
        _incident_check(context),
        *_vault_checks(context),
        checkpointing.check(context),
        *_backup_checks(context),
        *_config_checks(context, env),
    ]


def _vault_checks(context: Context) -> list[Check]:
    from engine.operations import vaulthealth

    return vaulthealth.checks(context)


def _backup_checks(context: Context) -> list[Check]:
    from engine.operations.backup import backuphealth

    return backuphealth.checks(context)


def _engine_checks(context: Context, owner: dict[str, Any] | None) -> list[Check]:
    if owner is None:
        advice = "start it: 'chronos-tui --engine-only', or the systemd unit"
        return [Check("engine", Level.WARNING, "nobody delivers: messages are taken and wait", advice)]
    row = context.database.read(leader.read)
    silent_ms = context.clock.now_ms() - row.heartbeat_ms
    value = (
        f"pid {owner.get('pid', '?')} ({owner.get('mode', '?')}), heartbeat {format_duration(max(0, silent_ms))} ago"
    )
    if silent_ms > _HEARTBEAT_LATE_MS:
        return [Check("engine", Level.CRITICAL, value, "the engine hangs or the disk does; look at 'chronos log'")]
    return [Check("engine", Level.OK, value)]


def _outbox_checks(context: Context) -> list[Check]:
    now_ms = context.clock.now_ms()
    counts, oldest_ms = context.database.read(lambda tx: (messages.counts(tx), reading.oldest_due_ms(tx, now_ms)))
    found = []
    for state, advice in (
        (
            State.DEAD,
            "'chronos outbox list --state dead' says why; 'chronos outbox retry --filter state:dead' sends them again",
        ),
        (State.UNCERTAIN, "'chronos outbox list --state uncertain'; then resend or settle each one"),
    ):
        n = counts[state.value]
        found.append(Check(f"outbox_{state.value}", Level.WARNING if n else Level.OK, str(n), advice if n else ""))
    late_ms = now_ms - oldest_ms if oldest_ms is not None else 0
    level = Level.CRITICAL if late_ms > _LATE_CRITICAL_MS else Level.WARNING if late_ms > _LATE_WARNING_MS else Level.OK
    value = f"oldest due {format_duration(late_ms)} ago" if oldest_ms is not None else "nothing is late"
    advice = "'chronos outbox explain ID' says what it waits for" if level != Level.OK else ""
    return [*found, Check("outbox_lag", level, value, advice)]


def _target_checks(context: Context) -> list[Check]:
    found = []
    for target in reading.targets(context):
        if target.trouble is None:
            found.append(Check(f"target:{target.spec.name}", Level.OK, "open"))
        else:
            name = target.spec.name
            advice = f"'chronos target test {name}' tries it; 'chronos target enable {name}' opens it again"
            found.append(Check(f"target:{name}", Level.WARNING, target.trouble, advice))
    return found


def _database_checks(context: Context) -> list[Check]:
    database = context.database
    if database.degraded:
        state = Check(
            "database", Level.CRITICAL, "DEGRADED: a write failed; nothing is acknowledged", "'chronos doctor --fix'"
        )
    else:
        state = Check("database", Level.OK, "WAL, synchronous=FULL")
    version = sqlite3.sqlite_version_info
    fixed = version >= _SQLITE_FIXED[0] or any(version[:2] == v[:2] and version >= v for v in _SQLITE_FIXED[1:])
    words = "" if fixed else " (has the WAL-reset race; only the engine's owner checkpoints, which avoids it)"
    wal_bytes = database.wal_bytes
    wal_level = Level.WARNING if wal_bytes > _WAL_WARNING_BYTES else Level.OK
    return [
        state,
        Check("sqlite", Level.OK, f"{sqlite3.sqlite_version}{words}"),
        Check(
            "wal",
            wal_level,
            format_size(wal_bytes),
            "a reader holds it open, or nobody delivers" if wal_level != Level.OK else "",
        ),
    ]


def _disk_check(paths: Paths) -> Check:
    try:
        usage = shutil.disk_usage(paths.data_dir)
    except OSError as error:
        return Check("disk", Level.UNKNOWN, str(error.strerror), "check the mount of the data directory")
    share = usage.free / usage.total if usage.total else 0.0
    level = Level.CRITICAL if share < _FREE_CRITICAL else Level.WARNING if share < _FREE_WARNING else Level.OK
    value = f"{format_size(usage.free)} free of {format_size(usage.total)} ({share:.0%})"
    return Check("disk", level, value, "free some space: nothing is taken on a full disk" if level != Level.OK else "")


def _with_folder(context: Context, paths: Paths) -> Paths:
    """Return the paths with the backups where the configuration has them."""
    from engine.operations.backup import backups

    return paths if context.machine.paths is None else paths._replace(backups=backups.folder(context))


def _permission_check(paths: Paths) -> Check:
    from engine.host.exposure import exposed

    found = exposed(paths)
    if not found:
        return Check("permissions", Level.OK, "nobody else may read or change our files")
    words = "; ".join(f"{one.path} {one.words}" for one in found[:_MOST_PATHS])
    more = f"; and {len(found) - _MOST_PATHS} more" if len(found) > _MOST_PATHS else ""
    return Check("permissions", Level.CRITICAL, words + more, f"'chronos doctor --fix', or '{found[0].mend}'")


def _incident_check(context: Context) -> Check:
    counts = context.database.read(incidents.severities)
    waiting = [(severity, n) for severity, state, n in counts if state == "open"]
    seen = sum(n for _severity, state, n in counts if state == "acknowledged")
    words = ", ".join(f"{n} {severity}" for severity, n in waiting) or "none open"
    if seen:
        words += f", {seen} acknowledged"
    severities = {severity for severity, _n in waiting}
    if not severities & {"critical", "high"}:
        return Check("incidents", Level.OK, words, "'chronos incident list'" if waiting or seen else "")
    level = Level.CRITICAL if "critical" in severities else Level.WARNING
    return Check("incidents", level, words, "'chronos incident list', then 'chronos incident show N' says what to do")


def _config_checks(context: Context, env: Mapping[str, str]) -> list[Check]:
    from engine.host.config.checks import warnings

    found = warnings(context.settings)
    if not found:
        return [Check("config", Level.OK, context.settings.environment)]
    return [Check("config", Level.WARNING, words, "'chronos config path' names the file") for words in found]
