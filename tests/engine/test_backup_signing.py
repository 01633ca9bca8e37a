"""Whose a backup is: ours, nobody's we know, or one that was put in place of ours."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ArchiveForged, NotPossible
from engine.operations import rotating
from engine.operations.backup import signing
from engine.operations.backup.signing import KEY_FILE, Authenticity
from engine.operations.context import Context, Machine
from engine.operations.vault import Provider, Signer
from engine.rules.backups import statement
from engine.store import backups
from tests.support import Box, data_dir, opened_box


def opened(folder: Path) -> Any:
    where = data_dir(folder)
    where.data_dir.mkdir(mode=0o700, parents=True)
    return opened_box(where.data_dir), Machine(where)


@pytest.fixture
def context(tmp_path: Path) -> Iterator[Context]:
    made, machine = opened(tmp_path / "here")
    with made as box:
        box.context.machine = machine
        yield box.context


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Context]:
    """Another installation."""
    made, machine = opened(tmp_path / "there")
    with made as box:
        box.context.machine = machine
        box.context.entropy = lambda n: b"\x07" * n
        yield box.context


def manifest(context: Context, **more: Any) -> dict[str, Any]:
    return {"name": "a.zip", "database_id": context.database.read(backups.database_id), "counts": {"held": 1}, **more}


def signed_by(seed: bytes, unsigned: dict[str, Any]) -> dict[str, Any]:
    signer = Signer(seed)
    value = signer.sign(statement(unsigned)).hex()
    return {**unsigned, "signature": {"algorithm": "ed25519", "key": signer.public_hex, "value": value}}


def test_what_was_signed_here_is_confirmed(context: Context) -> None:
    assert signing.judge(context, signing.sign(context, manifest(context))) is Authenticity.CONFIRMED


def test_what_the_file_signed_stays_confirmed_when_there_is_a_vault(context: Context) -> None:
    before = signing.sign(context, manifest(context))
    rotating.create(context, Provider.FILE)
    after = signing.sign(context, manifest(context))
    assert before["signature"]["key"] != after["signature"]["key"]
    for one in (before, after):
        assert signing.judge(context, one) is Authenticity.CONFIRMED


def test_what_the_vault_signed_is_confirmed_while_it_is_locked(context: Context) -> None:
    rotating.create(context, Provider.FILE)
    made = signing.sign(context, manifest(context))
    assert context.machine.paths is not None
    (context.machine.paths.data_dir / "root.key").unlink()
    context.kept.clear()
    assert signing.judge(context, made) is Authenticity.CONFIRMED


def test_one_that_says_it_is_ours_by_a_key_that_is_not_is_forged(context: Context) -> None:
    signing.sign(context, manifest(context))
    forged = signed_by(b"x" * 32, manifest(context))
    with pytest.raises(ArchiveForged, match=r"put it in place of the real one.*--trust-key [0-9a-f]{64}$"):
        signing.judge(context, forged)
    key = forged["signature"]["key"]
    assert signing.judge(context, forged, trust=[key.upper()]) is Authenticity.CONFIRMED
    assert signing.judge(context, forged, own_keys=frozenset({key})) is Authenticity.CONFIRMED


def test_one_of_another_installation_has_an_unknown_key(context: Context, other: Context) -> None:
    signing.sign(context, manifest(context))
    foreign = signing.sign(other, manifest(other))
    assert signing.judge(context, foreign) is Authenticity.UNKNOWN_KEY


def test_on_a_clean_machine_every_key_is_unknown(context: Context) -> None:
    assert signing.judge(context, signed_by(b"x" * 32, manifest(context))) is Authenticity.UNKNOWN_KEY
    assert context.machine.paths is not None
    assert not (context.machine.paths.data_dir / KEY_FILE).exists(), "judging makes no key"


CHANGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "content": lambda one: one["counts"].update(held=2),
    "more": lambda one: one.update(more=1),
    "less": lambda one: one.pop("counts"),
    "value": lambda one: one["signature"].update(value="0" * 128),
    "short": lambda one: one["signature"].update(value="00"),
    "number": lambda one: one["signature"].update(value=7),
    "key": lambda one: one["signature"].update(key="0" * 64),
    "no key": lambda one: one["signature"].pop("key"),
    "list key": lambda one: one["signature"].update(key=[]),
    "algorithm": lambda one: one["signature"].update(algorithm="none"),
    "field": lambda one: one["signature"].update(more=1),
    "none": lambda one: one.pop("signature"),
    "null": lambda one: one.update(signature=None),
    "text": lambda one: one.update(signature="ed25519"),
    "list": lambda one: one.update(signature=[1]),
    "huge": lambda one: one.update(counts={"held": 1 << 70}),
    "nan": lambda one: one.update(counts={"held": float("nan")}),
    "surrogate": lambda one: one.update(counts="\ud800"),
    "escape": lambda one: one.update(name="\x1b]52;c;aGk=\x07"),
}


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_is_changed_in_a_manifest_is_found(context: Context, change: str) -> None:
    made = copy.deepcopy(signing.sign(context, manifest(context)))
    CHANGES[change](made)
    with pytest.raises(ArchiveForged) as caught:
        signing.judge(context, made, trust=["0" * 64])
    assert str(caught.value).isprintable()


def test_a_key_file_that_holds_no_key_is_said_and_not_replaced(context: Context) -> None:
    assert context.machine.paths is not None
    path = context.machine.paths.data_dir / KEY_FILE
    for content in (b"", b"not hex", b"00", b"\xff"):
        path.write_bytes(content)
        with pytest.raises(NotPossible, match=r"backup-signing\.key: holds no key"):
            signing.sign(context, manifest(context))
        assert path.read_bytes() == content
        assert signing.judge(context, signed_by(b"x" * 32, manifest(context))) is Authenticity.UNKNOWN_KEY


def test_a_context_without_a_data_directory_signs_nothing(box: Box) -> None:
    with pytest.raises(NotPossible, match="without a data directory"):
        signing.sign(box.context, manifest(box.context))
