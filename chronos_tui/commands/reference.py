"""Writes the generated part of docs/commands.md from the parsers themselves, so that the two cannot disagree.

`python -m chronos_tui.commands.reference docs/commands.md` rewrites it; a test compares.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from chronos_tui import bridge
from chronos_tui.commands import catalogue, parsing

BEGIN = "<!-- from here on: python -m chronos_tui.commands.reference docs/commands.md -->"


def generated() -> str:
    """Return every verb with its options and examples, and the fields of the filter expressions."""
    lines = ["", "## Verbs", ""]
    for noun in catalogue.NOUNS:
        for name in catalogue.verb_names(noun):
            lines += _verb(catalogue.verb(name))
    lines += ["## Filter fields", "", "Messages:", "", *_fields(bridge.OUTBOX_FIELDS), ""]
    lines += ["Audit log:", "", *_fields(bridge.AUDIT_FIELDS)]
    return "\n".join(lines) + "\n"


def _verb(verb: parsing.Verb) -> Iterator[str]:
    parser = parsing.Parser(prog=f"chronos {verb.name}", add_help=False, formatter_class=parsing.HelpFormatter)
    verb.arguments(parser)
    if verb.lines:
        parsing.add_lines(parser)
    yield from (f"### chronos {verb.name}", "", f"{verb.help[0].upper()}{verb.help[1:]}.", "")
    if verb.details:
        yield from (verb.details.replace("\n", " "), "")
    yield from ("```", parser.format_usage().rstrip(), "```", "")
    # argparse has no other way to look at what was added to a parser.
    rows = [_row(action) for action in parser._actions if action.help != argparse.SUPPRESS]  # noqa: SLF001
    if rows:
        yield from ("| option | what it is |", "|---|---|", *rows, "")
    yield from ("```sh", *verb.examples, "```", "")


def _row(action: argparse.Action) -> str:
    value = "" if action.nargs == 0 else f" {action.metavar or '|'.join(action.choices or ())}"
    names = ", ".join(action.option_strings)
    shown = (names + value).strip().replace("|", "\\|")
    return f"| `{shown}` | {action.help} |"


def _fields(dialect: Mapping[str, Any]) -> Iterator[str]:
    yield from ("| field | what it is |", "|---|---|")
    for name, field in dialect.items():
        choices = f": {', '.join(field.choices)}" if field.choices else ""
        yield f"| `{name}` | {field.help}{choices} |"


def rewritten(document: str) -> str:
    """Return the document with its generated part made anew. Raises ValueError without the line that begins it."""
    head, marker, _ = document.partition(BEGIN)
    if not marker:
        raise ValueError(f"no line {BEGIN!r}")
    return f"{head}{BEGIN}\n{generated()}"


if __name__ == "__main__":
    file = Path(sys.argv[1])
    file.write_text(rewritten(file.read_text()))
