"""The words that ":" knows: the panels, the registry's commands, and what has no key. Decides nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from chronos_tui import bridge
from chronos_tui.cockpit import verbs
from chronos_tui.keys import SHELL, Command, Danger
from chronos_tui.widgets.panel import Panel

if TYPE_CHECKING:
    from chronos_tui.cockpit.shell import Cockpit


Run = Callable[["Cockpit", list[str]], None]


@dataclass(frozen=True, slots=True)
class Word:
    """One word of the command line.

    pattern: what stands behind it, see arguments.py. run: called with the shell and one text for each place of the
    pattern.
    dialect: of a FILTER in the pattern.
    """

    name: str
    pattern: str
    help: str
    run: Run
    danger: Danger = Danger.NONE
    dialect: bridge.Dialect | None = None

    @property
    def usage(self) -> str:
        """How it is written."""
        return f"{self.name} {self.pattern}".strip()


def words(kinds: Sequence[type[Panel]]) -> Iterator[Word]:
    """Yield every word: the panels `kinds` first, then what the registry names, then the rest."""
    for kind in kinds:
        pattern = "[FILTER]" if kind.FILTER is not None else ""
        help_ = f"the panel {kind.TITLE}" + (", with a filter" if pattern else "")
        yield Word(kind.ID, pattern, help_, partial(_open, kind), dialect=kind.FILTER)
    for kind in kinds:
        for command in kind.COMMANDS:
            if command.line:
                yield _word(command, partial(_in_panel, kind, command), kind.FILTER)
    for command in SHELL:
        if command.line:
            yield _word(command, partial(_in_shell, command))
    for name, pattern, help_, danger, function in verbs.VERBS:
        yield Word(name, pattern, help_, function, danger)


def place_of(kinds: Sequence[type[Panel]], word: str) -> tuple[str, str] | None:
    """Return the panel and the place of what `word` names by itself ("#1042"), None when it is no such thing."""
    for kind in kinds:
        if place := kind.place_of(word):
            return kind.ID, place
    return None


def _word(command: Command, run: Run, dialect: bridge.Dialect | None = None) -> Word:
    name, _, pattern = command.line.partition(" ")
    return Word(name, pattern, command.help, run, command.danger, dialect)


def _open(kind: type[Panel], shell: Cockpit, given: list[str]) -> None:
    shell.go(kind.ID, "".join(given))


def _in_shell(command: Command, shell: Cockpit, given: list[str]) -> None:
    del given  # the registry's commands of the shell take nothing
    shell.call_later(shell.run_action, command.action)


def _in_panel(kind: type[Panel], command: Command, shell: Cockpit, given: list[str]) -> None:
    """Open the panel, then do it there: on what was named, else on what is marked or under the cursor."""
    word = command.line.partition(" ")[0]
    rest = " ".join(one for one in given if one)
    if not rest and command.danger is not Danger.NONE and not isinstance(shell.present, kind):
        # Nobody has seen yet what lies under the cursor there.
        shell.say(f"{word} what? name it, or go to its row in {kind.TITLE} first", "warning")
        return

    def then(panel: Panel) -> None:
        def act(_nothing: None) -> None:
            shell.call_later(shell.run_action, command.action, panel)

        if not rest:
            # Behind what the panel has just asked for: there is a list, and something under its cursor.
            shell.desk.read("line", lambda _engine: None, act)
        elif not panel.line(word, rest):
            shell.say(f"{word}: nothing is taken behind it", "failed")

    shell.go(kind.ID, then=then)
