"""The effective configuration in the words of the file, key by key, each with its origin. Decides nothing."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from engine.model import Rate, RetryPolicy, Settings, TargetSpec
from engine.rules.durations import compact_duration

_PER = {1_000: "s", 60_000: "m", 3_600_000: "h", 86_400_000: "d"}


@dataclass(frozen=True, slots=True)
class Entry:
    """One key as the file would hold it. `value`: true, a number, text, a list; durations and sizes as text.

    origin: "default", "file:LINE" or "environment:NAME"; "" where it is not known.
    """

    key: str
    value: Any
    origin: str


def entries(settings: Settings) -> Iterator[Entry]:
    """Yield every key with its effective value, in the order of the documentation."""
    for key in ("environment", "instance"):
        yield _entry(settings, key, getattr(settings, key))
    for name in Settings._fields:
        section = getattr(settings, name)
        if name in {"environment", "instance", "targets", "routes", "origin"}:
            continue
        for key, value in _leaves(section, name):
            yield _entry(settings, *in_words(key, value))
    for name, target in settings.targets.items():
        for key, value in target_entries(target):
            yield _entry(settings, f"targets.{name}.{key}", value)
    for name, steps in settings.routes.items():
        route = [s.target if not s.after_ms else {"after": _duration(s.after_ms), "to": s.target} for s in steps]
        yield _entry(settings, f"routes.{name}", route)


def _entry(settings: Settings, key: str, value: Any) -> Entry:
    """Look up the origin: the key's own, that of `defaults:` for a target's key, or "default"."""
    origin = settings.origin.get(key, "")
    parts = key.split(".")
    if not origin and parts[0] == "targets":
        origin = settings.origin.get(".".join(["defaults", *parts[2:]]), "")
    return Entry(key, value, origin or ("default" if settings.origin else ""))


def _leaves(value: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for key, item in value.items():
        if isinstance(item, Mapping) and item:
            yield from _leaves(item, f"{prefix}.{key}")
        else:
            yield f"{prefix}.{key}", item


def in_words(key: str, value: Any) -> tuple[str, Any]:
    """Turn a key and value of Settings into those of the file: ("timeout_ms", 5000) → ("timeout", "5s")."""
    if key.endswith("_ms") and isinstance(value, int):
        return key.removesuffix("_ms"), _duration(value)
    if key.endswith("_bytes") and isinstance(value, int):
        return key.removesuffix("_bytes"), _size(value)
    return key, value


def target_entries(target: TargetSpec) -> Iterator[tuple[str, Any]]:
    """Yield a target's keys as the file would hold them, the common ones with their effective values."""
    yield "channel", target.channel
    for key, value in target.options.items():
        if value is not None and value != []:
            yield key, value
    for key, value in _retry(target.retry):
        yield f"retry.{key}", value
    yield "breaker", target.breaker
    yield "rate", "none" if target.rate is None else _rate(target.rate)
    yield "max_in_flight", target.max_in_flight
    yield "timeout", _duration(target.timeout_ms)
    yield "on_uncertain", str(target.on_uncertain)
    for name, text in target.headers:
        yield f"headers.{name}", text
    yield "order_blocked_by", list(target.order_blocked_by)


def _retry(retry: RetryPolicy) -> Iterator[tuple[str, Any]]:
    for name in retry._fields:
        yield in_words(name, getattr(retry, name))


def _rate(rate: Rate) -> str:
    return f"{rate.limit}/{_PER[rate.per_ms]}"


def _duration(ms: int) -> str:
    return compact_duration(ms, exact=True)


def _size(size_bytes: int) -> str | int:
    """Write a size exactly: 32MiB, 10KiB, 1500."""
    for unit, factor in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if size_bytes and size_bytes % factor == 0:
            return f"{size_bytes // factor}{unit}"
    return size_bytes
