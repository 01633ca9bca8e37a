"""Sealing and deriving, against published vectors and against every single change."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from pathlib import Path

import cryptography_vectors
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import VaultDamaged
from engine.host import sealing
from engine.host.sealing import Kdf
from engine.rules.canonical import canonical_json

VECTORS = Path(cryptography_vectors.__file__).parent
KEY = bytes(range(32))
BINDING = {"purpose": "test", "name": "smtp", "version": 1}


def _nist(file: str) -> Iterator[dict[str, str]]:
    """Yield NIST's records with our sizes: 256 bit keys, 96 bit nonces, 128 bit tags."""
    sizes: dict[str, str] = {}
    record: dict[str, str] = {}
    for line in (VECTORS / "ciphers" / "AES" / "GCM" / file).read_text().splitlines():
        if line.startswith("["):
            name, _, value = line.strip("[]").partition(" = ")
            sizes[name] = value
        elif " = " in line or line.endswith(" ="):
            name, _, value = line.partition(" =")
            record[name] = value.strip()
        elif line == "FAIL":
            record["FAIL"] = ""
        elif not line and record:
            if (sizes["Keylen"], sizes["IVlen"], sizes["Taglen"]) == ("256", "96", "128"):
                yield record
            record = {}


def test_the_vectors_of_nist_decrypt_or_are_refused_as_they_say() -> None:
    refused = opened = 0
    for record in _nist("gcmDecrypt256.rsp"):
        key, iv, ct, aad, tag = (bytes.fromhex(record[name]) for name in ("Key", "IV", "CT", "AAD", "Tag"))
        found = sealing.decrypt(key, iv + ct + tag, aad)
        expected = None if "FAIL" in record else bytes.fromhex(record["PT"])
        assert found == expected
        refused += expected is None
        opened += expected is not None
    assert opened > 100
    assert refused > 100


def test_the_vectors_of_nist_encrypt_as_they_say() -> None:
    done = 0
    for record in _nist("gcmEncryptExtIV256.rsp"):
        key, iv, pt, aad = (bytes.fromhex(record[name]) for name in ("Key", "IV", "PT", "AAD"))
        assert sealing.encrypt(key, iv, pt, aad).hex() == record["IV"] + record["CT"] + record["Tag"]
        done += 1
    assert done > 100


def test_the_vectors_of_rfc_7914_derive_as_they_say() -> None:
    records: list[dict[str, str]] = []
    for line in (VECTORS / "KDF" / "scrypt.txt").read_text().splitlines():
        name, equals, value = line.partition("=")
        if name.strip() == "COUNT":
            records.append({})
        elif equals:
            records[-1][name.strip()] = value.strip()
    assert len(records) >= 3
    for one in records[:3]:  # the fourth needs a GiB
        kdf = Kdf(int(one["N"]), int(one["r"]), int(one["p"]), one["SALT"].encode())
        assert sealing.scrypt(one["PASSWORD"].encode(), kdf, int(one["LENGTH"])).hex() == one["DERIVED_KEY"]


@given(st.binary(max_size=200), st.text(max_size=20))
def test_what_is_sealed_opens_under_its_binding_alone(plain: bytes, name: str) -> None:
    binding = {**BINDING, "name": name}
    sealed = sealing.seal(KEY, plain, binding, os.urandom)
    assert sealing.unseal(KEY, sealed, binding, "it") == plain
    for other in ({**binding, "name": f"{name}x"}, {**binding, "version": 2}, {**binding, "more": 1}):
        with pytest.raises(VaultDamaged, match="it cannot be decrypted"):
            sealing.unseal(KEY, sealed, other, "it")


def test_every_single_bit_counts() -> None:
    sealed = sealing.seal(KEY, b"hunter2", BINDING, os.urandom)
    for at in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[at // 8] ^= 1 << at % 8
        with pytest.raises(VaultDamaged):
            sealing.unseal(KEY, bytes(changed), BINDING, "it")
    for length in range(len(sealed)):
        with pytest.raises(VaultDamaged):
            sealing.unseal(KEY, sealed[:length], BINDING, "it")
    with pytest.raises(VaultDamaged):
        sealing.unseal(bytes(32), sealed, BINDING, "it")


def test_a_passphrase_gives_the_same_key_however_its_letters_are_composed() -> None:
    kdf = sealing.new_kdf(bytes)
    assert (kdf.n, kdf.r, kdf.p) == (2**17, 8, 1)
    assert sealing.derive("caf\u00e9 am Markt", kdf) == sealing.derive("cafe\u0301 am Markt", kdf)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"n": 2**16}, "weaker"),
        ({"n": 1}, "weaker"),
        ({"n": 0}, "weaker"),
        ({"n": 2**17 + 1}, "weaker"),
        ({"r": 1}, "weaker"),
        ({"p": 0}, "weaker"),
        ({"salt": "00"}, "weaker"),
        ({"kdf": "pbkdf2"}, "weaker"),
        ({"n": 2**30}, "too much"),
        ({"p": 1000}, "too much"),
        ({"salt": "xyz"}, "not what was written"),
        ({"n": None}, "not what was written"),
    ],
)
def test_weakened_parameters_are_refused_before_anything_is_derived(change: dict[str, object], words: str) -> None:
    kdf = sealing.new_kdf(os.urandom)
    assert sealing.kdf_of(canonical_json(kdf.document())) == kdf
    with pytest.raises(VaultDamaged, match=words):
        sealing.kdf_of(canonical_json({**kdf.document(), **change}))


def test_parameters_that_are_no_json_are_refused() -> None:
    for text in ("", "[]", "null", "{", '{"n":1}'):
        with pytest.raises(VaultDamaged, match="not what was written"):
            sealing.kdf_of(text)


def test_a_root_key_is_named_by_what_says_nothing_about_it() -> None:
    keys = [random.Random(seed).randbytes(32) for seed in range(100)]
    names = {sealing.root_id(key) for key in keys}
    assert len(names) == 100
    assert all(len(name) == 16 and name not in key.hex() for name, key in zip(names, keys, strict=True))
