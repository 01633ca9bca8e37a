"""The risk of an entry of the audit log: a level by stated rules, the first that fits. Reads no entry by itself.

low: running as usual, or undone as easily as done. medium: changes what is sent or who may ask, or a message is lost.
high: changes what protects, takes away what was recorded, or touches very much at once. critical: what Chronos promises
cannot be relied on until somebody looks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from engine.rules.incidents import Severity

LOW, MEDIUM, HIGH, CRITICAL = Severity.LOW, Severity.MEDIUM, Severity.HIGH, Severity.CRITICAL

MANY_MESSAGES = 100
"""So many messages at once are more than anybody looks through one by one."""

VERY_MANY_MESSAGES = 1_000

Detail = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Rule:
    """actions: exact names, or "noun." for all of a noun. when: what the detail must be, in words and as a predicate.

    reason: why it is this level.
    """

    actions: tuple[str, ...]
    level: Severity
    reason: str
    when: str = ""
    holds: Callable[[Detail], bool] | None = None

    def names(self, action: str) -> bool:
        """Whether the rule is about this action, whatever the detail."""
        return any(action == one or (one.endswith(".") and action.startswith(one)) for one in self.actions)


@dataclass(frozen=True, slots=True)
class Assessment:
    """A level and the reason of the rule that gave it."""

    level: Severity
    reason: str


def _says(name: str, *values: str) -> Callable[[Detail], bool]:
    return lambda detail: detail.get(name) in values


def _counts(least: int) -> Callable[[Detail], bool]:
    def holds(detail: Detail) -> bool:
        count = detail.get("count")
        return isinstance(count, int) and count >= least

    return holds


def _admin(detail: Detail) -> bool:
    scopes = detail.get("scopes")
    return isinstance(scopes, list) and "admin" in scopes


def _protects(detail: Detail) -> bool:
    key = detail.get("key")
    return isinstance(key, str) and key.partition(".")[0] in {
        "security",
        "http",
        "sources",
        "monitoring",
        "environment",
    }


_LOSING = ("bulk.cancel", "bulk.settle-delivered", "bulk.settle-dead", "bulk.resend")
_FOUND = ("incident.opened", "incident.worsened")

RULES = (
    # What was found
    Rule(_FOUND, CRITICAL, "a promise of Chronos does not hold", "severity critical", _says("severity", "critical")),
    Rule(_FOUND, HIGH, "something does not work, or somebody tries", "severity high", _says("severity", "high")),
    Rule(_FOUND, LOW, "good to know", "severity low", _says("severity", "low")),
    Rule(_FOUND, MEDIUM, "to be looked into"),
    Rule(("incident.",), LOW, "somebody looked after it, or the cause is gone"),
    # The audit log itself
    Rule(
        ("audit.verified",),
        CRITICAL,
        "the audit log is not what was written",
        "ok is false",
        lambda detail: detail.get("ok") is False,
    ),
    Rule(("audit.pruned",), HIGH, "entries left the table; only the signed archive has them"),
    Rule(("audit.key_created",), MEDIUM, "from here on another key signs the checkpoints"),
    Rule(("audit.verified", "audit.checkpoint", "audit.witnessed"), LOW, "the log proves itself"),
    # Who may ask, and what opens what
    Rule(("key.created",), HIGH, "whoever has it may do everything", "scope admin", _admin),
    Rule(("key.",), MEDIUM, "who may ask has changed"),
    Rule(("vault.kit_exported",), HIGH, "with the kit and its passphrase every secret of a copy can be opened"),
    Rule(("vault.recovered",), HIGH, "the vault was opened by another way than its usual one"),
    Rule(("vault.",), MEDIUM, "another key opens the secrets"),
    Rule(("secret.deleted",), HIGH, "what needs it fails from now on, and its value is gone"),
    Rule(("secret.",), MEDIUM, "another value is used from now on"),
    # The configuration
    Rule(("config.set", "config.unset"), HIGH, "it decides what is refused, and who is told", "key of security, http, "
         "sources, monitoring or environment", _protects),
    Rule(("config.",), MEDIUM, "it decides where messages go"),
    # Backups
    Rule(("backup.drilled", "backup.verified"), HIGH, "a backup that cannot be relied on", "ok is false",
         lambda detail: detail.get("ok") is False),
    Rule(("backup.drilled", "backup.verified"), LOW, "a backup proves itself"),
    Rule(("backup.failed",), HIGH, "what happened since the last one would be lost with this box"),
    Rule(("backup.pruned",), MEDIUM, "a backup is gone for good"),
    Rule(("backup.",), LOW, "one more way back"),
    Rule(("restore.applied",), HIGH, "another database is in place; what waited is held"),
    Rule(("restore.failed",), MEDIUM, "somebody wanted another database in place; everything is as it was"),
    # Messages
    Rule(_LOSING, HIGH, "very many messages at once are lost or may arrive twice", f"{VERY_MANY_MESSAGES} or more",
         _counts(VERY_MANY_MESSAGES)),
    Rule(_LOSING, MEDIUM, "messages are lost or may arrive twice"),
    Rule(("bulk.",), MEDIUM, "many messages at once", f"{MANY_MESSAGES} or more", _counts(MANY_MESSAGES)),
    Rule(("bulk.",), LOW, "it can be undone"),
    Rule(("message.dead", "message.uncertain", "message.expired"), MEDIUM, "a message did not arrive, or nobody knows"),
    Rule(("message.settled",), MEDIUM, "somebody's word stands in place of a receiver's"),
    Rule(("message.resent",), MEDIUM, "it may arrive twice"),
    Rule(("message.",), LOW, "a message on its way"),
    Rule(("event.replayed",), MEDIUM, "an event has its effect once more"),
    Rule(("event.",), LOW, "an event that proved who sent it"),
    # Targets, holds, the engine
    Rule(("hold.started",), MEDIUM, "nothing of it is delivered meanwhile"),
    Rule(("hold.",), LOW, "deliveries go on"),
    Rule(("target.disabled",), MEDIUM, "nothing is sent there any more"),
    Rule(("target.",), LOW, "a target that fails and comes back"),
    Rule(("clock.set_back",), MEDIUM, "times in the log do not tell the order"),
    Rule(("engine.",), LOW, "the engine's own life"),
)  # fmt: skip
"""The first rule that names the action and whose condition holds decides."""

UNKNOWN = Assessment(MEDIUM, "no rule knows this action; a newer version wrote it, or somebody else")


def assess(action: str, detail: Detail) -> Assessment:
    """Return level and reason. A test sees to it that every level is reached by real acts and no action is unnamed."""
    for rule in RULES:
        if rule.names(action) and (rule.holds is None or rule.holds(detail)):
            return Assessment(rule.level, rule.reason)
    return UNKNOWN


def levels_of(action: str) -> frozenset[Severity]:
    """Return the levels that entries of this action can have, so that a search can leave out the others unread."""
    found = set()
    for rule in RULES:
        if rule.names(action):
            found.add(rule.level)
            if rule.holds is None:
                return frozenset(found)
    return frozenset(found | {UNKNOWN.level})
