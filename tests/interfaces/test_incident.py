"""`chronos incident` from outside: a tampered log and an open directory are found, told, looked after, resolved."""

from __future__ import annotations

import hashlib
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.interfaces.conftest import CONFIG
from tests.interfaces.program import TIME_OUT_S, Box

_FIELDS = {
    "id", "kind", "subject", "detail", "severity", "state", "count", "first_at", "last_at", "note", "changed_at",
    "changed_by", "alert",
}  # fmt: skip


@pytest.fixture
def broken(box: Box) -> Box:
    """A box whose audit log was changed, as its verification found out."""
    box.configure(f"{CONFIG}monitoring: {{alert_route: both}}\n")
    box.send("--text", "x")
    with closing(sqlite3.connect(box.data_dir / "chronos.db", isolation_level=None)) as connection:
        connection.execute("DROP TRIGGER audit_is_append_only_update")
        connection.execute("UPDATE audit SET body = replace(body, 'cli:', 'who:') WHERE seq = 1")
    assert box.chronos("audit", "verify").code == 3
    return box


def listed(box: Box, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = box.ok("incident", "list", *words, "--json").json["incidents"]
    return found


def test_nothing_is_wrong_with_a_new_box(box: Box) -> None:
    assert listed(box) == []
    empty = box.ok("incident", "list")
    assert (empty.out, empty.err) == ("", "no incident is open\n")
    assert box.ok("incident", "list", "--all").err == "there was no incident yet\n"


def test_an_incident_lives_from_its_finding_to_its_note(broken: Box) -> None:
    [found] = listed(broken)
    assert set(found) == _FIELDS
    assert (found["id"], found["kind"], found["severity"], found["state"]) == (1, "audit.broken", "critical", "open")
    assert "entry 1" in found["detail"]
    done = broken.ok("incident", "ack", "1", "--json").json
    assert (done["state"], done["changed_by"]) == ("acknowledged", found["changed_by"] or done["changed_by"])
    assert broken.chronos("incident", "ack", "1").code == 5
    assert broken.ok("incident", "resolve", "1", "--note", "a test did it").out == "incident 1: resolved\n"
    again = broken.chronos("incident", "resolve", "1", "--note", "x")
    assert again.code == 5
    assert "resolved already" in again.one_line
    assert listed(broken) == []
    [kept] = listed(broken, "--all")
    assert (kept["state"], kept["note"]) == ("resolved", "a test did it")
    lines = broken.ok("incident", "list", "--all", "--jsonl").out.splitlines()
    assert len(lines) == 1


def test_one_is_shown_with_its_story_and_its_page(broken: Box) -> None:
    broken.ok("incident", "ack", "1")
    document = broken.ok("incident", "show", "1", "--json").json
    assert set(document) == _FIELDS | {"story", "playbook"}
    assert [entry["action"] for entry in document["story"]] == ["incident.opened", "incident.acknowledged"]
    assert [entry["risk"] for entry in document["story"]] == ["critical", "low"]
    page = document["playbook"]
    assert set(page) == {"title", "severity", "subject", "means", "check", "act", "rule", "source"}
    shown = broken.ok("incident", "show", "1").out
    for words in (page["title"], document["detail"][:40], "What it means", "What to do", "acknowledged by", "Source: "):
        assert words in shown
    assert max(map(len, shown.splitlines())) <= 200
    assert "'chronos audit verify --against FILE'" in " ".join(shown.split())


def test_it_is_told_through_the_outbox(broken: Box) -> None:
    [found] = listed(broken)
    [alert] = broken.ok("outbox", "list", "--filter", "tag:incident", "--json").json["messages"]
    assert alert["uid"] == found["alert"]
    assert (alert["priority"], alert["route"], alert["idempotency_key"]) == ("urgent", "both", "incident:1")
    assert alert["subject"].startswith("[critical] ")


def test_status_and_health_mention_it_and_health_ends_with_3(broken: Box) -> None:
    assert "#1 critical, open: audit.broken audit" in broken.ok("status").out
    health = broken.chronos("health", "--json")
    assert health.code == 3
    [check] = [one for one in health.json["checks"] if one["name"] == "incidents"]
    assert (check["status"], check["value"]) == ("critical", "1 critical")
    broken.ok("incident", "ack", "1")
    [check] = [one for one in broken.chronos("health", "--json").json["checks"] if one["name"] == "incidents"]
    assert check["status"] == "ok"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (("show", "9"), 4),
        (("ack", "9"), 4),
        (("resolve", "9", "--note", "x"), 4),
        (("resolve", "1"), 2),
        (("resolve", "1", "--note", " "), 2),
        (("show", "zero"), 2),
        (("show",), 2),
        (("list", "--limit", "0"), 2),
    ],
)
def test_what_makes_no_sense_is_refused_in_one_line(box: Box, words: tuple[str, ...], code: int) -> None:
    refused = box.chronos("incident", *words)
    assert refused.code == code
    assert refused.one_line


def test_the_audit_log_shows_and_filters_risk(broken: Box) -> None:
    entries = broken.ok("audit", "list", "--filter", "risk:high,critical", "--json").json["entries"]
    assert [(one["action"], one["risk"]) for one in entries] == [("incident.opened", "critical")]
    assert entries[0]["risk_reason"]
    everything = broken.ok("audit", "list", "--json").json["entries"]
    rest = broken.ok("audit", "list", "--filter=-risk:critical", "--json").json["entries"]
    assert [one["seq"] for one in rest] == [one["seq"] for one in everything if one["risk"] != "critical"]
    assert "critical" in broken.ok("audit", "list").out
    assert "risk" not in broken.ok("audit", "export").out, "the export holds what was hashed and nothing else"
    refused = broken.chronos("audit", "list", "--filter", "risk:hihg")
    assert refused.code == 2
    assert "did you mean high" in refused.one_line


def test_the_engine_finds_an_open_directory_tells_of_it_and_delivers_the_alarm(box: Box) -> None:
    box.configure(f"{CONFIG}monitoring: {{alert_route: box}}\n")
    box.send("--text", "first")
    open_to_all = box.data_dir / "backups"
    open_to_all.mkdir()
    open_to_all.chmod(0o755)
    with box.engine():
        give_up = time.monotonic() + TIME_OUT_S
        while not (letters := _letters(box, "Subject: [high]")) and time.monotonic() < give_up:
            box.ok("status")
        [letter] = letters
    [found] = listed(box)
    assert (found["kind"], found["subject"]) == ("files.permissions", str(open_to_all))
    assert "chmod go=" in letter
    assert "chronos incident show 1" in letter


def _letters(box: Box, words: str) -> list[str]:
    texts = [path.read_text(errors="replace") for path in Path(box.data_dir / "mail" / "new").glob("*")]
    return [text for text in texts if words in text]


def test_a_key_changed_by_command_is_in_the_audit_log_without_its_value(box: Box) -> None:
    assert box.ok("config", "set", "smtp.host", "mail.example.org").code == 0
    assert not (box.data_dir / "chronos.db").exists(), "no database is made for it"
    box.send("--text", "x")
    box.ok("config", "set", "smtp.host", "other.example.org")
    box.ok("config", "set", "security.require_https", "true")
    box.ok("config", "unset", "smtp.host")
    entries = box.ok("audit", "list", "--filter", "action:config", "--json").json["entries"][::-1]
    assert [(one["action"], one["detail"]["key"], one["risk"]) for one in entries] == [
        ("config.set", "smtp.host", "medium"),
        ("config.set", "security.require_https", "high"),
        ("config.unset", "smtp.host", "medium"),
    ]
    written = (box.data_dir / "config.yaml").read_bytes()
    assert entries[-1]["detail"]["file_sha256"] == hashlib.sha256(written).hexdigest()
    assert "other.example.org" not in box.ok("audit", "export").out
