"""docs/keys.md says what the registry says."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from chronos_tui.cockpit import keysdoc
from chronos_tui.keys import SHELL, key_words

DOCUMENT = Path(__file__).parents[3] / "docs" / "keys.md"


def test_the_document_is_current() -> None:
    assert DOCUMENT.read_text() == keysdoc.text(), "python -m chronos_tui.cockpit.keysdoc docs/keys.md"


def test_it_is_written_to_the_path_that_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["keysdoc", str(tmp_path / "keys.md")])
    assert keysdoc.main() == 0
    assert (tmp_path / "keys.md").read_text() == keysdoc.text()


def test_every_command_and_word_is_in_it() -> None:
    text = keysdoc.text()
    for command in SHELL:
        if command.id != "shell.panel":
            assert f"`{key_words(command.keys[0])}`" in text
        assert command.help in text
    for word in (":pause [SCOPE] [DURATION] [REASON]", ":outbox [FILTER]", ":verify", "Dialog: compose"):
        assert word in text
