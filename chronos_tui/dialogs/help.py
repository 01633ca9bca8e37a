"""`?`: every key that works where it was pressed, and nothing else."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from chronos_tui.dialogs.reading import Reading
from chronos_tui.keys import Command
from chronos_tui.views import help as views


class Help(Reading):
    """Shows commands. titles: of the scopes that are panels."""

    def __init__(self, commands: Sequence[Command], titles: Mapping[str, str], place: str) -> None:
        super().__init__(f"Keys that work here: {place}", lambda cells: views.document(commands, titles, cells))
