"""The audit log as people read it: rows, one entry in full, the line above the list. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from chronos_tui import bridge
from chronos_tui.views import auditwords, times, when
from chronos_tui.views.auditwords import text_of
from chronos_tui.views.spans import Document, Line, Span, width

_LONGEST_WORDS = 300
_LONGEST_VALUE = 4_000
_LONGEST_JSON = 200_000
_DEEPEST = 40
_UID = re.compile(r"msg_[0-9a-f]{32}")
_ROLES = {
    "message.dead": "failed",
    "message.uncertain": "warning",
    "message.expired": "warning",
    "message.delivered": "ok",
    "target.breaker_opened": "failed",
    "target.disabled": "failed",
    "target.breaker_closed": "ok",
    "target.enabled": "ok",
    "hold.started": "held",
    "clock.set_back": "warning",
}
_RISKS = {"low": ("", "dim"), "medium": ("·", ""), "high": ("!", "warning"), "critical": ("✗", "failed")}
"""Mark and role. Nearly every entry is low: nothing stands there then."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What the last verification found, and when. bad_seq: the first entry that is wrong or missing. signed: how many
    signatures fit.
    """

    at_ms: int
    entries: int
    bad_seq: int | None = None
    why: str = ""
    signed: int = 0


def cells(entry: bridge.AuditEntry, now_ms: int, *, wide: bool, bad_seq: int | None = None) -> tuple[Span, ...]:
    """Return a row: risk, number, time, actor, action, subject, detail. bad_seq: what is marked.

    wide: the time is absolute, the risk a word.
    """
    bad = bad_seq == entry.seq
    return (
        risk(entry, wide=wide),
        Span(f"✗ {entry.seq}" if bad else str(entry.seq), "failed" if bad else "dim"),
        Span(_time(entry, now_ms, wide=wide), "dim"),
        Span(bridge.safe_line(entry.actor, 60)),
        Span(bridge.safe_line(entry.action, 60), _ROLES.get(entry.action, "")),
        Span(_subject(entry, wide=wide)),
        Span(auditwords.words(entry)),
    )


def risk(entry: bridge.AuditEntry, *, wide: bool) -> Span:
    """Return how risky an entry is: symbol and word, or a mark alone where the word stands in its details."""
    level = entry.risk.level.value
    mark, role = _RISKS.get(level, ("", ""))
    return Span(f"{mark} {level}".strip() if wide else mark, role)


def _subject(entry: bridge.AuditEntry, *, wide: bool) -> str:
    """A message by its number, which is what people know it by; its uid only where there is room."""
    detail: object = entry.detail
    number = detail.get("id") if isinstance(detail, Mapping) else None
    subject = bridge.safe_line(entry.subject, 100)
    if type(number) is not int or not _UID.fullmatch(entry.subject):
        return subject
    return f"#{number} {subject}" if wide else f"#{number}"


def _time(entry: bridge.AuditEntry, now_ms: int, *, wide: bool) -> str:
    at_ms = when.parse_ms(entry.at)
    if at_ms is None:
        return bridge.safe_line(entry.at, 19)
    return when.stamp(at_ms) if wide else times.coarse(at_ms, now_ms)


# One entry in full


def document(entry: bridge.AuditEntry, verified: Verified | None = None) -> Document:
    """Return every field, the detail as readable lines, the hashes, and what was hashed."""
    at_ms = when.parse_ms(entry.at)
    local = f"{when.full(at_ms)}   " if at_ms is not None else ""
    lines: list[Line] = []
    if verified is not None and verified.bad_seq == entry.seq:
        lines += [(Span(f"✗ {bridge.safe_line(verified.why, _LONGEST_WORDS)}", "failed"),), ()]
    lines += [
        _field("entry", str(entry.seq), "bold"),
        _field("at", f"{local}{bridge.safe_line(entry.at, 40)}"),
        _field("actor", bridge.safe_line(entry.actor, 200)),
        _field("action", bridge.safe_line(entry.action, 200), _ROLES.get(entry.action, "")),
        _field("subject", bridge.safe_line(entry.subject, 1_000)),
        _field("meaning", auditwords.words(entry)),
        _field("risk", f"{risk(entry, wide=True).text}: {entry.risk.reason}", risk(entry, wide=True).role),
        (),
        (Span("Detail", "title"),),
        *(_detail(entry.detail) or [(Span("  nothing more", "dim"),)]),
        (),
        _field("hash", bridge.safe_line(entry.hash, 100)),
        _field("previous", bridge.safe_line(entry.prev, 100)),
        (),
        (Span("What was hashed", "title"), Span("   canonical JSON, without the hash", "dim")),
    ]
    lines += [(Span(f"  {line}"),) for line in bridge.safe_block(entry.body, _LONGEST_JSON).split("\n")]
    return tuple(lines)


def _field(name: str, value: str, role: str = "") -> Line:
    return (Span(f"{name:<10}", "dim"), Span(value, role))


def _detail(value: object, name: str = "", depth: int = 1) -> list[Line]:
    """Return a value as lines: a name a line, what is nested below it further in."""
    indent = "  " * depth
    label = [Span(f"{indent}{bridge.safe_line(name, 60)}", "dim")] if name else [Span(indent)]
    nested = _inside(value)
    if nested is None or depth > _DEEPEST:
        shown = bridge.safe_block(text_of(value), _LONGEST_VALUE).split("\n")
        first = (*label, Span(f"  {shown[0]}" if name else shown[0]))
        return [first, *((Span(f"{indent}  {line}"),) for line in shown[1:])]
    lines = [tuple(label)] if name else []
    inside = depth + 1 if name else depth
    for key, one in nested:
        lines += _detail(one, str(key), inside)
    return lines


def _inside(value: object) -> list[tuple[object, object]] | None:
    """Return what a value holds; None for one that fits on a line, as a list of numbers does."""
    if isinstance(value, Mapping):
        return list(value.items())
    if isinstance(value, list) and any(isinstance(one, Mapping | list) for one in value):
        return list(enumerate(value, 1))
    return None


def entry_title(seq: int | None, cells_: int) -> Line:
    """Return the line above the details."""
    name = f"entry {seq}" if seq is not None else "no entry"
    keys = " z zoom   esc closes "
    line = (Span("─ ", "dim"), Span(name, "title"), Span(" "))
    rest = cells_ - width(line) - len(keys) - 1
    return (*line, Span("─" * max(0, rest), "dim"), *((Span(keys, "dim"), Span("─", "dim")) if rest > 0 else ()))


def speaks_of(entry: bridge.AuditEntry) -> str:
    """Return the uid of the message that an entry is about or came from; "" for none."""
    detail: object = entry.detail
    by = detail.get("by") if isinstance(detail, Mapping) else None
    for word in (entry.subject, by):
        if isinstance(word, str) and _UID.fullmatch(word):
            return word
    return ""


# Filters


def moves_with_time(expression: str) -> bool:
    """Whether entries leave or enter what matches as time passes."""
    return any(term.field == "age" for term in bridge.parse_filter(expression, bridge.AUDIT_FIELDS))


def since_ms(expression: str, now_ms: int) -> int | None:
    """Return from when on a filter wants entries; None where it names no time."""
    found = [
        term.number if term.field == "since" else now_ms - term.number
        for term in bridge.parse_filter(expression, bridge.AUDIT_FIELDS)
        if not term.negated and (term.field == "since" or (term.field == "age" and term.op in {"<", "<="}))
    ]
    return max(found, default=None)


# The line above the list


@dataclass(frozen=True, slots=True)
class Heading:
    """What the title of the list says. head: number and hash of the newest entry. note: what is under way."""

    expression: str = ""
    head_seq: int = 0
    head_hash: str = ""
    verified: Verified | None = None
    newer: int = 0
    note: str = ""


def title(heading: Heading, now_ms: int, cells_: int) -> Line:
    """Return what is listed, what the last verification found, and the log's head at the right."""
    parts: list[Span] = []
    if heading.expression:
        parts.append(Span(bridge.safe_line(heading.expression, 200), "warning"))
    if heading.note:
        parts.append(Span(bridge.safe_line(heading.note, 100), "accent"))
    elif heading.newer:
        parts.append(Span(f"{times.number(heading.newer)} newer above", "accent"))
    whole, short = _verdict(heading.verified, now_ms)
    digest = bridge.safe_line(heading.head_hash, 100)[:8]
    heads = (f" head {times.number(heading.head_seq)} {digest} ", f" {times.number(heading.head_seq)} ", "")
    line: Line = ()
    for verdict in (whole, short):
        for head in heads if heading.head_seq else ("",):
            line = _rule([*parts, *verdict], head, cells_)
            if width(line) <= cells_:
                return line
    return line


def _rule(parts: list[Span], right: str, cells_: int) -> Line:
    line = [Span("─ ", "dim"), Span("Audit", "title"), Span(" ")]
    for part in parts:
        line += [Span("── ", "dim"), part, Span(" ")]
    end = [Span(right), Span("─", "dim")] if right else []
    return (*line, Span("─" * max(0, cells_ - width((*line, *end))), "dim"), *end)


def _verdict(verified: Verified | None, now_ms: int) -> tuple[list[Span], list[Span]]:
    """Return it in full and in short."""
    if verified is None:
        return [], []
    at = times.moment(verified.at_ms, now_ms)
    if verified.bad_seq is None:
        counted = times.number(verified.entries)
        if verified.signed:
            whole = [Span(f"✓ verified {at}: {counted} entries, {times.number(verified.signed)} signed heads", "ok")]
            return whole, [Span(f"✓ verified {at}", "ok")]
        return [Span(f"✓ verified {at}: {counted} entries", "ok")], [Span(f"✓ verified {at}", "ok")]
    why = bridge.safe_line(verified.why, _LONGEST_WORDS)
    return [Span(f"✗ {why} (f)", "failed")], [Span(f"✗ entry {verified.bad_seq} (f)", "failed")]


_BAR = 20


def progress(doing: str, done: int, total: int, cells_: int) -> Line:
    """Return how far a long piece of work is, as a number and a bar. total 0: not known yet."""
    share = min(1.0, done / total) if total else 0.0
    filled = int(share * _BAR)
    bar = "█" * filled + "░" * (_BAR - filled)
    counted = f"{times.number(done)} of {times.number(total)}" if total else "…"
    line = (
        Span(f" {doing} {counted}  "),
        Span(bar, "accent"),
        Span(f" {int(share * 100):>3} %   "),
        Span("esc", "accent"),
        Span(" cancels"),
    )
    return line if width(line) <= cells_ else (line[0], *line[2:])


# Signatures


def proven(found: bridge.ChainResult) -> str:
    """Return what a verification without a fault has proven, and what it could not."""
    said = f"{times.number(found.entries)} entries verified: the chain is whole"
    if found.checkpoints:
        said += f", {times.number(found.checkpoints)} signed heads fit"
    return f"{said}; {bridge.safe_line(found.note, 200)}" if found.note else said


def signing(found: bridge.Signing, now_ms: int, cells_: int) -> Line:
    """Return the line below the list: how far the log is signed, and who else knows its head."""
    if found.newest is None:
        why = (
            "the engine makes one soon; c makes one now"
            if found.vault
            else "there is no vault to sign with; 7 v makes one"
        )
        return (Span(" no checkpoint: ", "warning"), Span(why, "dim"))
    age = when.ago(now_ms - max(0, found.age_ms or 0), now_ms)
    since = f", {times.number(found.since)} {'entry' if found.since == 1 else 'entries'} since"
    head = [Span(f" ✓ signed up to {times.number(found.newest.seq)}", "ok"), Span(f", {age}{since}", "dim")]
    if found.sent is not None:
        told = f"witnessed {when.ago(found.sent.at_ms, now_ms)} to {bridge.safe_line(found.sent.to, 30)}"
    elif found.witness:
        told = f"not yet witnessed to {bridge.safe_line(found.witness, 30)}"
    else:
        told = "nobody else knows the head: W sends it"
    line = (*head, Span(f"; {told}", "dim" if found.sent is not None else "warning"))
    return line if width(line) <= cells_ else (head[0], *line[2:])
