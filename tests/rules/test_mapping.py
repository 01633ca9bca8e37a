"""Events become messages: places are filled in once, and nothing that came from outside is more than data."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadInput
from engine.model import NewMessage, Priority
from engine.rules import mapping
from engine.rules.mapping import Event, Mapped, check_pattern, kept_headers, read, to_message, wanted
from engine.rules.text import safe_block

NOW = 1_000
BODY = {"action": "opened", "issue": {"title": "It broke", "labels": [{"name": "bug"}, {"name": "p1"}]}, "n": 3}
NOTHING: dict[str, Any] = {
    "target": "ops", "subject": None, "text": None, "html": None, "data": False, "template": None, "priority": "normal",
    "tags": [], "collapse_key": None, "ordering_key": None, "expires_ms": None, "when": {},
}  # fmt: skip


def event(body: object = BODY, content_type: str = "application/json", **headers: str) -> Event:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    known = {name.replace("_", "-"): value for name, value in headers.items()}
    return Event("github", "d-1", "issues.opened", known, content_type, raw)


def mapped(body: object = BODY, content_type: str = "application/json", /, **deliver: Any) -> Mapped:
    return to_message({**NOTHING, **deliver}, read(event(body, content_type, x_github_event="issues")), NOW)


def made(body: object = BODY, content_type: str = "application/json", /, **deliver: Any) -> NewMessage:
    return mapped(body, content_type, **deliver).new


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        ("{action}", "opened"),
        ("{issue.title}!", "It broke!"),
        ("{issue.labels[1].name}", "p1"),
        ("{n}/{issue.labels[0]}", '3/{"name": "bug"}'),
        ("{body.action}", "opened"),
        ("{source} {event.id} {event.kind}", "github d-1 issues.opened"),
        ("{headers.X-GitHub-Event}", "issues"),
        ("{{n}} {{{n}}}", "{n} {3}"),
        ("plain", "plain"),
    ],
)
def test_a_place_is_filled_in(pattern: str, text: str) -> None:
    assert made(text=pattern).text == text


def test_what_leads_nowhere_is_empty_and_named() -> None:
    found = mapped(text="[{issue.body}{issue.labels[9].name}{action.x}{headers.x-none}{issue.body}]")
    assert found.new.text == "[]"
    assert found.missing == ("issue.body", "issue.labels[9].name", "action.x", "headers.x-none")


def test_null_is_there_and_says_nothing() -> None:
    found = mapped({"a": None, "b": False}, text="[{a}{b}]")
    assert (found.new.text, found.missing) == ("[false]", ())


@given(st.text())
def test_a_value_is_never_read_as_a_pattern(value: str) -> None:
    new = made({"a": value, "b": "secret"}, text="<{a}>", subject="{a}!")
    expected = safe_block(value, mapping.MOST_VALUE_CHARS)
    assert new.text == safe_block(f"<{expected}>", 10**6)
    assert "secret" not in (new.text or "").replace(value, "")


def test_placeholders_in_values_stay_as_they_came() -> None:
    assert made({"a": "{b} {{ {event.id}", "b": "x"}, text="{a}{b}").text == "{b} {{ {event.id}x"


def test_values_cannot_break_out_of_the_html_or_the_subject() -> None:
    new = made({"a": "<script>\"'&"}, html="<p>{a}</p>", subject="x")
    assert new.html == "<p>&lt;script&gt;&quot;&#x27;&amp;</p>"
    assert made({"a": "x\r\nBcc: y\x1b[31m"}, subject="{a}").subject == "x⏎Bcc: y"


def test_what_does_not_print_is_cleaned_and_what_is_long_is_cut() -> None:
    assert made({"a": "a\x00\x9b31m\u202eb\nc"}, text="{a}").text == "ab\nc"
    assert len(made({"a": "x" * 10**6}, text="{a}", subject="{a}").text or "") == mapping.MOST_VALUE_CHARS
    assert len(made({"a": "x" * 10**6}, subject="{a}").subject) == mapping.MOST_SUBJECT_CHARS
    assert len(made({"a": "x" * 9_999}, text="{a}" * 50).text or "") == mapping.MOST_TEXT_CHARS


def test_without_words_of_its_own_an_event_is_shown_as_it_is() -> None:
    new = made()
    assert new.subject == "github: issues.opened"
    assert json.loads(new.text or "") == BODY
    assert len(made({"a": "x" * 10**6}).text or "") == mapping.MOST_DEFAULT_CHARS
    assert made(b"disk full\x07", "text/plain").text == "disk full"
    assert made(b"").text == "(an empty body)"
    assert made({}, subject="{none}").subject == "github: issues.opened"


def test_a_form_has_its_fields_and_githubs_payload_is_json() -> None:
    form = "application/x-www-form-urlencoded; charset=utf-8"
    assert made(b"name=disk+1&state=bad%0A", form, text="{name}: {state}").text == "disk 1: bad\n"
    assert made(b"payload=%7B%22action%22%3A%22opened%22%7D", form, text="{action}").text == "opened"
    assert made(b"payload=oops", form).text == "payload=oops"
    assert made(b"&".join([b"a=1"] * 2_000), form).text == "&".join(["a=1"] * 2_000)


def test_the_body_goes_on_as_it_came() -> None:
    raw = b'{"b":1,  "a":"\\u00e4"}'
    assert made(raw, data=True).data == raw.decode()
    with pytest.raises(BadInput, match="not JSON"):
        made(b"a=1", "application/x-www-form-urlencoded", data=True)


def test_the_other_fields() -> None:
    new = made(
        priority="high", expires_ms=5_000, tags=["n8n", "{action}", "{none}"], collapse_key="issue-{n}",
        ordering_key="{source}", template="event", target="me",
    )  # fmt: skip
    assert (new.target, new.priority, new.expires_ms, new.template) == ("me", Priority.HIGH, NOW + 5_000, "event")
    assert (new.tags, new.collapse_key, new.ordering_key) == (("n8n", "opened"), "issue-3", "github")
    assert to_message(NOTHING, read(event()), NOW, "mail").new.target == "mail"


def test_a_key_that_would_say_nothing_is_none() -> None:
    found = mapped(collapse_key="issue-{issue.number}")
    assert found.new.collapse_key is None
    assert found.missing == ("issue.number",)
    assert made({"a": ""}, collapse_key="{a}").collapse_key is None


@given(st.text(max_size=400), st.text(max_size=400))
def test_keys_can_be_stored_and_two_stay_two(one: str, other: str) -> None:
    first, second = (made({"a": text}, collapse_key="k{a}").collapse_key for text in (one, other))
    for key in (first, second):
        assert key is not None
        assert 1 <= len(key) <= 256
        assert key.isprintable()
        assert " " not in key
    if safe_block(one, 1_000) != safe_block(other, 1_000):
        assert first != second


@pytest.mark.parametrize(
    ("when", "why"),
    [
        ({}, ""),
        ({"action": "opened"}, ""),
        ({"action": ["closed", "opened"], "n": 3}, ""),
        ({"n": "3", "event.kind": "issues.opened", "headers.x-github-event": ["issues"]}, ""),
        ({"action": "closed"}, "deliver.when: action is 'opened'"),
        ({"action": "opened", "n": [1, 2]}, "deliver.when: n is '3'"),
        ({"draft": False}, "deliver.when: draft is nothing"),
        ({"issue": "It broke"}, "deliver.when: issue is"),
    ],
)
def test_only_events_for_which_every_condition_holds_are_wanted(when: dict[str, Any], why: str) -> None:
    found = wanted(when, read(event(x_github_event="issues")))
    assert found.startswith(why)
    assert bool(found) is bool(why)


@pytest.mark.parametrize(
    ("pattern", "words"),
    [
        ("{", "lone { at character 1"),
        ("a } b", "lone } at character 3; write }}"),
        ("{}", "no path"),
        ("{a b}", "no path"),
        ("{a..b}", "no path"),
        ("{a[x]}", "no path"),
        ("{a.}", "no path"),
        ("{headers.authorization}", "may hold a secret"),
        ("{headers.X-Hub-Signature-256}", "may hold a secret"),
        ("{" + "a" * 300 + "}", "no path"),
    ],
)
def test_a_pattern_that_cannot_be_filled_in_is_refused(pattern: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        check_pattern(pattern)


@given(st.text(max_size=30))
def test_a_pattern_that_was_accepted_can_be_filled_in(pattern: str) -> None:
    try:
        check_pattern(pattern)
    except BadInput:
        return
    made(text=pattern)


def test_headers_that_may_hold_a_secret_are_not_kept() -> None:
    many = {f"X-{number}": "v" for number in range(100)}
    secret = ("Authorization", "Cookie", "X-Hub-Signature-256", "X-Gitlab-Token", "X-Api-Key", "Stripe-Signature")
    found = kept_headers({"X-GitHub-Event": "issues\x1b[1m", **dict.fromkeys(secret, "s"), "X-Long": "x" * 600, **many})
    assert found["x-github-event"] == "issues"
    assert len(found) == 50
    assert not {name.lower() for name in (*secret, "X-Long")} & set(found)


def test_what_is_nested_deeply_is_shown_and_not_a_failure() -> None:
    deep = b"[" * 900 + b"]" * 900
    assert made(deep).text
    assert made(b'{"a": ' + deep + b"}", text="{a}").text is not None
    assert made(b"[" * 10**5).text
