"""Carries today's rows into a staged backup, so that it can take today's place. Replaces nothing by itself.

The staged copy (store.adopting) is `main`, today's database is attached read-only as `live`. `carry` may be called
again after more has happened: it writes only what differs by then, so that the second time, while nobody may write, is
short. Whoever fails throws the copy away.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from pathlib import Path
from typing import NamedTuple

from engine.errors import DatabaseBusy, DatabaseUnusable
from engine.rules.carrying import Log, Policy, Relation, relation, tables
from engine.store import audit, faults, migrate, vault
from engine.store.queries import Queries
from engine.store.tx import Tx
from engine.store.vault import SecretRow, VaultRow

Connection = sqlite3.Connection
"""What `copy_into` writes to: the writing connection of today's database."""

_PARTS_OF_MESSAGES = ("bodies", "attachments", "tags", "attempts")
_IDENTITY = {
    "backups": ("folder", "name"),
    "bulks": ("created_ms", "action", "actor"),
    "commands": ("asked_ms", "kind", "actor"),
    "holds": ("scope", "since_ms"),
    "inbound_events": ("source", "event_id"),
    "incidents": ("kind", "subject", "first_ms"),
}
"""By what two rows of one number are told apart where two histories went their own ways."""

_PARTS = {"backup_copies": ("backup_id", "backups", "destination"), "bulk_items": ("bulk_id", "bulks", "message_id")}
"""The column that names the whole, the wholes' table, and what tells the parts of one apart."""

_LOG_WORDS = ("audit_pruned_seq", "database_id", "search_indexed_id")
_PUBLIC_KEY, _PENDING = "audit_public_key", "vault_pending"
_NOW_NEWER = frozenset({Relation.CONTINUES, Relation.FORKED, Relation.FOREIGN})


class Held(NamedTuple):
    """A message that the restore holds. was: its state today, or in the backup where today's database lacks it."""

    id: int
    uid: str
    target: str
    subject: str
    was: str
    reason: str


class Figures(NamedTuple):
    """Messages by state, and rows by table."""

    states: dict[str, int]
    rows: dict[str, int]


class Staged:
    """The copy, opened. backup: its figures as they came from the archive. vault: its vault and sealed secrets, too."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._sees_today = False
        self._queries = Queries()
        self._connection = sqlite3.connect(path, isolation_level=None, uri=True, check_same_thread=False)
        self._attached = False
        try:
            # Whoever is killed before the swap leaves a file that nobody uses.
            for pragma in ("main.journal_mode = OFF", "main.synchronous = OFF", "temp_store = MEMORY"):
                self._connection.execute(f"PRAGMA {pragma}").fetchall()
            self._connection.execute("PRAGMA wal_autocheckpoint = 0")
            self._connection.execute("PRAGMA main.cache_size = -65536")
            self.tx = Tx(self._connection, self._queries)
            for name in ("carrying.make_was", "carrying.fill_was", "carrying.make_moved"):
                self.tx.run(name)
            self.backup = self.figures("main")
            self._log = _log(self.tx, "main", 0)
            self.vault = vault.read(self.tx), vault.secrets(self.tx)
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        self._connection.close()

    @contextmanager
    def beside(self, live: Path) -> Iterator[None]:
        """Have today's database attached, read-only. Raises DatabaseUnusable where it is damaged."""
        try:
            self.tx.run("carrying.attach", {"uri": f"{live.absolute().as_uri()}?mode=ro"})
            self._attached = True
            try:
                if not self._sees_today:
                    self.tx.run("carrying.make_today")
                    self._sees_today = True
                yield
            finally:
                self._attached = False
                self.tx.run("carrying.detach")
        except sqlite3.Error as error:
            # Here, so that what is wrong with the copy never counts as a failed write of the database itself.
            raise faults.translate(error, str(live)) from error

    @contextmanager
    def _whole(self) -> Iterator[None]:
        """See one state of today's database all through."""
        self._connection.execute("SAVEPOINT whole")
        try:
            yield
        finally:
            if self._connection.in_transaction:
                self._connection.execute("RELEASE whole")

    # Looking

    def figures(self, schema: str) -> Figures:
        """Count messages by state and rows by table. schema: "main" or "live"."""
        states: dict[str, int] = dict(self.tx.search(self.tx.text("carrying.states").format(schema=schema), {}))
        text = self.tx.text("carrying.rows")
        names = tables(Policy.MESSAGES, Policy.NEWER, Policy.PARTS, Policy.MERGED, Policy.CHAIN, Policy.VAULT)
        rows = {name: self.tx.search(text.format(schema=schema, table=name), {})[0][0] for name in names}
        return Figures(states, rows)

    @property
    def log(self) -> Log:
        """The end of the backup's audit log."""
        return self._log

    def relation(self) -> tuple[Relation, Log]:
        """Say how today's history stands to the backup's; with it the end of today's log."""
        here = _log(self.tx, "live", self._log.head)
        # What was carried over already is not the backup's own.
        own = here.head <= self._log.head
        there = _log(self.tx, "main", here.head).at_others_head if own else None
        return relation(here, self._log._replace(at_others_head=there)), here

    def fork(self, here: Log) -> int:
        """Return the last entry that two logs have in common, 0 where they have none."""
        low, high = 0, min(here.head, self._log.head)
        while low < high:
            middle = (low + high + 1) // 2
            if self.tx.value("carrying.hash_at", {"seq": middle}):
                low = middle
            else:
                high = middle - 1
        return low

    def entries(self, after: int) -> Iterator[audit.Row]:
        """Yield today's audit entries behind a number, as they are stored."""
        while rows := self.tx.rows("carrying.entries_after", {"after": after}):
            for body, digest, seq in rows:
                yield seq, body, digest
            after = rows[-1][2]

    def waiting_here(self) -> int:
        """Return how many of today's messages have not come to an end."""
        return int(self.tx.value("carrying.waiting_here"))

    def keys_changed(self) -> list[tuple[str, str, str]]:
        """Return (id, name, what became of it) of keys that the backup has in force and today's database has not."""
        return [(row[0], row[1], row[2]) for row in self.tx.rows("carrying.keys_changed")]

    def keys_back(self) -> list[tuple[str, str]]:
        """Return (id, name) of keys in force that only the backup knows."""
        return [(row[0], row[1]) for row in self.tx.rows("carrying.keys_back")]

    def held(self, tag: str, n: int) -> list[Held]:
        """Return what `finish` held, the oldest first."""
        text = self.tx.text("carrying.held").format(was=self._was())
        return [Held(*row) for row in self.tx.search(text, {"tag": tag, "n": n})]

    def held_by_state(self, tag: str) -> dict[str, int]:
        """Return how many it held, by where they stood."""
        return dict(self.tx.search(self.tx.text("carrying.held_by_state").format(was=self._was()), {"tag": tag}))

    def _was(self) -> str:
        return self.tx.text("carrying.was_here" if self._attached else "carrying.was_there")

    def would_resend(self) -> int:
        """Return how many waited in the backup and were delivered since."""
        return int(self.tx.value("carrying.would_resend"))

    # Carrying

    def carry(self, how: Relation, here: Log) -> None:
        """Bring over what today's database has, by rules.carrying. May be called again."""
        with self._whole():
            self._number_apart()
            if how == Relation.CONTINUES:
                self._extend_log(here)
            if how in _NOW_NEWER:
                self._take_today(how)
            else:
                self._add_today()
            self._take_keys()
            self.tx.run("carrying.raise_epoch")

    def _number_apart(self) -> None:
        """Give other numbers to what has the number of something else today. Only where histories parted."""
        tx = self.tx
        if tx.run("carrying.find_strays"):
            tx.run("carrying.drop_strays")
            self._each("carrying.drop_stray_parts", _PARTS_OF_MESSAGES)
        tx.run("carrying.forget_moved")
        # Messages last: by then the backup's own bulk acts have numbers of their own, and their members follow.
        for table, identity in {**_IDENTITY, "messages": ("uid",)}.items():
            columns = {"table": table, **_compared(identity)}
            tx.search(tx.text("carrying.find_collisions").format(**columns), {})
            if tx.value("carrying.any_moved"):
                shift = {"shift": tx.search(tx.text("carrying.shift").format(table=table), {})[0][0]}
                self._move(table, "id", shift)
                if table == "messages":
                    for part in _PARTS_OF_MESSAGES:
                        self._move(part, "message_id", shift)
                    tx.run("carrying.move_items", shift)
                for part, (column, whole, _key) in _PARTS.items():
                    if whole == table:
                        self._move(part, column, shift)
                tx.run("carrying.forget_moved")
        tx.run("carrying.free_keys")

    def _move(self, table: str, column: str, shift: dict[str, int]) -> None:
        self.tx.search(self.tx.text("carrying.move").format(table=table, column=column), shift)

    def _each(self, name: str, names: tuple[str, ...]) -> None:
        for table in names:
            self.tx.search(self.tx.text(name).format(table=table), {})

    def _extend_log(self, here: Log) -> None:
        tx = self.tx
        if here.pruned:
            tx.run("carrying.drop_pruned", {"pruned": here.pruned})
        tx.run("carrying.extend_log")
        tx.run("carrying.take_head")
        tx.run("carrying.take_meta", {"key": "audit_pruned_seq"})
        tx.run("carrying.take_meta", {"key": "database_id"})

    def _take_today(self, how: Relation) -> None:
        """Today's rows win."""
        tx = self.tx
        columns = self._columns("messages")
        names = {"columns": ", ".join(columns), **_compared(columns, "t")}
        tx.search(tx.text("carrying.take_messages").format(**names), {})
        self._add_parts()
        for table, (column, whole, key) in _PARTS.items():
            names = {"table": table, "parent": column, "parents": whole, "key": key}
            tx.search(tx.text("carrying.drop_parts").format(**names), {})
        for table in ("attempts", *tables(Policy.NEWER, Policy.PARTS)):
            names = {"table": table, **_compared(self._columns(table))}
            tx.search(tx.text("carrying.take_newer").format(**names), {})
        if how != Relation.FOREIGN:
            tx.run("carrying.take_other_meta", {"own": json.dumps([*_LOG_WORDS, _PUBLIC_KEY, _PENDING])})

    def _add_today(self) -> None:
        """The backup is the newer one: today's rows only where it has none."""
        tx = self.tx
        columns = ", ".join(self._columns("messages"))
        tx.search(tx.text("carrying.add_messages").format(columns=columns), {})
        self._add_parts()
        self._each("carrying.take_missing", ("attempts", *tables(Policy.NEWER, Policy.PARTS)))

    def _add_parts(self) -> None:
        for name in ("bodies", "blobs", "attachments", "tags"):
            self.tx.run(_ADD[name])

    def _take_keys(self) -> None:
        for name in ("carrying.merge_keys", "carrying.revoke_namesakes", "carrying.add_keys"):
            self.tx.run(name)

    # The vault

    def vault_here(self) -> tuple[VaultRow | None, list[SecretRow]]:
        """Return today's vault, and its secrets as they lie there."""
        row = self.tx.row("carrying.live_vault")
        return None if row is None else VaultRow(*row), [
            SecretRow(*one) for one in self.tx.rows("carrying.live_secrets")
        ]

    def put_vault(self, secrets: list[SecretRow], *, todays: bool, todays_key: bool) -> None:
        """Have these secrets, under today's vault or the backup's. todays_key: so is the log's public key."""
        tx = self.tx
        if todays:
            tx.run("carrying.drop_vault")
            tx.run("carrying.take_vault")
        for key, take in ((_PUBLIC_KEY, todays_key), (_PENDING, todays)):
            if take:
                tx.run("carrying.drop_meta", {"key": key})
                tx.run("carrying.take_meta", {"key": key})
        tx.run("carrying.drop_secrets")
        tx.run_many("carrying.put_secret", [one._asdict() for one in secrets])

    # Completing

    def finish(self, how: Relation, now_ms: int, tag: str) -> int:
        """Let nothing leave by itself, and make whole what was left out; return the new epoch. Once, at the end."""
        tx = self.tx
        beside = how != Relation.DESTROYED
        self._settle_by_log("main", tx.text("carrying.lost") if how == Relation.CONTINUES else "")
        if how in {Relation.FORKED, Relation.BEHIND}:
            self._settle_by_log("live")
        tx.run("carrying.hold_waiting")
        tx.run("carrying.end_attempts", {"now_ms": now_ms})
        tx.run("carrying.count_attempts")
        tx.run("carrying.tag_held", {"tag": tag})
        tx.run("carrying.skip_items")
        tx.run("carrying.end_bulks")
        open_here = [row[0] for row in tx.rows("carrying.commands_here")] if beside else []
        tx.run("carrying.end_commands", {"now_ms": now_ms, "live": json.dumps(open_here)})
        tx.run("carrying.recount")
        tx.run("carrying.revise", {"revision": tx.value("carrying.revision_here") if beside else 0})
        return int(tx.rows("carrying.next_epoch")[0][0])

    def _settle_by_log(self, schema: str, lost: str = "") -> None:
        self.tx.search(self.tx.text("carrying.settle_delivered").format(schema=schema, lost=lost), {})

    def answer(self, words: Mapping[str, object]) -> None:
        """Have whoever asked for this restore find its result, should nobody live to give it once it is in place."""
        self.tx.run("carrying.answer", {"result": json.dumps(words)})
        self.tx.end_part()

    def guard(self) -> None:
        """Put the triggers in place, and prove that no row points to nothing. Raises DatabaseUnusable."""
        try:
            with closing(migrate.blueprint()) as ours:
                for (sql,) in ours.execute(self.tx.text("carrying.triggers")).fetchall():
                    self._connection.execute(sql)
            found = self._connection.execute("PRAGMA main.foreign_key_check").fetchmany(3)
        except sqlite3.Error as error:  # here, for the same reason as in `beside`
            raise faults.translate(error, str(self.path)) from error
        if found:
            raise DatabaseUnusable(
                f"{self.path}: rows point to what is not there: {found!r:.200}; nothing was restored"
            )

    def prove(self) -> None:
        """Look at every page. Raises DatabaseUnusable."""
        found = self._connection.execute("PRAGMA main.quick_check(1)").fetchone()[0]
        if found != "ok":
            raise DatabaseUnusable(f"{self.path}: the copy is not sound ({found:.200}); nothing was changed")

    def copy_into(self, writer: Connection, *, busy_ms: int = 5_000) -> None:
        """Put every page in the place of today's, in one transaction of SQLite's: all of it or nothing.

        Raises DatabaseBusy where somebody who knows nothing of turns (a shell of SQLite's) keeps it locked for longer.
        """
        give_up = time.monotonic() + busy_ms / 1000

        def look(status: int, _remaining: int, _total: int) -> None:
            if status in {sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED} and time.monotonic() > give_up:
                raise DatabaseBusy(f"{self.path}: another program keeps the database locked; nothing was changed")

        self._connection.backup(writer, progress=look)

    def _columns(self, table: str) -> list[str]:
        # hidden: 0 of a column that is stored, 2 and 3 of one that is computed.
        rows = self._connection.execute(f"PRAGMA main.table_xinfo({table})").fetchall()
        return [row[1] for row in rows if row[6] == 0]


_ADD = {
    "attachments": "carrying.add_attachments",
    "blobs": "carrying.add_blobs",
    "bodies": "carrying.add_bodies",
    "tags": "carrying.add_tags",
}


def _compared(columns: tuple[str, ...] | list[str], todays: str = "l") -> dict[str, str]:
    """Return the same columns of the backup's row and of today's, to be compared."""
    return {
        "mine": ", ".join(f"m.{name}" for name in columns),
        "todays": ", ".join(f"{todays}.{name}" for name in columns),
    }


def _log(tx: Tx, schema: str, others_head: int) -> Log:
    row = tx.search(tx.text("carrying.log").format(schema=schema), {"others_head": others_head})[0]
    return Log(*row)
