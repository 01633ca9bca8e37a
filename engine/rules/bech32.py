"""Reads Bech32 texts (BIP 173): keys that people copy, with a checksum. Without its limit of 90 characters."""

from __future__ import annotations

from collections.abc import Sequence

_CHARSET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l"
_GENERATOR = (0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)


def decoded(prefix: str, text: str, size: int) -> bytes | None:
    """Return the `size` bytes that a text holds; None where it is none with that prefix, or has not its case."""
    if not text.isascii() or not text.startswith(prefix + "1") or text not in {text.upper(), text.lower()}:
        return None
    values = [_CHARSET.find(digit) for digit in text[len(prefix) + 1 :].lower()]
    if len(values) != (8 * size + 4) // 5 + 6 or -1 in values:
        return None
    lower = prefix.lower().encode()
    if _checksum([*(byte >> 5 for byte in lower), 0, *(byte & 31 for byte in lower), *values]) != 1:
        return None
    number = 0
    for value in values[:-6]:
        number = number << 5 | value
    left = 5 * (len(values) - 6) - 8 * size
    if number & ((1 << left) - 1):
        return None
    return (number >> left).to_bytes(size, "big")


def _checksum(values: Sequence[int]) -> int:
    check = 1
    for value in values:
        top = check >> 25
        check = (check & 0x1FFFFFF) << 5 ^ value
        for bit, mask in enumerate(_GENERATOR):
            if top >> bit & 1:
                check ^= mask
    return check
