"""A server's certificate and key: judged, loaded, and how long they hold. Speaks no TLS itself."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from engine.errors import ConfigError

if TYPE_CHECKING:
    import ssl

WARN_BEFORE_DAYS = 14


def server_context(http: Mapping[str, Any]) -> ssl.SSLContext | None:
    """Return the context of `http.tls_certificate`, None where none is configured. TLS 1.2 or newer.

    Raises ConfigError: a file is missing, unreadable, no certificate, does not fit, or others may read the key.
    """
    certificate, key = http["tls_certificate"], http["tls_key"]
    if not certificate:
        if key:
            raise ConfigError(["http.tls_key: set without http.tls_certificate; set both, or remove it"])
        return None
    _judge(certificate, "http.tls_certificate", private=not key)
    if key:
        _judge(key, "http.tls_key", private=True)
    return _load(certificate, key)


def expires(certificate: str) -> datetime | None:
    """Return when a certificate's validity ends (UTC); None if it cannot be read."""
    from cryptography import x509

    try:
        return x509.load_pem_x509_certificate(Path(certificate).read_bytes()).not_valid_after_utc
    except (OSError, ValueError):
        return None


def expiry_words(http: Mapping[str, Any], now_s: float) -> str:
    """Return a warning when the certificate has run out or will within WARN_BEFORE_DAYS; "" otherwise."""
    if not http["enabled"] or not http["tls_certificate"]:
        return ""
    until = expires(http["tls_certificate"])
    if until is None:
        return ""
    left_s = until.timestamp() - now_s
    if left_s >= WARN_BEFORE_DAYS * 86_400:
        return ""
    when = f"{until:%Y-%m-%d %H:%M} UTC"
    state = f"ran out at {when}" if left_s < 0 else f"runs out at {when}"
    return f"http.tls_certificate: {state}; renew it and reload with SIGHUP"


def _judge(file: str, key: str, *, private: bool) -> None:
    if not os.path.isabs(file):  # noqa: PTH117 - a question about text
        raise ConfigError([f"{key}: {file} is no absolute path"])
    try:
        with open(file, "rb") as opened:  # noqa: PTH123 - one open file is judged, not a name twice
            mode = os.fstat(opened.fileno()).st_mode
            opened.read(1)
    except OSError as error:
        raise ConfigError([f"{key}: {file}: {error.strerror}; name a file that this user can read"]) from error
    # Of the group the key may be read: Debian keeps keys for the group ssl-cert.
    if private and mode & (stat.S_IRWXO | stat.S_IWGRP):
        raise ConfigError(
            [f"{key}: {file} has mode {stat.S_IMODE(mode):04o}; others must not read a key: chmod 600 it"]
        )


def _load(certificate: str, key: str | None) -> ssl.SSLContext:
    import ssl

    asked = False

    def no_passphrase() -> str:
        nonlocal asked
        asked = True
        return ""

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    # A renegotiation would let a write wait for a read; the server's loop need not know of such a thing.
    context.options |= ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(["http/1.1"])
    try:
        context.load_cert_chain(certificate, key, password=no_passphrase)
    except (OSError, ValueError) as error:  # an SSLError is an OSError
        raise ConfigError([_why(error, certificate, key, asked=asked)]) from error
    return context


def _why(error: Exception, certificate: str, key: str | None, *, asked: bool) -> str:
    if asked:
        where = f"http.tls_key: {key}" if key else f"http.tls_certificate: the key in {certificate}"
        return f"{where} is protected by a passphrase, which cannot be asked for; store it without one"
    reason = getattr(error, "reason", None)
    if reason == "KEY_VALUES_MISMATCH":
        return f"http.tls_key: the key in {key or certificate} does not belong to the certificate in {certificate}"
    named = f"{certificate} and {key}" if key else f"{certificate} (which must hold the key too, without http.tls_key)"
    return f"http.tls_certificate: {named} cannot be loaded as PEM certificate and key"
