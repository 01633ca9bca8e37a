"""E-mail by SMTP: who gets it, and what the server's answer means. The dialogue is smtp_wire's, the bytes compose's."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from time import monotonic_ns
from typing import TYPE_CHECKING, Any

from engine.channels.base import ChannelContext
from engine.channels.headers import check_headers
from engine.channels.mailbox import Mailbox, parse_mailbox
from engine.channels.probing import Steps
from engine.errors import BadInput, ConfigError, DeliveryError, Sent
from engine.model import Content, Delivery, Priority, ProbeStep, Receipt, TargetSpec
from engine.rules.addresses import check_host
from engine.rules.redact import Redactor

if TYPE_CHECKING:
    from pydantic import BaseModel

    from engine.channels.smtp_wire import Server, Taken

_PORTS = {"starttls": 587, "implicit": 465, "none": 25}


class EmailChannel:
    """Messages to one target's recipients. See base.Channel."""

    def __init__(self, target: TargetSpec, context: ChannelContext) -> None:
        """Raises SecretMissing or ConfigError; opens nothing."""
        from engine.channels.smtp_pool import Pool

        options = target.options
        where = f"target {target.name}"
        self._target = target
        self._now_ms = context.now_ms
        self._to = _mailboxes(where, "to", options)
        self._cc = _mailboxes(where, "cc", options)
        self._bcc = _mailboxes(where, "bcc", options)
        self._reply_to = _mailboxes(where, "reply_to", options)
        self._sender = _sender(where, options, context.smtp)
        if not (self._to or self._cc or self._bcc):
            raise ConfigError([f"{where}: no recipient; give it to: [name@example.org]"])
        everybody = {box.address: box for box in (*self._to, *self._cc, *self._bcc)}
        self._everybody = tuple(everybody)
        in_message = (self._sender, *self._reply_to, *everybody.values())
        self._utf8 = any(box.needs_utf8 for box in in_message)
        self._server = _server(context)
        self._redactor = Redactor()
        self._redactor.register(self._server.password)
        self._pool = Pool(self._server)

    def deliver(self, delivery: Delivery) -> Receipt:
        """Send the message to everybody who has not got it yet. See base.Channel."""
        from engine.host.net import Budget

        budget = Budget(delivery.timeout_ms)
        waiting = tuple(address for address in self._everybody if address not in delivery.accepted)
        if not waiting:
            return Receipt("every recipient had accepted it in an earlier attempt")
        raw = self._compose(delivery)
        try:
            taken = self._pool.send_mail(self._sender.address, waiting, raw, utf8=self._utf8, budget=budget)
            receipt = _receipt(taken)
        except DeliveryError as error:
            raise self._hidden(error) from error
        return receipt._replace(
            detail=self._redactor.redact(receipt.detail, cut=True), refused=self._hidden_words(receipt.refused)
        )

    def _hidden(self, error: DeliveryError) -> DeliveryError:
        """The same without the password: a server may repeat what it was sent, and its words are kept."""
        return DeliveryError(
            error.sent,
            self._redactor.redact(error.detail, cut=True),
            code=error.code,
            retry_after_ms=error.retry_after_ms,
            accepted=error.accepted,
            refused=self._hidden_words(error.refused),
            disable_target=error.disable_target,
        )

    def _hidden_words(self, refused: tuple[tuple[str, str], ...]) -> tuple[tuple[str, str], ...]:
        return tuple((who, self._redactor.redact(words, cut=True)) for who, words in refused)

    def probe(self, *, send: bool, timeout_ms: int) -> list[ProbeStep]:
        """Resolve, connect, greeting, TLS, login; with `send` a message that says it is a test. See base.Channel."""
        from engine.channels.smtp_wire import open_wire
        from engine.host import net

        server, budget, steps = self._server, net.Budget(timeout_ms), Steps()
        steps.run(
            "resolve",
            lambda: net.permitted(server.host, server.port, budget, trusted=True, allow_private=False),
            lambda found: ", ".join(str(address[0]) for _, address in found),
        )
        if steps.failed:
            return steps.done
        ahead = _stages(server)
        since_ns = [monotonic_ns()]

        def reached(name: str, words: str) -> None:
            ahead.remove(name)
            steps.add(name, words, since_ns[0], ok=True)
            since_ns[0] = monotonic_ns()

        try:
            open_wire(server, budget, reached).leave()
        except DeliveryError as failure:
            error = self._hidden(failure)
            steps.add(ahead[0] if ahead else "login", f"{error.code} {error.detail}", since_ns[0], ok=False)
        if send:
            steps.run("send", lambda: self._send_test(timeout_ms), lambda receipt: f"{receipt.code} {receipt.detail}")
        return steps.done

    def close(self) -> None:
        """Say goodbye on idle connections. See base.Channel."""
        self._pool.close()

    def _compose(self, delivery: Delivery) -> bytes:
        from engine.channels.email_compose import compose

        options = self._target.options
        try:
            return compose(
                delivery,
                sender=self._sender,
                to=self._to,
                cc=self._cc,
                reply_to=self._reply_to,
                list_unsubscribe=str(options.get("list_unsubscribe") or ""),
                subject_prefix=str(options.get("subject_prefix") or ""),
            )
        except BadInput as error:
            raise DeliveryError(Sent.REJECTED, str(error)) from error

    def _send_test(self, timeout_ms: int) -> Receipt:
        now_ms = self._now_ms()
        content = Content("Chronos test message", "This is a test of Chronos.\n", None, None, (), ())
        test = Delivery(
            message_id=0,
            uid=f"msg_{now_ms:032x}",
            attempt_no=1,
            target=self._target,
            content=content,
            created_ms=now_ms,
            priority=Priority.NORMAL,
            domain=self._sender.domain,
            accepted=(),
            timeout_ms=timeout_ms,
        )
        return self.deliver(test)


def _receipt(taken: Taken) -> Receipt:
    """Return the receipt. Raises DeliveryError (NO) if a later attempt may reach more recipients."""
    permanent = tuple((who, said.words) for who, said in taken.refused if said.sent is Sent.REJECTED)
    later = [(who, said) for who, said in taken.refused if said.sent is not Sent.REJECTED]
    if later:
        who, said = later[0]
        words = f"{len(taken.accepted)} accepted, {len(later)} not yet; {who}: {said.words}"[:2_000]
        raise DeliveryError(Sent.NO, words, code=said.full_code, accepted=taken.accepted, refused=permanent)
    return Receipt(taken.reply.words, taken.reply.full_code, taken.accepted, permanent)


def _stages(server: Server) -> list[str]:
    login = ["login"] if server.username else []
    if server.tls == "implicit":
        return ["connect", "tls", "greeting", *login]
    return ["connect", "greeting", *(["tls"] if server.tls == "starttls" else []), *login]


def _mailboxes(where: str, key: str, options: Mapping[str, Any]) -> tuple[Mailbox, ...]:
    given = options.get(key) or []
    texts: Sequence[Any] = [given] if isinstance(given, str) else given
    try:
        return tuple(parse_mailbox(str(text)) for text in texts)
    except BadInput as error:
        raise ConfigError([f"{where}: {key}: {error}"]) from error


def _sender(where: str, options: Mapping[str, Any], smtp: Mapping[str, Any]) -> Mailbox:
    username = str(smtp.get("username") or "")
    text = options.get("from") or smtp.get("from") or (username if "@" in username else "")
    if not text:
        raise ConfigError([f"{where}: no sender; set smtp.from, as in from: Box <ops@example.org>"])
    try:
        return parse_mailbox(str(text))
    except BadInput as error:
        raise ConfigError([f"smtp.from: {error}"]) from error


def _server(context: ChannelContext) -> Server:
    from engine.channels.smtp_wire import Server
    from engine.host.net import tls_context

    smtp = context.smtp
    host, tls, username = str(smtp.get("host") or ""), str(smtp.get("tls") or "starttls"), smtp.get("username") or ""
    if not host:
        raise ConfigError(["smtp.host: not set; e-mail needs a server, as in host: smtp.example.org"])
    if tls not in _PORTS:
        raise ConfigError([f"smtp.tls: {tls!r} is not one of starttls, implicit, none"])
    if username and not smtp.get("password"):
        raise ConfigError(["smtp.password: not set, but smtp.username is; write secret:NAME"])
    ca_file = smtp.get("ca_file")
    try:
        tls_with = None if tls == "none" else tls_context(str(ca_file) if ca_file else None)
    except OSError as error:
        raise ConfigError([f"smtp.ca_file: {ca_file} holds no certificates that can be read"]) from error
    return Server(
        host=host,
        port=int(smtp.get("port") or _PORTS[tls]),
        tls=tls,
        context=tls_with,
        username=str(username),
        password=context.secret(str(smtp["password"])) if username else "",
        helo=str(smtp.get("helo") or _own_name()),
    )


def _own_name() -> str:
    """The machine's name for EHLO. Not getfqdn: it asks the name server and can hang."""
    try:
        return check_host(socket.gethostname(), "host name")
    except BadInput:
        return "[127.0.0.1]"


class EmailType:
    """The channel `email`."""

    name = "email"

    def options(self) -> type[BaseModel]:
        from engine.channels.options import EmailOptions

        return EmailOptions

    def check(self, target: TargetSpec, *, production: bool) -> list[str]:
        problems = []
        if not any(target.options.get(key) for key in ("to", "cc", "bcc")):
            problems.append("no recipient; give it to: [name@example.org]")
        try:
            check_headers(target.headers)
        except BadInput as error:
            problems.append(str(error))
        return problems

    def open(self, target: TargetSpec, context: ChannelContext) -> EmailChannel:
        return EmailChannel(target, context)


CHANNEL = EmailType()
