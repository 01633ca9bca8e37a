"""API keys: made, listed, replaced, revoked; what is stored and what is written into the audit log."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engine.errors import BadInput, NotFound, NotPossible
from engine.operations import apikeys, auditing
from engine.rules.apikeys import KeyState, Scope, derive, parse
from engine.store import apikeys as store
from tests.support import Box

DAY_MS = 86_400_000
HOUR_MS = 3_600_000


@pytest.fixture(autouse=True)
def _cheap(box: Box) -> None:
    box.context.settings = box.context.settings._replace(
        security={**box.context.settings.security, "pbkdf2_iterations": 2}
    )


def entries(box: Box) -> list[tuple[str, str, object]]:
    """Action, subject and detail of every entry, oldest first."""
    return [(one.action, one.subject, one.detail) for one in reversed(auditing.page(box.context, limit=100))]


def lock_of(box: Box, key_id: str) -> store.Lock:
    """What is stored of a key's secret."""
    lock = box.database.read(lambda tx: store.lock(tx, key_id))
    assert lock is not None
    return lock


def test_what_is_stored_proves_the_secret_and_is_not_it(box: Box, tmp_path: Path) -> None:
    made = apikeys.create(box.context, "n8n", ["send"])
    parts = parse(made.text)
    assert parts is not None
    assert parts.id == made.key.id
    lock = lock_of(box, parts.id)
    assert (len(lock.salt), lock.iterations) == (16, 2)
    assert lock.digest == derive(parts.secret, lock.salt, 2)
    assert made.text not in repr(made)
    files = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert files
    assert not [file for file in files if parts.secret.encode() in file.read_bytes()]


def test_two_keys_share_neither_secret_nor_salt(box: Box) -> None:
    ids = [apikeys.create(box.context, name, ["send"]).key.id for name in ("a", "b")]
    first, second = (lock_of(box, one) for one in ids)
    assert first.salt != second.salt
    assert first.digest != second.digest


def test_a_key_is_listed_with_all_it_is_bound_to(box: Box) -> None:
    ends_ms = box.clock.now_ms() + DAY_MS
    apikeys.create(box.context, "old", ["read"])
    box.clock.advance_ms(1)
    made = apikeys.create(
        box.context, "n8n", ["read", "send"], expires_ms=ends_ms, targets=["mail", "hook"], networks=["10.0.0.0/8"]
    )
    newest, oldest = apikeys.listing(box.context)
    assert newest == made.key
    assert newest.scopes == (Scope.SEND, Scope.READ)
    assert (newest.targets, newest.networks, newest.expires_ms) == (("hook", "mail"), ("10.0.0.0/8",), ends_ms)
    assert (newest.created_by, newest.uses, newest.last_used_ms) == ("test:me", 0, None)
    assert oldest.name == "old"
    assert entries(box)[-1] == (
        "key.created",
        f"key:{newest.id}",
        {
            "name": "n8n",
            "scopes": ["send", "read"],
            "targets": ["hook", "mail"],
            "networks": ["10.0.0.0/8"],
            "expires_at": "2026-09-22T14:13:20.000Z",
        },
    )


def test_what_makes_no_sense_is_refused_and_leaves_nothing(box: Box) -> None:
    create = apikeys.create
    with pytest.raises(NotFound, match="did you mean hook"):
        create(box.context, "x", ["send"], targets=["hok"])
    with pytest.raises(BadInput, match="is not a network"):
        create(box.context, "x", ["send"], networks=["10.0.0.1/8"])
    with pytest.raises(BadInput, match="would open nothing"):
        create(box.context, "x", ["send"], expires_ms=box.clock.now_ms())
    with pytest.raises(BadInput):
        create(box.context, "x", [])
    create(box.context, "x", ["send"])
    with pytest.raises(NotPossible, match="in use"):
        create(box.context, "x", ["send"])
    assert len(apikeys.listing(box.context)) == 1
    assert len(entries(box)) == 1


def test_a_successor_has_the_same_bindings_and_both_work_for_a_while(box: Box) -> None:
    ends_ms = box.clock.now_ms() + 90 * DAY_MS
    old = apikeys.create(
        box.context, "n8n", ["send"], expires_ms=ends_ms, targets=["hook"], networks=["10.0.0.0/8"]
    ).key
    box.clock.advance_ms(30 * DAY_MS)
    now_ms = box.clock.now_ms()
    made = apikeys.rotate(box.context, "n8n", overlap_ms=DAY_MS)
    new, replaced = made.key, made.replaced
    assert replaced is not None
    assert new.id != old.id
    assert (new.name, new.scopes, new.targets, new.networks) == ("n8n", old.scopes, old.targets, old.networks)
    assert new.expires_ms == now_ms + 90 * DAY_MS
    assert (replaced.successor, replaced.expires_ms) == (new.id, now_ms + DAY_MS)
    assert replaced.state(now_ms) == KeyState.REPLACED
    assert replaced.words(now_ms) == f"replaced by {new.id}; not used since; ends in 1 d"
    assert [(action, subject) for action, subject, _ in entries(box)[1:]] == [
        ("key.rotated", f"key:{old.id}"),
        ("key.created", f"key:{new.id}"),
    ]


def test_an_old_key_that_is_still_used_says_so(box: Box) -> None:
    old = apikeys.create(box.context, "n8n", ["send"]).key
    box.clock.advance_ms(HOUR_MS)
    new = apikeys.rotate(box.context, old.id, overlap_ms=DAY_MS).key
    box.clock.advance_ms(HOUR_MS)
    box.database.write(lambda tx: store.used(tx, [store.Use(old.id, 3, box.clock.now_ms(), "10.0.0.1")]))
    box.clock.advance_ms(3 * 60_000)
    found = apikeys.find(box.context, old.id)
    assert found.uses == 3
    assert found.words(box.clock.now_ms()) == (
        f"replaced by {new.id}; still used 3 min ago from 10.0.0.1; ends in 22 h"
    )


def test_an_overlap_never_prolongs_a_life(box: Box) -> None:
    ends_ms = box.clock.now_ms() + HOUR_MS
    apikeys.create(box.context, "n8n", ["send"], expires_ms=ends_ms)
    replaced = apikeys.rotate(box.context, "n8n", overlap_ms=DAY_MS).replaced
    assert replaced is not None
    assert replaced.expires_ms == ends_ms


def test_the_chain_of_successors_can_be_followed(box: Box) -> None:
    ids = [apikeys.create(box.context, "n8n", ["send"]).key.id]
    for _ in range(3):
        box.clock.advance_ms(1)
        ids.append(apikeys.rotate(box.context, "n8n", overlap_ms=DAY_MS).key.id)
    assert [key.successor for key in apikeys.listing(box.context)] == [None, *reversed(ids[1:])]
    with pytest.raises(NotPossible, match=f"replaced by {ids[1]}"):
        apikeys.rotate(box.context, ids[0], overlap_ms=0)
    with pytest.raises(BadInput, match="overlap"):
        apikeys.rotate(box.context, "n8n", overlap_ms=31 * DAY_MS)


def test_who_rotates_a_key_that_another_just_rotated_is_told_so(box: Box) -> None:
    old = apikeys.create(box.context, "n8n", ["send"]).key
    quiet = box.context.entropy

    def meanwhile(n: int) -> bytes:
        if box.context.entropy is meanwhile:
            box.context.entropy = quiet
            apikeys.rotate(box.context, old.id, overlap_ms=DAY_MS)
        return quiet(n)

    box.context.entropy = meanwhile
    with pytest.raises(NotPossible, match="was replaced by"):
        apikeys.rotate(box.context, old.id, overlap_ms=DAY_MS)
    assert len(apikeys.listing(box.context)) == 2
    assert len(entries(box)) == 3


def test_a_revoked_key_stays_known_and_frees_its_name(box: Box) -> None:
    first = apikeys.create(box.context, "n8n", ["send"]).key
    revoked = apikeys.revoke(box.context, "n8n")
    assert (revoked.id, revoked.revoked_ms, revoked.revoked_by) == (first.id, box.clock.now_ms(), "test:me")
    assert entries(box)[-1] == ("key.revoked", f"key:{first.id}", {"name": "n8n", "uses": 0})
    with pytest.raises(NotPossible, match="revoked before"):
        apikeys.revoke(box.context, first.id)
    with pytest.raises(NotPossible, match="was revoked"):
        apikeys.rotate(box.context, first.id, overlap_ms=0)
    with pytest.raises(NotFound, match=f"in force any more; by id: {first.id}"):
        apikeys.revoke(box.context, "n8n")
    assert apikeys.create(box.context, "n8n", ["send"]).key.id != first.id


def test_a_key_is_named_by_its_id_or_by_the_name_in_force(box: Box) -> None:
    old = apikeys.create(box.context, "n8n", ["send"])
    new = apikeys.rotate(box.context, "n8n", overlap_ms=DAY_MS)
    assert apikeys.find(box.context, "n8n").id == new.key.id
    assert apikeys.find(box.context, old.key.id).id == old.key.id
    assert apikeys.find(box.context, f"chr_{old.key.id}_<secret>").id == old.key.id
    for unknown in ("nobody", "ffffffff", ""):
        with pytest.raises(NotFound):
            apikeys.find(box.context, unknown)


def test_nobody_changes_keys_where_everything_is_read_only(box: Box) -> None:
    apikeys.create(box.context, "n8n", ["send"])
    box.context.read_only = True
    for act in (
        lambda: apikeys.create(box.context, "b", ["send"]),
        lambda: apikeys.rotate(box.context, "n8n", overlap_ms=0),
        lambda: apikeys.revoke(box.context, "n8n"),
    ):
        with pytest.raises(NotPossible, match="read-only"):
            act()


def test_the_audit_log_knows_no_secret_and_no_digest(box: Box) -> None:
    made = [apikeys.create(box.context, "n8n", ["send"]), apikeys.rotate(box.context, "n8n", overlap_ms=0)]
    apikeys.revoke(box.context, "n8n")
    written = json.dumps(entries(box))
    for one in made:
        parts = parse(one.text)
        assert parts is not None
        lock = lock_of(box, parts.id)
        for hidden in (parts.secret, lock.digest.hex(), lock.salt.hex()):
            assert hidden not in written
