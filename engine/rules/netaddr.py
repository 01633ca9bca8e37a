"""Which IP addresses a message may be sent to. Judges the address that is connected to; resolves nothing."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

    Network: TypeAlias = IPv4Network | IPv6Network

# Never, whoever asks. Metadata services hand out a cloud machine's credentials to any local HTTP client; some of them
# sit in private or public ranges and are named one by one.
_NEVER = (
    ("169.254.0.0/16", "link-local, where cloud metadata services live"),
    ("100.100.100.200/32", "a cloud metadata service"),
    ("192.0.0.192/32", "a cloud metadata service"),
    ("168.63.129.16/32", "a cloud metadata service"),
    ("fd00:ec2::/32", "a cloud metadata service"),
    ("fd20:ce::254/128", "a cloud metadata service"),
    ("0.0.0.0/8", "unspecified"),
    ("224.0.0.0/4", "multicast"),
    ("255.255.255.255/32", "broadcast"),
    ("240.0.0.0/4", "reserved"),
    ("::/128", "unspecified"),
    ("fe80::/10", "link-local"),
    ("ff00::/8", "multicast"),
    ("64:ff9b:1::/48", "a local translation prefix that hides an IPv4 address"),
    ("2002::/16", "a 6to4 tunnel that hides an IPv4 address"),
    ("2001::/32", "a Teredo tunnel that hides an IPv4 address"),
)
# Only where the operator wrote the address, or allowed private targets. Source: IANA special-purpose registries.
_PRIVATE = (
    ("127.0.0.0/8", "loopback"),
    ("10.0.0.0/8", "private"),
    ("172.16.0.0/12", "private"),
    ("192.168.0.0/16", "private"),
    ("100.64.0.0/10", "carrier-grade NAT"),
    ("192.0.0.0/24", "protocol assignments"),
    ("192.0.2.0/24", "documentation"),
    ("192.88.99.0/24", "a 6to4 relay"),
    ("198.18.0.0/15", "benchmarking"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("::1/128", "loopback"),
    ("fc00::/7", "unique local"),
    ("fec0::/10", "site-local"),
    ("100::/64", "discard-only"),
    ("2001::/23", "protocol assignments"),
    ("2001:db8::/32", "documentation"),
    ("3fff::/20", "documentation"),
)
# These carry an IPv4 address in their last 32 bits; that one is judged. NAT64's well-known prefix must stay usable: on
# an IPv6-only network every public IPv4 server is reached through it.
_WRAPPERS = ("::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96", "::/96")


def refusal(ip: str, *, trusted: bool, allow_private: bool) -> str | None:
    """Return why nothing is sent to the address `ip`, or None if it may be.

    trusted: the operator wrote the target into the configuration. allow_private: `security.allow_private_targets`.
    """
    from ipaddress import IPv6Address, ip_address

    try:
        address = ip_address(ip.partition("%")[0])
    except ValueError:
        return f"{ip[:60]!r} is not an IP address"
    never, private, wrappers, global_unicast = _tables()
    special = address.is_loopback or address.is_unspecified
    if isinstance(address, IPv6Address) and not special and any(address in wrapper for wrapper in wrappers):
        return _wrapped(address, trusted=trusted, allow_private=allow_private)
    if what := _found(address, never):
        return f"{address} is {what}; never sent to"
    if what := _found(address, private):
        if trusted or allow_private:
            return None
        return f"{address} is {what}; configure it as a target, or set security.allow_private_targets"
    if isinstance(address, IPv6Address) and address not in global_unicast:
        return f"{address} is reserved; never sent to"
    return None


def _wrapped(address: IPv6Address, *, trusted: bool, allow_private: bool) -> str | None:
    from ipaddress import IPv4Address

    inner = IPv4Address(address.packed[-4:])
    why = refusal(str(inner), trusted=trusted, allow_private=allow_private)
    return f"{address} stands for {why}" if why else None


def _found(address: IPv4Address | IPv6Address, table: tuple[tuple[Network, str], ...]) -> str | None:
    return next((what for network, what in table if address in network), None)


@cache
def _tables() -> tuple[tuple[tuple[Network, str], ...], tuple[tuple[Network, str], ...], tuple[Network, ...], Network]:
    from ipaddress import ip_network

    return (
        tuple((ip_network(text), what) for text, what in _NEVER),
        tuple((ip_network(text), what) for text, what in _PRIVATE),
        tuple(ip_network(text) for text in _WRAPPERS),
        ip_network("2000::/3"),
    )
