"""`chronos key` from outside: the key once and alone, what is listed of it, and that a revocation reaches the gate."""

from __future__ import annotations

import os
import pty
import re
import subprocess

import pytest

from engine.host.log import NullLog
from engine.host.paths import paths
from engine.operations.gate import Gate, Refused
from engine.rules.apikeys import Scope, parse
from tests.interfaces.program import TIME_OUT_S, Box
from tests.support import opened_engine

KEY = re.compile(r"chr_[0-9a-f]{8}_[A-Za-z0-9_-]{43}_[0-9A-Za-z]{6}\n", re.ASCII)


def test_the_key_alone_is_on_stdout(box: Box) -> None:
    made = box.ok("key", "create", "--name", "n8n", "--scope", "send,read", "--expires", "90d")
    assert KEY.fullmatch(made.out)
    assert parse(made.out.strip()) is not None
    assert "may send, read; it ends" in made.err
    assert "the only time it is shown" in made.err
    assert made.out.strip() not in made.err
    assert box.ok("key", "create", "--name", "b", "--scope", "send", "--quiet").err == ""


def test_the_document_of_a_new_key(box: Box) -> None:
    document = box.ok(
        "key", "create", "--name", "n8n", "--scope", "read", "--scope", "send", "--target", "box", "--target", "both",
        "--network", "10.0.0.0/8", "--expires", "2099-01-01T00:00:00Z", "--json",
    ).json  # fmt: skip
    assert list(document)[:5] == ["id", "key", "name", "scopes", "expires_at"]
    assert KEY.fullmatch(document["key"] + "\n")
    assert document == {
        "id": document["key"][4:12],
        "key": document["key"],
        "name": "n8n",
        "scopes": ["send", "read"],
        "expires_at": "2099-01-01T00:00:00.000Z",
        "targets": ["both", "box"],
        "networks": ["10.0.0.0/8"],
        "replaces": None,
    }
    assert box.ok("key", "create", "--name", "b", "--scope", "send", "--json").json["expires_at"] is None


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("--scope", "send"), 2, "--name"),
        (("--name", "x"), 2, "--scope"),
        (("--name", "x", "--scope", "sned"), 2, "did you mean send?"),
        (("--name", "x", "--scope", ","), 2, "opens nothing"),
        (("--name", "x y", "--scope", "send"), 2, "name 'x y'"),
        (("--name", "x", "--scope", "send", "--target", "bxo"), 4, "did you mean box?"),
        (("--name", "x", "--scope", "send", "--network", "10.0.0.300"), 2, "is not a network"),
        (("--name", "x", "--scope", "send", "--expires", "2001-01-01"), 2, "a time ahead"),
        (("--name", "x", "--scope", "send", "--expires", "soon"), 2, "'soon' is not a time"),
    ],
)
def test_what_makes_no_sense_is_refused(box: Box, words: tuple[str, ...], code: int, says: str) -> None:
    refused = box.chronos("key", "create", *words)
    assert (refused.code, refused.out) == (code, "")
    assert says in refused.one_line
    assert box.ok("key", "list", "--json").json == {"keys": []}


def test_a_name_that_is_in_use_is_refused(box: Box) -> None:
    box.ok("key", "create", "--name", "x", "--scope", "send")
    assert box.chronos("key", "create", "--name", "x", "--scope", "send").code == 5


def test_keys_are_listed_without_their_secrets(box: Box) -> None:
    assert "makes one" in box.ok("key", "list").err
    old = box.ok("key", "create", "--name", "n8n", "--scope", "send", "--json").json
    rotated = box.ok("key", "rotate", "n8n", "--overlap", "2h", "--json").json
    listed = box.ok("key", "list", "--json")
    new, replaced = listed.json["keys"]
    assert (new["id"], new["state"], new["replaced_by"]) == (rotated["id"], "active", None)
    assert (replaced["id"], replaced["state"], replaced["replaced_by"]) == (old["id"], "replaced", new["id"])
    assert rotated["replaces"] == replaced
    assert set(new) == {
        "id", "name", "scopes", "targets", "networks", "state", "words", "expires_at", "created_at", "created_by",
        "revoked_at", "replaced_by", "last_used_at", "last_used_from", "uses",
    }  # fmt: skip
    shown = listed.out + box.ok("key", "list").out
    assert f"{old['id']} (n8n): replaced by {new['id']}; not used since; ends in 1 h" in shown
    for made in (old, rotated):
        assert made["key"][13:56] not in shown
    box.ok("key", "revoke", old["id"], "--yes")
    header, *rows = box.ok("key", "list").out.splitlines()
    assert header.split() == ["id", "name", "scopes", "state", "ends", "last", "used"]  # none is bound
    assert rows[1].split() == [old["id"], "n8n", "send", "revoked", "over", "never"]
    box.ok("key", "create", "--name", "bound", "--scope", "send", "--network", "10.0.0.0/8")
    assert "networks" in box.ok("key", "list").out.splitlines()[0].split()


def test_a_rotated_key_is_printed_alone_and_the_old_one_named(box: Box) -> None:
    old = box.ok("key", "create", "--name", "n8n", "--scope", "send", "--json").json
    rotated = box.ok("key", "rotate", old["id"], "--overlap", "0s")
    assert KEY.fullmatch(rotated.out)
    assert f"the one before it, {old['id']}, no longer works" in rotated.err
    assert box.chronos("key", "rotate", old["id"]).code == 5
    assert box.chronos("key", "rotate", "nobody").code == 4
    assert box.chronos("key", "rotate", "n8n", "--overlap", "31d").code == 2


def test_nothing_is_revoked_unless_somebody_says_so(box: Box) -> None:
    made = box.ok("key", "create", "--name", "n8n", "--scope", "send", "--json").json
    refused = box.chronos("key", "revoke", "n8n")
    assert (refused.code, "add --yes" in refused.one_line) == (2, True)
    assert box.ok("key", "list", "--json").json["keys"][0]["state"] == "active"
    assert box.ok("key", "revoke", "n8n", "--yes", "--json").json["state"] == "revoked"
    assert box.chronos("key", "revoke", made["id"], "--yes").code == 5
    assert box.chronos("key", "revoke", "n8n", "--yes").code == 4


@pytest.mark.parametrize(("answer", "code", "state"), [("n\n", 1, "active"), ("y\n", 0, "revoked")])
def test_on_a_terminal_it_is_asked(box: Box, answer: str, code: int, state: str) -> None:
    box.ok("key", "create", "--name", "n8n", "--scope", "send")
    ours, theirs = pty.openpty()
    try:
        os.write(ours, answer.encode())
        done = subprocess.run(
            box.command("key", "revoke", "n8n"), env=box.env, cwd=box.home, stdin=theirs, stdout=subprocess.PIPE,
            stderr=theirs, timeout=TIME_OUT_S, check=False,
        )  # fmt: skip
        asked = os.read(ours, 10_000).decode()
    finally:
        os.close(ours)
        os.close(theirs)
    assert done.returncode == code
    assert "revoke it? [y/N]" in asked
    assert box.ok("key", "list", "--json").json["keys"][0]["state"] == state


def test_who_revokes_a_name_is_told_of_the_other_one_that_still_works(box: Box) -> None:
    old = box.ok("key", "create", "--name", "n8n", "--scope", "send", "--json").json
    box.ok("key", "rotate", "n8n")
    revoked = box.ok("key", "revoke", "n8n", "--yes")
    assert f"another key called n8n still works: {old['id']}" in revoked.err


def test_a_revocation_from_the_command_line_reaches_a_process_that_listens(box: Box) -> None:
    made = box.ok("key", "create", "--name", "n8n", "--scope", "send").out.strip()
    with opened_engine(paths(str(box.data_dir), None, {})) as engine:
        gate = Gate(engine.context, NullLog())
        header = f"Bearer {made}"
        assert gate.admit(header, "127.0.0.1", Scope.SEND).key.name == "n8n"
        gate.flush()
        [listed] = box.ok("key", "list", "--json").json["keys"]
        assert (listed["uses"], listed["last_used_from"]) == (1, "127.0.0.1")
        box.ok("key", "revoke", "n8n", "--yes")
        with pytest.raises(Refused):
            gate.admit(header, "127.0.0.1", Scope.SEND)
        gate.close()


def test_a_secret_stays_nowhere(box: Box) -> None:
    made = [
        box.ok("key", "create", "--name", "n8n", "--scope", "send").out.strip(),
        box.ok("key", "rotate", "n8n").out.strip(),
    ]
    box.ok("key", "revoke", "n8n", "--yes")
    kept = {file: file.read_bytes() for file in box.home.rglob("*") if file.is_file()}
    assert any(file.name == "chronos.db" for file in kept)
    assert not [file for file, content in kept.items() for key in made if key[13:56].encode() in content]
    assert [entry["action"] for entry in box.ok("audit", "list", "--json").json["entries"]] == [
        "key.revoked",
        "key.created",
        "key.rotated",
        "key.created",
    ]
