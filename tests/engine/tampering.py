"""Ways to tamper with an audit log behind its engine's back, each with what verification must then name.

`python -m tests.engine.tampering --mutations 10000 --logs 1000 --seed 1` tries many; the suite tries some.
"""

from __future__ import annotations

import argparse
import base64
import bisect
import json
import random
import shutil
import sqlite3
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from engine.engine import Engine
from engine.operations import checkpointing, pruning, rotating, verifying, witnessing
from engine.operations.context import Context
from engine.operations.vault import Provider
from engine.rules import checkpoints
from engine.rules.canonical import canonical_json, entry_hash
from engine.rules.checkpoints import CHECKPOINT
from engine.store import audit
from engine.store.tx import Tx
from tests.support import data_dir, opened_engine

ODD = ["é", "✓", "\U0001f600", '"', "\\", "\n", "\x00", "\u2028", "}", '","seq":1,"', "\ue000", "\x1b[31m"]
ACTIONS = ("message.queued", "message.delivered", "message.dead", "hold.started", "config.loaded", "auditor", "audit")


class Expected(NamedTuple):
    """What must be named: one of these numbers as the first bad entry, or a range with `inside` in it."""

    seqs: frozenset[int | None]
    inside: int | None = None


def words(rng: random.Random) -> str:
    """Return a text that is not easy to store."""
    return "".join(
        rng.choice(ODD) if rng.random() < 0.2 else rng.choice("abc xyz019") for _ in range(rng.randrange(20))
    )


def details(rng: random.Random, depth: int = 0) -> Any:
    """Return a value of any kind that an entry may hold."""
    kind = rng.randrange(7 if depth < 3 else 4)
    if kind == 4:
        return [details(rng, depth + 1) for _ in range(rng.randrange(3))]
    if kind >= 5:
        return {words(rng): details(rng, depth + 1) for _ in range(rng.randrange(4))}
    return (rng.randrange(-(2**53) + 1, 2**53), words(rng), None, rng.random() < 0.5)[kind]


class Log:
    """A data directory with a vault and a log of random content; what is done to it can be taken back.

    signed: entries that are checkpoints. kept: its export and its newest checkpoint, as a witness has them.
    """

    def __init__(self, engine: Engine, rng: random.Random) -> None:
        self.engine = engine
        self.rng = rng
        self.path = engine.paths.database
        self.raw = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self._saved = sqlite3.connect(":memory:", check_same_thread=False)
        self._head = engine.paths.data_dir / "audit-head.json"
        self._saved_head = b""

    @property
    def context(self) -> Context:
        """One that reports nothing: a log that was tampered with must stay as it was."""
        found = self.engine.context.acting_as("test:verifier")
        found.read_only = True
        return found

    def fill(self, entries: int) -> None:
        """Append entries of random content."""

        def work(tx: Tx) -> None:
            for _ in range(entries):
                subject = f"msg_{self.rng.getrandbits(128):032x}" if self.rng.random() < 0.6 else words(self.rng)
                now_ms = self.engine.context.clock.now_ms()
                detail = {words(self.rng): details(self.rng) for _ in range(self.rng.randrange(3))}
                audit.append(tx, now_ms, words(self.rng), self.rng.choice(ACTIONS), subject, detail)

        self.engine.context.database.write(work)

    def sign(self) -> None:
        """Make a checkpoint."""
        self.engine.audit_checkpoint()

    def save(self) -> None:
        """Remember everything as it is now."""
        self.raw.backup(self._saved)
        self._saved_head = self._head.read_bytes() if self._head.exists() else b""

    def restore(self) -> None:
        """Make everything as it was."""
        self._saved.backup(self.raw)
        if self._saved_head:
            self._head.write_bytes(self._saved_head)

    def verify(self) -> Any:
        """Verify without a report."""
        return verifying.verify(self.context)

    # What an intruder does

    @contextmanager
    def unguarded(self) -> Iterator[None]:
        """Take the guards away, by the front door or through the schema, and put them back where that is possible."""
        guards = "SELECT type, name, sql FROM sqlite_master WHERE tbl_name = 'audit' AND type <> 'table'"
        rows = self.raw.execute(guards).fetchall()
        (table,) = self.raw.execute("SELECT sql FROM sqlite_master WHERE name = 'audit'").fetchone()
        if self.rng.random() < 0.5:
            self._master("DELETE FROM sqlite_master WHERE type = 'trigger' AND tbl_name = 'audit'")
        for kind, name, _sql in rows:
            self.raw.execute(f"DROP {kind} IF EXISTS {name}")
        plain = "CREATE TABLE audit (seq INTEGER PRIMARY KEY, body TEXT NOT NULL, hash TEXT NOT NULL)"
        self._master("UPDATE sqlite_master SET sql = ? WHERE name = 'audit'", plain)
        self.raw.execute("BEGIN")
        yield
        self.raw.execute("COMMIT")
        self._master("UPDATE sqlite_master SET sql = ? WHERE name = 'audit'", table)
        if self.rng.random() < 0.5:
            for _kind, _name, sql in rows:
                with suppress(sqlite3.Error):  # an index over what is no JSON any more
                    self.raw.execute(sql)

    def _master(self, sql: str, *values: str) -> None:
        self.raw.execute("PRAGMA writable_schema = ON")
        self.raw.execute(sql, values)
        self.raw.execute("PRAGMA writable_schema = RESET")

    def rows(self) -> dict[int, dict[str, Any]]:
        """Every entry, decoded."""
        return {seq: json.loads(body) for seq, body in self.raw.execute("SELECT seq, body FROM audit ORDER BY seq")}

    def bounds(self) -> tuple[int, int]:
        """The first and last number."""
        first, last = self.raw.execute("SELECT min(seq), max(seq) FROM audit").fetchone()
        return first, last

    def pick(self, rows: dict[int, dict[str, Any]] | None = None) -> int:
        """One entry."""
        return self.rng.choice(list(rows or self.rows()))

    def body(self, seq: int) -> bytes:
        """An entry as it is stored."""
        (found,) = self.raw.execute("SELECT CAST(body AS BLOB) FROM audit WHERE seq = ?", (seq,)).fetchone()
        return bytes(found)

    def hash(self, seq: int) -> bytes:
        (found,) = self.raw.execute("SELECT CAST(hash AS BLOB) FROM audit WHERE seq = ?", (seq,)).fetchone()
        return bytes(found)

    def put(self, seq: int, body: str) -> str:
        """Write an entry with a hash that fits."""
        digest = entry_hash(body)
        self.raw.execute("INSERT OR REPLACE INTO audit (seq, body, hash) VALUES (?, ?, ?)", (seq, body, digest))
        return digest

    def rewrite(self, rows: dict[int, dict[str, Any]], start: int) -> None:
        """Recompute the chain from `start` on, as whoever writes history anew does."""
        prev = rows[start]["prev"]
        self.raw.execute("DELETE FROM audit WHERE seq >= ?", (start,))
        for seq in sorted(seq for seq in rows if seq >= start):
            entry = {**rows[seq], "prev": prev, "seq": seq}
            detail = entry["detail"]
            if entry["action"] == CHECKPOINT and self.rng.random() < 0.5:
                entry["detail"] = {**detail, "hash": prev, "seq": seq - 1}
            prev = self.put(seq, canonical_json(entry))

    def fix_head(self) -> None:
        """Make the head that is recorded beside the log fit."""
        seq, digest = self.raw.execute("SELECT seq, hash FROM audit ORDER BY seq DESC LIMIT 1").fetchone()
        self.raw.execute("UPDATE counts SET n = ?, word = ? WHERE name = 'audit_head'", (seq, digest))


Mutation = Callable[[Log], Expected]


def flip_in_body(log: Log) -> Expected:
    seq = log.pick()
    with log.unguarded():
        _flip(log, "body", seq, log.body(seq))
    return Expected(frozenset({seq}))


def flip_in_hash(log: Log) -> Expected:
    seq = log.pick()
    with log.unguarded():
        _flip(log, "hash", seq, log.hash(seq))
    return Expected(frozenset({seq}))


def _flip(log: Log, column: str, seq: int, data: bytes) -> None:
    changed = bytearray(data)
    bit = log.rng.randrange(len(changed) * 8)
    changed[bit // 8] ^= 1 << bit % 8
    log.raw.execute(f"UPDATE audit SET {column} = CAST(? AS TEXT) WHERE seq = ?", (bytes(changed), seq))


def renumber(log: Log) -> Expected:
    seq, (first, last) = log.pick(), log.bounds()
    other = log.rng.choice([last + log.rng.randrange(1, 2**40), first - log.rng.randrange(1, 100), -(2**40)])
    with log.unguarded():
        log.raw.execute("UPDATE audit SET seq = ? WHERE seq = ?", (other, seq))
    return Expected(frozenset({seq, other}))


def edit(log: Log) -> Expected:
    """Change what an entry says, and its hash with it."""
    rows = log.rows()
    seq, (_first, last) = log.pick(rows), log.bounds()
    entry = rows[seq]
    field = log.rng.choice(["actor", "subject", "at"])
    entry[field] = entry[field] + "x"
    with log.unguarded():
        log.put(seq, canonical_json(entry))
    return Expected(frozenset({seq}) if seq == last else frozenset({seq, seq + 1}))


def delete(log: Log) -> Expected:
    seq = log.pick()
    with log.unguarded():
        log.raw.execute("DELETE FROM audit WHERE seq = ?", (seq,))
    return Expected(frozenset({seq}))


def insert(log: Log) -> Expected:
    """Put an entry in that fits its predecessor; the others make room."""
    rows = log.rows()
    seq, (first, last) = log.pick(rows), log.bounds()
    seq = log.rng.choice([seq, last + 1])
    prev = rows[seq]["prev"] if seq in rows else log.hash(last).decode()
    forged = {**rows[first], "action": "hold.ended", "prev": prev, "seq": seq}
    with log.unguarded():
        log.raw.execute("UPDATE audit SET seq = -seq - 1 WHERE seq >= ?", (seq,))
        log.raw.execute("UPDATE audit SET seq = -seq WHERE seq < 0")
        log.put(seq, canonical_json(forged))
    return Expected(frozenset({seq}) if seq > last else frozenset({seq, seq + 1}))


def insert_below(log: Log) -> Expected:
    """Put an entry in where none may stand, or where one was archived."""
    first, _last = log.bounds()
    seq = log.rng.randrange(first - 50, first)
    with log.unguarded():
        log.put(seq, canonical_json({**log.rows()[first], "seq": seq}))
    return Expected(frozenset({seq}))


def swap(log: Log) -> Expected:
    one, other = sorted(log.rng.sample(list(log.rows()), 2))
    with log.unguarded():
        log.raw.execute("UPDATE audit SET seq = -1000000 WHERE seq = ?", (one,))
        log.raw.execute("UPDATE audit SET seq = ? WHERE seq = ?", (one, other))
        log.raw.execute("UPDATE audit SET seq = ? WHERE seq = -1000000", (other,))
    return Expected(frozenset({one}))


def cut(log: Log) -> Expected:
    """Cut the tail off; in half of the cases somebody goes on writing before it is noticed."""
    first, last = log.bounds()
    seq = log.rng.randrange(first + 1, last + 1)
    with log.unguarded():
        log.raw.execute("DELETE FROM audit WHERE seq >= ?", (seq,))
    if log.rng.random() < 0.5:
        log.fill(log.rng.randrange(1, 4))
    return Expected(frozenset({seq}))


def recompute(log: Log) -> Expected:
    """Change an entry that a checkpoint vouches for and recompute the chain from it on, the recorded head too."""
    rows = log.rows()
    signed = [seq for seq in rows if rows[seq]["action"] == CHECKPOINT]
    seq = log.rng.choice([seq for seq in rows if seq < signed[-1]])
    rows[seq]["actor"] += "x"
    # Who made a checkpoint is not signed by itself: the one behind it finds that.
    witnesses = frozenset(signed[bisect.bisect_left(signed, seq) :][: 2 if seq in signed else 1])
    with log.unguarded():
        log.rewrite(rows, seq)
        if log.rng.random() < 0.5:
            log.fix_head()
    return Expected(witnesses, inside=seq)


def recompute_unsigned(log: Log) -> Expected:
    """The same without a checkpoint in what is written anew: they were made something else."""
    rows = log.rows()
    signed = [seq for seq in rows if rows[seq]["action"] == CHECKPOINT]
    seq = log.rng.choice([seq for seq in rows if seq < signed[-1]])
    rows[seq]["actor"] += "x"
    for one in signed:
        if one >= seq:
            rows[one] = {**rows[one], "action": "config.loaded", "subject": "config", "detail": {}}
    with log.unguarded():
        log.rewrite(rows, seq)
        log.fix_head()
    return Expected(frozenset(range(seq + 1)), inside=seq)


def recompute_tail(log: Log) -> Expected:
    """Change what stands behind the newest checkpoint and recompute from there, but not the recorded head."""
    rows = log.rows()
    signed, (_first, last) = max(seq for seq in rows if rows[seq]["action"] == CHECKPOINT), log.bounds()
    seq = log.rng.randrange(signed + 1, last + 1)
    rows[seq]["actor"] += "x"
    with log.unguarded():
        log.rewrite(rows, seq)
    return Expected(frozenset({last}))


def forge_checkpoint(log: Log) -> Expected:
    """Give a checkpoint another's signature, or one by a key of the intruder's, and recompute from there on."""
    rows = log.rows()
    seq = log.rng.choice([seq for seq in rows if rows[seq]["action"] == CHECKPOINT])
    entry = rows[seq]
    detail, intruder = entry["detail"], Ed25519PrivateKey.from_private_bytes(log.rng.randbytes(32))
    forged = intruder.sign(checkpoints.statement(detail["seq"], detail["hash"], detail["at"]))
    theirs = intruder.public_key().public_bytes_raw().hex()
    signature = base64.b64encode(forged).decode()
    entry["detail"] = log.rng.choice(
        [
            {**detail, "signature": signature},
            {**detail, "signature": signature, "key": theirs},
            {**detail, "key": theirs},
        ]
    )
    with log.unguarded():
        prev = entry["prev"]
        log.raw.execute("DELETE FROM audit WHERE seq >= ?", (seq,))
        for one in (one for one in rows if one >= seq):
            prev = log.put(one, canonical_json({**rows[one], "prev": prev}))
        log.fix_head()
    return Expected(frozenset({seq}), inside=seq)


def lie_about_head(log: Log) -> Expected:
    """Change what is recorded beside the log, or how far it was pruned."""
    first, last = log.bounds()
    way = log.rng.randrange(4)
    if way == 0:
        log.raw.execute("UPDATE counts SET n = n + 3 WHERE name = 'audit_head'")
        return Expected(frozenset({last + 1}))
    if way == 1:
        log.raw.execute("UPDATE counts SET word = 'f' || substr(word, 1, 63) WHERE name = 'audit_head'")
        return Expected(frozenset({last}))
    if way == 2:
        log.raw.execute("DELETE FROM counts WHERE name = 'audit_head'")
        return Expected(frozenset({None}))
    with log.unguarded():
        log.raw.execute("UPDATE meta SET value = ? WHERE key = 'audit_pruned_seq'", (first + 5,))
        log.raw.execute("DELETE FROM audit WHERE seq <= ?", (first + 5,))
    return Expected(frozenset({first + 6}))


def unguard(log: Log) -> Expected:
    """Take a guard away, or put one in that guards nothing."""
    name = log.rng.choice(["delete", "insert", "update"])
    log.raw.execute(f"DROP TRIGGER audit_is_append_only_{name}")
    if log.rng.random() < 0.5:
        log.raw.execute(f"CREATE TRIGGER audit_is_append_only_{name} BEFORE {name} ON audit WHEN 0 BEGIN SELECT 1; END")
    return Expected(frozenset({None}))


MUTATIONS: tuple[Mutation, ...] = (
    flip_in_body, flip_in_hash, renumber, edit, delete, insert, insert_below, swap, cut, recompute, recompute_unsigned,
    recompute_tail, forge_checkpoint, lie_about_head, unguard,
)  # fmt: skip


@contextmanager
def opened_log(directory: Path, seed: int, *, pruned: bool = False) -> Iterator[Log]:
    """Make a log of some hundred entries with four checkpoints; pruned: its beginning is in an archive."""
    rng = random.Random(seed)
    with opened_engine(data_dir(directory)) as engine:
        rotating.create(engine.context, Provider.FILE)
        log = Log(engine, rng)
        try:
            for _ in range(4):
                log.fill(rng.randrange(15, 40))
                log.sign()
            if pruned:
                pruning.prune(engine.context, keep_ms=-1)
                for _ in range(3):
                    log.fill(rng.randrange(15, 40))
                    log.sign()
            log.fill(rng.randrange(5, 20))
            log.save()
            yield log
        finally:
            log.raw.close()


def judged(found: Any, expected: Expected) -> str:
    """Say what of a finding is not what it must be; "" when all is."""
    if found.ok:
        return "not found"
    if found.bad_seq not in expected.seqs:
        return f"named {found.bad_seq}: {found.why}"
    if expected.inside is not None and found.span is not None:
        first, last = found.span
        if not first <= expected.inside <= last:
            return f"names {first} to {last}, and {expected.inside} was changed: {found.why}"
    return "" if found.why else "found and not said"


def tried(log: Log, mutation: Mutation) -> str:
    """Do it, verify, take it back; return what was wrong with the finding."""
    expected = mutation(log)
    wrong = judged(log.verify(), expected)
    log.restore()
    return wrong and f"{mutation.__name__}: expected {expected}: {wrong}"


def untouched(log: Log) -> str:
    """Let a log grow by random entries, checkpoints and a prune; return what verification has against it."""
    rng = log.rng
    for _ in range(rng.randrange(1, 4)):
        log.fill(rng.randrange(1, 12))
        if rng.random() < 0.5:
            log.sign()
    if rng.random() < 0.2:
        pruning.prune(log.engine.context, keep_ms=-1)
    found = log.verify()
    seen = witnessing.compare(log.context, "\n".join(log.engine.audit_export()).encode())
    newest = checkpointing.newest(log.context)
    assert newest is not None
    head = witnessing.compare(log.context, json.dumps(newest.document()).encode())
    log.restore()
    shutil.rmtree(log.engine.paths.data_dir / pruning.FOLDER, ignore_errors=True)
    return found.why or seen.why or head.why


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--mutations", type=int, default=10_000)
    parser.add_argument("--logs", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    begin, wrong = time.monotonic(), 0
    for number in range(2):
        with (
            tempfile.TemporaryDirectory() as directory,
            opened_log(Path(directory), given.seed + number, pruned=number == 1) as log,
        ):
            for turn in range(given.mutations // 2):
                if said := tried(log, MUTATIONS[turn % len(MUTATIONS)]):
                    wrong += 1
                    sys.stdout.write(f"{said}\n")
            for _ in range(given.logs // 2):
                if said := untouched(log):
                    wrong += 1
                    sys.stdout.write(f"false alarm: {said}\n")
    took_s = time.monotonic() - begin
    tally = f"{given.mutations} mutations, {given.logs} untouched logs, {wrong} wrong"
    sys.stdout.write(f"seed {given.seed}: {tally}, {took_s:.0f} s\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
