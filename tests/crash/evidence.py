"""Reads what a crash run left behind. Imports nothing of engine/ and changes nothing: the database is copied first."""

from __future__ import annotations

import json
import shutil
import sqlite3
import tempfile
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Row = dict[str, Any]

AMBIGUOUS = frozenset({"abandoned", "unknown", None})
"""Outcomes of an attempt that say openly: it may have arrived."""


@dataclass(frozen=True, slots=True)
class Receipt:
    """A line of a sink's log. arrived: the sink has the message. told: it said so to the client."""

    at_ms: int
    uid: str
    outcome: str
    sha256: str

    @property
    def arrived(self) -> bool:
        return self.outcome in {"accepted", "dropped"}


@dataclass(frozen=True, slots=True)
class Policy:
    """When a target's messages are tried again, as the run configured it. lease_ms: how long an attempt may last."""

    first_ms: int
    cap_ms: int
    attempts: int
    jitter: float
    lease_ms: int


@dataclass(frozen=True, slots=True)
class Death:
    """An engine's end: it died between the two times. clean: it ended by itself after it was asked to."""

    pid: int
    from_ms: int
    to_ms: int
    clean: bool


@dataclass(slots=True)
class Evidence:
    """Everything the invariants are judged by.

    acks: (uid, idempotency key) as the producers wrote them down. entries: the audit log by subject.
    """

    data: Path
    messages: dict[str, Row] = field(default_factory=dict)
    attempts: dict[int, list[Row]] = field(default_factory=dict)
    audit: list[Row] = field(default_factory=list)
    entries: dict[str, list[Row]] = field(default_factory=dict)
    counts: dict[str, int] = field(default_factory=dict)
    audit_head: tuple[int, str] = (0, "")
    bulk_members: set[int] = field(default_factory=set)
    epoch: int = 0
    pruned: int = 0
    sound: list[str] = field(default_factory=list)
    schema: dict[tuple[str, str], str] = field(default_factory=dict)
    expected_schema: dict[tuple[str, str], str] = field(default_factory=dict)
    acks: list[tuple[str, str]] = field(default_factory=list)
    receipts: dict[str, list[Receipt]] = field(default_factory=dict)
    policies: dict[str, Policy] = field(default_factory=dict)
    seats: int | None = None
    deaths: list[Death] | None = None
    samples: list[Row] = field(default_factory=list)
    outside: list[Path] = field(default_factory=list)
    canaries: list[str] = field(default_factory=list)
    settled: bool = False

    def attempts_of(self, uid: str) -> list[Row]:
        return self.attempts.get(self.messages[uid]["id"], [])

    def overdue(self, uid: str, attempt: Row) -> bool:
        """Whether the attempt outlasted its lease: then the message goes on without it, and its own end comes late."""
        policy = self.policies.get(self.messages[uid]["target"])
        lasted_ms = (attempt["finished_ms"] or attempt["started_ms"]) - attempt["started_ms"]
        return policy is not None and lasted_ms >= policy.lease_ms

    @property
    def last_death_ms(self) -> int:
        return max((death.to_ms for death in self.deaths or []), default=2**62)


def json_lines(path: Path) -> Iterator[Row]:
    """Yield each whole line; a last one without its newline was never written to the end."""
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    for line in text.splitlines(keepends=True):
        if line.endswith("\n"):
            yield json.loads(line)


def parsed(body: str) -> Row:
    """Return an audit entry, an empty one where somebody made it unreadable."""
    try:
        entry = json.loads(body)
    except ValueError:
        entry = {}
    return {"action": "", "subject": "", "seq": 0, "prev": "", "at": "", "detail": {}, **entry}


def read_acks(path: Path) -> list[tuple[str, str]]:
    """Return (uid, key) of every whole line `UID KEY`."""
    lines = path.read_text(encoding="ascii").splitlines(keepends=True) if path.exists() else []
    whole = [line.split() for line in lines if line.endswith("\n")]
    return [(words[0], words[1] if len(words) > 1 else "") for words in whole if words]


def gather(
    data: Path, *, acks: Sequence[Path] = (), sinks: Sequence[Path] = (), run: Path | None = None, migrations: Path
) -> Evidence:
    """Read it all. What SQLite cannot read is left out, and `sound` says why."""
    evidence = Evidence(data)
    for path in acks:
        evidence.acks += read_acks(path)
    receipts: dict[str, list[Receipt]] = defaultdict(list)
    for path in sinks:
        for line in json_lines(path):
            receipts[line["id"]].append(Receipt(line["at_ms"], line["id"], line["outcome"], line["sha256"]))
    evidence.receipts = {uid: sorted(all_, key=lambda one: one.at_ms) for uid, all_ in receipts.items()}
    if run is not None:
        _read_run(evidence, run)
    evidence.expected_schema = _schema_of_migrations(migrations)
    with tempfile.TemporaryDirectory(prefix="chronos-check-") as scratch:
        for name in ("chronos.db", "chronos.db-wal"):
            if (data / name).exists():
                shutil.copyfile(data / name, Path(scratch) / name)
        connection = sqlite3.connect(Path(scratch) / "chronos.db", isolation_level=None)
        try:
            _read_database(evidence, connection)
        except sqlite3.Error as error:
            evidence.sound.append(f"the database cannot be read: {error}")
        finally:
            connection.close()
    return evidence


def _read_run(evidence: Evidence, path: Path) -> None:
    deaths = []
    for line in json_lines(path):
        if line["event"] == "ended":
            deaths.append(Death(line["pid"], line["from_ms"], line["to_ms"], line["clean"]))
        elif line["event"] == "plan":
            evidence.seats = line["seats"]
            evidence.policies = {name: Policy(**policy) for name, policy in line["policies"].items()}
            evidence.outside = [Path(name) for name in line["outside"]]
            evidence.canaries = list(line["canaries"])
        elif line["event"] == "sample":
            evidence.samples.append(line)
    evidence.deaths = deaths or None


def _read_database(evidence: Evidence, connection: sqlite3.Connection) -> None:
    connection.row_factory = lambda cursor, row: {d[0]: value for d, value in zip(cursor.description, row, strict=True)}

    def rows(sql: str) -> list[Row]:
        return connection.execute(sql).fetchall()

    evidence.sound = [str(next(iter(row.values()))) for row in rows("PRAGMA integrity_check(20)")]
    evidence.sound += [f"foreign key broken: {row}" for row in rows("PRAGMA foreign_key_check")]
    evidence.schema = _schema(connection)
    evidence.messages = {row["uid"]: row for row in rows("SELECT * FROM messages ORDER BY id")}
    for row in rows("SELECT * FROM attempts ORDER BY message_id, attempt_no"):
        evidence.attempts.setdefault(row["message_id"], []).append(row)
    evidence.audit = rows("SELECT seq, body, hash FROM audit ORDER BY seq")
    for row in evidence.audit:
        entry = parsed(row["body"])
        evidence.entries.setdefault(entry["subject"], []).append(entry)
    evidence.counts = {row["name"]: row["n"] for row in rows("SELECT name, n FROM counts WHERE name <> 'audit_head'")}
    evidence.audit_head = tuple(rows("SELECT n, word FROM counts WHERE name = 'audit_head'")[0].values())
    evidence.epoch = rows("SELECT epoch FROM leader")[0]["epoch"]
    evidence.pruned = int(rows("SELECT value FROM meta WHERE key = 'audit_pruned_seq'")[0]["value"])
    evidence.bulk_members = {row["message_id"] for row in rows("SELECT message_id FROM bulk_items")}
    evidence.sound += _odd_settings(connection) + _unreachable(connection)


def _odd_settings(connection: sqlite3.Connection) -> list[str]:
    wanted = {"journal_mode": "wal", "page_size": 4096, "application_id": 0x4368726F}
    found = {name: next(iter(connection.execute(f"PRAGMA {name}").fetchone().values())) for name in wanted}
    return [f"{name} is {found[name]}, not {value}" for name, value in wanted.items() if found[name] != value]


def _unreachable(connection: sqlite3.Connection) -> list[str]:
    """Rows that foreign keys do not ask for: every message has a body, every blob a user."""
    questions = {
        "message without a body": "SELECT id FROM messages WHERE id NOT IN (SELECT message_id FROM bodies)",
        "blob without a user": "SELECT sha256 AS id FROM blobs WHERE sha256 NOT IN (SELECT sha256 FROM attachments)",
    }
    return [f"{words}: {row['id']}" for words, sql in questions.items() for row in connection.execute(sql).fetchall()]


def _schema(connection: sqlite3.Connection) -> dict[tuple[str, str], str]:
    sql = "SELECT type, name, sql FROM sqlite_master WHERE name NOT LIKE 'sqlite_%'"
    return {(row["type"], row["name"]): " ".join(str(row["sql"]).split()) for row in connection.execute(sql).fetchall()}


def _schema_of_migrations(folder: Path) -> dict[tuple[str, str], str]:
    connection = sqlite3.connect(":memory:")
    connection.row_factory = lambda cursor, row: {d[0]: value for d, value in zip(cursor.description, row, strict=True)}
    try:
        for script in sorted(folder.glob("[0-9]*.sql")):
            connection.executescript(script.read_text(encoding="utf-8"))
        return _schema(connection)
    finally:
        connection.close()
