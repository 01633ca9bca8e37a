"""The table incidents: open, count, change, forget. What is worth one, and whom it is told, operations decide."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from engine.store.tx import Tx

ENGINE = "engine"
"""Who opens incidents, and who changed one whose cause went away by itself."""


@dataclass(frozen=True, slots=True)
class Incident:
    """Something that went wrong. count: how often since `first_ms`. state: open, acknowledged, resolved.

    severity: a rules.incidents.Severity. note: why it is over. changed_ms, changed_by: who changed the state last.
    alert_uid: the message that tells of it, None where none does.
    """

    id: int
    kind: str
    subject: str
    detail: str
    state: str
    first_ms: int
    last_ms: int
    count: int
    severity: str = "medium"
    note: str = ""
    changed_ms: int | None = None
    changed_by: str = ""
    alert_uid: str | None = None


class Active(NamedTuple):
    """What a repeat has to know of the one that is not resolved."""

    id: int
    state: str
    severity: str


def active(tx: Tx, kind: str, subject: str) -> Active | None:
    """Return the incident of a kind and subject that is not resolved."""
    row = tx.row("incidents.active", {"kind": kind, "subject": subject})
    return None if row is None else Active(*row)


def active_subjects(tx: Tx, kind: str, *, many: str, most: int) -> int:
    """Return how many subjects of a kind are not resolved, `many` left out; counted up to `most`."""
    return int(tx.value("incidents.active_subjects", {"kind": kind, "many": many, "most": most}))


def open_new(tx: Tx, now_ms: int, kind: str, subject: str, *, detail: str, severity: str, times: int) -> int:
    """Insert one; return its number."""
    params = {"kind": kind, "subject": subject, "detail": detail, "severity": severity}
    return tx.insert("incidents.open", {**params, "now_ms": now_ms, "times": times})


def repeat(tx: Tx, now_ms: int, known: Active, *, detail: str, times: int) -> None:
    """Count a repeat; `known` with the state and severity it has from now on."""
    params = {"id": known.id, "state": known.state, "severity": known.severity}
    tx.run("incidents.repeat", {**params, "detail": detail, "now_ms": now_ms, "times": times})


def unsettled(tx: Tx, n: int) -> list[Incident]:
    """Return what is not resolved, the worst first."""
    return [Incident(*row) for row in tx.rows("incidents.unsettled", {"n": n})]


def newest(tx: Tx, n: int) -> list[Incident]:
    """Return those of every state, newest first."""
    return [Incident(*row) for row in tx.rows("incidents.newest", {"n": n})]


def active_of(tx: Tx, kind: str) -> list[Incident]:
    """Return those of a kind that are not resolved."""
    return [Incident(*row) for row in tx.rows("incidents.active_of", {"kind": kind})]


def get(tx: Tx, number: int) -> Incident | None:
    """Return one."""
    row = tx.row("incidents.one", {"id": number})
    return None if row is None else Incident(*row)


def change(tx: Tx, now_ms: int, number: int, *, state: str, note: str, by: str) -> bool:
    """Change the state; return False where it was resolved already."""
    params = {"id": number, "state": state, "note": note, "now_ms": now_ms, "by": by}
    return tx.run("incidents.change", params) == 1


def alerted(tx: Tx, number: int, uid: str) -> None:
    """Note the message that tells of it."""
    tx.run("incidents.alerted", {"id": number, "uid": uid})


def untold(tx: Tx, n: int) -> list[Incident]:
    """Return open ones that no message tells of, oldest first."""
    return [Incident(*row) for row in tx.rows("incidents.untold", {"n": n})]


def told_lately(tx: Tx, now_ms: int, number: int, kind: str, subject: str, *, within_ms: int) -> bool:
    """Whether one of the same kind and subject ended by itself and was told of within that time."""
    params = {"id": number, "kind": kind, "subject": subject, "now_ms": now_ms, "since_ms": now_ms - within_ms}
    return tx.value("incidents.told_lately", params) is not None


def severities(tx: Tx) -> list[tuple[str, str, int]]:
    """Return (severity, state, how many) of what is not resolved."""
    return [(row[0], row[1], row[2]) for row in tx.rows("incidents.severities")]


def old(tx: Tx, before_ms: int) -> list[int]:
    """Return a slice of what was resolved before then."""
    return [row[0] for row in tx.rows("incidents.old", {"before_ms": before_ms})]


def delete(tx: Tx, numbers: list[int]) -> None:
    """Forget them."""
    tx.run_many("incidents.delete", [{"id": number} for number in numbers])
