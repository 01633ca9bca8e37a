"""The six schemes: published vectors pass, everything that was changed does not, and the reason is named."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import os
import random
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from engine.rules.signing import BadSignature, Reason
from engine.rules.verifiers import SCHEMES, timed, verify
from engine.rules.verifiers.base import Proof, Request

NOW = 1_700_000_000
SECRET = "correct horse battery staple"
BODY = b'{"id": "evt_1", "type": "backup.failed", "update_id": 7, "data": {"n": 1}}'
PLAIN = {"verify": "hmac", "header": "X-Signature", "algorithm": "sha256", "encoding": "hex", "prefix": ""}
NO_HEADERS = {"timestamp_header": None, "id_header": None, "id_path": None}
ROUNDS = int(os.environ.get("CHRONOS_TESTS_SIGNATURES", "300"))
"""Random bodies against the libraries of others; 10 000 on demand."""


def source(scheme: str, **more: Any) -> dict[str, Any]:
    known: dict[str, dict[str, Any]] = {
        "hmac": {**PLAIN, **NO_HEADERS},
        "stripe": {"verify": "stripe", "header": "Stripe-Signature"},
    }
    return {**known.get(scheme, {"verify": scheme}), **more}


def ask(
    entry: Mapping[str, Any],
    headers: Mapping[str, str],
    body: bytes = BODY,
    secrets: tuple[str, ...] = (SECRET,),
    now: int = NOW,
) -> Proof:
    return verify(entry, Request({name.lower(): text for name, text in headers.items()}, body, now), secrets, 300)


def refused(*args: Any, **more: Any) -> BadSignature:
    with pytest.raises(BadSignature) as caught:
        ask(*args, **more)
    return caught.value


def mac(covered: bytes, secret: str = SECRET, algorithm: str = "sha256") -> bytes:
    return hmac.digest(secret.encode(), covered, algorithm)


def good(scheme: str, body: bytes = BODY, secret: str = SECRET, now: int = NOW) -> dict[str, str]:
    """Sign as a sender of the scheme does."""
    if scheme == "standard-webhooks":
        signature = base64.b64encode(mac(f"evt_1.{now}.".encode() + body, secret)).decode()
        return {"webhook-id": "evt_1", "webhook-timestamp": str(now), "webhook-signature": f"v1,{signature}"}
    if scheme == "github":
        return {"X-Hub-Signature-256": f"sha256={mac(body, secret).hex()}", "X-GitHub-Delivery": "d-1"}
    if scheme == "stripe":
        return {"Stripe-Signature": f"t={now},v1={mac(f'{now}.'.encode() + body, secret).hex()}"}
    if scheme == "telegram":
        return {"X-Telegram-Bot-Api-Secret-Token": secret}
    return {"X-Signature": mac(body, secret).hex()}


SIGNED = ("standard-webhooks", "github", "stripe", "hmac")


@pytest.mark.parametrize("scheme", [*SIGNED, "telegram"])
def test_a_good_request_passes_and_the_old_secret_too(scheme: str) -> None:
    assert ask(source(scheme), good(scheme)) == ask(source(scheme), good(scheme), secrets=("the new one", SECRET))
    assert refused(source(scheme), good(scheme), secrets=("another",)).reason is Reason.SIGNATURE
    assert refused(source(scheme), good(scheme), secrets=()).reason is Reason.SIGNATURE


@pytest.mark.parametrize(
    ("scheme", "event_id", "signed_id", "kind"),
    [
        ("standard-webhooks", "evt_1", True, "backup.failed"),
        ("github", "d-1", False, "issues.opened"),
        ("stripe", "evt_1", True, "backup.failed"),
        ("telegram", "7", True, "message"),
        ("hmac", "", True, "backup.failed"),
        ("api-key", "", True, "backup.failed"),
    ],
)
def test_what_a_request_proves(scheme: str, event_id: str, kind: str, *, signed_id: bool) -> None:
    body = b'{"update_id": 7, "message": {"text": "hi"}}' if scheme == "telegram" else BODY
    body = b'{"action": "opened"}' if scheme == "github" else body
    found = ask(source(scheme), {**good(scheme, body), "X-GitHub-Event": "issues"}, body)
    assert (found.event_id, found.signed_id, found.kind) == (event_id, signed_id, kind)


def test_githubs_own_vector() -> None:
    """From GitHub's page "Validating webhook deliveries"."""
    headers = {
        "X-Hub-Signature-256": "sha256=757107ea0eb2509fc211221cce984b8a37570b6d7586c22c46f4379c8b043e17",
        "X-GitHub-Delivery": "72d3162e-cc78-11e3-81ab-4c9367dc0958",
    }
    found = ask(source("github"), headers, b"Hello, World!", ("It's a Secret to Everybody",))
    assert found == Proof(
        "72d3162e-cc78-11e3-81ab-4c9367dc0958", False, "", hashlib.sha256(b"Hello, World!").hexdigest()
    )


def test_a_vector_of_hmac_sha256_and_sha512() -> None:
    """RFC 4231, test case 2."""
    body, key = b"what do ya want for nothing?", ("Jefe",)
    sha256 = "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    sha512 = (
        "164b7a7bfcf819e2e395fbe73b56e0a387bd64222e831fd610270cd7ea250554"
        "9758bf75c05a994a6d034f65f8f0e6fdcaeab1a34d4a6b4b636e070a38bce737"
    )
    assert ask(source("hmac"), {"X-Signature": sha256}, body, key)
    assert ask(source("hmac"), {"X-Signature": sha256.upper()}, body, key)
    assert ask(source("hmac", algorithm="sha512", prefix="sha512="), {"X-Signature": f"sha512={sha512}"}, body, key)
    spelled = base64.b64encode(bytes.fromhex(sha512)).decode()
    assert ask(source("hmac", algorithm="sha512", encoding="base64"), {"X-Signature": spelled}, body, key)


# Interop: the packages of others


def _bodies(n: int) -> list[bytes]:
    rng = random.Random(20_261_123)
    return [rng.randbytes(rng.randrange(0, 200)).decode("latin-1").encode() for _ in range(n)]


def test_the_package_from_pypi_signs_and_we_verify() -> None:
    key = base64.b64encode(b"k" * 24).decode()
    hook = Webhook(key)
    for number, body in enumerate(_bodies(ROUNDS)):
        signature = hook.sign(f"m{number}", datetime.fromtimestamp(NOW, UTC), body.decode())
        headers = {"webhook-id": f"m{number}", "webhook-timestamp": str(NOW), "webhook-signature": signature}
        assert ask(source("standard-webhooks"), headers, body, (f"whsec_{key}",)).event_id == f"m{number}"


# Mutations


def _flips(value: bytes) -> list[bytes]:
    return [
        value[:at] + bytes([value[at] ^ 1 << bit]) + value[at + 1 :] for at in range(len(value)) for bit in range(8)
    ]


@pytest.mark.parametrize("scheme", SIGNED)
def test_no_flipped_bit_of_a_body_passes(scheme: str) -> None:
    for body in _flips(BODY):
        refused(source(scheme), good(scheme), body)


@pytest.mark.parametrize("scheme", [*SIGNED, "telegram"])
def test_no_flipped_bit_of_a_header_passes(scheme: str) -> None:
    headers = good(scheme)
    for name, value in headers.items():
        if name == "X-GitHub-Delivery":
            continue  # not covered by the signature: that is why the signed content is remembered too
        for changed in _flips(value.encode()):
            refused(source(scheme), {**headers, name: changed.decode("latin-1")})


@pytest.mark.parametrize("scheme", [*SIGNED, "telegram"])
def test_no_flipped_bit_of_a_secret_passes(scheme: str) -> None:
    for secret in _flips(SECRET.encode()):
        refused(source(scheme), good(scheme), secrets=(secret.decode("latin-1"),))


@pytest.mark.parametrize("scheme", [*SIGNED, "telegram"])
def test_a_missing_header_is_named(scheme: str) -> None:
    for name in good(scheme):
        error = refused(source(scheme), {key: value for key, value in good(scheme).items() if key != name})
        assert error.reason is Reason.MISSING
        assert name.lower() in str(error).lower()


@pytest.mark.parametrize("scheme", [*SIGNED, "telegram"])
@given(data=st.data())
def test_whatever_comes_is_refused_in_words(scheme: str, data: st.DataObject) -> None:
    words = st.text(st.characters(max_codepoint=255), max_size=120)
    headers = {name: data.draw(words) for name in good(scheme)}
    error = refused(source(scheme), headers, data.draw(st.binary(max_size=50)))
    assert SECRET not in str(error)


# The clock


@pytest.mark.parametrize("scheme", ["standard-webhooks", "stripe"])
@pytest.mark.parametrize("skew", [-300, 0, 300])
def test_a_clock_within_the_tolerance_passes(scheme: str, skew: int) -> None:
    assert ask(source(scheme), good(scheme), now=NOW + skew)


@pytest.mark.parametrize("scheme", ["standard-webhooks", "stripe"])
@pytest.mark.parametrize(("skew", "words"), [(301, "301 s ago.*clock is behind"), (-420, "in 420 s.*clock is ahead")])
def test_a_clock_that_is_off_is_told_from_a_wrong_secret(scheme: str, skew: int, words: str) -> None:
    off = refused(source(scheme), good(scheme), now=NOW + skew)
    assert off.reason is Reason.CLOCK
    with pytest.raises(BadSignature, match=words):
        raise off
    assert refused(source(scheme), good(scheme), secrets=("wrong",), now=NOW + skew).reason is Reason.SIGNATURE


def test_a_timestamp_header_of_a_plain_hmac_is_signed_and_may_count_milliseconds() -> None:
    entry = source("hmac", timestamp_header="X-Time")
    for stamp in (str(NOW), f"{NOW}123"):
        headers = {"X-Time": stamp, "X-Signature": mac(f"{stamp}.".encode() + BODY).hex()}
        assert ask(entry, headers).digest == hashlib.sha256(f"{stamp}.".encode() + BODY).hexdigest()
        assert refused(entry, headers, now=NOW + 400).reason is Reason.CLOCK
        refused(entry, {**headers, "X-Time": str(NOW + 1)})
    assert refused(entry, {"X-Signature": mac(BODY).hex()}).reason is Reason.MISSING
    refused(entry, {"X-Time": "soon", "X-Signature": mac(b"soon." + BODY).hex()})


def test_only_signed_times_make_a_source_timed() -> None:
    assert [scheme for scheme in SCHEMES if timed(source(scheme))] == ["standard-webhooks", "stripe"]
    assert timed(source("hmac", timestamp_header="X-Time"))


# Identities


def test_the_id_of_a_plain_hmac_stands_in_a_header_or_in_the_body() -> None:
    headers = {**good("hmac"), "X-Id": "order-7"}
    by_header = ask(source("hmac", id_header="X-Id"), headers)
    assert (by_header.event_id, by_header.signed_id) == ("order-7", False)
    by_path = ask(source("hmac", id_path="data.n"), headers)
    assert (by_path.event_id, by_path.signed_id) == ("1", True)
    assert refused(source("hmac", id_header="X-Other"), headers).reason is Reason.MISSING
    assert "data.m in the body is missing" in str(refused(source("hmac", id_path="data.m"), headers))
    assert "no id" in str(refused(source("hmac", id_path="data"), headers))


@pytest.mark.parametrize("event_id", ["a\nb", "x" * 257, "\ud800", "\x1b[31m", "\u202e"])
def test_an_id_that_cannot_be_shown_is_refused(event_id: str) -> None:
    body = json.dumps({"id": event_id}).encode()
    assert refused(source("stripe"), good("stripe", body), body).reason is Reason.MALFORMED


@pytest.mark.parametrize("event_id", [None, True, 1.5, [], {}, ""])
def test_an_id_is_a_text_or_a_whole_number(event_id: object) -> None:
    body = json.dumps({"id": event_id}).encode()
    refused(source("stripe"), good("stripe", body), body)


def test_an_api_key_takes_its_id_from_either_header() -> None:
    for name in ("Idempotency-Key", "webhook-id"):
        assert ask(source("api-key"), {name: "k1"}).event_id == "k1"
    assert ask(source("api-key"), {}).event_id == ""


# Bodies


@pytest.mark.parametrize("body", [b"", b"hello", b"[1]", b"\xff\xfe", b"{" * 100_000, b'{"a": NaN}', b"1" * 5_000])
@pytest.mark.parametrize("scheme", ["stripe", "telegram"])
def test_a_body_without_the_id_is_refused_after_its_signature_is_right(scheme: str, body: bytes) -> None:
    error = refused(source(scheme), good(scheme, body), body)
    assert error.reason is Reason.BODY
    assert "the signature is right" in str(error)
    if scheme == "stripe":
        assert refused(source(scheme), good(scheme, b"other"), body).reason is Reason.SIGNATURE


@pytest.mark.parametrize("body", [b"", b"hello", b"\xff\xfe", b"[" * 100_000, b'{"a": NaN}'])
@pytest.mark.parametrize("scheme", ["standard-webhooks", "github", "hmac", "api-key"])
def test_any_body_will_do_where_the_id_does_not_stand_in_it(scheme: str, body: bytes) -> None:
    assert ask(source(scheme), good(scheme, body), body).kind == ""


# Stripe's header


def _stripe(*parts: str) -> dict[str, str]:
    return {"Stripe-Signature": ",".join(parts)}


def test_several_versions_and_several_signatures_of_stripe() -> None:
    right = f"v1={mac(f'{NOW}.'.encode() + BODY).hex()}"
    assert ask(source("stripe"), _stripe(f"t={NOW}", "v1=00", right, "v0=abc"))
    assert ask(source("stripe", header="X-Paid"), {"x-paid": f"t={NOW}, {right}"})
    for parts in ((right,), (f"t={NOW}",), (f"t={NOW}", f"t={NOW}", right), (f"t={NOW}", right.replace("v1", "v0"))):
        assert refused(source("stripe"), _stripe(*parts)).reason is Reason.MALFORMED
    assert "more than 16" in str(refused(source("stripe"), _stripe(f"t={NOW}", *["v1=0"] * 17)))
