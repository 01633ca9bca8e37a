"""Certificate and key of the HTTP door: what is refused, in which words, and what is warned of."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from engine.errors import ConfigError
from engine.host.certificates import expiry_words, server_context
from engine.host.config.checks import refusals, warnings
from tests.support import settings

NOW = datetime.now(UTC)


class Files:
    """A certificate and its key, each in a file of its own."""

    def __init__(self, directory: Path, *, days: float = 365, passphrase: bytes | None = None) -> None:
        self.key = directory / "key.pem"
        self.certificate = directory / "certificate.pem"
        private = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "box.example.org")])
        made = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(private.public_key())
            .serial_number(1)
            .not_valid_before(NOW - timedelta(days=400))
            .not_valid_after(NOW + timedelta(days=days))
            .sign(private, hashes.SHA256())
        )
        locked: serialization.KeySerializationEncryption = (
            serialization.BestAvailableEncryption(passphrase) if passphrase else serialization.NoEncryption()
        )
        self.certificate.write_bytes(made.public_bytes(serialization.Encoding.PEM))
        self.key.write_bytes(
            private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, locked)
        )
        self.key.chmod(0o600)

    def http(self, **changes: Any) -> dict[str, Any]:
        return {"enabled": True, "tls_certificate": str(self.certificate), "tls_key": str(self.key), **changes}


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def test_no_certificate_is_no_tls() -> None:
    assert server_context({"tls_certificate": None, "tls_key": None}) is None


def test_certificate_and_key_are_loaded_from_two_files_or_one(files: Files) -> None:
    assert server_context(files.http()) is not None
    both = files.certificate.with_name("both.pem")
    both.write_bytes(files.certificate.read_bytes() + files.key.read_bytes())
    both.chmod(0o640)  # a group may read it
    assert server_context(files.http(tls_certificate=str(both), tls_key=None)) is not None


def _missing(files: Files) -> dict[str, Any]:
    files.certificate.unlink()
    return files.http()


def _open_key(files: Files) -> dict[str, Any]:
    files.key.chmod(0o644)
    return files.http()


def _garbage(files: Files) -> dict[str, Any]:
    files.certificate.write_text("no certificate")
    return files.http()


def _other_key(files: Files) -> dict[str, Any]:
    other = files.key.with_name("other")
    other.mkdir()
    return files.http(tls_key=str(Files(other).key))


def _locked_key(files: Files) -> dict[str, Any]:
    other = files.key.with_name("locked")
    other.mkdir()
    return Files(other, passphrase=b"secret").http()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (_missing, "http.tls_certificate: .*certificate.pem: No such file"),
        (_open_key, "http.tls_key: .*key.pem has mode 0644; others must not read a key: chmod 600 it"),
        (_garbage, "cannot be loaded as PEM"),
        (_other_key, "does not belong to the certificate"),
        (_locked_key, "is protected by a passphrase"),
        (lambda files: files.http(tls_certificate=None), "http.tls_key: set without http.tls_certificate"),
        (lambda files: files.http(tls_certificate="box.pem"), "box.pem is no absolute path"),
        (lambda files: files.http(tls_key=None, tls_certificate=str(files.key)), "cannot be loaded as PEM"),
    ],
)
def test_what_cannot_be_used_is_refused_in_one_line(
    files: Files, make: Callable[[Files], dict[str, Any]], says: str
) -> None:
    with pytest.raises(ConfigError, match=says) as refused:
        server_context(make(files))
    assert len(refused.value.problems) == 1
    assert "\n" not in refused.value.problems[0]


@pytest.mark.parametrize(("days", "says"), [(30, ""), (13, "runs out at "), (-1, "ran out at ")])
def test_the_end_of_a_certificate_is_warned_of(tmp_path: Path, days: float, says: str) -> None:
    files = Files(tmp_path, days=days)
    words = expiry_words(files.http(), NOW.timestamp())
    assert (says in words) if says else not words
    configured = settings(http=files.http())
    assert any(says in line for line in warnings(configured)) if says else not refusals(configured)


@pytest.mark.parametrize(
    ("listen", "refused"),
    [
        ("127.0.0.1:8467", False),
        ("[::1]:8467", False),
        ("localhost:8467", False),
        ("/run/chronos/http.sock", False),
        ("0.0.0.0:8467", True),
        ("[::]:8467", True),
        ("192.0.2.1:80", True),
        ("box.example.org:8467", True),
    ],
)
def test_keys_in_the_clear_stay_on_this_machine(files: Files, listen: str, *, refused: bool) -> None:
    assert bool(refusals(settings(http={"listen": listen}))) is refused
    assert not refusals(settings(http={"listen": listen}, security={"require_https": False}))
    assert not refusals(settings(http={"listen": listen, "enabled": False}))
    assert not refusals(settings(http=files.http(listen=listen)))
