"""Webhooks: one POST a message, signed by the Standard Webhooks scheme. Decides nothing about when to try again."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from engine import __version__
from engine.channels.base import ChannelContext
from engine.channels.headers import check_headers
from engine.channels.probing import Steps
from engine.errors import BadInput, ConfigError, DeliveryError, Sent
from engine.model import Delivery, ProbeStep, Receipt, TargetSpec
from engine.rules.addresses import web_origin
from engine.rules.durations import rfc3339
from engine.rules.redact import Redactor
from engine.rules.signing import decode_secret, sign
from engine.rules.text import safe_line

if TYPE_CHECKING:
    from pydantic import BaseModel

    from engine.channels.http_wire import Answer, Rules, Wire

DETAIL_CHARS = 2_000
_USER_AGENT = f"Chronos/{__version__}"
_MAX_RETRY_AFTER_MS = 31 * 86_400_000
_TRANSIENT = frozenset({408, 425})
_LOGIN = frozenset({401, 403, 407})


def default_body(delivery: Delivery) -> bytes:
    """Return the JSON body of a message that brings none: docs/channels.md describes it. The same at every attempt."""
    content = delivery.content
    attachments = [
        {
            "name": attachment.name,
            "content_type": attachment.content_type,
            "content_base64": base64.b64encode(attachment.content).decode("ascii"),
        }
        for attachment in content.attachments
    ]
    document = {
        "id": delivery.uid,
        "type": "message",
        "timestamp": rfc3339(delivery.created_ms),
        "subject": content.subject,
        "text": content.text,
        "html": content.html,
        "tags": list(delivery.tags),
        "attachments": attachments,
    }
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


class WebhookChannel:
    """One URL. See base.Channel."""

    def __init__(self, target: TargetSpec, context: ChannelContext) -> None:
        """Raises SecretMissing or ConfigError; opens nothing."""
        from engine.channels.http_wire import Wire

        options = target.options
        self._redactor = Redactor()
        self._now_ms = context.now_ms
        self._url = self._open_secret(str(options["url"]), context)
        self._host, self._port = _origin(target, self._url)
        parts = urlsplit(self._url)
        hidden = [parts.query, *(value for _, value in parse_qsl(parts.query))]
        for value in [*hidden, parts.path] if self._url != options["url"] else hidden:
            self._redactor.register(value)
        self._secret = self._signing_secret(target, context)
        self._headers = [(name, self._open_secret(value, context)) for name, value in target.headers]
        self._content_type = str(options.get("content_type") or "application/json")
        self._rules = _rules(target, context, secure=parts.scheme == "https")
        self._wire: Wire = Wire(self._url, str(options.get("method") or "POST"), self._rules)

    def deliver(self, delivery: Delivery) -> Receipt:
        """POST the message. See base.Channel."""
        try:
            data = delivery.content.data
            body = default_body(delivery) if data is None else data.encode()
            headers = self._request_headers(delivery.uid, body, delivery.content.headers)
        except UnicodeEncodeError as error:
            raise DeliveryError(Sent.REJECTED, "the message holds broken Unicode (a lone surrogate)") from error
        except BadInput as error:
            raise DeliveryError(Sent.REJECTED, str(error)) from error
        return self._judge(self._wire.send(body, headers, delivery.timeout_ms))

    def probe(self, *, send: bool, timeout_ms: int) -> list[ProbeStep]:
        """Resolve, connect, TLS; with `send` a signed message of type "test". See base.Channel."""
        from engine.host import net

        steps, budget, host, port, rules = Steps(), net.Budget(timeout_ms), self._host, self._port, self._rules
        look_up = partial(net.permitted, host, port, budget, trusted=rules.trusted, allow_private=rules.allow_private)
        addresses = steps.run("resolve", look_up, lambda found: ", ".join(str(a[0]) for _, a in found))
        sock = steps.run(
            "connect", lambda: net.connect_to(host, port, addresses or [], budget), lambda _: f"{host} port {port}"
        )
        if sock is not None:
            context = rules.context
            if context is not None:
                steps.run("tls", lambda: net.handshake(sock, context, host), lambda words: words)
            sock.close()
        if send:
            steps.run("send", partial(self._send_test, timeout_ms), lambda receipt: f"{receipt.code} {receipt.detail}")
        return steps.done

    def close(self) -> None:
        """Close idle connections. See base.Channel."""
        self._wire.close()

    def _send_test(self, timeout_ms: int) -> Receipt:
        now_ms = self._now_ms()
        uid = f"msg_{now_ms:032x}"
        document = {"id": uid, "type": "test", "timestamp": rfc3339(now_ms), "text": "This is a test of Chronos."}
        body = json.dumps(document, separators=(",", ":")).encode()
        return self._judge(self._wire.send(body, self._request_headers(uid, body, ()), timeout_ms))

    def _request_headers(self, uid: str, body: bytes, own: tuple[tuple[str, str], ...]) -> Mapping[str, str | bytes]:
        """Return the headers of one attempt; only the time, and with it the signature, differs from the last."""
        timestamp_s = self._now_ms() // 1000
        headers: dict[str, str | bytes] = {"User-Agent": _USER_AGENT, "Accept-Encoding": "identity"}
        extra = [*self._headers, *own]
        check_headers(extra, channel="webhook")
        for name, value in extra:
            for earlier in [key for key in headers if key.lower() == name.lower()]:
                del headers[earlier]
            headers[name] = value.strip().encode()
        headers["Content-Type"] = self._content_type
        headers["Idempotency-Key"] = headers["webhook-id"] = uid
        headers["webhook-timestamp"] = str(timestamp_s)
        if self._secret is not None:
            headers["webhook-signature"] = sign(self._secret, uid, timestamp_s, body)
        return headers

    def _judge(self, answer: Answer) -> Receipt:
        """Return a receipt for 2xx. Raises DeliveryError for every other status: docs/channels.md has the table."""
        status, code = answer.status, str(answer.status)
        detail = self._words(answer)
        if 200 <= status < 300:
            return Receipt(detail, code)
        wait_ms = _retry_after_ms(answer.headers.get("Retry-After"), self._now_ms())
        if status == 429 or (status == 503 and wait_ms is not None):
            raise DeliveryError(Sent.THROTTLED, detail, code=code, retry_after_ms=wait_ms)
        if status in _TRANSIENT or status >= 500:
            raise DeliveryError(Sent.NO, detail, code=code, retry_after_ms=wait_ms)
        if status in _LOGIN:
            raise DeliveryError(Sent.MISCONFIGURED, detail, code=code)
        if 300 <= status < 400:
            words = f"answered with a redirect, which is not followed; configure the final address ({detail})"
            raise DeliveryError(Sent.REJECTED, words[:DETAIL_CHARS], code=code)
        raise DeliveryError(Sent.REJECTED, detail, code=code, disable_target=status == 410)

    def _words(self, answer: Answer) -> str:
        body = answer.body[: DETAIL_CHARS * 4].decode("utf-8", "replace")
        words = f"{answer.reason}: {body}" if answer.reason and body.strip() else answer.reason or body
        return safe_line(self._redactor.redact(words, cut=True), DETAIL_CHARS)

    def _signing_secret(self, target: TargetSpec, context: ChannelContext) -> bytes | None:
        reference = target.options.get("secret")
        if not reference:
            return None
        value = self._open_secret(str(reference), context)
        try:
            return decode_secret(value)
        except BadInput as error:
            raise ConfigError([f"target {target.name}: secret: {error}"]) from error

    def _open_secret(self, text: str, context: ChannelContext) -> str:
        if not text.startswith("secret:"):
            return text
        value = context.secret(text)
        self._redactor.register(value)
        return value


def _origin(target: TargetSpec, url: str) -> tuple[str, int]:
    try:
        return web_origin(url)
    except BadInput as error:
        raise ConfigError([f"target {target.name}: {error}"]) from error


def _rules(target: TargetSpec, context: ChannelContext, *, secure: bool) -> Rules:
    from engine.channels.http_wire import Rules
    from engine.host.net import tls_context

    ca_file = target.options.get("ca_file")
    try:
        tls = tls_context(str(ca_file) if ca_file else None) if secure else None
    except OSError as error:
        raise ConfigError(
            [f"target {target.name}: ca_file: {ca_file} holds no certificates that can be read"]
        ) from error
    return Rules(target.trusted, context.allow_private, tls)


def _retry_after_ms(value: Any, now_ms: int) -> int | None:
    """Read seconds or an HTTP date (RFC 9110, 10.2.3). None for anything else."""
    if not value:
        return None
    text = str(value).strip()
    if text.isascii() and text.isdigit():
        return min(int(text[:12]) * 1000, _MAX_RETRY_AFTER_MS)
    from email.utils import parsedate_to_datetime

    with suppress(ValueError, TypeError, OverflowError):
        until_ms = int(parsedate_to_datetime(text).timestamp() * 1000)
        return min(max(until_ms - now_ms, 0), _MAX_RETRY_AFTER_MS)
    return None


class WebhookType:
    """The channel `webhook`."""

    name = "webhook"

    def options(self) -> type[BaseModel]:
        from engine.channels.options import WebhookOptions

        return WebhookOptions

    def check(self, target: TargetSpec, *, production: bool) -> list[str]:
        try:
            check_headers(target.headers, channel="webhook")
        except BadInput as error:
            return [str(error)]
        return []

    def open(self, target: TargetSpec, context: ChannelContext) -> WebhookChannel:
        return WebhookChannel(target, context)


CHANNEL = WebhookType()
