"""Where a message may go: public addresses, private ones by the operator's word, never link-local or metadata."""

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.rules.netaddr import refusal

PUBLIC = [
    "1.1.1.1", "8.8.8.8", "93.184.216.34", "100.63.255.255", "100.128.0.0", "172.15.255.255", "172.32.0.0",
    "192.167.255.255", "192.169.0.0", "11.0.0.0", "128.0.0.0", "126.255.255.255", "223.255.255.255", "169.253.255.255",
    "169.255.0.0", "198.17.255.255", "198.20.0.0", "2606:4700:4700::1111", "2a00:1450::1", "2001:4860:4860::8888",
    "2001:200::1", "::ffff:8.8.8.8", "64:ff9b::8.8.8.8", "::ffff:0:8.8.8.8",
]  # fmt: skip
PRIVATE = [
    "127.0.0.1", "127.255.255.255", "10.0.0.0", "10.255.255.255", "172.16.0.0", "172.31.255.255", "192.168.0.0",
    "192.168.255.255", "100.64.0.0", "100.127.255.255", "192.0.0.1", "192.0.2.1", "198.18.0.1", "198.19.255.255",
    "198.51.100.1", "203.0.113.1", "192.88.99.1", "::1", "::1%eth0", "fc00::1", "fd12:3456::1", "fdff::1", "fec0::1",
    "100::1",
    "2001:db8::1", "2001:10::1", "2001:20::1", "3fff::1", "::ffff:127.0.0.1", "::ffff:10.0.0.1", "::ffff:7f00:1",
    "64:ff9b::127.0.0.1", "64:ff9b::10.1.2.3", "::ffff:0:192.168.1.1", "::127.0.0.1", "::10.0.0.1",
    "0:0:0:0:0:ffff:7f00:0001",
]  # fmt: skip
NEVER = [
    "0.0.0.0", "0.1.2.3", "169.254.0.0", "169.254.169.254", "169.254.170.2", "169.254.255.255", "100.100.100.200",
    "192.0.0.192", "168.63.129.16", "224.0.0.1", "239.255.255.255", "240.0.0.1", "255.255.255.255", "::", "fe80::1",
    "febf::1", "fe80::1%eth0", "ff02::1", "ff0e::1", "fd00:ec2::254", "fd20:ce::254", "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe", "::ffff:0.0.0.0", "::ffff:224.0.0.1", "64:ff9b::169.254.169.254", "64:ff9b::a9fe:a9fe",
    "64:ff9b:1::1", "64:ff9b:1:7f00:0:100::", "2002:7f00:1::", "2002:808:808::1", "2002:a9fe:a9fe::1",
    "2001::1", "2001:0:4136:e378:8000:63bf:3fff:fdd2", "::ffff:0:169.254.169.254", "::2", "4000::1",
    "8000::", "e000::1", "200::1", "64:ff9b:2::1",
]  # fmt: skip
NOT_ADDRESSES = ["", "localhost", "127.1", "0", "2130706433", "0x7f.0.0.1", "1.2.3.4.5", "[::1]", "1.2.3.4/8", "%eth0"]


@pytest.mark.parametrize("ip", PUBLIC)
def test_public_addresses_are_open_to_all(ip: str) -> None:
    assert refusal(ip, trusted=False, allow_private=False) is None


@pytest.mark.parametrize("ip", PRIVATE)
def test_private_addresses_need_the_operators_word(ip: str) -> None:
    why = refusal(ip, trusted=False, allow_private=False)
    assert why is not None
    assert "security.allow_private_targets" in why
    assert refusal(ip, trusted=True, allow_private=False) is None
    assert refusal(ip, trusted=False, allow_private=True) is None


@pytest.mark.parametrize("ip", NEVER)
def test_some_addresses_are_refused_whoever_asks(ip: str) -> None:
    why = refusal(ip, trusted=True, allow_private=True)
    assert why is not None
    assert why.isprintable()


@pytest.mark.parametrize("ip", NOT_ADDRESSES)
def test_what_is_no_address_is_refused(ip: str) -> None:
    why = refusal(ip, trusted=True, allow_private=True)
    assert why is not None
    assert "is not an IP address" in why


@given(st.ip_addresses(v=4))
def test_an_ipv4_address_in_ipv6_clothes_is_judged_as_itself(ip: ipaddress.IPv4Address) -> None:
    for trusted in (False, True):
        plain = refusal(str(ip), trusted=trusted, allow_private=False)
        for prefix in ("::ffff:", "64:ff9b::", "::ffff:0:"):
            assert (refusal(f"{prefix}{ip}", trusted=trusted, allow_private=False) is None) == (plain is None)


@given(st.ip_addresses())
def test_nothing_is_open_to_all_that_the_standard_library_calls_local(
    ip: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    local = ip.is_private or ip.is_loopback or ip.is_link_local or ip.is_multicast or ip.is_unspecified
    if local:
        assert refusal(str(ip), trusted=False, allow_private=False) is not None


@given(st.ip_addresses())
def test_trust_never_closes_what_was_open(ip: ipaddress.IPv4Address | ipaddress.IPv6Address) -> None:
    if refusal(str(ip), trusted=False, allow_private=False) is None:
        assert refusal(str(ip), trusted=True, allow_private=True) is None
