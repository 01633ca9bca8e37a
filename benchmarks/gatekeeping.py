"""Rows: what it costs to let an API key in, and to keep ten thousand bogus ones out."""

from __future__ import annotations

import hashlib
import itertools
import os
from collections.abc import Iterator
from functools import partial

from benchmarks import contenders
from benchmarks.measure import (
    Bench,
    Row,
    Sample,
    absolute,
    at_least,
    at_most,
    cleanup,
    figure,
    median,
    per_call,
    side_by_side,
    timed_calls,
    versus,
)  # fmt: skip
from engine.engine import Engine
from engine.host.log import NullLog
from engine.operations.gate import Gate, Refused
from engine.rules.apikeys import Scope, make

_HOME = "127.0.0.1"
_NO_LIMIT = 10_000_000
_ITERATIONS = 600_000


def keys(bench: Bench) -> Iterator[Row]:
    """One process, one thread, the gate alone: HTTP comes on top."""
    with cleanup() as later:
        engine = contenders.open_engine(bench.fresh("ours"))
        later(engine.close)
        settings = engine.context.settings
        security = {**settings.security, "rate_limit_per_hour": _NO_LIMIT, "pbkdf2_iterations": _ITERATIONS}
        engine.context.settings = settings._replace(security=security)
        header = f"Bearer {engine.api_key_create('bench', [Scope.SEND]).text}"
        gate = Gate(engine.context, NullLog())
        later(gate.close)
        found = side_by_side(
            {
                "warm": partial(per_call, partial(gate.admit, header, _HOME, Scope.SEND), bench.scaled(5_000)),
                "bogus": partial(_bogus, gate, bench.round_s),
                "cold": partial(per_call, partial(_cold, engine, header), 3),
                "hashlib": partial(per_call, _hashlib, 3),
            },
            bench.rounds,
        )
    warm_us = median(found["warm"], "p50_us")
    yield absolute("a valid key, warm", "nothing", at_most(50, "µs"), warm_us, figure(warm_us, "p50_us"))
    work = f"a valid key, cold, {_ITERATIONS} iterations"
    yield versus(work, "hashlib.pbkdf2_hmac", at_most(1.0), found["cold"], found["hashlib"], "p50_us")
    rate = median(found["bogus"], "rate")
    runs = max(sample["runs"] for sample in found["bogus"])
    shown = f"{figure(rate, 'rate')}, {runs:.0f} KDF runs"
    yield absolute("bogus keys refused", "nothing", at_least(10_000, "/s"), rate if runs == 0 else 0.0, shown)


def _bogus(gate: Gate, seconds: float) -> Sample:
    """Keys with a right checksum and an id that nobody has."""
    shown = itertools.cycle([f"Bearer {make(os.urandom)[1]}" for _ in range(5_000)])
    before = gate.kdf_runs

    def knock() -> None:
        try:
            gate.admit(next(shown), _HOME, Scope.SEND)
        except Refused:
            return
        raise AssertionError("a bogus key came in")

    return {**timed_calls(knock, seconds), "runs": gate.kdf_runs - before}


def _cold(engine: Engine, header: str) -> None:
    """As after a restart: a gate that remembers nothing. It is not closed: that would write, and no process ends."""
    Gate(engine.context, NullLog()).admit(header, _HOME, Scope.SEND)


def _hashlib() -> bytes:
    return hashlib.pbkdf2_hmac("sha256", b"x" * 43, b"s" * 16, _ITERATIONS)
