"""Help, the catalogue of verbs, and docs/commands.md say the same, and every example can be parsed."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest

from chronos_tui import bridge
from chronos_tui.commands import catalogue, main, parsing
from chronos_tui.commands.reference import rewritten
from tests.interfaces.program import Box

DOCS = Path(__file__).parents[2] / "docs" / "commands.md"
NAMES = [name for noun in catalogue.NOUNS for name in catalogue.verb_names(noun)]


@pytest.mark.parametrize("name", NAMES)
def test_every_help_ends_with_two_examples_that_can_be_parsed(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main([*name.split(), "--help"])
    assert ended.value.code == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"usage: chronos {name}")
    examples = [line.strip() for line in shown.split("examples:\n")[1].splitlines()]
    assert examples == list(catalogue.verb(name).examples)
    for example in examples:
        parse(example, name)


def parse(example: str, name: str) -> None:
    """Parse the part of a shell line that is ours, as the program would."""
    words = shlex.split(example, comments=False)
    words = words[words.index("chronos") + 1 :]
    words = words[: words.index(">")] if ">" in words else words
    places, _ = parsing.leading_words(words, len(name.split()))
    assert [words[place] for place in places] == name.split()
    parsing.parse(catalogue.verb(name), [word for at, word in enumerate(words) if at not in places])


def test_the_documentation_is_what_the_parsers_say() -> None:
    text = DOCS.read_text()
    assert text == rewritten(text), "run: python -m chronos_tui.commands.reference docs/commands.md"


def test_the_overview_names_every_verb_and_none_of_a_later_version(box: Box) -> None:
    shown = box.ok("--help").out
    listed = {line.split()[0] for line in shown.splitlines() if line.startswith("  ") and not line.startswith("  -")}
    assert {noun.name for noun in catalogue.NOUNS} <= listed
    assert not catalogue.LATER & listed
    assert shown.rstrip().endswith("chronos outbox list --state dead")


def test_a_noun_alone_lists_its_verbs(box: Box) -> None:
    shown = box.ok("outbox", "--help").out
    assert all(f"  outbox {verb} " in shown for verb in ("list", "retry", "undo"))
    assert len(shown.split("examples:\n")[1].splitlines()) == 2
    assert "say which" in box.chronos("outbox").one_line


@pytest.mark.parametrize("word", sorted(catalogue.LATER))
def test_verbs_of_later_versions_are_known_and_answered_so(word: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([word, "--help"]) == 5
    assert capsys.readouterr().err == f"chronos: {word}: not available in this version\n"


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("sned", "box"), "did you mean send?"),
        (("outbox", "lst"), "did you mean list?"),
        (("xyzzy",), "see 'chronos --help'"),
        (("--frobnicate", "send"), "name what to do first"),
        (("outbox", "--state", "dead", "list"), "say which"),
        (("audit", "verify", "--agianst", "x"), "unknown option --agianst"),
    ],
)
def test_a_word_that_is_no_verb_is_a_usage_error(
    words: tuple[str, ...], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    said = capsys.readouterr()
    assert says in said.err
    assert said.err.count("\n") == 1
    assert said.out == ""


def test_no_verb_at_all_shows_the_overview_and_is_a_usage_error(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("usage: chronos VERB")


def test_the_version_is_the_packages(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out == f"chronos {bridge.__version__}\n"
