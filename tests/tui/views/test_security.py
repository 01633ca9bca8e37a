"""Incidents, keys, sources and secrets as rows, in full and in the panel's own lines; hostile words in every field."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chronos_tui.views import apikeys, incidents, secrets, security, sources
from chronos_tui.views.security import INCIDENTS, KEYS, SECRETS, SOURCES, Kept
from chronos_tui.views.spans import Document, Line, line_text, width
from engine.operations.apikeys import ApiKey
from engine.operations.inbound import Event, Rejection, SourceState
from engine.operations.incidents import Incident
from engine.operations.secrets import SecretCheck, SecretInfo
from engine.operations.vault import Provider, VaultState
from engine.rules import playbook
from engine.rules.apikeys import Scope
from engine.rules.incidents import Kind
from tests.support import START_MS
from tests.tui.cockpit import MINUTE_MS, in_utc

HOUR_MS = 60 * MINUTE_MS
DAY_MS = 24 * HOUR_MS
HOSTILE = "\x1b]52;c;aGk=\x07\x1b[2J\u202e[@click=app.quit]x[/]\r\nnext\u200b"


def incident(**changes: Any) -> Incident:
    fields: dict[str, Any] = {
        "id": 3,
        "kind": "inbound.replay",
        "subject": "n8n",
        "detail": "event 44 came with another body",
        "state": "open",
        "first_ms": START_MS - 2 * HOUR_MS,
        "last_ms": START_MS - 5 * MINUTE_MS,
        "count": 412,
        "severity": "high",
    }
    return Incident(**{**fields, **changes})


def key(**changes: Any) -> ApiKey:
    fields: dict[str, Any] = {
        "id": "01234567",
        "name": "n8n",
        "scopes": (Scope.SEND, Scope.READ),
        "targets": (),
        "networks": (),
        "created_ms": START_MS - 90 * DAY_MS,
        "created_by": "cli:root",
        "expires_ms": None,
        "revoked_ms": None,
        "revoked_by": "",
        "successor": None,
        "replaced_ms": None,
        "last_used_ms": START_MS - 3 * MINUTE_MS,
        "last_used_from": "10.0.0.2",
        "uses": 4_711,
        "iterations": 600_000,
    }
    return ApiKey(**{**fields, **changes})


def source(**changes: Any) -> SourceState:
    fields: dict[str, Any] = {
        "name": "n8n",
        "verify": "standard-webhooks",
        "path": "/v1/inbound/n8n",
        "deliver": "ops",
        "accepted": 1_204,
        "duplicates": 3,
        "replays": 1,
        "rejected": 7,
        "failed": 0,
        "last_accepted_ms": START_MS - 2 * MINUTE_MS,
        "last_rejected_ms": START_MS - 9 * MINUTE_MS,
        "last_reason": "too old",
        "rejections": (
            Rejection("too old", "10.0.0.9", "its clock is 7 min behind ours", START_MS - DAY_MS, START_MS, 6),
        ),
        "secret_ok": True,
        "secrets_missing": (),
    }
    return SourceState(**{**fields, **changes})


def event(**changes: Any) -> Event:
    fields: dict[str, Any] = {
        "id": 12,
        "source": "n8n",
        "event_id": "evt_1",
        "received_ms": START_MS - HOUR_MS,
        "remote": "10.0.0.9",
        "kind": "order.paid",
        "size": 812,
        "outcome": "queued",
        "detail": "",
        "message_uid": "msg_" + "0a" * 16,
        "duplicates": 2,
        "replayed": 0,
        "body": None,
        "content_type": "application/json",
    }
    return Event(**{**fields, **changes})


def secret(**changes: Any) -> SecretInfo:
    fields: dict[str, Any] = {
        "name": "smtp",
        "where": "vault",
        "version": 3,
        "updated_ms": START_MS - 40 * DAY_MS,
        "used_by": ("smtp.password",),
    }
    return SecretInfo(**{**fields, **changes})


VAULT = VaultState(Provider.KEYRING, "OS keyring", "ab12", 2, START_MS - 90 * DAY_MS, START_MS - 3 * DAY_MS)


def text(document: Document | tuple[Line, ...]) -> str:
    return "\n".join(line_text(line) for line in document)


def cells(row: Line) -> list[str]:
    return [span.text for span in row]


# Incidents


def test_an_incident_is_a_row_of_words() -> None:
    assert cells(incidents.row(incident(), START_MS)) == [
        "3", "✗ high", "An event came twice with another face", "n8n", "412", "5 min", "open",
        "event 44 came with another body",
    ]  # fmt: skip
    roles = {span.role for span in incidents.row(incident(state="resolved"), START_MS)}
    assert roles == {"dim"}, "what is over stands back"


def test_every_severity_and_every_state_has_its_word() -> None:
    for word, symbol in (("low", "·"), ("medium", "!"), ("high", "✗"), ("critical", "✗")):
        assert incidents.severity(word).text == f"{symbol} {word}"
    for state, word in (("open", "open"), ("acknowledged", "ack"), ("resolved", "resolved")):
        assert incidents.row(incident(state=state), START_MS)[6].text == word


@pytest.mark.parametrize("kind", list(Kind))
def test_the_page_of_the_playbook_stands_in_the_incident(kind: Kind) -> None:
    page = playbook.page(kind)
    assert page is not None
    shown = text(incidents.document(incident(kind=kind.value), START_MS))
    for words in (page.title, page.means, *page.check, *page.act, page.rule, page.source):
        assert words in shown
    assert shown.index("What it means") < shown.index("How to check") < shown.index("What to do")


def test_a_kind_that_nobody_knows_is_shown_all_the_same() -> None:
    shown = text(incidents.document(incident(kind="later.invented"), START_MS))
    assert "later.invented" in shown
    assert "no page" in shown


def test_an_incident_tells_who_did_what_about_it() -> None:
    with in_utc():
        over = incident(
            state="resolved", changed_ms=START_MS - HOUR_MS, changed_by="cockpit:me", note="own test", alert_uid="msg_1"
        )
        shown = text(incidents.document(over, START_MS))
    assert "resolved by cockpit:me, 1 h ago" in shown
    assert "own test" in shown
    assert "412 times since 2026-09-21 12:13:20 UTC; last 2026-09-21 14:08:20 UTC, 5 min ago" in shown
    assert "o opens it" in shown


@pytest.mark.parametrize(
    ("found", "words"),
    [
        ([], ""),
        ([incident(severity="medium")], ""),
        ([incident(state="acknowledged")], ""),
        ([incident()], "1 incident"),
        ([incident(severity="critical")], "1 incident, critical"),
        ([incident(severity="critical"), incident(), incident(severity="low")], "2 incidents, 1 critical"),
    ],
)
def test_only_what_cannot_wait_calls_for_somebody(found: list[Incident], words: str) -> None:
    waiting = incidents.serious(found)
    assert (incidents.serious_words(waiting) if waiting else "") == words


def test_the_badge_says_how_many_and_how_bad() -> None:
    assert incidents.badge(0, 0) == ("", "")
    assert incidents.badge(3, 0) == ("3", "warning")
    assert incidents.badge(3, 1) == ("3", "failed")


# API keys


@pytest.mark.parametrize(
    ("changes", "state", "used"),
    [
        ({}, "✓ active", "3 min ago from 10.0.0.2"),
        ({"last_used_ms": None, "last_used_from": ""}, "✓ active", "never used"),
        ({"expires_ms": START_MS + DAY_MS}, "! expiring", "3 min ago from 10.0.0.2"),
        ({"expires_ms": START_MS - 1}, "· expired", "3 min ago from 10.0.0.2"),
        ({"revoked_ms": START_MS - 1, "revoked_by": "cli:root"}, "· revoked", "3 min ago from 10.0.0.2"),
        (
            {"successor": "89abcdef", "replaced_ms": START_MS - DAY_MS, "expires_ms": START_MS + HOUR_MS},
            "! replaced",
            "still used 3 min ago from 10.0.0.2",
        ),
        (
            {"successor": "89abcdef", "replaced_ms": START_MS - MINUTE_MS, "expires_ms": START_MS + HOUR_MS},
            "! replaced",
            "3 min ago from 10.0.0.2",
        ),
    ],
)
def test_a_key_says_how_it_stands_and_who_used_it(changes: dict[str, Any], state: str, used: str) -> None:
    row = cells(apikeys.row(key(**changes), START_MS))
    assert row == ["n8n", "01234567", "send,read", "anything", state, used]


def test_what_a_key_is_bound_to_is_said() -> None:
    assert apikeys.bound(key(targets=("ops", "me"), networks=("10.0.0.0/8",))) == "to ops,me from 10.0.0.0/8"


def test_what_opens_something_comes_first() -> None:
    gone, other = key(id="00000001", revoked_ms=START_MS - 1), key(id="00000002")
    assert [one.id for one in apikeys.ordered([gone, other], START_MS)] == ["00000002", "00000001"]


def test_a_key_in_full_names_its_successor() -> None:
    old = key(successor="89abcdef", replaced_ms=START_MS - DAY_MS, expires_ms=START_MS + HOUR_MS)
    with in_utc():
        shown = text(apikeys.document(old, [old, key(id="89abcdef")], START_MS))
    assert "by n8n key:89abcdef" in shown
    assert "4 711" in shown
    assert "2026-09-21 15:13:20 UTC" in shown


def test_before_a_key_is_revoked_its_last_use_is_told_and_its_name_asked_for() -> None:
    plan = apikeys.revoking(key(), START_MS)
    assert plan.typed == "n8n"
    assert "3 min ago from 10.0.0.2" in text(plan.lines)
    assert all(width(line) <= 74 for line in plan.lines)


@pytest.mark.parametrize(("overlap_ms", "words"), [(DAY_MS, "for 1 d more"), (0, "no longer: at once")])
def test_before_a_key_is_rotated_it_is_told_for_how_long_both_work(overlap_ms: int, words: str) -> None:
    plan = apikeys.rotating(key(), overlap_ms, START_MS)
    assert plan.typed == "n8n"
    assert words in text(plan.lines)


# Sources


def test_a_source_is_a_row_of_counts_and_the_last_refusal() -> None:
    row = cells(sources.row(source(), START_MS))
    assert row == ["n8n", "standard-webhooks", "1 204", "3", "1", "7", "2 min", "9 min: too old"]


def test_a_source_whose_secret_is_missing_stands_out() -> None:
    row = sources.row(source(secret_ok=False, secrets_missing=("secret:n8n-in",)), START_MS)
    assert row[0] == ("! n8n", "warning")
    assert row[-1].text == "nothing can be verified: secret:n8n-in missing; set it under Secrets"


def test_a_source_in_full_says_where_to_send_and_why_something_was_refused() -> None:
    shown = text(sources.document(source(), [event(), event(id=11, outcome="failed", detail="no subject")], START_MS))
    assert "POST /v1/inbound/n8n" in shown
    assert "6 times, last just now from 10.0.0.9: too old: its clock is 7 min behind ours" in shown
    assert "12 ✓ queued" in shown
    assert "order.paid" in shown
    assert "no subject" in shown


# Secrets and the vault


def test_a_secret_is_a_row_without_its_value() -> None:
    assert cells(secrets.row(secret(), START_MS)) == ["smtp", "✓ vault", "v3", "40 d", "smtp.password"]
    missing = secret(where="missing", version=None, updated_ms=None)
    assert secrets.row(missing, START_MS)[1] == ("! missing", "warning")
    assert secrets.row(missing, START_MS, "nothing provides it")[1] == ("! missing", "warning")
    assert secrets.row(secret(), START_MS, "does not open")[1] == ("✗ unreadable", "failed")


@pytest.mark.parametrize(
    ("state", "found", "words"),
    [
        (None, [], "root key: no vault yet   v makes one"),
        (VAULT, [], "root key: OS keyring, rotated 3 d ago"),
        (replace(VAULT, rotated_ms=None), [], "root key: OS keyring, made 90 d ago"),
        (
            VAULT,
            [incident(kind="vault.root_key", severity="critical", detail="the collection is locked")],
            "root key: ✗ OS keyring: the collection is locked",
        ),
    ],
)
def test_one_line_says_where_the_root_key_is(state: VaultState | None, found: list[Incident], words: str) -> None:
    assert line_text(secrets.vault_line(state, START_MS, found)).strip() == words


def test_before_a_secret_is_deleted_it_is_told_what_uses_it() -> None:
    plan = secrets.deleting(secret(used_by=tuple(f"targets.t{n}.secret" for n in range(9))), START_MS)
    assert plan.typed == "smtp"
    assert "targets.t0.secret" in text(plan.lines)
    assert "and 3 more" in text(plan.lines)


def test_before_the_root_key_changes_the_box_is_named() -> None:
    plan = secrets.rotating(VAULT, 12, "box.example.org", START_MS, "key file")
    assert plan.typed == "box.example.org"
    assert "12 secrets are sealed anew" in text(plan.lines)
    assert "It moves to: key file." in text(plan.lines)


def test_a_check_names_what_cannot_be_had_first() -> None:
    found = [SecretCheck("a", "vault", ok=True, problem=""), SecretCheck("b", "vault", ok=False, problem="changed")]
    lines = [line_text(line) for line in secrets.checked(found)]
    assert lines[0].startswith("✗ b")
    assert "changed" in lines[0]
    assert lines[1].startswith("✓ a")


# The panel's own lines


def kept(words: str = "") -> Kept:
    """Return one of each, with `words` in every field that others may fill."""
    if not words:
        return Kept((incident(),), (key(),), (source(),), (secret(),), VAULT)
    return Kept(
        (
            incident(kind=words, subject=words, detail=words, note=words, changed_ms=1, changed_by=words, state=words,
                     severity=words),
            incident(state="resolved", changed_ms=1, changed_by=words, note=words),
        ),
        (
            key(id=words, name=words, targets=(words,), networks=(words,), created_by=words, last_used_from=words,
                revoked_ms=1, revoked_by=words),
            key(successor=words, expires_ms=START_MS + 1),
        ),
        (
            source(name=words, verify=words, path=words, deliver=words, last_reason=words, secret_ok=False,
                   secrets_missing=(words,), rejections=(Rejection(words, words, words, 1, 2, 3),)),
        ),
        (secret(name=words, where=words, used_by=(words,)),),
        replace(VAULT, words=words),
        wrong={words: words},
    )  # fmt: skip


def _all(found: Kept, words: str) -> list[Line]:
    """Return every line and cell that the panel makes of it."""
    events = [event(kind=words, detail=words, outcome=words, event_id=words, source=words, remote=words)]
    lines: list[Line] = []
    names = {
        INCIDENTS: [str(one.id) for one in found.incidents],
        KEYS: [one.id for one in found.keys],
        SOURCES: [one.name for one in found.sources],
        SECRETS: [one.name for one in found.secrets],
    }
    for name, under in names.items():
        shown = security.section(name, found, START_MS)
        lines += [row for _key, row in shown.rows]
        for one in under:
            lines += security.document(name, one, found, events, START_MS)
            lines.append(security.page_title(name, one, 80))
    lines.append(secrets.vault_line(found.vault, START_MS, found.incidents))
    lines += sources.replaying(events[0], START_MS)
    lines += secrets.checked([SecretCheck(words, words, ok=False, problem=words)])
    for plan in (
        apikeys.revoking(found.keys[0], START_MS),
        apikeys.rotating(found.keys[0], 1, START_MS),
        secrets.deleting(found.secrets[0], START_MS),
        secrets.rotating(replace(VAULT, words=words), 1, words, START_MS, words),
    ):
        lines += plan.lines
    lines += apikeys.shown_once(found.keys[0], found.keys[-1], START_MS)
    return lines


@pytest.mark.parametrize(
    "words", [HOSTILE, "e" + "\u0301" * 600, "漢字" * 9_000, "[/]"], ids=["escapes", "marks", "wide", "markup"]
)
def test_nothing_of_what_others_said_steers_the_terminal(words: str) -> None:
    for line in _all(kept(words), words):
        for span in line:
            assert span.text.isprintable(), span
            assert len(span.text) <= 2_100


def test_nothing_ticks_within_a_minute() -> None:
    for name in security.SECTIONS:
        assert security.section(name, kept(), START_MS) == security.section(name, kept(), START_MS + 40_000)


def test_the_line_of_sections_says_what_each_holds() -> None:
    shown = line_text(security.line(KEYS, kept(), 80))
    assert shown.split() == ["Incidents", "1", "API", "keys", "1", "Sources", "1", "Secrets", "1", "tab", "next"]
    roles = {span.text.strip(): span.role for span in security.line(KEYS, kept(), 80)}
    assert roles["API keys"] == "selected"
    failed = replace(kept(), troubles={SOURCES: "database is locked"})
    assert "Sources ✗" in line_text(security.line(KEYS, failed, 80))


def test_what_has_gone_leaves_an_empty_page() -> None:
    for name in security.SECTIONS:
        assert security.document(name, "gone", kept(), [], START_MS) == ()


@pytest.mark.parametrize("name", security.SECTIONS)
def test_an_empty_section_says_what_it_means(name: str) -> None:
    shown = security.section(name, Kept(), START_MS)
    assert shown.rows == ()
    assert all(width(line) <= 76 for line in shown.empty)
    assert text(shown.empty)
