"""Errors as RFC 9457 problem documents: one table from what went wrong to a status. Shows no traceback and no path."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

from engine.errors import (
    AlreadyOwned,
    BadInput,
    ChronosError,
    DatabaseBusy,
    DatabaseUnusable,
    DeadlineExceeded,
    Degraded,
    EngineNeeded,
    IdempotencyConflict,
    NotFound,
    NotPossible,
    StorageFull,
    TryAgain,
)

CONTENT_TYPE = "application/problem+json"
_NAMES = "urn:chronos:problem:"
_NONE: Mapping[str, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Kind:
    """What a `type` means: stable over versions, documented in docs/http.md."""

    name: str
    status: int
    title: str

    @property
    def uri(self) -> str:
        return _NAMES + self.name


BAD_REQUEST = Kind("bad-request", 400, "The request cannot be read")
UNAUTHENTICATED = Kind("unauthenticated", 401, "No valid API key")
FORBIDDEN = Kind("forbidden", 403, "The key does not allow this")
NOT_FOUND = Kind("not-found", 404, "No such thing")
METHOD = Kind("method-not-allowed", 405, "The method does not fit this path")
CONFLICT = Kind("conflict", 409, "Its state forbids this")
KEY_REUSED = Kind("idempotency-key-reused", 409, "The idempotency key was used for other content")
TIMEOUT = Kind("timeout", 408, "The request took too long")
TOO_LONG = Kind("too-long", 414, "The path is too long")
HEADERS = Kind("headers-too-large", 431, "The headers are too large")
NOT_IMPLEMENTED = Kind("not-implemented", 501, "Not supported")
VERSION = Kind("http-version", 505, "HTTP version not supported")
TOO_LARGE = Kind("too-large", 413, "The body is too large")
MEDIA_TYPE = Kind("unsupported-media-type", 415, "The body is not JSON")
INVALID = Kind("invalid", 422, "The request has wrong fields")
RATE_LIMITED = Kind("rate-limited", 429, "Too many requests")
DEFECT = Kind("internal-error", 500, "An error of Chronos itself")
UNAVAILABLE = Kind("unavailable", 503, "Not now")

KINDS = (
    BAD_REQUEST, UNAUTHENTICATED, FORBIDDEN, NOT_FOUND, METHOD, CONFLICT, KEY_REUSED, TOO_LARGE, MEDIA_TYPE, INVALID,
    RATE_LIMITED, DEFECT, UNAVAILABLE, TIMEOUT, TOO_LONG, HEADERS, NOT_IMPLEMENTED, VERSION,
)  # fmt: skip
BY_STATUS: Mapping[int, Kind] = MappingProxyType({kind.status: kind for kind in reversed(KINDS)})


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that is wrong with a request. where: "pointer" (into the body), "parameter" or "header"; which: its
    JSON pointer as a URI fragment (`#/target`, as in RFC 9457) or its name.
    """

    where: str
    which: str
    detail: str

    def document(self) -> dict[str, str]:
        return {self.where: self.which, "detail": self.detail}


@dataclass(eq=False)
class Problem(Exception):
    """Ends a request with a problem document. detail: for the caller's eyes, one line."""

    kind: Kind
    detail: str
    faults: Sequence[Fault] = ()
    headers: Mapping[str, str] = field(default_factory=lambda: _NONE)

    def __post_init__(self) -> None:
        super().__init__(self.detail)

    def document(self, request_id: str) -> dict[str, Any]:
        """Return the document of RFC 9457; `instance` is the id that the access log names."""
        found: dict[str, Any] = {
            "type": self.kind.uri,
            "title": self.kind.title,
            "status": self.kind.status,
            "detail": self.detail,
            "instance": request_id,
        }
        if self.faults:
            found["errors"] = [fault.document() for fault in self.faults]
        return found


def invalid(*faults: Fault) -> Problem:
    """Return the 422 that names every field that is wrong."""
    words = (one.detail if one.detail.startswith(one.which) else f"{one.which}: {one.detail}" for one in faults[:3])
    return Problem(INVALID, "; ".join(words), faults)


def unavailable(detail: str, retry_after_s: int) -> Problem:
    return Problem(UNAVAILABLE, detail, headers={"Retry-After": str(retry_after_s)})


def _said(kind: Kind) -> tuple[Kind, str, int]:
    return kind, "", 0


# The first class that fits; words where the error's own name paths of this machine; seconds of Retry-After.
_TABLE: tuple[tuple[type[ChronosError], tuple[Kind, str, int]], ...] = (
    (BadInput, _said(INVALID)),
    (NotFound, _said(NOT_FOUND)),
    (IdempotencyConflict, _said(KEY_REUSED)),
    (AlreadyOwned, (UNAVAILABLE, "another process delivers here", 5)),
    (NotPossible, _said(CONFLICT)),
    (EngineNeeded, (UNAVAILABLE, "the engine does not run", 5)),
    (Degraded, (UNAVAILABLE, "a write to the disk failed: nothing is taken until the operator repaired it", 60)),
    (StorageFull, (UNAVAILABLE, "the disk is full: nothing was stored", 30)),
    (DatabaseBusy, (UNAVAILABLE, "the database is busy: nothing was stored", 1)),
    (DeadlineExceeded, (UNAVAILABLE, "it took too long and was stopped; ask for less", 5)),
    (TryAgain, (UNAVAILABLE, "not possible right now; nothing was stored", 5)),
    (DatabaseUnusable, (UNAVAILABLE, "the database cannot be used; the operator has to look", 60)),
)


def of_error(error: ChronosError) -> Problem | None:
    """Return the problem that an error of ours is to the caller; None for one that no caller can cause."""
    for cls, (kind, words, retry_after_s) in _TABLE:
        if isinstance(error, cls):
            headers = {"Retry-After": str(retry_after_s)} if retry_after_s else _NONE
            faults = (Fault("pointer", "#", str(error)),) if kind is INVALID else ()
            return Problem(kind, words or str(error), faults, headers)
    return None
