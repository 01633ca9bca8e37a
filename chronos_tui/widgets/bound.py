"""Commands of the registry as Textual's bindings."""

from __future__ import annotations

from collections.abc import Iterable

from textual.binding import Binding, BindingType

from chronos_tui.keys import Command


def bindings(commands: Iterable[Command]) -> list[BindingType]:
    """Return one binding a command; its id is the command's, so that footer and help find their way back."""
    return [
        Binding(",".join(command.keys), _action(command), command.title, show=command.rank > 0, id=command.id)
        for command in commands
    ]


def _action(command: Command) -> str:
    return command.action
