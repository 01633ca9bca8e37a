"""Sources of incoming events as people read them: rows, one in full, its kept events. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from chronos_tui import bridge
from chronos_tui.views import times, when
from chronos_tui.views.overview import pad
from chronos_tui.views.spans import Document, Line, Span

_OUTCOMES = {"queued": ("✓", "ok"), "ignored": ("·", "dim"), "failed": ("✗", "failed")}


def row(one: bridge.SourceState, now_ms: int) -> tuple[Span, ...]:
    """Return name, verifier, accepted, duplicates, replays, rejected, when one was accepted last, the last refusal."""
    missing = one.secret_ok is False
    return (
        Span(("! " if missing else "") + bridge.safe_line(one.name, 60), "warning" if missing else ""),
        Span(bridge.safe_line(str(one.verify), 40), "dim"),
        Span(times.number(one.accepted), "" if one.accepted else "dim"),
        Span(times.number(one.duplicates), "" if one.duplicates else "dim"),
        Span(times.number(one.replays), "failed" if one.replays else "dim"),
        Span(times.number(one.rejected), "warning" if one.rejected else "dim"),
        Span(times.coarse(one.last_accepted_ms, now_ms) if one.last_accepted_ms is not None else "never", "dim"),
        Span(_last(one, now_ms), "warning" if missing or one.last_rejected_ms is not None else "dim"),
    )


def _last(one: bridge.SourceState, now_ms: int) -> str:
    if one.secret_ok is False:
        return f"nothing can be verified: {_missing(one)}"
    if one.last_rejected_ms is None:
        return "nothing was refused"
    return f"{times.coarse(one.last_rejected_ms, now_ms)}: {bridge.safe_line(one.last_reason, 200)}"


def _missing(one: bridge.SourceState) -> str:
    return bridge.safe_line(f"{', '.join(one.secrets_missing)} missing; set it under Secrets", 300)


def document(one: bridge.SourceState, events: Sequence[bridge.Event], now_ms: int) -> Document:
    """Return everything about a source: counts, why something was refused, the newest kept events."""
    lines: list[Line] = [
        (Span(bridge.safe_line(one.name, 100), "title"), Span(f"  {bridge.safe_line(str(one.verify), 40)}", "dim")),
        (),
        _field("send to", f"POST {bridge.safe_line(one.path, 200)}"),
        _field("goes to", bridge.safe_line(one.deliver, 100)),
        _field("accepted", f"{times.number(one.accepted)}; {times.number(one.duplicates)} came again, without effect"),
        _field("refused", f"{times.number(one.rejected)}, of them {times.number(one.replays)} replays"),
    ]
    if one.failed:
        lines.append(
            _field("failed", f"{times.number(one.failed)} became no message: r makes one of an event", "failed")
        )
    if one.secret_ok is not None:
        words = "is there" if one.secret_ok else f"✗ {_missing(one)}"
        lines.append(_field("secret", words, "" if one.secret_ok else "failed"))
    lines += [(), (Span("Refused lately", "title"), Span("   the sender is told nothing of the reason", "dim"))]
    if not one.rejections:
        lines.append((Span("  nothing", "dim"),))
    for found in one.rejections:
        often = f"{times.number(found.count)} times, last " if found.count > 1 else ""
        lines.append(
            (
                Span(f"  {often}{when.ago(found.last_ms, now_ms)} ", "dim"),
                Span(f"from {bridge.safe_line(found.remote, 60)}: "),
                Span(
                    bridge.safe_line(f"{found.reason}: {found.detail}" if found.detail else found.reason, 500),
                    "warning",
                ),
            )
        )
    lines += [(), (Span("Kept events", "title"), Span("   r makes a message of one once more", "dim"))]
    lines += [event_line(event, now_ms) for event in events] or [(Span("  none", "dim"),)]
    return tuple(lines)


def event_line(one: bridge.Event, now_ms: int) -> Line:
    """Return an event as a line."""
    symbol, role = _OUTCOMES.get(one.outcome, ("·", ""))
    often = "once" if one.duplicates == 1 else f"{times.number(one.duplicates)} times"
    again = f", came {often} more" if one.duplicates else ""
    replayed = f", replayed {times.number(one.replayed)} times" if one.replayed else ""
    kind = bridge.safe_line(one.kind, 40)
    return (
        Span(f"  {one.id:>6} "),
        Span(pad(f"{symbol} {bridge.safe_line(one.outcome, 20)}", 10), role),
        Span(f"{times.coarse(one.received_ms, now_ms):>7}  ", "dim"),
        Span(f"{kind}  " if kind else ""),
        Span(bridge.format_size(one.size), "dim"),
        Span(f"{again}{replayed}", "dim"),
        Span(f"  {bridge.safe_line(one.detail, 200)}" if one.detail else "", "failed" if role == "failed" else "dim"),
    )


def replaying(one: bridge.Event, now_ms: int) -> Document:
    """Return what is asked before an event is replayed."""
    before = "it became a message then" if one.message_uid else "no message came of it then"
    return (
        (
            Span(f"event {one.id} of {bridge.safe_line(one.source, 40)}", "bold"),
            Span(f"  {when.ago(one.received_ms, now_ms)}"),
        ),
        (Span(bridge.safe_line(f"{one.kind} {one.event_id}".strip(), 70), "dim"),),
        (),
        (Span(f"{before}; a new message is made of it now."),),
        (Span(f"It was replayed {times.number(one.replayed)} times before.", "warning" if one.replayed else "dim"),),
    )


def _field(name: str, value: str, role: str = "") -> Line:
    return (Span(f"{name:<10}", "dim"), Span(value, role))


def summary(found: Sequence[bridge.SourceState]) -> str:
    """Return what the list holds, for its title."""
    replays = sum(one.replays for one in found)
    rejected = sum(one.rejected for one in found)
    return f"{times.number(rejected)} refused, {times.number(replays)} of them replays" if rejected or replays else ""


EMPTY: tuple[Line, ...] = (
    (
        Span("No source is configured. "),
        Span("sources:", "bold"),
        Span(" of config.yaml names them."),
    ),
    (Span("'chronos config path' says where it is; docs/inbound.md has examples."),),
)
