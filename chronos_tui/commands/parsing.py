"""How a command line is read: one flat parser a verb, made by argparse. Knows no verb.

A flat parser each, instead of argparse's sub-parsers: only the chosen verb's module is loaded and only its options are
built, and common options mean the same before and after the verb.
"""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable, Sequence
from typing import NoReturn

from chronos_tui import bridge
from chronos_tui.commands import catalogue
from chronos_tui.commands.session import Session

Arguments = argparse.Namespace
COMMON_WITH_VALUE = ("--data-dir", "--config")
COMMON_FLAGS = ("--json", "--quiet", "--no-color")
_CHOICE = re.compile(r"invalid choice: .*(?= \(choose from )", re.DOTALL)


class Parser(argparse.ArgumentParser):
    """Raises BadInput where argparse would print its usage and leave.

    hushed: of a verb that is about secrets; a word that is out of place there may be one and is not repeated.
    """

    hushed = False

    def error(self, message: str) -> NoReturn:
        # Without its context: argparse's own error repeats words that ours may leave out.
        raise bridge.BadInput(f"{self._in_our_words(message)}; see '{self.prog} --help'") from None

    def _in_our_words(self, message: str) -> str:
        unknown = message.removeprefix("unrecognized arguments: ")
        if unknown == message:
            return _CHOICE.sub("invalid choice", message) if self.hushed else message
        word = unknown.split(maxsplit=1)[0]
        if not word.startswith("-"):
            return "there is a word too many" if self.hushed else f"unexpected word {word!r:.60}"
        word = word.partition("=")[0]
        meant = bridge.suggest(word, list(self._option_string_actions))
        return f"unknown option {word[:60]}" + (f"; did you mean {meant}?" if meant else "")


def _no_arguments(parser: argparse.ArgumentParser) -> None:
    return None


def _as_given(words: list[str]) -> list[str]:
    return words


class Verb:
    """One thing that `chronos` does.

    name: the words that choose it ("outbox list"). help: one line. examples: two complete command lines.
    lines: whether --jsonl is understood. rewrite: changes the words before they are parsed.
    spill: the option whose further values words without an option are (`--attach a b`); "" refuses them.
    """

    __slots__ = ("arguments", "details", "examples", "help", "lines", "name", "rewrite", "run", "spill")

    def __init__(
        self,
        name: str,
        about: str,
        run: Callable[[Session, Arguments], int],
        examples: tuple[str, str],
        arguments: Callable[[argparse.ArgumentParser], object] = _no_arguments,
        details: str = "",
        *,
        lines: bool = False,
        rewrite: Callable[[list[str]], list[str]] = _as_given,
        spill: str = "",
    ) -> None:
        self.name = name
        self.help = about
        self.run = run
        self.examples = examples
        self.arguments = arguments
        self.details = details
        self.lines = lines
        self.rewrite = rewrite
        self.spill = spill


class HelpFormatter(argparse.RawDescriptionHelpFormatter):
    """Wraps at 80 columns. Told so at once, argparse does not import shutil to ask the terminal, for every parser."""

    def __init__(self, prog: str) -> None:
        super().__init__(prog, max_help_position=28, width=78)


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add the options that every verb has."""
    group = parser.add_argument_group("common options")
    group.add_argument("--data-dir", metavar="DIR", help="the data directory (CHRONOS_DATA_DIR)")
    group.add_argument("--config", metavar="FILE", help="the configuration file (CHRONOS_CONFIG_FILE)")
    group.add_argument("--json", action="store_true", help="one JSON document on stdout")
    group.add_argument("--quiet", action="store_true", help="results and errors only")
    group.add_argument("--no-color", action="store_true", help="no colours (NO_COLOR)")
    group.add_argument("--version", action="version", version=f"chronos {bridge.__version__}", help="print the version")
    group.add_argument("-h", "--help", action="help", help="this text")


def fill(parser: argparse.ArgumentParser, verb: Verb) -> None:
    """Add a verb's own options and the common ones."""
    verb.arguments(parser)
    if verb.lines:
        add_lines(parser)
    add_common(parser)


def add_lines(parser: argparse.ArgumentParser) -> None:
    """Add --jsonl."""
    parser.add_argument("--jsonl", action="store_true", help="JSON Lines: one document a line")


def parser_for(verb: Verb) -> Parser:
    """Build the parser of one verb."""
    parser = Parser(
        prog=f"chronos {verb.name}",
        description=f"{verb.help[0].upper()}{verb.help[1:]}." + (f"\n\n{verb.details}" if verb.details else ""),
        epilog="examples:\n" + "\n".join(f"  {example}" for example in verb.examples),
        formatter_class=HelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    parser.hushed = verb.name.partition(" ")[0] in catalogue.HUSHED
    fill(parser, verb)
    return parser


def parse(verb: Verb, words: list[str]) -> Arguments:
    """Read the words behind the verb. Raises BadInput."""
    parser = parser_for(verb)
    arguments, left = parser.parse_known_args(verb.rewrite(words))
    spilled = [word for word in left if not word.startswith("-")]
    if left and verb.spill and spilled == left and getattr(arguments, verb.spill):
        getattr(arguments, verb.spill).extend(left)
    elif left:
        parser.error(f"unrecognized arguments: {' '.join(left)}")
    return arguments


def leading_words(argv: Sequence[str], most: int) -> tuple[list[int], bool]:
    """Return where the first `most` words stand that are no option, and whether --help came before their end.

    Only common options may stand before them: with another one nobody could tell its value from a verb.
    """
    found: list[int] = []
    help_wanted = False
    at = 0
    while at < len(argv) and len(found) < most:
        word = argv[at]
        if word in COMMON_WITH_VALUE:
            at += 1
        elif word in {"-h", "--help"}:
            help_wanted = True
        elif not word.startswith("-"):
            found.append(at)
        elif word not in COMMON_FLAGS and not word.startswith(tuple(f"{name}=" for name in COMMON_WITH_VALUE)):
            break
        at += 1
    return found, help_wanted


# Types of options: each raises ArgumentTypeError with words that fit behind "argument --name: ".


def text(word: str) -> str:
    """Any text that is Unicode; what the shell handed over in other bytes is refused here, once for all."""
    try:
        word.encode()
    except UnicodeEncodeError as error:
        raise argparse.ArgumentTypeError("is not UTF-8 text") from error
    return word


def duration_ms(word: str) -> int:
    """A duration of more than nothing, in ms."""
    try:
        found = bridge.parse_duration_ms(word)
    except bridge.BadInput as error:
        raise argparse.ArgumentTypeError(str(error)) from error
    if found == 0:
        raise argparse.ArgumentTypeError("must be longer than nothing")
    return found


def count(low: int, high: int) -> Callable[[str], int]:
    """A whole number from `low` to `high`."""

    def read(word: str) -> int:
        if not (word.isascii() and word.isdigit() and len(word) < 19 and low <= int(word) <= high):
            raise argparse.ArgumentTypeError(f"must be a whole number from {low} to {high}")
        return int(word)

    return read


def pair(word: str) -> tuple[str, str]:
    """NAME=VALUE."""
    name, equals, value = text(word).partition("=")
    if not equals or not name:
        raise argparse.ArgumentTypeError(f"{word[:60]!r}: write it like NAME=VALUE")
    return name, value
