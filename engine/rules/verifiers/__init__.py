"""The ways in which a sender proves who sent an event, one scheme a module. Pure: knows no clock and stores nothing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from engine.rules.verifiers import github, keyed, plain, standard, stripe, telegram
from engine.rules.verifiers.base import Proof, Request

API_KEY = "api-key"
SCHEMES = ("standard-webhooks", "github", "stripe", "telegram", "hmac", API_KEY)


def verify(source: Mapping[str, Any], request: Request, secrets: Sequence[str], tolerance_s: int) -> Proof:
    """Return what a request proves by its source's scheme.

    source: its configuration. secrets: any of them will do; none for API_KEY, whose key somebody else has checked.
    Raises BadSignature with the reason, BadInput for a secret that cannot be used.
    """
    match source["verify"]:
        case "standard-webhooks":
            return standard.verify(request, secrets, tolerance_s)
        case "github":
            return github.verify(request, secrets)
        case "stripe":
            return stripe.verify(request, secrets, tolerance_s, source["header"])
        case "telegram":
            return telegram.verify(request, secrets)
        case "hmac":
            return plain.verify(request, secrets, tolerance_s, source)
        case _:
            return keyed.verify(request)


def timed(source: Mapping[str, Any]) -> bool:
    """Whether a request carries a signed time, so that an old one is refused for its age."""
    return source["verify"] in {"standard-webhooks", "stripe"} or bool(source.get("timestamp_header"))
