"""The API's other records: health, the audit log, incidents, backups. Changes nothing."""

from __future__ import annotations

from engine.errors import BadInput
from engine.inbound.http.calls import Call, Reply
from engine.inbound.http.models import AuditQuery, BackupsQuery, IncidentsQuery
from engine.inbound.http.problems import Fault, invalid
from engine.operations import auditing, incidents, shapes
from engine.operations.backup import archiveshapes, backups


def health(call: Call) -> Reply:
    """GET /v1/health: every quick check, as `chronos health --json`."""
    call.needs_unbound()
    return Reply(shapes.health(call.desk.surface.health()))


def audit(call: Call) -> Reply:
    """GET /v1/audit: entries, newest first. `next` goes on in the direction that was asked for."""
    call.needs_unbound()
    asked: AuditQuery = call.query
    try:
        page = auditing.look(call.context, asked.filter, limit=asked.limit, before=asked.before, after=asked.after)
    except BadInput as error:
        raise invalid(Fault("parameter", "filter", str(error))) from error
    cursor = page.walked_to
    if cursor is None and not page.at_end and page.entries:
        cursor = page.entries[0 if asked.after is not None else -1].seq
    return Reply({"entries": [shapes.entry(one) for one in page.entries], "next": cursor})


def incident_list(call: Call) -> Reply:
    """GET /v1/incidents: what is not resolved, the worst first; or the newest of all."""
    call.needs_unbound()
    asked: IncidentsQuery = call.query
    found = incidents.listing(call.context, everything=asked.state == "all", limit=asked.limit)
    return Reply({"incidents": [shapes.incident(one) for one in found]})


def backup_list(call: Call) -> Reply:
    """GET /v1/backups: the newest backups and whether each was proven, as `chronos backup list --json`."""
    call.needs_unbound()
    asked: BackupsQuery = call.query
    found = backups.listing(call.context)[: asked.limit]
    return Reply({"backups": [archiveshapes.backup_shape(one) for one in found]})
