"""Reads what was kept of an audit log elsewhere: an export, a checkpoint, a saved witness message. Believes nothing.

A file may be any of these, alone or after a transport that wrapped, quoted or encoded it.
"""

from __future__ import annotations

import gzip
import html
import io
import json
import re
import zlib
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from engine.errors import BadInput
from engine.rules.canonical import canonical_json, entry_hash
from engine.rules.checkpoints import Checkpoint, NoCheckpoint, find, from_document

if TYPE_CHECKING:
    from email.message import EmailMessage

_MOST_BYTES = 4 * 1024**3
_HEADER = re.compile(rb"\A(?:From |[!-9;-~]{1,76}:[ \t])")
_HEX_64 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_HASH_BYTES = 32


@dataclass(slots=True)
class Witness:
    """What a file saw of a log: entries by number and hash, in rising order, and checkpoints.

    damaged: the first entry whose line does not fit its own hash, so that the file itself was changed.
    """

    seqs: array[int] = field(default_factory=lambda: array("q"))
    hashes: bytearray = field(default_factory=bytearray)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    damaged: int | None = None

    def hash_at(self, index: int) -> str:
        """Return the hash of the entry at a place of `seqs`."""
        return self.hashes[index * _HASH_BYTES : (index + 1) * _HASH_BYTES].hex()


def read(data: bytes) -> Witness:
    """Read a file's content, packed with gzip or not. Raises BadInput in one line when it is none of these things."""
    data = _unpacked(data)
    stripped = data.lstrip(b"\xef\xbb\xbf \t\r\n")
    if not stripped:
        raise BadInput("it is empty")
    if stripped.startswith(b"{"):
        found = _lines(stripped) or _document(stripped)
        if found is not None:
            return found
    checkpoints: dict[Checkpoint, None] = {}
    for text in _texts(data):
        checkpoints.update(dict.fromkeys(find(text)))
    if not checkpoints:  # no mail, or none that can be taken apart
        checkpoints.update(dict.fromkeys(find(data.decode("utf-8", "replace"))))
    if not checkpoints:
        raise BadInput("it holds no exported entries, no checkpoint and no witness message")
    return Witness(checkpoints=list(checkpoints))


def _unpacked(data: bytes) -> bytes:
    if not data.startswith(b"\x1f\x8b"):
        return data
    try:
        with gzip.open(io.BytesIO(data)) as file:
            plain = file.read(_MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput("it begins like a gzip file and cannot be unpacked") from error
    if len(plain) > _MOST_BYTES:
        raise BadInput("it unpacks to more than 4 GiB; unpack it and compare it in parts")
    return plain


def _document(data: bytes) -> Witness | None:
    """One JSON document over several lines."""
    try:
        found = json.loads(data)
    except (ValueError, RecursionError):
        return None
    witness = Witness()
    _take(witness, found, "it")
    return witness


def _lines(data: bytes) -> Witness | None:
    """JSON Lines; None where the first line is no document by itself."""
    witness = Witness()
    for number, line in enumerate(io.BytesIO(data), 1):
        if not line.strip():
            continue
        try:
            found = json.loads(line)
        except (ValueError, RecursionError) as error:
            if number == 1:
                return None
            raise BadInput(f"line {number} is no JSON: the file is cut off or damaged") from error
        _take(witness, found, f"line {number}")
    return witness


def _take(witness: Witness, found: Any, where: str) -> None:
    if not isinstance(found, dict) or "prev" not in found:
        try:
            witness.checkpoints.append(from_document(found))
        except NoCheckpoint as error:
            raise BadInput(f"{where} is neither an entry of an audit log nor a checkpoint") from error
        return
    seq, digest = found.get("seq"), found.pop("hash", None)
    if type(seq) is not int or not 0 < seq < 2**53 or not isinstance(digest, str) or not _HEX_64.fullmatch(digest):
        raise BadInput(f"{where} is no entry of an audit log: its seq or its hash is not one")
    if witness.seqs and seq <= witness.seqs[-1]:
        raise BadInput(f"{where}: entry {seq} stands behind entry {witness.seqs[-1]}; an export rises")
    if witness.damaged is None and not _is_own(found, digest):
        witness.damaged = seq
    witness.seqs.append(seq)
    witness.hashes += bytes.fromhex(digest)


def _is_own(entry: dict[str, Any], digest: str) -> bool:
    try:
        return entry_hash(canonical_json(entry)) == digest
    except BadInput:
        return False


def _texts(data: bytes) -> Iterator[str]:
    """Yield what the parts of a mail say, decoded; nothing of what is none."""
    if not _HEADER.match(data):
        return
    import email
    import email.policy
    from email.message import EmailMessage

    message = email.message_from_bytes(data, policy=email.policy.default)
    for part in message.walk():
        if isinstance(part, EmailMessage) and not part.is_multipart():
            yield from _part(part)


def _part(part: EmailMessage) -> Iterator[str]:
    try:
        content = part.get_content()
    except (LookupError, ValueError):  # a charset that nobody knows
        content = part.get_payload(decode=True)
    if isinstance(content, bytes):
        content = content.decode("utf-8", "replace")
    if isinstance(content, str):
        yield content
        if part.get_content_subtype() == "html":
            yield html.unescape(re.sub(r"<[^>]*>", "", content))
