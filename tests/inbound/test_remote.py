"""Who asks: a proxy is believed where the operator trusts it, and nobody else is."""

from __future__ import annotations

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.inbound.http.remote import plain, remote

PROXY = "10.0.0.1"
TRUSTED = ("10.0.0.0/8", "fd00::/8")


def ask(peer: str, forwarded: str | None = None, *, trusted: tuple[str, ...] = TRUSTED, **headers: str) -> str:
    environ = dict(headers) if forwarded is None else {"HTTP_X_FORWARDED_FOR": forwarded, **headers}
    return remote(peer, environ, trusted).address


@pytest.mark.parametrize(
    ("peer", "forwarded", "client"),
    [
        ("192.0.2.9", None, "192.0.2.9"),
        ("192.0.2.9", "203.0.113.7", "192.0.2.9"),  # nobody trusts this peer
        (PROXY, None, PROXY),
        (PROXY, "203.0.113.7", "203.0.113.7"),
        (PROXY, "1.2.3.4, 203.0.113.7", "203.0.113.7"),  # what stands left was written by the client
        (PROXY, "203.0.113.7, 10.9.9.9", "203.0.113.7"),  # two proxies
        (PROXY, "10.1.1.1, 10.2.2.2", "10.1.1.1"),  # all of them ours
        (PROXY, "203.0.113.7, unknown", PROXY),
        (PROXY, "", PROXY),
        (PROXY, "203.0.113.7:4711", "203.0.113.7"),
        (PROXY, "[2001:db8::7]:4711", "2001:db8::7"),
        (PROXY, "2001:db8::7", "2001:db8::7"),
        (PROXY, "::ffff:203.0.113.7", "203.0.113.7"),
        ("::ffff:10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("fd00::1", "203.0.113.7", "203.0.113.7"),
        ("fe80::1%eth0", None, "fe80::1"),
        (PROXY, ",".join(["203.0.113.7"] * 21), PROXY),
        ("unix", "203.0.113.7", "unix"),
    ],
)
def test_the_client_is_the_first_from_the_right_that_is_no_proxy_of_ours(
    peer: str, forwarded: str | None, client: str
) -> None:
    assert ask(peer, forwarded) == client


@pytest.mark.parametrize(
    ("peer", "headers", "loopback"),
    [
        ("127.0.0.1", {}, True),
        ("::1", {"HTTP_HOST": "[::1]:8467"}, True),
        ("127.0.0.1", {"HTTP_HOST": "localhost:8467"}, True),
        ("127.0.0.1", {"HTTP_HOST": "evil.example.org"}, False),  # a page whose name was made to mean 127.0.0.1
        ("127.0.0.1", {"HTTP_X_FORWARDED_FOR": "203.0.113.7"}, False),
        ("127.0.0.1", {"HTTP_FORWARDED": "for=203.0.113.7"}, False),
        ("127.0.0.1", {"HTTP_X_REAL_IP": "203.0.113.7"}, False),
        ("192.0.2.9", {}, False),
        ("192.0.2.9", {"HTTP_HOST": "localhost"}, False),
        ("unix", {}, True),
        ("unix", {"HTTP_X_FORWARDED_FOR": "127.0.0.1"}, False),
    ],
)
def test_only_a_client_of_this_machine_without_a_proxy_is_on_loopback(
    peer: str, headers: dict[str, str], *, loopback: bool
) -> None:
    assert remote(peer, dict(headers), ()).loopback is loopback


def test_a_trusted_proxy_cannot_make_somebody_local() -> None:
    assert not remote("127.0.0.1", {"HTTP_X_FORWARDED_FOR": "127.0.0.1"}, ("127.0.0.1/32",)).loopback


def test_no_claim_is_left_for_others_to_believe() -> None:
    claims = ("FOR", "HOST", "PROTO", "PORT", "BY", "PREFIX")
    environ = {f"HTTP_X_FORWARDED_{name}": "x" for name in claims} | {"HTTP_FORWARDED": "x", "HTTP_HOST": "h"}
    remote(PROXY, environ, TRUSTED)
    assert set(environ) == {"HTTP_HOST"}


@given(st.text(max_size=60))
def test_whatever_is_claimed_the_answer_is_an_address_and_never_a_trusted_one_from_outside(forwarded: str) -> None:
    found = ask(PROXY, forwarded)
    assert found == PROXY or ip_address(found)
    outside = ask("192.0.2.9", forwarded)
    assert outside == "192.0.2.9"
    assert plain(outside) not in ip_network("10.0.0.0/8")
