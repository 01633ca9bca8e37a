"""Signed heads: made when due, kept beside the database, sent to a witness, and what they then prove."""

from __future__ import annotations

import json
from collections.abc import Iterator
from email import message_from_bytes
from email.policy import default
from pathlib import Path

import pytest

from engine.errors import BadInput, NotFound, NotPossible
from engine.operations import auditing, checkpointing, incidents, rotating, verifying, witnessing
from engine.operations.checkpointing import DAY_MS
from engine.operations.context import Context, Machine
from engine.operations.health import Level
from engine.operations.vault import Provider
from engine.rules import checkpoints
from engine.store import audit
from engine.store.tx import Tx
from tests.engine.tampering import Log, opened_log
from tests.support import Box, data_dir, opened_box, settings

WITNESS = {"audit_witness": "mail"}


@pytest.fixture
def box(tmp_path: Path) -> Iterator[Box]:
    """An outbox with a vault and a data directory around it."""
    where = data_dir(tmp_path)
    where.data_dir.mkdir(mode=0o700)
    with opened_box(where.data_dir, settings(security=WITNESS)) as made:
        made.context.machine = Machine(where)
        rotating.create(made.context, Provider.FILE)
        yield made


@pytest.fixture
def log(tmp_path: Path) -> Iterator[Log]:
    with opened_log(tmp_path, seed=5) as made:
        yield made


def fill(box: Box, entries: int) -> None:
    def work(tx: Tx) -> None:
        for number in range(entries):
            audit.append(tx, box.clock.now_ms(), "cli:1", "hold.started", "hold:all", {"n": number})

    box.database.write(work)


def entries(context: Context, action: str) -> list[auditing.Entry]:
    return auditing.page(context, f"action:{action}", limit=1_000)


# Making


def test_a_checkpoint_signs_the_entry_before_it(box: Box) -> None:
    fill(box, 3)
    made = checkpointing.make(box.context)
    entry = auditing.page(box.context, "action:audit.checkpoint")[0]
    assert (entry.subject, entry.seq - 1, entry.prev, entry.at) == ("audit", made.seq, made.hash, made.at)
    assert entry.detail == made.detail()
    assert made.fits()
    assert made.instance == box.context.settings.instance
    assert checkpointing.recent(box.context) == [made]
    found = verifying.verify(box.context)
    assert (found.ok, found.checkpoints, found.signed_seq, found.confirmed, found.note) == (True, 1, made.seq, True, "")


def test_the_newest_checkpoints_come_first(box: Box) -> None:
    made = [checkpointing.make(box.context) for _ in range(4)]
    assert checkpointing.recent(box.context, limit=3) == made[:0:-1]
    assert checkpointing.newest(box.context) == made[-1]


def test_without_a_vault_nothing_is_signed_and_health_says_so(tmp_path: Path) -> None:
    with opened_box(tmp_path) as box:
        box.put()
        with pytest.raises(NotPossible, match="init --root-key"):
            checkpointing.make(box.context)
        assert checkpointing.sign_when_due(box.context) is None
        assert witnessing.send_when_due(box.context) is None
        check = checkpointing.check(box.context)
        assert (check.level, "no vault" in check.value) == (Level.OK, True)
        assert len(entries(box.context, "audit")) == 0


def test_nothing_is_signed_where_nothing_may_be_written(box: Box) -> None:
    box.context.read_only = True
    with pytest.raises(NotPossible, match="read-only"):
        checkpointing.make(box.context)
    with pytest.raises(NotPossible, match="read-only"):
        witnessing.witness(box.context)


def test_a_checkpoint_is_due_after_a_thousand_entries_and_after_a_day(box: Box) -> None:
    first = checkpointing.sign_when_due(box.context)
    assert first is not None, "there was none"
    assert checkpointing.sign_when_due(box.context) is None
    fill(box, 999)
    assert checkpointing.sign_when_due(box.context) is None
    fill(box, 1)
    second = checkpointing.sign_when_due(box.context)
    assert second is not None
    assert second.seq == first.seq + 1 + 1_000
    box.clock.advance_ms(DAY_MS - 1)
    assert checkpointing.sign_when_due(box.context) is None
    box.clock.advance_ms(1)
    assert checkpointing.sign_when_due(box.context) is not None
    assert {entry.actor for entry in entries(box.context, "audit.checkpoint")} == {"engine"}


def test_a_clock_that_was_set_back_does_not_stop_the_signing(box: Box) -> None:
    checkpointing.make(box.context)
    box.clock.jump_ms(-10 * DAY_MS)
    assert checkpointing.sign_when_due(box.context) is not None


def test_a_vault_that_cannot_be_opened_is_not_asked_all_the_time(box: Box) -> None:
    checkpointing.make(box.context)
    fill(box, 1_000)
    key = data_dir(box.directory.parent).data_dir / "root.key"
    key.rename(key.with_suffix(".away"))
    box.context.kept.clear()
    with pytest.raises(Exception, match=r"root\.key"):
        checkpointing.sign_when_due(box.context)
    assert checkpointing.sign_when_due(box.context) is None
    key.with_suffix(".away").rename(key)
    box.clock.advance_ms(300_000)
    assert checkpointing.sign_when_due(box.context) is not None


def test_health_tells_how_old_the_newest_checkpoint_is(box: Box) -> None:
    assert checkpointing.check(box.context).value == "none yet: the engine signs by itself"
    checkpointing.make(box.context)
    fill(box, 2)
    box.clock.advance_ms(3 * 3_600_000)
    check = checkpointing.check(box.context)
    assert (check.level, check.value) == (Level.OK, "signed 3 h ago, 2 entries since")
    box.clock.advance_ms(2 * DAY_MS)
    assert checkpointing.check(box.context).level == Level.WARNING


# Whose key


def test_a_locked_vault_confirms_nothing_and_says_so(box: Box) -> None:
    checkpointing.make(box.context)
    (box.directory / "root.key").unlink()
    box.context.kept.clear()
    found = verifying.verify(box.context)
    assert (found.ok, found.checkpoints, found.confirmed) == (True, 1, False)
    assert "could not be confirmed" in found.note


def test_a_public_key_that_is_put_in_place_of_ours_is_found(log: Log) -> None:
    """The whole log signed anew with the intruder's key, and his public key where ours is recorded."""
    rows = log.rows()
    (ours,) = {entry["detail"]["key"] for entry in rows.values() if entry["action"] == "audit.checkpoint"}
    theirs = "0" * 64
    log.raw.execute("UPDATE meta SET value = replace(value, ?, ?)", (ours, theirs))
    log.engine.context.kept.clear()
    found = log.verify()
    assert not found.ok
    assert "was changed" in found.why


def test_a_former_key_counts_where_somebody_vouches_for_it(box: Box) -> None:
    made = checkpointing.make(box.context)
    box.database.write(lambda tx: tx.search("DELETE FROM secrets", {}))
    box.database.write(lambda tx: tx.search("DELETE FROM meta WHERE key = 'audit_public_key'", {}))
    box.context.kept.clear()
    checkpointing.make(box.context)
    broken = verifying.verify(box.context)
    assert (broken.ok, broken.bad_seq) == (False, made.seq + 1)
    assert "--key" in broken.why
    assert verifying.verify(box.context, former=[made.key]).ok


def test_verifying_leaves_no_trace_unless_something_is_wrong(log: Log) -> None:
    head = log.bounds()[1]
    assert verifying.verify(log.engine.context).ok
    assert log.bounds()[1] == head
    log.raw.execute("UPDATE counts SET word = ? WHERE name = 'audit_head'", ("f" * 64,))
    assert not verifying.verify(log.engine.context).ok
    (incident,) = incidents.listing(log.engine.context)
    assert (incident.kind, incident.subject) == ("audit.broken", "audit")
    assert f"entry {head} was written anew" in incident.detail


# Kept beside the database


def test_an_older_database_is_found_by_the_head_that_is_kept_beside_it(log: Log) -> None:
    before = log.bounds()[1]
    log.fill(5)
    log.sign()
    newest = log.engine.checkpoints(limit=1)[0]
    log._saved.backup(log.raw)  # the database as it was, and audit-head.json as it is
    found = log.verify()
    assert (found.ok, found.bad_seq) == (False, before + 1)
    assert f"the log ends at {before}, a checkpoint saw {newest.seq}" in found.why


@pytest.mark.parametrize("content", ["", "{}", "[1]", "\x00", "x" * 100_000])
def test_a_head_that_is_no_head_is_left_out(log: Log, content: str) -> None:
    (log.engine.paths.data_dir / "audit-head.json").write_text(content)
    assert log.verify().ok


def test_a_head_by_another_key_is_left_out_and_said(log: Log) -> None:
    file = log.engine.paths.data_dir / "audit-head.json"
    document = {**json.loads(file.read_text()), "seq": 10_000}
    file.write_text(json.dumps(document))
    found = log.verify()
    assert (found.ok, "audit-head.json" in found.note) == (True, True)


# The witness


def test_a_witness_message_is_sent_once_a_day_also_over_a_restart(box: Box) -> None:
    first = witnessing.send_when_due(box.context)
    assert first is not None
    assert witnessing.send_when_due(box.context) is None
    again = Context(box.database, box.clock, box.context.settings, "test:me", box.context.entropy, 1)
    again.machine = box.context.machine
    box.clock.advance_ms(DAY_MS - 1)
    assert witnessing.send_when_due(again) is None
    box.clock.advance_ms(1)
    second = witnessing.send_when_due(again)
    assert second not in {None, first}
    sent = witnessing.last_sent(box.context)
    assert sent is not None
    assert (sent.uid, sent.to, sent.at_ms) == (second, "mail", box.clock.now_ms())
    assert [entry.detail["uid"] for entry in entries(box.context, "audit.witnessed")] == [second, first]


def test_a_head_is_sent_to_a_target_by_name(box: Box) -> None:
    made, uid = witnessing.witness(box.context, "hook")
    sent = witnessing.last_sent(box.context)
    assert sent is not None
    assert (sent.seq, sent.to, sent.uid) == (made.seq, "hook", uid)
    head = audit.head
    before = box.database.read(head)
    with pytest.raises(NotFound):
        witnessing.witness(box.context, "nobody")
    assert box.database.read(head) == before, "a target that is not there costs no checkpoint"


def test_who_may_send_cannot_keep_the_witness_from_being_told(box: Box) -> None:
    """Keys of messages that are to come, taken beforehand."""
    head = box.database.read(audit.head)[0]
    for seq in range(head + 40, head + 80):  # each is an entry itself
        box.put(text="taken", idempotency_key=f"audit-witness:{seq}:mail")
    assert witnessing.send_when_due(box.context)


def test_without_a_witness_in_the_configuration_one_must_be_named(box: Box) -> None:
    box.context.settings = settings()
    assert witnessing.send_when_due(box.context) is None
    with pytest.raises(NotPossible, match="audit_witness"):
        witnessing.witness(box.context)


def test_the_message_itself_verifies_the_log(box: Box) -> None:
    made, _uid = witnessing.witness(box.context)
    (text,) = box.database.read(lambda tx: tx.search("SELECT text FROM bodies", {}))[0]
    assert max(map(len, text.splitlines())) < 120
    compared = witnessing.compare(box.context, text.encode())
    assert (compared.ok, compared.witness_seq, compared.checkpoints) == (True, made.seq, 1)
    mail = message_from_bytes(b"Subject: x\n\n", policy=default)
    mail.set_content(text, cte="quoted-printable")
    assert witnessing.compare(box.context, mail.as_bytes()).ok


def test_what_is_known_of_the_signing_is_told_without_opening_the_vault(box: Box) -> None:
    assert witnessing.signing(box.context).newest is None
    made, uid = witnessing.witness(box.context)
    (box.directory / "root.key").unlink()
    told = witnessing.signing(box.context)
    assert (told.newest, told.since, told.age_ms, told.witness, told.vault) == (made, 2, 0, "mail", True)
    assert told.sent is not None
    assert told.sent.uid == uid


# Comparing


def exported(log: Log) -> list[str]:
    return list(log.engine.audit_export())


def test_a_cut_tail_is_found_by_every_kind_of_witness(log: Log) -> None:
    log.sign()
    lines, head = exported(log), json.dumps(log.engine.checkpoints(limit=1)[0].document())
    last = log.bounds()[1]
    with log.unguarded():
        log.raw.execute("DELETE FROM audit WHERE seq > ?", (last - 9,))
        log.fix_head()
    (log.engine.paths.data_dir / "audit-head.json").unlink()
    assert log.verify().bad_seq is None, "but for the guards, the log itself shows nothing"
    for witness, saw in (("\n".join(lines), last), (head, last - 1)):
        compared = witnessing.compare(log.context, witness.encode())
        assert (compared.ok, compared.bad_seq) == (False, last - 8)
        assert f"the log ends at {last - 9}" in compared.why
        assert str(saw) in compared.why
        assert compared.witness_seq == saw


@pytest.mark.parametrize("signed", [True, False])
def test_history_that_was_written_anew_is_found(log: Log, *, signed: bool) -> None:
    """Behind the newest checkpoint, with the recorded head: only a witness can know."""
    log.fill(20)
    lines = exported(log)
    rows, (_first, last) = log.rows(), log.bounds()
    newest = log.engine.checkpoints(limit=1)[0]
    theirs = checkpoints.sign(_signer(log), last - 1, rows[last]["prev"], newest.at, "")
    rows[last - 5]["actor"] += "x"
    with log.unguarded():
        log.rewrite(rows, last - 5)
        log.fix_head()
    witness = json.dumps(theirs.document()) if signed else "\n".join(lines)
    compared = witnessing.compare(log.context, witness.encode())
    assert not compared.ok
    if signed:
        assert compared.span == (newest.seq + 1, last - 1)
        assert "was written anew" in compared.why
    else:
        assert compared.bad_seq == last - 5


def _signer(log: Log) -> checkpoints.Signer:
    from engine.operations import vault

    return vault.signer(log.engine.context)


def test_a_part_of_an_export_and_one_that_ends_earlier_agree(log: Log) -> None:
    lines = exported(log)
    for part in (lines[10:20], lines[-3:], [lines[4], lines[9], lines[-1]]):
        compared = witnessing.compare(log.context, "\n".join(part).encode())
        assert (compared.ok, compared.compared) == (True, len(part))
    log.fill(3)
    assert witnessing.compare(log.context, "\n".join(lines).encode()).ok


def test_an_export_finds_the_first_of_many_differences(log: Log) -> None:
    lines = exported(log)
    rows = log.rows()
    rows[7]["subject"] += "x"
    with log.unguarded():
        log.rewrite(rows, 7)
        log.fix_head()
    compared = witnessing.compare(log.engine.context, "\n".join(lines).encode())
    assert (compared.ok, compared.bad_seq) == (False, 7)
    assert [one.kind for one in incidents.listing(log.engine.context)] == ["audit.broken"]


def test_the_witness_of_another_log_is_told_apart(log: Log, tmp_path_factory: pytest.TempPathFactory) -> None:
    with opened_log(tmp_path_factory.mktemp("other"), seed=6) as other:
        document = json.dumps(other.engine.checkpoints(limit=1)[0].document())
        lines = exported(other)
    compared = witnessing.compare(log.context, document.encode())
    assert not compared.ok
    assert "another log's" in compared.why
    compared = witnessing.compare(log.context, "\n".join(lines).encode())
    assert (compared.ok, compared.bad_seq) == (False, 1)
    assert "another log's" in compared.why


def test_a_witness_that_is_not_genuine_says_nothing_of_the_log(log: Log) -> None:
    document = log.engine.checkpoints(limit=1)[0].document()
    compared = witnessing.compare(log.context, json.dumps({**document, "hash": "ab" * 32}).encode())
    assert (compared.ok, compared.bad_seq, compared.chain.ok) == (False, None, True)
    assert "not genuine" in compared.why
    lines = exported(log)
    lines[3] = lines[3].replace('"seq": 4', '"seq": 4, "x": 1')
    compared = witnessing.compare(log.context, "\n".join(lines).encode())
    assert (compared.ok, compared.bad_seq) == (False, None)
    assert "the file itself was changed" in compared.why
    assert witnessing.compare(log.engine.context, "\n".join(lines).encode()).why == compared.why
    assert incidents.listing(log.engine.context) == [], "it accuses nobody"


def test_what_is_no_witness_is_refused(log: Log) -> None:
    with pytest.raises(BadInput):
        witnessing.compare(log.context, b"hello")
