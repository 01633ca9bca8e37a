"""The kinds of incidents and how bad each is. Data only; what each means and what to do about it is in playbook."""

from __future__ import annotations

from enum import StrEnum


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
