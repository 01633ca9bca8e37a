"""Which rows the operator has marked, by key, whether they are loaded or not. Pure."""

from __future__ import annotations

from collections.abc import Iterable


class Marks:
    """Marked keys and the anchor that a range starts from: the row that was marked last."""

    def __init__(self) -> None:
        self.keys: frozenset[int] = frozenset()
        self.anchor: int | None = None

    def toggle(self, key: int) -> None:
        """Mark a row or take its mark away."""
        self.keys ^= {key}
        self.anchor = key

    def range(self, keys: Iterable[int], anchor: int) -> None:
        """Mark all of `keys`; the next range starts from `anchor`."""
        self.keys |= frozenset(keys)
        self.anchor = anchor

    def clear(self) -> None:
        """Take all marks away."""
        self.keys = frozenset()
        self.anchor = None
