"""Mail addresses: one mailbox from text, checked. Opens nothing and imports only what is cheap."""

from __future__ import annotations

import re
from dataclasses import dataclass

from engine.errors import BadInput
from engine.rules.addresses import check_host, check_mail_address

_NAMED = re.compile(r'\s*(?:"(?P<quoted>(?:[^"\\]|\\.)*)"|(?P<plain>[^"<>]*?))\s*<(?P<address>[^<>]*)>\s*')
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]")
_UTF8_LOCAL = re.compile(r"[^\x00-\x20\x7f-\xa0\"(),:;<>@\[\\\]]{1,64}")


@dataclass(frozen=True, slots=True)
class Mailbox:
    """A display name ("" when there is none) and an address whose domain is ASCII (IDNA)."""

    name: str
    local: str
    domain: str

    @property
    def address(self) -> str:
        """local@domain, as it stands in MAIL and RCPT."""
        return f"{self.local}@{self.domain}"

    @property
    def needs_utf8(self) -> bool:
        """Whether only a server with SMTPUTF8 can take it."""
        return not self.local.isascii()


def parse_mailbox(text: str) -> Mailbox:
    """Return the mailbox that `text` names: `a@example.org`, `Name <a@example.org>`, `"Last, First" <a@…>`.

    What stands before the @ may be UTF-8 here: the operator wrote the address, and the server is asked for SMTPUTF8.

    Raises BadInput if it is not exactly one mailbox.
    """
    if _CONTROL.search(text) or len(text) > 998 or not _encodable(text):
        raise BadInput("mail address: control characters, broken Unicode or more than 998 characters")
    named = _NAMED.fullmatch(text)
    name, address = "", text.strip()
    if named is not None:
        quoted = named["quoted"]
        name = re.sub(r"\\(.)", r"\1", quoted) if quoted is not None else named["plain"].strip()
        address = named["address"].strip()
    local, _, domain = address.rpartition("@")
    if local.isascii():
        local, _, domain = check_mail_address(address).rpartition("@")
        return Mailbox(name, local, domain)
    if not _UTF8_LOCAL.fullmatch(local) or len(local.encode()) > 64:
        raise BadInput(f"mail address {address[:60]!r}: write it like name@example.org")
    return Mailbox(name, local, check_host(domain, f"mail address {address[:60]!r}"))


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def parse_mailboxes(text: str) -> tuple[Mailbox, ...]:
    """Return the mailboxes of a comma-separated list; commas inside quotes separate nothing. Raises BadInput."""
    parts = re.findall(r'(?:"(?:[^"\\]|\\.)*"|[^",])+', text)
    return tuple(parse_mailbox(part) for part in parts if part.strip())
