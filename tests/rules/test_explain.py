"""The explained timeline: true sentences, the next command, and no foreign escape."""

import shlex
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.model import Attempt, Hold, Message, OnUncertain, Priority, RouteStep, State
from engine.rules import states
from engine.rules.explain import Explanation, explain

BORN = 1_795_449_600_000  # 2026-11-23T16:00:00Z
NOW = BORN + 600_000

MESSAGE = Message(
    id=1042,
    uid="msg_" + "0" * 32,
    state=State.QUEUED,
    target="me",
    lane="me",
    channel="email",
    template="",
    subject="Backup failed",
    priority=Priority.NORMAL,
    created_ms=BORN,
    due_ms=BORN,
    expires_ms=None,
    finished_ms=None,
    attempts=0,
    failures=0,
    cycle=1,
    cycle_ms=BORN,
    lease_until_ms=None,
    cancel_requested=False,
    on_uncertain=OnUncertain.RESEND,
    idempotency_key=None,
    collapse_key=None,
    ordering_key=None,
    ready=True,
    route="",
    hop=0,
    hop_ms=None,
    queued_by="cron-backup",
    last_code="",
    last_word="",
    state_reason="",
    size=10,
)
ATTEMPT = Attempt(
    message_id=1042,
    attempt_no=1,
    target="me",
    epoch=1,
    started_ms=BORN + 1_000,
    finished_ms=BORN + 2_000,
    outcome="not_sent",
    code="450 4.2.0",
    detail="greylisted, try later",
    rule="backoff after failure 1",
    next_ms=BORN + 7_000,
    accepted=(),
    refused=(),
)


def message(**change: Any) -> Message:
    return MESSAGE._replace(**change)


def attempt(**change: Any) -> Attempt:
    return ATTEMPT._replace(**change)


def told(m: Message, *attempts: Attempt, **around: Any) -> Explanation:
    situation: dict[str, Any] = {"holds": (), "breaker_words": None, "order_blocker": None, "route": None}
    return explain(m, attempts, NOW, **(situation | around))


def hold(scope: str, minutes: int = 30, reason: str = "mail server moves") -> Hold:
    return Hold(id=1, scope=scope, since_ms=BORN, until_ms=NOW + minutes * 60_000, reason=reason, actor="ops")


def test_it_begins_with_who_queued_it_and_when() -> None:
    first = told(message()).lines[0]
    assert first.at_ms == BORN
    assert first.text == "Queued “Backup failed” by cron-backup for me (email)."


def test_an_attempt_is_told_in_the_receivers_words_with_the_rule_and_the_next_time() -> None:
    line = told(message(attempts=1), attempt()).lines[1]
    assert line.at_ms == BORN + 1_000
    assert line.text == (
        "Try 1 to me: not sent, “450 4.2.0 greylisted, try later” → backoff after failure 1; next try in 5 s."
    )


def test_refused_recipients_are_named() -> None:
    refused = tuple((f"u{n}@x.org", "550 no such user") for n in range(7))
    line = told(
        message(), attempt(outcome="delivered", code="250", detail="Ok", rule="", next_ms=None, refused=refused)
    )
    assert "accepted, “250 Ok”; u0@x.org refused, “550 no such user”" in line.lines[1].text
    assert line.lines[1].text.endswith("; 2 more refused.")


def test_a_running_and_a_cut_off_attempt_are_told_apart() -> None:
    running = told(message(), attempt(outcome=None, finished_ms=None)).lines[1].text
    cut_off = told(message(), attempt(outcome=None)).lines[1].text
    assert running == "Try 1 to me began."
    assert "cut off" in cut_off


def test_a_redrive_stands_between_the_attempts_that_it_parts() -> None:
    old, new = attempt(), attempt(attempt_no=2, started_ms=BORN + 90_000, finished_ms=None, outcome=None)
    lines = told(message(cycle=2, cycle_ms=BORN + 60_000), old, new).lines
    assert [line.at_ms for line in lines] == [BORN, BORN + 1_000, BORN + 60_000, BORN + 90_000]
    assert "Queued again (round 2)" in lines[2].text


def test_a_route_tells_its_steps_and_who_comes_next() -> None:
    route = (RouteStep("ops"), RouteStep("me", 900_000), RouteStep("desk", 1_800_000))
    story = told(message(route="alerts", target="ops", due_ms=NOW + 5_000, hop_ms=BORN + 900_000), route=route)
    assert "by route alerts: ops, then me after 15 min, then desk after 30 min" in story.lines[0].text
    assert "Route alerts: me takes over at 16:15 UTC." in story.now
    later = told(message(route="alerts", hop=1, cycle=2, cycle_ms=NOW - 1), route=route)
    assert later.lines[-1].text == "Route alerts: me takes over, step 2; its tries count anew."


SITUATIONS = [
    (
        message(),
        {"holds": [hold("channel:email")]},
        "Waits: channel email is held until 16:40 UTC, 30 min left (mail server moves, by ops).",
        "chronos resume channel:email",
    ),
    (message(), {"holds": [hold("all", reason="")]}, "everything is held until 16:40 UTC", "chronos resume all"),
    (message(template="x"), {"holds": [hold("template:x")]}, "template x is held", "chronos resume template:x"),
    (
        message(),
        {"holds": [hold("target:me", 1), hold("all", 60 * 24)]},
        "everything is held until 2026-11-24 16:10 UTC, 1 d left",
        "chronos resume all",
    ),
    (
        message(),
        {"breaker_words": "target me does not answer; next probe in 40 s"},
        "Waits: target me does not answer; next probe in 40 s. Waiting costs no tries.",
        "chronos target test me",
    ),
    (
        message(due_ms=NOW + 3 * 3_600_000),
        {"breaker_words": "breaker open, next probe in 4 s"},
        "at 19:10 UTC, in 3 h. Its target at present: breaker open, next probe in 4 s.",
        "chronos target test me",
    ),
    (
        message(),
        {"breaker_words": "disabled: 410 Gone"},
        "Waits: disabled: 410 Gone. Waiting costs no tries.",
        "chronos target enable me",
    ),
    (
        message(ordering_key="k"),
        {"order_blocker": 1040},
        "#1040 of ordering key k goes first",
        "chronos outbox explain 1040",
    ),
    (message(due_ms=NOW + 40_000), {}, "Waits: it leaves at 16:10:40 UTC, in 40 s.", "chronos outbox retry 1042"),
    (message(due_ms=NOW + 40_000, attempts=2), {}, "Waits: try 3 at 16:10:40 UTC", "chronos outbox retry 1042"),
    (
        message(expires_ms=NOW + 60_000),
        {},
        "leaves as soon as a seat is free. It expires at 16:11 UTC.",
        "chronos status",
    ),
    (message(state=State.SENDING, attempts=3, lease_until_ms=NOW + 1), {}, "Try 3 is under way.", "wait"),
    (message(state=State.SENDING, lease_until_ms=NOW), {}, "the engine takes it back", "chronos status"),
    (message(state=State.DELIVERED, finished_ms=NOW), {}, "Delivered to me at 16:10 UTC.", "nothing to do"),
    (
        message(
            state=State.DEAD,
            finished_ms=NOW,
            last_code="535",
            last_word="auth failed",
            state_reason="16 attempts used up",
        ),
        {},
        "Dead at 16:10 UTC: 16 attempts used up. The last word was “535 auth failed”. Nothing more is sent.",
        "chronos outbox retry 1042",
    ),
    (message(state=State.CANCELLED, state_reason="by ops"), {}, "Cancelled: by ops.", "send it anew"),
    (message(state=State.EXPIRED, expires_ms=NOW - 60_000), {}, "Its limit was 16:09 UTC.", "send it anew"),
    (message(state=State.HELD, state_reason="restored"), {}, "Held: restored.", "chronos outbox release 1042"),
    (
        message(state=State.UNCERTAIN, last_word="timed out"),
        {},
        "(“timed out”); it may have arrived",
        "chronos outbox resend 1042",
    ),
]


@pytest.mark.parametrize(("m", "around", "now", "advice"), SITUATIONS)
def test_the_present_situation_and_what_to_do(m: Message, around: dict[str, Any], now: str, advice: str) -> None:
    story = told(m, **around)
    assert now in story.now
    assert advice in story.advice


def test_an_advised_command_can_be_pasted_whatever_the_name() -> None:
    story = told(message(target="maildir:$(reboot)"), breaker_words="closed")
    assert story.advice == "chronos target test 'maildir:$(reboot)'"
    story = told(message(target="a'b; reboot"), holds=[hold("target:a'b; reboot")])
    assert shlex.split(story.advice) == ["chronos", "resume", "target:a'b; reboot"]


def test_holds_of_others_and_holds_that_ended_do_not_count() -> None:
    story = told(message(), holds=[hold("target:ops"), hold("channel:webhook"), hold("template:x"), hold("all", 0)])
    assert story.now == "Is due: it leaves as soon as a seat is free."


def test_a_dead_message_is_advised_by_what_killed_it() -> None:
    dead = message(state=State.DEAD, finished_ms=NOW)
    assert told(dead, attempt(outcome="misconfigured")).advice.startswith("chronos target test me, then chronos outbox")
    assert "objection" in told(dead, attempt(outcome="rejected")).advice
    disabled = told(dead, attempt(outcome="rejected"), breaker_words="disabled: 410 Gone")
    assert disabled.advice.startswith("chronos target enable me, then chronos outbox retry")


@pytest.mark.parametrize("state", State)
def test_an_advised_act_is_one_that_the_state_accepts(state: State) -> None:
    advice = told(message(state=state, due_ms=NOW + 1)).advice
    for action in states.ACTIONS:
        if f"chronos outbox {action} 1042" in advice:
            assert state in states.accepts(action)


hostile = st.text(st.sampled_from("\x1b[]0;\x07\n\u202e\U000e0041ab") | st.characters(), max_size=30)


@given(st.sampled_from(State), hostile, hostile, hostile, st.integers(-(10**6), 10**12))
def test_no_foreign_word_reaches_a_line_unclean(state: State, a: str, b: str, c: str, at: int) -> None:
    m = message(
        state=state, subject=a, target=b, channel=c, queued_by=a, last_code=b, last_word=c, state_reason=a, route=b,
        template=c, collapse_key=a, ordering_key=b, finished_ms=max(at, 0), cycle=2, cancel_requested=True,
    )  # fmt: skip
    tried = attempt(code=a, detail=b, rule=c, outcome=a, target=b, refused=((a, b),), next_ms=max(at, 0))
    for around in (
        {"holds": [hold(f"target:{b}", reason=c)]},
        {"breaker_words": a},
        {"order_blocker": 7, "route": (RouteStep(a), RouteStep(b, 5))},
    ):
        story = told(m, tried, **around)
        for text in (story.now, story.advice, *(line.text for line in story.lines)):
            assert not any(char in text for char in "\x1b\x07\n\u202e\U000e0041")
            assert text
