"""Redaction: no spelling of a secret survives, what is none stays, and hostile text costs no time."""

import base64
import json
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.rules.redact import SHORTEST, Redactor

SECRET = 'hunter2 & "söhne"/+?'
secrets = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=8, max_size=30)
around = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)


def knowing(*values: str | bytes) -> Redactor:
    redactor = Redactor()
    for value in values:
        redactor.register(value)
    return redactor


@given(secrets, around, around)
def test_a_registered_value_survives_in_no_spelling(secret: str, before: str, after: str) -> None:
    assume(secret.strip() == secret)
    redactor = knowing(secret)
    for spelling in (
        secret,
        json.dumps(secret)[1:-1],
        json.dumps(secret, ensure_ascii=False)[1:-1],
        quote(secret),
        quote(secret, safe=""),
        quote_plus(secret),
    ):
        assert spelling not in redactor.redact(f"{before}{spelling}{after}").replace("<secret>", "")


@given(secrets, st.binary(max_size=20), st.binary(max_size=20))
def test_base64_of_a_text_that_holds_the_value_does_not_give_it_away(secret: str, before: bytes, after: bytes) -> None:
    raw = secret.encode()
    redactor = knowing(secret)
    for encode in (base64.b64encode, base64.urlsafe_b64encode):
        whole = encode(before + raw + after).decode()
        clean = redactor.redact(whole)
        assert "<secret>" in clean
        # Only the characters on the edges, which hold bits of the neighbours too, may be left.
        first = -(-len(before) * 8 // 6)
        last = (len(before) + len(raw)) * 8 // 6
        assert clean == f"{whole[:first]}<secret>{whole[last:]}"


@pytest.mark.parametrize(
    "spelling",
    [SECRET, json.dumps(SECRET)[1:-1], json.dumps(SECRET, ensure_ascii=False)[1:-1], quote(SECRET), quote_plus(SECRET)],
)
def test_no_character_of_a_value_is_left(spelling: str) -> None:
    assert knowing(SECRET).redact(f"<{spelling}>") == "<<secret>>"


def test_basic_auth_of_a_mail_server_is_covered() -> None:
    login = base64.b64encode(b"\x00ops@example.org\x00hunter2-hunter2").decode()
    clean = knowing("hunter2-hunter2").redact(f"AUTH PLAIN {login}")
    assert b"hunter2" not in base64.b64decode(clean.split()[2].split("<")[0] + "=" * 3, validate=False)


def test_bytes_can_be_registered() -> None:
    key = bytes(range(200, 232))
    redactor = knowing(key)
    assert redactor.redact(f"key {base64.b64encode(key).decode()}") != f"key {base64.b64encode(key).decode()}"
    assert knowing(b"plain-bytes").redact("a plain-bytes b") == "a <secret> b"


def test_a_name_stands_in_the_place_of_its_value() -> None:
    redactor = Redactor()
    redactor.register("hunter2-hunter2", "smtp")
    assert redactor.redact("login hunter2-hunter2 failed") == "login <secret smtp> failed"


def test_short_values_are_left_alone() -> None:
    assert knowing("12345", "").redact("1234567890") == "1234567890"


def test_a_value_inside_a_longer_one_does_not_spoil_it() -> None:
    assert knowing("abcdef", "xx-abcdef-yy").redact("1 xx-abcdef-yy 2 abcdef 3") == "1 <secret> 2 <secret> 3"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Authorization: Basic b3BzOmh1bnRlcjI=", "Authorization: <secret>"),
        ("Authorization: Bearer abcdef\nHost: x.org", "Authorization: <secret>\nHost: x.org"),
        ('{"Authorization": "Token abc", "a": 1}', '{"Authorization": "<secret>", "a": 1}'),
        ("{'authorization': 'abc'}", "{'authorization': '<secret>'}"),
        ("proxy-authorization: Digest username=x, response=y", "proxy-authorization: <secret>"),
        ("Set-Cookie: sid=abc; Path=/", "Set-Cookie: <secret>"),
        ("sent bearer abcdefgh.ijk to", "sent bearer <secret> to"),
        ("key chr_0123abcd_" + "A-_9" * 11 + "_a1B2c3 used", "key chr_0123abcd_<secret> used"),
        ("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw=", "whsec_<secret>"),
        ("/bot110201543:AAHdqTcvCH1vGWJxfSeofSAs0K5PALDsaw/send", "/bot110201543:<secret>/send"),
        ("https://u:p%40w@x.org/a", "https://<secret>@x.org/a"),
        ("smtps://token@x.org", "smtps://<secret>@x.org"),
        ("GET /a?token=abc&x=1&api_key=d", "GET /a?token=<secret>&x=1&api_key=<secret>"),
        ("password=a passwd=b secret=c apikey=d", "password=<secret> passwd=<secret> secret=<secret> apikey=<secret>"),
        ('smtp_password="a \\" b" host=x', 'smtp_password=<secret>" host=x'),
        ('{"password": "a\\"b", "user": "u"}', '{"password": "<secret>", "user": "u"}'),
        ('{"api_key":"a","token": "b"}', '{"api_key":"<secret>","token": "<secret>"}'),
        ('{"token": 123456}', '{"token": "<secret>}'),
        ("password: hunter2", "password: <secret>"),
        ("AGE-SECRET-KEY-1QQQQQQQQQ x", "<secret> x"),
        ("a -----BEGIN RSA PRIVATE KEY-----\nabc\n-----END RSA PRIVATE KEY----- b", "a <secret private key> b"),
        ("a -----BEGIN PRIVATE KEY-----\\nabc cut off", "a <secret private key>"),
    ],
)
def test_rules(text: str, clean: str) -> None:
    assert Redactor().redact(text) == clean


def test_json_inside_json_is_covered() -> None:
    inner = json.dumps({"password": "hunter2", "user": "u"})
    assert "hunter2" not in Redactor().redact(json.dumps({"body": inner}))
    assert "hunter2" not in Redactor().redact(json.dumps({"log": json.dumps({"body": inner})}))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Delivered #1042 to me (email): 250 2.0.0 Ok: queued as 4F1D2",
        "535 5.7.8 authentication failed",
        'targets.me.password: "secret:smtp"',
        "password: secret:smtp",
        "smtp password=secret:smtp is missing; set CHRONOS_SECRET_SMTP",
        '{"password": "secret:smtp"}',
        '{"token_count": 3, "at": "2026-11-23T14:00:00.000Z"}',
        "https://example.org/a@b?c=d",
        "idempotency_key=cron-1",
        "12:30:45 10.0.0.1:8467 abc:def",
        "see https://x.org/ or mail a@x.org",
        "-----BEGIN CERTIFICATE-----\nabc\n-----END CERTIFICATE-----",
    ],
)
def test_what_is_no_secret_stays_and_is_not_copied(text: str) -> None:
    assert knowing("hunter2-hunter2").redact(text) is text


@given(st.text(st.sampled_from("passwordtokensecret=:\"\\' {}<>&@/-_.0123456789\n"), max_size=80))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    redactor = knowing("hunter2-hunter2")
    once = redactor.redact(text)
    assert redactor.redact(once) == once


HOSTILE = {
    "one letter": "a" * 10**6,
    "digits": "1" * 10**6,
    "keys without values": "token=" * 170_000,
    "json keys without values": '"password":' * 90_000,
    "wide colons": "password:  " * 90_000,
    "schemes": "://" * 330_000,
    "user parts": "://a" * 250_000,
    "ats": "://" + "@" * 10**6,
    "headers": "authorization:" * 70_000,
    "bearers": "bearer " * 140_000,
    "spaces": "bearer" + " " * 10**6,
    "backslashes": "\\" * 10**6,
    "escaped value": 'token="' + "\\" * 10**6,
    "open value": 'token="' * 140_000,
    "pem starts": "-----BEGIN A PRIVATE KEY-----" * 34_000,
    "pem half starts": "-----BEGIN " * 90_000 + "PRIVATE KEY-",
    "bot ids": "12345678901:" * 80_000,
    "chr": "chr_" * 250_000,
    "whsec": "whsec_" * 160_000,
    "lower-casing grows": "\u0130" * 300_000,
}


# A megabyte takes some 0.1 s; a quadratic pattern would take hours and run into this limit.
@pytest.mark.timeout(60)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_megabyte_of_hostile_text_costs_linear_time(name: str) -> None:
    text = HOSTILE[name]
    assert knowing(SECRET).redact(f"{text} {SECRET}").count(SECRET) == 0


def test_the_beginning_of_a_secret_at_the_end_of_a_text_that_was_cut_is_taken_too() -> None:
    redactor = Redactor()
    redactor.register("correct horse battery", "pass")
    for kept in range(SHORTEST, 21):
        said = f"you said correct, correct horse, {'correct horse battery'[:kept]}"
        assert redactor.redact(said, cut=True) == "you said correct, correct horse, <secret pass>"
        assert redactor.redact(f"{said}…", cut=True) == "you said correct, correct horse, <secret pass>"
        assert redactor.redact(said) == said
    assert redactor.redact("this is the correct horse", cut=True) == "this is the <secret pass>"
    assert redactor.redact("the correct horses", cut=True) == "the correct horses"
