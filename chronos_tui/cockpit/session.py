"""What the cockpit remembers from one visit to the next: where the operator was, filters, histories, theme."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chronos_tui import bridge

FILE_NAME = "cockpit.json"
_MOST_BYTES = 256 * 1024
_MOST_LINES = 100
_MOST_CHARS = 2_000


@dataclass(slots=True)
class Session:
    """A visit. panels: what each panel saved of itself. histories: what was typed at each prompt, the oldest first."""

    panel: str = ""
    theme: str = ""
    panels: dict[str, dict[str, Any]] = field(default_factory=dict)
    histories: dict[str, list[str]] = field(default_factory=dict)

    def typed_before(self, history: str) -> list[str]:
        """Return what was typed at a prompt, the oldest first."""
        return self.histories.get(history, [])

    def remember(self, history: str, text: str) -> None:
        """Put a line at the end of a history, once."""
        if not history or not text or len(text) > _MOST_CHARS:
            return
        lines = [line for line in self.histories.get(history, []) if line != text]
        self.histories[history] = [*lines, text][-_MOST_LINES:]


def load(path: Path) -> Session:
    """Return the last visit; a new one where there is none or it cannot be read. Never fails over a convenience."""
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
        found = json.loads(raw) if len(raw) <= _MOST_BYTES else {}
    except (OSError, ValueError, RecursionError):
        return Session()
    if not isinstance(found, dict):
        return Session()
    session = Session()
    for name in ("panel", "theme"):
        if isinstance(value := found.get(name), str):
            setattr(session, name, value[:100])
    if isinstance(panels := found.get("panels"), dict):
        session.panels = {str(name): value for name, value in panels.items() if isinstance(value, dict)}
    if isinstance(histories := found.get("histories"), dict):
        for name, lines in histories.items():
            for line in lines if isinstance(lines, list) else []:
                if isinstance(line, str) and line.isprintable():
                    session.remember(str(name), line)
    return session


def save(path: Path, session: Session, redact: Callable[[str], str]) -> None:
    """Write it, mode 0600. A directory that takes nothing (full, read-only) costs the memory, not the visit.

    redact: takes secrets out of a text; a line that held one is not kept at all.
    """

    def harmless(value: object) -> bool:
        return not isinstance(value, str) or redact(value) == value

    document = {
        "panel": session.panel,
        "theme": session.theme,
        "panels": {
            panel: {name: value for name, value in saved.items() if harmless(value)}
            for panel, saved in session.panels.items()
        },
        "histories": {name: list(filter(harmless, lines)) for name, lines in session.histories.items()},
    }
    try:
        bridge.write_atomic(path, json.dumps(document, indent=1).encode())
    except (bridge.ChronosError, OSError):
        return
