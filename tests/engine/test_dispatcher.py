"""The dispatcher with real threads and a scripted channel: what leaves, when, and what is remembered of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.channels.base import Channel
from engine.errors import DeliveryError, SecretMissing, Sent
from engine.model import (
    Attachment,
    Delivery,
    Message,
    NewMessage,
    OnUncertain,
    Priority,
    Rate,
    Receipt,
    RetryPolicy,
    RouteStep,
    TargetSpec,
)
from engine.operations import acts, auditing, bulk, delivering, holding, incidents, lanekeeping, reading
from engine.operations.acts import Action
from engine.operations.context import Context
from engine.operations.enqueue import enqueue
from engine.store import lanes
from tests import support
from tests.support import Desk, FakeClock, opened_box, opened_desk, settings, target

STEADY = RetryPolicy(jitter=0.0)


@contextmanager
def _desk(
    directory: Path, *targets: TargetSpec, routes: Mapping[str, tuple[RouteStep, ...]] | None = None, **outbox: int
) -> Iterator[Desk]:
    configured = {spec.name: spec for spec in targets}
    with opened_desk(directory, settings(configured, routes, outbox=outbox)) as desk:
        yield desk
        assert desk.log.defects() == []


def _refuse(sent: Sent, detail: str = "no", **more: object) -> Callable[[Delivery], Receipt]:
    def answer(_delivery: Delivery) -> Receipt:
        raise DeliveryError(sent, detail, **more)  # type: ignore[arg-type]

    return answer


def _attempts(desk: Desk, message: Message) -> list[tuple[int, str | None]]:
    return [(one.attempt_no, one.outcome) for one in reading.detail(desk.box.context, message.id).attempts]


def _audited(desk: Desk, subject: str) -> list[str]:
    return [entry.action for entry in auditing.page(desk.box.context, f'subject:"{subject}"')][::-1]


def _incidents(desk: Desk) -> list[tuple[str, str, int]]:
    return [(one.kind, one.subject, one.count) for one in incidents.listing(desk.box.context)]


# A message's way


def test_a_message_is_delivered_with_all_that_it_says(desk: Desk) -> None:
    message = desk.put(
        subject="Übersicht",
        text="plain",
        html="<p>rich</p>",
        headers=(("X-Box", "one"),),
        attachments=(Attachment("a.bin", "application/octet-stream", bytes(range(256))),),
        tags=("nightly",),
    )
    assert desk.wait_state(message, "delivered").attempts == 1
    [seen] = desk.script.seen
    assert (seen.uid, seen.attempt_no, seen.domain) == (message.uid, 1, "box.example.org")
    said = seen.content
    assert (said.subject, said.text, said.html, said.headers) == (
        "Übersicht",
        "plain",
        "<p>rich</p>",
        (("X-Box", "one"),),
    )
    assert said.attachments[0].content == bytes(range(256))
    assert seen.tags == ("nightly",)
    assert _attempts(desk, message) == [(1, "delivered")]
    assert _audited(desk, message.uid) == ["message.queued", "message.delivered"]


def test_a_failed_message_is_retried_under_its_identity_when_its_time_has_come(tmp_path: Path) -> None:
    with _desk(tmp_path, target(retry=STEADY)) as desk:
        desk.script.answer = _refuse(Sent.NO, "connection refused", code="ECONNREFUSED")
        message = desk.put()
        failed = desk.wait_message(message, lambda found: found.failures == 1)
        assert (failed.state, failed.due_ms) == ("queued", support.START_MS + 5_000)
        assert (failed.last_code, failed.last_word) == ("ECONNREFUSED", "connection refused")
        desk.script.answer = lambda _delivery: Receipt("ok")
        desk.pass_ms(4_999)
        other = desk.put(text="other")
        desk.wait_state(other, "delivered")
        assert desk.box.message(message).state == "queued", "a millisecond too early"
        desk.pass_ms(1)
        desk.wait_state(message, "delivered")
        assert {seen.uid for seen in desk.script.seen if seen.message_id == message.id} == {message.uid}
        assert _attempts(desk, message) == [(1, "not_sent"), (2, "delivered")]
        assert _audited(desk, message.uid) == ["message.queued", "message.delivered"], "failed attempts are no acts"


def test_a_message_dies_when_its_attempts_are_used_up_and_redrive_keeps_its_history(tmp_path: Path) -> None:
    policy = RetryPolicy(first_ms=0, cap_ms=0, attempts=3, jitter=0.0)
    with _desk(tmp_path, target(retry=policy, breaker=False)) as desk:
        desk.script.answer = _refuse(Sent.NO)
        message = desk.put()
        dead = desk.wait_state(message, "dead")
        assert (dead.attempts, dead.state_reason) == (3, "3 attempts used up")
        desk.script.answer = lambda _delivery: Receipt("ok")
        acts.act_on_one(desk.box.context, Action.RETRY, message.id)
        desk.dispatcher.wake()
        again = desk.wait_state(message, "delivered")
        assert (again.cycle, again.attempts) == (2, 4)
        assert [no for no, _ in _attempts(desk, message)] == [1, 2, 3, 4]


def test_what_is_refused_for_good_is_not_tried_again(desk: Desk) -> None:
    desk.script.answer = _refuse(Sent.REJECTED, "550 no such user")
    message = desk.put()
    assert desk.wait_state(message, "dead").attempts == 1
    assert _audited(desk, message.uid) == ["message.queued", "message.dead"]


def test_an_unknown_outcome_asks_or_is_resent_as_the_message_says(desk: Desk) -> None:
    desk.script.answer = _refuse(Sent.UNKNOWN, "hung up after the body")
    asking = desk.put(on_uncertain=OnUncertain.ASK)
    resending = desk.put(on_uncertain=OnUncertain.RESEND)
    assert desk.wait_state(asking, "uncertain").attempts == 1
    desk.wait_message(resending, lambda found: found.state == "queued" and found.failures == 1)
    desk.script.answer = lambda _delivery: Receipt("ok")
    desk.pass_ms(10_000)
    desk.wait_state(resending, "delivered")
    assert desk.box.message(asking).state == "uncertain", "until the operator says"
    acts.act_on_one(desk.box.context, Action.RESEND, asking.id)
    desk.dispatcher.wake()
    desk.wait_state(asking, "delivered")
    assert len({seen.uid for seen in desk.script.seen if seen.message_id == asking.id}) == 1


def test_a_cancel_while_it_is_sent_lets_success_stand_and_stops_a_retry(desk: Desk) -> None:
    gate = desk.script.hold("hook")
    arrives, fails = desk.put(text="arrives"), desk.put(text="fails")
    desk.script.wait_seen(2)
    for message in (arrives, fails):
        acts.act_on_one(desk.box.context, Action.CANCEL, message.id)
        assert desk.box.message(message).cancel_requested

    def answer(delivery: Delivery) -> Receipt:
        if delivery.content.text == "fails":
            raise DeliveryError(Sent.NO, "refused")
        return Receipt("ok")

    desk.script.answer = answer
    gate.set()
    assert desk.wait_state(arrives, "delivered", "cancelled").state == "delivered"
    assert desk.wait_state(fails, "delivered", "cancelled", "queued").state == "cancelled"


def test_an_undone_cancel_of_a_message_on_the_wire_is_forgotten(tmp_path: Path) -> None:
    """Regression: the undo passed it by, and it was cancelled after its attempt all the same."""
    with _desk(tmp_path, target(retry=STEADY)) as desk:
        gate = desk.script.hold("hook")
        message = desk.put()
        desk.script.wait_seen(1)
        frozen = bulk.freeze(desk.box.context, Action.CANCEL, ids=[message.id])
        bulk.act(desk.box.context, frozen.bulk_id)
        assert bulk.undo(desk.box.context, frozen.bulk_id).undone == 1
        desk.script.answer = _refuse(Sent.NO)
        gate.set()
        assert desk.wait_message(message, lambda found: found.failures == 1).state == "queued"


def test_expired_messages_are_not_sent(desk: Desk) -> None:
    holding.pause(desk.box.context, "all", for_ms=60_000)
    message = desk.put(expires_ms=support.START_MS + 1_000)
    desk.pass_ms(1_000)
    assert desk.wait_state(message, "expired").attempts == 0
    desk.pass_ms(60_000)
    desk.wait_state(desk.put(text="later"), "delivered")
    assert desk.script.texts() == ["later"]


def test_urgent_ones_overtake(tmp_path: Path) -> None:
    with _desk(tmp_path, target(max_in_flight=1)) as desk:
        gate = desk.script.hold("hook")
        desk.put(text="first")
        desk.script.wait_seen(1)
        order = [Priority.LOW, Priority.NORMAL, Priority.URGENT, Priority.HIGH]
        waiting = [desk.put(text=priority.name, priority=priority) for priority in order]
        gate.set()
        desk.wait_state(waiting[0], "delivered")
        assert desk.script.texts() == ["first", "URGENT", "HIGH", "NORMAL", "LOW"]


def test_an_ordering_key_sends_one_at_a_time_in_order(tmp_path: Path) -> None:
    with _desk(tmp_path, target(retry=STEADY)) as desk:
        failed_once = threading.Event()

        def answer(delivery: Delivery) -> Receipt:
            if delivery.content.text == "0" and not failed_once.is_set():
                failed_once.set()
                raise DeliveryError(Sent.NO, "refused")
            return Receipt("ok")

        desk.script.answer = answer
        gate = desk.script.hold("hook")
        messages = [desk.put(text="0", ordering_key="k")]
        desk.script.wait_seen(1)
        messages += [desk.put(text=str(number), ordering_key="k") for number in range(1, 4)]
        other = desk.put(text="other")
        desk.script.wait_seen(2)
        assert desk.script.texts() == ["0", "other"], "one of the key is on the wire"
        gate.set()
        desk.wait_state(other, "delivered")
        desk.wait_message(messages[0], lambda found: found.failures == 1)
        assert [desk.box.message(one).state for one in messages] == ["queued"] * 4, "the first holds the others back"
        desk.pass_ms(5_000)
        desk.wait_state(messages[-1], "delivered")
        assert [text for text in desk.script.texts() if text != "other"] == ["0", "0", "1", "2", "3"]


def test_an_ordering_key_goes_on_past_any_number_of_dead_ones(tmp_path: Path) -> None:
    """Regression: only the fifty oldest unfinished were looked at, and dead ones were among them for ever."""
    with _desk(tmp_path, target(breaker=False)) as desk:
        desk.script.answer = _refuse(Sent.REJECTED)
        for number in range(60):
            desk.put(text=str(number), ordering_key="k")
        last = desk.put(text="last", ordering_key="k")
        desk.wait_state(last, "dead")


def test_a_new_message_replaces_those_that_wait_with_its_collapse_key(desk: Desk) -> None:
    holding.pause(desk.box.context, "all", for_ms=10_000)
    old = [desk.put(text=f"{number}", collapse_key="c") for number in range(3)]
    other = desk.put(text="other", collapse_key="d")
    new = desk.put(text="new", collapse_key="c")
    assert [desk.box.message(one).state for one in old] == ["cancelled"] * 3
    assert f"#{new.id}" in desk.box.message(old[-1]).state_reason
    desk.pass_ms(10_000)
    desk.wait_state(new, "delivered")
    desk.wait_state(other, "delivered")
    assert sorted(str(text) for text in desk.script.texts()) == ["new", "other"]


# Targets in trouble


def test_retry_after_is_obeyed_by_the_message_and_by_the_whole_target(tmp_path: Path) -> None:
    with _desk(tmp_path, target(retry=STEADY), target("other")) as desk:
        desk.script.answer = lambda delivery: (
            _refuse(Sent.THROTTLED, "slow down", retry_after_ms=60_000)(delivery)
            if delivery.target.name == "hook" and desk.box.clock.now_ms() < support.START_MS + 60_000
            else Receipt("ok")
        )
        first = desk.put()
        assert desk.wait_message(first, lambda found: found.failures == 1).due_ms == support.START_MS + 60_000
        second = desk.put(text="second")
        desk.wait_state(desk.put(target="other"), "delivered")
        desk.pass_ms(59_999)
        desk.wait_state(desk.put(target="other"), "delivered")
        assert desk.box.message(second).attempts == 0, "it waits with the others"
        [state] = [one for one in reading.targets(desk.box.context) if one.spec.name == "hook"]
        assert state.trouble is not None
        assert "throttled" in state.trouble
        desk.pass_ms(1)
        desk.wait_state(first, "delivered")
        desk.wait_state(second, "delivered")


def test_five_failures_open_the_breaker_one_probe_closes_it_and_no_attempts_burn(tmp_path: Path) -> None:
    with _desk(tmp_path, target(retry=STEADY, max_in_flight=8), target("other")) as desk:
        desk.script.answer = _refuse(Sent.NO, "refused")
        failing = [desk.put(text=f"{number}") for number in range(5)]
        for message in failing:
            desk.wait_message(message, lambda found: found.failures == 1)
        waiting = [desk.put(text=f"waits {number}", template=f"t{number}") for number in range(3)]
        lane = desk.box.database.read(lambda tx: lanes.get(tx, "hook"))
        assert lane.breaker.state == "open"
        assert "target.breaker_opened" in _audited(desk, "hook")
        before = len(desk.script.seen)
        gate = desk.script.hold("hook")
        desk.pass_ms(lane.breaker.probe_ms - desk.box.clock.now_ms())
        desk.script.wait_seen(before + 1)
        desk.script.answer = lambda _delivery: Receipt("ok")
        desk.wait_state(desk.put(target="other"), "delivered")
        assert len(desk.script.seen) == before + 2, "one probe, however many templates the target has"
        gate.set()
        for message in waiting:
            assert desk.wait_state(message, "delivered").attempts == 1
        desk.pass_ms(60_000)
        for message in failing:
            assert desk.wait_state(message, "delivered").attempts == 2
        assert _audited(desk, "hook") == ["target.breaker_opened", "target.breaker_closed"]


def test_a_probe_that_is_throttled_has_been_answered(tmp_path: Path) -> None:
    """Regression: the breaker stayed half open until the probe counted as lost, two minutes later."""
    with opened_box(tmp_path, settings({"hook": target(retry=STEADY)})) as box:
        for _ in range(5):
            box.put()
        for one in box.claim():
            box.finish(one, Sent.NO)
        box.clock.advance_ms(5_000)
        [probe] = box.claim()
        box.finish(probe, Sent.THROTTLED)
        assert box.database.read(lambda tx: lanes.get(tx, "hook")).breaker.state == "closed"


def test_a_target_without_a_breaker_is_never_closed(tmp_path: Path) -> None:
    with opened_box(tmp_path, settings({"hook": target(retry=STEADY, breaker=False)})) as box:
        for _ in range(7):
            box.put()
        for one in box.claim():
            box.finish(one, Sent.NO)
        assert [state.trouble for state in reading.targets(box.context)] == [None]
        box.clock.advance_ms(5_000)
        assert len(box.claim()) == 7


def test_a_misconfigured_target_is_closed_at_once_with_an_incident(desk: Desk) -> None:
    desk.script.answer = _refuse(Sent.MISCONFIGURED, "535 authentication failed")
    first = desk.put()
    desk.wait_message(first, lambda found: found.failures == 1)
    second = desk.put(text="second")
    desk.wait_state(desk.put(target="mail", text="elsewhere"), "delivered", "queued")
    assert ("target.misconfigured", "hook") in [one[:2] for one in _incidents(desk)]
    assert desk.box.message(second).attempts == 0, "one message found out for all"
    desk.script.answer = lambda _delivery: Receipt("ok")
    assert lanekeeping.enable(desk.box.context, "hook")
    desk.dispatcher.wake()
    desk.wait_state(second, "delivered")
    assert [one for one in _incidents(desk) if one[1] == "hook"] == []


def test_a_secret_that_is_missing_is_a_matter_of_configuration(tmp_path: Path) -> None:
    def no_way(_spec: TargetSpec) -> Channel:
        raise SecretMissing("secret:hook is not set; set CHRONOS_SECRET_HOOK")

    with _desk(tmp_path, target()) as desk:
        desk.dispatcher.stop(0)
        desk.box.take_over()
        desk.employ(no_way)
        message = desk.put()
        found = desk.wait_message(message, lambda found: found.failures == 1)
        assert "CHRONOS_SECRET_HOOK" in found.last_word
        assert _incidents(desk) == [("target.misconfigured", "hook", 1)]


def test_gone_disables_the_target_until_the_operator_enables_it(desk: Desk) -> None:
    desk.script.answer = _refuse(Sent.REJECTED, "410 Gone", disable_target=True)
    first = desk.put()
    desk.wait_state(first, "dead")
    lane = desk.box.database.read(lambda tx: lanes.get(tx, "hook"))
    assert lane.last_success_ms is None, "an answer is no success"
    second = desk.put(text="second")
    desk.script.answer = lambda _delivery: Receipt("ok")
    desk.pass_ms(7 * 86_400_000)
    desk.wait_state(desk.put(target="mail", text="elsewhere"), "delivered")
    assert desk.box.message(second).attempts == 0
    assert _incidents(desk) == [("target.disabled", "hook", 1)]
    assert lanekeeping.enable(desk.box.context, "hook")
    desk.dispatcher.wake()
    desk.wait_state(second, "delivered")
    assert _incidents(desk) == []


def test_a_rate_is_kept_over_all_templates_and_goes_on_by_itself(tmp_path: Path) -> None:
    """Regression: each template of a target had the rate, the seats and the probe for itself."""
    with _desk(tmp_path, target(rate=Rate(2, 60_000), max_in_flight=64), target("free")) as desk:
        messages = [desk.put(text=f"{number}", template=f"t{number % 3}") for number in range(6)]
        desk.script.wait_seen(2)
        desk.wait_state(desk.put(target="free"), "delivered")
        sent = [one for one in desk.script.seen if one.target.name == "hook"]
        assert len(sent) == 2
        for expected in (3, 4, 5, 6):
            desk.pass_ms(30_000)
            desk.script.wait_for(
                lambda expected=expected: sum(one.target.name == "hook" for one in desk.script.seen) >= expected  # type: ignore[misc]
            )
            desk.wait_state(desk.put(target="free"), "delivered")
            assert sum(one.target.name == "hook" for one in desk.script.seen) == expected
        for message in messages:
            desk.wait_state(message, "delivered")


def test_no_more_than_max_in_flight_and_a_slow_target_does_not_hold_up_others(tmp_path: Path) -> None:
    with _desk(tmp_path, target(max_in_flight=2), target("fast"), senders=4) as desk:
        gate = desk.script.hold("hook")
        slow = [desk.put(text=f"slow {number}", template=f"t{number % 3}") for number in range(20)]
        desk.script.wait_seen(2)
        fast = [desk.put(target="fast", text=f"fast {number}") for number in range(10)]
        for message in fast:
            desk.wait_state(message, "delivered")
        assert desk.script.most_on_wire["hook"] == 2
        gate.set()
        for message in slow:
            desk.wait_state(message, "delivered")
        assert desk.script.most_on_wire["hook"] == 2


def test_a_target_that_hangs_beyond_its_lease_keeps_its_seats_and_nobody_elses(tmp_path: Path) -> None:
    """Regression: the seats were given out again while the threads hung, until no thread was left for anybody."""
    with _desk(tmp_path, target(max_in_flight=2, timeout_ms=1_000), target("fast"), senders=4) as desk:
        gate = desk.script.hold("hook")
        hung = [desk.put(text=f"hung {number}", on_uncertain=OnUncertain.ASK) for number in range(8)]
        desk.script.wait_seen(2)
        for _ in range(4):
            desk.pass_ms(31_001)
            desk.wait_state(desk.put(target="fast"), "delivered")
        for message in hung[:2]:
            assert desk.wait_state(message, "uncertain").attempts == 1
        assert [desk.box.message(one).attempts for one in hung[2:]] == [0] * 6
        assert desk.script.most_on_wire["hook"] == 2
        desk.script.hold("hook")
        gate.set()
        for message in hung[2:]:
            desk.wait_state(message, "delivered")
        for message in hung[:2]:
            assert desk.wait_state(message, "delivered").attempts == 1, "the receiver's late word settles it"
        assert _attempts(desk, hung[0]) == [(1, "delivered")], "but the receiver's word is on record"
        assert desk.log.names().count("late_result") == 2


def test_a_clock_that_is_set_forward_cuts_nobody_off(desk: Desk) -> None:
    """Regression: leases were judged by the wall clock, and everything on the wire was sent a second time."""
    gate = desk.script.hold("hook")
    message = desk.put()
    desk.script.wait_seen(1)
    desk.box.clock.jump_ms(10 * 365 * 86_400_000)
    desk.box.clock._monotonic_ms += 1_000
    desk.wait_state(desk.put(target="mail"), "delivered")
    gate.set()
    assert desk.wait_state(message, "delivered").attempts == 1
    assert len([one for one in desk.script.seen if one.message_id == message.id]) == 1


def test_a_clock_that_is_set_back_makes_nobody_wait_longer(tmp_path: Path) -> None:
    """A retry waits for what it had left; a send time that was asked for stands."""
    routes = {"r": (RouteStep("hook"), RouteStep("other", 900_000))}
    hour_ms = 3_600_000
    with _desk(tmp_path, target(retry=STEADY), target("other"), routes=routes) as desk:
        desk.script.answer = lambda delivery: (
            Receipt("ok") if delivery.attempt_no > 1 or delivery.target.name == "other" else _refuse(Sent.NO)(delivery)
        )
        holding.pause(desk.box.context, "template:t", for_ms=1_000)
        fresh = desk.put(template="t")
        later = desk.put(not_before_ms=support.START_MS + 2 * hour_ms)
        retried, routed = desk.put(), desk.put(target="r")
        for message in (retried, routed):
            desk.wait_message(message, lambda found: found.failures == 1)
        hop_ms = desk.box.message(routed).hop_ms
        assert hop_ms is not None
        desk.box.clock.jump_ms(-hour_ms)
        desk.box.clock._monotonic_ms += 5_000  # the next heartbeat
        desk.dispatcher.wake()
        desk.log.wait_for("clock_set_back")
        assert desk.box.message(retried).due_ms == support.START_MS - hour_ms + 5_000
        assert desk.box.message(routed).hop_ms == hop_ms - hour_ms
        assert desk.box.message(later).due_ms == support.START_MS + 2 * hour_ms
        assert holding.resume(desk.box.context) == ["template:t"]
        desk.dispatcher.wake()
        desk.wait_message(fresh, lambda found: found.attempts == 1)
        desk.pass_ms(5_000)
        desk.wait_state(retried, "delivered")
        assert "clock.set_back" in _audited(desk, "clock")


# Holds


@pytest.mark.parametrize("scope", ["all", "channel:test", "target:hook", "template:t"])
def test_a_hold_keeps_back_its_scope_until_its_end(desk: Desk, scope: str) -> None:
    holding.pause(desk.box.context, scope, for_ms=60_000, reason="maintenance")
    message = desk.put(template="t")
    beside = desk.put(target="mail", text="beside")
    if scope == "all":
        desk.wait_state(message, "queued")
    else:
        desk.wait_state(beside, "delivered")
    desk.pass_ms(59_999)
    desk.wait_state(desk.put(target="mail", text="again"), "queued" if scope == "all" else "delivered")
    assert desk.box.message(message).attempts == 0
    desk.pass_ms(1)
    desk.wait_state(message, "delivered")
    assert desk.wait_state(beside, "delivered").attempts == 1


def test_a_hold_on_one_ad_hoc_address_keeps_back_that_address_alone(tmp_path: Path) -> None:
    """Regression: it was taken and had no effect."""
    with opened_box(tmp_path) as box:
        for _ in range(70):
            box.put(target="mailto:a@example.org")
        free = box.put(target="mailto:b@example.org")
        holding.pause(box.context, "target:mailto:a@example.org", for_ms=60_000)
        assert [one.taken.id for one in box.claim(seats=lambda _lane: 4)] == [free.id]
        box.clock.advance_ms(60_000)
        assert len(box.claim(most=4)) == 4


def test_resume_ends_a_hold_early(desk: Desk) -> None:
    holding.pause(desk.box.context, "all", for_ms=60_000)
    message = desk.put()
    assert holding.resume(desk.box.context) == ["all"]
    desk.dispatcher.wake()
    desk.wait_state(message, "delivered")
    assert _audited(desk, "hold:all") == ["hold.started", "hold.ended"]


# Routes


def test_a_route_goes_on_when_nobody_accepted_in_time_and_never_sends_twice(tmp_path: Path) -> None:
    routes = {"alerts": (RouteStep("chat"), RouteStep("mail", 900_000))}
    with _desk(tmp_path, target("chat", retry=STEADY), target("mail"), routes=routes) as desk:
        desk.script.answer = lambda delivery: (
            Receipt("ok") if delivery.target.name == "mail" else _refuse(Sent.NO, "offline")(delivery)
        )
        message = desk.put(target="alerts")
        desk.wait_message(message, lambda found: found.failures == 1)
        desk.dispatcher.stop(0)
        desk.box.take_over()  # a restart does not forget when the next step takes over
        desk.employ()
        desk.pass_ms(899_000)
        desk.wait_message(message, lambda found: found.attempts >= 2 and found.state == "queued")
        assert desk.box.message(message).target == "chat"
        desk.pass_ms(1_000)
        delivered = desk.wait_state(message, "delivered")
        assert (delivered.target, delivered.hop) == ("mail", 1)
        assert [one.target.name for one in desk.script.seen].count("mail") == 1
        assert "message.rerouted" in _audited(desk, message.uid)
        assert len({one.uid for one in desk.script.seen}) == 1


def test_a_step_that_refuses_for_good_hands_over_at_once(tmp_path: Path) -> None:
    routes = {"alerts": (RouteStep("chat"), RouteStep("mail", 900_000))}
    with _desk(tmp_path, target("chat"), target("mail"), routes=routes) as desk:
        desk.script.answer = lambda delivery: (
            Receipt("ok") if delivery.target.name == "mail" else _refuse(Sent.REJECTED, "kicked")(delivery)
        )
        assert desk.wait_state(desk.put(target="alerts"), "delivered", "dead").target == "mail"


def test_the_steps_of_a_message_with_a_send_time_count_from_there(tmp_path: Path) -> None:
    """Regression: the third step counted from the enqueue, so it took over at once."""
    routes = {"r": (RouteStep("a"), RouteStep("b", 10_000), RouteStep("c", 30_000))}
    configuration = settings({name: target(name, retry=STEADY) for name in "abc"}, routes)
    with opened_desk(tmp_path, configuration) as desk:
        desk.script.answer = _refuse(Sent.NO)
        start_ms = support.START_MS + 3_600_000
        message = desk.put(target="r", not_before_ms=start_ms)
        assert message.hop_ms == start_ms + 10_000
        desk.pass_ms(3_600_000 + 10_000)
        found = desk.wait_message(message, lambda found: found.target == "b")
        assert found.hop_ms == start_ms + 30_000


# Ends and beginnings


def test_stopping_claims_nothing_more_and_waits_for_what_is_on_the_wire(desk: Desk) -> None:
    gate = desk.script.hold("hook")
    message = desk.put()
    desk.script.wait_seen(1)
    stopped: list[bool] = []
    thread = threading.Thread(target=lambda: stopped.append(desk.dispatcher.stop(60_000)))
    thread.start()
    desk.script.wait_for(lambda: desk.dispatcher._draining)
    late = desk.put(text="late", target="mail")
    gate.set()
    thread.join(support.PATIENCE_S)
    assert stopped == [True]
    assert desk.box.message(message).state == "delivered"
    assert desk.box.message(late).state == "queued"


def test_what_does_not_end_in_time_is_recorded_as_cut_off(desk: Desk) -> None:
    desk.script.hold("hook")
    asking, resending = desk.put(on_uncertain=OnUncertain.ASK), desk.put()
    desk.script.wait_seen(2)
    assert desk.dispatcher.stop(0) is False
    assert desk.box.message(asking).state == "uncertain"
    assert desk.box.message(resending).state == "queued"
    assert _attempts(desk, asking) == [(1, "abandoned")]


def test_a_deposed_dispatcher_delivers_and_records_nothing_more(desk: Desk) -> None:
    gate = desk.script.hold("hook")
    message = desk.put()
    desk.script.wait_seen(1)
    desk.box.take_over()
    later = desk.put(text="later", target="mail")
    gate.set()
    desk.log.wait_for("deposed")
    assert desk.box.message(message).state == "sending", "the new owner takes it up"
    assert desk.box.message(later).attempts == 0
    desk.employ()
    desk.wait_state(message, "delivered")
    assert desk.wait_state(later, "delivered").attempts == 1


def test_a_dispatcher_starts_although_the_database_is_busy_at_first(tmp_path: Path, clock: FakeClock) -> None:
    """Regression: a refusal while orphans were taken up ended the thread for good."""
    with opened_box(tmp_path, clock=clock) as box:
        box.put()
        [one] = box.claim()
        box.take_over()
        marker = tmp_path / "DEGRADED"
        marker.write_text("{}\n")
        desk = Desk(box)
        try:
            desk.log.wait_for("database_refuses")
            marker.unlink()
            assert desk.wait_state(one.taken.id, "delivered").attempts == 2
            assert "orphans_taken_up" in desk.log.names()
        finally:
            desk.dispatcher.stop(0)


def test_an_outcome_that_cannot_be_stored_is_kept_and_stored_later(desk: Desk) -> None:
    """Regression: when the lease was over by then, the message was sent a second time."""
    gate = desk.script.hold("hook")
    message = desk.put()
    desk.script.wait_seen(1)
    marker = desk.box.directory / "DEGRADED"
    marker.write_text("{}\n")
    gate.set()
    desk.log.wait_for("database_refuses")
    desk.pass_ms(120_000)
    desk.script.wait_for(lambda: not desk.script.on_wire)
    marker.unlink()
    desk.dispatcher.wake()
    assert desk.wait_state(message, "delivered").attempts == 1
    desk.log.wait_for("database_recovered")
    assert len(desk.script.seen) == 1
    assert desk.log.names().count("database_refuses") == 1, "said once, not twice a second"


def test_a_channel_with_a_defect_harms_only_its_message(tmp_path: Path) -> None:
    def answer(delivery: Delivery) -> Receipt:
        if delivery.content.text == "bad":
            raise ZeroDivisionError
        return Receipt("half a character: \ud800\0", "2\ud80000")

    with opened_desk(tmp_path, settings({"hook": target(breaker=False)})) as desk:
        desk.script.answer = answer
        bad = desk.put(text="bad", on_uncertain=OnUncertain.ASK)
        good = desk.put(text="good")
        assert "defect" in desk.wait_state(bad, "uncertain").last_word
        desk.wait_state(good, "delivered")
        assert [fields["message_id"] for fields in desk.log.defects()] == [bad.id]


@pytest.mark.parametrize(
    "wrong",
    [
        DeliveryError("not sent", "no such value"),  # type: ignore[arg-type]
        DeliveryError(Sent.NO, None),  # type: ignore[arg-type]
        DeliveryError(Sent.THROTTLED, "later", retry_after_ms="soon"),  # type: ignore[arg-type]
        DeliveryError(Sent.NO, "some", refused=(("a@example.org",),)),  # type: ignore[arg-type]
        DeliveryError(Sent.NO, "some", accepted=(1,)),  # type: ignore[arg-type]
    ],
    ids=["sent", "detail", "retry_after_ms", "refused", "accepted"],
)
def test_a_channel_that_says_nonsense_harms_only_its_message(tmp_path: Path, wrong: DeliveryError) -> None:
    """Regression: the sender thread died of it, or the outcomes of all messages could not be recorded any more."""

    def answer(delivery: Delivery) -> Receipt:
        if delivery.content.text == "bad":
            raise wrong
        return Receipt("ok")

    with opened_desk(
        tmp_path, settings({"hook": target(breaker=False, max_in_flight=1)}, outbox={"senders": 1})
    ) as desk:
        desk.script.answer = answer
        bad = desk.put(text="bad", on_uncertain=OnUncertain.ASK)
        good = desk.put(text="good")
        assert "defect" in desk.wait_state(bad, "uncertain").last_word
        desk.wait_state(good, "delivered")


def test_a_target_that_was_taken_out_of_the_configuration_says_so(desk: Desk) -> None:
    holding.pause(desk.box.context, "all", for_ms=1_000)
    message = desk.put()
    desk.box.context.settings = settings({"mail": target("mail")})
    desk.pass_ms(1_000)
    found = desk.wait_message(message, lambda found: found.failures == 1)
    assert "no longer configured" in found.last_word
    assert desk.script.seen == []


def test_a_message_of_another_process_is_seen_without_being_told(desk: Desk) -> None:
    other = support.open_database(desk.box.directory, owner=False)
    try:
        there = Context(other, desk.box.clock, desk.box.context.settings, "cli:me", lambda n: b"\x7f" * n, 2)
        message = enqueue(there, NewMessage("hook", text="from elsewhere")).message
        desk.wait_state(message, "delivered")
    finally:
        other.close()


def test_a_new_configuration_opens_every_channel_anew_and_closes_the_old_once(desk: Desk) -> None:
    gate = desk.script.hold("hook")
    on_wire = desk.put()
    desk.script.wait_seen(1)
    desk.wait_state(desk.put(target="mail"), "delivered")
    desk.dispatcher.pool.retire()
    assert desk.script.closed == ["mail"], "the one in use stays open until its message is through"
    gate.set()
    desk.wait_state(on_wire, "delivered")
    desk.wait_state(desk.put(text="again"), "delivered")
    desk.script.wait_for(lambda: sorted(desk.script.closed) == ["hook", "mail"])
    assert sorted(desk.script.opened) == ["hook", "hook", "mail"]


def test_a_full_lane_and_a_busy_wire_do_not_make_the_dispatcher_spin(tmp_path: Path) -> None:
    """Regression: while every seat of a target was taken, the plan was made a thousand times a second."""
    with _desk(tmp_path, target(max_in_flight=1), target("other")) as desk:
        desk.script.hold("hook")
        desk.put()
        desk.put(text="waits")
        desk.script.wait_seen(1)
        desk.wait_state(desk.put(target="other"), "delivered")
        box = desk.box
        plan = box.database.read(lambda tx: delivering.plan(tx, box.context, seats=lambda _lane: 0, most=9))
        assert (plan.candidates, plan.wake_ms > box.clock.now_ms() + 1_000) == ((), True)
        assert min(desk.dispatcher._timers()) > 0, "no timer is left due while something is on the wire"
