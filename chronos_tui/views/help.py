"""The keys that work now, as a document: grouped, in two columns where there is room. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping, Sequence

from chronos_tui.keys import Command, Danger, key_words
from chronos_tui.views.spans import Document, Line, Span, width

_TWO_COLUMNS = 100
_GAP = 2
_TITLES = {"shell": "Everywhere", "list": "In the list", "text": "In the text"}
_LAST = ("list", "text", "shell")
"""What a panel has of its own comes first: that is what one looks for."""

_KEYS_SHOWN = 4
_DANGERS = {Danger.UNDOABLE: "u takes it back", Danger.FINAL: "asks first"}


def groups(commands: Sequence[Command], titles: Mapping[str, str]) -> list[tuple[str, list[Command]]]:
    """Return (title, commands) by scope, the panel's own first. titles: of the scopes that are panels."""
    found: dict[str, list[Command]] = {}
    for command in commands:
        found.setdefault(command.scope, []).append(command)
    known = {**titles, **_TITLES}
    order = sorted(found, key=lambda scope: _LAST.index(scope) if scope in _LAST else -1)
    return [(known.get(scope, scope.capitalize()), found[scope]) for scope in order]


def document(commands: Sequence[Command], titles: Mapping[str, str], cells: int) -> Document:
    """Return every command with all its keys that work, fitted to `cells`."""
    if cells < _TWO_COLUMNS:
        return _joined([_block(title, found, cells) for title, found in groups(commands, titles)])
    half = (cells - _GAP) // 2
    blocks = [_block(title, found, half) for title, found in groups(commands, titles)]
    # The height above which the left column is full: then the two are as even as blocks allow.
    total = sum(len(block) + 1 for block in blocks)
    left: list[list[Line]] = []
    while blocks and (not left or sum(len(block) + 1 for block in left) + len(blocks[0]) // 2 < total // 2):
        left.append(blocks.pop(0))
    return _beside(_joined(left), _joined(blocks), half)


def _block(title: str, commands: Sequence[Command], cells: int) -> list[Line]:
    keys = {command.id: _keys(command) for command in commands}
    widest = min(20, max(len(words) for words in keys.values()))
    lines: list[Line] = [(Span(title, "title"),)]
    for command in commands:
        danger = _DANGERS.get(command.danger, "")
        said = command.help if not danger or danger in command.help else f"{command.help} · {danger}"
        first, *others = textwrap.wrap(said, max(10, cells - widest - 2)) or [""]
        lines.append((Span(keys[command.id].ljust(widest), "accent"), Span(f"  {first}")))
        lines += [(Span(" " * (widest + 2) + other),) for other in others]
    return lines


def _keys(command: Command) -> str:
    digits = [key for key in command.keys if key.isdigit()]
    if len(digits) > 1 and len(digits) == len(command.keys):
        return f"{digits[0]} … {digits[-1]}"
    return " ".join(key_words(key) for key in command.keys[:_KEYS_SHOWN])


def _joined(blocks: Sequence[Sequence[Line]]) -> Document:
    lines: list[Line] = []
    for block in blocks:
        lines += [(), *block] if lines else block
    return tuple(lines)


def _beside(left: Document, right: Document, cells: int) -> Document:
    lines: list[Line] = []
    for at in range(max(len(left), len(right))):
        first = left[at] if at < len(left) else ()
        gap = Span(" " * (max(0, cells - width(first)) + _GAP))
        lines.append((*first, gap, *right[at]) if at < len(right) else first)
    return tuple(lines)
