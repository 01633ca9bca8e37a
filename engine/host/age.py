"""Encrypts and decrypts files in the age format, version 1, in bounded memory. Opens no file and stores no key.

The format: https://c2sp.org/age. Recipients are X25519 keys (`age1…`), or one passphrase. The ordinary `age` program
reads what this writes, and the other way round. Why not a library: docs/decisions/055.
"""

from __future__ import annotations

import hashlib
import hmac
import os
import re
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, BinaryIO

from engine.errors import ArchiveRefused, BadInput, NotPossible
from engine.host import ageheader
from engine.host.ageheader import Header, Stanza
from engine.rules import bech32

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

WORK_FACTOR = 18
"""log2 of scrypt's N for new files: 256 MiB and about a second, as the age program takes it."""
MOST_WORK_FACTOR = 22
"""A file that asks for more (22: 4 GiB) is refused before any of it is spent; the age program's limit too."""

CHUNK_BYTES = 64 * 1024
_TAG_BYTES = 16
_KEY_BYTES = 32
_FILE_KEY_BYTES = 16
_NONCE_BYTES = 16
_SALT_BYTES = 16
_BODY_BYTES = _FILE_KEY_BYTES + _TAG_BYTES
_REPORT_EVERY = 16
"""Chunks: progress is told once a MiB."""

_X25519_LABEL = ageheader.VERSION + b"/X25519"
_SCRYPT_LABEL = ageheader.VERSION + b"/scrypt"
_FACTOR = re.compile(rb"[1-9][0-9]?")

Progress = Callable[[int, int], None]
"""Told bytes of the source that are done, and of how many."""


def encrypt(
    src: BinaryIO,
    dst: BinaryIO,
    *,
    recipients: Sequence[str] = (),
    passphrase: str | None = None,
    progress: Progress | None = None,
    entropy: Callable[[int], bytes] = os.urandom,
) -> None:
    """Write `src`, from where it stands, to `dst`: only those who hold a recipient's key, or the passphrase, read it.

    src: seekable. dst: buffered. Flushes and closes nothing. Memory: some 300 KiB, with a passphrase 256 MiB for a
    second. Raises BadInput for a recipient that is none, NotPossible where memory is short, OSError as the files do.
    """
    if bool(recipients) == (passphrase is not None):
        raise BadInput("encrypt to recipients or with a passphrase: one of the two, and not both")
    file_key = entropy(_FILE_KEY_BYTES)
    if passphrase is not None:
        stanzas = [_locked_by_passphrase(file_key, passphrase, entropy(_SALT_BYTES))]
    else:
        stanzas = [_locked_to(file_key, recipient, entropy(_KEY_BYTES)) for recipient in recipients]
    authenticated = b"\n".join([ageheader.VERSION, *map(ageheader.written, stanzas), b"---"])
    header = authenticated + b" " + ageheader.encoded(_mac(file_key, authenticated)) + b"\n"
    if len(header) > ageheader.MOST_BYTES:
        raise BadInput(f"{len(recipients)} recipients are too many for one file")
    nonce = entropy(_NONCE_BYTES)
    dst.write(header + nonce)
    cipher = _cipher(_hkdf(file_key, nonce, b"payload"))
    for number, chunk, last in _chunks(src, CHUNK_BYTES, progress):
        dst.write(cipher.encrypt(_counter(number, last=last), chunk, None))


def decrypt(
    src: BinaryIO,
    dst: BinaryIO,
    *,
    identities: Sequence[str] = (),
    passphrase: str | None = None,
    progress: Progress | None = None,
) -> None:
    """Write what is in `src`, from where it stands, to `dst`. src: seekable. dst: buffered. Closes nothing.

    Only bytes that were verified are ever written, but until it returns they may be the beginning of a file that was
    cut: whoever calls this throws `dst` away when it raises. Memory: some 300 KiB, with a passphrase what the file
    asks for, at most 4 GiB.

    Raises ArchiveRefused for what is no age file, or was damaged, cut or extended; BadInput for an identity that is
    none, or where nothing that was given opens it; NotPossible where memory is short; OSError as the files raise it.
    """
    keys = [_private_key(identity) for identity in identities]
    header = ageheader.read(src)
    file_key = _file_key(header, keys, passphrase)
    if not hmac.compare_digest(_mac(file_key, header.authenticated), header.mac):
        raise ArchiveRefused("damaged: the header of the encrypted file is not what was written")
    nonce = _read(src, _NONCE_BYTES)
    if len(nonce) < _NONCE_BYTES:
        raise ArchiveRefused("damaged: the encrypted file ends right behind its header")
    cipher = _cipher(_hkdf(file_key, nonce, b"payload"))
    for number, chunk, last in _chunks(src, CHUNK_BYTES + _TAG_BYTES, progress):
        plain = _opened(cipher, _counter(number, last=last), chunk)
        if plain is None:
            words = "it ends too early, or was changed" if last else "it was changed"
            raise ArchiveRefused(f"damaged: part {number + 1} of the encrypted file does not open: {words}")
        if not plain and number:
            raise ArchiveRefused("damaged: the encrypted file ends with an empty part, which age never writes")
        dst.write(plain)


def read_identities(text: str) -> tuple[str, ...]:
    """Return the identities in a file as age-keygen writes it: one a line, comments and empty lines left out.

    Raises BadInput, naming the line and not what is in it.
    """
    found = []
    for number, line in enumerate(text.splitlines(), start=1):
        words = line.strip()
        if words and not words.startswith("#"):
            try:
                _private_key(words)
            except BadInput as error:
                raise BadInput(f"line {number}: {error}") from error
            found.append(words)
    if not found:
        raise BadInput("no identity in it; a line begins with AGE-SECRET-KEY-1")
    return tuple(found)


# The payload: chunks of 64 KiB, each sealed under its number and whether it is the last


def _chunks(src: BinaryIO, size: int, progress: Progress | None) -> Iterator[tuple[int, bytes, bool]]:
    """Yield (number, bytes, whether it is the last one); at least one, which may be empty."""
    began = src.tell()
    total = src.seek(0, os.SEEK_END) - began
    src.seek(began)
    number, done, chunk = 0, 0, _read(src, size)
    while True:
        following = _read(src, size) if len(chunk) == size else b""
        yield number, chunk, not following
        done += len(chunk)
        if progress is not None and (not following or number % _REPORT_EVERY == _REPORT_EVERY - 1):
            progress(done, total)
        if not following:
            return
        number, chunk = number + 1, following


def _read(src: BinaryIO, size: int) -> bytes:
    """Return `size` bytes, fewer only at the end of the file."""
    data = src.read(size)
    while len(data) < size and (more := src.read(size - len(data))):
        data += more
    return data


def _counter(number: int, *, last: bool) -> bytes:
    return number.to_bytes(11, "big") + (b"\x01" if last else b"\x00")


def _mac(file_key: bytes, authenticated: bytes) -> bytes:
    return hmac.digest(_hkdf(file_key, b"", b"header"), authenticated, hashlib.sha256)


# The file key, and who gets it


def _file_key(header: Header, keys: Sequence[X25519PrivateKey], passphrase: str | None) -> bytes:
    kinds = [stanza.arguments[0] for stanza in header.stanzas]
    if b"scrypt" in kinds:
        if len(kinds) > 1:
            raise ArchiveRefused("damaged: the encrypted file has a passphrase beside other ways to open it")
        return _unlocked_by_passphrase(header.stanzas[0], passphrase)
    shares = [_share(stanza) for stanza in header.stanzas if stanza.arguments[0] == b"X25519"]
    if not shares:
        raise BadInput("it is encrypted to keys of other kinds than age1…; decrypt it with the age program")
    if not keys:
        raise BadInput("it is encrypted to age keys; give an identity (AGE-SECRET-KEY-1…)")
    for key in keys:
        for share, body in shares:
            file_key = _unlocked(key, share, body)
            if file_key is not None:
                return file_key
    raise BadInput("no identity that was given opens it: it is encrypted to others, or its header was changed")


def _share(stanza: Stanza) -> tuple[bytes, bytes]:
    if len(stanza.arguments) != 2 or len(stanza.body) != _BODY_BYTES:
        raise ageheader.refused()
    return ageheader.decoded(stanza.arguments[1], _KEY_BYTES), stanza.body


def _locked_to(file_key: bytes, recipient: str, ephemeral: bytes) -> Stanza:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey

    raw = bech32.decoded("age", recipient, _KEY_BYTES)
    if raw is None:
        raise BadInput(f"{recipient[:70]!r} is no age recipient (age1… and its checksum); copy it again")
    own = X25519PrivateKey.from_private_bytes(ephemeral)
    share = own.public_key().public_bytes_raw()
    wrapping = _agreed(own, X25519PublicKey.from_public_bytes(raw), share + raw)
    if wrapping is None:
        raise BadInput(f"{recipient[:70]!r} is a key that protects nothing; make one with age-keygen")
    return Stanza((b"X25519", ageheader.encoded(share)), _cipher(wrapping).encrypt(bytes(12), file_key, None))


def _unlocked(key: X25519PrivateKey, share: bytes, body: bytes) -> bytes | None:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PublicKey

    salt = share + key.public_key().public_bytes_raw()
    wrapping = _agreed(key, X25519PublicKey.from_public_bytes(share), salt)
    if wrapping is None:
        raise ArchiveRefused("damaged: the encrypted file names a key that protects nothing")
    return _opened(_cipher(wrapping), bytes(12), body)


def _agreed(own: X25519PrivateKey, other: X25519PublicKey, salt: bytes) -> bytes | None:
    """Return the key that two share; None for a point of low order, with which everybody shares the same."""
    try:
        shared = own.exchange(other)
    except ValueError:
        return None
    return _hkdf(shared, salt, _X25519_LABEL)


def _locked_by_passphrase(file_key: bytes, passphrase: str, salt: bytes) -> Stanza:
    wrapping = _stretched(passphrase, salt, WORK_FACTOR)
    body = _cipher(wrapping).encrypt(bytes(12), file_key, None)
    return Stanza((b"scrypt", ageheader.encoded(salt), str(WORK_FACTOR).encode()), body)


def _unlocked_by_passphrase(stanza: Stanza, passphrase: str | None) -> bytes:
    if len(stanza.arguments) != 3 or len(stanza.body) != _BODY_BYTES or not _FACTOR.fullmatch(stanza.arguments[2]):
        raise ageheader.refused()
    salt, factor = ageheader.decoded(stanza.arguments[1], _SALT_BYTES), int(stanza.arguments[2])
    if factor > MOST_WORK_FACTOR:
        raise ArchiveRefused(
            f"the encrypted file asks for 2^{factor} rounds of scrypt; more than 2^{MOST_WORK_FACTOR} is refused"
        )
    if passphrase is None:
        raise BadInput("it is encrypted with a passphrase; give it")
    file_key = _opened(_cipher(_stretched(passphrase, salt, factor)), bytes(12), stanza.body)
    if file_key is None:
        raise BadInput("the passphrase does not open it: it is another one, or the header was changed")
    return file_key


def _stretched(passphrase: str, salt: bytes, factor: int) -> bytes:
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    if not passphrase:
        raise BadInput("the passphrase is empty; give one")
    secret = passphrase.encode("utf-8", "surrogateescape")
    try:
        return Scrypt(salt=_SCRYPT_LABEL + salt, length=_KEY_BYTES, n=1 << factor, r=8, p=1).derive(secret)
    except MemoryError as error:
        need = (128 * 8 << factor) // (1 << 20)
        raise NotPossible(f"a passphrase takes {need} MiB of memory for a moment, and there is not so much") from error


def _private_key(identity: str) -> X25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

    raw = bech32.decoded("AGE-SECRET-KEY-", identity.strip(), _KEY_BYTES)
    if raw is None:
        raise BadInput("that is no age identity (AGE-SECRET-KEY-1… and its checksum); copy it again")
    return X25519PrivateKey.from_private_bytes(raw)


# Primitives


def _cipher(key: bytes) -> ChaCha20Poly1305:
    from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305

    return ChaCha20Poly1305(key)


def _opened(cipher: ChaCha20Poly1305, nonce: bytes, sealed: bytes) -> bytes | None:
    """Return what was sealed, None where anything at all is different."""
    from cryptography.exceptions import InvalidTag

    if len(sealed) < _TAG_BYTES:
        return None
    try:
        return cipher.decrypt(nonce, sealed, None)
    except InvalidTag:
        return None


def _hkdf(secret: bytes, salt: bytes, label: bytes) -> bytes:
    """RFC 5869 with SHA-256, 32 bytes: one round of it."""
    extracted = hmac.digest(salt, secret, hashlib.sha256)
    return hmac.digest(extracted, label + b"\x01", hashlib.sha256)
