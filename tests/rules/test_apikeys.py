"""The text of an API key, what is stored of it, and what is said of it."""

from __future__ import annotations

import base64
import hashlib
import os
import string
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadInput
from engine.rules import apikeys
from engine.rules.apikeys import KeyState, Scope
from engine.rules.origins import Bounds, origin_of

ALPHABET = string.ascii_letters + string.digits + "_-"
NOW = 1_790_000_000_000
DAY = 86_400_000


def key_of(seed: bytes) -> tuple[apikeys.KeyText, str]:
    """A key made of bytes that a test chose."""
    stream = hashlib.shake_256(seed).digest(64)
    return apikeys.make(lambda n: stream[:n])


keys = st.binary(max_size=8).map(key_of)


@given(keys)
def test_a_key_is_read_as_it_was_written(made: tuple[apikeys.KeyText, str]) -> None:
    parts, text = made
    assert apikeys.parse(text) == parts
    assert len(text) == 63
    assert len(base64.urlsafe_b64decode(parts.secret + "=")) == 32


@given(keys, st.integers(0, 62), st.characters(codec="utf-8"))
def test_any_one_wrong_character_is_found(made: tuple[apikeys.KeyText, str], at: int, other: str) -> None:
    _, text = made
    changed = text[:at] + other + text[at + 1 :]
    assert (apikeys.parse(changed) is None) == (other != text[at])


def test_every_single_substitution_of_a_key_is_found() -> None:
    _, text = key_of(b"exhaustive")
    wrong = [text[:at] + other + text[at + 1 :] for at in range(len(text)) for other in ALPHABET if other != text[at]]
    assert len(wrong) == 63 * 63
    assert not any(apikeys.parse(one) for one in wrong)


@given(keys, st.integers(0, 61))
def test_two_swapped_neighbours_are_found(made: tuple[apikeys.KeyText, str], at: int) -> None:
    _, text = made
    swapped = text[:at] + text[at + 1] + text[at] + text[at + 2 :]
    assert (apikeys.parse(swapped) is None) == (swapped != text)


@given(keys, st.integers(0, 62), st.text(alphabet=ALPHABET, min_size=1, max_size=3))
def test_a_key_that_is_cut_or_has_more_to_it_is_none(made: tuple[apikeys.KeyText, str], at: int, more: str) -> None:
    _, text = made
    assert apikeys.parse(text[:at]) is None
    assert apikeys.parse(text + more) is None
    assert apikeys.parse(more + text) is None
    assert apikeys.parse(text + "\n") is None


@given(st.text(max_size=80))
def test_no_text_makes_the_parser_fail(text: str) -> None:
    apikeys.parse(text)


@given(st.text(alphabet=string.printable, max_size=60))
def test_the_checksum_is_the_crc_in_base_62(body: str) -> None:
    digits = string.digits + string.ascii_uppercase + string.ascii_lowercase
    found = apikeys.checksum(body)
    assert len(found) == 6
    assert sum(digits.index(digit) * 62**place for place, digit in enumerate(reversed(found))) == zlib.crc32(
        body.encode()
    )


def test_the_checksum_of_a_known_text() -> None:
    # 0xCBF43926 is the check value of CRC-32/ISO-HDLC over "123456789", as every catalogue of CRCs has it.
    assert apikeys.checksum("123456789") == "3jZRME"
    assert apikeys.checksum("") == "000000"


@pytest.mark.parametrize(
    ("password", "salt", "iterations", "derived"),
    [
        ("passwd", b"salt", 1, "55ac046e56e3089fec1691c22544b605f94185216dde0465e68b9d57c20dacbc"),
        ("Password", b"NaCl", 80_000, "4ddcd8f60b98be21830cee5ef22701f9641a4418d04c0414aeff08876b34ab56"),
    ],
)
def test_the_derivation_is_that_of_rfc_7914(password: str, salt: bytes, iterations: int, derived: str) -> None:
    # Section 11 lists 64 bytes; blocks of PBKDF2 do not depend on each other, so ours are its first 32.
    assert apikeys.derive(password, salt, iterations).hex() == derived


@given(st.text(alphabet=ALPHABET, min_size=1, max_size=43), st.binary(min_size=16, max_size=16), st.integers(1, 50))
def test_the_derivation_agrees_with_another_implementation(secret: str, salt: bytes, iterations: int) -> None:
    other = hashlib.pbkdf2_hmac("sha256", secret.encode(), salt, iterations)
    assert apikeys.derive(secret, salt, iterations) == other


def test_nothing_prints_a_secret_by_accident() -> None:
    parts, _ = apikeys.make(os.urandom)
    assert parts.secret not in f"{parts!r}"
    assert parts.secret not in f"{parts}"


def test_scopes_are_read_in_their_order_and_each_once() -> None:
    assert apikeys.check_scopes(["read", "send", "read"]) == (Scope.SEND, Scope.READ)
    with pytest.raises(BadInput, match="did you mean admin"):
        apikeys.check_scopes(["admni"])
    with pytest.raises(BadInput, match="opens nothing"):
        apikeys.check_scopes([])


@pytest.mark.parametrize("name", ["n8n", "backup.nightly", "ops@box", "A-1", "x" * 64])
def test_a_name_that_can_be_typed_is_taken(name: str) -> None:
    assert apikeys.check_name(name) == name


@pytest.mark.parametrize("name", ["", "-x", "two words", "x" * 65, "é", "x\n", "deadbeef", "chr_deadbeef_x"])
def test_a_name_that_is_none_or_reads_like_an_id_is_refused(name: str) -> None:
    with pytest.raises(BadInput):
        apikeys.check_name(name)


def test_an_id_is_found_in_what_people_paste() -> None:
    parts, text = key_of(b"pasted")
    assert apikeys.id_in(parts.id) == parts.id
    assert apikeys.id_in(text) == parts.id
    assert apikeys.id_in(f"chr_{parts.id}_<secret>") == parts.id
    assert apikeys.id_in("n8n") is None
    assert apikeys.id_in("chr_x") is None


def test_networks_are_written_alike() -> None:
    given_ = ["192.0.2.7", "10.0.0.0/8", "10.0.0.0/8", "2001:DB8::/32", "unix"]
    assert apikeys.check_networks(given_) == ("10.0.0.0/8", "192.0.2.7/32", "2001:db8::/32", "unix")
    for wrong in ("10.0.0.1/8", "10.0.0.0/33", "example.org", "", "1"):
        with pytest.raises(BadInput, match="is not a network"):
            apikeys.check_networks([wrong])
    with pytest.raises(BadInput, match="at most 100"):
        apikeys.check_networks([f"10.0.{n}.0/24" for n in range(101)])


@pytest.mark.parametrize(
    ("remote", "network"),
    [
        ("203.0.113.9", "203.0.113.9"),
        ("::ffff:203.0.113.9", "203.0.113.9"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("unix", "unix"),
        ("what is this", "what is this"),
    ],
)
def test_a_client_is_counted_under_what_it_cannot_change(remote: str, network: str) -> None:
    assert origin_of(remote).network == network


@pytest.mark.parametrize(
    ("words", "inside", "outside"),
    [
        ((), ["unix", "203.0.113.9", "::1"], []),
        (("10.0.0.0/8",), ["10.1.2.3", "::ffff:10.1.2.3"], ["11.0.0.1", "::1", "unix", "nonsense"]),
        (("2001:db8::/32",), ["2001:db8::5"], ["2001:db9::5", "10.0.0.1"]),
        (("unix",), ["unix"], ["127.0.0.1", "::1", "nonsense"]),
        (("unix", "127.0.0.0/8"), ["unix", "127.0.0.1"], ["10.0.0.1"]),
    ],
)
def test_a_key_is_bound_to_its_networks(words: tuple[str, ...], inside: list[str], outside: list[str]) -> None:
    bounds = Bounds(words)
    assert [remote for remote in inside if not bounds.hold(origin_of(remote))] == []
    assert [remote for remote in outside if bounds.hold(origin_of(remote))] == []


def test_how_a_key_stands() -> None:
    def state(expires_ms: int | None = None, revoked_ms: int | None = None, successor: str | None = None) -> KeyState:
        return apikeys.state_of(NOW, expires_ms=expires_ms, revoked_ms=revoked_ms, successor=successor)

    assert state() == KeyState.ACTIVE
    assert state(NOW + 8 * DAY) == KeyState.ACTIVE
    assert state(NOW + 7 * DAY) == KeyState.EXPIRING
    assert state(NOW + 1) == KeyState.EXPIRING
    assert state(NOW) == KeyState.EXPIRED
    assert state(NOW + DAY, successor="x") == KeyState.REPLACED
    assert state(NOW, successor="x") == KeyState.EXPIRED
    assert state(NOW + DAY, NOW, "x") == KeyState.REVOKED
