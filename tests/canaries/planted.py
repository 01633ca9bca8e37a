"""The canaries: secrets that exist only to be looked for. One for each field and each family of rules.

A value has two cores of 20 characters that occur nowhere else, so that half a value, cut by a limit or torn by a quote,
is found too. What stands between them is what escaping gets wrong.
"""

from __future__ import annotations

import base64
import hashlib
import string
import zlib
from dataclasses import dataclass, field

_LETTERS = string.ascii_letters + string.digits
_BASE62 = string.digits + string.ascii_uppercase + string.ascii_lowercase


def core(name: str, n: int = 20) -> str:
    """Return letters that only this canary has, and that it has in every run."""
    digest = hashlib.sha512(f"canary {name}".encode()).digest()
    return "".join(_LETTERS[byte % 62] for byte in digest[:n])


@dataclass(frozen=True)
class Canary:
    """name: what it is, in the words of the field it stands in. more: its other forms, such as the raw bytes."""

    name: str
    text: str
    more: tuple[bytes, ...] = field(default=(), repr=False)


def _torn(name: str, between: str) -> Canary:
    return Canary(name, f"{core(name + ' head')}{between}{core(name + ' tail')}")


def _whsec(name: str) -> Canary:
    raw = hashlib.sha256(f"canary {name}".encode()).digest()
    return Canary(name, "whsec_" + base64.b64encode(raw).decode(), (raw,))


def api_key(name: str) -> str:
    """Return a whole API key with the right checksum that nobody ever made."""
    digest = hashlib.sha256(f"canary {name}".encode()).digest()
    head = f"chr_{digest[:4].hex()}_{base64.urlsafe_b64encode(digest).decode().rstrip('=')}"
    number, checksum = zlib.crc32(head.encode()), ""
    for _ in range(6):
        number, digit = divmod(number, 62)
        checksum = _BASE62[digit] + checksum
    return f"{head}_{checksum}"


def _key(name: str) -> Canary:
    return Canary(name, api_key(name))


def made(name: str, text: str, *more: bytes) -> Canary:
    """Return a canary out of a secret that Chronos made itself."""
    return Canary(name, text, more)


VAULT = {
    "smtp": _torn("smtp password", "!"),
    "hook": _whsec("webhook whsec"),
    "plain": _torn("webhook plain", "\"quo'ted\\ and spaced "),
    "bearer": _torn("webhook header", "=+/"),
    "telegram": Canary("telegram token", f"1234567890:{core('telegram token', 35)}"),
    "std-old": _whsec("source standard-webhooks old"),
    "std-new": _whsec("source standard-webhooks new"),
    "github": _torn("source github", "üñ€\U0001f511"),
    "stripe": _whsec("source stripe"),
    "bot": _torn("source telegram", "_-"),
    "forge": _torn("source hmac", "\nsecond line: "),
}
"""By the name in the vault."""

BY_VARIABLE = _torn("by variable", "&%25?#@:/")
BY_FILE = _torn("by file", "\t{}$`")
PASSPHRASE = _torn("passphrase", " horse ")
WRONG_PASSPHRASE = _torn("wrong passphrase", " staple ")
KEYRING_VALUE = _torn("beside a keyring", "~")

BOGUS_KEY = _key("key that nobody made")
KEY_IN_QUERY = _key("key in a query")
KEY_IN_HEADER = _key("key in X-Api-Key")
KEY_IN_COOKIE = _key("key in a cookie")
KEY_AS_BASIC = _key("key as Basic")
BASIC_PASSWORD = _torn("password of Basic", "")
BAD_CHECKSUM = Canary("key with a wrong checksum", api_key("key with a wrong checksum")[:-6] + "000000")

CONFIG_SMTP = _torn("config smtp.password", "")
CONFIG_TARGET = _torn("config targets.hook.secret", "-")
CONFIG_SOURCE = _torn("config sources.in.secret", "/")
CONFIG_UNKNOWN = _torn("config unknown key", "")
CONFIG_SET = _torn("config set", "'")
IN_VARIABLE = _torn("CHRONOS_SMTP_PASSWORD", "")
IN_TARGET_VARIABLE = _torn("CHRONOS_TARGETS_X", "")
IN_UNKNOWN_VARIABLE = _torn("CHRONOS_SMTP_PASWORD", "")
AS_WORD = _torn("a word of a command", " ")
AS_OPTION = _torn("an option of a command", "")
TOO_LONG = Canary("too long", core("too long head") + "x" * 70_000 + core("too long tail"))
WITH_NUL = _torn("with NUL", "\0")
MISTYPED = _torn("mistyped", "-")
TLS_KEY = _torn("TLS private key", "+/")

IN_BAD_JSON = _torn("malformed JSON", "")
IN_422 = _torn("422 password", "")
IN_422_VALUE = _torn("422 value", "")
REFUSED_HEADER = _torn("header of a refused request", "")
WRONG_SIGNATURE = _torn("wrong signature", "+/")
USERINFO = _torn("userinfo of a URL", "")
CRASHED = _torn("in an exception", "|")
IN_EDITOR_ENV = _torn("environment of an editor", "")
TYPED = _torn("typed into the cockpit", " ")
