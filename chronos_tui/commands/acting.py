"""Acts on messages: by number at once, by filter only after a preview. The engine decides what is possible."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from typing import Any

from chronos_tui import bridge
from chronos_tui.commands import shapes, times
from chronos_tui.commands.parsing import Arguments, Verb, count, text
from chronos_tui.commands.session import Session

_DONE = {
    "retry": "queued again",
    "cancel": "cancelled",
    "hold": "held",
    "release": "released",
    "resend": "queued again under the same identity",
    "settle-delivered": "settled as delivered",
    "settle-dead": "settled as not delivered",
}


def act_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("ids", metavar="ID", nargs="*", type=text, help="numbers or uids")
    parser.add_argument("--filter", metavar="EXPR", type=text, help="every message that matches, as it stands now")
    parser.add_argument("--dry-run", action="store_true", help="show what it would be done to, and do nothing")
    parser.add_argument("--yes", action="store_true", help="do not ask")


def settle_arguments(parser: argparse.ArgumentParser) -> None:
    act_arguments(parser)
    parser.add_argument("--as", dest="verdict", choices=("delivered", "dead"), required=True, help="what became of it")


def settle(session: Session, given: Arguments) -> int:
    return act(f"settle-{given.verdict}", session, given)


def act(name: str, session: Session, given: Arguments) -> int:
    """Do it to the messages named, or to all that match. Raises BadInput for neither or both."""
    if bool(given.ids) == (given.filter is not None):
        raise bridge.BadInput(f"outbox {_word(name)}: give numbers or --filter EXPR, one of them")
    if given.filter is not None and not given.filter.strip():
        # What --filter "$WHICH" becomes when the variable is unset: nobody means every message by it.
        raise bridge.BadInput(f"outbox {_word(name)}: the filter is empty and would match every message; say which")
    action = bridge.Action(name)
    with session.engine() as engine:
        if given.dry_run:
            _preview(session, engine.freeze(action, expression=given.filter or "", ids=given.ids))
            return 0
        if given.filter is not None:
            return _on_filter(session, engine, action, given)
        if len(given.ids) == 1:
            return _on_one(session, engine, action, given.ids[0])
        return _on_several(session, engine, action, given.ids)


def _on_one(session: Session, engine: bridge.Engine, action: bridge.Action, handle: str) -> int:
    done = engine.act(action, handle)
    after = engine.detail(done.message_id).message
    if session.out.json:
        session.out.document(shapes.message(after))
        return 0
    requested = action == bridge.Action.CANCEL and after.cancel_requested
    words = "will be cancelled, unless it is just being accepted" if requested else _DONE[action]
    undo = f"; 'chronos outbox undo {done.undo_id}' takes it back" if done.undo_id is not None else ""
    session.out.done(f"#{done.message_id} {words}{undo}")
    return 0


def _on_several(session: Session, engine: bridge.Engine, action: bridge.Action, handles: list[str]) -> int:
    """One act, one audit entry, one undo. What its state forbids is named, and the exit code says so."""
    before = [engine.detail(handle).message for handle in handles]
    done = engine.act_on(engine.freeze(action, ids=[one.id for one in before]))
    _report(session, done)
    refused = [one for one in before if done.skipped and not _fits(action, one)]
    for one in refused:
        session.out.note(f"#{one.id}: {bridge.why_not(action.verb, one.state)}")
    if done.skipped:
        raise bridge.NotPossible(f"{done.skipped} of {done.total} could not be {_DONE[action]}; the others were")
    return 0


def _fits(action: bridge.Action, one: bridge.Message) -> bool:
    return one.state in bridge.accepts(action.verb)


def _on_filter(session: Session, engine: bridge.Engine, action: bridge.Action, given: Arguments) -> int:
    frozen = engine.freeze(action, expression=given.filter)
    if frozen.total == 0:
        if session.out.json:
            _report(session, engine.act_on(frozen))
        else:
            session.out.note(f"no message matches that could be {_DONE[action]}")
        return 0
    if not given.yes and not _confirmed(session, frozen):
        session.out.note("nothing was done")
        return 1
    _report(session, engine.act_on(frozen, _progress(session)))
    return 0


def _confirmed(session: Session, frozen: bridge.Frozen) -> bool:
    word = _word(frozen.action.value)
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        match = "1 message matches" if frozen.total == 1 else f"{frozen.total} messages match"
        raise bridge.BadInput(
            f"outbox {word}: {match} and nobody can be asked; add --yes to act, or --dry-run to look first"
        )
    _preview(session, frozen, to_stderr=True)
    print(
        f"{word} {frozen.total} message{'' if frozen.total == 1 else 's'}? [y/N] ", end="", file=sys.stderr, flush=True
    )
    return sys.stdin.readline().strip().lower() in {"y", "yes"}


def _preview(session: Session, frozen: bridge.Frozen, *, to_stderr: bool = False) -> None:
    if session.out.json and not to_stderr:
        session.out.document(
            {
                "dry_run": True,
                "action": frozen.action.value,
                "filter": frozen.filter,
                "total": frozen.total,
                "oldest": frozen.oldest and shapes.message(frozen.oldest),
                "newest": frozen.newest and shapes.message(frozen.newest),
                "sample": [shapes.message(one) for one in frozen.sample],
                "estimate_ms": frozen.estimate_ms,
            }
        )
        return
    say: Callable[[str], Any] = session.out.remark if to_stderr else session.out.line
    say(f"{frozen.total} messages, about {bridge.format_duration(max(frozen.estimate_ms, 1_000))} of work")
    if frozen.oldest is not None and frozen.newest is not None:
        say(f"oldest  {_one_line(frozen.oldest)}")
        say(f"newest  {_one_line(frozen.newest)}")
    for one in frozen.sample[1:-1]:
        say(f"        {_one_line(one)}")


def _one_line(one: bridge.Message) -> str:
    return f"#{one.id} {one.state.value} {times.moment(one.created_ms)} {one.target} {one.subject[:60]}".rstrip()


def _progress(session: Session) -> Callable[[int, int], None] | None:
    if session.out.quiet or not sys.stderr.isatty():
        return None

    def show(done: int, total: int) -> None:
        print(f"\r{done} of {total}", end="\n" if done >= total else "", file=sys.stderr, flush=True)

    return show


def _report(session: Session, done: bridge.Bulk) -> None:
    if session.out.json:
        session.out.document(_bulk(done))
        return
    gone_on = f", {done.skipped} left alone" if done.skipped else ""
    undo = f"; 'chronos outbox undo {done.bulk_id}' takes it back" if done.undo_until_ms is not None else ""
    session.out.done(f"{done.applied} of {done.total} {_DONE[done.action]}{gone_on}{undo}")


def _bulk(done: bridge.Bulk) -> dict[str, Any]:
    return {
        "bulk_id": done.bulk_id,
        "action": done.action.value,
        "filter": done.filter,
        "state": done.state,
        "total": done.total,
        "applied": done.applied,
        "skipped": done.skipped,
        "undone": done.undone,
        "undo_until": times.stamp(done.undo_until_ms),
    }


def undo_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "bulk_id", metavar="N", nargs="?", type=count(1, 1 << 53), help="which act (default: the last one)"
    )


def undo(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        done = engine.undo(given.bulk_id)
    if session.out.json:
        session.out.document(_bulk(done))
        return 0
    kept = done.applied - done.undone
    gone_on = f"; {kept} had gone on and stay as they are" if kept else ""
    session.out.done(f"{_word(done.action.value)} of {done.applied} taken back for {done.undone}{gone_on}")
    return 0


def _word(name: str) -> str:
    return "settle" if name.startswith("settle") else name


def _verb(name: str, help_text: str, examples: tuple[str, str], details: str = "") -> Verb:
    return Verb(f"outbox {name}", help_text, partial(act, name), examples, act_arguments, details)


_BY_FILTER = "By --filter the set is frozen and shown before it is asked; without a terminal --yes is needed."

VERBS = (
    _verb(
        "retry",
        "queue dead messages again, or make waiting ones due now",
        ("chronos outbox retry 1042", "chronos outbox retry --filter 'state:dead target:ops error:timeout' --yes"),
        _BY_FILTER,
    ),
    _verb(
        "cancel",
        "cancel messages that were not sent yet",
        ("chronos outbox cancel 1042 1043", "chronos outbox cancel --filter 'tag:nightly state:queued' --dry-run"),
        _BY_FILTER,
    ),
    _verb(
        "hold",
        "hold waiting messages until they are released",
        ("chronos outbox hold 1042", "chronos outbox hold --filter 'target:ops' --yes"),
        _BY_FILTER,
    ),
    _verb(
        "release",
        "let held messages go",
        ("chronos outbox release 1042", "chronos outbox release --filter 'state:held' --yes"),
        _BY_FILTER,
    ),
    _verb(
        "resend",
        "send uncertain messages again under the same identity",
        ("chronos outbox resend 1042", "chronos outbox resend --filter 'state:uncertain channel:webhook' --yes"),
        f"They may have arrived: a receiver that knows the identity drops the second copy.\n{_BY_FILTER}",
    ),
    Verb(
        "outbox settle",
        "say what became of uncertain messages",
        settle,
        (
            "chronos outbox settle 1042 --as delivered",
            "chronos outbox settle --filter 'state:uncertain' --as dead --yes",
        ),
        settle_arguments,
        f"Nothing is sent.\n{_BY_FILTER}",
    ),
    Verb(
        "outbox undo",
        "take back a cancel, hold or release of several messages",
        undo,
        ("chronos outbox undo", "chronos outbox undo 7 --json"),
        undo_arguments,
        "Possible for the time of outbox.undo; what has gone on meanwhile stays as it is.",
    ),
)
