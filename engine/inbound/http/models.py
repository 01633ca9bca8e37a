"""What comes in as JSON or in a query, field by field: shapes and nothing that needs a database or the time."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from engine.inbound.http.grammar import pattern
from engine.rules import filters

MOST_ROWS = 1_000
_MOST_FILES = 100
_MOST_TAGS = 100
_MOST_TARGET_CHARS = 2_000
_MOST_NUMBER = (1 << 62) - 1

_TIME = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)[Tt ](\d\d):(\d\d):(\d\d)(?:\.(\d+))?(?:([Zz])|([+-])(\d\d):(\d\d))", re.ASCII
)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_TIME_FORM = "write it as RFC 3339 with a zone, such as 2026-11-23T14:00:00Z"
_BASE64 = "^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"


def time_ms(value: object) -> int:
    """Return an RFC 3339 time in ms UTC; negative before 1970. A leap second counts as the second behind it."""
    match = _TIME.fullmatch(value) if isinstance(value, str) else None
    if match is None:
        raise PydanticCustomError("time", "not a time; " + _TIME_FORM)
    year, month, day, hour, minute, second = (int(part) for part in match.groups()[:6])
    leap = second == 60
    try:
        zone = (
            timezone(int(match[9] + "1") * timedelta(hours=int(match[10]), minutes=int(match[11]))) if match[9] else UTC
        )
        moment = datetime(year, month, day, hour, minute, second - leap, tzinfo=zone)
    except ValueError:
        raise PydanticCustomError("time", "no time that exists; " + _TIME_FORM) from None
    return (moment - _EPOCH) // timedelta(milliseconds=1) + leap * 1000 + int((match[7] or "0").ljust(3, "0")[:3])


def _file_name(name: str) -> str:
    if name in {".", ".."}:
        raise PydanticCustomError("file_name", "give a bare file name")
    return name


class Given(BaseModel):
    """Strict: a number is no text, and what is not named here is refused."""

    model_config = ConfigDict(extra="forbid", strict=True, hide_input_in_errors=True)


Key = Annotated[str, StringConstraints(min_length=1, max_length=256, pattern=r"^[^\x00-\x20]+$")]
HeaderName = Annotated[str, StringConstraints(pattern=r"^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,76}$")]
HeaderValue = Annotated[str, StringConstraints(max_length=8_000, pattern=r"^[^\x00-\x08\x0a-\x1f\x7f-\x9f]*$")]
Time = Annotated[int, BeforeValidator(time_ms), WithJsonSchema({"type": "string", "format": "date-time"})]


_SAYS_SOMETHING: list[Any] = [
    *(
        {"required": [name], "properties": {name: {"type": "string", "minLength": 1}}}
        for name in ("subject", "text", "html")
    ),
    {"required": ["attachments"], "properties": {"attachments": {"type": "array", "minItems": 1}}},
    {"required": ["data"], "properties": {"data": {"not": {"type": "null"}}}},
]


class AttachmentIn(Given):
    """A file that travels with the message."""

    name: Annotated[
        str,
        StringConstraints(min_length=1, max_length=255, pattern=r"^[^/\\\x00-\x1f\x7f]+$"),
        AfterValidator(_file_name),
        Field(description="A bare file name.", json_schema_extra={"not": {"enum": [".", ".."]}}),
    ]
    content_type: Annotated[
        str, StringConstraints(max_length=255, pattern=r"^[A-Za-z0-9!#$&^_.+-]+/[A-Za-z0-9!#$&^_.+-]+( *;[ -~]*)?$")
    ] = "application/octet-stream"
    content_base64: Annotated[
        str, Field(description="RFC 4648, section 4, padded.", json_schema_extra={"pattern": _BASE64})
    ]


class MessageIn(Given):
    """A message to be sent. One of subject, text, html, data and attachments must say something."""

    model_config = ConfigDict(json_schema_extra={"anyOf": _SAYS_SOMETHING})

    target: Annotated[
        str,
        StringConstraints(min_length=1, max_length=_MOST_TARGET_CHARS),
        Field(description="A configured target or route, or an ad hoc address where the configuration allows it."),
    ]
    subject: Annotated[str, StringConstraints(max_length=998, pattern=r"^[^\x00-\x1f\x7f]*$")] | None = None
    text: str | None = None
    html: str | None = None
    data: Annotated[Any, Field(description="The body that a webhook gets: any JSON.")] = None
    attachments: Annotated[list[AttachmentIn], Field(max_length=_MOST_FILES)] | None = None
    headers: (
        Annotated[dict[HeaderName, HeaderValue], Field(json_schema_extra={"additionalProperties": False})] | None
    ) = None
    not_before: Annotated[Time, Field(description="Sent no earlier than this.")] | None = None
    expires_at: Annotated[Time, Field(description="Worthless after this.")] | None = None
    priority: Literal["low", "normal", "high", "urgent"] = "normal"
    collapse_key: (
        Annotated[Key, Field(description="Replaces what waits for this target under the same key.")] | None
    ) = None
    ordering_key: Annotated[Key, Field(description="One after the other under the same key.")] | None = None
    on_uncertain: (
        Annotated[
            Literal["resend", "ask"],
            Field(description="What to do when nobody knows whether it arrived; default: the target's."),
        ]
        | None
    ) = None
    tags: Annotated[list[Key], Field(max_length=_MOST_TAGS)] | None = None


def _whole(value: object) -> object:
    """A query has texts only."""
    if isinstance(value, str) and re.fullmatch(r"[0-9]{1,19}", value, re.ASCII):
        return int(value)
    raise PydanticCustomError("whole", "not a whole number")


Limit = Annotated[int, Field(ge=1, le=MOST_ROWS, description="At most so many."), BeforeValidator(_whole)]
Number = Annotated[int, Field(ge=1, le=_MOST_NUMBER), BeforeValidator(_whole)]


def _expression(dialect: filters.Dialect) -> Any:
    shape: dict[str, Any] = {"maxLength": filters.MAX_CHARS, "pattern": pattern(dialect)}
    return Field(description="The filter language of docs/commands.md.", json_schema_extra=shape)


OutboxFilter = Annotated[str, _expression(filters.OUTBOX)]
AuditFilter = Annotated[str, _expression(filters.AUDIT)]


class Nothing(Given):
    """No parameters."""


class MessagesQuery(Given):
    """Which messages, newest first."""

    filter: OutboxFilter = ""
    after: Annotated[Number, Field(description="Go on behind a page: its `next`.")] | None = None
    limit: Limit = 50


class AuditQuery(Given):
    """Which entries of the audit log; newest first in any case."""

    filter: AuditFilter = ""
    before: Annotated[Number, Field(description="Older than this entry.")] | None = None
    after: Annotated[Number, Field(description="Newer than this entry: the oldest of those.")] | None = None
    limit: Limit = 50


class IncidentsQuery(Given):
    """Which incidents."""

    state: Annotated[
        Literal["open", "all"], Field(description="open: what is not resolved, the worst first; all: the newest.")
    ] = "open"
    limit: Limit = 200


class BackupsQuery(Given):
    """Which backups, newest first."""

    limit: Limit = 200
