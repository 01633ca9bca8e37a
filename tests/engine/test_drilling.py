"""Verifying and drilling: what is whole is proven, what is not is named, and nothing live is touched either way."""

from __future__ import annotations

import json
import shutil
import sqlite3
import zipfile
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from engine.errors import BadInput, NotFound, NotPossible
from engine.host.rootkeys.choosing import Provider
from engine.operations import recovery, rotating, secrets
from engine.operations.backup import backups, drilling, unlocking
from engine.operations.backup.drilling import Opener
from engine.operations.commanding import Stopped
from engine.rules.backups import Kind, Proof
from engine.store import audit
from tests.backuprig import box_with_paths, enter, listed, make_archive
from tests.support import Box


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    with box_with_paths(tmp_path / "data") as found:
        found.put(text="one")
        [claimed] = found.claim()
        found.finish(claimed)
        found.put(text="two")
        yield found


def steps(found: drilling.Verdict) -> dict[str, bool | None]:
    return {step.name: step.ok for step in found.steps}


def entries(box: Box, action: str) -> list[dict[str, Any]]:
    """Return the details of an action's entries, oldest first."""
    span = audit.Span(0, 1 << 40)
    rows = box.database.read(lambda tx: audit.of_action(tx, action, span, 100, upwards=True))
    return [audit.detail_of(row.body) for row in rows]


def left_behind(box: Box) -> list[str]:
    return [path.name for path in box.directory.iterdir() if path.name.startswith("drill-")]


WHOLE = ["sums", "schema", "integrity", "text", "counts", "audit", "vault", "secrets", "signature"]


def test_a_sound_backup_is_proven_and_nothing_is_left_behind(box: Box) -> None:
    file = make_archive(box.context)
    told: list[str] = []

    found = drilling.drill(box.context, file, report=lambda stage, _done, _total: told.append(stage))

    assert steps(found) == dict.fromkeys(WHOLE, True), found.why
    assert (found.ok, found.proof, found.authenticity, found.why) == (True, Proof.PROVEN, "confirmed", "")
    assert found.manifest is not None
    assert found.manifest["counts"]["queued"] == 1
    assert left_behind(box) == []
    assert {"checking every sum", "verifying the audit log"} <= set(told)
    assert drilling.drill_archive(box.context, file).proof is Proof.PROVEN


def test_a_drill_is_recorded_in_ledger_and_audit_log(box: Box) -> None:
    file = make_archive(box.context)
    number = enter(box.context, file, proof=Proof.UNPROVEN)
    box.clock.advance_ms(5_000)

    found = drilling.drill(box.context, file)

    row = listed(box.context, number)
    assert (row.proof, row.proven_ms, row.drilled_ms) == (Proof.PROVEN, box.clock.now_ms(), box.clock.now_ms())
    assert (row.verified_ok, row.verified_ms) == (True, box.clock.now_ms())
    assert entries(box, "backup.drilled") == [{"ok": True, "proof": "proven", "took_ms": found.took_ms, "why": ""}]


def test_what_is_not_in_the_ledger_can_be_drilled_too(box: Box, tmp_path: Path) -> None:
    elsewhere = tmp_path / "usb"
    elsewhere.mkdir()
    file = Path(shutil.copy(make_archive(box.context), elsewhere))

    assert drilling.drill(box.context, file).proof is Proof.PROVEN
    assert len(entries(box, "backup.drilled")) == 1


def test_a_missing_file_is_not_a_verdict(box: Box) -> None:
    for ask in (drilling.drill, drilling.verify):
        with pytest.raises(NotFound):
            ask(box.context, box.directory / "chronos-box-20260101T000000Z.zip")


def test_a_read_only_front_end_verifies_and_writes_nothing(box: Box) -> None:
    file = make_archive(box.context)
    number = enter(box.context, file)
    before = listed(box.context, number)
    box.context.read_only = True
    box.clock.advance_ms(1_000)

    assert drilling.verify(box.context, file).ok
    assert listed(box.context, number) == before
    assert entries(box, "backup.verified") == []


# Damaged


@pytest.mark.parametrize("share", [0.001, 0.3, 0.6, 0.9, 0.999])
def test_a_flipped_bit_anywhere_fails(box: Box, share: float) -> None:
    file = make_archive(box.context)
    number = enter(box.context, file)
    data = bytearray(file.read_bytes())
    data[int(len(data) * share)] ^= 0x10
    file.write_bytes(data)

    found = drilling.verify(box.context, file)

    assert (found.ok, found.proof) == (False, Proof.FAILED)
    assert "damaged" in found.why
    row = listed(box.context, number)
    assert (row.proof, row.verified_ok) == (Proof.FAILED, False)
    assert "damaged" in row.proof_detail
    assert drilling.drill_archive(box.context, file).proof is Proof.FAILED
    assert left_behind(box) == []


def test_another_sound_backup_in_its_place_is_found_out(box: Box) -> None:
    """Every sum and the signature are right, and it is not the file that was made."""
    old = make_archive(box.context)
    box.clock.advance_ms(60_000)
    box.put(text="three")
    new = make_archive(box.context)
    number = enter(box.context, new)
    shutil.copy(old, new)

    found = drilling.verify(box.context, new)

    assert steps(found) == {"file": False}
    assert listed(box.context, number).proof is Proof.FAILED


def test_a_damaged_backup_stays_failed_until_it_is_proven_again(box: Box) -> None:
    file = make_archive(box.context)
    number = enter(box.context, file)
    sound = file.read_bytes()
    file.write_bytes(sound[:-100])
    drilling.verify(box.context, file)
    file.write_bytes(sound)

    assert drilling.verify(box.context, file).ok
    assert listed(box.context, number).proof is Proof.FAILED
    assert drilling.drill(box.context, file).ok
    assert listed(box.context, number).proof is Proof.PROVEN


# Swapped


def _resigned(box: Box, file: Path, tmp_path: Path) -> Path:
    """Return the same backup as somebody with another key would write it."""
    with box_with_paths(tmp_path / "other") as other:
        with zipfile.ZipFile(file) as archive:
            manifest = json.loads(archive.read("manifest.json"))
        wanted = {"database_id": manifest["database_id"], "instance": manifest["instance"]}
        return make_archive(other.context, change=lambda found: found.update(wanted))


def test_a_swapped_backup_is_told_from_a_damaged_one(box: Box, tmp_path: Path) -> None:
    forged = _resigned(box, make_archive(box.context), tmp_path)

    found = drilling.verify(box.context, forged)

    assert (found.ok, found.proof, found.authenticity) == (False, Proof.FAILED, "forged")
    assert steps(found) == {"sums": True, "signature": False}
    assert "damaged" not in found.why


def test_a_backup_of_another_box_is_sound_and_nobodys(box: Box, tmp_path: Path) -> None:
    with box_with_paths(tmp_path / "other") as other:
        file = make_archive(other.context)

    found = drilling.drill(box.context, file)

    assert (found.ok, found.proof, found.authenticity) == (True, Proof.UNPROVEN, "unknown_key")
    assert steps(found)["signature"] is None


# The database in it


def _lies(box: Box, change: Callable[[dict[str, Any]], object]) -> drilling.Verdict:
    return drilling.drill(box.context, make_archive(box.context, change=change))


@pytest.mark.parametrize(
    ("change", "step"),
    [
        (lambda found: found["counts"].update(queued=7), "counts"),
        (lambda found: found["rows"].update(messages=7), "counts"),
        (lambda found: found.update(schema=2), "schema"),
        (lambda found: found["audit"].update(hash="0" * 64), "audit"),
    ],
)
def test_a_manifest_that_is_not_of_this_database_fails(box: Box, change: Any, step: str) -> None:
    found = _lies(box, change)

    assert not found.ok
    assert steps(found)[step] is False
    assert found.why.startswith(str(found.file))


def test_a_database_that_was_tampered_with_alive_gives_backups_that_are_kept_and_not_proven(box: Box) -> None:
    """Else whoever breaks the audit log once would have ended all backups for ever."""
    with closing(sqlite3.connect(box.database.path)) as live:
        guard = "audit_is_append_only_update"
        [(sql,)] = live.execute("SELECT sql FROM sqlite_master WHERE name = ?", (guard,)).fetchall()
        live.execute(f"DROP TRIGGER {guard}")
        live.execute("UPDATE audit SET body = replace(body, 'queued', 'quened') WHERE seq = 1")
        live.execute(sql)
        live.commit()

    found = drilling.drill_archive(box.context, make_archive(box.context))

    assert (found.ok, found.proof) == (False, Proof.UNPROVEN)
    assert steps(found)["audit"] is False
    assert steps(found)["signature"] is True


def test_a_text_that_is_none_does_not_end_backups_either(box: Box) -> None:
    with closing(sqlite3.connect(box.database.path)) as live:
        live.execute("UPDATE bodies SET text = CAST(x'66ff80' AS TEXT)")
        live.commit()

    found = drilling.drill_archive(box.context, make_archive(box.context))

    assert (found.ok, found.proof, steps(found)["text"]) == (False, Proof.UNPROVEN, False)
    assert steps(found)["signature"] is True


# The vault in it


@pytest.fixture
def sealed(box: Box) -> Box:
    """A box with a vault and a secret in it."""
    rotating.create(box.context, Provider.FILE)
    secrets.set_secret(box.context, "smtp", "correct horse")
    return box


def test_every_secret_is_opened(sealed: Box) -> None:
    found = drilling.drill(sealed.context, make_archive(sealed.context))

    assert found.proof is Proof.PROVEN, found.why
    assert {step.name: step.detail for step in found.steps}["secrets"] == "2 of 2 open"


def test_a_passphrase_that_was_typed_once_is_not_asked_for_again(box: Box) -> None:
    """The cockpit opened the vault; nothing provides the passphrase a second time."""
    rotating.create(box.context, Provider.PASSPHRASE, passphrase="correct horse battery staple")
    secrets.set_secret(box.context, "smtp", "value")

    assert drilling.drill(box.context, make_archive(box.context)).proof is Proof.PROVEN


def test_without_the_root_key_it_is_unproven_and_with_the_kit_it_is_proven(sealed: Box) -> None:
    kit = recovery.make_kit(sealed.context)
    file = make_archive(sealed.context)
    number = enter(sealed.context, file, proof=Proof.UNPROVEN)
    (sealed.directory / "root.key").unlink()
    sealed.context.kept.clear()

    without = drilling.drill(sealed.context, file)

    assert (without.ok, without.proof, steps(without)["secrets"]) == (True, Proof.UNPROVEN, None)
    assert "kit" in without.why or "root" in without.why
    assert listed(sealed.context, number).proof is Proof.UNPROVEN
    assert drilling.drill(sealed.context, file, kit=(kit.text, kit.passphrase)).proof is Proof.PROVEN
    with pytest.raises(BadInput, match="does not open"):
        drilling.drill(sealed.context, file, kit=(kit.text, "0000-0000"))


def test_a_drill_that_cannot_be_made_takes_nothing_from_one_that_was(sealed: Box) -> None:
    file = make_archive(sealed.context)
    number = enter(sealed.context, file, proof=Proof.PROVEN)
    (sealed.directory / "root.key").unlink()
    sealed.context.kept.clear()

    assert drilling.drill(sealed.context, file).proof is Proof.UNPROVEN
    assert listed(sealed.context, number).proof is Proof.PROVEN


def test_on_another_machine_the_kit_opens_it_and_vouches_for_the_signature(sealed: Box, tmp_path: Path) -> None:
    kit = recovery.make_kit(sealed.context)
    file = make_archive(sealed.context)
    with box_with_paths(tmp_path / "clean") as clean:
        assert drilling.drill(clean.context, file).authenticity == "unknown_key"

        found = drilling.drill(clean.context, file, kit=(kit.text, kit.passphrase))

        assert (found.proof, found.authenticity) == (Proof.PROVEN, "confirmed")


def test_an_older_backup_needs_the_kit_of_its_root_key(sealed: Box) -> None:
    old_kit = recovery.make_kit(sealed.context)
    file = make_archive(sealed.context)
    rotating.rotate(sealed.context)
    new_kit = recovery.make_kit(sealed.context)

    assert drilling.drill(sealed.context, file).proof is Proof.UNPROVEN
    wrong = drilling.drill(sealed.context, file, kit=(new_kit.text, new_kit.passphrase))
    assert (wrong.proof, steps(wrong)["secrets"]) == (Proof.UNPROVEN, None)
    assert "in force when it was made" in wrong.why
    assert drilling.drill(sealed.context, file, kit=(old_kit.text, old_kit.passphrase)).proof is Proof.PROVEN


def test_a_secret_that_was_changed_is_named(sealed: Box) -> None:
    with closing(sqlite3.connect(sealed.database.path)) as live:
        live.execute("UPDATE secrets SET sealed = zeroblob(60) WHERE name = 'smtp'")
        live.commit()

    found = drilling.drill(sealed.context, make_archive(sealed.context))

    assert (found.ok, found.proof) == (False, Proof.UNPROVEN)
    assert "secret smtp" in found.why


# Encrypted


def _encrypted(file: Path, passphrase: str) -> Path:
    from engine.host.age import encrypt

    target = file.with_name(file.name + ".age")
    with file.open("rb") as src, target.open("wb") as dst:
        encrypt(src, dst, passphrase=passphrase)
    file.unlink()
    return target


def test_an_encrypted_backup_is_proven_by_its_passphrase_and_no_plain_copy_stays(box: Box) -> None:
    file = _encrypted(make_archive(box.context), "correct horse battery")

    found = drilling.drill(box.context, file, opened=Opener(passphrase="correct horse battery"))
    wrong = drilling.drill(box.context, file, opened=Opener(passphrase="wrong"))
    none = drilling.verify(box.context, file)

    assert found.proof is Proof.PROVEN
    assert (wrong.proof, steps(wrong)) == (Proof.UNPROVEN, {"decrypting": None})
    assert (none.ok, none.proof) == (True, Proof.UNPROVEN)
    assert "nothing here opens it" in none.why
    assert left_behind(box) == []
    with drilling.plain(box.context, file, Opener(passphrase="correct horse battery")) as archive:
        assert archive.name == file.name.removesuffix(".age")
        assert archive.stat().st_mode & 0o777 == 0o600
        assert drilling.drill_archive(box.context, archive).proof is Proof.PROVEN
    assert left_behind(box) == []


def test_a_damaged_encrypted_backup_fails(box: Box) -> None:
    file = _encrypted(make_archive(box.context), "correct horse battery")
    file.write_bytes(file.read_bytes()[:-1])

    found = drilling.verify(box.context, file, opened=Opener(passphrase="correct horse battery"))

    assert (found.proof, steps(found)) == (Proof.FAILED, {"decrypting": False})


def test_an_opener_shows_nothing_of_what_it_holds() -> None:
    opener = Opener(identities=("AGE-SECRET-KEY-1QQQ",), passphrase="correct horse")

    assert "QQQ" not in repr(opener)
    assert "horse" not in repr(opener)


def test_nothing_is_named_that_opens_it(box: Box) -> None:
    with pytest.raises(NotPossible, match="set backup"):
        unlocking.own_opener(box.context)


# Ending


def test_who_reports_may_end_it_and_nothing_stays(box: Box) -> None:
    file = make_archive(box.context)

    def stop(stage: str, _done: int, _total: int) -> None:
        if "audit" in stage:
            raise Stopped("cancelled")

    with pytest.raises(Stopped):
        drilling.drill(box.context, file, report=stop)

    assert left_behind(box) == []
    assert entries(box, "backup.drilled") == []


def test_a_backup_that_was_found_enters_the_ledger_once_it_is_proven(box: Box) -> None:
    file = make_archive(box.context)
    place = backups.folder(box.context)
    place.mkdir(mode=0o700, exist_ok=True)
    file = Path(shutil.move(file, place / file.name))
    [found] = backups.listing(box.context)
    assert (found.id, found.kind, found.proof) == (None, Kind.FOUND, Proof.UNPROVEN)

    assert drilling.drill(box.context, file).proof is Proof.PROVEN

    [known] = backups.listing(box.context)
    assert known.id is not None
    assert (known.kind, known.proof, known.taken_ms) == (Kind.FOUND, Proof.PROVEN, found.taken_ms)
    assert drilling.verify(box.context, file).ok
