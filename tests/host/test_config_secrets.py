"""Secrets: where they come from, and that nothing repeats them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.errors import SecretMissing
from engine.host.secrets_env import lookup, variable, weakness

CANARY = "hunter2-canary"


def test_the_variable_is_named_after_the_reference() -> None:
    assert variable("secret:n8n-in") == "CHRONOS_SECRET_N8N_IN"
    assert variable("secret:a.b_c") == "CHRONOS_SECRET_A_B_C"


def test_the_variable_wins_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "s"
    file.write_text("from file")
    env = {"CHRONOS_SECRET_SMTP": "direct", "CHRONOS_SECRET_SMTP_FILE": str(file)}
    assert lookup("secret:smtp", env) == "direct"
    assert lookup("secret:smtp", {**env, "CHRONOS_SECRET_SMTP": ""}) == "from file"


@pytest.mark.parametrize(
    ("content", "value"), [("x\n", "x"), ("x\r\n", "x"), ("x\n\n", "x\n"), (" x ", " x "), ("ü", "ü")]
)
def test_one_newline_is_stripped_from_a_file_and_nothing_else(tmp_path: Path, content: str, value: str) -> None:
    file = tmp_path / "s"
    file.write_bytes(content.encode())
    assert lookup("secret:s", {"CHRONOS_SECRET_S_FILE": str(file)}) == value


def test_what_was_opened_is_reported() -> None:
    opened: list[str] = []
    lookup("secret:s", {"CHRONOS_SECRET_S": CANARY}, opened.append)
    assert opened == [CANARY]


def test_a_missing_secret_names_both_variables() -> None:
    with pytest.raises(SecretMissing, match="set CHRONOS_SECRET_SMTP, or CHRONOS_SECRET_SMTP_FILE"):
        lookup("secret:smtp", {})


def test_a_text_that_is_no_reference_is_not_repeated() -> None:
    with pytest.raises(SecretMissing) as caught:
        lookup(CANARY, {})
    assert CANARY not in str(caught.value)


def test_a_file_that_cannot_be_used_is_explained(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "empty").write_text("\n")
    (tmp_path / "binary").write_bytes(b"\xff" + CANARY.encode())
    for name, words in {
        "pipe": "regular",
        "empty": "empty",
        "binary": "UTF-8",
        "gone": "no such file",
        ".": "regular",
    }.items():
        with pytest.raises(SecretMissing, match=words) as caught:
            lookup("secret:s", {"CHRONOS_SECRET_S_FILE": str(tmp_path / name)})
        assert CANARY not in repr(caught.value.__context__)


def test_a_file_that_others_can_change_is_refused_and_one_they_can_read_is_reported(tmp_path: Path) -> None:
    file = tmp_path / "s"
    file.write_text(CANARY)
    env = {"CHRONOS_SECRET_S_FILE": str(file)}
    file.chmod(0o622)
    with pytest.raises(SecretMissing, match="chmod 600"):
        lookup("secret:s", env)
    file.chmod(0o444)
    assert lookup("secret:s", env) == CANARY
    assert "chmod 600" in (weakness("secret:s", env) or "")
    file.chmod(0o600)
    assert weakness("secret:s", env) is None
