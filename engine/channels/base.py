"""The protocol between the engine and a way out. Whoever writes a channel reads this file and nothing else.

A channel is found by its entry point in the group `chronos.channels`, named as in `channel:` of the configuration and
pointing at a ChannelType. tests/channels/conformance.py holds the behaviour that every channel must show.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from engine.model import Delivery, ProbeStep, Receipt, TargetSpec

if TYPE_CHECKING:
    from pydantic import BaseModel


class ChannelContext(NamedTuple):
    """What a channel may use of its surroundings.

    smtp: the section `smtp` of the configuration. secret: opens "secret:NAME"; raises SecretMissing.
    allow_private: whether an address that is not trusted may still be loopback or private.
    data_dir: where relative paths start. now_ms: the wall clock, for signatures and dates.
    """

    smtp: Mapping[str, Any]
    secret: Callable[[str], str]
    allow_private: bool
    data_dir: str
    now_ms: Callable[[], int]


class Channel(Protocol):
    """An open way out to one target. Used by several sender threads at once."""

    def deliver(self, delivery: Delivery) -> Receipt:
        """Put the message on the wire and return once the receiver has accepted it.

        Ends within `delivery.timeout_ms`, whatever the receiver does. Sends the same identity and the same bytes at
        every attempt.

        Raises DeliveryError with the right `sent` for everything else. Anything else raised is taken for
        Sent.UNKNOWN, counted and logged: a defect of the channel.
        """

    def probe(self, *, send: bool, timeout_ms: int) -> list[ProbeStep]:
        """Try the way as far as it goes without sending anything; with `send`, one message that says it is a test.

        Never raises for what the other side does: a step that failed says so and ends the list.
        """

    def close(self) -> None:
        """Let go of connections. Called once, after the last deliver ended; never raises."""


class ChannelType(Protocol):
    """What an entry point names."""

    name: str

    def options(self) -> type[BaseModel]:
        """The pydantic model of the target's own settings (`to`, `url` …). Imported only when configuration is read."""

    def check(self, target: TargetSpec, *, production: bool) -> list[str]:
        """Problems that the model cannot see, one line each; [] when there are none."""

    def open(self, target: TargetSpec, context: ChannelContext) -> Channel:
        """Make the way out. Opens nothing on the network yet; raises SecretMissing or ConfigError."""
