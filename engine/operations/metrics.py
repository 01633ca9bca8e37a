"""Chronos in figures, in Prometheus' text format 0.0.4. Reads; knows no HTTP."""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Iterable, Mapping
from datetime import UTC
from typing import NamedTuple

from engine import __version__
from engine.errors import Sent
from engine.model import DELIVERED
from engine.operations import checkpointing, incidents
from engine.operations.context import Context
from engine.operations.situation import situation
from engine.rules.durations import parse_time_ms
from engine.rules.incidents import Severity

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
_MOST_INCIDENTS = 1_000

Labels = tuple[tuple[str, str], ...]


class Sample(NamedTuple):
    """One value. suffix: "_sum" or "_count" of a summary."""

    value: float
    labels: Labels = ()
    suffix: str = ""


class Family(NamedTuple):
    """All samples of one name. kind: counter, gauge or summary."""

    name: str
    kind: str
    help: str
    samples: tuple[Sample, ...]


def gauge(name: str, words: str, value: float) -> Family:
    return Family(name, "gauge", words, (Sample(value),))


def labelled(kind: str, name: str, words: str, label: str, values: Mapping[str, float]) -> Family:
    """Return a family with one label."""
    return Family(name, kind, words, tuple(Sample(value, ((label, key),)) for key, value in values.items()))


def render(families: Iterable[Family]) -> str:
    """Return the exposition. A family without samples is left out."""
    lines: list[str] = []
    for family in families:
        if not family.samples:
            continue
        escaped = family.help.replace("\\", "\\\\").replace("\n", "\\n")
        lines += [f"# HELP {family.name} {escaped}", f"# TYPE {family.name} {family.kind}"]
        lines += [f"{family.name}{one.suffix}{_labels(one.labels)} {_number(one.value)}" for one in family.samples]
    return "\n".join(lines) + "\n"


def _labels(labels: Labels) -> str:
    if not labels:
        return ""
    return "{" + ",".join(f'{name}="{_escaped(value)}"' for name, value in labels) + "}"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    return str(int(value)) if value == int(value) else repr(value)


def of_outbox(context: Context) -> list[Family]:
    """Return what the database knows: messages, targets, holds, incidents, the audit log. One short read or three."""
    now_ms = context.clock.now_ms()
    now = situation(context, None, here=True)
    late_ms = 0 if now.oldest_due_ms is None else max(0, now_ms - now.oldest_due_ms)
    versions = (("version", __version__), ("python", platform.python_version()))
    opened = {name: float((spec.lane or name) not in now.troubles) for name, spec in context.settings.targets.items()}
    worst = Counter(str(one.severity) for one in incidents.listing(context, limit=_MOST_INCIDENTS))
    return [
        Family("chronos_build_info", "gauge", "Always 1; what runs is in the labels.", (Sample(1, versions),)),
        labelled("gauge", "chronos_outbox_messages", "Messages by state.", "state", now.counts),
        gauge(
            "chronos_outbox_oldest_due_seconds", "How long the message that waits longest is overdue.", late_ms / 1000
        ),
        labelled("gauge", "chronos_target_open", "1 where messages may leave, 0 where not.", "target", opened),
        gauge("chronos_holds", "Holds in force.", len(now.holds)),
        labelled(
            "gauge",
            "chronos_incidents_open",
            "Incidents that are not resolved.",
            "severity",
            {one.value: worst[one.value] for one in Severity},
        ),
        gauge("chronos_audit_entries", "Number of the audit log's last entry.", now.audit_seq),
        _checkpoint_age(context, now_ms),
        *_of_backups(context, now_ms),
        gauge("chronos_degraded", "1 after a write failed: nothing is taken.", now.degraded),
    ]


def _checkpoint_age(context: Context, now_ms: int) -> Family:
    """Without a sample before the first checkpoint: 0 would mean that one was made just now."""
    newest = checkpointing.newest(context)
    age_ms = None if newest is None else max(0, now_ms - parse_time_ms(newest.at, now_ms, UTC))
    samples = () if age_ms is None else (Sample(age_ms / 1000),)
    return Family("chronos_audit_checkpoint_age_seconds", "gauge", "Age of the audit log's newest checkpoint.", samples)


def _of_backups(context: Context, now_ms: int) -> list[Family]:
    """Ages without a sample before the first proven one: 0 would mean that one was proven just now."""
    from engine.operations.backup import backuphealth

    found = backuphealth.figures(context, now_ms)
    last = found.proven
    ages = (
        ("chronos_backup_last_proven_age_seconds", "Age of the newest backup that was proven.", last and last.taken_ms),
        ("chronos_backup_last_proof_age_seconds", "How long ago a drill restored it.", last and last.proven_ms),
    )
    return [
        *(
            Family(name, "gauge", words, () if at_ms is None else (Sample(max(0, now_ms - at_ms) / 1000),))
            for name, words, at_ms in ages
        ),
        labelled(
            "gauge", "chronos_backups", "Backups that lie here, by what their last drill said.", "proof", found.proofs
        ),
        labelled("gauge", "chronos_backup_copies", "Copies off the box, by state.", "state", found.copies),
        gauge("chronos_backup_bytes", "Size of all backups that lie here.", found.size_bytes),
    ]


def of_attempts(attempts: Mapping[str, int]) -> list[Family]:
    """Return what was tried since this process took over, by how it ended."""
    by_outcome = {name: attempts.get(name, 0) for name in (DELIVERED, *(sent.value for sent in Sent))}
    return [
        Family(
            "chronos_deliveries_total",
            "counter",
            "Messages that were accepted since the engine started.",
            (Sample(by_outcome[DELIVERED]),),
        ),
        labelled(
            "counter", "chronos_attempts_total", "Attempts since the engine started, by outcome.", "outcome", by_outcome
        ),
    ]


def of_process() -> list[Family]:
    """Return the usual figures of this process."""
    import psutil

    process = psutil.Process()
    with process.oneshot():
        times = process.cpu_times()
        found = [
            Family(
                "process_cpu_seconds_total", "counter", "User and system time.", (Sample(times.user + times.system),)
            ),
            gauge("process_resident_memory_bytes", "Resident memory.", process.memory_info().rss),
            gauge("process_start_time_seconds", "When it started, in seconds since 1970.", process.create_time()),
            gauge("process_threads", "Threads.", process.num_threads()),
        ]
        if psutil.POSIX:
            found.append(gauge("process_open_fds", "Open file descriptors.", process.num_fds()))
    return found
