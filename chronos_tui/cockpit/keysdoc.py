"""Writes docs/keys.md from the registry of commands: `python -m chronos_tui.cockpit.keysdoc docs/keys.md`."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from chronos_tui import dialogs, screens
from chronos_tui.cockpit import words
from chronos_tui.keys import LIST, MARKS, SHELL, TEXT, Command, Danger, key_words
from chronos_tui.widgets import field, promptbar
from chronos_tui.widgets.panel import Panel

_HEAD = """# Keys

Generated from the registry that also makes the key bindings, the footer, `?` and the palette, by
`python -m chronos_tui.cockpit.keysdoc docs/keys.md`.
`?` shows those that work where you are. ctrl+d is written ^d.
"""
_DANGERS = {Danger.UNDOABLE: "`u` takes it back", Danger.FINAL: "asks first"}


def text() -> str:
    """Return the document."""
    kinds = screens.panels()
    sections = [("Everywhere", SHELL), ("Lists", (*LIST, *MARKS)), ("Texts", TEXT)]
    sections += [(f"{kind.NUMBER} {kind.TITLE}", kind.COMMANDS) for kind in kinds if kind.COMMANDS]
    sections += [("The line at `:` and `/`", promptbar.COMMANDS), ("Fields of a form", field.COMMANDS)]
    taken = {command.id for _title, found in sections for command in found}
    for name, found in _of_dialogs():
        if rest := tuple(command for command in found if command.id not in taken):
            sections.append((f"Dialog: {name}", rest))
            taken |= {command.id for command in rest}
    parts = [_HEAD, *(f"## {title}\n\n{_table(found)}" for title, found in sections), _words(kinds)]
    return "\n".join(parts)


def _of_dialogs() -> Iterator[tuple[str, tuple[Command, ...]]]:
    """Yield every tuple of commands that a dialog's module declares, with the scope's name."""
    for module in sorted(one.name for one in pkgutil.iter_modules(dialogs.__path__)):
        loaded = importlib.import_module(f"{dialogs.__name__}.{module}")
        for value in vars(loaded).values():
            if isinstance(value, tuple) and value and all(isinstance(one, Command) for one in value):
                yield value[0].scope.replace("-", " "), value


def _table(commands: Iterable[Command]) -> str:
    rows = [(_keys(one), _cell(one.help), _danger(one.danger, one.help)) for one in commands]
    return _rows(("keys", "what they do", ""), rows)


def _words(kinds: Sequence[type[Panel]]) -> str:
    rows = [(f"`:{_cell(one.usage)}`", _cell(one.help), _danger(one.danger, one.help)) for one in words.words(kinds)]
    rows.append(("`:#1042`", "open the message of that number or uid", ""))
    return f"## Words at `:`\n\n{_rows(('word', 'what it does', ''), rows)}"


def _rows(head: tuple[str, str, str], rows: Iterable[tuple[str, str, str]]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in (head, ("---", "---", "---"), *rows)]
    return "\n".join(lines) + "\n"


def _keys(command: Command) -> str:
    digits = [key for key in command.keys if key.isdigit()]
    if len(digits) > 1 and len(digits) == len(command.keys):
        return f"`{digits[0]}` … `{digits[-1]}`"
    return " ".join(f"`{_cell(key_words(key))}`" for key in command.keys)


def _danger(danger: Danger, help_: str) -> str:
    said = _DANGERS.get(danger, "")
    return "" if said in help_ else said


def _cell(text_: str) -> str:
    return text_.replace("|", "\\|")


def main() -> int:
    """Write the document to the path that is given."""
    Path(sys.argv[1]).write_text(text(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
