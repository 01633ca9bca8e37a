"""Incidents as people read them: rows, one in full with its page of the playbook, what an act did. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from chronos_tui import bridge
from chronos_tui.views import times, when
from chronos_tui.views.spans import Document, Line, Span

SEVERITIES = {
    "critical": ("✗", "failed"),
    "high": ("✗", "failed"),
    "medium": ("!", "warning"),
    "low": ("·", "dim"),
}
"""Symbol and role; the word stands beside it everywhere."""

_STATES = {"open": ("open", "bold"), "acknowledged": ("ack", "dim"), "resolved": ("resolved", "dim")}
_SERIOUS = frozenset({"critical", "high"})
_WORDS = 2_000


def severity(word: str) -> Span:
    """Return a severity, or a risk, as symbol and word."""
    symbol, role = SEVERITIES.get(word, ("·", "dim"))
    return Span(f"{symbol} {bridge.safe_line(word, 12)}", role)


def row(one: bridge.Incident, now_ms: int) -> tuple[Span, ...]:
    """Return number, severity, what, subject, how often, when last, state, the newest words."""
    state, role = _STATES.get(one.state, (bridge.safe_line(one.state, 12), ""))
    over = one.state == "resolved"
    bad = severity(one.severity)
    return (
        Span(str(one.id), "dim"),
        Span(bad.text, "dim" if over else bad.role),
        Span(title(one.kind), "dim" if over else ""),
        Span(bridge.safe_line(one.subject, 200), "dim" if over else ""),
        Span(times.number(one.count), "" if one.count > 1 and not over else "dim"),
        Span(times.coarse(one.last_ms, now_ms), "dim"),
        Span(state, role),
        Span(bridge.safe_line(one.detail, 300), "dim"),
    )


def title(kind: str) -> str:
    """Return what a kind of incident is called; an unknown one by its own name."""
    page = bridge.playbook_page(kind)
    return page.title if page is not None else bridge.safe_line(kind, 60)


def heading(one: bridge.Incident) -> str:
    """Return an incident for a title or a sentence: "incident 3, Replayed event"."""
    return f"incident {one.id}, {title(one.kind)}"


def document(one: bridge.Incident, now_ms: int) -> Document:
    """Return everything about one incident, then its page of the playbook."""
    lines: list[Line] = [
        (
            severity(one.severity),
            Span(f"  {title(one.kind)}", "title"),
            Span(f"  {bridge.safe_line(one.subject, 200)}"),
        ),
        (Span(bridge.safe_line(one.detail, _WORDS)),),
        (),
        _field("state", _state(one, now_ms)),
        _field("happened", _happened(one, now_ms)),
    ]
    if one.note:
        lines.append(_field("note", bridge.safe_line(one.note, _WORDS)))
    if one.alert_uid:
        lines.append(_field("told", "a message was queued for it: o opens it"))
    return (*lines, *_page(one.kind))


def _state(one: bridge.Incident, now_ms: int) -> str:
    if one.state == "open" or one.changed_ms is None:
        return "open: nobody has looked after it yet"
    by = bridge.safe_line(one.changed_by, 60)
    return f"{bridge.safe_line(one.state, 20)} by {by}, {when.ago(one.changed_ms, now_ms)}"


def _happened(one: bridge.Incident, now_ms: int) -> str:
    if one.count == 1:
        return f"once, {when.full(one.first_ms)}, {when.ago(one.first_ms, now_ms)}"
    last = f"{when.full(one.last_ms)}, {when.ago(one.last_ms, now_ms)}"
    return f"{times.number(one.count)} times since {when.full(one.first_ms)}; last {last}"


def _page(kind: str) -> Document:
    page = bridge.playbook_page(kind)
    if page is None:
        return ((), (Span("The playbook has no page for this kind.", "dim"),))
    lines: list[Line] = []
    for name, found in (("What it means", page.means), ("How to check", page.check), ("What to do", page.act)):
        lines += [(), (Span(name, "title"),)]
        several = (found,) if isinstance(found, str) else found
        mark = "· " if len(several) > 1 else ""
        lines += [(Span(f"{mark}{line}"),) for line in several]
    lines += [(), (Span("The rule", "title"),), (Span(page.rule),), (Span(f"Source: {page.source}", "dim"),)]
    return tuple(lines)


def _field(name: str, value: str, role: str = "") -> Line:
    return (Span(f"{name:<10}", "dim"), Span(value, role))


def summary(found: Sequence[bridge.Incident], *, everything: bool) -> str:
    """Return what the list holds, for its title."""
    unsettled = [one for one in found if one.state != "resolved"]
    if not everything:
        return f"{len(unsettled)} to look after; h shows resolved ones too" if found else ""
    return f"{len(unsettled)} to look after, {len(found) - len(unsettled)} resolved; h hides those"


def empty(*, everything: bool) -> tuple[Line, ...]:
    """Say what no incident means."""
    if everything:
        return ((Span("✓ Nothing has happened yet that a rule calls an incident.", "ok"),),)
    return ((Span("✓ Nothing to look after.", "ok"), Span("  h", "accent"), Span(" shows what is resolved.", "dim")),)


# What the shell shows of it


def serious(found: Sequence[bridge.Incident]) -> list[bridge.Incident]:
    """Return the incidents that nobody has looked after and that cannot wait, in their order: the worst first."""
    return [one for one in found if one.state == "open" and one.severity in _SERIOUS]


def serious_words(waiting: Sequence[bridge.Incident]) -> str:
    """Return them in words for the first line: "2 incidents, 1 critical"."""
    critical = sum(one.severity == "critical" for one in waiting)
    words = "1 incident" if len(waiting) == 1 else f"{len(waiting)} incidents"
    return f"{words}, {critical} critical" if critical and len(waiting) > 1 else f"{words}{', critical' * critical}"


def badge(unsettled: int, waiting: int) -> tuple[str, str]:
    """Return what stands beside the panel's word in the tabs. waiting: those of `serious`."""
    return (str(unsettled), "failed" if waiting else "warning") if unsettled else ("", "")
