"""Root keys in a file, as systemd credentials, and from a passphrase."""

from __future__ import annotations

import base64
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from engine.errors import BadInput, NotPossible, VaultLocked
from engine.host import sealing
from engine.host.rootkeys import passphrase
from engine.host.rootkeys.choosing import Provider, root_keys
from engine.host.rootkeys.credential import CredentialKeys
from engine.host.rootkeys.file import FileKeys
from engine.host.rootkeys.passphrase import PassphraseKeys
from tests.support import PATIENCE_S

KEY, OTHER = bytes(range(32)), bytes(range(1, 33))
ID, OTHER_ID = sealing.root_id(KEY), sealing.root_id(OTHER)


def _write(path: Path, content: bytes, mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_key_file_holds_several_keys_by_id_and_is_for_its_owner_alone(tmp_path: Path) -> None:
    keys = FileKeys(tmp_path)
    keys.keep(ID, KEY)
    keys.keep(OTHER_ID, OTHER)
    assert stat.S_IMODE((tmp_path / "root.key").stat().st_mode) == 0o600
    assert (keys.find(ID), keys.find(OTHER_ID)) == (KEY, OTHER)
    keys.forget(ID)
    keys.forget(ID)
    with pytest.raises(VaultLocked, match=f"does not hold root key {ID}"):
        keys.find(ID)
    assert FileKeys(tmp_path).find(OTHER_ID) == OTHER
    keys.forget(OTHER_ID)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o601])
def test_a_key_file_that_others_may_use_is_not_used(tmp_path: Path, mode: int) -> None:
    keys = FileKeys(tmp_path)
    keys.keep(ID, KEY)
    file = tmp_path / "root.key"
    file.chmod(mode)
    for act in (lambda: keys.find(ID), lambda: keys.keep(OTHER_ID, OTHER), lambda: keys.forget(ID)):
        with pytest.raises(VaultLocked, match=f"run: chmod 600 {file}"):
            act()
    assert f"chmod 600 {file}" in str(keys.trouble())
    file.chmod(0o600)
    assert keys.find(ID) == KEY


@pytest.mark.parametrize(
    "content", [b"nonsense\n", f"{ID} 00\n".encode(), f"{OTHER_ID} {KEY.hex()}\n".encode(), b"\xff\xfe", b"x" * 20_000]
)
def test_a_damaged_key_file_says_so_and_repeats_nothing_of_it(tmp_path: Path, content: bytes) -> None:
    _write(tmp_path / "root.key", content)
    with pytest.raises(VaultLocked) as caught:
        FileKeys(tmp_path).find(ID)
    assert str(tmp_path / "root.key") in str(caught.value)
    assert KEY.hex() not in str(caught.value)


def test_two_processes_that_change_the_key_file_lose_no_key(tmp_path: Path) -> None:
    code = (
        "import sys; from pathlib import Path; from engine.host.rootkeys.file import FileKeys; from engine.host "
        "import sealing; import os\n"
        "keys = FileKeys(Path(sys.argv[1]))\n"
        "for _ in range(20):\n"
        "    key = os.urandom(32); keys.keep(sealing.root_id(key), key); print(sealing.root_id(key))\n"
    )
    running = [
        subprocess.Popen([sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    kept = [name for one in running for name in one.communicate(timeout=PATIENCE_S * 3)[0].split()]
    assert len(kept) == 60
    for name in kept:
        assert sealing.root_id(FileKeys(tmp_path).find(name)) == name


@pytest.mark.parametrize(
    "spell", [lambda key: key, lambda key: key.hex().encode() + b"\n", lambda key: base64.b64encode(key) + b"\n"]
)
def test_a_credential_is_read_in_each_spelling(tmp_path: Path, spell: Callable[[bytes], bytes]) -> None:
    _write(tmp_path / "chronos-root-key", spell(KEY), 0o400)
    _write(tmp_path / "something-else", b"x", 0o400)
    keys = CredentialKeys({"CREDENTIALS_DIRECTORY": str(tmp_path)})
    assert keys.trouble() is None
    assert keys.find(ID) == KEY
    keys.keep(ID, KEY)


def test_among_several_credentials_the_one_that_fits_is_taken_and_the_other_is_the_next(tmp_path: Path) -> None:
    _write(tmp_path / "chronos-root-key", KEY, 0o400)
    keys = CredentialKeys({"CREDENTIALS_DIRECTORY": str(tmp_path)})
    with pytest.raises(NotPossible, match="systemd-creds encrypt --name=chronos-root-key-next"):
        keys.fresh(ID)
    _write(tmp_path / "chronos-root-key-next", OTHER, 0o400)
    assert keys.find(ID) == KEY
    assert keys.fresh(ID) == OTHER
    assert keys.fresh(OTHER_ID) == KEY
    with pytest.raises(NotPossible, match="several"):
        keys.fresh("")


def test_a_credential_that_is_missing_or_wrong_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(VaultLocked, match="handed no systemd credentials"):
        CredentialKeys({}).find(ID)
    keys = CredentialKeys({"CREDENTIALS_DIRECTORY": str(tmp_path)})
    with pytest.raises(VaultLocked, match="systemd-creds encrypt --name=chronos-root-key -"):
        keys.find(ID)
    file = _write(tmp_path / "chronos-root-key", OTHER, 0o400)
    with pytest.raises(VaultLocked, match=f"is root key {ID}"):
        keys.find(ID)
    with pytest.raises(NotPossible, match="cannot be written from here"):
        keys.keep(ID, KEY)
    file.chmod(0o644)
    with pytest.raises(VaultLocked, match="chmod 400"):
        keys.find(OTHER_ID)
    file.chmod(0o600)
    file.write_bytes(b"short")
    with pytest.raises(VaultLocked, match="32 bytes are wanted"):
        keys.find(OTHER_ID)


def test_a_passphrase_is_taken_from_whoever_typed_it_or_a_file_or_a_credential(tmp_path: Path) -> None:
    kdf = sealing.new_kdf(os.urandom)
    words = "correct horse battery"
    name = sealing.root_id(sealing.derive(words, kdf))
    file = _write(tmp_path / "words", f"{words}\n".encode())
    _write(tmp_path / "chronos-passphrase", words.encode(), 0o400)
    for keys in (
        PassphraseKeys({}, kdf, words),
        PassphraseKeys({"CHRONOS_PASSPHRASE_FILE": str(file)}, kdf),
        PassphraseKeys({"CREDENTIALS_DIRECTORY": str(tmp_path)}, kdf),
    ):
        assert sealing.root_id(keys.find(name)) == name
    with pytest.raises(VaultLocked, match="none was given"):
        PassphraseKeys({}, kdf).find(name)
    with pytest.raises(VaultLocked, match="is not the vault's") as caught:
        PassphraseKeys({}, kdf, "correct horse batterie").find(name)
    assert "batterie" not in str(caught.value)


def test_a_passphrase_file_that_others_can_read_is_refused(tmp_path: Path) -> None:
    file = _write(tmp_path / "words", b"correct horse battery", 0o640)
    with pytest.raises(VaultLocked, match=f"chmod 600 {file}"):
        passphrase.provided({"CHRONOS_PASSPHRASE_FILE": str(file)})
    _write(file, b"\n")
    with pytest.raises(VaultLocked, match="is empty"):
        passphrase.provided({"CHRONOS_PASSPHRASE_FILE": str(file)})
    with pytest.raises(VaultLocked, match="cannot be read"):
        passphrase.provided({"CHRONOS_PASSPHRASE_FILE": str(tmp_path / "nobody")})
    assert passphrase.provided({"CREDENTIALS_DIRECTORY": str(tmp_path)}) is None


@pytest.mark.parametrize("words", ["", "short", "two\nlines of text", "with a \0 in it", "x" * 5000])
def test_a_passphrase_that_is_none_is_refused(words: str) -> None:
    with pytest.raises(BadInput):
        PassphraseKeys({}, sealing.new_kdf(os.urandom), words).fresh("")


def test_a_provider_is_made_by_name_alone(tmp_path: Path) -> None:
    kdf = sealing.new_kdf(os.urandom)
    words = [root_keys(one, tmp_path, {}, kdf=kdf).words for one in Provider]
    assert words == [
        "OS keyring",
        f"key file {tmp_path / 'root.key'}",
        "systemd credential",
        "passphrase (scrypt, 128 MiB)",
    ]
