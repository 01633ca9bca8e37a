"""The WSGI application: who asks, what for, and one line of access log. What is answered is in the handlers."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import falcon

from engine.errors import ChronosError
from engine.host.log import Log
from engine.inbound.http import openapi, problems, reading
from engine.inbound.http.calls import Call, Desk, Reply
from engine.inbound.http.counting import Counts, ids
from engine.inbound.http.events import Inbound
from engine.inbound.http.problems import Problem
from engine.inbound.http.routes import INBOUND, Route, table
from engine.inbound.http.surface import Gatekeeper, Surface
from engine.operations.context import Context

if TYPE_CHECKING:
    from engine.operations.gate import Caller

UNMATCHED = "unmatched"
_MOST_METHOD_CHARS = 16
_MOST_PATH_CHARS = 100
_HOUR_S = 3_600
_SAFE_HEADERS = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
}


def make_app(
    context: Context, surface: Surface, gate: Gatekeeper, log: Log
) -> falcon.App[falcon.Request, falcon.Response]:
    """Return the application.

    Whoever serves it sets `environ["chronos.remote"]`, the client's address as text, `environ["chronos.loopback"]`,
    whether that is on this machine, and may set `environ["chronos.request"]`, an id for answers and logs.
    """
    desk = Desk(context, surface, gate, Counts())

    @lru_cache(maxsize=1)
    def description() -> str:
        return dumps(openapi.document(routes))

    routes = table(description)
    by_path: dict[str, dict[str, Route]] = {}
    for route in routes:
        by_path.setdefault(route.path, {})[route.method] = route
    app = falcon.App(middleware=[Reception(desk, log, {path: _allowed(methods) for path, methods in by_path.items()})])
    app.req_options.auto_parse_qs_csv = False
    app.resp_options.media_handlers[falcon.MEDIA_JSON] = falcon.media.JSONHandler(dumps=dumps)
    for error, handler in _error_handlers(context, log).items():
        app.add_error_handler(error, handler)
    for path, methods in by_path.items():
        app.add_route(path, Inbound(context, surface, gate) if path == INBOUND else Endpoint(desk, methods))
    return app


def dumps(document: Any) -> str:
    """In ASCII: what a receiver said must not reach a terminal as a control character."""
    return json.dumps(document, ensure_ascii=True, separators=(",", ":"), allow_nan=False)


def _allowed(methods: Mapping[str, Route]) -> tuple[str, ...]:
    return tuple(sorted({*methods, "OPTIONS", *({"HEAD"} if "GET" in methods else ())}))


def remote_of(req: falcon.Request) -> str:
    """Return the client's address as whoever serves this found it."""
    return str(req.env.get("chronos.remote") or req.remote_addr or "unix")


class Endpoint:
    """All methods of one path. falcon looks for on_get, on_post and so on."""

    def __init__(self, desk: Desk, methods: Mapping[str, Route]) -> None:
        self._desk = desk
        for method, route in methods.items():
            setattr(self, f"on_{method.lower()}", self._responder(route))
        if "GET" in methods:
            self.on_head = self._responder(methods["GET"])  # falcon keeps the headers and drops the body

    def _responder(self, route: Route) -> Callable[..., None]:
        def respond(req: falcon.Request, resp: falcon.Response, **path: str) -> None:
            self._answer(route, req, resp, path)

        return respond

    def _answer(self, route: Route, req: falcon.Request, resp: falcon.Response, path: Mapping[str, str]) -> None:
        caller = self._admit(route, req)
        desk = self._desk
        call = Call(
            desk,
            desk.context if caller is None else desk.context.acting_as(caller.actor),
            caller,
            path,
            None if route.query is None else reading.query(route.query, req.query_string),
            None if route.body is None else reading.body(route.body, self._read(req)),
            req.get_header("Idempotency-Key") if route.idempotent else None,
        )
        assert route.handler is not None, "a route without one has a resource of its own"
        _write(resp, route.handler(call))

    def _admit(self, route: Route, req: falcon.Request) -> Caller | None:
        """Nothing of a request is read before it is known who sends it."""
        if route.scope is None or (route.open_on_loopback and req.env.get("chronos.loopback")):
            return None
        caller = self._desk.gate.admit(req.get_header("Authorization"), remote_of(req), route.scope)
        req.context.caller = caller
        return caller

    def _read(self, req: falcon.Request) -> bytes:
        reading.check_type(req.content_type, req.get_header("Content-Encoding"))
        most_bytes = int(self._desk.context.settings.http["max_body_bytes"])
        if (req.content_length or 0) > most_bytes:
            raise reading.too_large(most_bytes)
        content: bytes = req.bounded_stream.read(most_bytes + 1)
        if len(content) > most_bytes:
            raise reading.too_large(most_bytes)
        return content


def _write(resp: falcon.Response, reply: Reply) -> None:
    resp.status = reply.status
    resp.content_type = reply.content_type
    resp.data = (reply.text if reply.document is None else dumps(reply.document)).encode()
    resp.set_headers(dict(reply.headers))


class Reception:
    """Before and after every request, whatever becomes of it."""

    def __init__(self, desk: Desk, log: Log, allowed: Mapping[str, tuple[str, ...]]) -> None:
        self._desk = desk
        self._log = log
        self._allowed = allowed
        self._ids = ids(desk.context.entropy)

    def process_request(self, req: falcon.Request, _resp: falcon.Response) -> None:
        context = self._desk.context
        req.context.id = str(req.env.get("chronos.request") or self._ids())
        req.context.begun_ms = context.clock.monotonic_ms()

    def process_resource(
        self, req: falcon.Request, resp: falcon.Response, _resource: object, _params: Mapping[str, str]
    ) -> None:
        """Answer OPTIONS, and 405 to what the path does not take; falcon has 400 for methods it never heard of."""
        if req.path.endswith("/"):  # an empty name of something, to falcon
            raise _no_path(req)
        allowed = self._allowed[req.uri_template or ""]
        if req.method == "OPTIONS":
            resp.set_header("Allow", ", ".join(allowed))
            resp.status = 204
            resp.complete = True
        elif req.method not in allowed:
            raise Problem(
                problems.METHOD, f"this path takes {', '.join(allowed)}", headers={"Allow": ", ".join(allowed)}
            )

    def process_response(
        self, req: falcon.Request, resp: falcon.Response, _resource: object, *_succeeded: bool
    ) -> None:
        """Add what every answer has, count it, and log it: never a body, never a query.

        The key's id stands under `caller`: a line with the word "key" in it is searched for secrets at length (0.1 ms).
        """
        request_id = _request_id(req)
        resp.set_headers(_SAFE_HEADERS)
        resp.set_header("X-Request-Id", request_id)
        caller: Caller | None = getattr(req.context, "caller", None)
        if caller is not None:
            _limit_headers(resp, caller.allowance)
        now_ms = self._desk.context.clock.monotonic_ms()
        took_ms = now_ms - getattr(req.context, "begun_ms", now_ms)
        status = int(str(resp.status).split(" ", 1)[0])
        route = req.uri_template or UNMATCHED
        self._desk.counts.note(route, status, took_ms / 1000)
        self._log.event(
            "INFO",
            "request",
            request=request_id,
            method=req.method[:_MOST_METHOD_CHARS],
            route=route,
            status=status,
            took_ms=took_ms,
            caller=None if caller is None else caller.key.id,
            remote=remote_of(req),
            bytes=len(resp.render_body() or b""),
        )


def _limit_headers(resp: falcon.Response, allowance: tuple[int, int, int]) -> None:
    """The three names that clients know, and the two of draft-ietf-httpapi-ratelimit-headers-10."""
    limit, remaining, reset_s = allowance
    resp.set_headers(
        {
            "RateLimit-Limit": str(limit),
            "RateLimit-Remaining": str(remaining),
            "RateLimit-Reset": str(reset_s),
            "RateLimit-Policy": f'"hour";q={limit};w={_HOUR_S}',
            "RateLimit": f'"hour";r={remaining};t={reset_s}',
        }
    )


def _request_id(req: falcon.Request) -> str:
    return str(getattr(req.context, "id", "req_unread"))


Handler = Callable[[falcon.Request, falcon.Response, Any, Mapping[str, Any]], None]


def _error_handlers(context: Context, log: Log) -> dict[type[Exception], Handler]:
    """Return how each error is answered. The one for Exception is the last resort of a request."""
    from engine.operations.gate import Allowance, Refused

    def problem(req: falcon.Request, resp: falcon.Response, error: Problem, _params: Mapping[str, Any]) -> None:
        resp.status = error.kind.status
        resp.content_type = problems.CONTENT_TYPE
        resp.data = dumps(error.document(_request_id(req))).encode()
        resp.set_headers(dict(error.headers))

    def refused(req: falcon.Request, resp: falcon.Response, error: Refused, params: Mapping[str, Any]) -> None:
        headers = {} if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
        if error.status == 401:
            headers["WWW-Authenticate"] = 'Bearer realm="chronos"'
        problem(req, resp, Problem(problems.BY_STATUS[error.status], str(error), headers=headers), params)
        allowance = error.allowance
        if allowance is None and error.status == 429:
            allowance = Allowance(int(context.settings.security["rate_limit_per_hour"]), 0, error.retry_after_s or 1)
        if allowance is not None:
            _limit_headers(resp, allowance)

    def ours(req: falcon.Request, resp: falcon.Response, error: ChronosError, params: Mapping[str, Any]) -> None:
        known = problems.of_error(error)
        if known is None:
            defect(req, resp, error, params)
        else:
            problem(req, resp, known, params)

    def falcons(req: falcon.Request, resp: falcon.Response, error: falcon.HTTPError, params: Mapping[str, Any]) -> None:
        problem(req, resp, _of_falcon(req, error), params)

    def defect(req: falcon.Request, resp: falcon.Response, error: Exception, params: Mapping[str, Any]) -> None:
        request_id = _request_id(req)
        log.event("ERROR", "request_defect", error=error, request=request_id, route=req.uri_template or UNMATCHED)
        words = f"an error of Chronos itself; its log tells more under {request_id}"
        problem(req, resp, Problem(problems.DEFECT, words), params)

    return {
        Exception: defect,
        falcon.HTTPError: falcons,
        ChronosError: ours,
        Refused: refused,
        Problem: problem,
    }


def _of_falcon(req: falcon.Request, error: falcon.HTTPError) -> Problem:
    if error.status_code == 404:
        return _no_path(req)
    kind = problems.BY_STATUS.get(error.status_code, problems.BAD_REQUEST)
    return Problem(kind, error.description or error.title or kind.title, headers=dict(error.headers or {}))


def _no_path(req: falcon.Request) -> Problem:
    meant = req.path.rstrip("/")
    hint = f"; did you mean {meant}?" if meant and meant != req.path and len(meant) < _MOST_PATH_CHARS else ""
    return Problem(problems.NOT_FOUND, f"no such path{hint}")
