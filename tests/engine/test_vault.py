"""The vault: what is sealed opens, what was changed is found, and no killed process locks anybody out."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.engine import Engine
from engine.errors import BadInput, NotFound, NotPossible, SecretMissing, TryAgain, VaultDamaged, VaultLocked
from engine.host.paths import paths
from engine.model import Settings
from engine.operations import rotating, secrets, vault
from engine.operations.vault import Provider
from tests.support import FakeClock, settings

SECRETS = {"smtp": "hunter2 hunter2", "hook": "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "long": "ü" * 20_000}
PASSPHRASE = "correct horse battery staple"


@contextmanager
def opened(
    directory: Path, env: Mapping[str, str] | None = None, configuration: Settings | None = None, **more: Any
) -> Iterator[Engine]:
    env = env or {}
    engine = Engine.open(
        paths(str(directory), None, env), env, actor="test:me", settings=configuration or settings(), **more
    )
    try:
        yield engine
    finally:
        engine.close()


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data directory with a vault whose root key lies in a file, and SECRETS in it."""
    directory = tmp_path / "data"
    with opened(directory) as engine:
        engine.vault_create(Provider.FILE)
        for name, value in SECRETS.items():
            engine.secret_set(name, value)
    return directory


def everything(directory: Path, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """Open every secret in an engine of its own, as a new process does."""
    with opened(directory, env) as engine:
        return {name: secrets.look_up(engine.context, f"secret:{name}") for name in SECRETS}


def problems(directory: Path, env: Mapping[str, str] | None = None) -> dict[str, str]:
    with opened(directory, env) as engine:
        return {one.name: one.problem for one in engine.secrets_check() if not one.ok}


def tamper(directory: Path, *statements: str) -> None:
    with closing(sqlite3.connect(directory / "chronos.db", isolation_level=None)) as connection:
        for statement in statements:
            assert connection.execute(statement).rowcount > 0, statement


# Setting and looking up


def test_a_secret_is_stored_sealed_and_opens_in_another_process(data: Path) -> None:
    assert everything(data) == SECRETS
    on_disk = b"".join(file.read_bytes() for file in data.iterdir())
    for value in SECRETS.values():
        assert value.encode() not in on_disk
    assert problems(data) == {}


def test_the_environment_wins_then_its_file_then_the_vault(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "hook"
    file.write_text("from a file\n")
    file.chmod(0o600)
    env = {"CHRONOS_SECRET_SMTP": "from a variable", "CHRONOS_SECRET_HOOK_FILE": str(file)}
    assert everything(data, env) == {**SECRETS, "smtp": "from a variable", "hook": "from a file"}
    named = {"CHRONOS_SECRET_HOOK_FILE": str(tmp_path / "nobody")}
    with opened(data, named) as engine, pytest.raises(SecretMissing, match="no such file"):
        secrets.look_up(engine.context, "secret:hook")  # it was asked for by name: no silent fallback


def test_what_is_opened_is_handed_to_whoever_hides_it(data: Path) -> None:
    heard: list[str] = []
    with opened(data, on_secret=heard.append) as engine:
        secrets.look_up(engine.context, "secret:smtp")
        engine.secret_set("new", "another value")
    assert heard == [SECRETS["smtp"], "another value"]


def test_what_nothing_provides_says_how_to_provide_it(data: Path, tmp_path: Path) -> None:
    with opened(data) as engine, pytest.raises(SecretMissing, match=r"secret set nobody.*CHRONOS_SECRET_NOBODY_FILE"):
        secrets.look_up(engine.context, "secret:nobody")
    with opened(tmp_path / "empty") as engine, pytest.raises(SecretMissing, match="secret set nobody"):
        secrets.look_up(engine.context, "secret:nobody")


@pytest.mark.parametrize("name", ["", ".audit-key", "a b", "x" * 65, "-a", "a/b", "ü", "a\n"])
def test_a_name_that_is_none_is_refused(data: Path, name: str) -> None:
    with opened(data) as engine, pytest.raises(BadInput, match="no name for a secret"):
        engine.secret_set(name, "value")


@pytest.mark.parametrize("value", ["", "a\0b", "x" * (64 * 1024 + 1), "\ud800"])
def test_a_value_that_is_none_is_refused_and_not_repeated(data: Path, value: str) -> None:
    with opened(data) as engine, pytest.raises(BadInput, match="nothing was stored") as caught:
        engine.secret_set("other", value)
    assert "xxx" not in str(caught.value)
    with opened(data) as engine:
        assert "other" not in [one.name for one in engine.secrets()]


def test_a_vault_that_is_off_stores_nothing_and_says_so(tmp_path: Path) -> None:
    off = settings(security={"encryption_enabled": False})
    with opened(tmp_path / "data", configuration=off) as engine:
        for act in (lambda: engine.vault_create(Provider.FILE), lambda: engine.secret_set("smtp", "value")):
            with pytest.raises(NotPossible, match=r"security\.encryption_enabled is false"):
                act()
        assert engine.vault() is None
    assert not (tmp_path / "data" / "root.key").exists()


def test_a_secret_without_a_vault_is_refused_with_the_choices(tmp_path: Path) -> None:
    with opened(tmp_path / "data") as engine, pytest.raises(NotPossible, match="keyring, file, credential, passphrase"):
        engine.secret_set("smtp", "value")


def test_a_listing_says_where_a_secret_comes_from_and_what_uses_it(data: Path) -> None:
    configuration = settings(smtp={"password": "secret:smtp"})
    spec = configuration.targets["hook"]._replace(
        options={"url": "https://example.org", "secret": "secret:gone"}, headers=(("X-Key", "secret:hook"),)
    )
    configuration = configuration._replace(targets={"flow": spec})
    with opened(data, {"CHRONOS_SECRET_LONG": "x"}, configuration) as engine:
        found = {one.name: one for one in engine.secrets()}
        failed = {one.name: one.problem for one in engine.secrets_check() if not one.ok}
    assert {name: (one.where, one.version, one.used_by) for name, one in found.items()} == {
        "gone": ("missing", None, ("targets.flow.secret",)),
        "hook": ("vault", 1, ("targets.flow.headers.X-Key",)),
        "long": ("environment", 1, ()),
        "smtp": ("vault", 1, ("smtp.password",)),
    }
    assert list(failed) == ["gone"]
    assert "targets.flow.secret" in failed["gone"]


def test_a_deleted_secret_is_gone_and_its_number_is_not_given_twice(data: Path) -> None:
    with opened(data) as engine:
        engine.secret_set("smtp", "second")
        engine.secret_delete("smtp")
        for name in ("smtp", ".audit-key"):
            with pytest.raises(NotFound):
                engine.secret_delete(name)
        assert engine.secret_set("smtp", "third").version == 3


def test_no_value_reaches_the_audit_log(data: Path) -> None:
    with opened(data) as engine:
        engine.vault_rotate()
        kit = engine.recovery_kit()
        lines = "\n".join(engine.audit_export())
    for value in (*SECRETS.values(), kit.passphrase, kit.passphrase.replace("-", "")):
        assert value not in lines
    for action in ("vault.created", "secret.set", "vault.rotated", "vault.kit_exported"):
        assert f'"{action}"' in lines


def test_opened_vault_and_kit_show_nothing_of_themselves(data: Path) -> None:
    with opened(data) as engine:
        kit = engine.recovery_kit()
        assert kit.passphrase not in repr(kit)
        secrets.look_up(engine.context, "secret:smtp")
        root = (data / "root.key").read_text().split()[-1]
        assert root not in repr(engine.context.kept)


# Changes behind our back


def test_two_ciphertexts_that_change_places_are_both_named(data: Path) -> None:
    with closing(sqlite3.connect(data / "chronos.db", isolation_level=None)) as connection:
        sealed = dict(connection.execute("SELECT name, sealed FROM secrets").fetchall())
        for name, other in (("smtp", "hook"), ("hook", "smtp")):
            connection.execute("UPDATE secrets SET sealed = ? WHERE name = ?", (sealed[other], name))
    found = problems(data)
    assert set(found) == {"smtp", "hook"}
    assert "secret smtp cannot be decrypted: it was changed, swapped" in found["smtp"]
    with opened(data) as engine, pytest.raises(VaultDamaged, match="secret hook"):
        secrets.look_up(engine.context, "secret:hook")


def _row(directory: Path, name: str) -> tuple[Any, ...]:
    with closing(sqlite3.connect(directory / "chronos.db")) as connection:
        found: tuple[Any, ...] = connection.execute("SELECT * FROM secrets WHERE name = ?", (name,)).fetchone()
        return found


def _put_back(directory: Path, row: tuple[Any, ...]) -> None:
    with closing(sqlite3.connect(directory / "chronos.db", isolation_level=None)) as connection:
        connection.execute("REPLACE INTO secrets VALUES (?, ?, ?, ?, ?, ?)", row)


def test_a_row_that_is_rolled_back_is_named(data: Path) -> None:
    old = _row(data, "smtp")
    with opened(data) as engine:
        engine.secret_set("smtp", "second")
    _put_back(data, old)
    assert "version 1 and the audit log's newest is 2" in problems(data)["smtp"]


def test_a_deleted_row_that_is_put_back_is_named(data: Path) -> None:
    old = _row(data, "smtp")
    with opened(data) as engine:
        engine.secret_delete("smtp")
    assert problems(data) == {}
    _put_back(data, old)
    assert "was deleted and is back" in problems(data)["smtp"]


def test_a_row_from_before_a_rotation_is_named(data: Path) -> None:
    old = _row(data, "smtp")
    with opened(data) as engine:
        engine.vault_rotate()
    _put_back(data, old)
    assert "a key that is gone" in problems(data)["smtp"]


def test_a_row_that_is_taken_out_is_named(data: Path) -> None:
    tamper(data, "DELETE FROM secrets WHERE name = 'smtp'")
    assert "was stored and is gone" in problems(data)["smtp"]
    tamper(data, "DELETE FROM vault")
    assert "the vault's own row is gone" in problems(data)["vault"]


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("UPDATE vault SET wrapped = zeroblob(60)", "the vault's data key cannot be decrypted"),
        ("UPDATE vault SET vault_id = 'another'", "the vault's data key cannot be decrypted"),
        ("UPDATE vault SET key_version = 7", r"\(key_version\): it was changed"),
        ("UPDATE vault SET provider = 'credential'", r"\(provider\): it was changed"),
        ("UPDATE vault SET root_id = '0123456789abcdef'", r"\(root_id\): it was changed"),
        ("UPDATE vault SET kdf = '{}'", r"\(kdf\): it was changed"),
    ],
)
def test_a_vault_row_that_was_changed_is_named(data: Path, change: str, named: str) -> None:
    tamper(data, change)
    with opened(data) as engine:
        with pytest.raises(VaultDamaged, match=named):
            secrets.look_up(engine.context, "secret:smtp")
        assert engine.vault_closed() is not None
    assert "vault" in problems(data)


@pytest.mark.parametrize("weaker", ['"n":131072', '"r":8', '"p":1', '"salt":"'])
def test_parameters_of_a_passphrase_that_were_changed_are_named(data: Path, weaker: str) -> None:
    with opened(data) as engine:
        engine.vault_rotate(provider=Provider.PASSPHRASE, passphrase=PASSPHRASE)
    tamper(data, f"UPDATE vault SET kdf = replace(kdf, '{weaker}', '{weaker}0')")
    with opened(data) as engine, pytest.raises(VaultDamaged, match=r"\(kdf\): it was changed"):
        engine.vault_open(PASSPHRASE)


# The places of a root key


def test_a_passphrase_opens_the_vault_and_another_does_not(data: Path, tmp_path: Path) -> None:
    file = tmp_path / "words"
    file.write_text(f"{PASSPHRASE}\n")
    file.chmod(0o600)
    with opened(data) as engine:
        done = engine.vault_rotate(provider=Provider.PASSPHRASE, passphrase=PASSPHRASE)
        assert done.words == "passphrase (scrypt)"
    assert not (data / "root.key").exists()
    assert everything(data, {"CHRONOS_PASSPHRASE_FILE": str(file)}) == SECRETS
    with opened(data) as engine:
        with pytest.raises(VaultLocked, match="none was given"):
            secrets.look_up(engine.context, "secret:smtp")
        with pytest.raises(VaultLocked, match="is not the vault's"):
            engine.vault_open("correct horse battery stable")
        engine.vault_open(PASSPHRASE)
        assert secrets.look_up(engine.context, "secret:smtp") == SECRETS["smtp"]


def test_a_credential_is_rotated_by_bringing_the_next_one(tmp_path: Path) -> None:
    handed = tmp_path / "credentials"
    handed.mkdir()
    (handed / "chronos-root-key").write_bytes(os.urandom(32))
    (handed / "chronos-root-key").chmod(0o400)
    env = {"CREDENTIALS_DIRECTORY": str(handed)}
    with opened(tmp_path / "data", env) as engine:
        before = engine.vault_create(Provider.CREDENTIAL)
        for name, value in SECRETS.items():
            engine.secret_set(name, value)
        with pytest.raises(NotPossible, match="bring the new root key first: head -c 32 /dev/urandom"):
            engine.vault_rotate()
        (handed / "chronos-root-key-next").write_bytes(os.urandom(32))
        (handed / "chronos-root-key-next").chmod(0o400)
        after = engine.vault_rotate()
    assert before.root_id != after.root_id
    (handed / "chronos-root-key").unlink()
    assert everything(tmp_path / "data", env) == SECRETS
    with opened(tmp_path / "data") as engine, pytest.raises(VaultLocked, match="handed no systemd credentials"):
        secrets.look_up(engine.context, "secret:smtp")


def test_a_place_that_cannot_be_used_makes_no_vault(tmp_path: Path) -> None:
    env = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    with opened(tmp_path / "data", env) as engine:
        with pytest.raises(NotPossible, match=r"no OS keyring can be used here.*or choose another place: file"):
            engine.vault_create(Provider.KEYRING)
        with pytest.raises(NotPossible, match="handed no systemd credentials"):
            engine.vault_create(Provider.CREDENTIAL)
        with pytest.raises(NotPossible, match="give a passphrase"):
            engine.vault_create(Provider.PASSPHRASE)
        with pytest.raises(BadInput, match="at least 12"):
            engine.vault_create(Provider.PASSPHRASE, passphrase="short")
        assert engine.vault() is None
        engine.vault_create(Provider.FILE)
        with pytest.raises(NotPossible, match="there is a vault already"):
            engine.vault_create(Provider.FILE)


def test_a_locked_vault_is_not_asked_again_at_once_and_opens_once_it_can(data: Path) -> None:
    clock = FakeClock()
    with opened(data, clock=clock) as engine:
        (data / "root.key").chmod(0o644)
        with pytest.raises(VaultLocked, match="chmod 600"):
            secrets.look_up(engine.context, "secret:smtp")
        (data / "root.key").chmod(0o600)
        with pytest.raises(VaultLocked, match="chmod 600"):
            secrets.look_up(engine.context, "secret:smtp")
        clock.advance_ms(15_001)
        assert secrets.look_up(engine.context, "secret:smtp") == SECRETS["smtp"]


def test_an_opened_vault_needs_its_place_no_more_until_another_process_rotates(data: Path) -> None:
    with opened(data) as engine:
        secrets.look_up(engine.context, "secret:smtp")
        hidden = (data / "root.key").rename(data / "hidden")
        assert secrets.look_up(engine.context, "secret:hook") == SECRETS["hook"]
        hidden.rename(data / "root.key")
        with opened(data) as other:
            other.vault_rotate()
            other.secret_set("smtp", "second")
        assert secrets.look_up(engine.context, "secret:smtp") == "second"


# Changing the root key


def test_a_rotation_changes_root_key_and_data_key_and_removes_the_old_one(data: Path) -> None:
    old = (data / "root.key").read_text()
    with opened(data) as engine:
        before, after = engine.vault(), engine.vault_rotate()
    assert before is not None
    assert (after.key_version, after.root_id != before.root_id) == (2, True)
    assert before.root_id not in (data / "root.key").read_text()
    assert everything(data) == SECRETS
    assert problems(data) == {}
    (data / "root.key").write_text(old)
    with opened(data) as engine, pytest.raises(VaultLocked, match="does not hold root key"):
        secrets.look_up(engine.context, "secret:smtp")


def test_a_rotation_over_a_damaged_secret_changes_nothing(data: Path) -> None:
    tamper(data, "UPDATE secrets SET sealed = zeroblob(60) WHERE name = 'hook'")
    kept = (data / "root.key").read_text()
    with opened(data) as engine:
        before = engine.vault()
        with pytest.raises(VaultDamaged, match="secret hook"):
            engine.vault_rotate()
        assert engine.vault() == before
        assert secrets.look_up(engine.context, "secret:smtp") == SECRETS["smtp"]
    assert (data / "root.key").read_text() == kept


_ROTATE = """
import os, signal, sys
from engine.engine import Engine
from engine.host.paths import paths
from engine.operations import rotating
from engine.operations.vault import Provider
data, step, place = sys.argv[1:]
env = {name: value for name, value in os.environ.items() if not name.startswith("CHRONOS_")}
engine = Engine.open(paths(data, None, env), env, actor="test:rotate")
def reached(name):
    if name == step:
        os.kill(os.getpid(), signal.SIGKILL)
rotating.rotate(engine.context, provider=Provider(place), reached=reached)
"""
STEPS = ("noted", "kept", "switched", "removed")


@pytest.mark.parametrize("step", STEPS)
def test_a_rotation_killed_at_any_step_leaves_a_vault_that_opens_and_tidies_up(data: Path, step: str) -> None:
    before = _root_ids(data)
    done = subprocess.run([sys.executable, "-c", _ROTATE, str(data), step, "file"], check=False)
    assert done.returncode == -signal.SIGKILL
    assert everything(data) == SECRETS
    assert problems(data) == {}
    assert len(_root_ids(data)) == 1, "the check removes what the killed process left"
    assert (_root_ids(data) == before) == (step in {"noted", "kept"})
    with opened(data) as engine:
        engine.vault_rotate()
    assert len(_root_ids(data)) == 1
    assert everything(data) == SECRETS


def _root_ids(directory: Path) -> set[str]:
    lines = (directory / "root.key").read_text().splitlines()
    return {line.split()[0] for line in lines if not line.startswith("#")}


def test_the_steps_at_which_it_is_killed_are_all_there_are(data: Path) -> None:
    reached: list[str] = []
    with opened(data) as engine:
        rotating.rotate(engine.context, reached=reached.append)
    assert tuple(reached) == STEPS


@pytest.mark.parametrize("step", STEPS)
def test_a_rotation_gives_way_to_one_that_began_later(data: Path, step: str) -> None:
    """Two at once must never leave the vault with a root key that the other one has removed."""
    with opened(data) as engine, opened(data) as other:

        def meanwhile(name: str) -> None:
            if name == step:
                other.vault_rotate()

        if step in {"noted", "kept"}:
            with pytest.raises(TryAgain, match="another process changed the vault"):
                rotating.rotate(engine.context, reached=meanwhile)
        else:
            rotating.rotate(engine.context, reached=meanwhile)
    assert everything(data) == SECRETS
    assert problems(data) == {}
    assert len(_root_ids(data)) == 1


def test_a_check_during_a_rotation_takes_no_key_away_that_is_needed(data: Path) -> None:
    for step in STEPS:
        with opened(data) as engine, opened(data) as other:

            def meanwhile(name: str, step: str = step, other: Engine = other) -> None:
                if name == step:
                    assert all(one.ok for one in other.secrets_check())

            try:
                rotating.rotate(engine.context, reached=meanwhile)
            except TryAgain:
                assert step in {"noted", "kept"}
        assert everything(data) == SECRETS
        assert problems(data) == {}


def test_a_value_set_while_another_process_rotates_is_refused_or_kept(data: Path) -> None:
    with opened(data) as engine, opened(data) as other:
        secrets.look_up(engine.context, "secret:smtp")
        other.vault_rotate()
        engine.secret_set("smtp", "second")
    assert everything(data) == {**SECRETS, "smtp": "second"}


# Recovery


def test_a_recovery_kit_opens_the_vault_on_another_machine(data: Path, tmp_path: Path) -> None:
    with opened(data) as engine:
        kit = engine.recovery_kit()
    assert len(kit.passphrase.replace("-", "")) * 5 >= 128
    assert kit.passphrase not in kit.text
    assert (data / "root.key").read_text().split()[-1] not in kit.text
    (data / "root.key").unlink()
    with opened(data) as engine:
        assert "root.key is missing" in str(engine.vault_closed())
        typed = kit.passphrase.lower().replace("-", " ").replace("1", "l").replace("0", "o")
        engine.recover(kit.text.replace("\n", "\r\n"), typed, Provider.FILE)
    assert everything(data) == SECRETS
    assert problems(data) == {}


def test_a_kit_brings_a_vault_from_one_place_to_another(data: Path) -> None:
    with opened(data) as engine:
        engine.vault_rotate(provider=Provider.PASSPHRASE, passphrase=PASSPHRASE)
        kit = engine.recovery_kit(passphrase=PASSPHRASE)
    with opened(data) as engine:
        assert engine.recover(kit.text, kit.passphrase, Provider.FILE).provider == Provider.FILE
        for place in (Provider.CREDENTIAL, Provider.PASSPHRASE):
            with pytest.raises(NotPossible, match="cannot take a key that exists"):
                engine.recover(kit.text, kit.passphrase, place)
    assert everything(data) == SECRETS
    assert problems(data) == {}


def test_a_kit_that_does_not_fit_is_refused(data: Path, tmp_path: Path) -> None:
    with opened(data) as engine:
        kit = engine.recovery_kit()
        with pytest.raises(BadInput, match="the passphrase is another one"):
            engine.recover(kit.text, "0000-" * 8, Provider.FILE)
        with pytest.raises(BadInput, match="the file was changed"):
            engine.recover(kit.text.replace('"version": 1', '"version": 2'), kit.passphrase, Provider.FILE)
        for text in ("", "nonsense", kit.text[:-80], kit.text.replace('"wrapped"', '"unwrapped"')):
            with pytest.raises(BadInput, match="no recovery kit"):
                engine.recover(text, kit.passphrase, Provider.FILE)
        engine.vault_rotate()
        with pytest.raises(NotPossible, match="made after the last rotation"):
            engine.recover(kit.text, kit.passphrase, Provider.FILE)
    with opened(tmp_path / "other") as engine, pytest.raises(NotPossible, match="there is no vault here"):
        engine.recover(kit.text, kit.passphrase, Provider.FILE)


# Signing


def test_the_signer_keeps_its_key_over_processes_and_rotations(data: Path) -> None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    with opened(data) as engine:
        assert vault.public_key(engine.context) is None
        first = vault.signer(engine.context)
        assert vault.signer(engine.context) is first
        assert len(first.sign(b"message")) == 64
        engine.vault_rotate()
        assert [one.name for one in engine.secrets()] == sorted(SECRETS)
    with opened(data) as engine:
        again = vault.signer(engine.context)
        assert again.public_hex == first.public_hex == vault.public_key(engine.context)
        entries = engine.audit_page("action:audit.key_created")
        assert [one.detail for one in entries] == [{"public_key": first.public_hex}]
    public = Ed25519PublicKey.from_public_bytes(bytes.fromhex(first.public_hex))
    public.verify(again.sign(b"message"), b"message")
    assert problems(data) == {}


def test_a_public_key_that_was_replaced_is_found_out(data: Path) -> None:
    with opened(data) as engine:
        vault.signer(engine.context)
    tamper(data, f"UPDATE meta SET value = '{'00' * 32}' WHERE key = 'audit_public_key'")
    with opened(data) as engine, pytest.raises(VaultDamaged, match="it was changed"):
        vault.signer(engine.context)


def test_there_is_no_signer_without_a_vault(tmp_path: Path, data: Path) -> None:
    with opened(tmp_path / "empty") as engine, pytest.raises(NotPossible, match="no vault"):
        vault.signer(engine.context)
    with opened(data) as engine:
        vault.signer(engine.context)
    (data / "root.key").unlink()
    with opened(data) as engine, pytest.raises(VaultLocked):
        vault.signer(engine.context)
