"""`chronos source` from outside: what came, why something was refused, and sending an event on once more."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import pytest

from engine.engine import Engine
from engine.host.paths import paths
from engine.operations import inbound
from tests.inbox import ENV, plain
from tests.interfaces.program import Box

SOURCES = """\
targets:
  box: {channel: maildir, path: mail}
  other: {channel: maildir, path: other}
sources:
  plain: {verify: hmac, secret: "secret:in", header: X-Sig, deliver: {target: box, text: "{disk}"}}
  strict: {verify: hmac, secret: "secret:in", header: X-Sig, deliver: {target: box, data: true}}
  unset: {verify: telegram, secret: "secret:none", deliver: {target: box}}
  keyed: {verify: api-key, deliver: {target: box}}
"""
BODY = b'{"type": "disk.full", "disk": "sda"}'


@pytest.fixture
def engine(box: Box) -> Iterator[Engine]:
    """The same data directory, where events come in."""
    box.configure(SOURCES)
    box.extra.update(ENV)
    opened = Engine.open(paths(str(box.data_dir), None, {}), ENV, actor="test:me")
    yield opened
    opened.close()


def came(engine: Engine, source: str = "plain", body: bytes = BODY, signature: str = "") -> str | None:
    """Let an event come in; return its message's uid."""
    headers = {"X-Sig": signature} if signature else plain(body)
    found = inbound.receive(engine.context, source, headers, body, remote="192.0.2.7").message_uid
    inbound.flush_counts(engine.context)
    return found


def test_nothing_configured_says_how(box: Box) -> None:
    for verb in ("list", "events"):
        found = box.ok("source", verb)
        assert found.out == ""
        assert "verify: standard-webhooks" in found.one_line
    assert box.ok("source", "list", "--json").json == {"sources": []}
    assert box.ok("source", "events", "--json").json == {"events": [], "next": None}


def test_nothing_came_says_where_to_send(box: Box, engine: Engine) -> None:
    assert "no event came yet" in box.ok("source", "events").one_line

    def address(**env: str) -> str:
        shown = box.ok("source", "show", "plain", CHRONOS_HTTP_ENABLED="true", **env).out
        return next(line for line in shown.splitlines() if line.startswith("send to"))

    assert address().endswith(" POST http://127.0.0.1:8467/v1/inbound/plain")
    assert address(CHRONOS_HTTP_LISTEN="/run/c.sock").endswith(" POST /v1/inbound/plain through the socket /run/c.sock")
    assert "http.enabled is false" in box.ok("source", "show", "plain", CHRONOS_HTTP_ENABLED="false").out
    assert "none: an API key" in box.ok("source", "show", "keyed").out


def test_a_source_is_listed_with_what_came_and_what_ails_it(box: Box, engine: Engine) -> None:
    came(engine)
    came(engine)
    came(engine, signature="00")
    came(engine, "strict", b"x=1")
    lines = {line.split()[0]: line for line in box.ok("source", "list").out.splitlines()}
    assert lines["plain"].split()[:6] == ["plain", "hmac", "box", "1", "1", "1"]
    assert lines["plain:"].endswith(": the signature fits none of the known secrets")  # whole, in 80 columns too
    assert "1 became no message" in lines["strict:"]
    assert "secret:none: not set" in lines["unset:"]
    shown = box.ok("source", "show", "plain", COLUMNS="200").out
    assert "once from 192.0.2.7: the signature fits none of the known secrets" in shown
    assert "run: chronos secret set none" in box.ok("source", "show", "unset").out
    assert "1 became no message" in box.ok("source", "show", "strict").out


def test_the_documents(box: Box, engine: Engine) -> None:
    uid = came(engine)
    came(engine, signature="00")
    found = box.ok("source", "show", "plain", "--json").json
    assert found in box.ok("source", "list", "--json").json["sources"]
    assert {key: found[key] for key in ("name", "path", "accepted", "rejected", "secret_ok", "target")} == {
        "name": "plain",
        "path": "/v1/inbound/plain",
        "accepted": 1,
        "rejected": 1,
        "secret_ok": True,
        "target": "box",
    }
    (rejection,) = found["rejections"]
    assert (rejection["reason"], rejection["remote"], rejection["count"]) == ("signature", "192.0.2.7", 1)
    (event,) = box.ok("source", "events", "plain", "--json").json["events"]
    assert (event["outcome"], event["kind"], event["message"]) == ("queued", "disk.full", uid)
    one = box.ok("source", "event", str(event["id"]), "--json").json
    assert one == {**event, "body": BODY.decode(), "body_base64": None}
    came(engine, body=b"\xff")
    raw = box.ok("source", "event", "2", "--json").json
    assert (raw["body"], base64.b64decode(raw["body_base64"])) == (None, b"\xff")


def test_events_are_listed_and_shown(box: Box, engine: Engine) -> None:
    for number in range(3):
        came(engine, body=b'{"type": "t%d"}' % number)
    assert [line.split()[0] for line in box.ok("source", "events").out.splitlines()[1:]] == ["3", "2", "1"]
    page = box.ok("source", "events", "--limit", "2")
    assert "--before 2" in page.one_line
    assert box.ok("source", "events", "--before", "2", "--json").json["events"][0]["id"] == 1
    assert box.ok("source", "events", "--jsonl").out.count("\n") == 3
    shown = box.ok("source", "event", "1").out
    assert '{"type": "t0"}' in shown
    assert "not in the event: disk" in shown


def test_what_came_reaches_no_terminal_as_it_is(box: Box, engine: Engine) -> None:
    came(engine, body=b'{"type": "\x1b]0;x\x07", "disk": "\\u001b[31m"}')
    for words in (("list",), ("show", "plain"), ("events",), ("event", "1")):
        assert "\x1b" not in box.ok("source", *words).out


def test_a_replay_prints_the_new_uid(box: Box, engine: Engine) -> None:
    first = came(engine)
    uid = box.ok("source", "replay", "1").out.strip()
    assert uid.startswith("msg_")
    assert uid != first
    other = box.ok("source", "replay", "1", "--target", "other", "--json").json
    assert other["event"] == 1
    assert box.ok("outbox", "show", other["message"], "--json").json["target"] == "other"
    entries = box.ok("audit", "list", "--filter", "action:event.replayed", "--json").json["entries"]
    assert [entry["detail"]["message"] for entry in entries] == [other["message"], uid]


def test_what_is_not_there_is_said(box: Box, engine: Engine) -> None:
    missing = box.chronos("source", "show", "plane")
    assert (missing.code, missing.one_line) == (4, "chronos: no source 'plane'; did you mean plain?")
    assert box.chronos("source", "event", "7").code == 4
    assert box.chronos("source", "replay", "7").code == 4
    assert box.chronos("source", "events", "nobody").code == 4
    came(engine)
    assert box.chronos("source", "replay", "1", "--target", "nowhere").code == 4
