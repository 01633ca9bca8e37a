"""The keys of `sources:`, one model a scheme. Models only: which targets there are is checked elsewhere."""

# ruff: noqa: TRY004, RUF012 - pydantic makes a problem of a ValueError and not of a TypeError, and it copies defaults

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BeforeValidator

from engine.errors import BadInput
from engine.host.config.fields import EnvText, Flag, Kind, Text, duration, listed, one_of, pattern, secret
from engine.host.config.schema import DAY_MS, Section
from engine.rules import mapping
from engine.rules.paths import parse_path
from engine.rules.verifiers import API_KEY, SCHEMES

_Header = Annotated[
    str, BeforeValidator(pattern(r"[A-Za-z0-9-]{1,100}", "must be the name of a header")), Kind("header name")
]


def _secrets(value: object) -> list[str]:
    """Accept one reference to a secret, or several: all of them hold, as in a rotation."""
    if isinstance(value, EnvText) and "," in value:
        value = [part.strip() for part in value.split(",")]
    found = [secret(one) for one in (value if isinstance(value, list) else [value])]
    if not 1 <= len(found) <= 8:
        raise ValueError("must be one secret:NAME, or a list of up to 8 of them")
    return found


def _filled_in(value: object) -> str:
    """Accept text of several lines with {places} in it."""
    if not isinstance(value, str):
        raise ValueError("must be text; put it into quotes")
    return _judged(mapping.check_pattern, str(value))


def _path(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError("must be a path such as data.id")
    return _judged(parse_path, str(value))


def _conditions(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise ValueError("must hold places and values, such as {action: [opened, closed]}")
    for place, wanted in value.items():
        _judged(mapping.check_place, str(place))
        several = wanted if isinstance(wanted, list) else [wanted]
        if not several or not all(one is None or isinstance(one, str | int | float | bool) for one in several):
            raise ValueError(f"{place}: must be a text, a number, true, false, or a list of them")
    return {str(place): wanted for place, wanted in value.items()}


def _judged(check: Callable[[str], object], text: str) -> str:
    try:
        check(text)
    except BadInput as error:
        raise ValueError(str(error)) from error
    return text


_Pattern = Annotated[str, BeforeValidator(_filled_in), Kind("text with {places}")]
_Secrets = Annotated[list[str], BeforeValidator(_secrets), Kind("secret:NAME or a list of them")]
_Template = Annotated[str, BeforeValidator(pattern(r"[A-Za-z0-9_.-]{1,64}", "must be a template's name")), Kind("text")]
_PRIORITIES = ("low", "normal", "high", "urgent")


class Deliver(Section):
    """What becomes of an event."""

    target: Text | None = None
    subject: _Pattern | None = None
    text: _Pattern | None = None
    html: _Pattern | None = None
    data: Flag = False
    template: _Template | None = None
    priority: Annotated[str, BeforeValidator(one_of(*_PRIORITIES)), Kind(", ".join(_PRIORITIES))] = "normal"
    tags: Annotated[list[str], BeforeValidator(listed(_filled_in)), Kind("list of texts with {places}")] = []
    collapse_key: _Pattern | None = None
    ordering_key: _Pattern | None = None
    expires: Annotated[int, BeforeValidator(duration("1s", "3650d")), Kind("duration", "_ms")] | None = None
    when: Annotated[dict[str, Any], BeforeValidator(_conditions), Kind("mapping of places to values")] = {}


class Source(Section):
    """What every source has."""

    verify: Annotated[str, BeforeValidator(one_of(*SCHEMES)), Kind(", ".join(SCHEMES))]
    keep: Annotated[int, BeforeValidator(duration("1h", "3650d")), Kind("duration", "_ms")] = 30 * DAY_MS
    deliver: Deliver


class Signed(Source):
    """A source with a secret of its own: Standard Webhooks, GitHub, Telegram."""

    secret: _Secrets


class Stripe(Signed):
    """Stripe, and those that sign as it does under another header."""

    header: _Header = "Stripe-Signature"


class Hmac(Signed):
    """A plain HMAC in a header."""

    header: _Header
    algorithm: Annotated[str, BeforeValidator(one_of("sha256", "sha512")), Kind("sha256, sha512")] = "sha256"
    encoding: Annotated[str, BeforeValidator(one_of("hex", "base64")), Kind("hex, base64")] = "hex"
    prefix: Text = ""
    timestamp_header: _Header | None = None
    id_header: _Header | None = None
    id_path: Annotated[str, BeforeValidator(_path), Kind("path")] | None = None


class Unknown(Hmac):
    """A source whose scheme is not known: every key may be right, so that only the scheme is complained about."""

    secret: _Secrets | None = None  # type: ignore[assignment]
    header: _Header | None = None  # type: ignore[assignment]


_OWN: dict[str, type[Source]] = {"stripe": Stripe, "hmac": Hmac, API_KEY: Source}


def model_of(raw: object) -> type[Source]:
    """Return the model that a source's own scheme asks for."""
    scheme = raw.get("verify") if isinstance(raw, dict) else None
    if not isinstance(scheme, str) or scheme.lower() not in SCHEMES:
        return Unknown
    return _OWN.get(scheme.lower(), Signed)
