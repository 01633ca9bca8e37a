"""Sealing bytes under a key (AES-256-GCM) and deriving one from a passphrase (scrypt). Stores nothing, asks nobody.

Everything sealed is bound to what it is (its associated data, canonical JSON): ciphertexts cannot change places.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import NamedTuple

from engine.errors import VaultDamaged
from engine.rules.canonical import canonical_json

KEY_BYTES = 32
_NONCE_BYTES = 12
"""96 bits, random: NIST SP 800-38D allows 2^32 of them under one key."""
_TAG_BYTES = 16

FLOOR_N = 2**17
FLOOR_R = 8
FLOOR_P = 1
"""scrypt's cost: 128 MiB and some 0.4 s a guess (OWASP Password Storage Cheat Sheet, its first choice)."""
_MOST_BYTES = 2**30
"""Of memory. A row that was changed to ask for more must not take the machine down."""
_SALT_BYTES = 16


class Kdf(NamedTuple):
    """How a key comes from a passphrase: scrypt's parameters. Memory: 128 * n * r bytes."""

    n: int
    r: int
    p: int
    salt: bytes

    def document(self) -> dict[str, object]:
        """Return it as it is stored and bound."""
        return {"kdf": "scrypt", "n": self.n, "p": self.p, "r": self.r, "salt": self.salt.hex()}


def new_kdf(entropy: Callable[[int], bytes]) -> Kdf:
    """Return the parameters for a new passphrase."""
    return Kdf(FLOOR_N, FLOOR_R, FLOOR_P, entropy(_SALT_BYTES))


def kdf_of(text: str) -> Kdf:
    """Read stored parameters. Raises VaultDamaged where they are weaker than the floor, or none at all."""
    try:
        document = json.loads(text)
        n, r, p = (int(document[name]) for name in ("n", "r", "p"))
        salt = bytes.fromhex(document["salt"])
        known = document["kdf"] == "scrypt"
    except (ValueError, KeyError, TypeError) as error:
        raise VaultDamaged("the stored parameters of the passphrase are not what was written") from error
    power_of_two = n > 0 and n & (n - 1) == 0
    if not known or not power_of_two or n < FLOOR_N or r < FLOOR_R or p < FLOOR_P or len(salt) < _SALT_BYTES:
        raise VaultDamaged(
            f"the stored parameters of the passphrase (scrypt n={n} r={r} p={p}) are weaker than this program writes: "
            "they were changed"
        )
    if 128 * n * r > _MOST_BYTES or p > 16:
        raise VaultDamaged(f"the stored parameters of the passphrase (scrypt n={n} r={r} p={p}) ask for too much")
    return Kdf(n, r, p, salt)


def derive(passphrase: str, kdf: Kdf) -> bytes:
    """Return the key of a passphrase. Takes about half a second and 128 MiB.

    The same characters may be typed as different code points on another keyboard: they are composed (NFC) first.
    """
    from unicodedata import normalize

    return scrypt(normalize("NFC", passphrase).encode("utf-8", "surrogateescape"), kdf, KEY_BYTES)


def scrypt(secret: bytes, kdf: Kdf, length: int) -> bytes:
    """Return RFC 7914's function."""
    from cryptography.hazmat.primitives.kdf.scrypt import Scrypt

    return Scrypt(salt=kdf.salt, length=length, n=kdf.n, r=kdf.r, p=kdf.p).derive(secret)


def root_id(key: bytes) -> str:
    """Return a root key's public name, 16 hex digits: says which key fits, and nothing about it."""
    import hashlib

    return hashlib.sha256(b"chronos root key\0" + key).hexdigest()[:16]


def seal(key: bytes, plain: bytes, binding: Mapping[str, object], entropy: Callable[[int], bytes]) -> bytes:
    """Return nonce and ciphertext. binding: what it is and belongs to; needed word for word to open it."""
    return encrypt(key, entropy(_NONCE_BYTES), plain, canonical_json(binding).encode())


def unseal(key: bytes, sealed: bytes, binding: Mapping[str, object], what: str) -> bytes:
    """Return what was sealed. Raises VaultDamaged, naming `what`, for another key, other bytes, another binding."""
    plain = decrypt(key, sealed, canonical_json(binding).encode())
    if plain is None:
        raise VaultDamaged(
            f"{what} cannot be decrypted: it was changed, swapped with another, or put back from an older copy"
        )
    return plain


def encrypt(key: bytes, nonce: bytes, plain: bytes, associated: bytes) -> bytes:
    """Return the nonce, AES-256-GCM's ciphertext and its tag of 16 bytes."""
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    return nonce + AESGCM(key).encrypt(nonce, plain, associated)


def decrypt(key: bytes, sealed: bytes, associated: bytes) -> bytes | None:
    """Return what `encrypt` was given, None where anything at all is different."""
    from cryptography.exceptions import InvalidTag
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

    if len(sealed) < _NONCE_BYTES + _TAG_BYTES:
        return None
    try:
        return AESGCM(key).decrypt(sealed[:_NONCE_BYTES], sealed[_NONCE_BYTES:], associated)
    except InvalidTag:
        return None
