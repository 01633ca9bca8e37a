"""A request as it comes in: waitress' parser with our limits, and what is refused before any handler sees it."""

from __future__ import annotations

import json
import re
from typing import Any

from waitress.parser import HTTPRequestParser, ParsingError
from waitress.utilities import BadRequest, Error, RequestEntityTooLarge

from engine.inbound.http.limits import Budget, Limits
from engine.inbound.http.problems import BY_STATUS, CONTENT_TYPE

_CONTROL = re.compile(rb"[\x00-\x1f\x7f]")
_EMPTY_REQUEST = b"GET / HTTP/1.1\r\n"

_DETAILS = {
    400: "this is no valid HTTP request",
    408: "the request did not arrive in time",
    413: "the body is larger than http.max_body",
    414: "the path with its query is too long",
    431: "the headers are too large or too many",
    500: "an error of Chronos itself; the operator's log has it",
    501: "this transfer coding is not supported; send the body with Content-Length or chunked",
    503: "too much is being sent at once; try again",
    505: "only HTTP/1.1 and HTTP/1.0 are spoken here",
}
"""Words of ours: waitress' own repeat what the client sent, which may be a key in the wrong place."""

_REASONS = {408: "Request Timeout", 414: "URI Too Long", 503: "Service Unavailable", 505: "HTTP Version Not Supported"}


class Refusal(Error):  # type: ignore[misc]
    """An error that waitress itself has no class for."""

    def __init__(self, code: int) -> None:
        super().__init__("")
        self.code = code
        self.reason = _REASONS.get(code, "Bad Request")


class TooManyHeaders(BadRequest):  # type: ignore[misc]
    code = 431
    reason = "Request Header Fields Too Large"


def document(status: int, request_id: str) -> tuple[list[tuple[str, str]], bytes]:
    """Return headers and body of the problem document of an error that no handler answers."""
    kind = BY_STATUS.get(status) or BY_STATUS[400]
    content = {
        "type": kind.uri,
        "title": kind.title,
        "status": status,
        "detail": _DETAILS.get(status, _DETAILS[400]),
        "instance": request_id,
    }
    headers = [("Content-Type", CONTENT_TYPE), ("Cache-Control", "no-store")]
    if status == 503:
        headers.append(("Retry-After", "5"))
    return headers, json.dumps(content).encode()


class Parser(HTTPRequestParser):  # type: ignore[misc]
    """One request. `adj` carries our `limits` and `budget` besides waitress' settings."""

    error: Error | None
    body_rcv: Any
    version: str
    path = ""
    """Until one is read: waitress names it when a client leaves, also one whose request had none."""

    def __init__(self, adj: Any) -> None:
        super().__init__(adj)
        self._limits: Limits = adj.limits
        self._budget: Budget = adj.budget
        self._taken = 0

    def received(self, data: bytes) -> int:
        """Take in what arrived; see waitress."""
        consumed = int(super().received(data))
        if self.error is None and self.body_rcv is not None:
            self.error = self._body_error()
        if self.error is not None:
            self.completed = True
            # Else waitress would say "100 Continue" to a body that it has just refused, and read it.
            self.expect_continue = False
            self.body_rcv = None
            self._release()
        return consumed

    def parse_header(self, header_plus: bytes) -> None:
        """Judge line and headers. Raises ParsingError for what is no HTTP."""
        first, _, _rest = header_plus.partition(b"\r\n")
        if len(first) > self._limits.target_bytes:
            self._refuse(Refusal(414))
        elif header_plus.count(b"\r\n") > self._limits.header_lines + 1:
            self._refuse(TooManyHeaders(""))
        elif _CONTROL.search(first):
            raise ParsingError("control character")  # RFC 9112, 3: no part of a request line may hold one
        else:
            try:
                super().parse_header(header_plus)
            except ValueError as error:  # of urlsplit, or a length with thousands of digits
                raise ParsingError("not understood") from error
            self._judge()

    def close(self) -> None:
        """Let go of the body."""
        super().close()
        self._release()

    def _refuse(self, error: Error) -> None:
        super().parse_header(_EMPTY_REQUEST)
        self.error = error

    def _judge(self) -> None:
        if self.version not in ("1.0", "1.1"):
            self.error = Refusal(505)
            self.version = "1.0"
        host = self.headers.get("HOST")
        if self.version == "1.1" and (host is None or "," in host):
            raise ParsingError("one Host is required")  # RFC 9112, 3.2
        if self.chunked and "CONTENT_LENGTH" in self.headers:
            raise ParsingError("two lengths")  # RFC 9112, 6.1: how requests are smuggled past a proxy
        if self.content_length > self._limits.max_body_bytes:
            self.error = RequestEntityTooLarge("")

    def _body_error(self) -> Error | None:
        body = self.body_rcv
        if self.chunked and max(len(body.control_line), len(body.trailer)) > self._limits.chunk_line_bytes:
            return BadRequest("chunk line")  # it is copied at each packet
        if len(body) > self._limits.max_body_bytes:
            return RequestEntityTooLarge("")
        beyond = len(body) - self._limits.small_bytes
        if beyond > self._taken:
            if not self._budget.take(beyond - self._taken):
                return Refusal(503)
            self._taken = beyond
        return None

    def _release(self) -> None:
        taken, self._taken = self._taken, 0
        if taken:
            self._budget.give_back(taken)
