"""The state machine: every step is meant, every act says what to do instead."""

import pytest

from engine.errors import BadInput
from engine.model import FINAL_STATES, State
from engine.rules import states

LEADS_TO = {
    "retry": {State.QUEUED},
    "cancel": {State.CANCELLED},
    "hold": {State.HELD},
    "release": {State.QUEUED},
    "resend": {State.QUEUED},
    "settle": {State.DELIVERED, State.DEAD},
}


def test_the_table_is_the_drawing_in_the_design() -> None:
    drawn = {
        State.QUEUED: {State.SENDING, State.HELD, State.CANCELLED, State.EXPIRED},
        State.SENDING: {State.DELIVERED, State.QUEUED, State.DEAD, State.UNCERTAIN, State.CANCELLED},
        State.HELD: {State.QUEUED, State.CANCELLED},
        State.DEAD: {State.QUEUED},
        State.UNCERTAIN: {State.QUEUED, State.DELIVERED, State.DEAD, State.CANCELLED},
        State.CANCELLED: {State.QUEUED, State.HELD},
        State.DELIVERED: set[State](),
        State.EXPIRED: set[State](),
    }
    for old in State:
        assert {new for new in State if states.allowed(old, new)} == drawn[old], old


def test_what_was_delivered_or_expired_never_moves_again() -> None:
    assert not [step for step in states.TRANSITIONS if step[0] in {State.DELIVERED, State.EXPIRED}]


def test_only_a_claim_leads_onto_the_wire() -> None:
    assert {old for old, new in states.TRANSITIONS if new == State.SENDING} == {State.QUEUED}


def test_staying_is_no_step() -> None:
    assert not any(states.allowed(state, state) for state in State)


@pytest.mark.parametrize("action", states.ACTIONS)
def test_an_act_is_accepted_only_where_a_step_leads_to_its_goal(action: str) -> None:
    for state in states.accepts(action):
        goals = LEADS_TO[action]
        assert state in goals or any(states.allowed(state, goal) for goal in goals), state


def test_an_uncertain_message_is_sent_again_only_by_the_act_that_says_so() -> None:
    assert State.UNCERTAIN not in states.accepts("retry")
    assert states.accepts("resend") == {State.UNCERTAIN}
    assert "resend" in states.why_not("retry", State.UNCERTAIN)


@pytest.mark.parametrize("action", states.ACTIONS)
@pytest.mark.parametrize("state", State)
def test_a_refusal_says_why_and_what_to_do_in_one_line(action: str, state: State) -> None:
    if state in states.accepts(action):
        with pytest.raises(ValueError, match="fits"):
            states.why_not(action, state)
        return
    words = states.why_not(action, state)
    assert words.startswith(f"cannot {action}: it ")
    assert "; " in words
    assert "\n" not in words


def test_a_cancel_that_comes_too_late_says_how_late() -> None:
    assert states.why_not("cancel", State.DELIVERED).endswith("it was delivered; it cannot be called back")
    assert states.why_not("cancel", State.CANCELLED).endswith("it was cancelled; nothing more is sent")
    assert states.why_not("cancel", State.EXPIRED).endswith("nothing more is sent")
    assert "called back" not in states.why_not("hold", State.DELIVERED)


def test_an_advice_names_only_acts_that_then_work() -> None:
    for action in states.ACTIONS:
        for state in set(State) - states.accepts(action):
            advice = states.why_not(action, state).split("; ", 1)[1]
            for other in states.ACTIONS:
                if f"{other} it" in advice:
                    assert state in states.accepts(other), (action, state, other)


def test_an_unknown_action_is_named() -> None:
    with pytest.raises(BadInput, match="no action 'explode'; use one of retry, cancel"):
        states.accepts("explode")


def test_every_final_state_is_a_state_of_the_table() -> None:
    assert {new for _, new in states.TRANSITIONS} >= FINAL_STATES
