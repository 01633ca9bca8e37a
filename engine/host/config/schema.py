"""Every key of the configuration with its type and default. Models only: reads no file and compares no two sections."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from engine.errors import BadInput
from engine.host.config.fields import (
    Flag,
    Kind,
    Percent,
    Secret,
    Text,
    as_headers,
    as_rate,
    duration,
    listed,
    number,
    one_of,
    pattern,
    share,
    size,
    whole,
)
from engine.model import Rate

DAY_MS = 86_400_000
MIB = 1024 * 1024


def _ms(low: str, high: str) -> Any:
    return (BeforeValidator(duration(low, high)), Kind("duration", "_ms"))


Port = Annotated[int, BeforeValidator(whole(0, 65535)), Kind("number")]


def _listen(value: object) -> str:
    """Accept HOST:PORT, [IPV6]:PORT or an absolute path of a Unix socket, `unix:` before it or not."""
    if isinstance(value, str):
        path = value.removeprefix("unix:")
        if path.startswith("/") and path.isprintable():
            return str(value)
        match = re.fullmatch(r"(?:[A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\]):([0-9]{1,5})", value)
        if match and int(match[1]) <= 65535:
            return str(value)
    raise ValueError("must be HOST:PORT, [IPV6]:PORT, or the absolute path of a Unix socket")


def _network(value: object) -> str:
    """Accept `10.0.0.0/8`, `fd00::/8` or a single address."""
    import ipaddress

    try:
        return str(ipaddress.ip_network(value if isinstance(value, str) else "", strict=False))
    except ValueError:
        raise ValueError("must be a network such as 10.0.0.0/8, or an address") from None


def _mailbox(value: object) -> str:
    """Accept `a@example.org` or `Name <a@example.org>`; the channel parses it for real."""
    text = value if isinstance(value, str) else ""
    if not re.fullmatch(r"(?:[^<>\r\n\0]*<[^<>@\s]+@[^<>@\s]+>|[^<>@\s,]+@[^<>@\s,]+)", text):
        raise ValueError("must be an address such as ops@example.org or Box <ops@example.org>")
    return str(text)


def keys(model: type[BaseModel]) -> dict[str, Any]:
    """Return a model's fields by their name in the file."""
    return {field.alias or name: field for name, field in model.model_fields.items()}


class Section(BaseModel):
    """A mapping with known keys. An empty value (`port:`) means that the default holds."""

    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True, populate_by_name=False)

    @model_validator(mode="before")
    @classmethod
    def _without_empty(cls, data: Any) -> Any:
        if data is None:
            return {}
        if not isinstance(data, dict):
            return data
        known = keys(cls)
        return {key: value for key, value in data.items() if value is not None or key not in known}


class Database(Section):
    url: Text = "sqlite:///chronos.db"
    max_connections: Annotated[int, BeforeValidator(whole(2, 1000)), Kind("number")] = 20
    busy_timeout: Annotated[int, *_ms("10ms", "10m")] = 5_000
    timeout: Annotated[int, *_ms("100ms", "1h")] = 30_000
    backup_enabled: Flag = True


class Security(Section):
    require_https: Flag = True
    rate_limit_per_hour: Annotated[int, BeforeValidator(whole(1, 10_000_000)), Kind("number")] = 1000
    encryption_enabled: Flag = True
    pbkdf2_iterations: Annotated[int, BeforeValidator(whole(100_000, 100_000_000)), Kind("number")] = 600_000
    signature_tolerance: Annotated[int, *_ms("1s", "1h")] = 300_000
    allow_adhoc_targets: Flag = False
    allow_private_targets: Flag = False
    audit_witness: Text | None = None


LOG_LEVELS = ("DEBUG", "INFO", "WARNING", "ERROR", "CRITICAL")


class Logging(Section):
    level: Annotated[str, BeforeValidator(one_of(*LOG_LEVELS)), Kind(", ".join(LOG_LEVELS))] = "INFO"
    file_enabled: Flag = True
    retention: Annotated[int, *_ms("1h", "3650d")] = 14 * DAY_MS


class Http(Section):
    enabled: Flag = True
    listen: Annotated[str, BeforeValidator(_listen), Kind("HOST:PORT or socket path")] = "127.0.0.1:8467"
    max_body: Annotated[int, BeforeValidator(size("1k", "1GiB")), Kind("size", "_bytes")] = 10 * MIB
    tls_certificate: Text | None = None
    tls_key: Text | None = None
    trusted_proxies: Annotated[list[str], BeforeValidator(listed(_network)), Kind("list of networks")] = []


class Smtp(Section):
    host: Text = ""
    port: Port = 587
    tls: Annotated[str, BeforeValidator(one_of("starttls", "implicit", "none")), Kind("starttls, implicit, none")] = (
        "starttls"
    )
    username: Text | None = None
    password: Secret | None = None
    from_: Annotated[str, BeforeValidator(_mailbox), Kind("address")] | None = Field(None, alias="from")
    ca_file: Text | None = None
    helo: Text | None = None


class Telegram(Section):
    token: Secret | None = None
    allowed_chats: Annotated[list[int], BeforeValidator(listed(number)), Kind("list of numbers")] = []
    commands: Flag = True
    api_base: Annotated[
        str, BeforeValidator(pattern(r"https?://[^\s/]+(?:/\S*)?", "must be an http(s) address")), Kind("URL")
    ] = "https://api.telegram.org"


class Outbox(Section):
    keep_delivered: Annotated[int, *_ms("1h", "3650d")] = 30 * DAY_MS
    keep_dead: Annotated[int, *_ms("1h", "3650d")] = 90 * DAY_MS
    max_message: Annotated[int, BeforeValidator(size("1k", "1GiB")), Kind("size", "_bytes")] = 32 * MIB
    senders: Annotated[int, BeforeValidator(whole(1, 128)), Kind("number")] = 32
    undo: Annotated[int, *_ms("1s", "1d")] = 600_000


class Keep(Section):
    hourly: Annotated[int, BeforeValidator(whole(0, 10_000)), Kind("number")] = 24
    daily: Annotated[int, BeforeValidator(whole(0, 10_000)), Kind("number")] = 7
    weekly: Annotated[int, BeforeValidator(whole(0, 10_000)), Kind("number")] = 4
    monthly: Annotated[int, BeforeValidator(whole(0, 10_000)), Kind("number")] = 6
    yearly: Annotated[int, BeforeValidator(whole(0, 10_000)), Kind("number")] = 0
    within: Annotated[int, *_ms("0s", "3650d")] = 0


def _cron(value: object) -> str:
    """Accept five fields of cron, or `off`."""
    from engine.rules.cron import check

    if not isinstance(value, str):
        raise ValueError("must be five fields of cron such as '0 3 * * *', or off")  # noqa: TRY004 - see fields
    if value != "off":
        try:
            check(value)
        except BadInput as error:
            raise ValueError(f"{error}; or off") from None
    return str(value)


_RECIPIENT = pattern(r"age1[02-9ac-hj-np-z]{58}|secret:[A-Za-z0-9_.-]{1,64}", "must be age1… or secret:NAME")


class Backup(Section):
    schedule: Annotated[str, BeforeValidator(_cron), Kind("cron or off")] = "0 3 * * *"
    directory: Text = "backups"
    keep: Keep = Keep()
    encrypt_to: Annotated[list[str], BeforeValidator(listed(_RECIPIENT, single=True)), Kind("age recipients")] = []
    identity: Secret | None = None
    copy_to: Annotated[list[str], BeforeValidator(listed(pattern(r".+", "must not be empty"))), Kind("list")] = []
    drill: Flag = True
    verify_every: Annotated[int, *_ms("1h", "3650d")] = 7 * DAY_MS


class Monitoring(Section):
    interval: Annotated[int, *_ms("1s", "1d")] = 15_000
    alert_route: Text | None = None
    disk_free_warning: Percent = "10%"
    disk_free_critical: Percent = "5%"
    backup_age_warning: Annotated[int, *_ms("1h", "3650d")] = 36 * 3_600_000
    backup_age_critical: Annotated[int, *_ms("1h", "3650d")] = 4 * DAY_MS


class Demo(Section):
    sink: Flag = False
    smtp_port: Port = 0
    http_port: Port = 0


class Retry(Section):
    """`retry:` of a target or of `defaults:`; what is left out comes from the next floor down."""

    first: Annotated[int, *_ms("10ms", "1d")] | None = None
    cap: Annotated[int, *_ms("10ms", "7d")] | None = None
    attempts: Annotated[int, BeforeValidator(whole(1, 1000)), Kind("number")] | None = None
    max_age: Annotated[int, *_ms("1s", "365d")] | None = None
    jitter: Annotated[float, BeforeValidator(share), Kind("number from 0 to 1")] | None = None


BLOCKERS = ("held", "uncertain", "dead")


class Common(Section):
    """What every target may set, and `defaults:` for all of them. None: not said here."""

    retry: Retry = Retry()
    breaker: Flag | None = None
    rate: Annotated[Rate | None, BeforeValidator(as_rate), Kind("rate")] = None
    max_in_flight: Annotated[int, BeforeValidator(whole(1, 128)), Kind("number")] | None = None
    timeout: Annotated[int, *_ms("100ms", "10m")] | None = None
    on_uncertain: Annotated[str, BeforeValidator(one_of("resend", "ask")), Kind("resend, ask")] | None = None
    headers: Annotated[dict[str, str], BeforeValidator(as_headers), Kind("headers")] = {}
    order_blocked_by: (
        Annotated[list[str], BeforeValidator(listed(one_of(*BLOCKERS))), Kind("list of held, uncertain, dead")] | None
    ) = None


class Target(Common):
    """A target: the common keys, and the rest for its channel's own model to judge."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)

    channel: Annotated[str, BeforeValidator(pattern(r"[a-z0-9_-]{1,64}", "must be the name of a channel"))]


class Step(Section):
    to: Text
    after: Annotated[int, *_ms("0s", "30d")] = 0


class Schedule(Section):
    """A recurring message: its keys are checked, its meaning belongs to the scheduler."""

    cron: Text
    timezone: Text | None = None
    send: dict[str, Any]
    catch_up: Text | None = None


SECTIONS: dict[str, type[Section]] = {
    "database": Database,
    "security": Security,
    "logging": Logging,
    "http": Http,
    "smtp": Smtp,
    "telegram": Telegram,
    "outbox": Outbox,
    "backup": Backup,
    "monitoring": Monitoring,
    "demo": Demo,
}
NAMED = ("targets", "routes", "sources", "schedules")
"""Sections whose keys are names that the operator chose."""

ENVIRONMENTS = ("development", "production")
NAME = re.compile(r"[a-z0-9_-]{1,64}")
INSTANCE = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,61}[A-Za-z0-9])?")
TOP = ("environment", "instance", *SECTIONS, "defaults", *NAMED)
