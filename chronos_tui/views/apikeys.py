"""API keys as people read them: rows, one in full, what is asked before one ends. Never a key's own text. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from chronos_tui import bridge
from chronos_tui.views import times, when
from chronos_tui.views.acts import Preview
from chronos_tui.views.spans import Document, Line, Span

_STATES = {
    "active": ("✓", "ok"),
    "expiring": ("!", "warning"),
    "replaced": ("!", "warning"),
    "expired": ("·", "dim"),
    "revoked": ("·", "dim"),
}
_OVER = frozenset({"expired", "revoked"})


def row(one: bridge.ApiKey, now_ms: int) -> tuple[Span, ...]:
    """Return name, id, scopes, what it is bound to, state, when it was used last and from where."""
    state = one.state(now_ms)
    symbol, role = _STATES.get(state, ("·", ""))
    quiet = "dim" if state in _OVER else ""
    return (
        Span(bridge.safe_line(one.name, 100), quiet),
        Span(bridge.safe_line(one.id, 20), "dim"),
        Span(",".join(one.scopes), quiet),
        Span(bound(one), "dim"),
        Span(f"{symbol} {state}", role),
        Span(_used(one, now_ms), quiet or ("warning" if _still(one) else "")),
    )


def bound(one: bridge.ApiKey) -> str:
    """Return to which targets and networks a key is bound; "anywhere" for none."""
    parts = []
    if one.targets:
        parts.append(f"to {','.join(one.targets)}")
    if one.networks:
        parts.append(f"from {','.join(one.networks)}")
    return bridge.safe_line(" ".join(parts), 200) or "anything"


def _still(one: bridge.ApiKey) -> bool:
    """Whether somebody has used it since it has a successor."""
    return one.replaced_ms is not None and one.last_used_ms is not None and one.last_used_ms >= one.replaced_ms


def _used(one: bridge.ApiKey, now_ms: int) -> str:
    if one.last_used_ms is None:
        return "never used"
    still = "still used " if _still(one) else ""
    origin = f" from {bridge.safe_line(one.last_used_from, 50)}" if one.last_used_from else ""
    return f"{still}{when.ago(one.last_used_ms, now_ms)}{origin}"


def document(one: bridge.ApiKey, others: Sequence[bridge.ApiKey], now_ms: int) -> Document:
    """Return everything that is known of a key. others: among which its successor is."""
    state = one.state(now_ms)
    symbol, role = _STATES.get(state, ("·", ""))
    names = {other.id: other.name for other in others}
    lines: list[Line] = [
        (Span(bridge.safe_line(one.name, 200), "title"), Span(f"  key:{bridge.safe_line(one.id, 20)}", "dim")),
        (),
        (
            Span(f"{'state':<10}", "dim"),
            Span(f"{symbol} {state}", role),
            Span(f"  {bridge.safe_line(one.words(now_ms), 300)}"),
        ),
        _field("scopes", ", ".join(one.scopes)),
        _field("targets", bridge.safe_line(", ".join(one.targets), 500) or "any target"),
        _field("networks", bridge.safe_line(", ".join(one.networks), 500) or "from anywhere"),
        _field("made", f"{when.full(one.created_ms)} by {bridge.safe_line(one.created_by, 60)}"),
        _field("expires", when.full(one.expires_ms) if one.expires_ms is not None else "never"),
    ]
    if one.revoked_ms is not None:
        lines.append(_field("revoked", when.full(one.revoked_ms)))
    if one.successor:
        name = names.get(one.successor, "")
        lines.append(_field("replaced", f"by {bridge.safe_line(name, 100)} key:{bridge.safe_line(one.successor, 20)}"))
    used = "never" if one.last_used_ms is None else f"{when.full(one.last_used_ms)}, {_used(one, now_ms)}"
    lines += [
        _field("last used", used),
        _field("uses", times.number(one.uses)),
        (),
        (Span("The key itself is kept nowhere. Who has lost it makes a new one.", "dim"),),
    ]
    return tuple(lines)


def _field(name: str, value: str) -> Line:
    return (Span(f"{name:<10}", "dim"), Span(value))


def summary(found: Sequence[bridge.ApiKey], now_ms: int) -> str:
    """Return what the list holds, for its title."""
    states = [str(one.state(now_ms)) for one in found]
    counted = [f"{states.count(state)} {state}" for state in _STATES if states.count(state)]
    return ", ".join(counted)


EMPTY: tuple[Line, ...] = (
    (Span("No API key yet. "), Span("n", "accent"), Span(" makes one, for a program that sends over HTTP.")),
)


def revoking(one: bridge.ApiKey, now_ms: int) -> Preview:
    """Return what is asked before a key is revoked."""
    used = _used(one, now_ms)
    name = bridge.safe_line(one.name, 60)
    return Preview(
        f"Revoke {name}?",
        (
            (Span(name, "bold"), Span(f"  key:{bridge.safe_line(one.id, 20)}  {','.join(one.scopes)}", "dim")),
            (Span(f"last used: {used}", "warning" if one.last_used_ms is not None else ""),),
            (Span(f"uses: {times.number(one.uses)}"),),
            (),
            (Span("It opens nothing from then on. A program that still uses it is refused and"),),
            (Span("opens an incident. To exchange a key without a gap, rotate it (R)."),),
            (Span("It cannot be undone.", "warning"),),
        ),
        "revoke",
        name,
    )


def shown_once(key: bridge.ApiKey, replaced: bridge.ApiKey | None, now_ms: int) -> Document:
    """Return what stands below a new key, where it is shown."""
    lines: list[Line] = [
        (Span("Put it now where the program reads it: it is never shown again.", "bold"),),
        (Span("Authorization: Bearer chr_…", "dim"), Span(f"   {','.join(key.scopes)}, {bound(key)}"[:44], "dim")),
    ]
    if replaced is not None and replaced.expires_ms is not None:
        ends = when.left(replaced.expires_ms, now_ms) if replaced.expires_ms > now_ms else "it opens nothing any more"
        lines.append((Span(f"The old one, key:{replaced.id}, {ends}.", "warning"),))
    return tuple(lines)


def rotating(one: bridge.ApiKey, overlap_ms: int, now_ms: int) -> Preview:
    """Return what is asked before a key gets a successor."""
    name = bridge.safe_line(one.name, 60)
    overlap = f"for {bridge.format_duration(overlap_ms)} more" if overlap_ms else "no longer: at once"
    return Preview(
        f"Rotate {name}?",
        (
            (Span(name, "bold"), Span(f"  key:{bridge.safe_line(one.id, 20)}  {','.join(one.scopes)}", "dim")),
            (Span(f"last used: {_used(one, now_ms)}"),),
            (),
            (Span("A new key of the same name, scopes and bindings is made and shown once."),),
            (Span(f"The old one works {overlap}.", "warning" if not overlap_ms else ""),),
            (Span("It cannot be undone.", "warning"),),
        ),
        "rotate",
        name,
    )


def ordered(found: Sequence[bridge.ApiKey], now_ms: int) -> list[bridge.ApiKey]:
    """Return those that open something first; of each state the newest at the top."""
    order = list(_STATES)
    return sorted(found, key=lambda one: order.index(str(one.state(now_ms))))
