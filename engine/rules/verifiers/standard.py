"""Standard Webhooks: id, time and body under one signature. The signature itself is checked in rules.signing."""

from __future__ import annotations

from collections.abc import Sequence

from engine.rules.signing import decode_secret
from engine.rules.signing import verify as verify_signature
from engine.rules.verifiers.base import Proof, Request, digest, identity, kind_in


def verify(request: Request, secrets: Sequence[str], tolerance_s: int) -> Proof:
    """Return what the request proves. Raises BadSignature."""
    keys = [decode_secret(secret) for secret in secrets]
    signed = verify_signature(keys, request.headers, request.body, request.now_s, tolerance_s)
    event_id = identity(signed, "header webhook-id")
    covered = f"{event_id}.{request.headers['webhook-timestamp']}.".encode()
    return Proof(event_id, signed_id=True, kind=kind_in(request.body), digest=digest(covered, request.body))
