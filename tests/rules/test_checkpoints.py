"""Checkpoints: what is signed, how it reads back after any transport, and published vectors of what it stands on."""

from __future__ import annotations

import base64
import json
import re
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path
from typing import Any

import cryptography_vectors
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import BadInput
from engine.rules import checkpoints, witnesses
from engine.rules.canonical import canonical_json, entry_hash
from engine.rules.checkpoints import Checkpoint, NoCheckpoint, Proofs, Trust

HASH = "ab" * 32


class Scripted:
    """A signer whose key everybody knows."""

    def __init__(self, seed: int = 1) -> None:
        self._key = Ed25519PrivateKey.from_private_bytes(bytes([seed]) * 32)
        self.public_hex = self._key.public_key().public_bytes_raw().hex()

    def sign(self, message: bytes) -> bytes:
        return self._key.sign(message)


def made(seq: int = 900, instance: str = "box.example.org") -> Checkpoint:
    return checkpoints.sign(Scripted(), seq, HASH, "2026-11-23T18:00:00.000Z", instance)


# Published vectors


def _ed25519_vectors() -> list[tuple[str, str, str]]:
    """(public key, message, signature) in hex, of the file that the author of Ed25519 published (RFC 8032 has some)."""
    path = Path(str(cryptography_vectors.__file__)).parent / "asymmetric" / "Ed25519" / "sign.input"
    found = []
    for line in path.read_text(encoding="ascii").split():
        _secret, public, message, signed = line.split(":")[:4]
        found.append((public, message, signed[:128]))
    return found


def test_signatures_of_the_published_vectors_fit() -> None:
    vectors = _ed25519_vectors()
    assert len(vectors) == 1024
    for public, message, signature in vectors:
        written = base64.b64encode(bytes.fromhex(signature)).decode()
        assert checkpoints.is_signed(bytes.fromhex(message), public, written)
        assert not checkpoints.is_signed(bytes.fromhex(message) + b"x", public, written)


@pytest.mark.parametrize(
    ("secret", "public", "message", "signature"),
    [
        (  # RFC 8032, 7.1, TEST 2
            "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
            "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
            "72",
            (
                "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00"
            ),
        ),
    ],
)
def test_the_rfcs_signature_is_made_and_fits(secret: str, public: str, message: str, signature: str) -> None:
    key = Ed25519PrivateKey.from_private_bytes(bytes.fromhex(secret))

    class Signer:
        public_hex = public

        def sign(self, text: bytes) -> bytes:
            return key.sign(text)

    written = checkpoints.signature_of(Signer(), bytes.fromhex(message))
    assert base64.b64decode(written).hex() == signature
    assert checkpoints.is_signed(bytes.fromhex(message), public, written)


def test_canonical_json_of_the_rfcs_example() -> None:
    """RFC 8785, 3.2.2 and 3.2.4: what is read, and the bytes that come of it."""
    text = (
        '{"numbers": [333333333.33333329, 1E30, 4.50, 2e-3, 0.000000000000000000000000001],'
        r'"string": "\u20ac$\u000F\u000aA'
        "'"
        r'\u0042\u0022\u005c\\\"\/", "literals": [null, true, false]}'
    )
    wanted = (
        "7b 22 6c 69 74 65 72 61 6c 73 22 3a 5b 6e 75 6c 6c 2c 74 72 75 65 2c 66 61 6c 73 65 5d 2c 22 6e 75 6d 62 65 "
        "72 73 22 3a 5b 33 33 33 33 33 33 33 33 33 2e 33 33 33 33 33 33 33 2c 31 65 2b 33 30 2c 34 2e 35 2c 30 2e 30 "
        "30 32 2c 31 65 2d 32 37 5d 2c 22 73 74 72 69 6e 67 22 3a 22 e2 82 ac 24 5c 75 30 30 30 66 5c 6e 41 27 42 5c "
        "22 5c 5c 5c 5c 5c 22 2f 22 7d"
    )
    assert canonical_json(json.loads(text)).encode() == bytes.fromhex(wanted)


def test_keys_are_sorted_as_the_rfc_sorts_them() -> None:
    """RFC 8785, 3.2.3: by UTF-16 code units, which puts an emoji before U+FB33."""
    given = {
        "\u20ac": "Euro Sign",
        "\r": "Carriage Return",
        "\ufb33": "Hebrew Letter Dalet With Dagesh",
        "1": "One",
        "\U0001f600": "Emoji: Grinning Face",
        "\u0080": "Control",
        "\u00f6": "Latin Small Letter O With Diaeresis",
    }
    order = ["Carriage Return", "One", "Control", "Latin Small Letter O With Diaeresis", "Euro Sign"]
    order += ["Emoji: Grinning Face", "Hebrew Letter Dalet With Dagesh"]
    assert list(json.loads(canonical_json(given)).values()) == order


@pytest.mark.parametrize(
    ("given", "wanted"),
    [  # the examples that the RFC's author publishes beside it (cyberphone/json-canonicalization, testdata)
        ([56, {"d": True, "10": None, "1": []}], '[56,{"1":[],"10":null,"d":true}]'),
        (
            {"1": {"f": {"f": "hi", "F": 5}, "\n": 56.0}, "10": {}, "": "empty", "a": {}, "111": [], "A": {}},
            '{"":"empty","1":{"\\n":56,"f":{"F":5,"f":"hi"}},"10":{},"111":[],"A":{},"a":{}}',
        ),
        (
            {
                "peach": "This sorting order",
                "péché": "is wrong according to French",
                "pêche": "but canonicalization MUST",
                "sin": "ignore locale",
            },
            (
                '{"peach":"This sorting order","péché":"is wrong according to French",'
                '"pêche":"but canonicalization MUST","sin":"ignore locale"}'
            ),
        ),
        ({"Unnormalized Unicode": "A\u030a"}, '{"Unnormalized Unicode":"A\u030a"}'),
    ],
)
def test_canonical_json_of_the_published_examples(given: Any, wanted: str) -> None:
    assert canonical_json(given) == wanted


# A checkpoint


def test_what_is_signed_is_the_canonical_json_of_at_hash_and_seq() -> None:
    one = made()
    wanted = b'{"at":"2026-11-23T18:00:00.000Z","hash":"' + HASH.encode() + b'","seq":900}'
    assert checkpoints.statement(one.seq, one.hash, one.at) == wanted
    Ed25519PrivateKey.from_private_bytes(b"\x01" * 32).public_key().verify(base64.b64decode(one.signature), wanted)
    assert one.fits()


@pytest.mark.parametrize(
    "change",
    [
        {"seq": 901},
        {"hash": "ac" * 32},
        {"at": "2026-11-23T18:00:00.001Z"},
        {"key": Scripted(2).public_hex},
        {"key": "zz" * 32},
        {"signature": ""},
        {"signature": "!" + made().signature[1:]},
        {"signature": base64.b64encode(b"\0" * 64).decode()},
        {"signature": made().signature[:-4]},
    ],
)
def test_a_checkpoint_of_which_anything_was_changed_does_not_fit(change: dict[str, Any]) -> None:
    changed = checkpoints.Checkpoint(**{**made().document(), **change})
    assert not changed.fits()


def test_a_document_reads_back_as_what_it_was() -> None:
    assert checkpoints.from_document(json.loads(json.dumps(made().document()))) == made()


@pytest.mark.parametrize(
    "change",
    [
        {"seq": "900"},
        {"seq": -1},
        {"seq": True},
        {"seq": 2**60},
        {"hash": "AB" * 32},
        {"hash": None},
        {"at": 7},
        {"key": "ab"},
        {"signature": None},
    ],
)
def test_what_is_no_checkpoint_is_said_to_be_none(change: dict[str, Any]) -> None:
    with pytest.raises(NoCheckpoint):
        checkpoints.from_document({**made().document(), **change})
    with pytest.raises(NoCheckpoint):
        checkpoints.from_document([])


# Signed entries in a log


def _entry(action: str, detail: dict[str, Any], seq: int = 901, prev: str = HASH, at: str = made().at) -> bytes:
    fields = {"action": action, "actor": "engine", "at": at, "detail": detail, "prev": prev, "seq": seq}
    return canonical_json({**fields, "subject": "audit"}).encode()


def test_a_checkpoint_in_its_place_vouches_for_the_entry_before_it() -> None:
    proofs = Proofs(Trust(frozenset({Scripted().public_hex}), confirmed=True))
    assert proofs.notice(901, _entry("audit.checkpoint", made().detail())) == ""
    assert proofs.signed == [900]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ((902, _entry("audit.checkpoint", made().detail(), seq=902)), "over another log"),
        ((901, _entry("audit.checkpoint", made().detail(), prev="cd" * 32)), "over another log"),
        ((901, _entry("audit.checkpoint", made().detail(), at="2026-11-23T18:00:01.000Z")), "over another log"),
        ((901, _entry("audit.checkpoint", {})), "malformed"),
        ((901, _entry("audit.checkpoint", {**made().detail(), "signature": "AA=="})), "does not fit"),
        ((901, _entry("audit.pruned", made().detail())), "does not fit"),
        ((901, _entry("audit.pruned", {})), "malformed"),
    ],
)
def test_a_signed_entry_that_is_not_true_is_told(entry: tuple[int, bytes], says: str) -> None:
    assert says in Proofs(Trust()).notice(*entry)


def test_a_checkpoint_by_another_key_than_the_vaults_is_told() -> None:
    proofs = Proofs(Trust(frozenset({Scripted(2).public_hex}), confirmed=True))
    assert "not with this vault's" in proofs.notice(901, _entry("audit.checkpoint", made().detail()))


def test_what_is_signed_of_a_pruning_is_another_form() -> None:
    """A checkpoint that the log holds must not serve as the proof that everything before it was archived."""
    detail = {"at": made().at, "file": "f", "hash": HASH, "seq": 900, "sha256": HASH}
    assert checkpoints.pruning_statement(detail) != checkpoints.statement(900, HASH, made().at)
    signed = {**detail, "key": Scripted().public_hex}
    signed["signature"] = checkpoints.signature_of(Scripted(), checkpoints.pruning_statement(detail))
    proofs = Proofs(Trust())
    assert proofs.notice(1_000, _entry("audit.pruned", signed, seq=1_000)) == ""
    assert proofs.pruned == {900: HASH}
    assert "malformed" in proofs.notice(1_000, _entry("audit.pruned", signed, seq=1_000, at="2026-11-23T19:00:00.000Z"))


# A witness, as it comes back


def _export(count: int, first: int = 1, prev: str = "0" * 64) -> list[str]:
    lines = []
    for seq in range(first, first + count):
        entry = {"action": "message.queued", "detail": {"n": "Grüße ✓\u2028"}, "prev": prev, "seq": seq, "subject": "x"}
        prev = entry_hash(canonical_json(entry))
        lines.append(json.dumps({**entry, "hash": prev}))
    return lines


MESSAGE = f"Keep this.\n\n{json.dumps(made().document(), indent=2)}\n\nThe end.\n"


def _mail(text: str, *, encoding: str | None = None, html: bool = False) -> bytes:
    message = EmailMessage(policy=SMTP)
    message["From"], message["Subject"] = "box@example.org", "Audit log"
    if html:
        message.set_content("see the other part")
        message.add_alternative(f"<p>{text.replace('&', '&amp;').replace(chr(34), '&quot;')}</p>", subtype="html")
    else:
        message.set_content(text, cte=encoding)
    return message.as_bytes()


def _forwarded(data: bytes) -> bytes:
    import email
    import email.policy

    outer = EmailMessage(policy=SMTP)
    outer["Subject"] = "Fwd"
    outer.set_content("see below")
    outer.add_attachment(email.message_from_bytes(data, policy=email.policy.default))
    return outer.as_bytes()


@pytest.mark.parametrize(
    "data",
    [
        json.dumps(made().document()).encode(),
        json.dumps(made().document(), indent=2).encode(),
        b"\xef\xbb\xbf" + json.dumps(made().document(), indent=2).replace("\n", "\r\n").encode(),
        MESSAGE.encode(),
        re.sub("^", "> ", MESSAGE, flags=re.MULTILINE).encode(),
        re.sub("(.{60})", "\\1\n", json.dumps(made().document())).encode(),
        re.sub("(.{60})", "\\1\n", MESSAGE.replace("\n", " ")).encode(),
        re.sub("^", ">> ", re.sub("(.{60})", "\\1\n", json.dumps(made().document())), flags=re.MULTILINE).encode(),
        _mail(MESSAGE),
        _mail(MESSAGE, encoding="quoted-printable"),
        _mail(json.dumps(made().document()), encoding="quoted-printable"),
        _mail(MESSAGE, encoding="base64"),
        _mail(MESSAGE, html=True),
        _forwarded(_mail(MESSAGE, encoding="quoted-printable")),
        b"From someone Mon Nov 23 18:00:00 2026\n" + _mail(MESSAGE),
    ],
    ids=lambda data: f"{len(data)} bytes",  # a mail's boundaries are random, and every worker must know the same tests
)
def test_a_witness_message_is_read_after_any_transport(data: bytes) -> None:
    assert witnesses.read(data).checkpoints == [made()]


def test_an_export_is_read_whole_in_part_and_packed() -> None:
    import gzip

    lines = _export(30)
    for chosen in (lines, lines[10:], [lines[3], lines[20]]):
        text = "\n".join([*chosen, json.dumps(made().document())]).encode()
        for data in (text, gzip.compress(text)):
            found = witnesses.read(data)
            assert [found.hash_at(n) for n in range(len(found.seqs))] == [json.loads(one)["hash"] for one in chosen]
            assert list(found.seqs) == [json.loads(one)["seq"] for one in chosen]
            assert (found.checkpoints, found.damaged) == ([made()], None)


def test_an_export_that_was_changed_itself_says_so() -> None:
    lines = _export(5)
    lines[2] = lines[2].replace("message.queued", "message.held")
    assert witnesses.read("\n".join(lines).encode()).damaged == 3


@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"", "empty"),
        (b" \n", "empty"),
        (b"hello", "no exported entries"),
        (b"{}", "neither an entry"),
        (b"[]", "no exported entries"),
        (b'{"a":1}\n', "neither an entry"),
        ("\n".join([*_export(3), "{"]).encode(), "line 4 is no JSON"),
        ("\n".join([*_export(3), _export(1)[0]]).encode(), "entry 1 stands behind entry 3"),
        (json.dumps({"prev": "", "seq": "1", "hash": HASH}).encode(), "no entry"),
        (json.dumps({"prev": "", "seq": 1, "hash": "x"}).encode(), "no entry"),
        (b"\x1f\x8b broken", "cannot be unpacked"),
        (b"{" * 100_000, "no exported entries"),
        (b"\xff\xfe\x00", "no exported entries"),
    ],
)
def test_what_is_no_witness_is_refused_in_one_line(data: bytes, says: str) -> None:
    with pytest.raises(BadInput, match=says) as refused:
        witnesses.read(data)
    assert "\n" not in str(refused.value)


@given(st.binary(max_size=300) | st.text(max_size=300).map(str.encode))
def test_nothing_that_is_read_crashes(data: bytes) -> None:
    try:
        witnesses.read(data)
    except BadInput:
        return
