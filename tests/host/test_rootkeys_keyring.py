"""The OS keyring by a real gnome-keyring-daemon on a private bus, and without one."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from importlib import import_module
from pathlib import Path

import pytest

from engine.errors import NotPossible, VaultLocked
from engine.host import sealing
from engine.host.rootkeys import keyring_child
from engine.host.rootkeys.keyring import KeyringKeys
from tests import keyring_rig
from tests.keyring_rig import Session
from tests.support import PATIENCE_S

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
ID, OTHER_ID = sealing.root_id(KEY), sealing.root_id(OTHER)


def patient(env: Mapping[str, str], directory: Path) -> KeyringKeys:
    """A keyring that is given more than 5 s: a machine that runs tests is busy."""
    return KeyringKeys(env, directory, limit_s=PATIENCE_S)


@pytest.fixture
def desktop(tmp_path: Path) -> Iterator[Session]:
    with keyring_rig.session(tmp_path) as running:
        yield running


@keyring_rig.NEEDED
def test_a_key_is_stored_found_and_removed(desktop: Session, tmp_path: Path) -> None:
    desktop.start()
    keys = patient(desktop.env, tmp_path)
    assert keys.trouble() is None
    keys.keep(ID, KEY)
    keys.keep(OTHER_ID, OTHER)
    assert keys.words == "OS keyring (Secret Service)"
    assert (keys.find(ID), keys.find(OTHER_ID)) == (KEY, OTHER)
    keys.forget(ID)
    keys.forget(ID)
    with pytest.raises(VaultLocked, match=f"no root key {ID}.*import-recovery-kit"):
        keys.find(ID)
    desktop.stop()
    desktop.start()
    assert keys.find(OTHER_ID) == OTHER
    assert KEY.hex().encode() not in b"".join(file.read_bytes() for file in (tmp_path / "share").rglob("*.keyring"))


@keyring_rig.NEEDED
def test_a_copy_of_a_data_directory_does_not_remove_the_originals_key(desktop: Session, tmp_path: Path) -> None:
    desktop.start()
    patient(desktop.env, tmp_path / "original").keep(ID, KEY)
    copy = patient(desktop.env, tmp_path / "copy")
    assert copy.find(ID) == KEY
    copy.forget(ID)
    assert copy.find(ID) == KEY


@keyring_rig.NEEDED
@pytest.mark.parametrize("password", [None, "another password"])
def test_a_locked_keyring_says_how_to_unlock_it(desktop: Session, tmp_path: Path, password: str | None) -> None:
    desktop.start()
    keys = patient(desktop.env, tmp_path)
    keys.keep(ID, KEY)
    desktop.stop()
    desktop.start(password)
    hasty = KeyringKeys(desktop.env, tmp_path, limit_s=2.0)  # nobody is there to be prompted
    for act in (lambda: hasty.find(ID), lambda: hasty.keep(OTHER_ID, OTHER)):
        with pytest.raises(VaultLocked, match=r"the OS keyring .*unlock it in your desktop session, or .*--unlock"):
            act()
    assert "unlock" in str(hasty.trouble())
    desktop.stop()
    desktop.start()
    assert keys.find(ID) == KEY


@keyring_rig.NEEDED
def test_a_daemon_that_hangs_is_given_up_and_its_child_killed(desktop: Session, tmp_path: Path) -> None:
    desktop.start()
    keys = patient(desktop.env, tmp_path)
    keys.keep(ID, KEY)
    desktop.freeze()
    with pytest.raises(VaultLocked, match="did not answer within 2 s"):
        KeyringKeys(desktop.env, tmp_path, limit_s=2.0).find(ID)
    desktop.thaw()
    assert keys.find(ID) == KEY


@keyring_rig.NEEDED
def test_a_key_that_somebody_replaced_is_found_out(desktop: Session, tmp_path: Path) -> None:
    desktop.start()
    keys = patient(desktop.env, tmp_path)
    keys.keep(ID, OTHER)
    with pytest.raises(VaultLocked, match="is another key"):
        keys.find(ID)


@keyring_rig.NEEDED
def test_a_plaintext_backend_that_is_installed_and_configured_is_not_picked(desktop: Session, tmp_path: Path) -> None:
    env = {**desktop.env, **keyring_rig.plant_plaintext_backend(tmp_path / "site")}
    desktop.start()
    keys = patient(env, tmp_path)
    keys.keep(ID, KEY)
    assert keys.words == "OS keyring (Secret Service)"
    assert keys.find(ID) == KEY
    assert not (tmp_path / "plain").exists()


def test_without_a_bus_nothing_is_stored_anywhere(tmp_path: Path) -> None:
    planted = keyring_rig.plant_plaintext_backend(tmp_path / "site")
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **planted}
    for name in ("keyring.backends.null.Keyring", "keyring.backends.chainer.ChainerBackend", "plainkeys.Keyring"):
        keys = patient({**env, "PYTHON_KEYRING_BACKEND": name}, tmp_path)
        with pytest.raises(VaultLocked, match="no OS keyring can be used here"):
            keys.keep(ID, KEY)
        with pytest.raises(VaultLocked, match="no OS keyring can be used here"):
            keys.find(ID)
        assert "no OS keyring can be used here" in str(keys.trouble())
    assert not (tmp_path / "plain").exists()


def test_the_planted_backend_is_what_keyring_itself_would_pick(tmp_path: Path) -> None:
    """Or the two tests before this one would show nothing."""
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), **keyring_rig.plant_plaintext_backend(tmp_path / "site")}
    code = (
        "import keyring; keyring.set_password('s', 'n', 'in the clear'); print(type(keyring.get_keyring()).__module__)"
    )
    for left_out in (None, "PYTHON_KEYRING_BACKEND"):
        given = {name: value for name, value in env.items() if name != left_out}
        done = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == "plainkeys"
    assert "in the clear" in (tmp_path / "plain").read_text()


def test_what_is_allowed_is_what_keyring_has_and_nothing_that_hands_on() -> None:
    """A class that was renamed would silently be no longer found."""
    linux = [(module, name) for module, name, _ in keyring_child.ALLOWED if "macOS" not in module]
    for module, name in linux:
        assert isinstance(getattr(import_module(module), name), type)
    refused = {"keyring.backends.chainer", "keyring.backends.fail", "keyring.backends.null"}
    assert refused.isdisjoint({module for module, _, _ in keyring_child.ALLOWED})


def test_the_child_answers_with_json_alone_whatever_a_library_prints(tmp_path: Path) -> None:
    site = tmp_path / "site"
    site.mkdir()
    (site / "secretstorage.py").write_text("print('hello from a library')\nraise ImportError\n")
    done = subprocess.run(
        [sys.executable, "-m", "engine.host.rootkeys.keyring_child"],
        input=json.dumps({"act": "get", "name": ID}),
        env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "PYTHONPATH": str(site)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout)["why"] == "none"
    assert "hello from a library" in done.stderr


def test_a_child_that_fails_is_an_error_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "keyring.py").write_text("raise SystemExit(1)\n")
    keys = patient({"PYTHONPATH": str(tmp_path), "HOME": str(tmp_path)}, tmp_path)
    with pytest.raises((VaultLocked, NotPossible), match="its child process failed"):
        keys.find(ID)
