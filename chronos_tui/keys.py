"""The registry of what keys do: bindings, footer, help, palette, command line and docs/keys.md are made from it.

A panel or dialog declares its own commands beside its code; what is the same everywhere stands here. No Textual here.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum


class Danger(Enum):
    """How much a key may cost."""

    NONE = "nothing is changed"
    PLAIN = "done at once; there is nothing to take back"
    UNDOABLE = "can be undone"
    FINAL = "cannot be undone: asked first"


@dataclass(frozen=True, slots=True)
class Command:
    """One thing a key does.

    id: "scope.name"; the scope's widget has a method action_name. keys: as Textual names them, the first is shown.
    title: one or two words for the footer. help: a line for `?` and docs/keys.md, without the key.
    rank: its place in the footer, the smallest first; 0 keeps it out. line: its name at ":", if it has one, and what
    may stand behind it, as cockpit/arguments.py knows it: "retry [ID…|FILTER]".
    """

    id: str
    keys: tuple[str, ...]
    title: str
    help: str
    rank: int = 0
    danger: Danger = Danger.NONE
    line: str = ""

    @property
    def scope(self) -> str:
        """Where it works."""
        return self.id.partition(".")[0]

    @property
    def action(self) -> str:
        """The name of the method without "action_"."""
        return self.id.partition(".")[2].replace("-", "_")


_WORDS = {
    "slash": "/",
    "colon": ":",
    "question_mark": "?",
    "exclamation_mark": "!",
    "minus": "-",
    "asterisk": "*",
    "escape": "esc",
    "pagedown": "pgdn",
    "pageup": "pgup",
    "shift+tab": "shift+tab",
}


def key_words(key: str) -> str:
    """Return how a key is written for people: "/", "esc", "^d"."""
    if key in _WORDS:
        return _WORDS[key]
    return f"^{key.removeprefix('ctrl+')}" if key.startswith("ctrl+") else key


def by_id(commands: Iterable[Command]) -> dict[str, Command]:
    """Index commands by id. Raises ValueError when an id stands for two different ones."""
    found: dict[str, Command] = {}
    for command in commands:
        if found.setdefault(command.id, command) != command:
            raise ValueError(f"two commands are called {command.id}")
    return found


SHELL = (
    Command("shell.panel", ("1", "2", "3", "4", "5", "6", "7", "8", "9"), "panel", "open the panel of that number"),
    Command("shell.next-pane", ("tab",), "next pane", "go to the next pane of this panel"),
    Command("shell.previous-pane", ("shift+tab",), "previous pane", "go to the pane before"),
    Command("shell.filter", ("slash",), "filter", "filter the list, or search in the text", rank=70),
    Command("shell.command-line", ("colon",), "command", "the command line: every act by its name", rank=80),
    Command("shell.palette", ("ctrl+p",), "palette", "find a command by a part of its name"),
    Command("shell.attention", ("exclamation_mark",), "attention", "go to what needs you, as the first line says"),
    Command("shell.pause", ("p",), "pause", "hold back messages of a scope for a time", danger=Danger.UNDOABLE),
    Command("shell.resume", ("P",), "resume", "let what is paused go on", danger=Danger.FINAL),
    Command("shell.new", ("n",), "new", "write a message", rank=65, danger=Danger.UNDOABLE),
    Command("shell.undo", ("u",), "undo", "take the last act back while it can be", danger=Danger.PLAIN),
    Command("shell.back", ("minus",), "back", "go where you were before"),
    Command("shell.close", ("escape",), "leave", "leave what is open; then drop marks, then the filter"),
    Command("shell.repaint", ("ctrl+l",), "repaint", "draw the whole screen anew"),
    Command("shell.help", ("question_mark",), "help", "every key that works here", rank=90, line="help"),
    Command("shell.leave", ("q",), "quit", "leave; says what happens to deliveries", rank=99, line="quit"),
    Command("shell.interrupt", ("ctrl+c",), "quit", "twice: leave at once"),
)
"""What works wherever no dialog is open."""

LIST = (
    Command("list.cursor-down", ("j", "down"), "down", "one row down"),
    Command("list.cursor-up", ("k", "up"), "up", "one row up"),
    Command("list.page-down", ("ctrl+d", "pagedown"), "page down", "half a screen down"),
    Command("list.page-up", ("ctrl+u", "pageup"), "page up", "half a screen up"),
    Command("list.home", ("g", "home"), "first", "the first row"),
    Command("list.end", ("G", "end"), "last", "the last row"),
    Command("list.open", ("enter",), "open", "open the row under the cursor", rank=10),
)
"""Every list."""

MARKS = (
    Command("list.mark", ("space",), "mark", "mark this row, or take the mark off", rank=60),
    Command("list.mark-range", ("v",), "range", "mark everything from the last mark to here"),
    Command("list.mark-loaded", ("asterisk",), "mark loaded", "mark every row that is loaded"),
)
"""Lists whose rows can be acted on together."""

TEXT = (
    Command("text.cursor-down", ("j", "down"), "down", "one line down"),
    Command("text.cursor-up", ("k", "up"), "up", "one line up"),
    Command("text.page-down", ("ctrl+d", "pagedown"), "page down", "half a screen down"),
    Command("text.page-up", ("ctrl+u", "pageup"), "page up", "half a screen up"),
    Command("text.home", ("g", "home"), "first", "the first line"),
    Command("text.end", ("G", "end"), "last", "the last line"),
    Command("text.next-match", ("n",), "next match", "the next place that matches the search"),
    Command("text.previous-match", ("N",), "previous match", "the place before that matches the search"),
)
"""Every long text."""
