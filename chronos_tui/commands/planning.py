"""A restore in lines for people: what it would change, and what it did. What came from the archive is hostile text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from chronos_tui import bridge
from chronos_tui.commands import times
from chronos_tui.commands.output import Painted, Part

Line = tuple[Part, ...]

_MOST_SHOWN = 20
_TITLE = 15
_RELATIONS = {
    "continues": "this database went on from it",
    "behind": "it is newer than this database",
    "forked": "it and this database went different ways; both logs are kept",
    "foreign": "it comes from another installation",
    "empty": "there is no message here yet",
    "destroyed": "the database here is gone or cannot be opened",
}
_SIGNATURES = {
    "confirmed": Painted("by a key of this installation", "ok"),
    "unknown_key": Painted("by a key that is not known here, see below", "warning"),
}
_CONFIGS = {
    "same": "the same as in the backup",
    "differs": "differs and stays; {configure} puts the backup's in place",
    "absent here": "there is none here; the backup's is written",
    "absent there": "stays; the backup holds none",
}


def plan_lines(plan: bridge.RestorePlan, configure: str = "--with-configuration") -> Iterator[Line]:
    """Yield what a restore would change. configure: what one types to have the configuration put in place too."""
    yield _fact("backup", plan.archive)
    age = bridge.format_duration(max(plan.age_ms, 1_000))
    yield _fact("taken", f"{times.moment(plan.taken_ms)}, {age} ago, on {plan.instance}")
    yield _fact("relation", _RELATIONS.get(plan.relation, plan.relation))
    yield _fact("signed", _SIGNATURES.get(str(plan.authenticity), str(plan.authenticity)))
    yield from (_fact("warning", Painted(words, "warning")) for words in plan.warnings)
    yield from _states(plan)
    yield from _tables(plan)
    yield from (_fact("secret", f"{one.name}: {one.what}") for one in plan.secrets)
    yield from (_fact("API key", f"{one.id} ({one.name}): {one.what}") for one in plan.keys)
    carried = f"{_many(plan.audit_carried, 'entry')} made since; " if plan.audit_carried else ""
    yield _fact("audit log", f"{carried}{plan.audit_note}")
    yield _fact("configuration", _CONFIGS.get(plan.config, plan.config).replace("{configure}", configure))
    yield _fact("room", f"{bridge.format_size(plan.needs_bytes)} needed meanwhile")
    if plan.would_resend:
        words = f"{_many(plan.would_resend, 'message')} that waited in the backup and went out since: not sent again"
        yield _fact("delivered", words)
    them = "it" if plan.held_total == 1 else "them"
    yield _fact("held", f"{_many(plan.held_total, 'message')} will wait until you release {them}; nothing is sent")
    yield from _held([(one.id, one.target, one.subject, one.reason) for one in plan.held], plan.held_total)


def _states(plan: bridge.RestorePlan) -> Iterator[Line]:
    yield _counts("messages", "here", "backup", "after")
    for state, (here, there, after) in plan.states.items():
        if here or there or after:
            yield _counts(f"  {state}", str(here), str(there), str(after))


def _tables(plan: bridge.RestorePlan) -> Iterator[Line]:
    changed = [one for one in plan.tables if one.after != one.here]
    if changed:
        yield _counts("rows", "here", "backup", "after")
    for one in changed:
        yield _counts(f"  {one.table}", str(one.here), str(one.backup), str(one.after))


def _counts(title: str, *numbers: str) -> Line:
    return (Painted(f"{title:<{_TITLE + 8}}", "dim"), "".join(f"{number:>10}" for number in numbers))


def done_lines(done: Mapping[str, Any]) -> Iterator[Line]:
    """Yield what a restore did, by its document."""
    took = bridge.format_duration(max(done["took_ms"], 1))
    yield (Painted("restored", "ok"), f" {done['archive']} in {took}")
    if done["safety_backup"]:
        yield _fact("undo", f"chronos restore apply {done['safety_backup']}")
    yield _fact("audit log", f"{_many(done['audit_entries_carried'], 'entry')} of before carried forward")
    yield from (_fact("note", words) for words in done["notes"])
    if not done["held_total"]:
        yield _fact("held", "no message")
        return
    yield _fact("held", f"{_many(done['held_total'], 'message')}, each with its reason, until you release or cancel it")
    yield from _held(
        [(one["id"], one["target"], one["subject"], one["reason"]) for one in done["held"]], done["held_total"]
    )
    yield _fact("to release", f"chronos outbox release --filter 'tag:{done['tag']}'")


def _held(found: list[tuple[int, str, str, str]], total: int) -> Iterator[Line]:
    for number, target, subject, reason in found[:_MOST_SHOWN]:
        yield (Painted(f"  #{number}", "dim"), f"  {target}  {subject[:60]}: {reason}")
    left = total - min(len(found), _MOST_SHOWN)
    if left:
        yield (Painted(f"  and {left} more", "dim"),)


def _fact(title: str, words: Part) -> Line:
    return (Painted(f"{title:<{_TITLE}}", "dim"), " ", words)


def _many(n: int, noun: str) -> str:
    plural = f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{n} {noun if n == 1 else plural}"
