"""Which headers a caller may add to a message. Cheap to import: it runs before a message is queued."""

from __future__ import annotations

import re
from collections.abc import Iterable

from engine.errors import BadInput

_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,76}")
_FORBIDDEN = re.compile(r"[\x00-\x08\x0a-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]")
_MAX_VALUE_CHARS = 8_000

_MAIL_OWN = re.compile(
    r"from|to|cc|bcc|date|message-id|sender|subject|return-path|received|delivered-to|dkim-signature"
    r"|(?:mime|content|resent|arc)-.*",
    re.IGNORECASE,
)
_HTTP_OWN = re.compile(
    r"host|connection|transfer-encoding|te|trailer|upgrade|expect|keep-alive|accept-encoding|idempotency-key"
    r"|(?:content|proxy|webhook)-.*",
    re.IGNORECASE,
)


def check_headers(headers: Iterable[tuple[str, str]], *, subject: str = "", channel: str = "email") -> None:
    """Check a caller's headers, and the subject, before the message is queued.

    Refused: line ends and control characters, also inside encoded words (Python's own e-mail package turns
    `=?utf-8?q?a=0D=0ABcc:…?=` into a real Bcc); names that are no token; headers that the channel sets itself.

    Raises BadInput naming the header, never its value.
    """
    if subject:
        readable_value("subject", subject)
    http = channel == "webhook"
    for name, value in headers:
        if not _NAME.fullmatch(name):
            raise BadInput(f"header {name[:40]!r}: a name is letters, digits and hyphens, at most 76 of them")
        if is_protected(name, http=http):
            raise BadInput(f"header {name}: is set by Chronos itself; leave it out")
        readable_value(f"header {name}", value)


def is_protected(name: str, *, http: bool) -> bool:
    """Whether the channel sets this header itself."""
    return bool((_HTTP_OWN if http else _MAIL_OWN).fullmatch(name))


def readable_value(what: str, value: str) -> str:
    """Return the text that a reader will see: encoded words decoded, surrounding blanks off.

    Raises BadInput if it is longer than 8 000 characters, holds a control character or cannot be decoded.
    """
    if len(value) > _MAX_VALUE_CHARS:
        raise BadInput(f"{what}: longer than {_MAX_VALUE_CHARS} characters")
    if _FORBIDDEN.search(value):
        raise BadInput(f"{what}: line ends and control characters are not allowed")
    if "=?" not in value:
        return value.strip()
    text = _decoded(what, value)
    # A second layer would be decoded by the reader's program, not by us.
    if _FORBIDDEN.search(text) or (text != value.strip() and _decoded(what, text) != text):
        raise BadInput(f"{what}: an encoded word hides line ends, control characters or another encoded word")
    return text.strip()


def _decoded(what: str, value: str) -> str:
    from email.errors import HeaderParseError
    from email.header import decode_header, make_header

    try:
        return str(make_header(decode_header(value)))
    except (HeaderParseError, LookupError, ValueError) as error:
        raise BadInput(f"{what}: an encoded word (=?…?=) that cannot be decoded") from error
