"""Telegram's updates: a secret token in a header and nothing signed. Whoever knows the token may say anything."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from engine.rules.signing import BadSignature, Reason
from engine.rules.verifiers.base import Proof, Request, digest, identity, kind_word, parsed, required

_HEADER = "X-Telegram-Bot-Api-Secret-Token"


def verify(request: Request, secrets: Sequence[str]) -> Proof:
    """Return what the request proves. Raises BadSignature."""
    # Hashed first: a comparison of different lengths would end early.
    given = hashlib.sha256(required(request, _HEADER).encode("utf-8", "surrogateescape")).digest()
    matched = False
    for secret in secrets:
        matched |= hmac.compare_digest(hashlib.sha256(secret.encode()).digest(), given)
    if not matched:
        raise BadSignature(f"header {_HEADER} is none of the known secrets", Reason.SIGNATURE)
    document = parsed(request)
    event_id = identity(document.get("update_id"), "update_id in the body")
    kinds = (kind_word(name) for name in document if name != "update_id")
    return Proof(event_id, signed_id=True, kind=next(kinds, ""), digest=digest(request.body))
