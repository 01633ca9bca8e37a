"""The independent checker: judges what a run left behind by the invariants I1 to I10. Imports nothing of engine/.

`python -m tests.crash.check DATA --acks FILE --sink FILE… [--run FILE] [--settled]` prints every violation and ends
with 1 if there is one. DATA belongs to an engine that was stopped. docs/crash-testing.md says what each file holds.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import stat
import sys
from base64 import b64encode
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from tests.crash.evidence import AMBIGUOUS, Evidence, Policy, Receipt, Row, gather, parsed
from tests.crash.story import Story

MIGRATIONS = Path(__file__).parents[2] / "engine" / "store" / "migrations"
FINAL = frozenset({"delivered", "dead", "cancelled", "expired"})
_OURS = re.compile(
    r"chronos\.db(-wal|-shm)?|engine\.lock|write\.lock|config\.yaml|config\.cache\.json|logs|backups"
    r"|root\.key|backup-signing\.key|audit-head\.json|audit-archive(/audit-[^/]+)?|\.backups\.lock"
    r"|logs/(chronos|security|performance)(\.[0-9T_.:-]+)?\.jsonl(\.gz)?|backups/chronos-[^/]+\.zip(\.age)?"
)


@dataclass(frozen=True, slots=True)
class Violation:
    """A promise broken: which, by which message ("" where it is none's), and how."""

    invariant: str
    uid: str
    text: str

    def __str__(self) -> str:
        return f"{self.invariant} {self.uid or '-'}: {self.text}"


Findings = Iterator[tuple[str, str]]


def i1_acknowledged(e: Evidence) -> Findings:
    """Every acknowledged uid is in the database, under its idempotency key."""
    of_key: dict[str, str] = {}
    for uid, key in e.acks:
        if uid not in e.messages:
            yield uid, "acknowledged, but not in the database"
        elif key and e.messages[uid]["idempotency_key"] != key:
            yield uid, f"acknowledged under key {key}, stored under {e.messages[uid]['idempotency_key']}"
        if key and of_key.setdefault(key, uid) != uid:
            yield uid, f"key {key} was acknowledged as {of_key[key]} before"


def i2_states(e: Evidence) -> Findings:
    """Each message is final, with the operator, or due; its attempts are numbered through and ended."""
    for uid, message in e.messages.items():
        state, attempts = message["state"], e.attempts_of(uid)
        if state == "sending":
            yield uid, "still sending although no engine runs: nobody will ever take it up"
        if e.settled and state == "queued" and message["due_ms"] <= e.last_death_ms:
            yield uid, f"due at {message['due_ms']} and never sent"
        if state == "queued" and not message["ready"] and message["ordering_key"] is None:
            yield uid, "not ready, and no ordering key to wait for"
        numbers = [attempt["attempt_no"] for attempt in attempts]
        if numbers != list(range(1, message["attempts"] + 1)):
            yield uid, f"counts {message['attempts']} attempts, rows are {numbers}"
        if state != "sending" and any(attempt["outcome"] is None for attempt in attempts):
            yield uid, "an attempt without an end, although the message is not being sent"
        yield from _ends(e, uid, state, attempts)


def _ends(e: Evidence, uid: str, state: str, attempts: list[Row]) -> Findings:
    delivered = _delivered_by(e, uid)
    settled = Story(e.entries.get(uid, [])).settled
    if state == "delivered" and not settled and delivered != [len(attempts)]:
        yield uid, f"delivered, but attempts with that outcome are {delivered} of {len(attempts)}"
    if state != "delivered" and delivered:
        yield uid, f"{state}, although attempt {delivered[0]} was accepted"
    if state == "delivered" and not attempts:
        yield uid, "delivered without an attempt"


def _delivered_by(e: Evidence, uid: str) -> list[int]:
    """The attempts that were accepted, but for those that came too late: overdue, and the message had gone on."""
    message = e.messages[uid]
    last = message["attempts"] if message["state"] == "delivered" else None
    accepted = (attempt for attempt in e.attempts_of(uid) if attempt["outcome"] == "delivered")
    return [one["attempt_no"] for one in accepted if one["attempt_no"] == last or not e.overdue(uid, one)]


def i3_receipts(e: Evidence) -> Findings:
    """Each delivered message was seen by its sink; each receipt has an attempt of its own that began before it."""
    for uid, receipts in e.receipts.items():
        if uid not in e.messages:
            yield uid, f"{len(receipts)} receipts of an identity that is not in the database"
            continue
        attempts = e.attempts_of(uid)
        matched = _match(receipts, attempts)
        for index, receipt in enumerate(receipts):
            if index not in matched:
                yield uid, f"a receipt ({receipt.outcome} at {receipt.at_ms}) that no attempt accounts for"
        if len({receipt.sha256 for receipt in receipts}) > 1:
            yield uid, "its bytes differ between two attempts"
    for uid in e.messages:
        accepted = [receipt for receipt in e.receipts.get(uid, []) if receipt.outcome == "accepted"]
        for attempt in e.attempts_of(uid):
            if attempt["outcome"] == "delivered" and not any(_fits(receipt, attempt) for receipt in accepted):
                yield uid, f"attempt {attempt['attempt_no']} says delivered, the sink accepted nothing then"


def _fits(receipt: Receipt, attempt: Row) -> bool:
    if receipt.at_ms < attempt["started_ms"]:
        return False
    if attempt["outcome"] in AMBIGUOUS:
        return True  # a slow sink may write its line after we stopped waiting
    wanted = {"delivered": {"accepted"}}.get(attempt["outcome"], {"refused"})
    return bool(receipt.at_ms <= attempt["finished_ms"]) and receipt.outcome in wanted


def _match(receipts: list[Receipt], attempts: list[Row]) -> dict[int, int]:
    """Give each receipt an attempt of its own, as many as possible (augmenting paths)."""
    taken: dict[int, int] = {}

    def place(index: int, tried: set[int]) -> bool:
        for number, attempt in enumerate(attempts):
            if number in tried or not _fits(receipts[index], attempt):
                continue
            tried.add(number)
            if number not in taken or place(taken[number], tried):
                taken[number] = index
                return True
        return False

    for index in range(len(receipts)):
        place(index, set())
    return {index: number for number, index in taken.items()}


def i4_duplicates(e: Evidence) -> Findings:
    """A message arrives once, plus at most once for each attempt that is marked as ambiguous; and an attempt is marked
    abandoned exactly when it was on the wire at the moment its engine died."""
    for uid in e.messages:
        arrived = sum(receipt.arrived for receipt in e.receipts.get(uid, []))
        outcomes = [attempt["outcome"] for attempt in e.attempts_of(uid)]
        allowed = outcomes.count("delivered") + sum(outcome in AMBIGUOUS for outcome in outcomes)
        if arrived > allowed:
            yield uid, f"arrived {arrived} times; its attempts allow {allowed}"
        for before, after in pairwise(e.attempts_of(uid)):
            overlap = before["finished_ms"] is not None and after["started_ms"] < before["finished_ms"]
            if overlap and not e.overdue(uid, before):
                yield uid, f"attempts {before['attempt_no']} and {after['attempt_no']} were on the wire at once"
    yield from _outside_reigns(e)
    if e.deaths is not None:
        yield from _in_flight_at_deaths(e)


def reigns(e: Evidence) -> list[tuple[int, int, int]]:
    """(epoch, pid, from_ms) of each take-over, as the audit log has them."""
    found = []
    for subject, entries in e.entries.items():
        if subject.startswith("epoch:"):
            found += [(int(subject.removeprefix("epoch:")), one["detail"]["pid"], _ms(one["at"])) for one in entries]
    return found


def _outside_reigns(e: Evidence) -> Findings:
    """No attempt outside the time in which its owner was the only one."""
    epochs = reigns(e)
    begins = {epoch: from_ms for epoch, _, from_ms in epochs}
    for uid in e.messages:
        for attempt in e.attempts_of(uid):
            begin, end = begins.get(attempt["epoch"]), begins.get(attempt["epoch"] + 1, 2**62)
            if begin is None or not begin <= attempt["started_ms"] <= end:
                yield uid, f"attempt {attempt['attempt_no']} began outside the reign of its epoch {attempt['epoch']}"
            elif attempt["outcome"] != "abandoned" and (attempt["finished_ms"] or 0) > end:
                yield uid, f"attempt {attempt['attempt_no']} was finished by an owner that had been replaced"


def _in_flight_at_deaths(e: Evidence) -> Findings:
    pids = {epoch: pid for epoch, pid, _ in reigns(e)}
    deaths = {death.pid: death for death in e.deaths or []}
    on_the_wire: Counter[int] = Counter()
    for uid in e.messages:
        for attempt in e.attempts_of(uid):
            death = deaths.get(pids.get(attempt["epoch"], -1))
            late = death is not None and (attempt["finished_ms"] or 2**62) >= death.from_ms
            abandoned = attempt["outcome"] == "abandoned"
            if abandoned and not late and not e.overdue(uid, attempt):
                yield uid, f"attempt {attempt['attempt_no']} is abandoned, although its engine did not die during it"
            if death is not None and attempt["started_ms"] > death.to_ms:
                yield uid, f"attempt {attempt['attempt_no']} began after its engine had died"
            if death is not None and not abandoned and (attempt["finished_ms"] or 0) > death.to_ms:
                yield uid, f"attempt {attempt['attempt_no']} outlived its engine and is not marked abandoned"
            if abandoned and death is not None:
                on_the_wire[death.pid] += 1
    for pid, count in on_the_wire.items():
        if e.seats is not None and count > e.seats:
            yield "", f"engine {pid} had {count} messages on the wire at its death; there are {e.seats} seats"


def i5_policy(e: Evidence) -> Findings:
    """Attempts and the gaps between them follow the target's retry policy (first cycle, no operator's word)."""
    for uid, message in e.messages.items():
        policy = e.policies.get(message["target"])
        if policy is None or message["cycle"] != 1 or Story(e.entries.get(uid, [])).operated:
            continue
        attempts = e.attempts_of(uid)
        if len(attempts) > policy.attempts:
            yield uid, f"{len(attempts)} attempts, {policy.attempts} are allowed"
        for before, after in pairwise(attempts):
            if before["next_ms"] is not None and after["started_ms"] < before["next_ms"]:
                yield uid, f"attempt {after['attempt_no']} began before its time"
        yield from ((uid, words) for words in _odd_gaps(attempts, policy))
        if message["state"] == "dead" and len(attempts) < policy.attempts and attempts[-1]["outcome"] != "rejected":
            yield uid, f"given up after {len(attempts)} of {policy.attempts} attempts"


def _odd_gaps(attempts: list[Row], policy: Policy) -> Iterator[str]:
    for attempt in attempts:
        if attempt["next_ms"] is None or attempt["finished_ms"] is None:
            continue
        gap, number = attempt["next_ms"] - attempt["finished_ms"], attempt["attempt_no"]
        base = min(policy.first_ms << (number - 1), policy.cap_ms)
        least, most = round(base * (1 - policy.jitter)) - 1, round(base * (1 + policy.jitter)) + 1
        if attempt["outcome"] == "abandoned":
            least, most = 0, 0  # it is no fault of the target: again at once
        elif attempt["outcome"] == "throttled":
            most = max(most, policy.cap_ms)
        if not least <= gap <= most:
            yield f"{gap} ms after failure {number}; the policy says {least} to {most}"


def i6_audit(e: Evidence) -> Findings:
    """The chain holds, and says exactly what the states say."""
    yield from chain(e)
    for uid in e.entries.keys() - e.messages.keys():
        if uid.startswith("msg_"):
            yield uid, "the audit log knows a message that the database does not have"
    for uid, message in e.messages.items():
        story = Story(e.entries.get(uid, []))
        yield from ((uid, words) for words in story.compare(message, _delivered_by(e, uid)))
        if message["id"] not in e.bulk_members and story.state != message["state"] != "sending":
            yield uid, f"is {message['state']}; by the audit log it is {story.state}"
    epochs = [epoch for epoch, _, _ in reigns(e)]
    if not e.pruned and epochs != list(range(1, e.epoch + 1)):
        yield "", f"the leader's epoch is {e.epoch}; the audit log has the take-overs {epochs}"


def chain(e: Evidence) -> Findings:
    """Each audit entry is what was hashed, follows the one before it, and the last is the head."""
    head, expected = "0" * 64, e.pruned + 1
    for row in e.audit:
        entry = parsed(row["body"])
        if hashlib.sha256(row["body"].encode()).hexdigest() != row["hash"]:
            yield "", f"audit entry {row['seq']} does not match its hash"
            return
        if row["seq"] != expected or entry["seq"] != expected:
            yield "", f"audit entry {expected} is missing or misplaced"
            return
        if entry["prev"] != head and not (e.pruned and expected == e.pruned + 1):
            yield "", f"audit entry {expected} does not follow the one before it"
            return
        if json.dumps(entry, sort_keys=True, separators=(",", ":"), ensure_ascii=False) != row["body"]:
            yield "", f"audit entry {expected} is not canonical"
        head, expected = row["hash"], expected + 1
    if e.audit_head != (expected - 1, head):
        yield "", f"the audit log ends with entry {expected - 1}; beside it stands {e.audit_head[0]} as its head"


def i7_database(e: Evidence) -> Findings:
    """SQLite finds no damage, the schema is the migrations', the counts are right."""
    for words in e.sound:
        if words != "ok":
            yield "", words
    odd = [key for key in e.expected_schema.keys() | e.schema.keys() if e.schema.get(key) != e.expected_schema.get(key)]
    if odd:
        named = ", ".join(" ".join(key) for key in sorted(odd)[:5])
        yield "", f"{len(odd)} parts of the schema are not as the migrations make them: {named} …"
    real = Counter(message["state"] for message in e.messages.values())
    for state, n in e.counts.items():
        if state != "revision" and n != real.get(state, 0):
            yield "", f"the table counts says {n} {state}, there are {real.get(state, 0)}"


def i8_files(e: Evidence) -> Findings:
    """Only our files, closed to others, nothing temporary, nothing elsewhere."""
    for path in [e.data, *sorted(e.data.rglob("*"))]:
        name = path.relative_to(e.data).as_posix()
        mode = stat.S_IMODE(path.lstat().st_mode)
        if mode & 0o077:
            yield "", f"{name}: mode {mode:04o}"
        if name == "DEGRADED":
            yield "", "the database was left DEGRADED"
        elif name != "." and not _OURS.fullmatch(name):
            yield "", f"{name}: a file that should not be there"
    for folder in e.outside:
        for path in sorted(folder.rglob("*")):
            if not path.is_dir():
                yield "", f"{path}: written outside the data directory"


def i9_resources(e: Evidence) -> Findings:
    """Between two times of rest under the same engine, with load between them, nothing has grown."""
    by_pid: dict[int, list[Row]] = defaultdict(list)
    for sample in e.samples:
        by_pid[sample["pid"]].append(sample)
    for pid, samples in by_pid.items():
        first, last = samples[0], samples[-1]
        room = {"fds": 8, "threads": 2, "rss_kib": max(8 * 1024, first["rss_kib"] // 4)}
        for name, more in room.items():
            if last[name] > first[name] + more:
                yield "", f"engine {pid}: {name} grew from {first[name]} to {last[name]} at rest"


def i10_secrets(e: Evidence) -> Findings:
    """No secret in any file, in no spelling."""
    for path in sorted(e.data.rglob("*")):
        if not path.is_file() or path.name == "config.yaml":
            continue
        content = path.read_bytes()
        for number, canary in enumerate(e.canaries):
            if any(spelling in content for spelling in (canary.encode(), b64encode(canary.encode()).rstrip(b"="))):
                yield "", f"{path.name}: holds secret {number}"


INVARIANTS: dict[str, Callable[[Evidence], Findings]] = {
    "I1": i1_acknowledged,
    "I2": i2_states,
    "I3": i3_receipts,
    "I4": i4_duplicates,
    "I5": i5_policy,
    "I6": i6_audit,
    "I7": i7_database,
    "I8": i8_files,
    "I9": i9_resources,
    "I10": i10_secrets,
}


def judge(evidence: Evidence) -> list[Violation]:
    """Return all that is wrong."""
    return [Violation(name, uid, text) for name, invariant in INVARIANTS.items() for uid, text in invariant(evidence)]


def _ms(at: str) -> int:
    """RFC 3339 in UTC with milliseconds, as the audit log writes it."""
    from datetime import datetime

    return round(datetime.fromisoformat(at.replace("Z", "+00:00")).timestamp() * 1000)


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.check", description=__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("--acks", type=Path, action="append", default=[], help="lines `UID KEY`; may be repeated")
    parser.add_argument("--sink", type=Path, action="append", default=[], help="a sink's log; may be repeated")
    parser.add_argument("--run", type=Path, help="the loop's own log: the plan, the deaths, the samples")
    parser.add_argument("--settled", action="store_true", help="nothing that was due may still be waiting")
    given = parser.parse_args(arguments)
    evidence = gather(given.data, acks=given.acks, sinks=given.sink, run=given.run, migrations=MIGRATIONS)
    evidence.settled = given.settled
    violations = judge(evidence)
    for violation in violations:
        sys.stdout.write(f"{violation}\n")
    words: Any = "sound" if not violations else f"{len(violations)} violations"
    sys.stdout.write(f"{len(evidence.messages)} messages, {len(evidence.acks)} acknowledgements: {words}\n")
    return 1 if violations else 0


if __name__ == "__main__":
    sys.exit(main())
