"""What tests of incoming events share: sources as the configuration makes them, and senders that sign."""

from __future__ import annotations

import base64
import hmac
from typing import Any

from engine.channels.registry import options_model
from engine.host.config.load import load
from engine.host.paths import paths
from engine.model import Settings
from engine.operations.context import Machine
from tests.support import START_MS, Box, settings

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
ENV = {"CHRONOS_SECRET_IN": SECRET, "CHRONOS_SECRET_OLD": "an older one"}
BODY = b'{"id": "evt_1", "type": "backup.failed", "data": {"disk": "sda", "left": 3}}'

SOURCES = """
targets: {hook: {channel: maildir, path: x}, mail: {channel: maildir, path: y}}
sources:
  n8n:    {verify: standard-webhooks, secret: ["secret:in", "secret:old"], deliver: {target: hook}}
  github: {verify: github, secret: "secret:in", deliver: {target: hook, text: "{action}", when: {action: opened}}}
  stripe: {verify: stripe, secret: "secret:in", deliver: {target: hook, text: "{data.disk}{no.such}"}}
  bot:    {verify: telegram, secret: "secret:in", deliver: {target: hook}}
  plain:  {verify: hmac, secret: "secret:in", header: X-Sig, deliver: {target: hook}, keep: 2d}
  byid:   {verify: hmac, secret: "secret:in", header: X-Sig, id_header: X-Id, deliver: {target: hook}}
  keyed:  {verify: api-key, deliver: {target: hook, data: true}}
  lost:   {verify: hmac, secret: "secret:in", header: X-Sig, deliver: {target: hook, data: true}}
  nokey:  {verify: telegram, secret: "secret:none", deliver: {target: hook}}
"""


def configured(text: str = SOURCES, **sections: Any) -> Settings:
    """Return settings whose sources are as the configuration's own reader makes them; the targets are scripted."""
    known = load(paths("/nonexistent", None, {}), {}, options_model, hostname="box.example.org", text=text.encode())
    return settings(sources=known.sources, **sections)


def ready(box: Box, text: str = SOURCES, **sections: Any) -> Box:
    """Give a box these sources and the secrets they need."""
    box.context.settings = configured(text, **sections)
    box.context.machine = Machine(env=ENV)
    return box


def mac(covered: bytes, secret: str = SECRET) -> str:
    return hmac.new(secret.encode(), covered, "sha256").hexdigest()


def standard(body: bytes = BODY, event_id: str = "m1", at_s: int = START_MS // 1000) -> dict[str, str]:
    """Sign by the scheme of Standard Webhooks."""
    key = base64.b64decode(SECRET.removeprefix("whsec_"))
    signature = base64.b64encode(hmac.digest(key, f"{event_id}.{at_s}.".encode() + body, "sha256")).decode()
    return {"Webhook-Id": event_id, "Webhook-Timestamp": str(at_s), "Webhook-Signature": f"v1,{signature}"}


def github(body: bytes, delivery: str = "d1") -> dict[str, str]:
    """Sign as GitHub does."""
    signed = {"X-Hub-Signature-256": f"sha256={mac(body)}", "X-GitHub-Delivery": delivery}
    return {**signed, "X-GitHub-Event": "issues", "Content-Type": "application/json"}


def stripe(body: bytes = BODY, at_s: int = START_MS // 1000) -> dict[str, str]:
    """Sign as Stripe does."""
    return {"Stripe-Signature": f"t={at_s},v1={mac(f'{at_s}.'.encode() + body)}"}


def plain(body: bytes = BODY, **more: str) -> dict[str, str]:
    """Sign by a plain HMAC."""
    return {"X-Sig": mac(body), **{name.replace("_", "-"): value for name, value in more.items()}}
