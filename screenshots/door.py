"""The same afternoon with knocks at the door, for the pictures of the security panel: keys, sources, incidents."""

from __future__ import annotations

from engine.model import Settings
from engine.operations import apikeys, incidents
from engine.rules.incidents import Kind
from engine.store.tx import Tx
from screenshots import demo
from tests import inbox
from tests.support import Box

DAY_MS = 86_400_000
_SOURCES = """
targets: {crm: {channel: maildir, path: x}, ops: {channel: maildir, path: y}}
sources:
  github: {verify: github, secret: "secret:in", deliver: {target: ops}}
  shop:   {verify: stripe, secret: "secret:shop", deliver: {target: crm}}
"""


def configuration() -> Settings:
    """Return what the box is configured to do."""
    return demo.configuration()._replace(sources=inbox.configured(_SOURCES).sources)


def fill(box: Box) -> dict[str, int]:
    """Make keys, open incidents, let events come in."""
    ids = demo.fill(box)
    context = box.context

    def work(tx: Tx) -> None:
        incidents.raise_incident(tx, context, Kind.REPLAY, "shop", "event evt_9f2 came with another body")
        incidents.raise_incident(
            tx, context, Kind.AUTH_FAILURES, "198.51.100.7/32", "unknown key, 412 times", times=412
        )
        incidents.raise_incident(tx, context, Kind.CLOCK_JUMP, "clock", "it went back by 3 min 12 s")

    box.clock.advance_ms(40 * demo.MINUTE_MS)
    box.database.write(work)
    incidents.acknowledge(context, 3)
    apikeys.create(context, "n8n", ["send"], targets=["ops"], networks=["10.0.0.0/8"])
    apikeys.create(context, "grafana", ["read"], expires_ms=box.clock.now_ms() + 3 * DAY_MS)
    apikeys.create(context, "laptop", ["send", "read", "admin"], expires_ms=box.clock.now_ms() + 90 * DAY_MS)
    apikeys.create(context, "old-cron", ["send"])
    apikeys.revoke(context, "old-cron")
    apikeys.rotate(context, "n8n", overlap_ms=DAY_MS)
    box.clock.advance_ms(12 * demo.MINUTE_MS)
    return ids
