"""The uid and the fingerprint of a message's content."""

import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadInput
from engine.model import Attachment, NewMessage, OnUncertain, Priority
from engine.rules.identity import content_hash, is_uid, new_uid

random_bytes = st.binary(min_size=10, max_size=10)


@given(st.integers(0, 2**48 - 1), random_bytes)
def test_a_uid_is_a_uuid_of_version_7(now_ms: int, noise: bytes) -> None:
    uid = new_uid(now_ms, noise)
    assert is_uid(uid)
    parsed = uuid.UUID(uid.removeprefix("msg_"))
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert parsed.int >> 80 == now_ms


@given(random_bytes, st.integers(0, 73))
def test_74_random_bits_reach_the_uid(noise: bytes, bit: int) -> None:
    flipped = (int.from_bytes(noise, "big") ^ 1 << bit).to_bytes(10, "big")
    assert new_uid(5, noise) != new_uid(5, flipped)


@given(st.integers(0, 2**48 - 2), random_bytes, random_bytes)
def test_uids_sort_by_time(now_ms: int, a: bytes, b: bytes) -> None:
    assert new_uid(now_ms, a) < new_uid(now_ms + 1, b)


@pytest.mark.parametrize("now_ms", [-1, -(10**15), 2**48, 10**18])
def test_a_mad_clock_still_gives_a_uid(now_ms: int) -> None:
    assert is_uid(new_uid(now_ms, bytes(10)))


@pytest.mark.parametrize("size", [0, 9, 11])
def test_too_few_random_bytes_are_a_defect(size: int) -> None:
    with pytest.raises(ValueError, match="10 random bytes"):
        new_uid(0, bytes(size))


@pytest.mark.parametrize(
    "text", ["", "msg_", "1042", "msg_" + "0" * 31, "msg_" + "0" * 33, "msg_" + "A" * 32, "msg_" + "0" * 32 + "\n"]
)
def test_what_is_no_uid(text: str) -> None:
    assert not is_uid(text)


FULL = NewMessage(
    target="me",
    subject="Backup",
    text="done",
    html="<p>done</p>",
    data='{"a":1}',
    headers=(("X-A", "1"), ("X-B", "2")),
    attachments=(Attachment("a.txt", "text/plain", b"abc"),),
    template="report",
)


@pytest.mark.parametrize(
    "change",
    [
        {"target": "you"},
        {"subject": "Backup "},
        {"text": None},
        {"text": ""},
        {"html": None},
        {"data": '{"a": 1}'},
        {"headers": (("X-B", "2"), ("X-A", "1"))},
        {"headers": (("X-A", "1"), ("X-B2", ""))},
        {"attachments": ()},
        {"attachments": (Attachment("b.txt", "text/plain", b"abc"),)},
        {"attachments": (Attachment("a.txt", "text/html", b"abc"),)},
        {"attachments": (Attachment("a.txt", "text/plain", b"abd"),)},
        {"template": ""},
    ],
)
def test_any_change_of_what_the_receiver_gets_changes_the_hash(change: dict[str, object]) -> None:
    assert content_hash(FULL._replace(**change)) != content_hash(FULL)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "change",
    [
        {"priority": Priority.URGENT},
        {"not_before_ms": 1},
        {"expires_ms": 2},
        {"idempotency_key": "k"},
        {"collapse_key": "c"},
        {"ordering_key": "o"},
        {"on_uncertain": OnUncertain.ASK},
        {"tags": ("x",)},
    ],
)
def test_how_it_is_queued_does_not_change_the_hash(change: dict[str, object]) -> None:
    assert content_hash(FULL._replace(**change)) == content_hash(FULL)  # type: ignore[arg-type]


def test_every_field_is_either_content_or_queueing() -> None:
    content = {"target", "subject", "text", "html", "data", "headers", "attachments", "template"}
    queueing = {"priority", "not_before_ms", "expires_ms", "idempotency_key", "collapse_key", "ordering_key"}
    assert set(NewMessage._fields) == content | queueing | {"on_uncertain", "tags"}


@given(st.text(st.sampled_from('a",:[]\\ \n'), max_size=6), st.text(st.sampled_from('a",:[]\\ \n'), max_size=6))
def test_no_text_can_pass_for_two_fields(subject: str, text: str) -> None:
    one = NewMessage("t", subject=subject + text, text="")
    other = NewMessage("t", subject=subject, text=text)
    assert (content_hash(one) == content_hash(other)) == (text == "")


def test_half_a_character_is_refused() -> None:
    with pytest.raises(BadInput, match="half a character"):
        content_hash(NewMessage("t", text="\ud83d"))
