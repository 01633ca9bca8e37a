"""GitHub's webhooks: X-Hub-Signature-256 over the body alone. Neither the delivery's id nor its event is covered."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from engine.rules.signing import BadSignature, Reason, fits
from engine.rules.verifiers.base import Proof, Request, digest, identity, kind_word, parse, required

_PREFIX = "sha256="


def verify(request: Request, secrets: Sequence[str]) -> Proof:
    """Return what the request proves. Raises BadSignature."""
    given = required(request, "X-Hub-Signature-256")
    event_id = identity(required(request, "X-GitHub-Delivery"), "header X-GitHub-Delivery")
    mine = [f"{_PREFIX}{hmac.new(secret.encode(), request.body, hashlib.sha256).hexdigest()}" for secret in secrets]
    if not fits([one.encode() for one in mine], [given]):
        raise BadSignature("the signature fits none of the known secrets", Reason.SIGNATURE)
    return Proof(event_id, signed_id=False, kind=_kind(request), digest=digest(request.body))


def _kind(request: Request) -> str:
    """Return "issues.opened": the event, and the action where there is one."""
    event = kind_word(request.headers.get("x-github-event"))
    try:
        document = parse(request.body)
    except ValueError:
        return event
    action = kind_word(document.get("action")) if isinstance(document, dict) else ""
    return kind_word(f"{event}.{action}") if event and action else event
