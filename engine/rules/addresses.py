"""Addresses given on the spot instead of a target's name, and what counts as a mail address. Resolves nothing."""

from __future__ import annotations

import re

from engine.errors import BadInput
from engine.model import TargetSpec

MAX_RECIPIENTS = 100
_MAX_CHARS = 2_000

# RFC 5322 dot-atom. Quoted local parts and address literals exist in standards, hardly ever in mailboxes.
_LOCAL = re.compile(r"[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+(?:\.[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+)*", re.ASCII)
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?", re.ASCII)
_CHAT = re.compile(r"-?[1-9][0-9]{0,18}|@[A-Za-z][A-Za-z0-9_]{3,31}", re.ASCII)
_BRACKETED = re.compile(r"\[[0-9A-Fa-f:.]+\](?::[0-9]+)?", re.ASCII)
_NUMERIC_LABEL = re.compile(r"[0-9]+|0x[0-9a-f]*", re.ASCII)


def parse_adhoc(text: str) -> TargetSpec | None:
    """Return the target that an ad hoc address means, or None if `text` has no scheme that Chronos knows.

    mailto:A[,B…] · http(s)://… · telegram:CHAT · maildir:PATH. The target is not trusted with private networks.
    Raises BadInput if the scheme is known but the rest cannot be used. The text of a URL never stands in the error.
    """
    scheme, colon, rest = text.partition(":")
    read = {
        "mailto": _mailto,
        "http": _web,
        "https": _web,
        "telegram": _telegram,
        "maildir": _maildir,
    }.get(scheme.lower())
    if read is None or not colon:
        return None
    scheme = scheme.lower()
    if len(text) > _MAX_CHARS:
        raise BadInput(f"{scheme}: address longer than {_MAX_CHARS} characters")
    if not text.isprintable():
        raise BadInput(f"{scheme}: address with a control or invisible character; type it anew")
    if " " in text and scheme != "maildir":
        raise BadInput(f"{scheme}: address with a space; leave it out, or write %20 in a URL")
    return read(text, scheme, rest)


def _mailto(text: str, scheme: str, rest: str) -> TargetSpec:
    if "?" in rest:
        raise BadInput("mailto: takes addresses alone; give the subject and the text as options of their own")
    recipients = list(dict.fromkeys(check_mail_address(address) for address in rest.split(",")))
    if len(recipients) > MAX_RECIPIENTS:
        raise BadInput(f"mailto: more than {MAX_RECIPIENTS} recipients; send several messages")
    return TargetSpec(name=text, channel="email", options={"to": recipients}, lane=f"{scheme}:", trusted=False)


def _web(text: str, scheme: str, _rest: str) -> TargetSpec:
    host, port = web_origin(text)
    shown = f"[{host}]" if ":" in host else host
    lane = f"{scheme}://{shown}:{port}"
    return TargetSpec(name=text, channel="webhook", options={"url": text}, lane=lane, trusted=False)


def _telegram(text: str, _scheme: str, rest: str) -> TargetSpec:
    if not _CHAT.fullmatch(rest):
        raise BadInput(f"telegram: {rest[:60]!r} is not a chat; write its number or @name")
    chat = rest if rest.startswith("@") else int(rest)
    return TargetSpec(name=text, channel="telegram", options={"chat_id": chat}, lane=f"telegram:{rest}", trusted=False)


def _maildir(text: str, _scheme: str, rest: str) -> TargetSpec:
    if not rest.strip():
        raise BadInput("maildir: the path is missing; write maildir:~/Mail/chronos")
    if ".." in rest.split("/"):
        raise BadInput("maildir: '..' in the path; write where it leads")
    return TargetSpec(name=text, channel="maildir", options={"path": rest}, lane=f"maildir:{rest}", trusted=False)


def check_mail_address(text: str) -> str:
    """Return a mail address as it goes on the wire: an international domain in its ASCII form, lower case.

    The part before the @ must be ASCII: servers without SMTPUTF8 refuse anything else, and a message that only some
    relays accept would be dead at the first that does not. It keeps its case.
    Raises BadInput if no server would take the address.
    """
    shown = f"mail address {_shown(text)}"
    local, at, domain = text.rpartition("@")
    if not at or not local or not domain:
        raise BadInput(f"{shown}: write it like name@example.org")
    if not local.isascii():
        raise BadInput(f"{shown}: letters beyond ASCII before the @ are not carried by every mail server")
    if len(local) > 64 or not _LOCAL.fullmatch(local):
        raise BadInput(f"{shown}: what stands before the @ is not a mailbox name")
    if domain.startswith("["):
        raise BadInput(f"{shown}: write the server's name, not its number")
    ascii_domain = check_host(domain, shown)
    if _NUMERIC_LABEL.fullmatch(ascii_domain.rpartition(".")[2]):
        raise BadInput(f"{shown}: write the server's name, not its number")
    if len(local) + 1 + len(ascii_domain) > 254:
        raise BadInput(f"{shown}: longer than 254 characters")
    return f"{local}@{ascii_domain}"


def check_host(name: str, shown: str) -> str:
    """Return a host name in ASCII and lower case. `shown` names the place in the error.

    Raises BadInput if it is not a host name.
    """
    ascii_name = name.lower()
    if not name.isascii():
        import idna  # IDNA 2008; Python's own codec is of 2003 and turns straße.de into another domain, strasse.de

        try:
            ascii_name = idna.encode(name, uts46=True).decode()
        except idna.IDNAError as error:
            raise BadInput(f"{shown}: {_shown(name)} is not a host name") from error
    if len(ascii_name) > 253 or not all(_LABEL.fullmatch(label) for label in ascii_name.split(".")):
        raise BadInput(f"{shown}: {_shown(name)} is not a host name")
    return ascii_name


def web_origin(url: str) -> tuple[str, int]:
    """Return the host (ASCII, lower case, IPv6 without brackets) and the port of an http(s) URL.

    Raises BadInput for what two URL readers could understand differently, and for credentials in the URL. The error
    never quotes the URL: it may hold a token.
    """
    from urllib.parse import urlsplit  # 5 ms that only a URL needs

    if not url.isascii() and not url.partition("://")[2].partition("/")[2].isascii():
        raise BadInput("URL: letters beyond ASCII in the path; percent-encode them")
    if "\\" in url or not url.isprintable() or " " in url:
        raise BadInput("URL: a space, backslash or control character; percent-encode it")
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise BadInput("URL: the host or port cannot be read; write it like https://example.org:8443/path") from error
    if parts.scheme not in {"http", "https"}:
        raise BadInput("URL: write it like https://example.org/path")
    if "[" in parts.netloc and not _BRACKETED.fullmatch(parts.netloc):
        raise BadInput("URL: the IPv6 address cannot be read; write it like https://[2001:db8::1]:8443/path")
    if "@" in parts.netloc:
        raise BadInput("URL: a user name or password would be stored in clear; configure a target with a secret")
    if parts.fragment or url.endswith("#"):
        raise BadInput("URL: what follows the '#' never reaches a server; leave it out")
    if not parts.hostname or port == 0:
        raise BadInput("URL: the host is missing; write it like https://example.org/path")
    default = 443 if parts.scheme == "https" else 80
    return _web_host(parts.hostname, bracketed="[" in parts.netloc), port or default


def _web_host(host: str, *, bracketed: bool) -> str:
    from ipaddress import IPv6Address, ip_address

    if bracketed:
        try:
            return str(IPv6Address(host))
        except ValueError as error:
            raise BadInput("URL: the IPv6 address in brackets cannot be read") from error
    name = check_host(host.removesuffix("."), "URL")
    # "127.1", "2130706433" and "0x7f.0.0.1" are loopback to a resolver; only the plain form can be judged by eye.
    if _NUMERIC_LABEL.fullmatch(name.rpartition(".")[2]):
        try:
            return str(ip_address(name))
        except ValueError as error:
            raise BadInput("URL: write the address as four numbers, or the server's name") from error
    return name


def _shown(text: str) -> str:
    return repr(text if len(text) <= 60 else text[:59] + "…")
