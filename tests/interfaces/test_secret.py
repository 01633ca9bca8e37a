"""`chronos secret` and `init --root-key` from outside: pipes, a terminal, a real keyring, and no value anywhere."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import keyring_rig
from tests.interfaces.program import Box, run
from tests.keyring_rig import Session
from tests.tui.pty import Terminal

CANARY = "canary-7f3a hunter2 ü"


@pytest.fixture
def sealed(box: Box) -> Box:
    """A box whose root key lies in a file."""
    box.ok("init", "--root-key", "file")
    return box


def test_a_value_from_a_pipe_is_stored_and_never_shown(sealed: Box) -> None:
    done = sealed.ok("secret", "set", "smtp", "--json", stdin=f"{CANARY}\n").json
    assert (done["name"], done["where"], done["version"]) == ("smtp", "vault", 1)
    assert done["vault"]["provider"] == "file"
    sealed.configure(
        "targets: {hook: {channel: webhook, url: 'http://127.0.0.1:9/', secret: 'secret:smtp'}}\n"
        "smtp: {host: localhost, username: me, password: 'secret:gone', from: me@example.org}\n"
    )
    listed = sealed.ok("secret", "list", "--json")
    assert [(one["name"], one["where"], one["used_by"]) for one in listed.json["secrets"]] == [
        ("gone", "missing", ["smtp.password"]),
        ("smtp", "vault", ["targets.hook.secret"]),
    ]
    shown = sealed.ok("secret", "list").out
    assert re.search(r"smtp +vault +1 .*targets\.hook\.secret", shown)
    spoken = [listed.out, shown, sealed.chronos("target", "test", "hook").out, sealed.ok("audit", "export").out]
    files = [file.read_bytes() for file in sealed.data_dir.rglob("*") if file.is_file()]
    assert all(CANARY not in text for text in spoken)
    assert all(CANARY.encode() not in data for data in files)


def test_checking_ends_with_3_and_one_line_for_what_cannot_be_had(sealed: Box) -> None:
    assert sealed.ok("secret", "check", "--json").json["ok"] is True
    sealed.ok("secret", "set", "a", stdin="first value")
    assert re.fullmatch(r"ok +vault +vault\nok +a +vault\n", sealed.ok("secret", "check").out)
    key = sealed.data_dir / "root.key"
    key.chmod(0o640)
    failed = sealed.chronos("secret", "check")
    assert failed.code == 3
    assert f"run: chmod 600 {key}" in failed.out
    assert sealed.chronos("health").code == 3
    key.unlink()
    assert "root.key is missing" in sealed.chronos("secret", "check").out
    refused = sealed.chronos("secret", "set", "b", stdin="second value")
    assert refused.code == 75
    assert "import-recovery-kit" in refused.one_line


def test_without_a_terminal_a_place_has_to_be_named_where_no_keyring_works(box: Box) -> None:
    refused = box.chronos("secret", "set", "smtp", stdin=CANARY)
    assert refused.code == 5
    assert all(word in refused.one_line for word in ("--root-key keyring", "file", "credential", "passphrase"))
    assert CANARY not in refused.err
    assert not (box.data_dir / "root.key").exists()
    assert box.ok("secret", "list", "--json").json == {"vault": None, "secrets": []}
    assert box.chronos("secret", "rotate-root").code == 5
    assert box.chronos("secret", "export-recovery-kit").code == 5


@pytest.mark.parametrize("value", [b"", b"\n", b"a\0b", b"\xff\xfe", b"x" * 70_000])
def test_a_value_that_is_none_is_refused(sealed: Box, value: bytes) -> None:
    refused = sealed.chronos("secret", "set", "smtp", stdin=value)
    assert refused.code == 2
    assert "nothing was stored" in refused.one_line
    assert sealed.ok("secret", "list", "--json").json["secrets"] == []


def test_a_value_as_a_word_is_refused_and_not_repeated(sealed: Box) -> None:
    refused = sealed.chronos("secret", "set", "smtp", "--value", CANARY)
    assert refused.code == 2
    assert CANARY not in refused.err


def test_a_vault_that_is_off_refuses(box: Box) -> None:
    box.configure("security: {encryption_enabled: false}\n")
    for words in (("secret", "set", "smtp"), ("init", "--root-key", "file")):
        refused = box.chronos(*words, stdin=CANARY)
        assert refused.code == 5
        assert "security.encryption_enabled is false" in refused.one_line


def test_deleting_says_who_uses_it_and_asks(sealed: Box) -> None:
    sealed.ok("secret", "set", "smtp", stdin="value")
    sealed.configure("smtp: {host: localhost, username: me, password: 'secret:smtp', from: me@example.org}\n")
    refused = sealed.chronos("secret", "delete", "smtp")
    assert refused.code == 2
    assert "used by smtp.password" in refused.one_line
    done = sealed.ok("secret", "delete", "smtp", "--yes", "--json").json
    assert done == {"name": "smtp", "deleted": True, "used_by": ["smtp.password"]}
    assert sealed.chronos("secret", "delete", "smtp", "--yes").code == 4


def test_init_with_a_root_key_may_be_said_twice_but_not_otherwise(sealed: Box) -> None:
    again = sealed.ok("init", "--root-key", "file", "--json").json
    assert again["vault"] == sealed.ok("secret", "list", "--json").json["vault"]
    assert sealed.chronos("init", "--root-key", "credential").code == 5
    assert sealed.chronos("init", "--root-key", "postit").code == 2


def test_a_recovery_kit_is_private_and_brings_the_key_back(sealed: Box) -> None:
    sealed.ok("secret", "set", "smtp", stdin=CANARY)
    kit = sealed.home / "kit.txt"
    made = sealed.ok("secret", "export-recovery-kit", str(kit), "--json").json
    assert stat.S_IMODE(kit.stat().st_mode) == 0o600
    assert made["passphrase"] not in kit.read_text()
    assert sealed.chronos("secret", "export-recovery-kit", str(kit)).code == 2
    printed = sealed.ok("secret", "export-recovery-kit", str(sealed.home / "second.txt"))
    assert len(printed.out.split()) == 1  # the passphrase alone; where the file is stands on stderr
    assert "second.txt" in printed.err
    (sealed.data_dir / "root.key").unlink()
    wrong = sealed.chronos("secret", "import-recovery-kit", str(kit), stdin="0000-0000")
    assert wrong.code == 2
    assert "passphrase is another one" in wrong.one_line
    sealed.ok("secret", "import-recovery-kit", str(kit), stdin=made["passphrase"])
    assert sealed.ok("secret", "check", "--json").json["ok"] is True
    assert sealed.chronos("secret", "import-recovery-kit", str(sealed.home / "none")).code == 4


def test_a_rotation_by_command_line_moves_the_key(sealed: Box, tmp_path: Path) -> None:
    sealed.ok("secret", "set", "smtp", stdin=CANARY)
    words = tmp_path / "words"
    words.write_text("correct horse battery staple\n")
    words.chmod(0o600)
    given = {"CHRONOS_PASSPHRASE_FILE": str(words)}
    done = sealed.ok("secret", "rotate-root", "--to", "passphrase", "--json", **given).json
    assert (done["previous"]["provider"], done["vault"]["provider"]) == ("file", "passphrase")
    assert not (sealed.data_dir / "root.key").exists()
    assert sealed.ok("secret", "check", "--json", **given).json["ok"] is True
    locked = sealed.chronos("secret", "check")
    assert locked.code == 3
    assert "CHRONOS_PASSPHRASE_FILE" in locked.out


# On a terminal


def _terminal(box: Box, *words: str, **env: str) -> Terminal:
    return Terminal(box.command(*words), env={**box.env, **env}, cwd=box.home, columns=200)


def test_on_a_terminal_the_place_and_the_value_are_asked_for_and_the_value_is_not_shown(box: Box) -> None:
    with _terminal(box, "secret", "set", "smtp") as terminal:
        terminal.wait_for("number or name, Enter for later:")
        assert "not here: no OS keyring can be used here" in re.sub(r"\s+", " ", terminal.text)
        terminal.send("1\r")
        terminal.wait_for("one of those that work here")
        terminal.send("file\r")
        terminal.wait_for("value of smtp:")
        terminal.send(f"{CANARY}\r")
        terminal.wait_for("once more:")
        terminal.send(f"{CANARY}\r")
        terminal.wait_for("secret:smtp is stored (version 1)")
        assert terminal.wait_exit() == 0
        assert CANARY.encode() not in terminal.raw
    assert box.ok("secret", "check", "--json").json["ok"] is True


def test_on_a_terminal_two_values_that_differ_are_not_stored(sealed: Box) -> None:
    with _terminal(sealed, "secret", "set", "smtp") as terminal:
        terminal.wait_for("value of smtp:")
        terminal.send("one value\r")
        terminal.wait_for("once more:")
        terminal.send("another\r")
        terminal.wait_for("not the same; nothing was stored")
        assert terminal.wait_exit() == 2
    assert sealed.ok("secret", "list", "--json").json["secrets"] == []


def test_on_a_terminal_a_passphrase_is_asked_for_by_whatever_needs_it(box: Box) -> None:
    with _terminal(box, "init", "--root-key", "passphrase") as terminal:
        for question in ("new passphrase of the vault:", "once more:"):
            terminal.wait_for(question)
            terminal.send("correct horse battery staple\r")
        terminal.wait_for("passphrase (scrypt)")
        assert terminal.wait_exit() == 0
    with _terminal(box, "secret", "check") as terminal:
        terminal.wait_for("passphrase of the vault:")
        terminal.send("correct horse battery staple\r")
        assert terminal.wait_exit() == 0
        assert b"horse" not in terminal.raw
    with _terminal(box, "secret", "check") as terminal:
        terminal.wait_for("passphrase of the vault:")
        terminal.send("another one altogether\r")
        terminal.wait_for("is not the vault's")
        assert terminal.wait_exit() == 75


def test_on_a_terminal_init_asks_once_and_may_be_put_off(box: Box) -> None:
    with _terminal(box, "init") as terminal:
        terminal.wait_for("number or name, Enter for later:")
        terminal.send("\r")
        assert terminal.wait_exit() == 0
    with _terminal(box, "init") as terminal:
        terminal.wait_for("number or name, Enter for later:")
        terminal.send("2\r")
        terminal.wait_for("root key        ")
        assert terminal.wait_exit() == 0
    with _terminal(box, "init") as terminal:
        terminal.wait_for("root key        ")
        assert terminal.wait_exit() == 0


# With a keyring


@pytest.fixture
def desktop(tmp_path: Path) -> Iterator[Session]:
    home = tmp_path / "session"
    home.mkdir()
    with keyring_rig.session(home) as running:
        yield running


@keyring_rig.NEEDED
def test_a_keyring_that_truly_works_is_taken_and_said(box: Box, desktop: Session) -> None:
    desktop.start()
    planted = keyring_rig.plant_plaintext_backend(box.home / "site")
    env = {**desktop.env, **planted, "PYTHONPATH": os.pathsep.join([box.env["PYTHONPATH"], planted["PYTHONPATH"]])}
    done = box.chronos("secret", "set", "smtp", stdin=CANARY, **env)
    assert done.code == 0, done
    assert "OS keyring" in done.err
    assert box.ok("secret", "check", "--json", **env).json["ok"] is True
    assert box.ok("secret", "rotate-root", "--json", **env).json["vault"]["key_version"] == 2
    desktop.freeze()
    hung = box.chronos("secret", "check", **env)
    assert hung.code == 3
    assert "the OS keyring did not answer within 5 s" in hung.out
    desktop.thaw()
    assert box.ok("secret", "check", "--json", **env).json["ok"] is True
    assert not list(box.home.rglob("plain"))


@keyring_rig.NEEDED
def test_a_locked_keyring_stores_nothing_and_says_how_to_go_on(box: Box, desktop: Session) -> None:
    desktop.start()
    desktop.stop()
    desktop.start("not the password")
    refused = box.chronos("secret", "set", "smtp", stdin=CANARY, **desktop.env)
    assert refused.code == 5
    assert "OS keyring" in refused.one_line
    assert "--root-key" in refused.one_line
    assert box.ok("secret", "list", "--json").json["vault"] is None


def test_what_opens_secrets_is_not_dumpable(sealed: Box) -> None:
    """Nobody else of this user reads its memory: /proc/self/environ belongs to root then, or cannot be read."""
    code = (
        "import sys; from chronos_tui.commands import main; main(sys.argv[1:]); import ctypes; "
        "print('dumpable', ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)); import resource; "
        "print('core', resource.getrlimit(resource.RLIMIT_CORE)[0])"
    )
    sealed.ok("secret", "set", "smtp", stdin="some value")
    for words in (("secret", "check"), ("secret", "rotate-root"), ("target", "test", "box"), ("init",)):
        command = [sealed.command()[0], "-c", code, "--data-dir", str(sealed.data_dir), *words]
        done = run(command, sealed.env, "", sealed.home)
        assert "dumpable 0\ncore 0\n" in done.out, (words, done)


def test_a_target_is_tested_with_a_passphrase_where_its_secret_needs_one_and_else_without(box: Box) -> None:
    words = box.home / "words"
    words.write_text("correct horse battery staple")
    words.chmod(0o600)
    given = {"CHRONOS_PASSPHRASE_FILE": str(words)}
    box.ok("init", "--root-key", "passphrase", **given)
    box.ok("secret", "set", "hook", stdin="whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", **given)
    box.configure(
        "targets:\n  box: {channel: maildir, path: mail}\n"
        "  hook: {channel: webhook, url: 'http://127.0.0.1:9/', secret: 'secret:hook'}\n"
    )
    with _terminal(box, "target", "test", "box") as terminal:
        assert terminal.wait_exit() == 0
    with _terminal(box, "target", "test", "hook") as terminal:
        terminal.wait_for("passphrase of the vault:")
        terminal.send("correct horse battery staple\r")
        terminal.wait_for("connection refused")
        assert terminal.wait_exit() == 3
    locked = box.chronos("target", "test", "hook")
    assert locked.code == 75
    assert "secret:hook: the vault opens with a passphrase" in locked.one_line
