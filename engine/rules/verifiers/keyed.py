"""An event whose sender showed an API key. The key was checked before; this only finds the event's identity."""

from __future__ import annotations

from engine.rules.verifiers.base import Proof, Request, digest, identity, kind_in

_HEADERS = ("idempotency-key", "webhook-id")


def verify(request: Request) -> Proof:
    """Return what the request says of itself: its id from one of two headers, or none. Raises BadSignature."""
    name = next((name for name in _HEADERS if request.headers.get(name)), None)
    event_id = "" if name is None else identity(request.headers[name], f"header {name}")
    # The key vouches for the whole request: the same content under another id is another event.
    return Proof(event_id, signed_id=True, kind=kind_in(request.body), digest=digest(request.body))
