"""What works now: the bindings in force, told by the registry's commands. Footer, help and palette show just this."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from textual.dom import DOMNode
from textual.screen import Screen

from chronos_tui.keys import Command

_ACTS = frozenset({"pause", "resume", "new", "undo"})
_UNSEEN = frozenset({"leave", "interrupt", "repaint"})


def offered(action: str, given: Sequence[object], numbers: Collection[int], *, small: bool, read_only: bool) -> bool:
    """Return whether an action of the shell works now.

    numbers: of the panels that there are. small: the terminal shows nothing, and nobody acts on what he cannot see.
    read_only: the engine would refuse every act.
    """
    if small and action not in _UNSEEN:
        return False
    if action == "panel":
        return all(number in numbers for number in given)
    return not (read_only and action in _ACTS)


class Active(NamedTuple):
    """A command with those of its keys that work now, and where its action is run."""

    command: Command
    node: DOMNode
    action: str


def active(screen: Screen[Any], commands: Mapping[str, Command], *, closing: bool) -> list[Active]:
    """Return what works on `screen` with the keys that do it, in the order of the bindings.

    closing: something is open over the list, which the key that leaves the cockpit closes first.
    """
    found: dict[str, Active] = {}
    for key, bound in screen.active_bindings.items():
        command = commands.get(bound.binding.id or "")
        if command is None or not bound.enabled:
            continue
        known = found.get(command.id)
        keys = (*(known.command.keys if known is not None else ()), key)
        # As the registry has them: the first is the one that is shown.
        keys = tuple(one for one in command.keys if one in keys)
        if closing and command.id == "shell.leave":
            command = replace(command, title="close", help="close what is open; then leave")
        found[command.id] = Active(replace(command, keys=keys), bound.node, bound.binding.action)
    return list(found.values())
