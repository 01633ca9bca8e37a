"""Age files that somebody changed, cut, grew or built to do harm."""

from __future__ import annotations

import base64
import io
import random

import pytest

from engine.errors import ArchiveRefused, BadInput, ChronosError
from engine.host import age
from engine.rules import bech32

IDENTITY = "AGE-SECRET-KEY-1GFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPYYSJZGFPQ4EGAEX"
RECIPIENT = "age1zvkyg2lqzraa2lnjvqej32nkuu0ues2s82hzrye869xeexvn73equnujwj"
"""The identity of 32 times 0x42, and its public half."""

CHUNK = 64 * 1024
SEALED_CHUNK = CHUNK + 16
PLAIN = random.Random(7).randbytes(2 * CHUNK + 1_000)


def sealed(plain: bytes = PLAIN) -> bytes:
    out = io.BytesIO()
    age.encrypt(io.BytesIO(plain), out, recipients=[RECIPIENT], entropy=random.Random(1).randbytes)
    return out.getvalue()


def opened(data: bytes, *, passphrase: str | None = None) -> bytes:
    out = io.BytesIO()
    age.decrypt(io.BytesIO(data), out, identities=[IDENTITY], passphrase=passphrase)
    return out.getvalue()


def payload_at(data: bytes) -> int:
    """Where the first chunk begins: behind the MAC's line and the nonce."""
    return data.index(b"\n", data.index(b"\n--- ") + 1) + 1 + 16


def with_scrypt(factor: bytes, *, body: bytes = bytes(32), salt: bytes = bytes(16)) -> bytes:
    def text(raw: bytes) -> bytes:
        return base64.b64encode(raw).rstrip(b"=")

    lines = [
        b"age-encryption.org/v1",
        b"-> scrypt " + text(salt) + b" " + factor,
        text(body),
        b"--- " + text(bytes(32)),
    ]
    return b"\n".join(lines) + b"\n" + bytes(64)


def test_what_was_not_touched_opens() -> None:
    assert opened(sealed()) == PLAIN


def test_every_bit_of_the_header_counts() -> None:
    data = sealed(b"small")
    for at in range(payload_at(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            with pytest.raises((ArchiveRefused, BadInput)) as refusal:
                opened(bytes(changed))
            assert "\n" not in str(refusal.value)


def test_every_bit_of_a_small_payload_counts() -> None:
    data = sealed(b"small")
    for at in range(payload_at(data), len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            with pytest.raises(ArchiveRefused, match="damaged"):
                opened(bytes(changed))


def test_a_file_cut_anywhere_is_refused() -> None:
    data, small = sealed(), sealed(b"small")
    start = payload_at(data)
    edges = [start, start + SEALED_CHUNK, start + 2 * SEALED_CHUNK]
    places = {edge + step for edge in edges for step in (-17, -16, -1, 0, 1, 15, 16, 17)} | {len(data) - 1}
    for place in places:
        with pytest.raises(ArchiveRefused):
            opened(data[:place])
    for place in range(len(small)):
        with pytest.raises(ArchiveRefused):
            opened(small[:place])


@pytest.mark.parametrize("more", [1, 15, 16, 17, SEALED_CHUNK])
@pytest.mark.parametrize("size", [0, 5, CHUNK, 2 * CHUNK])
def test_a_file_that_was_extended_is_refused(size: int, more: int) -> None:
    with pytest.raises(ArchiveRefused, match="does not open"):
        opened(sealed(PLAIN[:size]) + bytes(more))


def test_chunks_that_change_places_go_missing_or_come_twice_are_refused() -> None:
    data = sealed()
    start = payload_at(data)
    head, one, two, last = (
        data[:start],
        data[start : start + SEALED_CHUNK],
        data[start + SEALED_CHUNK : start + 2 * SEALED_CHUNK],
        data[start + 2 * SEALED_CHUNK :],
    )
    for parts in (
        (two, one, last),
        (one, last),
        (two, last),
        (one, one, two, last),
        (one, two),
        (one, two, last, last),
    ):
        with pytest.raises(ArchiveRefused, match="does not open"):
            opened(head + b"".join(parts))


def test_nothing_but_verified_bytes_is_written_before_the_refusal() -> None:
    whole = sealed()
    data = bytearray(whole)
    data[payload_at(whole) + SEALED_CHUNK + 9] ^= 1
    out = io.BytesIO()

    with pytest.raises(ArchiveRefused, match="part 2 "):
        age.decrypt(io.BytesIO(bytes(data)), out, identities=[IDENTITY])

    assert out.getvalue() == PLAIN[:CHUNK]


def test_an_empty_last_part_is_refused_where_it_is_not_the_only_one() -> None:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    # As sealed() draws: the file key, the ephemeral key, the nonce.
    drawn = random.Random(1)
    file_key, _ephemeral, nonce = drawn.randbytes(16), drawn.randbytes(32), drawn.randbytes(16)
    cipher = ChaCha20Poly1305(hkdf(file_key, nonce, b"payload"))
    data = sealed(PLAIN[:CHUNK])
    full = cipher.encrypt(bytes(12), PLAIN[:CHUNK], None)
    empty = cipher.encrypt(bytes(10) + b"\x01\x01", b"", None)

    with pytest.raises(ArchiveRefused, match="empty part"):
        opened(data[: payload_at(data)] + full + empty)


def hkdf(secret: bytes, salt: bytes, label: bytes) -> bytes:
    from cryptography.hazmat.primitives.hashes import SHA256
    from cryptography.hazmat.primitives.kdf.hkdf import HKDF

    return HKDF(SHA256(), 32, salt, label).derive(secret)


@pytest.mark.parametrize("factor", [b"23", b"30", b"64", b"99"])
def test_a_passphrase_that_asks_for_too_much_work_is_refused_before_the_work(factor: bytes) -> None:
    with pytest.raises(ArchiveRefused, match=r"more than 2\^22"):
        opened(with_scrypt(factor), passphrase="words")


@pytest.mark.parametrize("factor", [b"0", b"018", b"-1", b"+8", b"1e1", b"", b"100", b"\xd9\xa1"])
def test_a_work_factor_that_is_no_number_is_refused(factor: bytes) -> None:
    with pytest.raises(ArchiveRefused, match="not as age writes it"):
        opened(with_scrypt(factor), passphrase="words")


def test_a_passphrase_beside_recipients_is_refused() -> None:
    stanza = with_scrypt(b"10").split(b"\n", 1)[1].split(b"\n---")[0]
    version, rest = sealed().split(b"\n", 1)

    with pytest.raises(ArchiveRefused, match="beside other ways"):
        opened(version + b"\n" + stanza + b"\n" + rest, passphrase="words")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (b"-> X25519", "not as age writes it"),
        (b"->  X25519", "not as age writes it"),
        (b"-> X25519 AAAA\t", "not as age writes it"),
        (b"-> X25519 AAAA extra", "not as age writes it"),
        (b"->X25519 AAAA", "not as age writes it"),
        (b"--- AAAA", "not as age writes it"),
        (b"", "not as age writes it"),
    ],
)
def test_a_stanza_that_breaks_the_grammar_is_refused(line: bytes, words: str) -> None:
    version, _stanza, rest = sealed().split(b"\n", 2)

    with pytest.raises(ArchiveRefused, match=words):
        opened(version + b"\n" + line + b"\n" + rest)


def test_lines_that_end_in_cr_are_refused() -> None:
    data = sealed(b"small")
    start = payload_at(data) - 16
    with pytest.raises(ArchiveRefused):
        opened(data[:start].replace(b"\n", b"\r\n") + data[start:])


def test_a_key_with_which_everybody_shares_the_same_secret_is_refused() -> None:
    version, _stanza, body, rest = sealed().split(b"\n", 3)
    zero = base64.b64encode(bytes(32)).rstrip(b"=")

    with pytest.raises(ArchiveRefused, match="protects nothing"):
        opened(b"\n".join([version, b"-> X25519 " + zero, body, rest]))


def test_a_stanza_of_an_unknown_kind_is_left_to_others() -> None:
    """A header written by a later age, or with a recipient of a plugin, still opens with our own key."""
    version, rest = sealed(b"small").split(b"\n", 1)

    with pytest.raises(ArchiveRefused, match="header of the encrypted file is not what was written"):
        opened(version + b"\n-> grease-x 1 2\n\n" + rest)  # the key opens it; only the MAC does not know the stanza
    with pytest.raises(BadInput, match="other kinds"):
        opened(version + b"\n-> ssh-ed25519 abc\n\n" + rest[rest.index(b"---") :])


@pytest.mark.parametrize("unit", [b"a", b"-> a\n\n", b"age-encryption.org/v1\n"])
def test_an_endless_header_is_read_only_up_to_its_bound(unit: bytes) -> None:
    for start in (b"", b"age-encryption.org/v1\n"):
        source = io.BytesIO(start + unit * (200_000 // len(unit)))
        with pytest.raises(ArchiveRefused):
            age.decrypt(source, io.BytesIO(), identities=[IDENTITY])
        assert source.tell() <= 64 * 1024


@pytest.mark.parametrize("data", [b"", b"\n", b"PK\x03\x04" + bytes(100), b"age-encryption.org/v2\n", b"age"])
def test_what_is_no_age_file_is_said_to_be_none(data: bytes) -> None:
    with pytest.raises(ArchiveRefused, match="not an age file"):
        opened(data)


def test_an_armored_file_is_named() -> None:
    with pytest.raises(ArchiveRefused, match="armor"):
        opened(b"-----BEGIN AGE ENCRYPTED FILE-----\nYWdl\n-----END AGE ENCRYPTED FILE-----\n")


def test_random_bytes_behind_the_first_line_raise_nothing_else() -> None:
    generator = random.Random(11)
    for _ in range(2_000):
        data = b"age-encryption.org/v1\n" + generator.choice([b"-> X25519 ", b"-> scrypt ", b"--- ", b""])
        with pytest.raises(ChronosError):
            opened(data + generator.randbytes(generator.randrange(200)), passphrase="words")


# Keys


def test_what_was_not_given_is_asked_for() -> None:
    with pytest.raises(BadInput, match="give an identity"):
        age.decrypt(io.BytesIO(sealed()), io.BytesIO())
    with pytest.raises(BadInput, match="encrypted with a passphrase"):
        opened(with_scrypt(b"10"))


@pytest.mark.parametrize("recipients", [[], [RECIPIENT]])
def test_recipients_or_a_passphrase_and_never_both_or_none(recipients: list[str]) -> None:
    passphrase = "words" if recipients else None
    with pytest.raises(BadInput, match="one of the two"):
        age.encrypt(io.BytesIO(), io.BytesIO(), recipients=recipients, passphrase=passphrase)


@pytest.mark.parametrize(
    "recipient",
    [
        RECIPIENT[:-1] + "q",
        RECIPIENT.upper(),
        RECIPIENT[:10].upper() + RECIPIENT[10:],
        RECIPIENT + "q",
        RECIPIENT[:-1],
        "age1",
        "",
        "age1" + "b" * 58,
        IDENTITY,
        RECIPIENT.replace("k", "\u212a"),
        RECIPIENT.replace("k", "\u212a").upper(),
    ],
)
def test_a_recipient_with_a_wrong_letter_is_refused(recipient: str) -> None:
    out = io.BytesIO()
    with pytest.raises(BadInput, match="no age recipient"):
        age.encrypt(io.BytesIO(b"x"), out, recipients=[recipient])
    assert out.getvalue() == b""


def test_an_identity_with_a_wrong_letter_is_refused_and_never_repeated() -> None:
    for wrong in (IDENTITY[:-1] + "Q", IDENTITY.lower(), RECIPIENT, IDENTITY[:-6]):
        with pytest.raises(BadInput) as refusal:
            age.read_identities(f"# public key\n\n{wrong}\n")
        assert str(refusal.value).startswith("line 3: ")
        assert wrong[20:40] not in str(refusal.value)
    with pytest.raises(BadInput, match="no identity in it"):
        age.read_identities("# nothing\n")


def test_bech32_gives_the_bytes_of_the_asked_size_alone() -> None:
    assert bech32.decoded("AGE-SECRET-KEY-", IDENTITY, 32) == bytes([0x42] * 32)
    assert bech32.decoded("age", RECIPIENT, 31) is None


def test_bech32_takes_one_spelling_of_a_key() -> None:
    all_k = f"AGE-SECRET-KEY-1{'K' * 51}SHQRF6L"
    odd_bits = IDENTITY.removesuffix("Q4EGAEX") + "PG0UGY5"

    assert bech32.decoded("AGE-SECRET-KEY-", all_k, 32) is not None
    # U+212A is its own upper case, and its lower case is a k.
    assert bech32.decoded("AGE-SECRET-KEY-", all_k.replace("1K", "1\u212a"), 32) is None
    assert bech32.decoded("AGE-SECRET-KEY-", odd_bits, 32) is None, (
        "its checksum is right, its last four bits are not 0"
    )
