"""A producer: puts messages in and writes each uid down once it was told that it is stored. A program of its own.

Started again after it was killed, it goes on behind the last line it wrote; what it was told and could not write down
comes again under the same idempotency key.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path

from engine.engine import Engine
from engine.errors import ChronosError, TryAgain
from engine.host.paths import paths
from engine.model import Attachment, NewMessage, OnUncertain, Priority
from tests.crash.evidence import read_acks

_REFUSED_PAUSE_S = 0.05
_COMMAND_EVERY = 40  # one in so many goes through `chronos send`: a process of its own costs 0.1 s


def make(seed: int, index: int, targets: list[str]) -> NewMessage:
    """Return the message of that number: always the same, so that a repeat has the same content."""
    rng = random.Random(f"{seed}:{index}")
    file = Attachment("note.txt", "text/plain", rng.randbytes(rng.randrange(1, 20_000)))
    return NewMessage(
        target=targets[index % len(targets)],
        subject=f"message {index} of seed {seed}",
        text="ü" * rng.randrange(1, 2_000),
        attachments=(file,) if index % 12 == 0 else (),
        priority=Priority(rng.choice((0, 1, 1, 1, 2, 3))),
        idempotency_key=key_of(seed, index),
        ordering_key=f"order-{index % 3}" if index % 20 == 7 else None,
        on_uncertain=OnUncertain.ASK if index % 50 == 9 else OnUncertain.RESEND,
        tags=("crash",) if index % 5 == 0 else (),
    )


def key_of(seed: int, index: int) -> str:
    return f"s{seed}-{index}"


class Producer:
    """Puts in what is not acknowledged yet, one by one."""

    def __init__(self, given: argparse.Namespace) -> None:
        self._given = given
        self._targets = given.targets.split(",")
        self._acks = os.open(given.acks, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._refused = os.open(f"{given.acks}.refused", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._command = given.command

    def run(self) -> None:
        known = {key for _, key in read_acks(Path(self._given.acks))}
        engine = self._open()
        try:
            for index in range(self._given.first, self._given.first + self._given.count):
                if key_of(self._given.seed, index) not in known:
                    self._put(engine, index)
                    time.sleep(self._given.pace_ms / 1000)
        finally:
            engine.close()

    def _open(self) -> Engine:
        while True:
            try:
                return Engine.open(paths(self._given.data, None, os.environ), os.environ, actor="producer")
            except TryAgain as error:
                self._note_refusal(error)

    def _put(self, engine: Engine, index: int) -> None:
        message = make(self._given.seed, index, self._targets)
        by_command = self._command and index % _COMMAND_EVERY == 0 and not message.attachments
        while True:
            try:
                uid = self._send(message) if by_command else engine.enqueue(message).message.uid
                break
            except TryAgain as error:
                self._note_refusal(error)
        os.write(self._acks, f"{uid} {message.idempotency_key}\n".encode())

    def _send(self, message: NewMessage) -> str:
        words = [self._command, "--data-dir", self._given.data, "send", message.target, "--subject", message.subject]
        words += ["--text", message.text or "", "--idempotency-key", message.idempotency_key or ""]
        words += ["--priority", message.priority.name.lower(), "--on-uncertain", (message.on_uncertain or "").lower()]
        done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=60)
        if done.returncode == TryAgain.exit_code:
            raise TryAgain(done.stderr.strip())
        if done.returncode != 0:
            raise ChronosError(f"chronos send ended with {done.returncode}: {done.stderr.strip()}")
        return done.stdout.strip()

    def _note_refusal(self, error: ChronosError) -> None:
        line = {"at_ms": time.time_ns() // 1_000_000, "kind": type(error).__name__, "text": str(error)}
        os.write(self._refused, json.dumps(line).encode() + b"\n")
        time.sleep(_REFUSED_PAUSE_S)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.crash.producer")
    parser.add_argument("--data", required=True)
    parser.add_argument("--acks", required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--targets", required=True)
    parser.add_argument("--pace-ms", type=int, default=0)
    parser.add_argument("--command", help="path of `chronos`: some messages go through it")
    parser.add_argument("--defect", help="one of tests.crash.defects")
    given = parser.parse_args()
    if given.defect:
        from tests.crash.defects import plant

        plant(given.defect)
    try:
        Producer(given).run()
    except ChronosError as error:
        sys.stderr.write(f"{type(error).__name__}: {error}\n")
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
