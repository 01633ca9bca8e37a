"""Deliveries whose secret lies in the vault: a locked one is waited for, a replaced one is taken at once."""

from __future__ import annotations

import base64
import sqlite3
import threading
from contextlib import closing
from pathlib import Path

from engine.channels.base import Channel
from engine.engine import Engine
from engine.errors import VaultLocked
from engine.model import NewMessage, Receipt, Role, TargetSpec
from engine.operations.vault import Provider
from engine.rules.signing import decode_secret, sign
from tests.channels.http_sink import HttpSink, Request
from tests.support import PATIENCE_S, data_dir, opened_desk, settings, target

FIRST, SECOND = (f"whsec_{base64.b64encode(bytes([n]) * 32).decode()}" for n in (1, 2))


def test_a_locked_vault_costs_an_attempt_and_neither_the_message_nor_an_incident(tmp_path: Path) -> None:
    words = "secret:hook: the OS keyring is locked; unlock it"
    locked = True

    def open_channel(spec: TargetSpec) -> Channel:
        if locked:
            raise VaultLocked(words)
        return desk.script.open(spec)

    with opened_desk(tmp_path, settings({"hook": target()})) as desk:
        desk.dispatcher.stop(0)
        desk.box.take_over()
        desk.employ(open_channel)
        message = desk.put()
        found = desk.wait_message(message, lambda one: one.failures == 1)
        assert (found.state, found.last_word) == ("queued", words)
        with closing(sqlite3.connect(tmp_path / "chronos.db")) as connection:
            assert connection.execute("SELECT kind FROM incidents").fetchall() == []
        locked = False
        desk.script.answer = lambda _delivery: Receipt("ok", "200")
        desk.pass_ms(10_000)
        desk.wait_state(message, "delivered")


def test_a_secret_that_another_process_replaces_signs_the_next_messages(tmp_path: Path) -> None:
    """An open channel holds the secret that it was opened with."""
    where = data_dir(tmp_path)
    with HttpSink() as sink:
        spec = TargetSpec("hook", "webhook", {"url": sink.url("/ok"), "secret": "secret:hook"}, lane="hook")
        configuration = settings({"hook": spec})
        engine = Engine.open(where, {}, actor="test:owner", settings=configuration)
        other = Engine.open(where, {}, actor="test:other", settings=configuration)
        try:
            other.vault_create(Provider.FILE)
            other.secret_set("hook", FIRST)
            assert engine.start("test") == Role.OWNER
            _deliver(engine)
            assert _signed_with(sink.requests[-1], FIRST)
            other.secret_set("hook", SECOND)
            patience = threading.Event()
            for _ in range(int(PATIENCE_S / 0.2)):
                _deliver(engine)
                if _signed_with(sink.requests[-1], SECOND):
                    break
                patience.wait(0.2)  # the owner looks every now and then; its next message is what shows it
            assert _signed_with(sink.requests[-1], SECOND)
        finally:
            engine.close()
            other.close()


def _deliver(engine: Engine) -> None:
    uid = engine.enqueue(NewMessage("hook", text="hi")).message.uid
    assert engine.wait_until_settled(uid, int(PATIENCE_S * 1000)).message.state == "delivered"


def _signed_with(request: Request, secret: str) -> bool:
    headers = {name.lower(): value for name, value in request.headers.items()}
    timestamp_s = int(headers["webhook-timestamp"])
    expected = sign(decode_secret(secret), headers["webhook-id"], timestamp_s, request.body)
    return headers["webhook-signature"] == expected
