"""What every provider of a root key can do. Knows no vault and no secret."""

from __future__ import annotations

from typing import Protocol


class RootKeys(Protocol):
    """A place that holds root keys by their id (sealing.root_id); several at once while they are being exchanged.

    words: the place as people know it. brings_own: its key comes from outside, none can be put there from here.
    """

    words: str
    brings_own: bool

    def trouble(self) -> str | None:
        """Say in one sentence why it cannot be used here; None when it can. May take as long as `find`."""

    def find(self, root_id: str) -> bytes:
        """Return the key of that id. Raises VaultLocked, saying what to do, when it cannot be had now."""

    def fresh(self, not_id: str) -> bytes:
        """Where `brings_own`: return a key that was brought and is not the one of `not_id`.

        Raises NotPossible, saying how to bring one.
        """

    def keep(self, root_id: str, key: bytes) -> None:
        """Store a key beside those that are there, and read it back. Raises NotPossible, VaultLocked."""

    def forget(self, root_id: str) -> None:
        """Remove a key. Nothing happens if there is none of that id. Raises NotPossible, VaultLocked."""
