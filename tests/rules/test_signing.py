"""Standard Webhooks: others verify what we sign, we verify what others sign, and nothing else passes."""

import base64
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from engine.errors import BadInput
from engine.rules.signing import BadSignature, decode_secret, sign, verify

NOW = 1_700_000_000
KEY = b"0123456789abcdef01234567"
secrets = st.binary(min_size=1, max_size=64)
bodies = st.binary(max_size=300)
ids = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=1, max_size=40)


def headers(signature: str, msg_id: str = "msg_1", timestamp: str = str(NOW)) -> dict[str, str]:
    return {"Webhook-Id": msg_id, "webhook-timestamp": timestamp, "WEBHOOK-SIGNATURE": signature}


def signed(body: bytes = b"{}") -> dict[str, str]:
    return headers(sign(KEY, "msg_1", NOW, body))


def test_a_vector_of_the_published_scheme() -> None:
    # The example of the scheme's own reference tests.
    key = decode_secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    body = b'{"test": 2432232314}'
    wanted = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert sign(key, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, body) == wanted


@given(secrets, ids, bodies)
def test_the_package_of_others_signs_alike(key: bytes, msg_id: str, body: bytes) -> None:
    theirs = Webhook(key).sign(msg_id, datetime.fromtimestamp(NOW, UTC), body.hex())
    assert sign(key, msg_id, NOW, body.hex().encode()) == theirs


@given(secrets, ids, st.text(st.characters(exclude_categories=["Cs"])))
def test_we_verify_what_others_signed(key: bytes, msg_id: str, body: str) -> None:
    theirs = Webhook(key).sign(msg_id, datetime.fromtimestamp(NOW, UTC), body)
    assert verify([b"another", key], headers(theirs, msg_id), body.encode(), NOW, 300) == msg_id


@given(secrets, st.text(st.characters(exclude_categories=["Cs"])))
def test_others_verify_what_we_signed(key: bytes, body: str) -> None:
    now = int(datetime.now(UTC).timestamp())
    signature = sign(key, "msg_1", now, body.encode())
    ours = {"webhook-id": "msg_1", "webhook-timestamp": str(now), "webhook-signature": signature}
    Webhook(key).verify(body.encode(), ours, json_parse=False)


@given(secrets)
def test_a_secret_means_the_same_to_us_and_to_others(key: bytes) -> None:
    text = base64.b64encode(key).decode()
    for spelling in (f"whsec_{text}", text, f"whsec_{text.rstrip('=')}", f" whsec_{text}\n"):
        assert decode_secret(spelling) == key
    assert Webhook(text).sign("m", datetime.fromtimestamp(NOW, UTC), "x") == sign(decode_secret(text), "m", NOW, b"x")


def test_a_passphrase_counts_as_its_bytes() -> None:
    assert decode_secret("correct horse!") == b"correct horse!"
    assert decode_secret("pässwort") == "pässwort".encode()


@pytest.mark.parametrize("secret", ["", " ", "whsec_", "whsec_!!!!", "whsec_a", "whsec_ab cd"])
def test_a_broken_secret_is_refused_without_showing_it(secret: str) -> None:
    with pytest.raises(BadInput) as caught:
        decode_secret(secret)
    assert "!!!!" not in str(caught.value)


def test_old_and_new_secret_are_both_valid_during_a_rotation() -> None:
    assert verify([b"new", KEY], signed(), b"{}", NOW, 300) == "msg_1"
    both = headers(f"{sign(b'new', 'msg_1', NOW, b'{}')} {sign(KEY, 'msg_1', NOW, b'{}')}")
    assert verify([KEY], both, b"{}", NOW, 300) == "msg_1"


@pytest.mark.parametrize("skew", [-300, -1, 0, 1, 300])
def test_a_clock_within_the_tolerance_passes(skew: int) -> None:
    assert verify([KEY], signed(), b"{}", NOW + skew, 300) == "msg_1"


@pytest.mark.parametrize(("skew", "word"), [(301, "old"), (-301, "far ahead"), (10**9, "old")])
def test_a_clock_outside_the_tolerance_is_refused(skew: int, word: str) -> None:
    with pytest.raises(BadSignature, match=f"signed too {word}"):
        verify([KEY], signed(), b"{}", NOW + skew, 300)


@given(st.integers(0, 31), st.integers(0, 7))
def test_no_flipped_bit_of_a_body_passes(index: int, bit: int) -> None:
    body = bytearray(range(32))
    good = signed(bytes(body))
    body[index] ^= 1 << bit
    with pytest.raises(BadSignature, match="fits none"):
        verify([KEY], good, bytes(body), NOW, 300)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"Webhook-Id": "msg_2"}, "fits none"),
        ({"Webhook-Id": ""}, "webhook-id is missing"),
        ({"webhook-timestamp": str(NOW + 1)}, "fits none"),
        ({"webhook-timestamp": "0" + str(NOW)}, "fits none"),
        ({"webhook-timestamp": ""}, "webhook-timestamp is missing"),
        ({"webhook-timestamp": "soon"}, "not a number of seconds"),
        ({"webhook-timestamp": f" {NOW}"}, "not a number of seconds"),
        ({"webhook-timestamp": "-1"}, "not a number of seconds"),
        ({"webhook-timestamp": "9" * 400}, "not a number of seconds"),
        ({"webhook-timestamp": "\u0661"}, "not a number of seconds"),
        ({"WEBHOOK-SIGNATURE": ""}, "webhook-signature is missing"),
        ({"WEBHOOK-SIGNATURE": "v2,abc v1a,def"}, "no v1 signature"),
        ({"WEBHOOK-SIGNATURE": "v1,"}, "fits none"),
        ({"WEBHOOK-SIGNATURE": "v1,é\udc80"}, "fits none"),
        ({"WEBHOOK-SIGNATURE": "v1,x " * 17}, "more than 16"),
    ],
)
def test_a_changed_header_is_refused_with_the_reason(change: dict[str, str], reason: str) -> None:
    with pytest.raises(BadSignature, match=reason):
        verify([KEY], signed() | change, b"{}", NOW, 300)


def test_sixteen_signatures_are_looked_at() -> None:
    many = " ".join(["v1,x"] * 15 + [sign(KEY, "msg_1", NOW, b"{}")])
    assert verify([KEY], headers(many), b"{}", NOW, 300) == "msg_1"


def test_a_request_without_headers_or_secrets_is_refused() -> None:
    with pytest.raises(BadSignature, match="missing"):
        verify([KEY], {}, b"", NOW, 300)
    with pytest.raises(BadSignature, match="fits none"):
        verify([], signed(), b"{}", NOW, 300)
