"""The types of configuration values: what is accepted, and in which words it is refused. Knows no key.

Values of the file keep the type that YAML gave them and are not bent: `yes` is text, and text is not a boolean. Values
of the environment are all text (EnvText) and are read as the key's type demands.
"""

# ruff: noqa: TRY004 - pydantic makes a problem of a ValueError; a TypeError would fly past it

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator

from engine.errors import BadInput
from engine.host.secrets_env import is_reference
from engine.model import Rate
from engine.rules.durations import compact_duration, format_size, parse_duration_ms, parse_rate, parse_size

_T = TypeVar("_T")

SECRET_KEY = re.compile(r"(?:^|_)(?:secret|password|passwd|token|api_key)$")
"""Keys whose value must be a reference, wherever a channel's options use one of these names."""


class EnvText(str):
    """A value from the environment: text that still has to become what its key holds."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Kind:
    """Metadata of a field: its name for people, and the suffix that its unit adds to the key in Settings."""

    name: str
    suffix: str = ""


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be text; put it into quotes")
    if any(character in value for character in "\r\n\0"):
        raise ValueError("must be one line without control characters")
    return str(value)


def _flag(value: object) -> bool:
    if isinstance(value, bool):
        return value
    if isinstance(value, EnvText) and value.lower() in {"true", "yes", "on", "1", "false", "no", "off", "0"}:
        return value.lower() in {"true", "yes", "on", "1"}
    if isinstance(value, EnvText):
        raise ValueError("must be true or false")
    raise ValueError("must be true or false, without quotes (YAML 1.2 does not read yes, no, on and off)")


def number(value: object) -> int:
    """Accept a whole number. Raises ValueError."""
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, EnvText) and re.fullmatch(r"[+-]?[0-9]{1,18}", value):
        return int(value)
    raise ValueError("must be a whole number" + ("" if isinstance(value, EnvText) else ", without quotes"))


def whole(low: int, high: int) -> Callable[[object], int]:
    """Accept whole numbers from `low` to `high`."""

    def check(value: object) -> int:
        found = number(value)
        if not low <= found <= high:
            raise ValueError(f"must be a whole number from {low} to {high}")
        return found

    return check


def share(value: object) -> float:
    """Accept a number from 0 to 1. Raises ValueError."""
    if isinstance(value, EnvText):
        value = float(value) if re.fullmatch(r"[0-9]*\.?[0-9]+", value) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value <= 1:
        raise ValueError("must be a number from 0 to 1")
    return float(value)


def duration(low: str, high: str) -> Callable[[object], int]:
    """Accept "5s", "15m", "1h30m" within bounds, as milliseconds."""
    low_ms, high_ms = parse_duration_ms(low), parse_duration_ms(high)

    def check(value: object) -> int:
        if not isinstance(value, str):
            raise ValueError("must be a duration with its unit, such as 5s, 15m, 2h or 3d")
        found = _understood(parse_duration_ms, value)
        if not low_ms <= found <= high_ms:
            raise ValueError(f"must be from {low} to {high}, not {compact_duration(found)}")
        return found

    return check


def size(low: str, high: str) -> Callable[[object], int]:
    """Accept "10MiB", "64k" within bounds, as bytes."""
    low_bytes, high_bytes = parse_size(low), parse_size(high)

    def check(value: object) -> int:
        found = value if isinstance(value, int) and not isinstance(value, bool) else None
        if isinstance(value, str):
            found = _understood(parse_size, value)
        if found is None:
            raise ValueError("must be a size such as 64k, 10MiB or 2GB")
        if not low_bytes <= found <= high_bytes:
            raise ValueError(f"must be from {low} to {high}, not {format_size(found)}")
        return found

    return check


def as_rate(value: object) -> Rate | None:
    """Accept "20/m", or "none" where a default is to be lifted. Raises ValueError."""
    if not isinstance(value, str):
        raise ValueError("must be a rate such as 20/m, 5/s or 100/h, or none")
    return None if value == "none" else _understood(parse_rate, value)


def _percent(value: object) -> str:
    if isinstance(value, str) and (match := re.fullmatch(r"([0-9]{1,3}) ?%", value)) and int(match[1]) <= 100:
        return f"{match[1]}%"
    raise ValueError("must be a percentage such as 10%")


def secret(value: object) -> str:
    """Accept only `secret:NAME`, and never repeat what stands there instead. Raises ValueError."""
    if isinstance(value, str) and is_reference(value):
        return str(value)
    raise ValueError("a secret does not stand in the configuration; write a reference to it")


def listed(item: Callable[[Any], Any], *, single: bool = False) -> Callable[[object], list[Any]]:
    """Accept a list of what `item` accepts, or one text with commas from the environment. single: or one alone."""

    def check(value: object) -> list[Any]:
        if isinstance(value, EnvText):
            value = [EnvText(part.strip()) for part in value.split(",") if part.strip()]
        if single and isinstance(value, str):
            value = [value]
        if not isinstance(value, list):
            raise ValueError("must be a list such as [a, b]")
        return [item(part) for part in value]

    return check


_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,76}")


def as_headers(value: object) -> dict[str, str]:
    """Accept header names and their text. Raises ValueError; a header's value is never repeated."""
    if not isinstance(value, Mapping):
        raise ValueError("must hold headers and their text, such as {X-Origin: box}")
    for name, text in value.items():
        if not _HEADER_NAME.fullmatch(name):
            raise ValueError("a header's name has only letters, digits and -")
        if not isinstance(text, str) or any(c in text for c in "\r\n\0"):
            raise ValueError(f"{name} must be text of one line; put it into quotes")
    return {str(name): str(text) for name, text in value.items()}


def one_of(*known: str) -> Callable[[object], str]:
    """Accept one of some words, whatever their case."""

    def check(value: object) -> str:
        by_lower = {word.lower(): word for word in known}
        if not isinstance(value, str) or value.lower() not in by_lower:
            raise ValueError(f"must be one of {', '.join(known)}")
        return by_lower[value.lower()]

    return check


def pattern(expression: str, words: str) -> Callable[[object], str]:
    """Accept text of a certain shape."""
    shape = re.compile(expression)

    def check(value: object) -> str:
        text = _text(value)
        if not shape.fullmatch(text):
            raise ValueError(words)
        return text

    return check


def _understood(parse: Callable[[str], _T], value: str) -> _T:
    try:
        return parse(value)
    except BadInput as error:
        raise ValueError(str(error)) from error


Text = Annotated[str, BeforeValidator(_text), Kind("text")]
Flag = Annotated[bool, BeforeValidator(_flag), Kind("true or false")]
Percent = Annotated[str, BeforeValidator(_percent), Kind("percentage")]
Secret = Annotated[str, BeforeValidator(secret), Kind("secret:NAME")]
