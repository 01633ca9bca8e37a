"""What is typed into the form of a new message, judged by the engine's own rules. Stores nothing, sends nothing."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import tzinfo
from pathlib import Path
from typing import NamedTuple

from chronos_tui import bridge
from chronos_tui.commands import reading, times
from chronos_tui.dialogs.pathnames import begun
from chronos_tui.views.quoting import quoted, words

PRIORITIES = ("normal", "low", "high", "urgent")
_DURATION = re.compile(r"\+?(?:[0-9]+(?:ms|[wdhms]))+")


@dataclass(frozen=True, slots=True)
class Draft:
    """What stands in the form, as typed."""

    target: str = ""
    subject: str = ""
    text: str = ""
    attach: str = ""
    when: str = ""
    expires: str = ""
    priority: str = "normal"

    @property
    def typed(self) -> bool:
        """Whether something would be lost."""
        return bool(self.subject or self.text or self.attach)


class Note(NamedTuple):
    """Words beside a field. role: dim what it means, warning what to think of, failed what is wrong."""

    words: str
    role: str = "dim"


@dataclass(slots=True)
class Judged:
    """notes: by the field's name. trouble: what is wrong with the whole although no field is. new: without files."""

    notes: dict[str, Note] = field(default_factory=dict)
    trouble: str = ""
    new: bridge.NewMessage | None = None
    files: tuple[str, ...] = ()

    @property
    def right(self) -> bool:
        """Whether it could be sent."""
        return self.new is not None and not self.trouble and all(one.role != "failed" for one in self.notes.values())

    def first_wrong(self) -> str:
        """Return the name of the first field that something is wrong with, "" for none."""
        return next((name for name, note in self.notes.items() if note.role == "failed"), "")


class Rules(NamedTuple):
    """The engine's. check: raises what enqueue would, and stores nothing. resolve: raises for an unknown target."""

    check: Callable[[bridge.NewMessage], object]
    resolve: Callable[[str], tuple[bridge.TargetSpec, Sequence[bridge.RouteStep]]]
    most_bytes: int
    zone: tzinfo
    now_ms: Callable[[], int]


def judge(draft: Draft, rules: Rules, key: str) -> Judged:
    """Judge every field, then the whole. key: the idempotency key."""
    judged = Judged()
    notes = judged.notes
    now_ms = rules.now_ms()
    notes["target"] = _target(draft.target, rules)
    good = notes["target"].role != "failed"
    notes["subject"] = _subject(draft, rules) if good else Note("")
    notes["attach"], judged.files = _files(draft.attach, rules)
    when_ms, notes["when"] = _when(draft.when, rules, now_ms)
    expires_ms, notes["expires"] = _expires(draft.expires, rules, when_ms or now_ms, now_ms)
    notes["priority"] = _priority(draft.priority)
    if any(note.role == "failed" for note in notes.values()):
        return judged
    judged.new = bridge.NewMessage(
        target=draft.target,
        subject=draft.subject,
        text=draft.text or None,
        priority=bridge.Priority[draft.priority.upper()],
        not_before_ms=when_ms,
        expires_ms=expires_ms,
        idempotency_key=key,
    )
    names = tuple(bridge.Attachment(Path(one).name, "application/octet-stream", b"") for one in judged.files)
    try:
        rules.check(judged.new._replace(attachments=names))
    except bridge.ChronosError as error:
        judged.trouble = str(error)
    return judged


def with_files(judged: Judged, most_bytes: int) -> bridge.NewMessage:
    """Return the message with its attachments read. Raises what `chronos send --attach` does."""
    assert judged.new is not None, "only what is right is sent"
    return judged.new._replace(attachments=reading.attachments(judged.files, most_bytes))


def _target(name: str, rules: Rules) -> Note:
    if not name:
        return Note("to whom? a target, a route, mailto:…", "failed")
    try:
        spec, steps = rules.resolve(name)
    except bridge.ChronosError as error:
        return Note(str(error), "failed")
    if len(steps) > 1:
        after = f"then {steps[1].target} after {bridge.format_duration(steps[1].after_ms)}"
        return Note(f"route: {steps[0].target} by {spec.channel}, {after}")
    return Note(f"by {spec.channel}" + ("" if spec.trusted else ", an address of this moment"))


def _subject(draft: Draft, rules: Rules) -> Note:
    if not draft.subject:
        return Note("")
    try:
        rules.check(bridge.NewMessage(target=draft.target, subject=draft.subject, text="x"))
    except bridge.ChronosError as error:
        return Note(str(error), "failed")
    return Note("")


def _files(text: str, rules: Rules) -> tuple[Note, tuple[str, ...]]:
    if not text.strip():
        return Note("paths; quotes keep blanks together"), ()
    try:
        names = tuple(str(Path(one).expanduser()) for one in words(text))
        size = reading.total_bytes(names, rules.most_bytes)
        for name in names:
            if not os.access(name, os.R_OK):
                return Note(f"attachment {name}: cannot be read: permission denied", "failed"), ()
    except (bridge.ChronosError, RuntimeError) as error:  # RuntimeError: "~nobody" has no home
        return Note(str(error), "failed"), ()
    n = "1 file" if len(names) == 1 else f"{len(names)} files"
    return Note(f"{n}, {bridge.format_size(size)} of at most {bridge.format_size(rules.most_bytes)}"), names


def _when(text: str, rules: Rules, now_ms: int) -> tuple[int | None, Note]:
    if not text or text == "now":
        return None, Note("now; 30m, 14:00, tomorrow 9:00")
    try:
        at_ms = _time_ms(text, rules, now_ms)
        moment = times.moment(at_ms)
    except bridge.ChronosError as error:
        return None, Note(str(error), "failed")
    except (ValueError, OverflowError, OSError):
        return None, Note("no time that this machine can show", "failed")
    if at_ms <= now_ms:
        return at_ms, Note(f"{moment} is past: leaves at once", "warning")
    return at_ms, Note(f"{moment}, {times.relative(at_ms, now_ms)}", "")


def _expires(text: str, rules: Rules, start_ms: int, now_ms: int) -> tuple[int | None, Note]:
    if not text:
        return None, Note("never; 2h after due, or a time")
    try:
        if _DURATION.fullmatch(text):
            at_ms = start_ms + bridge.parse_duration_ms(text.removeprefix("+"))
        else:
            at_ms = _time_ms(text, rules, now_ms)
        moment = times.moment(at_ms)
    except bridge.ChronosError as error:
        return None, Note(str(error), "failed")
    except (ValueError, OverflowError, OSError):
        return None, Note("no time that this machine can show", "failed")
    if at_ms <= start_ms:
        return None, Note(f"{moment} is before it could be sent; give a later time", "failed")
    return at_ms, Note(f"until {moment}", "")


def _time_ms(text: str, rules: Rules, now_ms: int) -> int:
    if _DURATION.fullmatch(text):
        return now_ms + bridge.parse_duration_ms(text.removeprefix("+"))
    return bridge.parse_time_ms(text, now_ms, rules.zone)


def _priority(text: str) -> Note:
    if text in PRIORITIES:
        return Note("")
    guess = bridge.suggest(text, PRIORITIES)
    return Note(f"did you mean {guess}?" if guess else f"one of {', '.join(PRIORITIES)}", "failed")


def complete_path(text: str, cursor: int) -> list[str]:
    """Return what the path at the end of a line of paths could become: whole lines, directories with a slash."""
    if cursor < len(text):
        return []
    start, word = _last_word(text)
    return [text[:start] + quoted(one) for one in begun(word)]


def _last_word(text: str) -> tuple[int, str]:
    """Return where the last word begins, and the word without its quote."""
    start, quote = 0, ""
    for at, char in enumerate(text):
        if quote:
            quote = "" if char == quote else quote
        elif char in "\"'":
            quote = char
        elif char == " ":
            start = at + 1
    return start, text[start:].strip("\"'")


def completions(settings: bridge.Settings) -> Mapping[str, Callable[[str, int], list[str]]]:
    """Return what completes each field, by its name."""
    names = [*settings.targets, *settings.routes]

    def starting(options: Sequence[str]) -> Callable[[str, int], list[str]]:
        return lambda text, _cursor: [one for one in options if one.lower().startswith(text.strip().lower())]

    return {
        "target": starting(names),
        "attach": complete_path,
        "when": lambda text, _cursor: [
            one for one in ("30m", "1h", "4h", "tomorrow 9:00") if text and one.startswith(text)
        ],
        "expires": lambda text, _cursor: [one for one in ("1h", "4h", "1d", "3d") if text and one.startswith(text)],
        "priority": starting(PRIORITIES),
    }
