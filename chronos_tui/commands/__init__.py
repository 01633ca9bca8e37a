"""The `chronos` command: chooses the verb, loads its module alone, runs it. Never imports Textual."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from chronos_tui import bridge, failure
from chronos_tui.commands import catalogue

PROGRAM = "chronos"


def main(argv: Sequence[str] | None = None) -> int:
    """Run `chronos`; return its exit code.

    Without `argv` it is the program itself and ends the process: nothing is open any more, and taking an interpreter
    apart costs 8 of the 50 ms that `chronos send` takes.
    """
    words = list(sys.argv[1:] if argv is None else argv)
    if "_ARGCOMPLETE" in os.environ:
        from chronos_tui.commands.completing import answer

        answer()
    opened: list[str] = []
    code = failure.guarded(PROGRAM, lambda: _run(words, opened), os.environ, opened)
    if argv is None:
        failure.leave(code)
    return code


def _run(argv: list[str], opened: list[str]) -> int:
    from chronos_tui.commands.parsing import leading_words

    places, help_wanted = leading_words(argv, 1)
    if not places:
        return _without_verb(argv, help_wanted=help_wanted)
    name = argv[places[0]]
    noun = catalogue.noun(name)
    if noun is None:
        raise _unknown(name)
    if not noun.verbs:
        return _run_verb(name, [*argv[: places[0]], *argv[places[0] + 1 :]], opened)
    places, help_wanted = leading_words(argv, 2)
    if len(places) < 2:
        return _without_second_word(noun, help_wanted=help_wanted)
    second = argv[places[1]]
    if second not in noun.verbs:
        raise _unknown_second(noun, second)
    return _run_verb(f"{name} {second}", [word for at, word in enumerate(argv) if at not in places], opened)


def _run_verb(name: str, words: list[str], opened: list[str]) -> int:
    from chronos_tui.commands import output, parsing
    from chronos_tui.commands.session import Session

    verb = catalogue.verb(name)
    arguments = parsing.parse(verb, words)
    out = output.make(
        as_json=arguments.json,
        jsonl=getattr(arguments, "jsonl", False),
        quiet=arguments.quiet,
        no_color=arguments.no_color,
        env=os.environ,
    )
    return verb.run(Session(arguments.data_dir, arguments.config, os.environ, out, opened), arguments)


def _without_verb(argv: list[str], *, help_wanted: bool) -> int:
    from chronos_tui.commands import helping

    if help_wanted:
        print(helping.overview(), end="")
        return 0
    if "--version" in argv:
        print(f"chronos {bridge.__version__}")
        return 0
    odd = next((word for word in argv if word.startswith("-")), None)
    if odd is not None:
        raise bridge.BadInput(f"{odd[:60]}: name what to do first, such as 'chronos send'; see 'chronos --help'")
    print(helping.overview(), end="", file=sys.stderr)
    return bridge.BadInput.exit_code


def _without_second_word(noun: catalogue.Noun, *, help_wanted: bool) -> int:
    from chronos_tui.commands import helping

    if help_wanted:
        print(helping.of_noun(noun), end="")
        return 0
    raise bridge.BadInput(f"{noun.name}: say which: {', '.join(noun.verbs)}; see 'chronos {noun.name} --help'")


def _unknown(name: str) -> bridge.ChronosError:
    if name in catalogue.LATER:
        return bridge.NotPossible(f"{name}: not available in this version")
    meant = bridge.suggest(name, [noun.name for noun in catalogue.NOUNS])
    hint = f"did you mean {meant}?" if meant else "see 'chronos --help'"
    return bridge.BadInput(f"there is no command {name!r:.60}; {hint}")


def _unknown_second(noun: catalogue.Noun, word: str) -> bridge.ChronosError:
    meant = bridge.suggest(word, noun.verbs)
    hint = f"did you mean {meant}?" if meant else f"there are {', '.join(noun.verbs)}"
    called = "such verb" if noun.name in catalogue.HUSHED else f"{word!r:.60}"
    return bridge.BadInput(f"{noun.name}: there is no {called}; {hint}")
