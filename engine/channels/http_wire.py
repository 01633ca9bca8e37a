"""One HTTP request by requests: checked address, verified TLS, one deadline, a bounded answer. Knows no message."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from http.client import HTTPException
from http.cookiejar import DefaultCookiePolicy
from threading import Lock
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from engine.errors import DeliveryError, Sent
from engine.host import net

MAX_ANSWER_BYTES = 65_536

_REUSE_IDLE_S = 1.5
"""An idle connection older than this is not used again: servers close them after as little as 2 s (gunicorn), and a
request into a connection that closes at that moment may or may not have been taken."""

_BODY_CAP_MS = 2_000
"""Once the status is known the outcome is; the words below it are not worth waiting for longer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A status line and what came below it. body: at most 64 KiB, less if it was torn off."""

    status: int
    reason: str
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Rules:
    """How a connection is made: see net.connect."""

    trusted: bool
    allow_private: bool
    context: net.TimedContext | None


class _Lane:
    """One session with its connection and its budget; used by one thread at a time."""

    def __init__(self, rules: Rules) -> None:
        self.budget = net.Budget(0)
        self.body_begun = False
        self.idle_since_s = 0.0
        self.session = _Session()
        self.session.trust_env = False  # .netrc and proxy variables must not reach our requests
        self.session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self.session.headers.clear()
        adapter = _Adapter(self, rules)
        for prefix in ("http://", "https://"):
            self.session.mount(prefix, adapter)


class _Session(requests.Session):
    def get_redirect_target(self, _resp: requests.Response) -> str | None:
        # Even with allow_redirects=False requests would read the whole body to prepare the next request.
        return None


class Wire:
    """Sends requests to one URL from several threads, each over a connection of its own that is kept for the next."""

    def __init__(self, url: str, method: str, rules: Rules) -> None:
        """Opens nothing. Raises ValueError if requests cannot read the URL."""
        self._rules = rules
        self._idle: list[_Lane] = []
        self._lock = Lock()
        self._closed = False
        self._template = requests.Request(method, url).prepare()
        self._template.headers.clear()

    def send(self, body: bytes, headers: Mapping[str, str | bytes], timeout_ms: int) -> Answer:
        """Send `body` and return the answer, whatever its status.

        Raises DeliveryError: NO before any of the body left; UNKNOWN when it left, even in part, and no status line
        came back; MISCONFIGURED for a certificate or an address that is refused.
        """
        lane = self._take()
        lane.budget.start(timeout_ms)
        lane.body_begun = False
        request = self._template.copy()
        request.body = body
        request.headers.update(headers)  # type: ignore[arg-type]  # requests sends bytes values as they are
        request.headers["Content-Length"] = str(len(body))
        kept = False
        try:
            response = lane.session.send(request, stream=True, allow_redirects=False, timeout=None, proxies={})
            answer, kept = _read(response, lane.budget)
            return answer
        except (requests.RequestException, urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError) as error:
            raise _failure(error, lane) from error
        finally:
            self._give(lane, kept=kept)

    def close(self) -> None:
        """Close idle connections; those in use are closed when their request ends."""
        with self._lock:
            self._closed = True
            lanes, self._idle = self._idle, []
        for lane in lanes:
            lane.session.close()

    def _take(self) -> _Lane:
        with self._lock:
            # The last one in is the warmest; whatever is too old behind it is closed with it.
            lane = self._idle.pop() if self._idle else None
        if lane is None:
            return _Lane(self._rules)
        if time.monotonic() - lane.idle_since_s > _REUSE_IDLE_S:
            lane.session.close()
        return lane

    def _give(self, lane: _Lane, *, kept: bool) -> None:
        if not kept:
            lane.session.close()
        lane.idle_since_s = time.monotonic()
        with self._lock:
            if not self._closed:
                self._idle.append(lane)
                return
        lane.session.close()


class _Adapter(HTTPAdapter):
    """requests' adapter over pools whose connections are made by net.connect."""

    def __init__(self, lane: _Lane, rules: Rules) -> None:
        super().__init__(pool_connections=1, pool_maxsize=1, max_retries=0)
        self._context = rules.context
        # urllib3 makes connections of a class; classes of this lane's own carry what they need.
        shared = {"lane": lane, "rules": rules}
        plain = type("Plain", (_Checked, HTTPConnection), shared)
        secure = type("Secure", (_Checked, HTTPSConnection), shared)
        self.poolmanager.pool_classes_by_scheme = {
            "http": type("PlainPool", (HTTPConnectionPool,), {"ConnectionCls": plain}),
            "https": type("SecurePool", (HTTPSConnectionPool,), {"ConnectionCls": secure}),
        }

    def build_connection_pool_key_attributes(self, request: Any, verify: Any, cert: Any = None) -> Any:
        host, _ = super().build_connection_pool_key_attributes(request, verify, cert)
        return host, {"ssl_context": self._context} if host["scheme"] == "https" else {}

    def cert_verify(self, conn: Any, url: str, verify: Any, cert: Any) -> None:
        """The context verifies; requests would load its own bundle into it again at every request."""
        conn.cert_reqs = "CERT_REQUIRED"


class _Checked:
    """What both kinds of connection share: the checked address, and a mark when the body begins."""

    lane: _Lane
    rules: Rules

    def _new_conn(self: Any) -> net.TimedSocket:
        return net.connect(
            self._dns_host,
            self.port,
            self.lane.budget,
            trusted=self.rules.trusted,
            allow_private=self.rules.allow_private,
        )

    def connect(self) -> None:
        try:
            super().connect()  # type: ignore[misc]
        except OSError as error:
            raise net.tls_failure(error, self.host) from error  # type: ignore[attr-defined]

    def endheaders(self, *args: Any, **kwargs: Any) -> None:
        super().endheaders(*args, **kwargs)  # type: ignore[misc]
        self.lane.body_begun = True


def _read(response: requests.Response, budget: net.Budget) -> tuple[Answer, bool]:
    """Return the answer and whether its connection may be used again."""
    body, whole = b"", False
    budget.shorten(_BODY_CAP_MS)
    with suppress(urllib3.exceptions.HTTPError, HTTPException, OSError, ValueError):
        while len(body) < MAX_ANSWER_BYTES:
            piece = response.raw.read(MAX_ANSWER_BYTES - len(body), decode_content=False)
            if not piece:
                whole = True
                break
            body += piece
    if whole:
        response.raw.release_conn()
    else:
        response.raw.close()
    answer = Answer(response.status_code, str(response.reason or ""), response.headers, body)
    return answer, whole


def _failure(error: Exception, lane: _Lane) -> DeliveryError:
    cause = _root(error)
    if lane.budget.spent or isinstance(cause, TimeoutError):
        words, code = "no answer in time", "ETIMEDOUT"
    elif isinstance(cause, OSError):
        words, code = net.words_of(cause), net.code_of(cause)
    else:
        words, code = "the answer is no HTTP", "PROTOCOL"
    if not lane.body_begun:
        return DeliveryError(Sent.NO, f"the request did not leave: {words}", code=code)
    return DeliveryError(Sent.UNKNOWN, f"the request left, but {_no_answer(words)}", code=code)


def _no_answer(words: str) -> str:
    return (
        words if words.startswith(("no answer", "the answer")) else f"the connection ended without an answer: {words}"
    )


def _root(error: BaseException) -> BaseException:
    """The innermost error: requests and urllib3 wrap it twice, with the URL in their texts."""
    seen = 0
    while seen < 10 and (inner := error.__cause__ or error.__context__) is not None:
        error, seen = inner, seen + 1
    return error
