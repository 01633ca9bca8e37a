# ruff: noqa: RUF001 - letters that look like others are what this is about
"""Strings that want to reach the terminal, the markup or the layout, and an outbox with one in every field."""

from __future__ import annotations

import json
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import cycle

from engine.engine import Engine
from engine.errors import BadInput
from engine.host.paths import paths
from engine.model import Attachment, NewMessage
from engine.operations.acts import Action
from tests.interfaces.program import Box
from tests.servers import Scripted
from tests.support import PATIENCE_S

CANARY = "pwned"
"""Stands in every string that would do something; none of them may ever be carried out."""

_C0 = [f"c0{chr(n)}{CANARY}" for n in range(32)] + [f"del\x7f{CANARY}"]
_C1 = [f"c1{chr(n)}{CANARY}" for n in range(0x80, 0xA0)]
_ESCAPES = [
    f"\x1b[31m{CANARY}\x1b[0m",
    f"\x1b[2J\x1b[H{CANARY}",
    "\x1b[?1049l\x1b[?25h",
    "\x1b[?1000h\x1b[?1003h\x1b[?2004l",
    "\x1b[6n\x1b[c\x1b[>c\x1b[5n\x1b[?6c",
    "\x1b[8;1;1t\x1b[3;0;0t\x1b[21t\x1b[20t",
    "\x1b[1;1r\x1b[?6h\x1b[?7l",
    "\x1b[999999999999;999999999999H",
    "\x1b[" + "1;" * 500 + "m",
    f"\x1b]0;{CANARY}\x07",
    f"\x1b]2;{CANARY}\x1b\\",
    "\x1b]52;c;cHduZWQ=\x07",
    "\x1b]52;c;?\x1b\\",
    f"\x1b]8;;https://evil.example/{CANARY}\x1b\\click\x1b]8;;\x1b\\",
    "\x1b]4;1;rgb:00/00/00\x07\x1b]10;#000\x07\x1b]11;#fff\x07\x1b]104\x07",
    "\x1b]9;4;1;50\x07\x1b]777;notify;a;b\x07\x1b]1337;SetMark\x07",
    "\x1b]1337;File=inline=1:AAAA\x07",
    f"\x1b]unterminated {CANARY}",
    "\x1bPq#0;2;0;0;0~~\x1b\\",
    '\x1bP$q"p\x1b\\\x1bP+q544e\x1b\\',
    f"\x1b_Ga=T,f=24;{CANARY}\x1b\\",
    f"\x1b^{CANARY}\x1b\\",
    f"\x1bX{CANARY}\x1b\\",
    f"\x1bktitle {CANARY}\x1b\\",
    "\x1bc",
    "\x1b(0lqqk\x1b(B\x0e\x0f",
    "\x1b7\x1b8\x1bD\x1bE\x1bM\x1bH\x1b=\x1b>\x1b#8\x1bN\x1bO\x1bZ",
    "\x1b\x1b\x1b[\x1b[A",
    "\x9b31m\x9d52;c;cHduZWQ=\x9c\x90q\x9c\x9f\x9e\x98",
    "\u009b2J\u009d0;x\u009c",
    "trailing escape \x1b",
    "trailing csi \x1b[",
    "trailing osc \x1b]52;c;",
    f"\r{CANARY}\rover\x08\x08\x08the line\x0b\x0c\x07\x07",
    f"first\nsecond {CANARY}\r\nthird\x85fourth\u2028fifth\u2029sixth",
    "a\ttab\tand\ttab",
]
_MARKUP = [
    "[@click=app.quit]quit[/]",
    "[@click=app.quit()]quit[/]",
    "[@click=app.depart]x[/] [@click='app.exit']y[/]",
    "[@click=app.bell]ring[/][@on.mount=app.quit]z",
    '[link="https://evil.example"]here[/link]',
    "[/]",
    "[/bold]",
    "[bold",
    "[bold]never closed",
    "[[double]] \\[escaped] \\",
    "[red on blue blink reverse]colours[/red on blue blink reverse]",
    "[not a style]x[/not a style]",
    "[$error]theme[/] [$accent 50%]y[/]",
    "]" * 40 + "[" * 40,
    ":smile: :warning: :no_such_emoji:",
    "{0} {self.__class__} %s %(x)s ${HOME} $(id) `id`",
    "\\x1b[31m \\e[0m \\033[2J",
    "</td><script>alert(1)</script>&lt;&#27;",
]
_HIDDEN = [
    "\u202e.txt.exe\u202c over",
    "\u2066\u2067\u2068\u2069 isolates \u200e\u200f\u061c marks",
    "zero\u200bwidth\u200cnon\u200djoiner\u2060word\ufeffbom",
    "soft\u00adhyphen \u034f grapheme \u115f\u1160\u3164\uffa0 fillers",
    "".join(chr(0xE0000 + ord(c)) for c in "tags hide this") + "shown",
    "\U000e0001\U000e007f language tag",
    "variation\ufe0f\ufe0e\U000e0100 selectors",
    "private \ue000\uf8ff\U000f0000\U0010fffd use",
    "unassigned \u0378\U0003fffd\uffff\ufffe",
    "interlinear \ufff9a\ufffab\ufffb",
    "\u2028\u2029\u0085 ends",
    "\ufffd\ufffc replaced",
]
_WIDE = [
    "Z" + "\u0335\u0321\u0334\u0328" * 200 + "algo",
    "a" + "\u0300" * 2_000,
    "\u0300\u0301 leading marks",
    "\u0e33\u0e49\u0e4d\u0e4d\u0e49" * 30,
    "👨‍👩‍👧‍👦 family 👩🏽‍💻 tone 🏳️‍🌈 flag 🇩🇪🇫🇷🇺 half",
    "☠️❤️‍🔥1️⃣ keycaps #️⃣",
    "\U0001f468\u200d" * 60 + "x",
    "漢字かな交じり文の件名です" * 8,
    "한국어 제목입니다 ᄒ" + "ᅡ" * 80 + "ᆫ",
    "ｆｕｌｌ　ｗｉｄｔｈ ﾊﾝｶｸ",
    "שלום עולם this is mixed مرحبا بالعالم 123",
    "ﷺ﷽ ௵ 𒐫 ⸻ wide ones",
    "नमस्ते क्षत्रिय ส สวัสดี ก็",
    "x" * 990,
    "W" + "o" * 400 + "rd " + "l" * 400,
    " " * 200 + "behind blanks",
    "\u3000" * 60 + "behind wide blanks",
    "½ ± £ € ¥ ß ſ ﬁ Ⅷ ǅ İ ı",
    "null",
    "-1 OR 1=1; DROP TABLE messages; --",
    "../../etc/passwd",
]
_MIXED = [f"{a}{b}" for a, b in zip(_ESCAPES, cycle(_MARKUP + _HIDDEN), strict=False)] + [
    f"{a}\x1b[7m{b}" for a, b in zip(_WIDE, cycle(_ESCAPES), strict=False)
]
STRINGS = [*_ESCAPES, *_MARKUP, *_HIDDEN, *_WIDE, *_C0, *_C1, *_MIXED]
"""Some hundreds."""

LONG_LINE = (f"[@click=app.quit]{CANARY}[/] \x1b[31m\u202e" + "漢字 word " * 20) * 5_000
"""More than a megabyte without a line end."""

CONFIG = """\
environment: development
instance: hostile.example
smtp: {{host: 127.0.0.1, port: {smtp}, tls: none, from: "a@box.example"}}
defaults: {{retry: {{attempts: 1}}, breaker: false, timeout: 5s}}
targets:
  hook: {{channel: webhook, url: "http://127.0.0.1:{http}/"}}
  mail: {{channel: email, to: [b@box.example]}}
  box: {{channel: maildir, path: mail}}
sources:
  n8n: {{verify: standard-webhooks, secret: "secret:n8n-in", deliver: {{target: hook}}}}
"""


def _no_controls(text: str) -> str:
    return "".join(c for c in text if ord(c) >= 32 and ord(c) != 127)


def _key(text: str, number: int) -> str:
    return (f"{number}-" + "".join(c for c in text if ord(c) >= 33))[:200]


def _messages() -> Iterator[NewMessage]:
    """Yield what the engine itself takes: it refuses control characters in a subject, and stores the rest."""
    targets = cycle(("hook", "mail", "box", "hook", "mail"))
    for number, text in enumerate(STRINGS):
        key = _key(text, number)
        yield NewMessage(
            next(targets),
            _no_controls(text)[:990] or "nothing",
            text=text * 3 + "\n" + text,
            html=f"<p>{text}</p>",
            data=json.dumps({text: [text]}, ensure_ascii=False),
            headers=(("X-Job", key[:80]),) if _plain_header(key) else (),
            attachments=(Attachment(_name(text, number), _no_controls(text)[:60] or "x/y", text.encode()),),
            template=_no_controls(text)[:60],
            idempotency_key=key,
            ordering_key=key if number % 3 == 0 else None,
            tags=(key[:100],),
        )
    yield NewMessage("hook", "a megabyte on one line", text=LONG_LINE, idempotency_key="long-1")
    yield NewMessage("hook", "a megabyte of data", data=json.dumps([LONG_LINE]), idempotency_key="long-2")
    yield NewMessage("hook", "lines", text="\n".join(STRINGS) * 3, idempotency_key="long-3")


def _name(text: str, number: int) -> str:
    kept = "".join(c for c in text if c not in "/\\\0\r\n")[:100]
    return kept if kept not in {"", ".", ".."} else f"file-{number}"


def _plain_header(text: str) -> bool:
    return text.isascii() and text.isprintable() and "=?" not in text


class _Answers:
    """Servers whose words are hostile: HTTP with every kind of body, SMTP with every kind of reply."""

    def __init__(self) -> None:
        self._texts = cycle(STRINGS)
        self._lock = threading.Lock()

    def _next(self) -> bytes:
        with self._lock:
            return next(self._texts).encode()

    def http(self, connection: socket.socket) -> None:
        """Read one request and refuse it for good with hostile words in reason, header and body."""
        reader = connection.makefile("rb")
        length = 0
        while (line := reader.readline()) not in {b"\r\n", b""}:
            if line.lower().startswith(b"content-length:"):
                length = int(line.split(b":")[1])
        reader.read(length)
        body = self._next()
        reason = body.replace(b"\r", b"").replace(b"\n", b"")[:60]
        head = b"HTTP/1.1 400 " + reason + b"\r\nContent-Length: " + str(len(body)).encode()
        connection.sendall(head + b"\r\nConnection: close\r\n\r\n" + body)

    def smtp(self, connection: socket.socket) -> None:
        """Refuse every recipient with hostile words."""
        reader = connection.makefile("rb")
        connection.sendall(b"220 " + CANARY.encode() + b"\x1b[31m ready\r\n")
        while line := reader.readline():
            word = line[:4].upper()
            if word == b"RCPT":
                words = self._next().replace(b"\r", b" ").replace(b"\n", b" ")[:400]
                connection.sendall(b"550-5.1.1 " + words + b"\r\n550 5.1.1 \x1b]52;c;cHduZWQ=\x07\r\n")
            elif word in {b"EHLO", b"HELO"}:
                connection.sendall(b"250-sink\r\n250 8BITMIME\r\n")
            elif word == b"QUIT":
                connection.sendall(b"221 bye\r\n")
                return
            else:
                connection.sendall(b"250 ok\r\n")


@contextmanager
def _servers() -> Iterator[tuple[int, int]]:
    answers = _Answers()
    with Scripted(answers.http) as http, Scripted(answers.smtp) as smtp:
        yield http.port, smtp.port


def fill(box: Box) -> None:
    """Queue a message for each string, let hostile servers answer, act and pause in hostile words.

    Then put the strings where the engine would refuse them, as somebody with the database in an editor could.
    """
    with _servers() as (http, smtp):
        box.configure(CONFIG.format(http=http, smtp=smtp))
        where = paths(str(box.data_dir), None, {})
        engine = Engine.open(where, {}, actor=f"cli:\x1b]52;c;{CANARY}\x07[@click=app.quit]")
        try:
            taken = _enqueue(engine)
            engine.pause("all", for_ms=3_600_000, reason="\x1b]0;x\x07[/]\u202e" + "漢" * 20)
            for message_id in taken[:40]:
                engine.act(Action.HOLD, message_id)
            for message_id in taken[40:60]:
                engine.act(Action.CANCEL, message_id)
            engine.resume("all")
            engine.start("engine-only")
            _wait_until_done(engine)
            engine.pause("target:mail", for_ms=86_400_000, reason=STRINGS[0] + STRINGS[40] + "\nline")
            bulk = engine.freeze(Action.RETRY, expression="state:dead target:box")
            engine.act_on(bulk)
            engine.enqueue_many([NewMessage("mail", _no_controls(text)[:900] or "x", text) for text in STRINGS[:30]])
        finally:
            engine.close()
    with closing(sqlite3.connect(box.data_dir / "chronos.db", isolation_level=None)) as connection:
        connection.execute("PRAGMA synchronous = OFF")
        connection.execute("BEGIN")
        _spoil(connection)
        connection.execute("COMMIT")


def _enqueue(engine: Engine) -> list[int]:
    taken: list[int] = []
    for message in _messages():
        try:
            taken.append(engine.enqueue(message).message.id)
        except BadInput:  # some of it is refused, and says so: without what it does not like
            plain = message._replace(data=None, headers=(), subject=f"was refused {len(taken)}")
            taken.append(engine.enqueue(plain).message.id)
    return taken


def _wait_until_done(engine: Engine) -> None:
    feed, patience, deadline_s = engine.changes(), threading.Event(), time.monotonic() + PATIENCE_S
    try:
        while any(engine.counts().get(state) for state in ("queued", "sending")):
            assert time.monotonic() < deadline_s, engine.counts()
            feed.poll()
            patience.wait(0.02)  # another thread delivers; data_version is what there is to poll
    finally:
        feed.close()


_WORDS = {
    "messages": (
        "subject",
        "target",
        "lane",
        "template",
        "queued_by",
        "last_code",
        "last_word",
        "state_reason",
        "route",
        "collapse_key",
    ),
    "attempts": ("target", "code", "detail", "rule"),
    "attachments": ("name", "content_type"),
    "holds": ("reason", "actor"),
}


def _spoil(connection: sqlite3.Connection) -> None:
    connection.create_function("hostile", 1, lambda number: STRINGS[number % len(STRINGS)], deterministic=True)
    for at, (table, columns) in enumerate(_WORDS.items()):
        key = "message_id" if table in {"attempts", "attachments"} else "id"
        words = ", ".join(f"{name} = hostile({key} * 7 + {at * 31 + n * 13})" for n, name in enumerate(columns))
        # Every second row stays as the engine wrote it; text that begins with a NUL would be no text for FTS.
        connection.execute(f"UPDATE {table} SET {words} WHERE {key} % 2 = 0")
    connection.execute("UPDATE attempts SET refused = json_array(json_array(hostile(message_id), hostile(message_id)))")
    connection.execute(
        "UPDATE bodies SET headers = json_array(json_array(hostile(message_id), hostile(message_id + 5)))"
        " WHERE message_id % 2 = 0"
    )
    connection.execute("INSERT OR IGNORE INTO tags (tag, message_id) SELECT hostile(id), id FROM messages")
    connection.execute(
        "INSERT INTO incidents (kind, subject, detail, state, first_ms, last_ms, count, severity, note, changed_ms,"
        " changed_by) SELECT hostile(id), hostile(id + 1), hostile(id + 2),"
        " CASE id % 3 WHEN 0 THEN 'resolved' WHEN 1 THEN 'open' ELSE 'acknowledged' END, 1, 2, 3,"
        " CASE id % 2 WHEN 0 THEN 'critical' ELSE 'low' END, hostile(id + 3), 4, hostile(id + 4)"
        " FROM messages WHERE id < 60"
    )
    _spoil_what_is_locked(connection)
    connection.execute(
        "UPDATE lanes SET disabled_reason = hostile(length(lane)), last_word = hostile(length(lane) + 9)"
    )
    connection.execute("UPDATE leader SET host = hostile(50), mode = hostile(60), version = hostile(70)")


def _spoil_what_is_locked(connection: sqlite3.Connection) -> None:
    """Keys, secrets, events and refusals, as somebody with the database in an editor could write them."""
    numbers = "SELECT id AS n FROM messages WHERE id < 60"
    connection.execute(
        "INSERT OR IGNORE INTO api_keys (id, name, scopes, targets, networks, salt, iterations, digest, created_ms,"
        " created_by, revoked_ms, revoked_by, successor, last_used_ms, last_used_from, uses)"
        " SELECT hostile(n), hostile(n + 1), '[\"send\"]', json_array(hostile(n + 2)), json_array(hostile(n + 3)),"
        " x'00', 1, x'00', 5, hostile(n + 4), CASE n % 3 WHEN 0 THEN 6 END, hostile(n + 5),"
        f" CASE n % 3 WHEN 1 THEN hostile(n + 6) END, 7, hostile(n + 7), 8 FROM ({numbers})"
    )
    connection.execute(
        "INSERT OR IGNORE INTO secrets (name, version, key_version, sealed, created_ms, updated_ms)"
        f" SELECT hostile(n * 3), 1, 1, x'00', 1, 2 FROM ({numbers})"
    )
    connection.execute(
        "INSERT INTO inbound_events (source, event_id, proof, body_sha256, received_ms, remote, kind, content_type,"
        " body, size, outcome, detail, message_uid) SELECT 'n8n', n || hostile(n), n, '0', 9, hostile(n + 1),"
        " hostile(n + 2), hostile(n + 3), CAST(hostile(n + 4) AS BLOB), 10,"
        f" CASE n % 2 WHEN 0 THEN 'failed' ELSE 'queued' END, hostile(n + 5), hostile(n + 6) FROM ({numbers})"
    )
    connection.execute(
        "INSERT OR IGNORE INTO inbound_rejections (source, reason, remote, detail, first_ms, last_ms, count)"
        f" SELECT 'n8n', hostile(n), hostile(n + 1), hostile(n + 2), 1, n, 3 FROM ({numbers})"
    )
    connection.execute(
        "INSERT OR REPLACE INTO source_states (source, accepted, duplicates, replays, rejected, last_accepted_ms,"
        " last_rejected_ms, last_reason) VALUES ('n8n', 1, 2, 3, 4, 5, 6, hostile(44))"
    )
