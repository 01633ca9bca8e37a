"""Every error that Chronos raises on purpose.

ChronosError                     1   failed
├── BadInput                     2   the caller's words are off
├── NotFound                     4   no such thing
├── NotPossible                  5   not in this state
│   └── IdempotencyConflict      5   same key, other content
├── EngineNeeded                69   nobody delivers here
├── TryAgain                    75   nothing was stored; the same call may succeed later
│   ├── DatabaseBusy
│   ├── DeadlineExceeded
│   ├── StorageFull
│   ├── Degraded
│   └── VaultLocked              75  the root key cannot be had now: a locked keyring, no passphrase, a key that is away
├── ConfigError                 78   one or more Problems, each with its place
├── DatabaseUnusable             1   damaged, foreign, or written by a newer Chronos
├── AlreadyOwned                 5   another process delivers on this data directory
├── SecretMissing               78   a `secret:NAME` that nothing provides
├── ArchiveRefused               1   a backup's file is damaged, cut, or built as no backup of ours is
│   └── ArchiveForged            1   sound, but whoever wrote its manifest had none of our keys
├── VaultDamaged                 1   what the vault stores does not open under its key: changed, swapped or put back
└── DeliveryError                1   what a channel says when a message was not accepted

The number is the exit code of design contract "Exit codes". The text of an error is one line: what is wrong, where, and
what to do. It never holds a secret.
"""

from __future__ import annotations

from enum import StrEnum


class ChronosError(Exception):
    """The root. `exit_code` is what the command line ends with."""

    exit_code = 1


class BadInput(ChronosError):
    """What the caller gave cannot be used."""

    exit_code = 2


class NotFound(ChronosError):
    """Nothing of that name or number."""

    exit_code = 4


class NotPossible(ChronosError):
    """The thing exists, but its state forbids the act."""

    exit_code = 5


class IdempotencyConflict(NotPossible):
    """The idempotency key was used for other content."""


class AlreadyOwned(NotPossible):
    """Another process delivers on this data directory."""


class EngineNeeded(ChronosError):
    """The act needs a running engine and there is none."""

    exit_code = 69


class TryAgain(ChronosError):
    """Nothing was stored; the same call may succeed later."""

    exit_code = 75


class DatabaseBusy(TryAgain):
    """Another process kept the database locked for longer than the busy timeout."""


class DeadlineExceeded(TryAgain):
    """A statement ran into its deadline and was stopped."""


class StorageFull(TryAgain):
    """The disk (or its quota) is full."""


class Degraded(TryAgain):
    """A write did not reach the disk; nothing more is acknowledged until the database was rewritten."""


class VaultLocked(TryAgain):
    """The root key cannot be had now. The text says what the operator has to do; then the same call succeeds."""


class VaultDamaged(ChronosError):
    """What the vault stores does not open under its key: it was changed, swapped, or put back from an older copy."""


class ArchiveRefused(ChronosError):
    """A backup's file is damaged, cut short, or built as no backup of ours is. Nothing of it is used."""


class ArchiveForged(ArchiveRefused):
    """A backup is whole, but its manifest is not signed by a key of this installation: it was swapped."""


class DatabaseUnusable(ChronosError):
    """The database file is damaged, not ours, or newer than this program."""


class SecretMissing(ChronosError):
    """A `secret:NAME` that neither the environment nor the vault provides."""

    exit_code = 78


class ConfigError(ChronosError):
    """The configuration has problems; `problems` holds one line each, `str()` joins them."""

    exit_code = 78

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Sent(StrEnum):
    """How far a refused message got. The retry rule is chosen by this alone."""

    NO = "not_sent"
    """It did not leave, or the receiver refused it for now: try again."""
    REJECTED = "rejected"
    """The receiver refused it for good."""
    THROTTLED = "throttled"
    """The receiver asked us to slow down (429, 503 with Retry-After, SMTP 421/450 greylisting)."""
    UNKNOWN = "unknown"
    """The body left and no answer came: it may have arrived."""
    MISCONFIGURED = "misconfigured"
    """Every message to this target will fail alike: bad login, bad token, certificate not trusted."""


class DeliveryError(ChronosError):
    """A channel could not deliver.

    detail: the receiver's own words or the system's, already cut to 2 000 characters by the channel; hostile text.
    code: the protocol's code ("535 5.7.8", "503", "ECONNREFUSED"), "" when there is none.
    retry_after_ms: how long the receiver asked us to wait.
    accepted: recipients that did accept in this attempt; later attempts leave them out.
    refused: (recipient, words) pairs that were refused for good in this attempt.
    disable_target: the receiver said "never again" (HTTP 410): the target is closed until the operator acts.
    """

    def __init__(
        self,
        sent: Sent,
        detail: str,
        *,
        code: str = "",
        retry_after_ms: int | None = None,
        accepted: tuple[str, ...] = (),
        refused: tuple[tuple[str, str], ...] = (),
        disable_target: bool = False,
    ) -> None:
        super().__init__(f"{code} {detail}".strip())
        self.sent = sent
        self.detail = detail
        self.code = code
        self.retry_after_ms = retry_after_ms
        self.accepted = accepted
        self.refused = refused
        self.disable_target = disable_target


def revived(kind: str, text: str) -> ChronosError:
    """Return the error of a class by its name, as another process raised it; a plain one where none is made so."""
    found = globals().get(kind)
    if found is ConfigError:
        return ConfigError(text.splitlines())
    if not (isinstance(found, type) and issubclass(found, ChronosError)) or found is DeliveryError:
        return ChronosError(text)
    return found(text)
