"""Signatures of webhooks by the Standard Webhooks scheme (v1, HMAC-SHA256). Stores no secret and knows no clock."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum

from engine.errors import BadInput

SECRET_PREFIX = "whsec_"  # noqa: S105 - the scheme's marker, no secret
_TIMESTAMP = re.compile(r"[0-9]{1,12}", re.ASCII)
# During a rotation a sender signs with a handful of secrets; hundreds are an attempt to make us work.
MOST_SIGNATURES = 16


class Reason(StrEnum):
    """Why a request was refused, in one word for counters."""

    MISSING = "missing"
    MALFORMED = "malformed"
    SIGNATURE = "signature"
    CLOCK = "clock"
    BODY = "body"
    SECRET = "secret"  # noqa: S105 - a reason
    KEY = "key"


class BadSignature(BadInput):
    """A request that does not prove who sent it. The text may be logged; the caller is only told that it failed."""

    def __init__(self, text: str, reason: Reason = Reason.MALFORMED) -> None:
        super().__init__(text)
        self.reason = reason


def decode_secret(secret: str) -> bytes:
    """Return the key of a secret: the base64 behind "whsec_".

    Without the prefix, text that is base64 is read as base64, as the scheme's own libraries do on the other side; any
    other text counts as its UTF-8 bytes.
    Raises BadInput if it is empty or the base64 behind the prefix is broken; the text never holds the secret.
    """
    word = secret.strip()
    encoded = word.removeprefix(SECRET_PREFIX).rstrip("=")
    try:
        key = base64.b64decode(encoded + "=" * (-len(encoded) % 4), validate=True)
    except ValueError as error:
        if word.startswith(SECRET_PREFIX):
            raise BadInput("webhook secret: what follows whsec_ is not base64; copy it again") from error
        key = word.encode()
    if not key:
        raise BadInput("webhook secret: it is empty; copy it again")
    return key


def sign(secret: bytes, msg_id: str, timestamp_s: int, body: bytes) -> str:
    """Return the value of `webhook-signature` over exactly the bytes that are sent."""
    return "v1," + base64.b64encode(_mac(secret, msg_id, str(timestamp_s), body)).decode()


def verify(secrets: Sequence[bytes], headers: Mapping[str, str], body: bytes, now_s: int, tolerance_s: int) -> str:
    """Return the `webhook-id` of a request that one of `secrets` signed at most `tolerance_s` ago or ahead.

    body: the raw bytes, before anything parsed them. The time does not depend on how much of a signature is right.
    A replay within the tolerance verifies again: remember the id. Raises BadSignature with the reason.
    """
    lower = {name.lower(): value for name, value in headers.items()}
    msg_id, timestamp, given = (lower.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    for name, value in (("id", msg_id), ("timestamp", timestamp), ("signature", given)):
        if not value:
            raise BadSignature(f"header webhook-{name} is missing", Reason.MISSING)
    if not _TIMESTAMP.fullmatch(timestamp):
        raise BadSignature("header webhook-timestamp is not a number of seconds")
    signatures = [item.removeprefix("v1,") for item in given.split(" ") if item.startswith("v1,")]
    if not signatures:
        raise BadSignature("header webhook-signature has no v1 signature")
    if len(signatures) > MOST_SIGNATURES:
        raise BadSignature(f"header webhook-signature has more than {MOST_SIGNATURES} signatures")
    mine = [base64.b64encode(_mac(secret, msg_id, timestamp, body)) for secret in secrets]
    judge(fits(mine, signatures), now_s - int(timestamp), tolerance_s)
    return msg_id


def fits(mine: Sequence[bytes], given: Sequence[str]) -> bool:
    """Whether one of the given signatures is one of ours, in a time that does not tell which or how much of it."""
    matched = False
    for one in mine:
        for signature in given:
            matched |= hmac.compare_digest(one, signature.encode("utf-8", "surrogateescape"))
    return matched


def judge(right: bool, age_s: int, tolerance_s: int) -> None:  # noqa: FBT001 - what `fits` said
    """Refuse what is not signed right, or signed outside the window: that is said only of a right signature, so that
    a clock that is off is told from a secret that is wrong. Raises BadSignature.
    """
    if not right:
        raise BadSignature("the signature fits none of the known secrets", Reason.SIGNATURE)
    if age_s > tolerance_s:
        raise BadSignature(
            f"signed too old: {age_s} s ago, allowed {tolerance_s} s; the signature is right, so the sender's clock is "
            "behind, ours is ahead, or an old request came again",
            Reason.CLOCK,
        )
    if -age_s > tolerance_s:
        raise BadSignature(
            f"signed too far ahead: in {-age_s} s, allowed {tolerance_s} s; the signature is right, so the sender's "
            "clock is ahead or ours is behind",
            Reason.CLOCK,
        )


def _mac(secret: bytes, msg_id: str, timestamp: str, body: bytes) -> bytes:
    return hmac.digest(secret, f"{msg_id}.{timestamp}.".encode("utf-8", "surrogateescape") + body, hashlib.sha256)
