"""Where a request comes from: the network it is counted under, and whether a key may be used from there. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import NamedTuple, TypeAlias

from engine.rules.apikeys import UNIX

Network: TypeAlias = IPv4Network | IPv6Network

_SUBSCRIBER_BITS = 64
_MOST_CHARS = 100


class Origin(NamedTuple):
    """network: the address itself, the /64 of an IPv6 address, or "unix". address: None where there is none."""

    network: str
    address: IPv4Address | IPv6Address | None


def origin_of(remote: str) -> Origin:
    """Return the origin of a client's address, or of "unix". A text that is neither is counted under itself.

    An IPv6 subscriber has a /64 at least (RFC 6177) and may use every address of it, so the /64 is who it is. An IPv4
    address in IPv6 clothes is the IPv4 address.
    """
    if remote == UNIX:
        return Origin(UNIX, None)
    try:
        address = ip_address(remote.partition("%")[0])
    except ValueError:
        return Origin(remote[:_MOST_CHARS], None)
    if isinstance(address, IPv4Address):
        return Origin(str(address), address)
    if address.ipv4_mapped is not None:
        return Origin(str(address.ipv4_mapped), address.ipv4_mapped)
    return Origin(str(ip_network((address, _SUBSCRIBER_BITS), strict=False)), address)


class Bounds:
    """The networks that a key may be used from, read once. None at all: from anywhere."""

    __slots__ = ("_networks", "_unix")

    def __init__(self, words: Iterable[str]) -> None:
        given = tuple(words)
        self._unix = not given or UNIX in given
        self._networks: tuple[Network, ...] | None = (
            tuple(ip_network(word) for word in given if word != UNIX) if given else None
        )

    def hold(self, origin: Origin) -> bool:
        """Return whether a request may come from there."""
        if self._networks is None:
            return True
        if origin.address is None:
            return self._unix and origin.network == UNIX
        return any(origin.address in network for network in self._networks)
