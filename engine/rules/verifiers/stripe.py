"""The scheme of Stripe and those like it: one header with t= and v1=, over "t.body". The id stands in the body."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence

from engine.rules.signing import MOST_SIGNATURES, BadSignature, fits, judge
from engine.rules.verifiers.base import Proof, Request, age_s, digest, identity, kind_word, parsed, required


def verify(request: Request, secrets: Sequence[str], tolerance_s: int, header: str) -> Proof:
    """Return what the request proves. Raises BadSignature."""
    timestamp, given = _parts(required(request, header), header)
    covered = f"{timestamp}.".encode()
    age = age_s(timestamp, f"t= of header {header}", request.now_s)
    mine = [hmac.new(one.encode(), covered + request.body, hashlib.sha256).hexdigest().encode() for one in secrets]
    judge(fits(mine, given), age, tolerance_s)
    document = parsed(request)
    event_id = identity(document.get("id"), "id in the body")
    return Proof(
        event_id,
        signed_id=True,
        kind=kind_word(document.get("type")),
        digest=digest(covered, request.body),
        id_in_body=True,  # a repeat may count another number of deliveries that are pending
    )


def _parts(value: str, header: str) -> tuple[str, list[str]]:
    """Return the time and the signatures of version 1; other versions stand beside them during a change."""
    items = [item.strip().partition("=")[::2] for item in value.split(",")]
    times = [word for name, word in items if name == "t"]
    given = [word for name, word in items if name == "v1"]
    if len(times) != 1 or not given:
        raise BadSignature(f"header {header} needs one t= and at least one v1=")
    if len(given) > MOST_SIGNATURES:
        raise BadSignature(f"header {header} has more than {MOST_SIGNATURES} signatures")
    return times[0], given
