"""The gate: a good key comes in at once, a flood of bad ones costs nothing and takes nothing from anybody."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.errors import ChronosError, Degraded
from engine.model import Settings
from engine.operations import apikeys, auditing, incidents
from engine.operations.buckets import MOST, Buckets
from engine.operations.context import Context
from engine.operations.gate import GUESSES, Caller, Gate, Refused, flush_gate
from engine.operations.proving import SLOTS, Prover, Verdict
from engine.operations.refusals import MOST_PER_KEY, MOST_PER_NETWORK, WINDOW_MS
from engine.rules.apikeys import KeyText, Scope, checksum, derive, parse
from engine.store import apikeys as store
from engine.store import limits
from tests.support import PATIENCE_S, Box, Entropy, EventLog, FakeClock, open_database, opened_box, settings

HOME = "127.0.0.1"
AWAY = "203.0.113.9"
HOUR_MS = 3_600_000
DAY_MS = 24 * HOUR_MS


class Door:
    """A gate over an opened outbox, keys whose derivation is cheap, and what a client does."""

    def __init__(self, box: Box) -> None:
        self.box = box
        self.clock = box.clock
        self.log = EventLog()
        self.gate = Gate(box.context, self.log)

    def key(self, name: str = "n8n", scopes: tuple[str, ...] = ("send",), **more: Any) -> apikeys.Created:
        return apikeys.create(self.box.context, name, scopes, **more)

    def admit(self, text: str, remote: str = HOME, scope: Scope = Scope.SEND) -> Caller:
        return self.gate.admit(f"Bearer {text}", remote, scope)

    def refused(self, text: str, remote: str = HOME, scope: Scope = Scope.SEND) -> Refused:
        with pytest.raises(Refused) as caught:
            self.admit(text, remote, scope)
        return caught.value

    def reopen(self, *, killed: bool = False) -> None:
        """Begin anew, as the next process does."""
        if not killed:
            self.gate.close()
        self.gate = Gate(self.box.context, self.log)

    def incidents(self) -> set[tuple[str, str]]:
        incidents.flush(self.box.context)
        return {(one.kind, one.subject) for one in incidents.listing(self.box.context)}


@pytest.fixture
def door(tmp_path: Path, clock: FakeClock) -> Iterator[Door]:
    with opened_box(tmp_path, cheap(), clock) as box:
        yield Door(box)


def cheap(**security: int) -> Settings:
    return settings(security={"pbkdf2_iterations": 2, "rate_limit_per_hour": 1_000, **security})


def limited(door: Door, **security: int) -> None:
    """Change the configuration, as a reload does."""
    door.box.context.settings = cheap(**security)


def with_secret(key_id: str, number: int) -> str:
    """A key with a right checksum and a secret of a test's choice."""
    body = f"chr_{key_id}_{number:043d}"
    return f"{body}_{checksum(body)}"


def at_once(count: int, act: Callable[[int], object]) -> list[object]:
    """Do it on many threads that begin together; return what came of each, errors too."""
    results: list[object] = [None] * count
    together = threading.Barrier(count)

    def run(number: int) -> None:
        together.wait(PATIENCE_S)
        try:
            results[number] = act(number)
        except ChronosError as error:
            results[number] = error

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE_S)
    return results


# A good key


def test_a_good_key_comes_in_and_the_slow_function_runs_once(door: Door) -> None:
    made = door.key()
    callers = [door.admit(made.text) for _ in range(50)]
    assert door.gate.kdf_runs == 1
    assert {caller.key.id for caller in callers} == {made.key.id}
    assert callers[0].actor == f"key:{made.key.id}"
    assert [caller.allowance.remaining for caller in callers] == list(range(999, 949, -1))
    assert callers[0].allowance.limit == 1_000
    assert door.gate.admitted == 50


@pytest.mark.parametrize("header", ["Bearer {}", "bearer {}", "BEARER   {}", "  Bearer {}  "])
def test_the_header_is_read_as_http_has_it(door: Door, header: str) -> None:
    made = door.key()
    assert door.gate.admit(header.format(made.text), HOME, Scope.SEND).key.id == made.key.id


def test_a_key_opens_what_its_scopes_name_and_nothing_else(door: Door) -> None:
    made = door.key(scopes=("read", "admin"))
    door.admit(made.text, scope=Scope.READ)
    refused = door.refused(made.text, scope=Scope.SEND)
    assert (refused.status, str(refused)) == (403, "this API key may read, admin and this takes send")
    assert door.gate.refused == {"scope": 1}


def test_a_key_may_be_bound_to_targets(door: Door) -> None:
    free, bound = door.key("free"), door.key("bound", targets=["hook"])
    assert door.admit(free.text).may_send_to("anything")
    assert [door.admit(bound.text).may_send_to(name) for name in ("hook", "mail", "mailto:a@b.example")] == [
        True,
        False,
        False,
    ]


def test_a_key_may_be_bound_to_networks(door: Door) -> None:
    made = door.key(networks=["10.0.0.0/8", "2001:db8::/32"])
    for inside in ("10.1.2.3", "::ffff:10.1.2.3", "2001:db8::1"):
        door.admit(made.text, inside)
    for outside in (HOME, "11.0.0.1", "2001:db9::1", "unix", ""):
        assert door.refused(made.text, outside).status == 401
    assert door.gate.refused == {"network": 5}


def test_memory_forgets_a_key_that_is_not_used(door: Door) -> None:
    made = door.key()
    for pause_ms, runs in ((0, 1), (299_999, 1), (299_999, 1), (300_000, 2)):
        door.clock.advance_ms(pause_ms)
        door.admit(made.text)
        assert door.gate.kdf_runs == runs


# The end of a key


def test_a_key_ends_at_its_very_millisecond_even_when_remembered(door: Door) -> None:
    made = door.key(expires_ms=door.clock.now_ms() + 1_000)
    door.admit(made.text)
    door.clock.advance_ms(999)
    door.admit(made.text)
    door.clock.advance_ms(1)
    assert door.refused(made.text).status == 401
    assert door.gate.refused == {"expired": 1}


def test_a_revocation_by_another_process_holds_for_the_next_request(door: Door, tmp_path: Path) -> None:
    made = door.key()
    door.admit(made.text)
    elsewhere = open_database(tmp_path, owner=False)
    try:
        apikeys.revoke(Context(elsewhere, door.clock, cheap(), "test:other", Entropy(), 1), made.key.id)
        assert door.refused(made.text).status == 401
    finally:
        elsewhere.close()
    assert door.gate.refused == {"revoked": 1}
    assert ("auth.revoked_key", made.key.id) in door.incidents()


def test_memory_is_not_believed_about_a_row_that_is_another_one(door: Door) -> None:
    # As after a restore: the same id, made with another secret.
    made = door.key()
    door.admit(made.text)
    lock = door.box.database.read(lambda tx: store.lock(tx, made.key.id))
    assert lock is not None
    other = derive("another", lock.salt, 2)
    door.box.database.write(
        lambda tx: store.strengthen(tx, made.key.id, was=lock.digest, salt=lock.salt, iterations=2, digest=other)
    )
    assert door.refused(made.text).status == 401


def test_a_revocation_while_the_slow_function_runs_holds(door: Door) -> None:
    made = door.key()
    gate, context = door.gate, door.box.context
    # The log is told of the stronger iterations between the slow function and the second look at the row.
    limited(door, pbkdf2_iterations=3)
    told = door.log.event

    def revoke_meanwhile(level: str, name: str, /, **fields: Any) -> None:
        told(level, name, **fields)
        if name == "api_key_strengthened":
            apikeys.revoke(context, made.key.id)

    gate._log = type("Log", (), {"event": staticmethod(revoke_meanwhile)})()  # a log is a protocol of ours
    assert door.refused(made.text).status == 401
    assert door.gate.kdf_runs == 2


def test_both_keys_work_until_the_overlap_ends(door: Door) -> None:
    old = door.key()
    new = apikeys.rotate(door.box.context, "n8n", overlap_ms=HOUR_MS)
    for _ in range(2):
        assert door.admit(old.text).actor == f"key:{old.key.id}"
        assert door.admit(new.text).actor == f"key:{new.key.id}"
        door.clock.advance_ms(HOUR_MS - 1 if door.clock.now_ms() == new.key.created_ms else 0)
    door.clock.advance_ms(1)
    assert door.refused(old.text).status == 401
    door.admit(new.text)


def test_an_old_key_that_is_still_used_is_seen(door: Door) -> None:
    old = door.key()
    apikeys.rotate(door.box.context, "n8n", overlap_ms=HOUR_MS)
    door.clock.advance_ms(1_000)
    door.admit(old.text, "10.0.0.1")
    door.gate.flush()
    door.clock.advance_ms(3 * 60_000)
    found = apikeys.find(door.box.context, old.key.id)
    assert "still used 3 min ago from 10.0.0.1" in found.words(door.clock.now_ms())


# Bad keys


def test_ten_thousand_bogus_keys_cost_no_run_and_starve_nobody(door: Door) -> None:
    warm, cold = door.key("warm"), door.key("cold")
    door.admit(warm.text)
    runs = door.gate.kdf_runs
    wrong_crc = warm.text[:-1] + ("0" if warm.text[-1] != "0" else "1")
    statuses = []
    for number in range(5_000):
        statuses.append(door.refused(wrong_crc).status)
        statuses.append(door.refused(with_secret(f"{0xF0000000 + number:08x}", number)).status)
    assert door.gate.kdf_runs == runs == 1
    assert statuses == [401] * 1_000 + [429] * 9_000
    assert door.gate.refused == {"malformed": 5_000, "unknown_key": 5_000}
    assert door.admit(warm.text).allowance.remaining == 998
    assert door.admit(cold.text).allowance.remaining == 997


def test_ten_thousand_wrong_secrets_cost_a_handful_of_runs(door: Door) -> None:
    guessed, cold = door.key("guessed"), door.key("cold")
    door.admit(guessed.text)
    refusals = [door.refused(with_secret(guessed.key.id, number)) for number in range(10_000)]
    assert door.gate.kdf_runs == 1 + GUESSES.limit
    assert [one.status for one in refusals] == [401] * 5 + [429] * 9_995
    assert {one.retry_after_s for one in refusals[5:]} == {12}
    door.admit(guessed.text)
    door.admit(cold.text)
    assert door.gate.kdf_runs == 2 + GUESSES.limit
    assert door.refused(with_secret(guessed.key.id, 0)).status == 401
    assert {("auth.failures", HOME), ("auth.failures", guessed.key.id), ("auth.kdf_flood", HOME)} <= door.incidents()


def test_guesses_come_back_with_time(door: Door) -> None:
    made = door.key()
    for number in range(20):
        door.refused(with_secret(made.key.id, number))
    door.clock.advance_ms(12_000)
    for number in range(100, 120):
        door.refused(with_secret(made.key.id, number))
    assert door.gate.kdf_runs == GUESSES.limit + 1


def test_the_same_wrong_key_costs_one_run(door: Door) -> None:
    made = door.key()
    wrong = with_secret(made.key.id, 1)
    assert [door.refused(wrong).status for _ in range(100)] == [401] * 100
    assert door.gate.kdf_runs == 1


def test_a_key_that_is_shown_while_its_network_guesses_at_another_comes_in_cold(door: Door) -> None:
    guessed, healthy = door.key("guessed"), door.key("healthy")
    for number in range(10):
        door.refused(with_secret(guessed.key.id, number))
    door.admit(healthy.text)
    # From elsewhere the guessed one works too.
    door.admit(guessed.text, AWAY)


def test_a_caller_is_not_told_why(door: Door) -> None:
    known = door.key("known")
    ended, gone = door.key("ended", expires_ms=door.clock.now_ms() + 1), door.key("gone")
    bound = door.key("bound", networks=["10.0.0.0/8"])
    apikeys.revoke(door.box.context, "gone")
    door.clock.advance_ms(1)
    shown = [with_secret(known.key.id, 1), with_secret("ffffffff", 1), ended.text, gone.text, bound.text]
    refusals = [door.refused(text) for text in shown]
    assert len({(one.status, str(one), one.retry_after_s) for one in refusals}) == 1
    assert refusals[0].status == 401
    assert set(door.gate.refused) == {"wrong_secret", "unknown_key", "expired", "revoked", "network"}
    assert not any(known.key.id in str(one) or "chr_ff" in str(one) for one in refusals)


@pytest.mark.parametrize(
    ("header", "status", "reason"),
    [
        (None, 401, "no_key"),
        ("", 401, "no_key"),
        ("Basic dXNlcjpwYXNz", 401, "malformed"),
        ("Bearer", 401, "malformed"),
        ("Bearer chr_", 401, "malformed"),
        ("Bearer " + "x" * 1_000_000, 401, "malformed"),
        ("Bearer \x00\udcff é", 401, "malformed"),
        ("chr_", 401, "malformed"),
    ],
    ids=["none", "empty", "basic", "bearer-alone", "begun", "endless", "bytes", "no-scheme"],
)
def test_a_header_without_a_key_is_refused(door: Door, header: str | None, status: int, reason: str) -> None:
    with pytest.raises(Refused) as caught:
        door.gate.admit(header, HOME, Scope.SEND)
    assert (caught.value.status, door.gate.refused) == (status, {reason: 1})


# Incidents and the log


def test_failures_of_a_network_become_an_incident_at_the_twentieth(door: Door) -> None:
    for _ in range(MOST_PER_NETWORK - 1):
        door.refused("chr_x", AWAY)
    assert door.incidents() == set()
    door.refused("chr_x", AWAY)
    assert door.incidents() == {("auth.failures", AWAY)}


def test_failures_that_are_far_apart_are_none(door: Door) -> None:
    for _ in range(3 * MOST_PER_NETWORK):
        door.refused("chr_x", AWAY)
        door.clock.advance_ms(WINDOW_MS // (MOST_PER_NETWORK - 1) + 1)
    assert door.incidents() == set()


def test_wrong_secrets_for_a_key_become_an_incident_at_the_fifth_wherever_they_come_from(door: Door) -> None:
    made = door.key()
    for number in range(MOST_PER_KEY - 1):
        door.refused(with_secret(made.key.id, number), f"203.0.113.{number}")
    assert door.incidents() == set()
    door.refused(with_secret(made.key.id, 99), "203.0.113.99")
    assert door.incidents() == {("auth.failures", made.key.id)}


def test_a_request_without_a_key_is_no_failure(door: Door) -> None:
    for _ in range(100):
        with pytest.raises(Refused):
            door.gate.admit(None, AWAY, Scope.SEND)
    assert door.incidents() == set()


def test_a_flood_does_not_fill_the_log(door: Door) -> None:
    for number in range(2_000):
        door.refused("chr_x", AWAY)
        door.refused("chr_x", f"198.51.{number % 200}.1")
    assert len(door.log.events) <= 101
    door.clock.advance_ms(60_000)
    door.gate.flush()
    lines = [fields for _level, name, fields in door.log.events if name == "request_refused"]
    assert len(lines) <= 202
    assert sum(line["count"] for line in lines) == 4_000
    assert {line["channel"] for line in lines} == {"security"}
    assert max(line["count"] for line in lines if line["remote"] == AWAY) == 1_999


def test_a_line_of_the_log_names_the_key_of_its_own_refusal(door: Door) -> None:
    made = door.key()
    for _ in range(2):
        door.refused("chr_x")
    door.clock.advance_ms(60_000)
    door.refused(with_secret(made.key.id, 1))
    lines = [(fields["reason"], fields["count"], fields["key"]) for _level, _name, fields in door.log.events]
    assert lines == [("malformed", 1, None), ("malformed", 1, None), ("wrong_secret", 1, made.key.id)]


# Limits


def test_a_key_has_a_limit_and_says_when_to_come_back(door: Door) -> None:
    limited(door, rate_limit_per_hour=5)
    made = door.key()
    left = [door.admit(made.text, f"10.0.0.{n}").allowance.remaining for n in range(5)]
    assert left == [4, 3, 2, 1, 0]
    refused = door.refused(made.text, "10.0.0.9")
    assert (refused.status, refused.retry_after_s) == (429, HOUR_MS // 1_000 // 5)
    assert refused.allowance == (5, 0, 3_600)
    door.clock.advance_ms(refused.retry_after_s * 1_000)  # type: ignore[operator]
    door.admit(made.text, "10.0.0.9")
    door.refused(made.text, "10.0.0.9")


def test_a_network_has_a_limit_over_all_its_keys(door: Door) -> None:
    limited(door, rate_limit_per_hour=4)
    first, second = door.key("a"), door.key("b")
    for number in range(4):
        door.admit((first, second)[number % 2].text, f"2001:db8:1:2::{number}")
    assert door.refused(first.text, "2001:db8:1:2::ffff").status == 429
    door.admit(first.text, "2001:db8:1:3::1")
    door.admit(second.text, "unix")


def test_a_refused_request_takes_nothing_from_the_other_limit(door: Door) -> None:
    limited(door, rate_limit_per_hour=3)
    first, second = door.key("a"), door.key("b")
    door.admit(second.text, HOME)
    for _ in range(3):
        door.admit(first.text, AWAY)
    for _ in range(10):
        assert door.refused(second.text, AWAY).status == 429
    assert door.admit(second.text, HOME).allowance.remaining == 1


def test_an_exhausted_key_is_not_proved(door: Door) -> None:
    limited(door, rate_limit_per_hour=1)
    made = door.key()
    door.admit(made.text)
    door.reopen()
    assert door.refused(made.text).status == 429
    assert door.gate.kdf_runs == 0


def test_limits_survive_a_restart(door: Door) -> None:
    limited(door, rate_limit_per_hour=5)
    made = door.key()
    for _ in range(4):
        door.admit(made.text)
    door.reopen()
    door.admit(made.text)
    assert door.refused(made.text).status == 429
    door.gate.flush()
    door.reopen(killed=True)
    assert door.refused(made.text).status == 429


def test_a_clock_that_is_set_back_locks_nobody_out(door: Door) -> None:
    limited(door, rate_limit_per_hour=5)
    made = door.key()
    for _ in range(5):
        door.admit(made.text)
    door.clock.jump_ms(-30 * DAY_MS)
    refused = door.refused(made.text)
    assert refused.retry_after_s == 720
    door.clock.advance_ms(720_000)
    door.admit(made.text)
    door.reopen()
    door.clock.advance_ms(HOUR_MS)
    assert door.admit(made.text).allowance.remaining == 4


def test_a_clock_that_is_set_back_while_nothing_runs_costs_an_hour_at_most(door: Door) -> None:
    limited(door, rate_limit_per_hour=5)
    made = door.key()
    for _ in range(5):
        door.admit(made.text)
    door.gate.close()
    door.clock.jump_ms(-30 * DAY_MS)
    door.reopen(killed=True)
    assert door.refused(made.text).retry_after_s == 720
    door.clock.advance_ms(HOUR_MS)
    assert door.admit(made.text).allowance.remaining == 4


def test_those_who_show_no_key_have_a_limit_of_their_own(door: Door) -> None:
    limited(door, rate_limit_per_hour=3)
    made = door.key()
    for _ in range(3):
        door.gate.knock(HOME)
    with pytest.raises(Refused) as caught:
        door.gate.knock(HOME)
    assert caught.value.status == 429
    door.gate.knock(AWAY)
    door.admit(made.text)


def test_a_refused_signature_counts_against_its_network(door: Door) -> None:
    limited(door, rate_limit_per_hour=3)
    for _ in range(3):
        door.gate.failed(AWAY)
    assert door.refused("chr_x", AWAY).status == 429
    assert door.gate.refused == {"signature": 3, "malformed": 1}


def test_many_networks_are_forgotten_before_one_busy_key(door: Door) -> None:
    limited(door, rate_limit_per_hour=100)
    made = door.key()
    for _ in range(90):
        door.admit(made.text)
    door.gate.flush()
    for number in range(MOST + 2_000):
        door.refused("chr_x", f"2001:db8:{number:x}::1")
    door.gate.flush()
    assert len(door.box.database.read(lambda tx: limits.load(tx, 10 * MOST))) <= MOST
    door.reopen()
    assert door.admit(made.text).allowance.remaining == 9


def test_what_rested_is_dropped_first() -> None:
    buckets = Buckets({f"rested:{number}": 1_000 for number in range(MOST)}, 0)
    assert buckets.take(("new",), GUESSES, 2_000).remaining == GUESSES.limit - 1
    assert len(buckets) == 1
    assert buckets.unsaved(2_000) == {"new": 12_000}
    assert buckets.unsaved(2_000) is None


# Races


SLOW = 300_000
"""Iterations that take long enough for threads to meet."""


def test_many_clients_with_one_key_wait_for_one_run(door: Door) -> None:
    limited(door, pbkdf2_iterations=SLOW)
    made = door.key()
    callers = at_once(16, lambda _: door.admit(made.text))
    assert all(isinstance(caller, Caller) for caller in callers)
    assert door.gate.kdf_runs == 1
    assert door.admit(made.text).allowance.remaining == 1_000 - 17


def test_guesses_at_the_same_moment_are_no_way_round_the_limit(door: Door) -> None:
    limited(door, pbkdf2_iterations=SLOW)
    made = door.key()
    results = at_once(32, lambda number: door.admit(with_secret(made.key.id, number)))
    assert all(isinstance(result, Refused) for result in results)
    assert door.gate.kdf_runs == GUESSES.limit


def test_a_limit_holds_for_many_threads(door: Door) -> None:
    limited(door, rate_limit_per_hour=20)
    made = door.key()
    door.admit(made.text)
    results = at_once(32, lambda _: door.admit(made.text))
    assert sum(isinstance(result, Caller) for result in results) == 19
    assert {result.status for result in results if isinstance(result, Refused)} == {429}


def test_no_more_runs_at_a_time_than_there_are_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.operations.proving.WAIT_S", 0.0)  # a number, not behaviour: the test has not 5 s
    prover = Prover(FakeClock(), Entropy())
    lock = store.Lock(b"", b"salt" * 4, 3_000_000, "n", "[]", "[]", "[]", None, None)
    started, over = threading.Semaphore(0), threading.Event()

    def prove(key_id: str) -> Verdict:
        def may_run() -> bool:
            started.release()
            return True

        return prover.prove(key_id.encode(), KeyText(key_id, "x"), lock, may_run=may_run, wrong=over.is_set)

    threads = [threading.Thread(target=prove, args=(f"{number}",)) for number in range(SLOTS)]
    for thread in threads:
        thread.start()
    for _ in threads:
        assert started.acquire(timeout=PATIENCE_S)
    assert prove("late") == Verdict.BUSY
    for thread in threads:
        thread.join(PATIENCE_S)
    assert prover.kdf_runs == SLOTS


# What is kept


def test_the_iterations_are_raised_when_a_key_is_used(door: Door) -> None:
    made = door.key()
    door.admit(made.text)
    before = door.box.database.read(lambda tx: store.lock(tx, made.key.id))
    assert before is not None
    limited(door, pbkdf2_iterations=7)
    door.reopen()
    entries = len(auditing.page(door.box.context, limit=100))
    assert [door.admit(made.text).key.id for _ in range(3)] == [made.key.id] * 3
    after = door.box.database.read(lambda tx: store.lock(tx, made.key.id))
    assert after is not None
    assert (before.iterations, after.iterations) == (2, 7)
    assert after.salt != before.salt
    parts = parse(made.text)
    assert parts is not None
    assert after.digest == derive(parts.secret, after.salt, 7)
    assert door.gate.kdf_runs == 2
    assert door.log.names().count("api_key_strengthened") == 1
    assert len(auditing.page(door.box.context, limit=100)) == entries
    door.reopen()
    door.admit(made.text)
    assert door.gate.kdf_runs == 1


def test_uses_are_written_once_a_minute_and_at_the_end(door: Door) -> None:
    made = door.key()

    def written() -> tuple[int, int | None, str]:
        found = apikeys.find(door.box.context, made.key.id)
        return found.uses, found.last_used_ms, found.last_used_from

    door.admit(made.text, "10.0.0.1")
    assert written() == (0, None, "")
    door.gate.flush()
    first_ms = door.clock.now_ms()
    assert written() == (1, first_ms, "10.0.0.1")
    door.clock.advance_ms(59_999)
    door.admit(made.text, "10.0.0.2")
    door.gate.flush()
    assert written() == (1, first_ms, "10.0.0.1")
    door.clock.advance_ms(1)
    door.admit(made.text, "10.0.0.3")
    flush_gate(door.box.context)
    assert written() == (3, door.clock.now_ms(), "10.0.0.3")
    door.admit(made.text)
    door.gate.close()
    assert written()[0] == 4


def test_what_could_not_be_written_is_written_later(door: Door, tmp_path: Path) -> None:
    limited(door, rate_limit_per_hour=5)
    made = door.key()
    for _ in range(5):
        door.admit(made.text)
    marker = tmp_path / "DEGRADED"
    marker.touch()
    with pytest.raises(Degraded):
        door.gate.flush()
    marker.unlink()
    door.gate.flush()
    assert apikeys.find(door.box.context, made.key.id).uses == 5
    door.reopen(killed=True)
    assert door.refused(made.text).status == 429


def test_a_gate_that_cannot_write_closes_all_the_same(door: Door, tmp_path: Path) -> None:
    made = door.key()
    door.admit(made.text)
    (tmp_path / "DEGRADED").touch()
    door.gate.close()
    assert "gate_not_saved" in door.log.names()
    flush_gate(door.box.context)


def test_keys_of_every_sort_at_once_keep_their_counts(door: Door) -> None:
    limited(door, rate_limit_per_hour=100_000)
    made = [door.key(f"k{number}") for number in range(4)]
    bad = itertools.cycle(["chr_x", with_secret("ffffffff", 1), with_secret(made[0].key.id, 1)])
    shown = [[one.text, next(bad)] for one in made]

    def visit(number: int) -> tuple[int, int]:
        good = refused = 0
        for step in range(50):
            try:
                door.admit(shown[number % 4][step % 2], f"10.0.0.{number}")
                good += 1
            except Refused:
                refused += 1
            if step % 10 == 0:
                door.gate.flush()
        return good, refused

    assert at_once(8, visit) == [(25, 25)] * 8
    door.gate.close()
    assert sum(one.uses for one in apikeys.listing(door.box.context)) == 200
    assert sum(door.gate.refused.values()) == 200
