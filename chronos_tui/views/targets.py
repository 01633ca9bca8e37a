"""Targets and how they fare, and the steps of a test, as lines. Shows no address's query and no secret. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from chronos_tui import bridge
from chronos_tui.views.spans import Document, Line, Span


def targets(found: Sequence[bridge.TargetState], *, full: bool) -> Document:
    """Return one line a target; full: how it is set up too."""
    widest = min(30, max((len(one.spec.name) for one in found), default=0))
    lines: list[Line] = []
    for one in found:
        name = bridge.safe_line(one.spec.name, 30).ljust(widest)
        channel = bridge.safe_line(one.spec.channel, 16).ljust(9)
        if one.trouble is None:
            how = Span("✓ nothing keeps it from sending", "ok")
        else:
            how = Span(f"! {bridge.safe_line(one.trouble, 300)}", "warning")
        lines.append((Span(f"{name}  ", "bold"), Span(f"{channel} "), how))
        if full:
            lines += _details(one.spec)
    if not full:
        return tuple(lines)
    lines += [(), (Span(":test ", "accent"), Span("tries it without sending, "), Span(":enable ", "accent"))]
    lines[-1] = (*lines[-1], Span("lifts what was switched off."))
    return tuple(lines)


def _details(spec: bridge.TargetSpec) -> list[Line]:
    retry = spec.retry
    rate = f"{spec.rate.limit} in {bridge.format_duration(spec.rate.per_ms)}" if spec.rate is not None else "no limit"
    return [
        (),
        (Span("rate      ", "dim"), Span(f"{rate}, {spec.max_in_flight} at a time")),
        (Span("time-out  ", "dim"), Span(bridge.format_duration(spec.timeout_ms))),
        (
            Span("retry     ", "dim"),
            Span(
                f"{retry.attempts} times within {bridge.format_duration(retry.max_age_ms)}, "
                f"first after {bridge.format_duration(retry.first_ms)}"
            ),
        ),
        (Span("uncertain ", "dim"), Span(f"{spec.on_uncertain.value}")),
        (Span("breaker   ", "dim"), Span("on" if spec.breaker else "off")),
    ]


def probe(steps: Sequence[bridge.ProbeStep]) -> Document:
    """Return one line a step of a test."""
    lines: list[Line] = []
    for step in steps:
        mark = Span("✓ ", "ok") if step.ok else Span("✗ ", "failed")
        words = f"{bridge.safe_line(step.name, 20):9} {bridge.safe_line(step.detail, 300)}"
        lines.append((mark, Span(words, "" if step.ok else "failed"), Span(f"  {step.took_ms} ms", "dim")))
    good = all(step.ok for step in steps)
    lines += [(), (Span("✓ it could send", "ok") if good else Span("✗ it could not send", "failed"),)]
    return tuple(lines)
