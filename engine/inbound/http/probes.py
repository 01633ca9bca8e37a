"""What monitors ask: alive, ready, figures, and the description of all this. Cheap enough for every second."""

from __future__ import annotations

import os

from engine.errors import TryAgain
from engine.inbound.http.calls import Call, Desk, Reply
from engine.inbound.http.problems import unavailable
from engine.operations import metrics
from engine.operations.metrics import Family, Sample
from engine.rules.durations import format_duration
from engine.store import leader

_SILENT_MS = 15_000
"""The dispatcher writes its heartbeat to the disk each 5 s: three missed ones, and writing does not work."""
_LEAST_BYTES = 1024 * 1024
_RETRY_AFTER_S = 5


def alive(call: Call) -> Reply:
    """GET /healthz: 200 as long as the dispatcher's thread turns."""
    if not call.desk.surface.turning():
        raise unavailable("the engine's thread does not turn", _RETRY_AFTER_S)
    return Reply({"status": "ok"})


def ready(call: Call) -> Reply:
    """GET /readyz: 200 when messages are taken; 503 with every reason why not."""
    if reasons := reasons_not_ready(call.desk):
        raise unavailable("; ".join(reasons), _RETRY_AFTER_S)
    return Reply({"status": "ready"})


def reasons_not_ready(desk: Desk) -> list[str]:
    """Return why no message would be taken now; [] when one would.

    Nothing is written to find out: that the dispatcher's heartbeat reached the disk lately says the same, and a full
    disk is seen before the first write fails.
    """
    context = desk.context
    reasons = []
    if not desk.surface.turning():
        reasons.append("the engine's thread does not turn")
    if context.database.degraded:
        reasons.append("DEGRADED: a write to the disk failed and nothing is acknowledged")
    room = os.statvfs(context.database.path.parent)
    if room.f_bavail * room.f_frsize < _LEAST_BYTES:
        reasons.append("the disk is full")
    try:
        silent_ms = context.clock.now_ms() - context.database.read(leader.read).heartbeat_ms
    except TryAgain:
        reasons.append("the database cannot be read")
    else:
        if silent_ms > _SILENT_MS:
            reasons.append(f"no write has reached the disk for {format_duration(silent_ms)}")
    return reasons


def figures(call: Call) -> Reply:
    """GET /metrics in Prometheus' text format."""
    call.needs_unbound()
    desk = call.desk
    families = [
        *metrics.of_outbox(desk.context),
        *metrics.of_attempts(desk.surface.attempts()),
        *_of_api(desk),
        *metrics.of_process(),
    ]
    return Reply(text=metrics.render(families), content_type=metrics.CONTENT_TYPE)


def _of_api(desk: Desk) -> list[Family]:
    seen = desk.counts.seen()
    requests = tuple(
        Sample(count, (("route", route), ("status", str(status)))) for (route, status), count in seen.requests.items()
    )
    per_route: dict[str, int] = {}
    for (route, _status), count in seen.requests.items():
        per_route[route] = per_route.get(route, 0) + count
    times = tuple(
        sample
        for route, seconds in seen.seconds.items()
        for sample in (
            Sample(seconds, (("route", route),), "_sum"),
            Sample(per_route[route], (("route", route),), "_count"),
        )
    )
    return [
        Family("chronos_api_requests_total", "counter", "Requests by route and status.", requests),
        Family("chronos_api_request_seconds", "summary", "Time from a request's arrival to its answer.", times),
        metrics.labelled(
            "counter",
            "chronos_api_refused_total",
            "Requests that the gate refused, by reason.",
            "reason",
            desk.gate.refused,
        ),
        Family(
            "chronos_kdf_runs_total",
            "counter",
            "How often a key was verified the slow way.",
            (Sample(desk.gate.kdf_runs),),
        ),
    ]
