"""The state machine of a message: which steps exist and which acts fit which state. Nothing here touches a row."""

from __future__ import annotations

from engine.errors import BadInput
from engine.model import State

TRANSITIONS: frozenset[tuple[State, State]] = frozenset(
    {
        (State.QUEUED, State.SENDING),
        (State.QUEUED, State.HELD),
        (State.QUEUED, State.CANCELLED),
        (State.QUEUED, State.EXPIRED),
        (State.HELD, State.QUEUED),
        (State.HELD, State.CANCELLED),
        (State.SENDING, State.DELIVERED),
        (State.SENDING, State.QUEUED),
        (State.SENDING, State.DEAD),
        (State.SENDING, State.UNCERTAIN),
        (State.SENDING, State.CANCELLED),
        (State.DEAD, State.QUEUED),
        (State.UNCERTAIN, State.QUEUED),
        (State.UNCERTAIN, State.DELIVERED),
        (State.UNCERTAIN, State.DEAD),
        (State.UNCERTAIN, State.CANCELLED),
        # Undo only: a cancelled message goes back to where the cancel found it. No act of its own leads here.
        (State.CANCELLED, State.QUEUED),
        (State.CANCELLED, State.HELD),
    }
)

# `retry` leaves an uncertain message alone on purpose: it may have arrived, so sending it again is an act of its own.
# `cancel` of a message that is being sent is a request: what the receiver already accepted stays delivered.
ACTIONS: dict[str, frozenset[State]] = {
    "retry": frozenset({State.DEAD, State.QUEUED}),
    "cancel": frozenset({State.QUEUED, State.HELD, State.SENDING, State.UNCERTAIN}),
    "hold": frozenset({State.QUEUED}),
    "release": frozenset({State.HELD}),
    "resend": frozenset({State.UNCERTAIN}),
    "settle": frozenset({State.UNCERTAIN}),
}

_FINISHED = "send it anew"
_SITUATION = {
    State.QUEUED: "is waiting to be sent",
    State.SENDING: "is being sent right now",
    State.DELIVERED: "was delivered",
    State.DEAD: "is dead",
    State.CANCELLED: "was cancelled",
    State.EXPIRED: "expired before it could be sent",
    State.HELD: "is held",
    State.UNCERTAIN: "may or may not have arrived",
}
_INSTEAD: dict[tuple[str, State], str] = {
    ("retry", State.SENDING): "wait for the attempt to end",
    ("retry", State.HELD): "release it",
    ("retry", State.UNCERTAIN): "resend it if a second copy does no harm, or cancel it",
    ("cancel", State.DEAD): "leave it, nothing more is sent",
    ("hold", State.SENDING): "wait for the attempt to end, or cancel it",
    ("hold", State.DEAD): "leave it, nothing more is sent; retry it to send it again",
    ("hold", State.UNCERTAIN): "leave it, nothing more is sent until you resend it or cancel it",
    ("hold", State.HELD): "leave it, or release it to let it go",
    ("release", State.QUEUED): "leave it; if a pause keeps it back, resume that",
    ("release", State.SENDING): "wait for the attempt to end",
    ("release", State.DEAD): "retry it",
    ("release", State.UNCERTAIN): "resend it or cancel it",
    ("resend", State.QUEUED): "retry it to make it due now",
    ("resend", State.SENDING): "wait for the attempt to end",
    ("resend", State.DEAD): "retry it",
    ("resend", State.HELD): "release it",
    ("settle", State.QUEUED): "cancel it if it must not be sent",
    ("settle", State.SENDING): "wait for the attempt to end",
    ("settle", State.DEAD): "retry it, or leave it",
    ("settle", State.HELD): "release it or cancel it",
}


def allowed(old: State, new: State) -> bool:
    """Whether a message may step from `old` to `new`. Staying where it is is no step."""
    return (old, new) in TRANSITIONS


def accepts(action: str) -> frozenset[State]:
    """Return the states in which `action` does something.

    Raises BadInput if there is no such action.
    """
    try:
        return ACTIONS[action]
    except KeyError:
        raise BadInput(f"no action {action!r}; use one of {', '.join(ACTIONS)}") from None


def why_not(action: str, state: State) -> str:
    """Say in one clause why `action` does not fit `state`, and what to do instead.

    Raises BadInput if there is no such action; ValueError if the action does fit.
    """
    if state in accepts(action):
        raise ValueError(f"{action} fits {state}")
    situation = _SITUATION[state]
    if action == "cancel" and state == State.DELIVERED:
        return f"cannot cancel: it {situation}; it cannot be called back"
    if action == "cancel" and state in {State.CANCELLED, State.EXPIRED}:
        return f"cannot cancel: it {situation}; nothing more is sent"
    instead = _INSTEAD.get((action, state), _FINISHED)
    return f"cannot {action}: it {situation}; {instead}"
