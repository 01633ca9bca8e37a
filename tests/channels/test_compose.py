"""The composer: what a reader sees is what was meant, byte for byte the same every time."""

from __future__ import annotations

import re
from email import message_from_bytes
from email.header import decode_header, make_header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, default
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from engine.channels.email_compose import _write_head, compose
from engine.channels.headers import check_headers, readable_value
from engine.channels.mailbox import Mailbox, parse_mailbox, parse_mailboxes
from engine.errors import BadInput
from engine.model import Attachment, TargetSpec
from tests.channels import rig as r

SENDER = Mailbox("Box", "ops", "example.org")
TO = (Mailbox("", "a", "example.org"),)

printable = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=120)
"""Any text that may stand in a header: no surrogates, no control characters, no line separators."""


def written(*, sender: Mailbox = SENDER, to: tuple[Mailbox, ...] = TO, target: Any = None, **said: Any) -> bytes:
    return compose(r.delivery(target, **said), sender=sender, to=to)


def read(raw: bytes) -> EmailMessage:
    message = message_from_bytes(raw, policy=default)
    assert isinstance(message, EmailMessage)
    return message


def names(raw: bytes) -> list[str]:
    """The header names as a strict reader sees them: a line is folded only if it begins with a blank."""
    head = raw.partition(b"\r\n\r\n")[0].decode()
    return [line.partition(":")[0] for line in head.split("\r\n") if not line.startswith((" ", "\t"))]


# --- the same and well-formed ------------------------------------------------------------------------------------


def test_two_attempts_have_the_same_bytes() -> None:
    said: dict[str, Any] = {"text": "Grüße", "html": "<p>", "attachments": r.FILES, "subject": "Größe"}

    assert written(**said, attempt_no=1) == written(**said, attempt_no=7)


def test_identity_and_date_come_from_the_message() -> None:
    message = read(written())

    assert message["Message-ID"] == f"<{r.UID}@box.example.org>"
    assert parsedate_to_datetime(str(message["Date"])).timestamp() * 1000 == r.CREATED_MS
    assert message["Auto-Submitted"] == "auto-generated"


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=300), html=st.none() | printable)
def test_lines_end_in_crlf_alone_and_stay_short(text: str, html: str | None) -> None:
    raw = written(text=text, html=html)

    assert raw.count(b"\n") == raw.count(b"\r\n") == raw.count(b"\r")
    assert b"\0" not in raw
    assert raw.isascii()
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=300))
def test_a_text_arrives_as_it_was_written(text: str) -> None:
    raw = written(text=text)

    payload = read(raw).get_payload(decode=True)
    assert isinstance(payload, bytes)
    lines = re.split(r"\r\n|\r|\n", text)
    assert re.split(r"\r\n|\r|\n", payload.decode().rstrip("\r\n")) == re.split(
        r"\r\n|\r|\n", "\n".join(lines).rstrip("\r\n")
    )


@given(text=st.text(st.characters(min_codepoint=9, max_codepoint=126), max_size=200))
def test_the_plain_path_writes_what_the_standard_library_would(text: str) -> None:
    assume(all(len(line) <= 78 for line in text.splitlines()))
    assume(not re.search(r"[\x00-\x08\x0b\x0e-\x1f]", text))
    whole = EmailMessage(policy=SMTP.clone(cte_type="7bit"))
    whole.set_content(text)

    assert written(text=text).endswith(whole.as_bytes())


@given(st.lists(st.tuples(printable, st.binary(max_size=200)), max_size=3))
def test_attachments_arrive_byte_exact_whatever_they_are_called(files: list[tuple[str, bytes]]) -> None:
    assume(all(name and not set(name) & set("/\\") for name, _ in files))
    attachments = tuple(Attachment(name, "application/pdf", content) for name, content in files)

    found = list(read(written(attachments=attachments)).iter_attachments())

    assert [part.get_payload(decode=True) for part in found] == [content for _, content in files]


@pytest.mark.parametrize(
    "name",
    ["plain.txt", "two words.txt", "Übergröße.pdf", "日本語のとても長い名前" * 6 + ".pdf", 'quo"te;=.txt', "%41.txt"],
)
def test_a_file_keeps_its_name(name: str) -> None:
    (part,) = read(written(attachments=(Attachment(name, "text/plain", b"x"),))).iter_attachments()

    assert part.get_filename() == name


@pytest.mark.parametrize(
    ("given_type", "seen"),
    [
        ("application/pdf", "application/pdf"),
        ("TEXT/HTML; charset=utf-8", "text/html"),
        ("", "application/octet-stream"),
        ("nonsense", "application/octet-stream"),
        ("text/plain\r\nBcc: x@example.org", "text/plain"),
        ("message/rfc822", "application/octet-stream"),
        ("multipart/mixed", "application/octet-stream"),
    ],
)
def test_a_content_type_is_taken_only_if_it_is_one(given_type: str, seen: str) -> None:
    raw = written(attachments=(Attachment("a", given_type, b"From: me\r\n\r\nhello"),))
    (part,) = read(raw).iter_attachments()

    assert part.get_content_type() == seen
    assert part.get_payload(decode=True) == b"From: me\r\n\r\nhello"
    assert "Bcc" not in names(raw)


@pytest.mark.parametrize("name", ["", "a/b", "..\\b", "a\nb", "a\0", "a\x7f"])
def test_a_name_that_is_no_file_name_is_refused(name: str) -> None:
    with pytest.raises(BadInput, match="attachment"):
        written(attachments=(Attachment(name, "text/plain", b""),))


def test_a_text_that_holds_the_boundary_does_not_end_its_part() -> None:
    (boundary,) = set(re.findall(rb'boundary="([^"]+_0)"', written(html="<p>")))
    text = f"before\n--{boundary.decode()}--\nafter\n"

    message = read(written(text=text, html="<p>"))

    body = message.get_body(("plain",))
    assert body is not None
    assert str(body.get_content()).replace("\r\n", "\n") == text
    assert len(list(message.walk())) == 3


def test_control_characters_travel_encoded() -> None:
    raw = written(text="a\0b\x08c\x1b[31m")

    assert not re.search(rb"[\x00-\x08\x1b]", raw)
    assert read(raw).get_payload(decode=True) == b"a\0b\x08c\x1b[31m\r\n"


def test_a_webhooks_data_is_readable_as_mail() -> None:
    assert read(written(text=None, data='{"a": 1}')).get_content() == '{"a": 1}\r\n'


# --- headers -----------------------------------------------------------------------------------------------------


@given(printable)
def test_a_subject_is_read_as_it_was_written(subject: str) -> None:
    assume("=?" not in subject)

    raw = written(subject=subject)

    assert read(raw)["Subject"] == subject.strip()
    assert names(raw).count("Subject") == 1


short = st.text(st.characters(exclude_categories=["Cs", "Cc", "Zl", "Zp"]), max_size=11)


def test_a_display_name_of_several_encoded_words_is_read_whole() -> None:
    name = "Größter anzunehmender Ärger der Überwachung"
    raw = written(to=(Mailbox(name, "a", "example.org"),))

    # Not by the standard library's address parser: in 3.11 it puts a blank between two encoded words.
    found = message_from_bytes(raw)["To"].replace("\r\n", "").rpartition(" <")
    assert str(make_header(decode_header(found[0]))) == name


@given(short, st.booleans())
def test_a_display_name_is_read_as_it_was_written(name: str, is_sender: bool) -> None:
    assume("=?" not in name)
    assume(name == " ".join(name.split()))  # the standard library's reader joins runs of blanks
    box = Mailbox(name, "a", "example.org")

    message = read(written(sender=box) if is_sender else written(to=(box, *TO)))

    assert message["From" if is_sender else "To"].addresses[0] == Address(name, "a", "example.org")


ENCODED_BCC = "=?utf-8?q?a=0D=0ABcc:_evil@example.org?="

EVIL = [
    "a\r\nBcc: evil@example.org",
    "a\nBcc: evil@example.org",
    "a\rBcc: evil@example.org",
    "a\n\nbody",
    "a\0b",
    "a\x0bBcc: evil@example.org",
    "a\x85Bcc: evil@example.org",
    "a\u2028Bcc: evil@example.org",
    ENCODED_BCC,
    "=?utf-8?b?YQ0KQmNjOiBldmlsQGV4YW1wbGUub3Jn?=",
    "=?utf-7?q?+AA0ACg-Bcc:_evil@example.org?=",
    "=?utf-16?b?//5hAA0ACgBCAGMAYwA=?=",
    "=?utf-8?q?=3D=3Futf-8=3Fq=3Fa=3D0D=3D0ABcc:_x=3F=3D?=",
    "=?no-such-charset?q?a?=",
    "\ud800",
]


@pytest.mark.parametrize("evil", EVIL)
def test_nothing_is_smuggled_through_a_subject(evil: str) -> None:
    with pytest.raises(BadInput):
        check_headers((), subject=evil)
    with pytest.raises(BadInput):
        written(subject=evil)


@pytest.mark.parametrize("evil", EVIL)
def test_nothing_is_smuggled_through_a_header(evil: str) -> None:
    headers = (("X-Kind", evil),)
    with pytest.raises(BadInput, match="X-Kind"):
        check_headers(headers)
    with pytest.raises(BadInput):
        written(headers=headers)
    with pytest.raises(BadInput):
        written(target=TargetSpec("t", "email", headers=headers))


@pytest.mark.parametrize("evil", EVIL)
def test_nothing_is_smuggled_through_a_prefix_or_a_link(evil: str) -> None:
    for option in ("subject_prefix", "list_unsubscribe"):
        with pytest.raises(BadInput):
            compose(r.delivery(), sender=SENDER, to=TO, **{option: evil})  # type: ignore[arg-type]


@given(st.text(max_size=60))
def test_whatever_a_subject_is_the_headers_are_those_meant_or_it_is_refused(subject: str) -> None:
    try:
        raw = written(subject=subject)
    except BadInput:
        return
    assert names(raw)[:6] == ["Date", "From", "To", "Message-ID", "Subject", "Auto-Submitted"]
    assert {"Bcc", "Cc"}.isdisjoint(read(raw).keys())


@given(st.text(st.sampled_from('=?utf8-qbQB_0DA:\r\n\t "<>@,;a'), max_size=60))
def test_the_alphabet_of_injection_injects_nothing(text: str) -> None:
    try:
        raw = written(subject=text, headers=(("X-Kind", text),))
    except BadInput:
        return
    expected = ["Date", "From", "To", "Message-ID", "Subject", "Auto-Submitted", "X-Kind"]
    assert names(raw)[:7] == expected
    assert list(read(raw).keys())[:7] == expected


@pytest.mark.parametrize(
    "name", ["From", "to", "BCC", "Date", "Message-ID", "MIME-Version", "Content-Type", "Subject", "Sender", "Received"]
)
def test_headers_that_are_ours_cannot_be_given(name: str) -> None:
    with pytest.raises(BadInput, match=re.escape(name)):
        check_headers(((name, "x"),))
    with pytest.raises(BadInput):
        written(headers=((name, "x"),))


@pytest.mark.parametrize("name", ["", "X Y", "X:Y", "X\r\nBcc", "Ä", "X\0", "x" * 77])
def test_a_header_name_is_a_token(name: str) -> None:
    with pytest.raises(BadInput):
        check_headers(((name, "x"),))


@given(printable.filter(lambda text: "=?" not in text))
def test_a_header_of_the_callers_is_read_as_it_was_written(value: str) -> None:
    message = read(written(headers=(("X-Kind", value), ("X-Kind", "again"))))

    assert [str(seen) for seen in message.get_all("X-Kind", [])] == [value.strip(), "again"]


def test_an_encoded_word_of_the_callers_is_taken_for_what_it_says() -> None:
    assert read(written(subject="=?iso-8859-1?q?Gr=FC=DFe?= an alle"))["Subject"] == "Grüße an alle"


def test_text_that_only_looks_like_an_encoded_word_stays_text() -> None:
    assert read(written(subject="why =? and ?="))["Subject"] == "why =? and ?="


@pytest.mark.parametrize("value", ["w" * 3_000, "word " * 500 + "end", "a  " * 300 + "b", "a\tb " * 100 + "c"])
def test_a_long_header_is_folded_and_read_whole(value: str) -> None:
    raw = written(headers=(("X-Long", value),))

    assert read(raw)["X-Long"] == value
    assert max(len(line) for line in raw.partition(b"\r\n\r\n")[0].split(b"\r\n")) <= 998


def test_a_reply_to_of_the_message_replaces_the_targets() -> None:
    raw = compose(
        r.delivery(headers=(("Reply-To", "Jörg <j@example.org>, k@example.org"), ("Auto-Submitted", "no"))),
        sender=SENDER,
        to=TO,
        reply_to=[Mailbox("", "ours", "example.org")],
    )

    message = read(raw)
    assert [str(box) for box in message["Reply-To"].addresses] == ["Jörg <j@example.org>", "k@example.org"]
    assert message.get_all("Auto-Submitted") == ["no"]


def test_nobody_in_to_is_said_as_the_standard_says_it() -> None:
    assert b"To: undisclosed-recipients:;\r\n" in written(to=())


@pytest.mark.parametrize("value", ["a\r\nBcc: evil@example.org", "a\r\n b", "a\r\n\r\nbody", "a\nb", "a\rb"])
def test_reading_back_finds_what_every_other_check_let_through(value: str) -> None:
    with pytest.raises(BadInput, match="would be read as"):
        _write_head([("Subject", value)])


def test_a_bad_header_names_itself_but_not_its_value() -> None:
    with pytest.raises(BadInput) as caught:
        check_headers((("X-Token", "hunter2\n"),))

    assert "X-Token" in str(caught.value)
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("name", ["webhook-signature", "Host", "content-length", "Proxy-Authorization", "Connection"])
def test_http_headers_that_are_ours_cannot_be_given(name: str) -> None:
    with pytest.raises(BadInput):
        check_headers(((name, "x"),), channel="webhook")
    check_headers((("Authorization", "x"), ("X-Kind", "Grün")), channel="webhook")


def test_a_readable_value_has_a_bound() -> None:
    with pytest.raises(BadInput, match="8000"):
        readable_value("subject", "x" * 8_001)


# --- mailboxes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "box"),
    [
        ("a@example.org", Mailbox("", "a", "example.org")),
        (" Box <Ops@Example.ORG> ", Mailbox("Box", "Ops", "example.org")),
        ('"Last, First" <a@b.de>', Mailbox("Last, First", "a", "b.de")),
        (r'"a \"b\" \\c" <a@b.de>', Mailbox('a "b" \\c', "a", "b.de")),
        ("Jörg Müller <a@müller.de>", Mailbox("Jörg Müller", "a", "xn--mller-kva.de")),
        ("<a@b.de>", Mailbox("", "a", "b.de")),
        ("root@localhost", Mailbox("", "root", "localhost")),
        ("jürgen@b.de", Mailbox("", "jürgen", "b.de")),
    ],
)
def test_mailboxes_that_are_understood(text: str, box: Mailbox) -> None:
    assert parse_mailbox(text) == box


@pytest.mark.parametrize(
    "text",
    [
        "",
        "a",
        "a@",
        "@b",
        "a@b@c",
        "a b@c.de",
        "a@b.de, c@d.de",
        "a@b.de\r\nBcc: c@d.de",
        "a@b.de>\n",
        "a <b> <c@d.de>",
        "a@b..de",
        "a@-b.de",
        ".a@b.de",
        "a@b.de SIZE=1",
        "<a@b.de> RCPT",
        "ü<x>@b.de",
        "a@[127.0.0.1]",
        "\ud800@b.de",
        "a\u2028@b.de",
        "ü" * 40 + "@b.de",
        "x" * 1_000,
    ],
)
def test_what_is_not_one_mailbox_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        parse_mailbox(text)


@given(st.text(max_size=80))
def test_an_address_never_breaks_out_of_a_command(text: str) -> None:
    try:
        address = parse_mailbox(text).address
    except BadInput:
        return
    assert not set(address) & set('<>\r\n \t\0,;"')


def test_a_list_splits_at_commas_outside_quotes() -> None:
    assert [box.name for box in parse_mailboxes('"Last, First" <a@b.de>, c@d.de,')] == ["Last, First", ""]
