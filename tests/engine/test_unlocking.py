"""What the configuration names opens our own encrypted backups."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.errors import BadInput
from engine.operations.backup import unlocking
from engine.operations.context import Machine
from tests.support import opened_box, settings

IDENTITY = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"


@pytest.mark.parametrize("text", [IDENTITY, f"{IDENTITY}\n", f"# created: 2026\n# public key: age1…\n{IDENTITY}\n"])
def test_the_secret_of_an_identity_may_be_the_whole_file_of_age_keygen(tmp_path: Path, text: str) -> None:
    with opened_box(tmp_path, settings(backup={"identity": "secret:age"})) as box:
        box.context.machine = Machine(env={"CHRONOS_SECRET_AGE": text})

        assert unlocking.own_opener(box.context).identities == (IDENTITY,)


def test_a_secret_that_is_no_identity_is_not_repeated(tmp_path: Path) -> None:
    with opened_box(tmp_path, settings(backup={"identity": "secret:age"})) as box:
        box.context.machine = Machine(env={"CHRONOS_SECRET_AGE": f"{IDENTITY}X"})

        with pytest.raises(BadInput, match="no age identity") as refusal:
            unlocking.own_opener(box.context)
        assert "GFPYY" not in str(refusal.value)
