"""The settings of the built-in channels' targets. Imported only when configuration is read: pydantic is heavy."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from engine.channels.headers import readable_value
from engine.channels.mailbox import parse_mailbox
from engine.errors import BadInput
from engine.rules.addresses import web_origin


def _mailbox(text: str) -> str:
    try:
        parse_mailbox(text)
    except BadInput as error:
        raise ValueError(str(error)) from error
    return text


def _url(text: str) -> str:
    # A URL that is itself the password (a chat's incoming webhook) may be named instead of written.
    if text.startswith("secret:"):
        return text
    try:
        web_origin(text)
    except BadInput as error:
        raise ValueError(str(error)) from error
    return text


def _secret(text: str) -> str:
    if not text.startswith("secret:") or len(text) == len("secret:"):
        raise ValueError("write secret:NAME here and give the value as CHRONOS_SECRET_NAME")
    return text


def _line(text: str) -> str:
    try:
        return readable_value("text", text) and text
    except BadInput as error:
        raise ValueError(str(error)) from error


def _as_list(value: object) -> object:
    return [value] if isinstance(value, str) else value


Mailboxes = Annotated[list[Annotated[str, AfterValidator(_mailbox)]], BeforeValidator(_as_list), Field(max_length=100)]
Line = Annotated[str, AfterValidator(_line)]


class _Options(BaseModel):
    model_config = ConfigDict(extra="forbid", hide_input_in_errors=True)


class EmailOptions(_Options):
    """`to`, `cc`, `bcc`: recipients. The rest overrides or completes what the message says."""

    to: Mailboxes = []
    cc: Mailboxes = []
    bcc: Mailboxes = []
    reply_to: Mailboxes = []
    from_: Annotated[str, AfterValidator(_mailbox)] | None = Field(default=None, alias="from")
    list_unsubscribe: Annotated[str, Field(pattern=r"^(?:https?://|mailto:)[!-;=?-~]{1,900}$")] | None = None
    subject_prefix: Line | None = None


class WebhookOptions(_Options):
    """`secret` signs by the Standard Webhooks scheme; `ca_file` replaces the system's authorities."""

    url: Annotated[str, AfterValidator(_url)]
    secret: Annotated[str, AfterValidator(_secret)] | None = None
    method: Literal["POST", "PUT", "PATCH"] = "POST"
    content_type: Line = "application/json"
    ca_file: str | None = None


class MaildirOptions(_Options):
    """`path`: the Maildir; `~` is the home directory, a relative path starts in the data directory."""

    path: Annotated[str, Field(min_length=1)]
