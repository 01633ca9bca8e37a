"""A message as RFC 5322 bytes: the same at every attempt, with nothing in it that the caller did not mean.

Headers are written here and then read back by the standard library's parser; what it finds must be what was meant.
Only a single line of printable ASCII without encoded words is spared that: there is nothing in it to take apart.
Bodies and attachments are the standard library's EmailMessage. Opens nothing.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from email.header import decode_header, make_header
from email.message import EmailMessage
from email.parser import HeaderParser
from email.policy import SMTP
from email.utils import format_datetime, getaddresses
from functools import lru_cache

from engine.channels.headers import check_headers, readable_value
from engine.channels.mailbox import Mailbox, parse_mailboxes
from engine.errors import BadInput
from engine.model import Attachment, Content, Delivery
from engine.rules.addresses import check_host

_LINE_CHARS = 78
_POLICY = SMTP.clone(cte_type="7bit")
"""Everything is made 7-bit clean, so that no server needs 8BITMIME."""

_PLAIN_TEXT_HEAD = (
    b'Content-Type: text/plain; charset="utf-8"\r\nContent-Transfer-Encoding: 7bit\r\nMIME-Version: 1.0\r\n\r\n'
)
_TEXT_CONTROL = re.compile(r"[\x00-\x08\x0b\x0e-\x1f\x7f]")
_PHRASE = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~ -]*")
_PLAIN_LINE = re.compile(r"[!-~][ -~]*\r\n")
_LINK = re.compile(r"(?:https?://|mailto:)[!-;=?-~]{1,900}")
_TYPE = re.compile(r"([a-z0-9][a-z0-9!#$&^_.+-]{0,63})/([a-z0-9][a-z0-9!#$&^_.+-]{0,63})")
_CHARSET = re.compile(r"charset=\"?([A-Za-z0-9._:-]{1,40})\"?")

Header = tuple[str, str | tuple[Mailbox, ...]]
"""A name and what it means: readable text, or mailboxes."""


def compose(
    delivery: Delivery,
    *,
    sender: Mailbox,
    to: Sequence[Mailbox],
    cc: Sequence[Mailbox] = (),
    reply_to: Sequence[Mailbox] = (),
    list_unsubscribe: str = "",
    subject_prefix: str = "",
) -> bytes:
    """Return the message as it goes after DATA: CRLF line ends, not yet dot-stuffed, never a Bcc.

    Everything in it comes from the delivery's identity and content, so every attempt sends the same bytes.
    Non-ASCII local parts of addresses stand in UTF-8 (RFC 6532); the caller asks the server for SMTPUTF8 then.

    Raises BadInput for what cannot be a header, a file name or text.
    """
    content = delivery.content
    own = _custom(delivery)
    check_headers(own, subject=content.subject)
    try:
        subject = readable_value("subject", f"{subject_prefix}{content.subject}")
        given = {name.lower() for name, _ in own}
        head: list[Header] = [
            ("Date", format_datetime(datetime.fromtimestamp(delivery.created_ms // 1000, UTC))),
            ("From", (sender,)),
            ("To", tuple(to)),
            ("Message-ID", f"<{delivery.uid}@{check_host(delivery.domain, 'instance domain')}>"),
            ("Subject", subject),
        ]
        head += [("Cc", tuple(cc))] if cc else []
        head += [("Reply-To", tuple(reply_to))] if reply_to and "reply-to" not in given else []
        if list_unsubscribe and "list-unsubscribe" not in given:
            if not _LINK.fullmatch(list_unsubscribe):
                raise BadInput("list_unsubscribe: write it like https://example.org/leave or mailto:leave@example.org")
            head.append(("List-Unsubscribe", f"<{list_unsubscribe}>"))
        if "auto-submitted" not in given:
            head.append(("Auto-Submitted", "auto-generated"))  # RFC 3834: out-of-office programs stay silent
        head += [_meaning(name, value) for name, value in own]
        return _write_head(head) + _entity(content, delivery.uid)
    except UnicodeEncodeError as error:
        raise BadInput("the message holds broken Unicode (a lone surrogate)") from error


def _custom(delivery: Delivery) -> list[tuple[str, str]]:
    """The target's headers, each replaced by the message's of the same name, then the message's."""
    named = {name.lower() for name, _ in delivery.content.headers}
    kept = [(name, value) for name, value in delivery.target.headers if name.lower() not in named]
    return [*kept, *delivery.content.headers]


def _meaning(name: str, value: str) -> Header:
    text = readable_value(f"header {name}", value)
    return (name, parse_mailboxes(text)) if name.lower() == "reply-to" else (name, text)


def _write_head(head: Sequence[Header]) -> bytes:
    """Return the header lines. Raises BadInput if a reader would see anything else than what was meant."""
    return "".join(
        _text_line(name, meaning) if isinstance(meaning, str) else _mailbox_line(name, meaning)
        for name, meaning in head
    ).encode()


def _text_line(name: str, text: str) -> str:
    line = f"{name}: {_text_value(name, text)}\r\n"
    # One line of printable ASCII without an encoded word can be read in one way only.
    if not _PLAIN_LINE.fullmatch(line) or "=?" in line:
        raw = _read_back(name, line)
        if (_decode(raw) if "=?" in raw else raw) != text:
            raise BadInput(f"header {name}: would be read as another text than the one given")
    return line


@lru_cache(maxsize=256)
def _mailbox_line(name: str, boxes: tuple[Mailbox, ...]) -> str:
    # Cached: a target's mailboxes are the same in every message, and reading them back is half of composing.
    if not boxes:
        return f"{name}: undisclosed-recipients:;\r\n"
    line = f"{name}: " + ",\r\n ".join(_mailbox_value(name, box) for box in boxes) + "\r\n"
    found = getaddresses([_read_back(name, line)])
    if [(_decode(seen) if "=?" in seen else seen, address) for seen, address in found] != [
        (box.name, box.address) for box in boxes
    ]:
        raise BadInput(f"header {name}: would be read as other addresses than those given")
    return line


def _read_back(name: str, line: str) -> str:
    """Return the value that the standard library reads, unfolded. Raises BadInput if it is not this one header."""
    seen = HeaderParser().parsestr(line + "\r\n").items()
    if [found for found, _ in seen] != [name]:
        raise BadInput(f"header {name}: would be read as other headers than the one given")
    return re.sub(r"\r?\n(?=[ \t])", "", seen[0][1])


def _decode(text: str) -> str:
    return str(make_header(decode_header(text)))


def _text_value(name: str, text: str) -> str:
    clean = text.isascii() and "=?" not in text and text == text.strip()
    room = _LINE_CHARS - len(name) - 2
    if clean and len(text) <= room:
        return text
    # A run of blanks could leave a line of nothing but blanks when folded; 900 keeps a single word below the 998
    # that RFC 5322 allows a line.
    if not clean or "\t" in text or "  " in text or any(len(word) > 900 for word in text.split(" ")):
        return "\r\n ".join(_encoded_words(text, len(name) + 2))
    lines: list[str] = []
    line = ""
    for word in text.split(" "):
        if line and len(line) + 1 + len(word) > (room if not lines else _LINE_CHARS - 1):
            lines.append(line)
            line = word
        else:
            line = f"{line} {word}" if line else word
    return "\r\n ".join([*lines, line])


def _encoded_words(text: str, used_chars: int) -> Iterable[str]:
    """RFC 2047 words of at most 75 characters; a character is never cut in two."""
    room_bytes = max(12, (76 - used_chars - 12) // 4 * 3)
    piece = b""
    for char in text:
        raw = char.encode()
        if len(piece) + len(raw) > min(room_bytes, 45):
            yield f"=?utf-8?b?{base64.b64encode(piece).decode()}?="
            piece, room_bytes = b"", 45
        piece += raw
    yield f"=?utf-8?b?{base64.b64encode(piece).decode()}?="


def _mailbox_value(header: str, box: Mailbox) -> str:
    if not box.name:
        return box.address
    if not box.name.isascii() or "=?" in box.name or len(box.name) > 60:
        return "\r\n ".join(_encoded_words(box.name, len(header) + 2)) + f"\r\n <{box.address}>"
    if _PHRASE.fullmatch(box.name) and "  " not in box.name:
        return f"{box.name} <{box.address}>"
    escaped = re.sub(r'(["\\])', r"\\\1", box.name)
    return f'"{escaped}" <{box.address}>'


def _entity(content: Content, uid: str) -> bytes:
    """Return MIME headers and body."""
    text = content.text if content.text is not None else content.data
    if text is None and content.html is None:
        text = ""
    if text is not None and content.html is None and not content.attachments and _is_plain(text):
        # The same bytes as EmailMessage's (a test compares them), without its half millisecond.
        return _PLAIN_TEXT_HEAD + _crlf(text)
    stem = "=_" + hashlib.sha256(uid.encode()).hexdigest()[:32]
    message = EmailMessage(policy=_POLICY)
    if text is not None:
        message.set_content(text, cte=_encoding(text, stem))
        if content.html is not None:
            message.add_alternative(content.html, subtype="html", cte=_encoding(content.html, stem))
    elif content.html is not None:
        message.set_content(content.html, subtype="html", cte=_encoding(content.html, stem))
    for attachment in content.attachments:
        _attach(message, attachment)
    for number, part in enumerate(p for p in message.walk() if p.is_multipart()):
        part.set_boundary(f"{stem}_{number}")
    raw = message.as_bytes()
    return raw if raw.count(b"\n") == raw.count(b"\r\n") == raw.count(b"\r") else re.sub(rb"\r\n?|\n", b"\r\n", raw)


def _is_plain(text: str) -> bool:
    return text.isascii() and not _TEXT_CONTROL.search(text) and all(len(line) <= 78 for line in text.splitlines())


def _crlf(text: str) -> bytes:
    return b"\r\n".join(text.encode("ascii").splitlines()) + b"\r\n"


def _encoding(text: str, stem: str) -> str | None:
    """What EmailMessage should encode this text with; None lets it choose."""
    if _TEXT_CONTROL.search(text):
        return "base64"  # SMTP carries neither NUL nor other control characters
    return "quoted-printable" if stem in text else None  # a boundary inside a part would end it


def _attach(message: EmailMessage, attachment: Attachment) -> None:
    name = attachment.name
    if not name or "/" in name or "\\" in name or any(ord(c) < 32 or 127 <= ord(c) < 160 for c in name):
        raise BadInput(f"attachment {name[:80]!r}: a name is a bare file name without control characters")
    kind = _TYPE.match(attachment.content_type.lower())
    main, sub = kind.groups() if kind else ("application", "octet-stream")
    if main in {"message", "multipart"}:
        # RFC 2046 forbids base64 for these, and the bytes must arrive as they are.
        main, sub = "application", "octet-stream"
    charset = _CHARSET.search(attachment.content_type) if main == "text" else None
    params = {"charset": charset[1]} if charset else {}
    message.add_attachment(attachment.content, maintype=main, subtype=sub, filename=name, params=params)
