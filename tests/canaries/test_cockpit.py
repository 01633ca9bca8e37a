"""Canaries through the cockpit: every panel, the dialogs that take and show secrets, and the programs it starts."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests import keyring_rig
from tests.canaries import planted
from tests.canaries.leaky import Repeating
from tests.canaries.planted import VAULT, made
from tests.canaries.rig import Evidence
from tests.canaries.test_commands import OWN_ENV
from tests.keyring_rig import Session
from tests.servers import Scripted
from tests.tui.program.visit import Visit

CONFIG = """\
targets:
  box: {{channel: maildir, path: mail}}
  hook: {{channel: webhook, url: "{http}/503/9/hook", secret: "secret:hook"}}
sources:
  std: {{verify: standard-webhooks, secret: "secret:std-old", deliver: {{target: box}}}}
"""
KEY = re.compile(rb"chr_[0-9a-f]{8}_[A-Za-z0-9_-]{43}_[0-9A-Za-z]{6}")
EDITOR = "#!/bin/sh\nsleep 0.5\n"


def test_nothing_secret_is_drawn_kept_or_handed_on_by_the_cockpit(evidence: Evidence) -> None:
    box = evidence.box
    editor = box.home / "editor"
    editor.write_text(EDITOR)
    editor.chmod(0o700)
    evidence.ok("init", "--root-key", "file")
    for name in ("hook", "std-old"):
        evidence.ok("secret", "set", name, stdin=evidence.plant(VAULT[name]))
    env = {
        "CHRONOS_SECRET_NAMED": evidence.plant(planted.IN_EDITOR_ENV, OWN_ENV),
        "EDITOR": str(editor),
        "CHRONOS_DEBUG": "1",
    }
    with Scripted(Repeating({"hook": VAULT["hook"].text})) as web:
        box.configure(CONFIG.format(http=f"http://127.0.0.1:{web.port}"))
        for target in ("box", "hook"):
            evidence.ok("send", target, "--text", "hello")
        with Visit(box, env=env, columns=140, rows=40) as visit:
            visit.wait_header("delivering here")
            _walk(visit)
            _a_secret_is_stored(evidence, visit)
            _a_key_is_made(evidence, visit)
            visit.say("outbox target:box")
            visit.wait_for("1 of 2")
            visit.send("E")
            visit.wait_raw(b"\x1b[?1049l")
            visit.wait_for(lambda lines: "q quit" in lines[-1])
            visit.caught_up()
            evidence.keep_files("while it runs")
            assert visit.leave() == 0
            evidence.note("terminal", bytes(visit.raw))
    evidence.keep_files("at the end")
    assert any("editor" in name for name in evidence.watch.seen), list(evidence.watch.seen)
    assert evidence.hits() == []


def _walk(visit: Visit) -> None:
    """Open every panel, and what it has under the cursor."""
    for panel, sign in (("overview", "─ Outbox"), ("outbox target:hook", "1 of 2"), ("audit", "─ Audit")):
        visit.say(panel)
        visit.wait_for(sign)
        visit.send("enter")
        visit.caught_up()
    for _section in range(4):
        visit.say("security")
        visit.wait_for("─ Secrets")
        visit.send("tab", "enter")
        visit.caught_up()
    visit.say("test hook")
    visit.wait_for("POST")
    visit.send("q")


def _a_secret_is_stored(evidence: Evidence, visit: Visit) -> None:
    text = evidence.plant(planted.TYPED)
    visit.say("secret set typed")
    visit.wait_for("once more")
    visit.quiet(200)
    visit.send(text, "tab", text + "x", "enter")
    visit.wait_for("not the same")
    visit.send(text, "enter")
    visit.wait_for("typed is sealed")
    assert evidence.ok("secret", "check", "--json").json["ok"]


def _a_key_is_made(evidence: Evidence, visit: Visit) -> None:
    """It is drawn this once; nothing else of it stays anywhere."""
    visit.say("key create")
    visit.wait_for("scopes")
    visit.quiet(200)
    visit.send("walker", "enter")
    visit.wait_for("shown this once")
    found = {match[0].decode() for match in KEY.finditer(visit.text.replace("\n", "").encode())}
    assert len(found) == 1
    evidence.plant(made("key that was shown", found.pop()), "terminal")
    visit.send("K")
    visit.wait_gone("shown this once")


# The keyring and its child


@pytest.fixture
def session(tmp_path: Path) -> Iterator[Session]:
    with keyring_rig.session(tmp_path) as running:
        running.start()
        yield running


@keyring_rig.NEEDED
def test_the_keyrings_child_gets_nothing_but_by_its_pipe(evidence: Evidence, session: Session) -> None:
    box = evidence.box
    env = {**session.env, "CHRONOS_SECRET_NAMED": evidence.plant(planted.BY_VARIABLE, OWN_ENV)}
    box.extra.update(session.env)
    text = evidence.plant(planted.KEYRING_VALUE)
    evidence.ok("init", "--root-key", "keyring", **env)
    evidence.ok("secret", "set", "smtp", stdin=text, **env)
    kit = box.home / "kit.txt"
    passphrase = box.ok("secret", "export-recovery-kit", str(kit), "--json", **env).json["passphrase"]
    evidence.plant(made("recovery kit", passphrase))
    evidence.ok("secret", "check", **env)
    evidence.ok("secret", "rotate-root", "--to", "file", **env)
    raw = (box.data_dir / "root.key").read_bytes().strip()
    evidence.plant(made("root key", raw.hex(), raw), "data/root.key")
    evidence.ok("secret", "rotate-root", "--to", "keyring", **env)
    session.stop()
    assert evidence.chronos("secret", "check", CHRONOS_DEBUG="1", **env).code == 3
    evidence.note("recovery kit", kit.read_bytes())
    evidence.keep_files("at the end")
    assert any("keyring_child" in name for name in evidence.watch.seen), list(evidence.watch.seen)
    assert evidence.hits() == []
