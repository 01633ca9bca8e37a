"""What a plan leaves out: content that would fill the memory, and targets that must not be sent to."""

from __future__ import annotations

from pathlib import Path

from engine.dispatcher import HEARTBEAT_MS
from engine.errors import Sent
from engine.model import NewMessage, Outcome, Rate
from engine.operations import auditing, delivering, holding, lanekeeping
from engine.operations.enqueue import enqueue_many
from engine.rules.breaker import FAILURES_IN_A_ROW
from engine.rules.decide import ABANDONED
from engine.store import lanes
from engine.store.lanes import Lane
from engine.store.tx import Tx
from tests.support import START_MS, Box, opened_box, opened_desk, target


def _planned(box: Box, most_bytes: int) -> list[int]:
    plan = box.database.read(
        lambda tx: delivering.plan(tx, box.context, seats=lambda _lane: 64, most=64, most_bytes=most_bytes)
    )
    return [candidate.id for candidate in plan.candidates]


def test_no_more_content_is_claimed_than_memory_is_given_for(tmp_path: Path) -> None:
    with opened_box(tmp_path) as box:
        first, second, _third = (box.put(text="x" * 1_000).id for _ in range(3))

        assert _planned(box, 2_500) == [first, second]


def test_one_message_larger_than_that_still_leaves_alone(tmp_path: Path) -> None:
    with opened_box(tmp_path) as box:
        large = box.put(text="x" * 10_000).id
        box.put(text="x")

        assert _planned(box, 5_000) == [large]


def test_a_disabled_target_stays_disabled_among_very_many_lanes(tmp_path: Path) -> None:
    """A list of all lanes that ended after 10 000 forgot what was known of the others."""
    with opened_box(tmp_path) as box:
        box.put()

        def work(tx: Tx) -> None:
            for number in range(10_001):
                lanes.save(tx, Lane(f"a{number}"))
            lanes.save(tx, Lane("hook", disabled_reason="410 gone"))

        box.database.write(work)

        assert _planned(box, 1_000_000) == []


def test_a_great_many_that_expired_are_gone_before_the_next_second(tmp_path: Path) -> None:
    """The clock stands still after one step: at one slice a second the lane would wait behind them for minutes."""
    with opened_desk(tmp_path) as desk:
        now_ms = desk.box.clock.now_ms()
        news = [NewMessage("mail", text="x", not_before_ms=now_ms + 10_000, expires_ms=now_ms + 20_000)] * 1_300
        last = enqueue_many(desk.box.context, news)[-1].message

        desk.pass_ms(30_000)

        desk.wait_state(last, "expired")
        assert desk.log.defects() == []


def test_a_pause_between_the_plan_and_the_claim_is_obeyed(tmp_path: Path) -> None:
    with opened_box(tmp_path) as box:
        box.put()
        plan = box.database.read(lambda tx: delivering.plan(tx, box.context, seats=lambda _lane: 64, most=64))
        holding.pause(box.context, "target:hook", for_ms=60_000)

        claimed = box.database.write(lambda tx: delivering.claim(tx, box.context, box.epoch, plan.candidates))

        assert len(plan.candidates) == 1
        assert claimed == []


def test_a_second_attempt_leaves_out_the_recipients_that_the_first_one_reached(tmp_path: Path) -> None:
    with opened_box(tmp_path) as box:
        box.put()
        box.finish(box.claim()[0], Outcome(Sent.NO, "one later", accepted=("a@example.org", "b@example.org")))
        box.clock.advance_ms(60_000)
        (again,) = box.claim()

        delivery = box.database.read(lambda tx: delivering.load(tx, box.context, again))

        assert delivery.attempt_no == 2
        assert delivery.accepted == ("a@example.org", "b@example.org")


def test_what_was_put_off_between_the_plan_and_the_claim_is_not_sent_early(tmp_path: Path) -> None:
    """Another process may have sent, failed and queued it again: its backoff counts."""
    with opened_box(tmp_path) as box:
        box.put()
        plan = box.database.read(lambda tx: delivering.plan(tx, box.context, seats=lambda _lane: 64, most=64))
        box.finish(box.claim()[0], Outcome(Sent.NO, "refused"))

        claimed = box.database.write(lambda tx: delivering.claim(tx, box.context, box.epoch, plan.candidates))

        assert claimed == []


def test_attempts_that_were_cut_off_are_no_fault_of_the_target(tmp_path: Path) -> None:
    """An engine that is killed again and again must not end with every breaker open."""
    with opened_box(tmp_path) as box:
        box.put()
        for _ in range(FAILURES_IN_A_ROW + 1):
            (claimed,) = box.claim()
            box.finish(claimed, ABANDONED)

        assert len(box.claim()) == 1


def test_a_deposed_owner_notices_at_its_heartbeat_although_nothing_is_to_be_sent(tmp_path: Path) -> None:
    with opened_desk(tmp_path) as desk:
        desk.wait_message(desk.put(), lambda message: message.state.value == "delivered")
        desk.box.take_over()
        desk.pass_ms(HEARTBEAT_MS)

        desk.log.wait_for("deposed")


def test_a_pause_of_a_scope_whose_pause_is_over_is_a_new_one(tmp_path: Path) -> None:
    with opened_box(tmp_path) as box:
        holding.pause(box.context, "all", for_ms=1_000)
        box.clock.advance_ms(5_000)

        again = holding.pause(box.context, "all", for_ms=1_000)

        assert again.since_ms == box.clock.now_ms()
        actions = [entry.action for entry in auditing.page(box.context, "action:hold")]
        assert actions == ["hold.started", "hold.ended", "hold.started"]


def test_whatever_is_logged_while_a_message_is_on_the_wire_names_it(tmp_path: Path) -> None:
    with opened_desk(tmp_path) as desk:
        message = desk.put()
        desk.wait_state(message, "delivered")

        assert desk.log.contexts == [{"message_id": message.id, "uid": message.uid, "attempt": 1, "target": "hook"}]


def test_a_clock_that_was_set_back_does_not_keep_a_lane_with_a_rate_waiting() -> None:
    """Regression: a lane whose rate was used up stood still until the clock had caught up, for a month if need be."""
    spec = target(rate=Rate(2, 60_000))
    used_up = Lane("hook", rate_tat_ms=START_MS + 60_000)
    assert lanekeeping.room(used_up, spec, START_MS)[0] == 0
    assert lanekeeping.room(used_up, spec, START_MS - 30 * 86_400_000)[0] == 2
