"""The kinds of incidents and how bad each is. Data only; what each means and what to do about it is in playbook."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType


class Severity(StrEnum):
    """How bad it is; the same words as a risk."""

    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"
    CRITICAL = "critical"


class Kind(StrEnum):
    """What happened. With a subject (a key's id, a source, a target …) it names one open incident."""

    AUTH_FAILURES = "auth.failures"
    """Requests with keys that are not accepted, again and again; subject: the network or the key's id."""
    REVOKED_KEY = "auth.revoked_key"
    """Somebody still knows a key that was revoked; subject: its id."""
    KDF_FLOOD = "auth.kdf_flood"
    """Wrong secrets for keys that exist, faster than anybody types; subject: the network."""
    REPLAY = "inbound.replay"
    """An old signature came with a new id, or a known id with other content; subject: the source."""
    SIGNATURE_FAILURES = "inbound.signature"
    """Events whose signature is not right, again and again; subject: the source."""
    NOT_MAPPED = "inbound.not_mapped"
    """An event was accepted and could not be made a message; it is kept; subject: the source."""
    CLOCK_JUMP = "clock.jump"
    """The wall clock moved against the monotonic one; subject: "clock"."""
    AUDIT_BROKEN = "audit.broken"
    """The audit log is not what was written; subject: "audit"."""
    PERMISSIONS = "files.permissions"
    """Others may read or change a file of ours; subject: the path."""
    ROOT_KEY_MISSING = "vault.root_key"
    """The vault cannot be opened; subject: the provider."""
    SECRET_UNREADABLE = "vault.secret"  # noqa: S105 - the name of an incident
    """A secret cannot be decrypted; subject: its name."""
    CONFIG_TAMPERED = "config.tampered"
    """The configuration file is not what was last taken over; subject: the file's name."""
    DOOR_CLOSED = "http.closed"
    """The HTTP door cannot listen; subject: the address."""
    TARGET_MISCONFIGURED = "target.misconfigured"
    """A target refuses our login or certificate; subject: the lane."""
    TARGET_DISABLED = "target.disabled"
    """A receiver said "never again"; subject: the lane."""
    BACKUP_FAILED = "backup.failed"
    """The last backup that was begun was not made; subject: "backups"."""
    BACKUP_UNPROVEN = "backup.unproven"
    """The newest backup could not be proven by a restore; subject: "backups"."""
    BACKUP_DAMAGED = "backup.damaged"
    """The file of a backup is not what was written; subject: its name."""
    BACKUP_STALE = "backup.stale"
    """The newest backup that was proven is old, or there is none; subject: "backups"."""
    BACKUP_COPY_FAILED = "backup.copy_failed"
    """Copies do not reach their place off the box; subject: the destination."""


SEVERITIES: Mapping[Kind, Severity] = MappingProxyType(
    {
        Kind.AUTH_FAILURES: Severity.MEDIUM,
        Kind.REVOKED_KEY: Severity.HIGH,
        Kind.KDF_FLOOD: Severity.HIGH,
        Kind.REPLAY: Severity.HIGH,
        Kind.SIGNATURE_FAILURES: Severity.MEDIUM,
        Kind.NOT_MAPPED: Severity.MEDIUM,
        Kind.CLOCK_JUMP: Severity.MEDIUM,
        Kind.AUDIT_BROKEN: Severity.CRITICAL,
        Kind.PERMISSIONS: Severity.HIGH,
        Kind.ROOT_KEY_MISSING: Severity.CRITICAL,
        Kind.SECRET_UNREADABLE: Severity.HIGH,
        Kind.CONFIG_TAMPERED: Severity.HIGH,
        Kind.DOOR_CLOSED: Severity.HIGH,
        Kind.TARGET_MISCONFIGURED: Severity.MEDIUM,
        Kind.TARGET_DISABLED: Severity.HIGH,
        Kind.BACKUP_FAILED: Severity.HIGH,
        Kind.BACKUP_UNPROVEN: Severity.MEDIUM,
        Kind.BACKUP_DAMAGED: Severity.HIGH,
        Kind.BACKUP_STALE: Severity.HIGH,
        Kind.BACKUP_COPY_FAILED: Severity.MEDIUM,
    }
)
"""How bad a kind is where whoever raises it does not say otherwise. In the order that their words have in Severity:
low: good to know; medium: look into it today; high: look into it now, something does not work or somebody tries;
critical: what Chronos promises cannot be relied on until it is mended.
"""

_ORDER = tuple(Severity)


def worse(one: Severity, other: Severity) -> bool:
    """Whether `one` is worse than `other`."""
    return _ORDER.index(one) > _ORDER.index(other)


MANY = "many"
"""The subject of the one incident that stands for all subjects of a kind beyond MOST_SUBJECTS."""

MOST_SUBJECTS = 20
"""Incidents of one kind that stand open beside each other: 10 000 addresses that try keys are one trouble, not 10 000.
Design 5: memory is bounded under attack."""
