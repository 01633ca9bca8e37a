"""Takes secrets out of text, by value and by rule. The last line of defence of every log, error and screen."""

from __future__ import annotations

import re

SHORTEST = 6
"""Shorter values are not registered: taking "1234" out of every text would tear it to pieces and hide nothing."""

_MARK = "<secret>"
_PASS = r"pass(?:word|wd|phrase)|pwd"  # noqa: S105 - the names of fields, no secret
_NAMES = rf"{_PASS}|token|secret|(?:api|access|secret|private|signing)[_-]?key|cookie"
_TRIGGERS = ("pass", "pwd", "token", "secret", "key", "cookie")
_HEADERS = r"authorization|cookie|x-api-key|secret-token"
# A reference such as "secret:smtp" names a secret and holds none; what an earlier rule marked stays as it is.
_HOLDS_ONE = r"""(?!\\{0,4}["']?(?:secret:|<secret))"""
_VALUE = r"""\\{0,4}"(?:[^"\\\r\n]|\\.)+|'[^'\r\n]+"""

# Each rule: what must occur in the lower-case text for the rule to be tried, the pattern, the replacement. Linear by
# construction: a pattern begins with a literal or a bounded run, and nothing after an unbounded run can fail.
_RULES: tuple[tuple[tuple[str, ...], str, str], ...] = (
    (
        ("private key-",),
        r"(?s)-----BEGIN [A-Z0-9 ]{0,40}PRIVATE KEY-----.*?(?:-----END [A-Z0-9 ]{0,40}PRIVATE KEY-----|\Z)",
        "<secret private key>",
    ),
    (("age-secret-key-",), r"(?i)AGE-SECRET-KEY-[A-Z0-9-]{6,}", _MARK),
    (("chr_",), r"chr_([0-9a-f]{8})_[A-Za-z0-9_-]{6,}", rf"chr_\1_{_MARK}"),
    (("whsec_", "whsk_"), r"(whsec_|whsk_)[A-Za-z0-9+/=_-]{6,}", rf"\1{_MARK}"),
    ((":",), r"([0-9]{6,12}):[A-Za-z0-9_-]{30,}", rf"\1:{_MARK}"),
    (("://",), r"""://[^\s/?#"'<>]{1,1024}@""", f"://{_MARK}@"),
    (
        ("authorization", "cookie", "api-key", "secret-token"),
        rf"""(?i)((?:{_HEADERS})\\{{0,4}}["']?\s{{0,4}}[:=]\s{{0,4}}\\{{0,4}}["']?)[^\r\n"'\\]+""",
        rf"\1{_MARK}",
    ),
    (("bearer",), r"(?i)(bearer[ \t]{1,8})(?!<)[A-Za-z0-9._~+/=-]{6,}", rf"\1{_MARK}"),
    (_TRIGGERS, rf"""(?i)((?:{_NAMES})=){_HOLDS_ONE}(?:{_VALUE}|[^\s&"']+)""", rf"\1{_MARK}"),
    (
        _TRIGGERS,
        rf"""(?i)((?:{_NAMES})\\{{0,4}}["']\s{{0,4}}:\s{{0,4}}){_HOLDS_ONE}(?:{_VALUE}|[0-9][^\s,}}\]]*)""",
        rf'\1"{_MARK}',
    ),
    (("pass", "pwd"), rf"""(?i)((?:{_PASS}):[ \t]{{1,8}}){_HOLDS_ONE}[^\s,;]+""", rf"\1{_MARK}"),
)


class Redactor:
    """Knows the secrets of this process, and what secrets look like.

    Safe to use from several threads: a registration replaces the table, `redact` reads it once.
    """

    __slots__ = ("_needles",)

    def __init__(self) -> None:
        self._needles: tuple[tuple[str, str], ...] = ()

    def register(self, value: str | bytes, name: str = "") -> None:
        """Take `value` out of every text from now on: as it is, in base64, URL-quoted and JSON-escaped.

        name: stands in its place, as in "<secret smtp>". A value shorter than SHORTEST is ignored.
        """
        if len(value) < SHORTEST:
            return
        mark = f"<secret {name}>" if name else _MARK
        known = dict(self._needles)
        for spelling in _spellings(value):
            known.setdefault(spelling, mark)
        # The longest first: a spelling may contain a shorter one.
        self._needles = tuple(sorted(known.items(), key=lambda item: -len(item[0])))

    def redact(self, text: str, *, cut: bool = False) -> str:
        """Return `text` without secrets; the same object when it holds none. Linear in the length of `text`.

        cut: there was more of it, so that its end may be the beginning of a secret; an ellipsis may stand behind.
        """
        for needle, mark in self._needles:
            if needle in text:
                text = text.replace(needle, mark)
        if cut:
            text = self._without_beginnings(text)
        low = text.lower()
        for triggers, pattern, mark in _RULES:
            if any(trigger in low for trigger in triggers):
                # re compiles at the first use and remembers: a command that redacts nothing pays nothing.
                text = re.sub(pattern, mark, text)
        return text

    def _without_beginnings(self, text: str) -> str:
        kept = text.rstrip("\N{HORIZONTAL ELLIPSIS}")
        for needle, mark in self._needles:
            at = kept.find(needle[:SHORTEST], max(0, len(kept) - len(needle)))
            while at >= 0:
                if needle.startswith(kept[at:]):
                    return f"{kept[:at]}{mark}"
                at = kept.find(needle[:SHORTEST], at + 1)
        return text


def _spellings(value: str | bytes) -> set[str]:
    """How a value may stand in a text. Only spellings of SHORTEST characters or more."""
    import json
    from urllib.parse import quote, quote_plus

    raw = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    found = _base64_spellings(raw)
    text = raw.decode("utf-8", "replace") if isinstance(value, bytes) else value
    if isinstance(value, str) or text.encode("utf-8", "replace") == raw:
        quoted = {quote(raw, safe=""), quote(raw), quote_plus(raw)}
        lower_hex = {re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), word) for word in quoted}
        escaped = {json.dumps(text)[1:-1], json.dumps(text, ensure_ascii=False)[1:-1]}
        found |= {text, text.strip()} | quoted | lower_hex | escaped
    return {spelling for spelling in found if len(spelling) >= SHORTEST}


def _base64_spellings(raw: bytes) -> set[str]:
    """The base64 characters that `raw` alone decides, at each of the three places it can have in a longer text."""
    import base64

    found = set()
    for before in range(3):
        padded = bytes(before) + raw
        first = (0, 2, 3)[before]
        last = len(padded) * 8 // 6
        found.add(base64.b64encode(padded).decode()[first:last])
        found.add(base64.urlsafe_b64encode(padded).decode()[first:last])
    return found
