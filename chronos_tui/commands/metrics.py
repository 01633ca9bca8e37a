"""`chronos metrics`: the figures that need no running engine, for a node exporter's textfile collector."""

from __future__ import annotations

from chronos_tui.commands.parsing import Arguments, Verb
from chronos_tui.commands.session import Session


def metrics(session: Session, given: Arguments) -> int:
    with session.engine() as engine:
        text = engine.metrics()
    if session.out.json:
        session.out.document({"metrics": text})
    else:
        for line in text.splitlines():
            session.out.line(line)
    return 0


VERBS = (
    Verb(
        "metrics",
        "print figures in Prometheus' text format",
        metrics,
        (
            "chronos metrics",
            "chronos metrics > /var/lib/prometheus/node-exporter/chronos.prom",
        ),
        details="What only the running engine counts (attempts, requests) is at http://127.0.0.1:8467/metrics.",
    ),
)
