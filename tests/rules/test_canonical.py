"""RFC 8785 and the hash chain: one spelling, and no change goes unseen."""

import hashlib
import json
import struct
from collections.abc import Iterator
from enum import IntEnum, StrEnum
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadInput
from engine.rules.canonical import GENESIS, canonical_json, entry_hash, unbroken, verify_chain

MOST = 2**53 - 1
text = st.text(st.characters(exclude_categories=["Cs"]))
values = st.recursive(
    st.none() | st.booleans() | st.integers(-MOST, MOST) | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)


# IEEE 754 bits and what ECMAScript prints, as in RFC 8785, appendix B.
@pytest.mark.parametrize(
    ("bits", "spelling"),
    [
        ("0000000000000000", "0"),
        ("8000000000000000", "0"),
        ("0000000000000001", "5e-324"),
        ("8000000000000001", "-5e-324"),
        ("7fefffffffffffff", "1.7976931348623157e+308"),
        ("ffefffffffffffff", "-1.7976931348623157e+308"),
        ("4340000000000000", "9007199254740992"),
        ("c340000000000000", "-9007199254740992"),
        ("4430000000000000", "295147905179352830000"),
        ("44b52d02c7e14af5", "9.999999999999997e+22"),
        ("44b52d02c7e14af6", "1e+23"),
        ("44b52d02c7e14af7", "1.0000000000000001e+23"),
        ("444b1ae4d6e2ef4e", "999999999999999700000"),
        ("444b1ae4d6e2ef4f", "999999999999999900000"),
        ("444b1ae4d6e2ef50", "1e+21"),
        ("3eb0c6f7a0b5ed8c", "9.999999999999997e-7"),
        ("3eb0c6f7a0b5ed8d", "0.000001"),
        ("41b3de4355555553", "333333333.3333332"),
        ("41b3de4355555554", "333333333.33333325"),
        ("41b3de4355555555", "333333333.3333333"),
        ("41b3de4355555556", "333333333.3333334"),
        ("41b3de4355555557", "333333333.33333343"),
        ("becbf647612f3696", "-0.0000033333333333333333"),
        ("43143ff3c1cb0959", "1424953923781206.2"),
    ],
)
def test_numbers_are_spelt_as_ecmascript_does(bits: str, spelling: str) -> None:
    assert canonical_json(struct.unpack(">d", bytes.fromhex(bits))[0]) == spelling


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), MOST + 1, -MOST - 1])
def test_numbers_that_readers_take_differently_are_refused(value: float) -> None:
    with pytest.raises(BadInput):
        canonical_json({"n": value})


def test_keys_are_sorted_by_utf_16_units() -> None:
    names = ["\u20ac", "\r", "\ufb33", "1", "\U0001f600", "\x80", "\xf6"]
    wanted = ["\r", "1", "\x80", "\xf6", "\u20ac", "\U0001f600", "\ufb33"]
    assert list(json.loads(canonical_json(dict.fromkeys(names, 0)))) == wanted


def test_strings_escape_what_the_rfc_says_and_nothing_else() -> None:
    assert canonical_json('\u20ac$\x0f\nA\'B"\\\\"/\x7f\u2028') == '"€$\\u000f\\nA\'B\\"\\\\\\\\\\"/\x7f\u2028"'
    assert canonical_json("\b\t\f\r\x00\x1f") == '"\\b\\t\\f\\r\\u0000\\u001f"'


@pytest.mark.parametrize(
    "value",
    ["\ud800", ["x\udfff"], {"\ud83d": 1}, {1: 2}, {"a": 1, 2: 3}, {None: 1}, b"x", {"s": {1}}, object()],
)
def test_what_is_not_json_is_refused(value: object) -> None:
    with pytest.raises(BadInput):
        canonical_json(value)


def test_nesting_without_end_is_refused() -> None:
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(BadInput, match="nested"):
        canonical_json(loop)


def test_enumerations_and_tuples_are_what_they_are_made_of() -> None:
    class Colour(StrEnum):
        RED = "red"

    class Level(IntEnum):
        TOP = 3

    assert (
        canonical_json({"c": Colour.RED, "l": Level.TOP, "t": (1, True, None)}) == '{"c":"red","l":3,"t":[1,true,null]}'
    )


def read(text: str) -> Any:
    """Read as ECMAScript does: every number is a double."""
    return json.loads(text, parse_int=float)


@given(values)
def test_it_reads_back_as_what_was_written(value: Any) -> None:
    assert read(canonical_json(value)) == value


@given(values)
def test_writing_what_was_read_gives_the_same_text(value: Any) -> None:
    once = canonical_json(value)
    assert canonical_json(read(once)) == once


@given(st.dictionaries(text, st.integers(0, 9)))
def test_the_order_of_insertion_does_not_matter(value: dict[str, int]) -> None:
    assert canonical_json(dict(reversed(value.items()))) == canonical_json(value)


Entry = tuple[int, str, str]


def chain(count: int, *, first: int = 1, prev: str = GENESIS, **fields: object) -> Iterator[Entry]:
    for seq in range(first, first + count):
        body = canonical_json({"action": "enqueue", "actor": "cron", "prev": prev, "seq": seq, **fields})
        prev = entry_hash(body)
        yield seq, body, prev


# Where the fields stand decides which way the entries are checked: at a glance, or parsed.
SHAPES: list[dict[str, Any]] = [
    {},
    {"subject": "msg_1"},
    {"details": {"prev": "0" * 64, "seq": 1}},
    {"actor": 'a{"prev":"x"'},
    {"what": {"prev": "f" * 64}},
    {"reason": 'x","seq":1,"prev":"', "risk": "low"},
]


@pytest.mark.parametrize("shape", SHAPES)
def test_an_untouched_chain_verifies(shape: dict[str, Any]) -> None:
    entries = list(chain(20, **shape))
    result = verify_chain(entries, first_seq=1)
    assert (result.ok, result.entries, result.head_seq, result.head_hash) == (True, 20, 20, entries[-1][2])


def test_an_empty_chain_verifies_and_keeps_the_head_it_was_given() -> None:
    assert verify_chain([], first_seq=1).head_hash == GENESIS
    result = verify_chain([], prev="a" * 64, first_seq=8)
    assert (result.ok, result.entries, result.head_seq, result.head_hash) == (True, 0, 7, "a" * 64)


def test_a_chain_can_be_checked_in_parts() -> None:
    entries = list(chain(30))
    half = verify_chain(entries[:10], first_seq=1)
    assert verify_chain(entries[10:], prev=half.head_hash, first_seq=half.head_seq + 1).ok
    assert verify_chain(entries[10:]).ok
    assert not verify_chain(entries[10:], prev="0" * 64).ok


def test_the_first_entry_of_all_must_follow_nothing() -> None:
    assert not verify_chain(chain(3, prev="a" * 64)).ok
    assert verify_chain(chain(3, prev="a" * 64), prev="a" * 64).ok


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("at", [0, 7, 19])
def test_a_changed_body_is_found(shape: dict[str, Any], at: int) -> None:
    entries = list(chain(20, **shape))
    seq, body, digest = entries[at]
    entries[at] = (seq, body.replace("enqueue", "enqueuE"), digest)
    result = verify_chain(entries, first_seq=1)
    assert (result.ok, result.bad_seq, result.entries) == (False, seq, at)
    assert "changed" in result.why


@pytest.mark.parametrize("shape", SHAPES)
def test_a_changed_body_with_its_hash_recomputed_is_found_at_the_next_entry(shape: dict[str, Any]) -> None:
    entries = list(chain(20, **shape))
    seq, body, _ = entries[7]
    forged = body.replace("enqueue", "cancel")
    entries[7] = (seq, forged, entry_hash(forged))
    result = verify_chain(entries, first_seq=1)
    assert (result.ok, result.bad_seq) == (False, seq + 1)
    assert "does not follow" in result.why


@pytest.mark.parametrize("at", [0, 7, 18])
def test_a_removed_entry_is_found(at: int) -> None:
    entries = list(chain(20))
    del entries[at]
    result = verify_chain(entries, first_seq=1)
    assert (result.ok, result.bad_seq) == (False, at + 1)
    assert "missing" in result.why


def test_two_entries_that_changed_places_are_found() -> None:
    entries = list(chain(20))
    entries[5], entries[6] = entries[6], entries[5]
    assert verify_chain(entries, first_seq=1).bad_seq == 6


def test_an_entry_twice_is_found() -> None:
    entries = list(chain(5))
    assert verify_chain([*entries, entries[-1]], first_seq=1).bad_seq == 6


def test_a_number_that_is_not_the_bodys_is_found() -> None:
    entries = [(seq + 1, body, digest) for seq, body, digest in chain(5)]
    result = verify_chain(entries)
    assert (result.ok, result.bad_seq) == (False, 2)
    assert "another's place" in result.why


FOREIGN = "c" * 64


@pytest.mark.parametrize(
    "disguise",
    [
        {"details": {"prev": GENESIS, "seq": 1}},
        {"actor": f',"prev":"{GENESIS}","seq":1,'},
        {"actor": f'x"prev":"{GENESIS}","seq":1}}'},
        {"actor": f'{{,"prev":"{GENESIS}","seq":1,'},
        {"note": [f',"prev":"{GENESIS}"', ',"seq":1}']},
        {"a,": {f'b,"prev":"{GENESIS}","seq":1': 1}},
        {f'a,"prev":"{GENESIS}","seq":1,': 1},
        {"z": {"prev": GENESIS, "seq": 1}},
    ],
)
def test_a_predecessor_named_inside_a_text_or_a_nested_object_does_not_count(disguise: dict[str, Any]) -> None:
    body = canonical_json({**disguise, "prev": FOREIGN, "seq": 1})
    assert not verify_chain([(1, body, entry_hash(body))], first_seq=1).ok


@pytest.mark.parametrize("seq", ["10", "1e0", "1.0", '"1"', "true", "[1]", "-1"])
def test_a_number_that_only_begins_like_the_right_one_does_not_count(seq: str) -> None:
    body = f'{{"a":"b","prev":"{GENESIS}","seq":{seq}}}'
    assert not verify_chain([(1, body, entry_hash(body))], first_seq=1).ok


@pytest.mark.parametrize("body", ["", "[]", "null", "{", "\ud800", "[" * 100_000])
def test_a_body_that_is_no_object_is_found_without_a_crash(body: str) -> None:
    digest = hashlib.sha256(body.encode("utf-8", "surrogatepass")).hexdigest()
    assert verify_chain([(1, body, digest)], first_seq=1).bad_seq == 1
    assert verify_chain([(5, body, digest)]).bad_seq == 5


@given(st.data())
def test_no_flipped_character_goes_unseen(data: st.DataObject) -> None:
    entries = list(chain(6, details={"n": 1}, subject="msg"))
    index = data.draw(st.integers(0, 5))
    seq, body, digest = entries[index]
    at = data.draw(st.integers(0, len(body) - 1))
    other = data.draw(st.characters(exclude_characters=body[at]))
    forged = body[:at] + other + body[at + 1 :]
    recompute = data.draw(st.booleans()) and index < 5
    new_digest = hashlib.sha256(forged.encode("utf-8", "surrogatepass")).hexdigest() if recompute else digest
    entries[index] = (seq, forged, new_digest)
    assert not verify_chain(entries, first_seq=1).ok


@given(st.dictionaries(text, values, max_size=4).filter(lambda extra: not extra.keys() & {"prev", "seq"}))
def test_any_fields_beside_the_chains_own_verify(extra: dict[str, Any]) -> None:
    assert verify_chain(chain(3, note=1, details=extra), first_seq=1).ok
    body = canonical_json({**extra, "prev": GENESIS, "seq": 1})
    assert verify_chain([(1, body, entry_hash(body))], first_seq=1).ok


def _stored(entries: list[Entry]) -> list[tuple[int, bytes, bytes]]:
    return [(seq, body.encode("utf-8", "surrogatepass"), digest.encode()) for seq, body, digest in entries]


def test_a_sound_piece_is_certain_at_a_glance_wherever_it_begins() -> None:
    for subject in ("msg_" + "a" * 32, "hold:all", "", "é" * 50):
        entries = list(chain(30, subject=subject))
        assert unbroken(_stored(entries), GENESIS, 1) == entries[-1][2]
        assert unbroken(_stored(entries[7:]), entries[6][2], 8) == entries[-1][2]
        assert unbroken(_stored(entries[7:]), entries[5][2], 8) is None
        assert unbroken(_stored(entries[7:]), entries[6][2], 7) is None


@given(st.data())
def test_what_is_certain_at_a_glance_is_sound(data: st.DataObject) -> None:
    """Nothing gets by that the careful look would stop, whatever is changed."""
    entries = list(chain(5, subject=data.draw(text), detail=data.draw(values)))
    rows = _stored(entries)
    index = data.draw(st.integers(0, 4))
    seq, body, digest = rows[index]
    at = data.draw(st.integers(0, len(body) - 1))
    kind = data.draw(st.sampled_from(["body", "hash", "both", "seq", "swap"]))
    if kind in {"body", "both"}:
        body = body[:at] + data.draw(st.binary(max_size=3)) + body[at + 1 :]
    if kind == "both":
        digest = hashlib.sha256(body).hexdigest().encode()
    if kind == "hash":
        digest = data.draw(st.binary(max_size=64)) + digest[data.draw(st.integers(0, 64)) :]
    if kind == "seq":
        seq += data.draw(st.integers(-3, 3))
    rows[index] = (seq, body, digest)
    if kind == "swap":
        rows[index], rows[at % 5] = rows[at % 5], rows[index]
    if unbroken(rows, GENESIS, 1) is not None:
        careful = [(n, b.decode("utf-8", "surrogateescape"), d.decode(errors="replace")) for n, b, d in rows]
        assert verify_chain(careful, prev=GENESIS, first_seq=1).ok


@pytest.mark.parametrize("subject", ['"', "\\", 'x"}', '","seq":1,"subject":"', "\n"])
def test_a_subject_that_needs_escapes_is_left_to_the_careful_look(subject: str) -> None:
    entries = list(chain(3, subject=subject))
    assert unbroken(_stored(entries), GENESIS, 1) in {None, entries[-1][2]}
    assert verify_chain(entries, prev=GENESIS, first_seq=1).ok
