"""CHRONOS_* variables over the file."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from engine.channels.registry import options_model
from engine.errors import ConfigError
from engine.host.config.environment import variables
from engine.host.config.load import load
from engine.host.paths import paths
from engine.model import RouteStep, Settings


def read(tmp_path: Path, env: Mapping[str, str], text: str = "") -> Settings:
    (tmp_path / "config.yaml").write_text(text)
    (tmp_path / "config.yaml").chmod(0o600)
    found = paths(str(tmp_path), None, {"HOME": "/nowhere"})
    return load(found, env, options_model, hostname="box")


def refused(tmp_path: Path, env: Mapping[str, str], text: str = "") -> list[str]:
    with pytest.raises(ConfigError) as caught:
        read(tmp_path, env, text)
    return caught.value.problems


def test_a_variable_wins_over_the_file(tmp_path: Path) -> None:
    settings = read(tmp_path, {"CHRONOS_DATABASE_MAX_CONNECTIONS": "7"}, "database: {max_connections: 9, timeout: 9s}")
    assert settings.database["max_connections"] == 7
    assert settings.database["timeout_ms"] == 9_000


def test_the_short_forms(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        {
            "CHRONOS_ENVIRONMENT": "production",
            "CHRONOS_DB_URL": "sqlite+aiosqlite:///other.db",
            "CHRONOS_LOG_LEVEL": "debug",
            "CHRONOS_SMTP_HOST": "mail.example.org",
            "CHRONOS_SMTP_PORT": "465",
            "CHRONOS_SMTP_USERNAME": "12345",
            "CHRONOS_SMTP_FROM": "Box <a@example.org>",
            "CHRONOS_INSTANCE": "42",
        },
    )
    assert settings.production
    assert settings.instance == "42"
    assert settings.database["url"] == "sqlite+aiosqlite:///other.db"
    assert settings.logging["level"] == "DEBUG"
    assert (settings.smtp["host"], settings.smtp["port"]) == ("mail.example.org", 465)
    assert (settings.smtp["username"], settings.smtp["from"]) == ("12345", "Box <a@example.org>")


@pytest.mark.parametrize(("word", "value"), [("true", True), ("YES", True), ("1", True), ("off", False), ("0", False)])
def test_booleans_are_what_people_write_in_environments(tmp_path: Path, word: str, value: bool) -> None:
    assert read(tmp_path, {"CHRONOS_HTTP_ENABLED": word}).http["enabled"] is value


def test_lists_mappings_and_whole_targets(tmp_path: Path) -> None:
    settings = read(
        tmp_path,
        {
            "CHRONOS_TELEGRAM_ALLOWED_CHATS": "1, -2",
            "CHRONOS_BACKUP_COPY_TO": "[/mnt/a, 'rclone:far:b']",
            "CHRONOS_BACKUP_KEEP": "{hourly: 3}",
            "CHRONOS_DEFAULTS_RETRY": "{attempts: 2}",
            "CHRONOS_DEFAULTS_TIMEOUT": "5s",
            "CHRONOS_TARGETS_ARCHIVE": "{channel: maildir, path: m}",
            "CHRONOS_ROUTES_ALERTS": "[archive]",
        },
    )
    assert settings.telegram["allowed_chats"] == [1, -2]
    assert settings.backup["copy_to"] == ["/mnt/a", "rclone:far:b"]
    assert settings.backup["keep"]["hourly"] == 3
    assert settings.backup["keep"]["daily"] == 7
    assert settings.targets["archive"].retry.attempts == 2
    assert settings.targets["archive"].timeout_ms == 5_000
    assert settings.routes["alerts"] == (RouteStep("archive"),)
    assert settings.origin["targets.archive.path"] == "environment:CHRONOS_TARGETS_ARCHIVE"


def test_a_value_is_read_from_a_file(tmp_path: Path) -> None:
    (tmp_path / "host").write_text("mail.example.org\n")
    settings = read(tmp_path, {"CHRONOS_SMTP_HOST_FILE": str(tmp_path / "host")})
    assert settings.smtp["host"] == "mail.example.org"
    assert settings.origin["smtp.host"] == "environment:CHRONOS_SMTP_HOST_FILE"


def test_a_key_that_ends_in_file_is_no_file_to_read(tmp_path: Path) -> None:
    settings = read(tmp_path, {"CHRONOS_SMTP_CA_FILE": "/etc/ca.pem", "CHRONOS_LOGGING_FILE_ENABLED": "no"})
    assert settings.smtp["ca_file"] == "/etc/ca.pem"
    assert settings.logging["file_enabled"] is False


def test_files_that_cannot_be_read_are_named_by_their_variable(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "bad").write_bytes(b"\xff")
    for name, words in {"pipe": "regular", "bad": "UTF-8", "gone": "no such file", "x\0": "cannot be read"}.items():
        (problem,) = refused(tmp_path, {"CHRONOS_SMTP_HOST_FILE": str(tmp_path / name)})
        assert problem.startswith("CHRONOS_SMTP_HOST_FILE: ")
        assert words in problem


def test_an_unknown_variable_is_an_error_with_a_suggestion(tmp_path: Path) -> None:
    assert refused(tmp_path, {"CHRONOS_SMTP_HSOT": "x"}) == [
        "CHRONOS_SMTP_HSOT: unknown variable; did you mean CHRONOS_SMTP_HOST?"
    ]
    assert "unknown variable" in refused(tmp_path, {"CHRONOS_QQQ": "x"})[0]


def test_variables_that_are_no_settings_are_left_alone(tmp_path: Path) -> None:
    read(
        tmp_path,
        {
            "CHRONOS_DATA_DIR": "/x",
            "CHRONOS_CONFIG_FILE": "/y",
            "CHRONOS_DEBUG": "1",
            "CHRONOS_SECRET_ANYTHING": "s",
            "CHRONOS_SECRET_X_FILE": "/z",
            "CHRONOS_SMTP_HOST": "",
            "OTHER": "1",
        },
    )


def test_two_variables_for_one_key_are_refused(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, {"CHRONOS_LOG_LEVEL": "INFO", "CHRONOS_LOGGING_LEVEL": "DEBUG"})
    assert "CHRONOS_LOGGING_LEVEL" in problem
    assert "CHRONOS_LOG_LEVEL" in problem


def test_a_password_in_a_variable_is_refused_and_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "pw").write_text("hunter2-canary\n")
    for env in ({"CHRONOS_SMTP_PASSWORD": "hunter2-canary"}, {"CHRONOS_SMTP_PASSWORD_FILE": str(tmp_path / "pw")}):
        (problem,) = refused(tmp_path, env)
        assert problem.startswith(next(iter(env)))
        assert "CHRONOS_SECRET_SMTP" in problem
        assert "canary" not in problem


def test_a_mistake_inside_a_structured_variable_names_variable_and_key(tmp_path: Path) -> None:
    (problem,) = refused(tmp_path, {"CHRONOS_TARGETS_A": "{channel: maildir, path: m, tiemout: 5s}"})
    assert problem == "CHRONOS_TARGETS_A: tiemout: unknown key; did you mean timeout?"
    (problem,) = refused(tmp_path, {"CHRONOS_TARGETS_A": "{channel: "})
    assert problem.startswith("CHRONOS_TARGETS_A: not valid YAML")


def test_a_variable_cannot_go_below_a_section_that_is_none(tmp_path: Path) -> None:
    problems = refused(tmp_path, {"CHRONOS_SMTP_HOST": "x"}, "smtp: 5\n")
    assert any(problem.startswith("config.yaml:1: smtp: must hold keys") for problem in problems)


def test_every_section_key_has_a_variable() -> None:
    known = variables()
    assert known["CHRONOS_OUTBOX_KEEP_DELIVERED"] == ("outbox", "keep_delivered")
    assert known["CHRONOS_SECURITY_REQUIRE_HTTPS"] == ("security", "require_https")
    assert not [name for name in known if name.startswith("CHRONOS_SECRET")]
