"""One SMTP connection: opened and logged in by yagmail, then spoken to by smtplib. Knows no message, only bytes.

yagmail brings the connection up (connect, STARTTLS, login). What it does beyond that is left alone: see
docs/decisions/010-smtp-by-yagmail-as-far-as-it-is-safe.md.
"""

from __future__ import annotations

import re
import smtplib
import ssl
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import yagmail

from engine.errors import DeliveryError, Sent
from engine.host import net
from engine.rules.text import safe_line

_ENHANCED = re.compile(r"([245]\.\d{1,3}\.\d{1,3})\b")
_SLOW_DOWN = frozenset({421, 450, 451, 452})
_LOGIN_NEEDED = frozenset({530, 534, 535, 538})
_LAST_WORDS_MS = 1_000
"""A server that refuses a body while it arrives often says why before it hangs up; worth waiting this long."""

Stage = Callable[[str, str], None]
"""Told of each stage that was reached ("connect", "greeting", "tls", "login") and a few words."""


@dataclass(frozen=True, slots=True)
class Server:
    """Where and how to log in. context: None without TLS. The password stands in no repr."""

    host: str
    port: int
    tls: str
    context: net.TimedContext | None
    username: str
    password: str = field(repr=False)
    helo: str


@dataclass(frozen=True, slots=True)
class Reply:
    """A server's code and its words in one line."""

    code: int
    words: str

    @property
    def full_code(self) -> str:
        """The code with the enhanced one (RFC 3463) where there is one: "550 5.1.1"."""
        found = _ENHANCED.match(self.words)
        return f"{self.code} {found[1]}" if found else str(self.code)

    @property
    def sent(self) -> Sent:
        """What a refusal with this code means."""
        if self.code in _SLOW_DOWN:
            return Sent.THROTTLED
        if self.code in _LOGIN_NEEDED:
            return Sent.MISCONFIGURED
        return Sent.REJECTED if 500 <= self.code < 600 else Sent.NO

    def refusal(self, what: str, **more: Any) -> DeliveryError:
        """The error that says so."""
        return DeliveryError(self.sent, f"{what}: {self.words}"[:2_000], code=self.full_code, **more)


@dataclass(frozen=True, slots=True)
class Taken:
    """A message the server has taken: for whom, for whom not (address, reply), and its words."""

    accepted: tuple[str, ...]
    refused: tuple[tuple[str, Reply], ...]
    reply: Reply


class GoneError(Exception):
    """The connection ended, or answered no SMTP, before anything of a message was sent.

    reply: the server's farewell (421), None if it had none.
    """

    def __init__(self, words: str, reply: Reply | None = None) -> None:
        super().__init__(words)
        self.reply = reply


class Wire(smtplib.SMTP):
    """smtplib's dialogue over sockets that end with a budget."""

    def __init__(self, server: Server, budget: net.Budget, stage: Stage) -> None:
        """Connects. Raises DeliveryError or smtplib's errors."""
        self._server = server
        self._budget = budget
        self._stage = stage
        self._unfinished = False
        self.idle_since_s = 0.0
        super().__init__(server.host, server.port, local_hostname=server.helo, timeout=1)

    def begin(self, budget: net.Budget) -> None:
        """Use `budget` for what follows."""
        self._budget = budget
        self.sock.budget = budget  # type: ignore[union-attr]  # our own socket, see _get_socket

    def _get_socket(self, host: str, port: int, timeout: float) -> Any:
        server = self._server
        sock = net.connect(host, port, self._budget, trusted=True, allow_private=False)
        if server.tls == "none" and server.username and not net.is_loopback(sock):
            sock.close()
            words = f"smtp.tls is none, but {host} is another machine: the login would travel in clear; use starttls"
            raise DeliveryError(Sent.MISCONFIGURED, words, code="TLS")
        self._stage("connect", f"{host} port {port}")
        if server.tls != "implicit" or server.context is None:
            return sock
        try:
            secure = server.context.wrap_socket(sock, server_hostname=host)
        except OSError as error:
            raise net.tls_failure(error, host) from error
        self._stage("tls", _protocol(secure))
        return secure

    def connect(self, host: str = "localhost", port: int = 0, source_address: Any = None) -> tuple[int, bytes]:
        code, words = super().connect(host, port, source_address)
        if code == 220:
            self._stage("greeting", _line(words))
        return code, words

    def starttls(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        answer = super().starttls(*args, **kwargs)
        self._stage("tls", _protocol(self.sock))
        return answer

    def login(self, *args: Any, **kwargs: Any) -> tuple[int, bytes]:
        answer = super().login(*args, **kwargs)
        self._stage("login", f"as {self._server.username}")
        return answer

    def send_mail(self, sender: str, recipients: Sequence[str], raw: bytes, *, utf8: bool) -> Taken:
        """Send one message to those of `recipients` that the server takes.

        The connection may be used again after a Taken and after a refusal in the server's own words.

        Raises GoneError if the connection ended before all recipients were named; DeliveryError for everything else:
        UNKNOWN if it ended behind the final dot, NO if it ended before.
        """
        if self._unfinished:
            self._say("RSET")
            self._unfinished = False
        replies = self._envelope(sender, recipients, raw, utf8=utf8)
        accepted = tuple(who for who, said in zip(recipients, replies, strict=True) if said.code in {250, 251})
        refused = tuple((who, said) for who, said in zip(recipients, replies, strict=True) if who not in accepted)
        if not accepted:
            self._unfinished = True
            raise _nobody(refused)
        try:
            reply = self._data(raw)
        except GoneError as error:
            words = f"{self._server.host}: {error}; nothing of the message was delivered"
            raise DeliveryError(Sent.NO, words, code="DISCONNECTED") from error
        permanent = tuple((who, said.words) for who, said in refused if said.sent is Sent.REJECTED)
        if not 200 <= reply.code < 300:
            raise reply.refusal("the server refused the message", refused=permanent)
        return Taken(accepted, refused, reply)

    def leave(self) -> None:
        """Say QUIT without waiting for the answer, and close."""
        self._budget.start(200)
        with suppress(OSError):
            self.putcmd("quit")
        self.close()

    def _envelope(self, sender: str, recipients: Sequence[str], raw: bytes, *, utf8: bool) -> list[Reply]:
        """Say MAIL and RCPT; return the answer for each recipient. Addresses were checked when they were parsed."""
        options = f" SIZE={len(raw)}" if self.has_extn("size") else ""
        if utf8:
            if not self.has_extn("smtputf8"):
                words = f"an address holds letters beyond ASCII, and {self._server.host} does not offer SMTPUTF8"
                raise DeliveryError(Sent.REJECTED, words, code="SMTPUTF8")
            options += " SMTPUTF8 BODY=8BITMIME"
        lines = [f"MAIL FROM:<{sender}>{options}", *(f"RCPT TO:<{recipient}>" for recipient in recipients)]
        replies: list[Reply] = []
        if self.has_extn("pipelining"):
            self._write(lines)
        for line in lines:
            replies.append(self._hear() if self.has_extn("pipelining") else self._say(line))
            if replies[-1].code == 421:  # it hangs up now
                self.close()
                raise GoneError(replies[-1].words, replies[-1])
            if replies[0].code != 250 and not self.has_extn("pipelining"):
                break
        if replies[0].code != 250:
            self._unfinished = True
            raise replies[0].refusal(f"the server refused a message from {sender}")
        return replies[1:]

    def _data(self, raw: bytes) -> Reply:
        """Send the bytes and return the final reply. Raises GoneError before the final dot, DeliveryError behind it."""
        reply = self._say("DATA")
        if reply.code != 354:
            self._unfinished = True
            raise reply.refusal("the server refused the message")
        # sendall fails only when the last byte, the end of the final dot, has not been handed over.
        try:
            self.sock.sendall(stuffed(raw))  # type: ignore[union-attr]
        except OSError as error:
            raise self._cut_short(error) from error
        try:
            code, words = self.getreply()
        except smtplib.SMTPException as error:
            self.close()
            why = "no answer in time" if self._budget.spent else "the connection ended without an answer"
            raise DeliveryError(Sent.UNKNOWN, f"the message left, but {why}", code="DISCONNECTED") from error
        if not 200 <= code < 600:
            self.close()
            raise DeliveryError(Sent.UNKNOWN, "the message left, but the answer is no SMTP", code="PROTOCOL")
        return Reply(code, _line(words))

    def _cut_short(self, error: OSError) -> Exception:
        """What it means that the body could not be sent to its end: the server's words if it left any."""
        self._budget.shorten(_LAST_WORDS_MS)
        try:
            code, words = self.getreply()
        except smtplib.SMTPException:
            return GoneError(f"the connection broke while the message was being sent ({net.words_of(error)})")
        finally:
            self.close()
        if 400 <= code < 600:
            return Reply(code, _line(words)).refusal("the server refused the message while it was being sent")
        return GoneError(f"the connection broke while the message was being sent ({net.words_of(error)})")

    def _say(self, line: str) -> Reply:
        self._write([line])
        return self._hear()

    def _write(self, lines: Sequence[str]) -> None:
        # smtplib's own mail() and rcpt() parse each address again, which costs more than all the rest of a command.
        try:
            self.sock.sendall("".join(f"{line}\r\n" for line in lines).encode())  # type: ignore[union-attr]
        except OSError as error:
            raise self._gone() from error

    def _hear(self) -> Reply:
        try:
            code, words = self.getreply()
        except smtplib.SMTPException as error:
            raise self._gone() from error
        if not 200 <= code < 600:
            self.close()
            raise GoneError("the answer is no SMTP")
        return Reply(code, _line(words))

    def _gone(self) -> GoneError:
        self.close()
        return GoneError("no answer in time" if self._budget.spent else "the connection ended")


class _Login(yagmail.SMTP):  # type: ignore[misc]  # yagmail ships no types
    """yagmail's way up, over our connection."""

    make: Callable[..., Wire]

    @property
    def connection(self) -> Callable[..., Wire]:
        return self.make


def open_wire(server: Server, budget: net.Budget, stage: Stage = lambda *_: None) -> Wire:
    """Connect, make secure, log in. Raises DeliveryError: nothing of a message has been sent then."""
    made: list[Wire] = []

    def make(*_: Any, **__: Any) -> Wire:
        made.append(Wire(server, budget, stage))
        return made[-1]

    way = _Login(
        # Without "@" yagmail would make a Gmail address of the user; it is set below, as it stands.
        user="user@localhost",
        password=server.password,  # never None: yagmail would ask on the terminal
        host=server.host,
        port=server.port,
        smtp_ssl=False,
        smtp_starttls={"context": server.context} if server.tls == "starttls" else False,
        smtp_skip_login=not server.username,
        soft_email_validation=False,
    )
    way.set_logging(None)
    way.make = make
    way.user = server.username
    try:
        way.login()
        wire = made[0]
        wire.ehlo_or_helo_if_needed()
        return wire
    except (DeliveryError, OSError, ValueError) as error:
        for wire in made:
            wire.close()
        if isinstance(error, DeliveryError):
            raise
        raise _login_failure(error, server, budget) from error
    finally:
        way.is_closed = True  # its destructor would say QUIT on a connection that is ours now


def stuffed(raw: bytes) -> bytes:
    """Return `raw` (CRLF line ends) as it goes after DATA: dots doubled, the final dot behind it."""
    if raw.startswith(b"."):
        raw = b"." + raw
    body = raw.replace(b"\r\n.", b"\r\n..")
    return body + (b".\r\n" if body.endswith(b"\r\n") else b"\r\n.\r\n")


def _login_failure(error: OSError | ValueError, server: Server, budget: net.Budget) -> DeliveryError:
    host = server.host
    if isinstance(error, smtplib.SMTPNotSupportedError):
        what = "STARTTLS" if "STARTTLS" in str(error) else "a login"
        words = f"{host} does not offer {what}, which the configuration asks for; nothing was sent"
        return DeliveryError(Sent.MISCONFIGURED, words, code="TLS" if what == "STARTTLS" else "AUTH")
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return _stopped(Reply(error.smtp_code, _line(error.smtp_error)), f"{host} refused the login")
    if isinstance(error, smtplib.SMTPServerDisconnected):
        why = "did not answer in time" if budget.spent else "ended the connection before the login was done"
        return DeliveryError(Sent.NO, f"{host} {why}", code="ETIMEDOUT" if budget.spent else "DISCONNECTED")
    if isinstance(error, smtplib.SMTPResponseException):
        return _stopped(Reply(error.smtp_code, _line(error.smtp_error)), f"{host} refused the connection")
    if isinstance(error, smtplib.SMTPException):
        return DeliveryError(Sent.MISCONFIGURED, f"{host} offers no kind of login that is known here", code="AUTH")
    if isinstance(error, OSError):
        return net.tls_failure(error, host)
    return DeliveryError(
        Sent.MISCONFIGURED, f"{host}: user name and password must be ASCII for this login", code="AUTH"
    )


def _stopped(reply: Reply, what: str) -> DeliveryError:
    """A refusal before any message: what lasts concerns every message alike, so it is the configuration's fault."""
    sent = reply.sent if 400 <= reply.code < 500 else Sent.NO
    if 500 <= reply.code < 600:
        sent = Sent.MISCONFIGURED
    return DeliveryError(sent, f"{what}: {reply.words}"[:2_000], code=reply.full_code)


def _nobody(refused: Sequence[tuple[str, Reply]]) -> DeliveryError:
    """No recipient was accepted: for good only if that holds for all of them."""
    permanent = tuple((who, said.words) for who, said in refused if said.sent is Sent.REJECTED)
    who, said = next(((w, s) for w, s in refused if s.sent is not Sent.REJECTED), refused[0])
    return said.refusal(f"the server refused {who}", refused=permanent)


def _line(words: bytes | str) -> str:
    return safe_line(words.decode("utf-8", "replace") if isinstance(words, bytes) else words, 1_900)


def _protocol(sock: Any) -> str:
    cipher = sock.cipher() if isinstance(sock, ssl.SSLSocket) else None
    return f"{sock.version()} {cipher[0]}" if cipher else ""
