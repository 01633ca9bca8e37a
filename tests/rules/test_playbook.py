"""The playbook: a page a kind, whole, with commands that exist, and docs/incidents.md says the same."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from chronos_tui.commands import catalogue, parsing
from engine.operations import configwatch, gate, guarding, refusals, tallying
from engine.operations.backup import backupwatch
from engine.rules import playbook
from engine.rules.incidents import SEVERITIES, Kind, Severity, worse
from engine.rules.playbook import Page
from tests.rules import incidentsdoc

_QUOTED = re.compile(r"'(chronos [^']+)'")


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_has_a_whole_page(kind: Kind) -> None:
    page = playbook.page(kind)
    assert page is not None
    assert page.severity is SEVERITIES[kind]
    for words in (page.title, page.subject, page.means, *page.check, *page.act, page.rule, page.source):
        assert words
        assert words.isprintable()
    assert len(page.check) >= 2
    assert page.act
    assert page.means.endswith(".")
    assert page.rule.endswith(".")
    assert all(line.endswith(".") for line in page.act)


def test_titles_are_told_apart_and_fit_a_row() -> None:
    titles = [page.title for page in playbook.pages()]
    assert len(set(titles)) == len(titles) == len(Kind)
    assert max(map(len, titles)) <= 44


def test_an_unknown_kind_has_no_page() -> None:
    assert playbook.page("sky.fell") is None


def _commands() -> list[tuple[Page, str]]:
    return [
        (page, command)
        for page in playbook.pages()
        for line in (page.means, *page.check, *page.act, page.rule)
        for command in _QUOTED.findall(line)
    ]


@pytest.mark.parametrize(("page", "command"), _commands(), ids=lambda one: one if isinstance(one, str) else "")
def test_every_command_that_a_page_names_can_be_typed(page: Page, command: str) -> None:
    """A command that does not exist, at three in the morning, is worse than none."""
    words = shlex.split(command.partition(" > ")[0].replace("NUMBER", "7").replace(" ID", " 00000000"))[1:]
    noun = catalogue.noun(words[0])
    assert noun is not None, f"{page.kind}: {command}"
    verb = catalogue.verb(" ".join(words[:2]) if noun.verbs else words[0])
    parsing.parser_for(verb).parse_args(words[2 if noun.verbs else 1 :])


@pytest.mark.parametrize(
    ("kind", "numbers"),
    [
        (Kind.AUTH_FAILURES, (refusals.MOST_PER_NETWORK, refusals.MOST_PER_KEY, refusals.WINDOW_MS // 60_000)),
        (Kind.KDF_FLOOD, (gate.GUESSES.limit,)),
        (Kind.SIGNATURE_FAILURES, (tallying._INCIDENT_AFTER, tallying._INCIDENT_WITHIN_MS // 60_000)),
        (Kind.CLOCK_JUMP, (guarding.CLOCK_JUMP_MS // 1_000,)),
        (Kind.CONFIG_TAMPERED, (configwatch.UNNOTICED_MS // 60_000,)),
        (Kind.BACKUP_COPY_FAILED, (backupwatch.COPY_LATE_MS // 3_600_000,)),
    ],
)
def test_a_rule_states_the_numbers_that_hold(kind: Kind, numbers: tuple[int, ...]) -> None:
    page = playbook.page(kind)
    assert page is not None
    assert set(map(str, numbers)) <= set(re.findall(r"\d+", page.rule))


def test_severities_have_an_order() -> None:
    assert worse(Severity.CRITICAL, Severity.HIGH)
    assert worse(Severity.MEDIUM, Severity.LOW)
    assert not worse(Severity.HIGH, Severity.HIGH)


def test_the_document_holds_every_page_as_it_is_shown() -> None:
    path = Path(playbook.__file__).parents[3] / "docs" / "incidents.md"
    assert path.read_text(encoding="utf-8") == incidentsdoc.document(), "python -m tests.rules.incidentsdoc writes it"
