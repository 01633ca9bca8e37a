"""Who is at the other end: the peer, or whom a trusted proxy says it speaks for. Text in, text out; no socket."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any, NamedTuple

from engine.host.config.checks import is_loopback
from engine.rules.apikeys import UNIX

_MOST_HOPS = 20
_FORWARDED = ("HTTP_X_FORWARDED_FOR", "HTTP_FORWARDED", "HTTP_X_REAL_IP", "HTTP_VIA")
_CLAIMS = (
    *_FORWARDED,
    "HTTP_X_FORWARDED_HOST",
    "HTTP_X_FORWARDED_PROTO",
    "HTTP_X_FORWARDED_PORT",
    "HTTP_X_FORWARDED_BY",
    "HTTP_X_FORWARDED_PREFIX",
)
_Address = IPv4Address | IPv6Address
_Network = IPv4Network | IPv6Network


class Remote(NamedTuple):
    """A client. loopback: it runs on this machine, as far as can be told, and no proxy stands between."""

    address: str
    loopback: bool


def remote(peer: str, environ: dict[str, Any], trusted: Iterable[str]) -> Remote:
    """Return who asks, and take every header out of `environ` in which a proxy says so: nobody else is to believe it.

    X-Forwarded-For counts only from a peer in `trusted`. It is read from the right: each trusted proxy names whom it
    heard, and the first that is not trusted is the client; what stands left of it was written by the client itself.
    A list with something in it that is no address says nothing, and the peer is taken.
    """
    via_proxy = any(name in environ for name in _FORWARDED)
    forwarded = environ.get("HTTP_X_FORWARDED_FOR", "")
    for name in _CLAIMS:
        environ.pop(name, None)
    if peer == UNIX:
        return Remote(UNIX, loopback=not via_proxy)
    networks = _networks(tuple(trusted))
    own = plain(peer)
    client = own
    if own is not None and forwarded and _within(own, networks):
        client = _client(own, forwarded, networks)
    if client is None:
        return Remote(peer, loopback=False)
    here = client.is_loopback and not via_proxy and _named_here(environ.get("HTTP_HOST", ""))
    return Remote(str(client), here)


def plain(text: str) -> _Address | None:
    """Return an address, one of IPv4 that came over an IPv6 socket as what it is; None for anything else."""
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    mapped = getattr(address, "ipv4_mapped", None)
    return mapped or address


def _client(peer: _Address, forwarded: str, networks: tuple[_Network, ...]) -> _Address:
    hops = forwarded.split(",")
    if len(hops) > _MOST_HOPS:
        return peer
    found = peer
    for hop in reversed(hops):
        address = plain(_without_port(hop.strip()))
        if address is None:
            return peer
        found = address
        if not _within(address, networks):
            break
    return found


def _without_port(hop: str) -> str:
    """Some proxies add the port: 192.0.2.1:4711, [2001:db8::1]:4711."""
    if hop.startswith("["):
        return hop[1:].partition("]")[0]
    return hop.partition(":")[0] if hop.count(":") == 1 else hop


@lru_cache(maxsize=8)
def _networks(trusted: tuple[str, ...]) -> tuple[_Network, ...]:
    return tuple(ip_network(text) for text in trusted)


def _within(address: _Address, networks: tuple[_Network, ...]) -> bool:
    return any(address in network for network in networks)


def _named_here(host: str) -> bool:
    """Whether a request asked for this machine by name or address. A web page that had its own name resolve to
    127.0.0.1 would make a browser ask by that name.
    """
    name = host[: host.index("]") + 1] if host.startswith("[") and "]" in host else host.partition(":")[0]
    return not name or is_loopback(name)
