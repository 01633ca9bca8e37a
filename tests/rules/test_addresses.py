"""Ad hoc addresses: the good ones become targets, the odd ones are refused without quoting a secret."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadInput
from engine.rules.addresses import check_mail_address, parse_adhoc, web_origin


@pytest.mark.parametrize(
    ("text", "channel", "options", "lane"),
    [
        ("mailto:a@example.org", "email", {"to": ["a@example.org"]}, "mailto:"),
        ("MAILTO:A.b+c@Example.ORG", "email", {"to": ["A.b+c@example.org"]}, "mailto:"),
        ("mailto:a@x.org,b@x.org,a@x.org", "email", {"to": ["a@x.org", "b@x.org"]}, "mailto:"),
        ("mailto:root@localhost", "email", {"to": ["root@localhost"]}, "mailto:"),
        ("mailto:a@bücher.example", "email", {"to": ["a@xn--bcher-kva.example"]}, "mailto:"),
        ("https://example.org/a?b=c", "webhook", {"url": "https://example.org/a?b=c"}, "https://example.org:443"),
        ("http://Example.org", "webhook", {"url": "http://Example.org"}, "http://example.org:80"),
        ("https://example.org:8443/x", "webhook", {"url": "https://example.org:8443/x"}, "https://example.org:8443"),
        ("http://[2001:DB8::1]:81/", "webhook", {"url": "http://[2001:DB8::1]:81/"}, "http://[2001:db8::1]:81"),
        ("http://127.0.0.1:5678/w", "webhook", {"url": "http://127.0.0.1:5678/w"}, "http://127.0.0.1:5678"),
        ("telegram:123456", "telegram", {"chat_id": 123456}, "telegram:123456"),
        ("telegram:-1001234", "telegram", {"chat_id": -1001234}, "telegram:-1001234"),
        ("telegram:@ops_box", "telegram", {"chat_id": "@ops_box"}, "telegram:@ops_box"),
        ("maildir:~/Mail/chronos", "maildir", {"path": "~/Mail/chronos"}, "maildir:~/Mail/chronos"),
        ("maildir:/srv/with space", "maildir", {"path": "/srv/with space"}, "maildir:/srv/with space"),
    ],
)
def test_good_addresses(text: str, channel: str, options: dict[str, object], lane: str) -> None:
    target = parse_adhoc(text)
    assert target is not None
    assert (target.channel, target.options, target.lane, target.name) == (channel, options, lane, text)
    assert target.trusted is False


@pytest.mark.parametrize("text", ["", "ops", "mailto", "https", "ftp://x.org", "sms:1", "a b", ":", "file:/etc/passwd"])
def test_what_has_no_known_scheme_is_somebody_elses(text: str) -> None:
    assert parse_adhoc(text) is None


@pytest.mark.parametrize(
    "text",
    [
        "mailto:", "mailto:a", "mailto:@x.org", "mailto:a@", "mailto:a@x.org,", "mailto:a@x.org,,b@x.org",
        "mailto:a@x.org\r\nBcc: b@x.org", "mailto:a@x.org\x00", "mailto:a b@x.org", "mailto:a@x .org",
        "mailto:a@x.org?subject=hi", "mailto:<a@x.org>", "mailto:A <a@x.org>", 'mailto:"a b"@x.org',
        "mailto:a..b@x.org", "mailto:.a@x.org", "mailto:a.@x.org", "mailto:a@b@x.org", "mailto:a@x..org",
        "mailto:a@-x.org", "mailto:a@x-.org", "mailto:a@x_y.org", "mailto:a@[127.0.0.1]", "mailto:a@127.0.0.1",
        "mailto:ü@x.org", "mailto:a@x.org\u202e", "mailto:" + "a" * 65 + "@x.org", "mailto:a@" + "x" * 64 + ".org",
        "mailto:a@" + "x." * 130 + "org", "mailto:" + ",".join(f"a{n}@x.org" for n in range(101)),
        "mailto:a@x.org;b@x.org", "mailto:a@\udcff.org", "mailto:a@" + "ü" * 300,
    ],
)  # fmt: skip
def test_mail_addresses_that_no_server_takes(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_adhoc(text)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize(
    "text",
    [
        "https:", "https://", "https:///x", "https:example.org", "http://:80/", "https://x.org:0/", "https://x.org:99999/",
        "https://x.org:a/", "https://user:pw@x.org/", "https://user@x.org/", "https://x.org\\@evil.org/",
        "https://x.org/a b", "https://x.org/\n", "https://x.org/\x00", "https://x.org/#f", "https://x.org/#",
        "https://127.1/", "https://2130706433/", "https://0x7f000001/", "https://0x7f.0.0.1/", "https://0177.0.0.1/",
        "https://1.2.3.4.5/", "https://127.0.0.1.0x1/", "https://[::1/", "https://[x]/", "https://[::1%25eth0]/",
        "https://[::1]x/", "https://-x.org/", "https://x_y.org/", "https://x..org/", "https://%31.org/",
        "https://x.org/ü", "https://\u3002/", "https://[v1.x]/", "https://" + "x" * 2_000,
    ],
)  # fmt: skip
def test_urls_that_two_readers_could_take_differently(text: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse_adhoc(text)
    assert str(caught.value).isprintable()


def test_an_error_never_quotes_a_url() -> None:
    for url in (
        "https://u:hunter2@x.org/",
        "https://x.org:a/hunter2",
        "https://x.org/hunter2 x",
        "https://x.org/h#hunter2",
    ):
        with pytest.raises(BadInput) as caught:
            parse_adhoc(url)
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    "text", ["telegram:", "telegram:ops", "telegram:0", "telegram:-", "telegram:@a", "telegram:@a-b", "telegram:1 2"]
)
def test_chats_that_do_not_exist(text: str) -> None:
    with pytest.raises(BadInput, match="telegram"):
        parse_adhoc(text)


@pytest.mark.parametrize("text", ["maildir:", "maildir: ", "maildir:/a\x00b", "maildir:/a\nb", "maildir:a/../../b"])
def test_paths_that_are_refused(text: str) -> None:
    with pytest.raises(BadInput, match="maildir"):
        parse_adhoc(text)


def test_an_international_host_and_its_ascii_form_share_a_lane() -> None:
    assert web_origin("https://bücher.example/x") == web_origin("https://xn--bcher-kva.example/x")


def test_a_dot_at_the_end_of_a_host_makes_no_lane_of_its_own() -> None:
    assert web_origin("https://example.org./x") == ("example.org", 443)


@given(st.sampled_from(["mailto:", "http://", "https://", "telegram:", "maildir:"]), st.text(max_size=40))
def test_any_text_is_a_target_or_refused_in_one_line(scheme: str, rest: str) -> None:
    words = ""
    try:
        target = parse_adhoc(scheme + rest)
    except BadInput as error:
        target, words = None, str(error)
        assert words
    assert words.isprintable()
    assert target is None or target.lane.isprintable()


@given(st.emails())
def test_plausible_addresses_are_taken(address: str) -> None:
    if len(address.rpartition("@")[0]) <= 64:
        assert check_mail_address(address).lower() == address.lower()


def test_a_sharp_s_stays_the_domain_it_is() -> None:
    assert check_mail_address("a@straße.de") == "a@xn--strae-oqa.de"
