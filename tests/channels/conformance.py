"""The behaviour that every channel must show. Subclass Conformance, fill in `rig`, and pytest does the rest.

The author of a channel copies nothing from here: `class TestMine(Conformance)` with a fixture `rig` that returns a Rig
runs all of it against a real server.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import pytest

from engine.channels.base import Channel
from engine.errors import DeliveryError, Sent
from engine.model import Delivery, Receipt

SILENT_MS = 600
SLACK_MS = 1_500
"""What a busy machine may add to a deadline. The claim is "ends", not "ends on the millisecond"."""


@dataclass(frozen=True, slots=True)
class Received:
    """One message as the receiver saw it: its identity and its bytes."""

    identity: str
    body: bytes


@dataclass(frozen=True, slots=True)
class Rig:
    """A channel's surroundings.

    open: a channel to a receiver that accepts. delivery: a message for it. received: what the receiver has got.
    open_silent: a channel to a server that takes the connection and never says a word; None where there is no server.
    open_closed: a channel to a place that cannot be reached. secrets: texts that must stand in no error.
    """

    open: Callable[[], Channel]
    delivery: Callable[[], Delivery]
    received: Callable[[], Sequence[Received]]
    open_silent: Callable[[], Channel] | None
    open_closed: Callable[[], Channel]
    secrets: Sequence[str] = ()


class Conformance:
    """Inherit, and define a fixture `rig`."""

    def test_a_message_arrives_and_the_receipt_says_so(self, rig: Rig) -> None:
        with contextlib.closing(rig.open()) as channel:
            receipt = channel.deliver(rig.delivery())

        assert isinstance(receipt, Receipt)
        assert len(rig.received()) == 1
        assert rig.delivery().uid in rig.received()[0].identity

    def test_identity_and_bytes_are_the_same_at_every_attempt(self, rig: Rig) -> None:
        for attempt_no in (1, 2, 3):  # a channel of its own each: nothing may come from the channel's memory
            with contextlib.closing(rig.open()) as channel:
                channel.deliver(rig.delivery()._replace(attempt_no=attempt_no))

        assert len(set(rig.received())) == 1

    def test_several_threads_deliver_through_one_channel(self, rig: Rig) -> None:
        messages = [rig.delivery()._replace(uid=f"msg_{number:032x}") for number in range(12)]
        errors: list[BaseException] = []

        with contextlib.closing(rig.open()) as channel:

            def send(part: list[Delivery]) -> None:
                try:
                    for message in part:
                        channel.deliver(message)
                except DeliveryError as error:
                    errors.append(error)

            threads = [threading.Thread(target=send, args=(messages[start::4],)) for start in range(4)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(30)

        assert not errors
        assert len({seen.identity for seen in rig.received()}) == 12

    def test_a_place_that_cannot_be_reached_is_no_rejection(self, rig: Rig) -> None:
        with contextlib.closing(rig.open_closed()) as channel, pytest.raises(DeliveryError) as caught:
            channel.deliver(rig.delivery())

        assert caught.value.sent in {Sent.NO, Sent.MISCONFIGURED}
        assert caught.value.detail
        assert len(caught.value.detail) <= 2_000
        assert "\n" not in caught.value.detail

    def test_no_secret_stands_in_an_error(self, rig: Rig) -> None:
        words = []
        for make in (rig.open_closed, rig.open_silent):
            if make is None:
                continue
            with contextlib.closing(make()) as channel:
                with pytest.raises(DeliveryError) as caught:
                    channel.deliver(rig.delivery()._replace(timeout_ms=SILENT_MS))
                words.append(f"{caught.value} {caught.value.detail} {caught.value.refused}")
                words += [step.detail for step in channel.probe(send=False, timeout_ms=SILENT_MS)]

        assert words
        assert not [secret for secret in rig.secrets for text in words if secret in text]

    def test_a_probe_that_works_names_its_steps_and_sends_nothing(self, rig: Rig) -> None:
        with contextlib.closing(rig.open()) as channel:
            steps = channel.probe(send=False, timeout_ms=5_000)

        assert steps
        assert all(step.ok and step.name and step.took_ms >= 0 for step in steps)
        assert not rig.received()

    def test_a_probe_with_send_sends_one_message(self, rig: Rig) -> None:
        with contextlib.closing(rig.open()) as channel:
            steps = channel.probe(send=True, timeout_ms=5_000)

        assert all(step.ok for step in steps)
        assert steps[-1].name == "send"
        assert len(rig.received()) == 1

    def test_a_probe_never_raises_and_ends_at_the_step_that_failed(self, rig: Rig) -> None:
        for make in (rig.open_closed, rig.open_silent):
            if make is None:
                continue
            with contextlib.closing(make()) as channel:
                steps = channel.probe(send=True, timeout_ms=SILENT_MS)

            assert [step.ok for step in steps][-1:] == [False]
            assert all(step.ok for step in steps[:-1])
            assert steps[-1].detail

    def test_close_may_be_called_again_and_before_anything_was_sent(self, rig: Rig) -> None:
        channel = rig.open()
        channel.close()
        channel.close()

        channel = rig.open()
        channel.deliver(rig.delivery())
        channel.close()
        channel.close()


class ServerConformance(Conformance):
    """What a channel must show besides when there is a server at the other end."""

    def test_a_server_that_never_answers_costs_no_more_than_the_deadline(self, rig: Rig) -> None:
        assert rig.open_silent is not None, "a channel with a server can be given one that is silent"
        with contextlib.closing(rig.open_silent()) as channel:
            start_s = time.monotonic()
            with pytest.raises(DeliveryError) as caught:
                channel.deliver(rig.delivery()._replace(timeout_ms=SILENT_MS))
            took_ms = (time.monotonic() - start_s) * 1000

        assert took_ms < SILENT_MS + SLACK_MS
        assert caught.value.sent in {Sent.NO, Sent.UNKNOWN}
