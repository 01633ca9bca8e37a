"""Canaries through backups and restores: made, proven, encrypted, copied, put in place, and each forced to fail."""

from __future__ import annotations

import shutil
import subprocess
import zipfile
from pathlib import Path

from engine.host import age
from engine.rules.backups import DATABASE
from tests.canaries import planted, test_commands
from tests.canaries.planted import made
from tests.canaries.rig import Evidence
from tests.canaries.test_commands import private
from tests.interfaces.program import Result
from tests.tools import find, needs

NEEDED = needs("age-keygen")
pytestmark = [NEEDED]

TARGETS = """\
targets:
  box: {channel: maildir, path: mail}
  hook: {channel: webhook, url: "http://127.0.0.1:9/", secret: "secret:hook", headers: {Authorization: "secret:bearer"}}
"""
DEBUG = {"CHRONOS_DEBUG": "1"}


def test_nothing_secret_leaves_through_a_backup(evidence: Evidence) -> None:
    evidence.box.configure(TARGETS)
    _without_a_vault(evidence)
    identity = _vault(evidence)
    kit, words = _kit(evidence)
    evidence.ok("send", "box", "--text", "hello")
    kept = evidence.box.home / "kept"
    kept.mkdir()
    plain = str(shutil.copy(_made(evidence), kept))  # where retention does not take it
    _read(evidence, plain)
    evidence.chronos("backup", "drill", plain, "--kit", kit, stdin=words, **DEBUG)
    _put_in_place(evidence, plain)
    passphrase = private(evidence.box.home / "passphrase", planted.PASSPHRASE.text)
    for recipients, named in (
        ('["secret:backup"]', ("--passphrase-file", passphrase)),
        (f"[{identity.public}], identity: 'secret:identity'", ("--identity-file", identity.file)),
    ):
        evidence.box.configure(f"{TARGETS}backup: {{encrypt_to: {recipients}}}\n")
        encrypted = _made(evidence)
        assert encrypted.endswith(".age")
        _read(evidence, encrypted)
        _read(evidence, encrypted, *named)
        _put_in_place(evidence, encrypted)
        _put_in_place(evidence, encrypted, *named)
        _refused(evidence, encrypted)
    _locked(evidence, plain, encrypted)
    _failing(evidence, plain)
    _copied(evidence)
    _rescued(evidence, plain)
    evidence.everything()
    evidence.chronos("restore", "plan", plain, "--json", **DEBUG)
    evidence.chronos("incident", "list", "--json")
    _unzipped(evidence)
    evidence.keep_files("at the end", evidence.box.home / "kit", evidence.box.home / "away")
    assert evidence.hits() == []


class Identity:
    """An age key pair. file: where the private one lies, as the operator keeps it."""

    def __init__(self, evidence: Evidence) -> None:
        home = evidence.box.home
        program = find("age-keygen")
        assert program is not None
        text = subprocess.run([program], check=True, capture_output=True, text=True).stdout
        self.secret = next(line for line in text.splitlines() if line.startswith("AGE-SECRET-KEY-1"))
        self.public = next(line.rpartition(" ")[2] for line in text.splitlines() if "public key: age1" in line)
        self.file = private(home / "identity", text)
        raw = age._private_key(self.secret).private_bytes_raw()
        # Without what every such key begins with, which is in the words of errors.
        evidence.plant(made("age identity", self.secret.removeprefix("AGE-SECRET-KEY-1"), raw))


def _without_a_vault(evidence: Evidence) -> None:
    """A key in a file signs then; it is where it is meant to lie."""
    _made(evidence)
    seed = bytes.fromhex((evidence.box.data_dir / "backup-signing.key").read_text())
    evidence.plant(made("signing seed", seed.hex(), seed), "data/backup-signing.key")


def _vault(evidence: Evidence) -> Identity:
    evidence.ok("init", "--root-key", "file")
    for name, canary in planted.VAULT.items():
        evidence.ok("secret", "set", name, stdin=evidence.plant(canary))
    evidence.ok("secret", "set", "backup", stdin=evidence.plant(planted.PASSPHRASE))
    identity = Identity(evidence)
    evidence.ok("secret", "set", "identity", stdin=Path(identity.file).read_text())
    test_commands._root_key(evidence)
    return identity


def _kit(evidence: Evidence) -> tuple[str, str]:
    """The passphrase of a kit is shown once, where it is made."""
    folder = evidence.box.home / "kit"
    folder.mkdir()
    kit = str(folder / "kit.txt")
    words = evidence.box.ok("secret", "export-recovery-kit", kit, "--json").json["passphrase"]
    evidence.plant(made("recovery kit", words, words.replace("-", "").encode()))
    return kit, words


def _made(evidence: Evidence) -> str:
    return evidence.ok("backup", "create", **DEBUG).out.strip()


def _read(evidence: Evidence, file: str, *named: str) -> None:
    for words in (("verify", file, *named), ("drill", file, *named), ("drill", file, *named, "--json")):
        evidence.ok("backup", *words, **DEBUG)
    evidence.ok("backup", "show", file, "--json", **DEBUG)
    evidence.ok("backup", "list", "--json", **DEBUG)
    evidence.ok("backup", "prune", "--yes", **DEBUG)


def _put_in_place(evidence: Evidence, file: str, *named: str) -> None:
    evidence.ok("restore", "plan", file, *named, "--json", **DEBUG)
    evidence.ok("restore", "apply", file, *named, "--yes", "--with-configuration", **DEBUG)


def _refused(evidence: Evidence, file: str) -> None:
    """Wrong keys, files that hold none, and a file that was changed."""
    home = evidence.box.home
    wrong = private(home / "wrong", evidence.plant(planted.WRONG_PASSPHRASE))
    torn = private(home / "torn", (home / "identity").read_text().strip()[:-1])
    changed = home / Path(file).name
    data = bytearray(Path(file).read_bytes())
    data[len(data) // 2] ^= 1
    changed.write_bytes(data)
    for named in (("--passphrase-file", wrong), ("--identity-file", wrong), ("--identity-file", torn)):
        _failed(evidence, file, *named)
    _failed(evidence, str(changed))


def _failed(evidence: Evidence, file: str, *named: str) -> None:
    for words in (
        ("backup", "verify", file, *named),
        ("backup", "drill", file, *named, "--json"),
        ("restore", "plan", file, *named),
        ("restore", "apply", file, *named, "--yes"),
    ):
        done: Result = evidence.chronos(*words, **DEBUG)
        # Of one that only lacks a key its whole file is still what was made.
        assert done.code or words[1] == "verify", (words, done)


def _locked(evidence: Evidence, plain: str, encrypted: str) -> None:
    """The root key is away: nothing encrypted is made or opened; what can be read is read."""
    key = evidence.box.data_dir / "root.key"
    aside = evidence.box.home / "root.key"
    key.rename(aside)
    assert evidence.chronos("backup", "drill", plain, **DEBUG).code
    _failed(evidence, encrypted)
    evidence.chronos("backup", "create", **DEBUG)
    evidence.box.configure(f'{TARGETS}backup: {{encrypt_to: ["secret:backup"]}}\n')
    assert evidence.chronos("backup", "create", **DEBUG).code
    aside.rename(key)


def _failing(evidence: Evidence, plain: str) -> None:
    """A place that cannot be written, a secret that is no passphrase's name, an archive that was changed."""
    evidence.box.configure(TARGETS)
    assert evidence.chronos("backup", "create", "--out", "/dev/null/x", **DEBUG).code
    evidence.box.configure(f'{TARGETS}backup: {{encrypt_to: ["secret:nothing"]}}\n')
    assert evidence.chronos("backup", "create", **DEBUG).code
    evidence.box.configure(TARGETS)
    changed = evidence.box.home / "changed.zip"
    changed.write_bytes(Path(plain).read_bytes()[:-1])
    _failed(evidence, str(changed))


def _copied(evidence: Evidence) -> None:
    """To a directory, and in vain to the two that need a program of their own."""
    away = evidence.box.home / "away"
    away.mkdir()
    places = [str(away), "sftp://ops@127.0.0.1:9/away", "rclone:nowhere:away"]
    evidence.box.configure(f"{TARGETS}backup: {{copy_to: {places!r}}}\n")
    with evidence.box.engine(CHRONOS_DEBUG="1") as engine:
        file = _made(evidence)
        engine.event("backup_copied")
        engine.event("backup_copy_failed")
        engine.event("backup_copy_failed")
        evidence.ok("backup", "show", file, "--json")
        evidence.ok("restore", "apply", file, "--yes", **DEBUG)
        engine.stop()
        evidence.heard(engine)
    evidence.box.configure(TARGETS)


def _rescued(evidence: Evidence, plain: str) -> None:
    """The database is gone, then damaged."""
    database = evidence.box.data_dir / DATABASE
    for lost in (True, False):
        for path in evidence.box.data_dir.glob(f"{DATABASE}*"):
            path.unlink()
        if not lost:
            database.write_bytes(b"no database" * 1_000)
        evidence.ok("restore", "plan", plain, **DEBUG)
        evidence.ok("restore", "apply", plain, "--yes", **DEBUG)


def _unzipped(evidence: Evidence) -> None:
    """Every member of every backup: secrets are sealed in it, and keys are not."""
    count = 0
    for file in (evidence.box.data_dir / "backups").glob("*.zip"):
        with zipfile.ZipFile(file) as archive:
            for name in archive.namelist():
                evidence.note(f"{name} in {file.name}", archive.read(name))
                count += name == DATABASE
    assert count
