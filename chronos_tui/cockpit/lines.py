"""The command line at ":": which words there are, what completes them, what they do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from chronos_tui.widgets.panel import Prompt

if TYPE_CHECKING:
    from chronos_tui.cockpit.shell import Cockpit


def prompt(shell: Cockpit) -> Prompt:
    """Return what ":" asks for."""
    return Prompt(":", shell.run_line, history="command")


def run(shell: Cockpit, line: str) -> None:
    """Do what `line` says."""
    word, _, rest = line.strip().partition(" ")
    for kind in shell.kinds:
        if word == kind.ID:
            shell.go(kind.ID, rest.strip())
            return
    shell.say(f"{word}: no such command", "failed")
