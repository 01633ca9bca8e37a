"""Canaries through a running engine: its door, its deliveries, its crashes, its death."""

from __future__ import annotations

import base64
import hmac
import json
import signal
import socket
import time
from typing import Any

from tests.canaries import planted
from tests.canaries.leaky import Repeating, install_channel, smtp_that_repeats
from tests.canaries.planted import VAULT, Canary, made
from tests.canaries.rig import Evidence
from tests.canaries.test_commands import IN_CONFIG, OWN_ENV, private
from tests.inbound.serving import Answer, Client
from tests.interfaces.program import TIME_OUT_S, Engine
from tests.servers import Scripted

CONFIG = """\
security: {{pbkdf2_iterations: 100000}}
targets:
  box: {{channel: maildir, path: mail}}
  hook: {{channel: webhook, url: "{http}/400/0/hook/bearer", secret: "secret:hook",
    headers: {{Authorization: "secret:bearer"}}}}
  plain: {{channel: webhook, url: "{http}/401/7/plain", secret: "secret:plain"}}
  again: {{channel: webhook, url: "{http}/503/23/named/hook", secret: "secret:hook",
    headers: {{X-Key: "secret:named"}}}}
  filed: {{channel: webhook, url: "{http}/410/40/filed", headers: {{X-Api-Key: "secret:filed"}}}}
  mail: {{channel: email, to: [me@example.org]}}
  raise: {{channel: leaky, how: raise, ring: "secret:crash"}}
  cut: {{channel: leaky, how: cut, ring: "secret:crash"}}
  open: {{channel: leaky, how: open, ring: "secret:crash"}}
  thread: {{channel: leaky, how: thread, ring: "secret:crash"}}
  fatal: {{channel: leaky, how: fatal, ring: "secret:crash"}}
smtp: {{host: 127.0.0.1, port: {smtp}, tls: none, username: ops, password: "secret:smtp", from: ops@example.org}}
telegram: {{token: "secret:telegram"}}
sources:
  std: {{verify: standard-webhooks, secret: ["secret:std-old", "secret:std-new"], deliver: {{target: box}}}}
  github: {{verify: github, secret: "secret:github", deliver: {{target: box}}}}
  stripe: {{verify: stripe, secret: "secret:stripe", deliver: {{target: box}}}}
  bot: {{verify: telegram, secret: "secret:bot", deliver: {{target: box}}}}
  forge: {{verify: hmac, secret: "secret:forge", header: X-Signature, deliver: {{target: box}}}}
  keyed: {{verify: api-key, deliver: {{target: box}}}}
"""
TARGETS = ("box", "hook", "plain", "again", "filed", "mail", "raise", "cut", "thread", "fatal", "open")


def test_nothing_that_a_running_engine_was_told_stands_anywhere(evidence: Evidence) -> None:
    box = evidence.box
    known = {"filed": planted.BY_FILE.text, "named": planted.BY_VARIABLE.text}
    known |= {name: VAULT[name].text for name in ("hook", "bearer", "plain")}
    with Scripted(smtp_that_repeats) as mail, Scripted(Repeating(known)) as web:
        config = CONFIG.format(http=f"http://127.0.0.1:{web.port}", smtp=mail.port)
        given: dict[str, Any] = {
            "CHRONOS_HTTP_ENABLED": "true",
            "CHRONOS_HTTP_LISTEN": "127.0.0.1:0",
            "CHRONOS_SECRET_NAMED": evidence.plant(planted.BY_VARIABLE, OWN_ENV),
            "CHRONOS_SECRET_FILED_FILE": private(box.home / "filed", evidence.plant(planted.BY_FILE)),
            "CHRONOS_SECRET_CRASH": evidence.plant(planted.CRASHED, OWN_ENV),
            "CHRONOS_DEBUG": "1",
            "PYTHONPATH": f"{box.env['PYTHONPATH']}:{install_channel(box.home / 'channel')}",
        }
        evidence.box.extra.update({"PYTHONPATH": given["PYTHONPATH"]})
        evidence.ok("init", "--root-key", "file")
        _root_key(evidence)
        for name, canary in VAULT.items():
            evidence.ok("secret", "set", name, stdin=evidence.plant(canary))
        box.configure(config)
        keys = _keys(evidence)
        with box.engine(**given) as engine:
            client = Caller(evidence, engine)
            _requests(evidence, client, keys)
            _events(evidence, client, keys)
            _deliveries(evidence, engine)
            _reload(evidence, engine, config)
            evidence.everything(**given)
            evidence.keep_files("while it runs")
            evidence.ok("send", "raise", "--text", "x", **given)
            engine.process.kill()
            engine.process.wait(TIME_OUT_S)
            evidence.keep_files("after kill -9")
            evidence.heard(engine)
        with box.engine(**given) as engine:
            client = Caller(evidence, engine)
            _requests(evidence, client, keys)
            engine.signal(signal.SIGTERM)
            evidence.heard(engine)
        evidence.chronos("log", "--limit", "1000", **given)
    evidence.keep_files("at the end")
    _what_was_to_happen_happened(evidence)
    assert evidence.hits() == []


def _root_key(evidence: Evidence) -> None:
    data = (evidence.box.data_dir / "root.key").read_bytes().strip()
    raw = bytes.fromhex(data.decode()) if len(data) == 64 else data
    evidence.plant(made("root key", raw.hex(), raw, data), "data/root.key")


def _keys(evidence: Evidence) -> dict[str, str]:
    """One of each state. A key is shown where it is made, once: that answer is not kept as evidence."""
    made_keys = {}
    for name in ("good", "revoked", "expired", "old"):
        end = ("--expires", "1s") if name == "expired" else ()
        words = ("key", "create", "--name", name, "--scope", "send,read", *end, "--json")
        made_keys[name] = evidence.box.ok(*words).json["key"]
    made_keys["new"] = evidence.box.ok("key", "rotate", "old", "--overlap", "1h", "--json").json["key"]
    evidence.ok("key", "revoke", "revoked", "--yes")
    for name, text in made_keys.items():
        secret = text.split("_", 2)[2][:43]
        evidence.plant(made(f"{name} key", text, base64.urlsafe_b64decode(secret + "="), secret.encode()))
    return made_keys


class Caller:
    """Asks, and keeps the answers."""

    def __init__(self, evidence: Evidence, engine: Engine) -> None:
        self._evidence = evidence
        host, _, port = engine.http.rpartition(":")
        self._address = (host, int(port))

    def ask(self, method: str, path: str, *headers: str, body: bytes | str = b"") -> Answer:
        data = body.encode() if isinstance(body, str) else body
        lines = [f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", f"Content-Length: {len(data)}"]
        with Client(socket.create_connection(self._address, TIME_OUT_S)) as client:
            client.send(*lines, *(line.encode() for line in headers), body=data)
            answer = client.answer()
        self._evidence.note(f"answer to {method} {path[:20]}", f"{answer.headers}".encode() + answer.body)
        return answer


def _requests(evidence: Evidence, client: Caller, keys: dict[str, str]) -> None:
    def told(canary: Canary) -> str:
        return evidence.plant(canary)

    evidence.plant(planted.KEY_IN_QUERY, IN_OWN_FILTER)
    good = f"Authorization: Bearer {keys['good']}"
    asked = [
        (200, client.ask("GET", "/v1/messages", good)),
        *((401, client.ask("GET", "/v1/messages", f"Authorization: Bearer {keys[name]}")) for name in ("revoked",)),
        *((200, client.ask("GET", "/v1/messages", f"Authorization: Bearer {keys[name]}")) for name in ("old", "new")),
        (401, client.ask("GET", "/v1/messages", f"Authorization: Bearer {told(planted.BOGUS_KEY)}")),
        (401, client.ask("GET", "/v1/messages", f"Authorization: Bearer {told(planted.BAD_CHECKSUM)}")),
        (401, client.ask("GET", "/v1/messages", f"Authorization: Bearer {keys['good'][:-7]}_000000")),
        (401, client.ask("GET", "/v1/messages", f"Authorization: {keys['good']}")),
        (401, client.ask("GET", f"/v1/messages?key={told(planted.KEY_IN_QUERY)}")),
        (401, client.ask("GET", f"/v1/messages?access_token={keys['good']}&filter={keys['good']}")),
        (404, client.ask("GET", f"/v1/messages/{keys['good']}", good)),
        (404, client.ask("GET", f"/{told(planted.KEY_IN_QUERY)}", good)),
        (422, client.ask("GET", f"/v1/messages?filter=state:{planted.KEY_IN_QUERY.text}", good)),
        (401, client.ask("GET", "/v1/messages", f"X-Api-Key: {told(planted.KEY_IN_HEADER)}")),
        (401, client.ask("GET", "/v1/messages", f"Cookie: session={told(planted.KEY_IN_COOKIE)}; b={keys['good']}")),
        (401, client.ask("GET", "/v1/messages", f"Authorization: Basic {_basic(evidence)}")),
        (401, client.ask("GET", "/v1/health", f"X-Internal-Token: {told(planted.REFUSED_HEADER)}")),
        (400, client.ask("GET", "/v1/health", f"X-Broken: {planted.REFUSED_HEADER.text}\x01")),
        (400, client.ask("POST", "/v1/messages", good, JSON, body=f'{{"password": "{told(planted.IN_BAD_JSON)}" oh')),
        (422, client.ask("POST", "/v1/messages", good, JSON, body=_wrong(evidence, "password"))),
        (422, client.ask("POST", "/v1/messages", good, JSON, body=_wrong(evidence, "priority"))),
        (422, client.ask("POST", "/v1/messages", good, JSON, body=_wrong(evidence, "headers"))),
        (422, client.ask("POST", "/v1/messages", good, JSON, body=_adhoc(evidence))),
        (404, client.ask("POST", f"/v1/inbound/{planted.IN_422.text}", good, JSON, body="{}")),
    ]
    assert [(status, answer.body) for status, answer in asked if answer.status != status] == []


JSON = "Content-Type: application/json"
IN_OWN_FILTER = "answer to GET /v1/messages?filter"
"""Who writes a key into a filter is told which word of it was wrong, and nobody else is."""


def _basic(evidence: Evidence) -> str:
    password = evidence.plant(planted.BASIC_PASSWORD)
    return base64.b64encode(f"{evidence.plant(planted.KEY_AS_BASIC)}:{password}".encode()).decode()


def _wrong(evidence: Evidence, field: str) -> str:
    value = evidence.plant(planted.IN_422 if field == "password" else planted.IN_422_VALUE)
    return json.dumps({"target": "box", "text": "x", field: value if field != "headers" else {"X": [value]}})


def _adhoc(evidence: Evidence) -> str:
    return json.dumps({"target": f"https://ops:{evidence.plant(planted.USERINFO)}@example.org/x", "text": "x"})


def _events(evidence: Evidence, client: Caller, keys: dict[str, str]) -> None:
    """Good ones by every scheme and every secret, then wrong ones, also with the secret itself as the signature."""
    body = b'{"id": "evt_1", "update_id": 7, "type": "x"}'
    now = str(int(time.time()))

    def mac(name: str, covered: bytes = body) -> str:
        return hmac.new(VAULT[name].text.encode(), covered, "sha256").hexdigest()

    def std(name: str, event: str) -> tuple[str, ...]:
        key = base64.b64decode(VAULT[name].text.removeprefix("whsec_"))
        signed = base64.b64encode(hmac.digest(key, f"{event}.{now}.".encode() + body, "sha256")).decode()
        return f"webhook-id: {event}", f"webhook-timestamp: {now}", f"webhook-signature: v1,{signed}"

    stripe = mac("stripe", f"{now}.".encode() + body)
    bot = f"X-Telegram-Bot-Api-Secret-Token: {VAULT['bot'].text}"
    good: dict[str, list[tuple[str, ...]]] = {
        "std": [std("std-old", "one"), std("std-new", "two")],
        "github": [(f"X-Hub-Signature-256: sha256={mac('github')}", "X-GitHub-Delivery: d1", "X-GitHub-Event: push")],
        "stripe": [(f"Stripe-Signature: t={now},v1={stripe}",)],
        "bot": [(bot,)],
        "forge": [(f"X-Signature: {mac('forge')}",)],
        "keyed": [(f"Authorization: Bearer {keys['good']}", "Idempotency-Key: k1")],
    }
    sent = [(name, headers) for name, several in good.items() for headers in several]
    answers = [client.ask("POST", f"/v1/inbound/{name}", JSON, *headers, body=body) for name, headers in sent]
    assert [answer.status for answer in answers] == [202] * 7, answers
    wrong = {
        "std": (
            f"webhook-id: {VAULT['std-old'].text}",
            f"webhook-timestamp: {now}",
            f"webhook-signature: v1,{evidence.plant(planted.WRONG_SIGNATURE)}",
        ),
        "github": (f"X-Hub-Signature-256: sha256={VAULT['github'].text}", "X-GitHub-Delivery: d1"),
        "stripe": (f"Stripe-Signature: t={now},v1={VAULT['stripe'].text}",),
        "bot": (f"X-Telegram-Bot-Api-Secret-Token: {VAULT['bot'].text}x",),
        "forge": (f"X-Signature: {VAULT['forge'].text.replace(chr(10), ' ')}",),
        "keyed": (f"Authorization: Bearer {planted.BOGUS_KEY.text}",),
    }
    for name, headers in wrong.items():
        for _ in range(6 if name == "bot" else 1):
            assert client.ask("POST", f"/v1/inbound/{name}", JSON, *headers, body=body).status == 401, name


def _deliveries(evidence: Evidence, engine: Engine) -> None:
    for target in TARGETS:
        evidence.ok("send", target, "--text", "hello", "--subject", "greetings")
    engine.until('"target":"open".*|.*"target":"mail".*')
    for target in TARGETS[1:]:
        evidence.chronos("target", "test", target, CHRONOS_DEBUG="1", CHRONOS_SECRET_CRASH=planted.CRASHED.text)
    waiting = time.monotonic() + TIME_OUT_S
    while evidence.box.ok("outbox", "counts", "--json").json["queued"] > len(TARGETS) - 2:
        assert time.monotonic() < waiting
    shown = evidence.ok("outbox", "list", "--json").json["messages"]
    for one in shown:
        if one["last_word"]:
            evidence.chronos("outbox", "explain", one["uid"])


def _reload(evidence: Evidence, engine: Engine, config: str) -> None:
    broken = config.replace("secret:smtp", evidence.plant(planted.CONFIG_SMTP, IN_CONFIG))
    evidence.box.configure(broken)
    engine.signal(signal.SIGHUP)
    engine.until("not reloaded")
    evidence.box.configure(config)
    engine.signal(signal.SIGHUP)
    engine.event("config_reloaded")


def _what_was_to_happen_happened(evidence: Evidence) -> None:
    """A run in which nothing failed proves nothing."""
    logs = b"".join(data for name, data in evidence.places.items() if name.startswith("data/logs/"))
    for sign in (b"<secret", b"channel_defect", b"request_refused", b"thread_died", b"destructor_failed", b"5.7.8"):
        assert sign in logs, sign
