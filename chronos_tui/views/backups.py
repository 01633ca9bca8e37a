"""Backups as people read them: how each is proven, how it stands with all, what is under way, what goes. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from chronos_tui import bridge
from chronos_tui.views import times, when
from chronos_tui.views.acts import Preview
from chronos_tui.views.spans import Line, Span, width

_PROOFS = {
    "proven": ("✓ proven", "ok"),
    "unproven": ("! unproven", "warning"),
    "failed": ("✗ failed", "failed"),
}
KINDS = {"scheduled": "scheduled", "manual": "by hand", "safety": "safety", "found": "found"}
_MOST_SAMPLES = 8


def proof(one: bridge.Backup) -> Span:
    """Return how far a backup can be trusted, in symbol and word."""
    if one.gone_ms is not None:
        return Span("✗ gone", "failed")
    if one.verified_ok is False:
        return Span("✗ damaged", "failed")
    return Span(*_PROOFS.get(str(one.proof), (bridge.safe_line(str(one.proof), 12), "")))


def why(one: bridge.Backup) -> str:
    """Return in words what keeps a backup from being proven; "" where nothing does."""
    if one.gone_ms is not None:
        return "its file is not where it was"
    if one.verified_ok is False:
        return bridge.safe_line(one.verified_word or "its file is not what was written", 500)
    return bridge.safe_line(one.proof_detail, 500)


def copies(one: bridge.Backup) -> Span:
    """Return how many of its copies off the box are made: "2/2"."""
    if not one.copies:
        return Span("")
    made = sum(copy.state == "copied" for copy in one.copies)
    words = f"{made}/{len(one.copies)}"
    if made == len(one.copies):
        return Span(words, "ok")
    return Span(f"✗ {words}", "failed") if failing(one) else Span(words)


def failing(one: bridge.Backup) -> int:
    """Return how many of its copies were tried in vain."""
    return sum(copy.state == "failed" or (copy.state == "waiting" and copy.attempts > 0) for copy in one.copies)


def row(one: bridge.Backup, now_ms: int) -> tuple[Span, ...]:
    """Return proof, when it was taken, age, size, kind, copies, encrypted, name, in words."""
    return (
        proof(one),
        Span(when.stamp(one.taken_ms)[:16]),
        Span(times.coarse(one.taken_ms, now_ms)),
        Span(bridge.format_size(one.size)),
        Span(KINDS.get(str(one.kind), "")),
        copies(one),
        Span("encrypted" if one.encrypted else "", "dim"),
        Span(bridge.safe_line(one.name, 120)),
        Span(why(one), "dim"),
    )


def key(one: bridge.Backup) -> str:
    """Return what its row is called for ever."""
    return bridge.safe_line(f"{one.folder}/{one.name}", 1_000)


def summary(found: Sequence[bridge.Backup]) -> str:
    """Return what the list holds, for its title."""
    if not found:
        return ""
    proven = sum(proof(one).role == "ok" for one in found)
    here = [one for one in found if one.gone_ms is None]
    total = bridge.format_size(sum(one.size for one in here))
    return f"{times.number(len(found))}, {times.number(proven)} proven, {total}"


def empty(*, read_only: bool) -> tuple[Line, ...]:
    """Say what no backup means."""
    if read_only:
        return ((Span("No backup yet. This cockpit is read-only: it cannot make one."),),)
    return ((Span("No backup yet. Press "), Span("b", "accent"), Span(" to make one.")),)


# How it stands


def line(found: bridge.BackupStanding, now_ms: int, cells: int) -> Line:
    """Return the line above the list: last proven restore, what comes next, where they lie and the room there.

    What matters least is left out where it gets narrow.
    """
    parts = [
        [last_proven(found, now_ms)],
        [next_one(found, now_ms)],
        [_room(found)],
        [Span(bridge.safe_line(found.folder, 120), "dim")],
    ]
    if found.copies_failing:
        parts.insert(1, [Span(f"✗ copies failing: {found.copies_failing}", "failed")])
    shown: list[Span] = []
    for part in parts:
        more = [*shown, Span(" · " if shown else " ", "dim"), *part]
        if width(tuple(more)) > cells and shown:
            continue
        shown = more
    return tuple(shown)


def last_proven(found: bridge.BackupStanding, now_ms: int) -> Span:
    """Return when a backup was restored last to prove it."""
    if found.proven_ms is None:
        return Span("! no proven restore yet" if found.count else "no proven restore yet", "warning")
    words = f"last proven restore {when.ago(found.proven_ms, now_ms)}"
    if now_ms - found.proven_ms > found.critical_ms:
        return Span(f"✗ {words}", "failed")
    if now_ms - found.proven_ms > found.warning_ms:
        return Span(f"! {words}", "warning")
    return Span(f"✓ {words}", "ok")


def next_one(found: bridge.BackupStanding, now_ms: int) -> Span:
    """Return when the schedule makes another one."""
    if found.next_ms is None:
        return Span("! none is scheduled", "warning")
    return Span(f"next {times.moment(found.next_ms, now_ms)[:-3]}")


def _room(found: bridge.BackupStanding) -> Span:
    if found.free_bytes is None:
        return Span("✗ the folder cannot be read", "failed")
    return Span(f"{_coarse(found.free_bytes)} free")


def _coarse(size: int) -> str:
    """Return a size that does not move with every message: "70 GiB", "1.5 GiB"."""
    number, _, unit = bridge.format_size(size).partition(" ")
    return f"{number.partition('.')[0] if len(number.partition('.')[0]) > 1 else number} {unit}"


def badge(found: Sequence[bridge.Backup]) -> tuple[str, str]:
    """Return what stands beside the panel's word: the newest that is no good, copies that fail."""
    newest = next((one for one in found if one.gone_ms is None), None)
    if newest is not None and proof(newest).role == "failed":
        return "failed", "failed"
    bad = sum(failing(one) for one in found)
    return (f"{bad} copies failing" if bad > 1 else "1 copy failing", "failed") if bad else ("", "")


# What is under way

_ACTS = {"backup": "backing up", "restore": "restoring"}
_STOPS = {"backup": "nothing is left behind", "restore": "everything is as it was before"}


def progress(stage: str, done: int, total: int, cells: int) -> Line:
    """Return how far something is: "copying the database  ██████────── 45 %"; without a total the stage alone."""
    words = bridge.safe_line(stage, 100) or "beginning"
    if total <= 0:
        return (Span(f"{words} …"),)
    percent = f" {max(0, min(100, 100 * done // total)):>3} %"
    room = max(4, min(30, cells - width((Span(words),)) - 2 - len(percent)))
    filled = max(0, min(room, room * done // total))
    return (Span(f"{words}  "), Span("█" * filled, "accent"), Span("─" * (room - filled), "dim"), Span(percent))


def under_way(one: bridge.EngineCommand, cells: int, *, keys: bool = True) -> Line:
    """Return the line of an act that waits or runs, whichever process does it. keys: say which one cancels it."""
    what = _ACTS.get(one.kind, bridge.safe_line(one.kind, 30))
    before = (Span(" ▸ ", "accent"), Span(what, "bold"), Span(" · ", "dim"))
    after = (Span("   x", "accent"), Span(" cancels", "dim")) if keys and not one.cancel_requested else ()
    if one.cancel_requested:
        return (*before, Span("cancelled: it ends at its next step", "warning"))
    if one.state == "waiting":
        return (*before, Span("waits for the engine to take it"), *after)
    return (*before, *progress(one.stage, one.done, one.total, cells - width((*before, *after))), *after)


def doing(one: bridge.EngineCommand) -> str:
    """Return what an act does and who asked for it."""
    what = _ACTS.get(one.kind, bridge.safe_line(one.kind, 30))
    return f"{what}, asked for by {bridge.safe_line(one.actor, 40)}"


def stopped(one: bridge.EngineCommand) -> str:
    """Return what it means to end it now."""
    return f"It ends at its next step: {_STOPS.get(one.kind, 'it ends')}."


def outcome(one: bridge.EngineCommand) -> tuple[str, str]:
    """Return what came of an act that ended, in a sentence with its role."""
    what = _ACTS.get(one.kind, bridge.safe_line(one.kind, 30))
    if one.state == "cancelled":
        return f"{what}: cancelled; {_STOPS.get(one.kind, 'it ended')}", "warning"
    if one.state == "expired":
        return f"{what}: no engine took it in time; see 'chronos health', then ask again", "failed"
    if one.state != "done":
        return f"{what}: {bridge.safe_line(one.error, 250) or 'it failed'}", "failed"
    result = one.result or {}
    if one.kind != "backup":
        return f"{what}: done", "ok"
    took = result.get("took_ms")
    return _made(str(result.get("name", "")), str(result.get("proof", "")), took if isinstance(took, int) else 0)


def made(one: bridge.Backup) -> tuple[str, str]:
    """Return what came of making a backup, in a sentence with its role."""
    return _made(one.name, str(one.proof), one.took_ms)


def _made(name: str, proven: str, took_ms: int) -> tuple[str, str]:
    words = f"{bridge.safe_line(name, 100)}: made in {bridge.format_duration(max(took_ms, 1))}"
    if proven == "proven":
        return f"{words}, proven by a trial restore", "ok"
    return f"{words}, not proven; enter says why", "warning"


# Retention


def pruning(found: Sequence[bridge.Decision], now_ms: int) -> Preview:
    """Return what is asked before backups are removed that retention does not keep."""
    goes = [one for one in found if not one.keep]
    total = bridge.format_size(sum(one.backup.size for one in goes))
    lines: list[Line] = [
        (Span(f"{times.number(len(goes))} of {times.number(len(found))} backups go, "), Span(f"{total}."))
    ]
    for one in goes[:_MOST_SAMPLES]:
        age = times.coarse(one.backup.taken_ms, now_ms)
        shown = f"{bridge.safe_line(one.backup.name, 50)}  {age}"
        lines.append((Span("  ✗ ", "warning"), Span(shown), Span(f"  {bridge.safe_line(one.reason, 60)}", "dim")))
    if len(goes) > _MOST_SAMPLES:
        lines.append((Span(f"  and {times.number(len(goes) - _MOST_SAMPLES)} more"),))
    lines += [(), (Span("Their files are gone for good; copies off the box stay where they are.", "warning"),)]
    return Preview("Remove what retention does not keep?", tuple(lines), "remove", str(len(goes)))


def pruned(found: Sequence[bridge.Decision]) -> str:
    """Return what was removed, in a sentence."""
    goes = [one for one in found if not one.keep]
    if not goes:
        return "retention keeps all of them: nothing goes"
    total = bridge.format_size(sum(one.backup.size for one in goes))
    return f"{times.number(len(goes))} removed, {total} free again"
