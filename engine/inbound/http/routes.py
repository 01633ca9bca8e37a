"""The one table of the API: router, scopes, checks of what comes in and the OpenAPI document are made from it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from pydantic import BaseModel

from engine.inbound.http import documents, messages, probes, records
from engine.inbound.http.calls import Call, Reply
from engine.inbound.http.models import AuditQuery, BackupsQuery, IncidentsQuery, MessageIn, MessagesQuery, Nothing
from engine.operations import metrics
from engine.operations.acts import Action
from engine.rules.apikeys import Scope


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer that is no error. model None: `content_type` is all there is to say of it."""

    status: int
    words: str
    model: type[BaseModel] | None = None
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path.

    scope: what the key must have; None: no key. open_on_loopback: no key either, to a client on this machine.
    query, body: the models of what comes in; Nothing: no parameters; body None: none is read.
    problems: the errors of its own, beside those that every route of its kind has.
    handler None: a resource of its own answers, and what it takes and gives is described here alone.
    """

    name: str
    method: str
    path: str
    words: str
    answers: tuple[Answer, ...]
    handler: Callable[[Call], Reply] | None
    scope: Scope | None = None
    open_on_loopback: bool = False
    query: type[BaseModel] | None = Nothing
    body: type[BaseModel] | None = None
    idempotent: bool = False
    problems: tuple[int, ...] = ()

    @property
    def kinds(self) -> tuple[int, ...]:
        """Return every status of a problem that it may answer."""
        found = {400, 408, 414, 431, 500, *self.problems}
        if self.scope is not None:
            found |= {401, 403, 429, 503}
        if self.query is not None and self.handler is not None:
            found |= {422}
        if self.body is not None:
            found |= {413, 415, 422}
        if "{" in self.path:
            found |= {404}
        return tuple(sorted(found))


_DETAIL = Answer(200, "The message with its attempts.", documents.MessageDetail)
_UID = "/v1/messages/{uid}"
INBOUND = "/v1/inbound/{source}"


def _act(action: Action, words: str) -> Route:
    return Route(
        f"{action.value}Message",
        "POST",
        f"{_UID}/{action.value}",
        words,
        (Answer(200, "The message as it is now.", documents.MessageDetail),),
        partial(messages.act, action),
        Scope.ADMIN,
        problems=(409,),
    )


def table(openapi: Callable[[], str]) -> tuple[Route, ...]:
    """Return every route. openapi: gives the document's text; it is made from this table."""

    def description(_call: Call) -> Reply:
        return Reply(text=openapi())

    return (
        Route(
            "alive",
            "GET",
            "/healthz",
            "200 as long as the engine's thread turns.",
            (Answer(200, "It turns.", documents.Status),),
            probes.alive,
            problems=(503,),
        ),
        Route(
            "ready",
            "GET",
            "/readyz",
            "200 when messages are taken; 503 with the reasons otherwise.",
            (Answer(200, "Messages are taken.", documents.Status),),
            probes.ready,
            problems=(503,),
        ),
        Route(
            "metrics",
            "GET",
            "/metrics",
            "Figures for Prometheus. No key for a client on this machine, `read` for others.",
            (Answer(200, "Prometheus' text format.", content_type=metrics.CONTENT_TYPE),),
            probes.figures,
            Scope.READ,
            open_on_loopback=True,
        ),
        Route(
            "sendMessage",
            "POST",
            "/v1/messages",
            "Queue a message. Once this answers 202 it survives kill -9 and a power cut.",
            (
                Answer(202, "Queued.", documents.Message),
                Answer(200, "A repeat: it was queued under this idempotency key before.", documents.Message),
            ),
            messages.send,
            Scope.SEND,
            body=MessageIn,
            idempotent=True,
            problems=(404, 409),
        ),
        Route(
            "listMessages",
            "GET",
            "/v1/messages",
            "Messages by the filter language, newest first.",
            (Answer(200, "A page.", documents.MessagePage),),
            messages.listing,
            Scope.READ,
            query=MessagesQuery,
        ),
        Route("showMessage", "GET", _UID, "One message with its attempts.", (_DETAIL,), messages.show, Scope.READ),
        _act(Action.RETRY, "Send a dead message again, or one that waits at once."),
        _act(Action.CANCEL, "Do not send it. One on its way is asked back: what was accepted stays delivered."),
        _act(Action.HOLD, "Keep it until it is released."),
        _act(Action.RELEASE, "Let a held message go."),
        Route(
            "health",
            "GET",
            "/v1/health",
            "Every quick check, as `chronos health --json`.",
            (Answer(200, "The checks.", documents.Health),),
            records.health,
            Scope.READ,
        ),
        Route(
            "listAudit",
            "GET",
            "/v1/audit",
            "Entries of the audit log by its filter language, newest first.",
            (Answer(200, "A page.", documents.AuditPage),),
            records.audit,
            Scope.READ,
            query=AuditQuery,
        ),
        Route(
            "listIncidents",
            "GET",
            "/v1/incidents",
            "What went wrong and is not resolved, the worst first.",
            (Answer(200, "The incidents.", documents.IncidentList),),
            records.incident_list,
            Scope.READ,
            query=IncidentsQuery,
        ),
        Route(
            "listBackups",
            "GET",
            "/v1/backups",
            "Backups, newest first, and whether each was proven by a restore.",
            (Answer(200, "The backups.", documents.BackupList),),
            records.backup_list,
            Scope.READ,
            query=BackupsQuery,
        ),
        Route(
            "receiveEvent",
            "POST",
            INBOUND,
            "An event of a configured source, verified the way that the source's configuration says.",
            (
                Answer(202, "Accepted.", documents.Event),
                Answer(200, "It was accepted before: nothing happened.", documents.Event),
            ),
            None,
            problems=(401, 403, 404, 409, 413, 415, 429, 503),
        ),
        Route(
            "openapi",
            "GET",
            "/v1/openapi.json",
            "This document.",
            (Answer(200, "OpenAPI 3.1."),),
            description,
        ),
    )
