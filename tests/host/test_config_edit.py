"""`config set` and `unset`: one key changes, the rest of the file stays as its author wrote it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.channels.registry import options_model
from engine.errors import BadInput, ConfigError, NotFound, NotPossible
from engine.host.config.edit import set_value, unset
from engine.host.config.load import load
from engine.host.config.starter import default_text
from engine.host.config.tree import parse
from engine.host.paths import Paths, paths
from engine.model import Settings

AUTHOR = """\
# The box in the cellar
smtp:       {host: a.example.org,   port: 587}   # the provider's

# where things go
targets:
  archive:  {channel: maildir, path: m}
  hook:
    channel: webhook   # flow
    url: "https://x.example.org/a"

    # not too fast
    rate: 20/m
# the end
"""


@pytest.fixture
def found(tmp_path: Path) -> Paths:
    return paths(str(tmp_path), str(tmp_path / "config.yaml"), {"HOME": "/nowhere"})


def check(found: Paths) -> Check:
    return Check(found)


class Check:
    """Judges a text like the real command does."""

    def __init__(self, found: Paths) -> None:
        self.found = found

    def __call__(self, text: bytes) -> Settings:
        return load(self.found, {}, options_model, hostname="box", text=text)


def put(found: Paths, text: str) -> None:
    found.config_file.write_text(text)
    found.config_file.chmod(0o600)


def after(found: Paths, key: str, value: str, text: str = AUTHOR) -> str:
    put(found, text)
    set_value(found, key, value, check(found))
    return found.config_file.read_text()


def test_a_value_changes_and_every_other_byte_stays(found: Paths) -> None:
    assert after(found, "smtp.port", "25") == AUTHOR.replace("587", "25")
    assert after(found, "targets.hook.url", "https://y.example.org") == AUTHOR.replace(
        '"https://x.example.org/a"', '"https://y.example.org"'
    )
    assert after(found, "targets.hook.rate", "5/s") == AUTHOR.replace("20/m", "5/s")


def test_a_new_key_goes_to_the_end_of_its_mapping(found: Paths) -> None:
    assert after(found, "smtp.tls", "implicit") == AUTHOR.replace("port: 587}", "port: 587, tls: implicit}")
    assert after(found, "targets.hook.timeout", "5s") == AUTHOR.replace("rate: 20/m\n", "rate: 20/m\n    timeout: 5s\n")
    assert after(found, "targets.hook.retry.attempts", "3") == AUTHOR.replace(
        "rate: 20/m\n", "rate: 20/m\n    retry:\n      attempts: 3\n"
    )
    assert after(found, "http.listen", "127.0.0.1:1") == AUTHOR + 'http:\n  listen: "127.0.0.1:1"\n'
    assert after(found, "environment", "production") == AUTHOR + "environment: production\n"


def test_the_change_is_returned_as_a_diff(found: Paths) -> None:
    put(found, AUTHOR)
    diff = set_value(found, "targets.hook.rate", "5/s", check(found)).splitlines()
    assert "-    rate: 20/m" in diff
    assert "+    rate: 5/s" in diff
    assert set_value(found, "targets.hook.rate", "5/s", check(found)) == ""


@pytest.mark.parametrize(
    ("text", "key", "value"),
    [
        ("smtp: {}\n", "smtp.host", "a"),
        ("smtp: {host: a,}\n", "smtp.port", "25"),
        ("smtp:\n", "smtp.host", "a"),
        ("smtp:\n  host:\n", "smtp.host", "a"),
        ("smtp:\n  host: a", "smtp.port", "25"),
        ("smtp:\n  host: >-\n    a\n  port: 25\n", "smtp.host", "b"),
        ("smtp:\n  host: |-\n    a\n", "smtp.port", "25"),
        ("smtp:\r\n  host: a\r\nhttp: {}\r\n", "smtp.port", "25"),
        ("smtp: {\n  host: a, # c\n}\n", "smtp.port", "25"),
        ("targets:\n  a:\n    channel: maildir\n    path: x\n# c\nroutes:\n  r:\n  - a\n", "routes.r", "[{to: a}]"),
        ("targets:\n  a: &a {channel: maildir, path: x}\n  b: *a\n", "targets.a.path", "y"),
        ("---\nsmtp: {host: a}\n...\n", "http.enabled", "false"),
        ("\ufeffsmtp: {host: a}\n", "smtp.host", "b"),
        ("smtp: {host: a # }\n}\n", "smtp.port", "25"),
        ("smtp: {\n  # c\n}\n", "smtp.port", "25"),
        ("defaults: {\n  # c\n  retry: , # d\n  timeout: 5s\n}\n", "defaults.retry.attempts", "3"),
        ("{smtp: {host: a}}\n", "smtp.port", "25"),
        ("{smtp: {host: a}}\n", "http.enabled", "false"),
        ("'smtp': {'host': a}\n", "smtp.host", "b"),
        ("", "targets.new", "{channel: maildir, path: 'a: b'}"),
    ],
)
def test_unusual_layouts_are_changed_rightly_or_not_at_all(found: Paths, text: str, key: str, value: str) -> None:
    put(found, text)
    before = parse(text).values
    try:
        diff = set_value(found, key, value, check(found))
    except NotPossible:
        assert found.config_file.read_bytes().decode() == text
        return
    assert diff
    assert found.config_file.read_text().count("#") == text.count("#")
    values = parse(found.config_file.read_text()).values
    parts = key.split(".")
    for part in parts[:-1]:
        values, before = values[part], before.get(part) or {}
    assert values.pop(parts[-1]) not in (None, before.pop(parts[-1], "nothing"))
    assert values == before


def test_text_that_looks_like_a_number_becomes_text_where_its_key_wants_text(found: Paths) -> None:
    assert 'username: "12345"' in after(found, "smtp.username", "12345")
    assert 'instance: "42"' in after(found, "instance", "42")
    assert "port: 42" in after(found, "smtp.port", "42")


def test_an_invalid_result_is_not_written(found: Paths) -> None:
    put(found, AUTHOR)
    for key, value in {
        "smtp.port": "many",
        "smtp.prot": "25",
        "smtp.password": "hunter2-canary",
        "targets.archive.channel": "nope",
        "smtp": "x",
    }.items():
        with pytest.raises(ConfigError) as caught:
            set_value(found, key, value, check(found))
        assert "canary" not in str(caught.value)
        assert found.config_file.read_text() == AUTHOR
    assert [path.name for path in found.config_file.parent.iterdir()] == ["config.yaml"]


@pytest.mark.parametrize(
    ("key", "value"), [("", "x"), ("smtp..port", "1"), ("smtp.port", "{"), ("smtp.host.name", "x")]
)
def test_words_that_are_no_key_or_value_are_bad_input(found: Paths, key: str, value: str) -> None:
    put(found, AUTHOR)
    with pytest.raises(BadInput):
        set_value(found, key, value, check(found))
    assert found.config_file.read_text() == AUTHOR


def test_a_missing_file_is_made_private(found: Paths) -> None:
    diff = set_value(found, "smtp.host", "mail.example.org", check(found))
    assert "+  host: mail.example.org" in diff
    assert found.config_file.stat().st_mode & 0o777 == 0o600
    assert check(found)(found.config_file.read_bytes()).smtp["host"] == "mail.example.org"


def test_a_link_stays_a_link_and_the_mode_stays(found: Paths, tmp_path: Path) -> None:
    real = tmp_path / "dotfiles.yaml"
    real.write_text("smtp: {host: a}\n")
    real.chmod(0o640)
    found.config_file.symlink_to(real)
    set_value(found, "smtp.host", "b", check(found))
    assert found.config_file.is_symlink()
    assert real.read_text() == "smtp: {host: b}\n"
    assert real.stat().st_mode & 0o777 == 0o640


def test_replacing_a_plain_password_does_not_print_it(found: Paths) -> None:
    put(found, "smtp: {host: a, password: hunter2-canary}\n")
    diff = set_value(found, "smtp.password", "secret:smtp", check(found))
    assert "canary" not in diff
    assert "secret:smtp" in diff
    assert "canary" not in found.config_file.read_text()


def test_unset_takes_the_line_or_the_entry_and_nothing_else(found: Paths) -> None:
    put(found, AUTHOR)
    unset(found, "targets.hook.rate", check(found))
    assert found.config_file.read_text() == AUTHOR.replace("    rate: 20/m\n", "")
    unset(found, "smtp.port", check(found))
    assert "smtp:       {host: a.example.org}   # the provider's" in found.config_file.read_text()
    unset(found, "smtp.host", check(found))
    assert "smtp:       {}   # the provider's" in found.config_file.read_text()
    unset(found, "targets", check(found))
    assert parse(found.config_file.read_text()).values == {"smtp": {}}


def test_unset_of_what_is_not_set_or_still_needed_is_refused(found: Paths) -> None:
    put(found, AUTHOR + "routes: {r: [hook]}\n")
    before = found.config_file.read_text()
    with pytest.raises(NotFound):
        unset(found, "smtp.tls", check(found))
    with pytest.raises(ConfigError, match="unknown target hook"):
        unset(found, "targets.hook", check(found))
    assert found.config_file.read_text() == before


def test_a_broken_file_is_not_touched(found: Paths) -> None:
    put(found, "smtp: {host: a\n")
    with pytest.raises(ConfigError, match=r"config\.yaml:"):
        set_value(found, "smtp.host", "b", check(found))
    assert found.config_file.read_text() == "smtp: {host: a\n"


def test_the_starter_file_is_valid_and_takes_every_edit(found: Paths) -> None:
    put(found, default_text())
    check(found)(default_text().encode())
    set_value(found, "targets.me.channel", "maildir", lambda _: None)
    set_value(found, "targets.me.path", "m", check(found))
    text = found.config_file.read_text()
    assert text.startswith(default_text())
    assert parse(text).values["targets"] == {"me": {"channel": "maildir", "path": "m"}}


def test_what_the_starter_file_shows_in_comments_is_valid_too(found: Paths) -> None:
    lines = default_text().splitlines()
    shown = [
        line[2:] if line.startswith("# ") and (line[2:3] == " " or line.split()[1].endswith(":")) else line
        for line in lines
    ]
    shown = [line.removeprefix("# ") if line.startswith("# instance:") else line for line in shown]
    settings = check(found)("\n".join(shown).encode())
    assert set(settings.targets) == {"me", "hook", "archive"}
    assert settings.instance == "box.example.org"
    assert len(settings.routes["alerts"]) == 2
