"""A plain HMAC in a header, as n8n, GitLab-like forges and home-made scripts send it. What is covered is configured.

With a timestamp header the signature covers "timestamp.body", without one the body alone.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping, Sequence
from typing import Any

from engine.rules.paths import MISSING, look_up, parse_path
from engine.rules.signing import BadSignature, Reason, fits, judge
from engine.rules.verifiers.base import Proof, Request, age_s, digest, identity, kind_in, parsed, required


def verify(request: Request, secrets: Sequence[str], tolerance_s: int, source: Mapping[str, Any]) -> Proof:
    """Return what the request proves. Raises BadSignature."""
    header, prefix, stamp = source["header"], source["prefix"], source["timestamp_header"]
    given = required(request, header)
    if not given.startswith(prefix):
        raise BadSignature(f"header {header} does not begin with {prefix}")
    covered, age = b"", 0
    if stamp is not None:
        timestamp = required(request, stamp)
        age = age_s(timestamp, f"header {stamp}", request.now_s)
        covered = f"{timestamp}.".encode()
    mine: list[bytes] = []
    for secret in secrets:
        mine += _spelled(hmac.digest(secret.encode(), covered + request.body, source["algorithm"]), source["encoding"])
    judge(fits(mine, [given.removeprefix(prefix)]), age, tolerance_s)
    event_id, signed_id = _identity(request, source)
    return Proof(event_id, signed_id, kind_in(request.body), digest(covered, request.body))


def _spelled(mac: bytes, encoding: str) -> list[bytes]:
    """Return a signature as senders write it: hex in one case throughout, or base64 with its padding."""
    if encoding == "base64":
        return [base64.b64encode(mac)]
    return [mac.hex().encode(), mac.hex().upper().encode()]


def _identity(request: Request, source: Mapping[str, Any]) -> tuple[str, bool]:
    """Return the event's id and whether the signature covers it; without one the signed content is the identity."""
    if source["id_header"] is not None:
        name = source["id_header"]
        return identity(required(request, name), f"header {name}"), False
    if source["id_path"] is not None:
        value = look_up(parsed(request), parse_path(source["id_path"]))
        if value is MISSING:
            raise BadSignature(f"{source['id_path']} in the body is missing", Reason.MISSING)
        return identity(value, f"{source['id_path']} in the body"), True
    return "", True
