"""Signed statements about the audit log: what is signed, how they are written down and what they prove. Opens nothing.

A checkpoint is a signature over the log's head. It stands in the log as an entry, and elsewhere as a document of its
own: the witness.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from engine.errors import BadInput
from engine.rules.canonical import canonical_json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

CHECKPOINT = "audit.checkpoint"
PRUNED = "audit.pruned"

_HEX_64 = re.compile(r"[0-9a-f]{64}", re.ASCII)
_MOST_SEQ = 2**53 - 1


class Signer(Protocol):
    """Signs with the vault's Ed25519 key. public_hex: the raw public key, 64 hex digits."""

    @property
    def public_hex(self) -> str: ...
    def sign(self, message: bytes) -> bytes: ...


class NoCheckpoint(BadInput):
    """A document that is not a checkpoint."""


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """Entry `seq` had `hash` at the time `at` (RFC 3339): signed (base64) with the key whose public half is `key`.

    instance: whose log it is, for people; not signed.
    """

    seq: int
    hash: str
    at: str
    key: str
    signature: str
    instance: str = ""

    def detail(self) -> dict[str, object]:
        """Return it as it stands in an entry of the log."""
        return {"at": self.at, "hash": self.hash, "key": self.key, "seq": self.seq, "signature": self.signature}

    def document(self) -> dict[str, object]:
        """Return it as it stands by itself: printed, sent to a witness, at the end of an archive."""
        return {**self.detail(), "instance": self.instance}

    def fits(self) -> bool:
        """Whether the signature is one over these words by that key. Whose key it is, the caller must know."""
        return is_signed(statement(self.seq, self.hash, self.at), self.key, self.signature)


def statement(seq: int, digest: str, at: str) -> bytes:
    """Return what a checkpoint's signature covers: the canonical JSON of {"at", "hash", "seq"}."""
    return canonical_json({"at": at, "hash": digest, "seq": seq}).encode()


def pruning_statement(detail: Mapping[str, object]) -> bytes:
    """Return what an audit.pruned entry's signature covers: another form, so that no checkpoint can stand in for it."""
    return canonical_json({name: detail.get(name) for name in ("at", "file", "hash", "seq", "sha256")}).encode()


def sign(signer: Signer, seq: int, digest: str, at: str, instance: str) -> Checkpoint:
    """Sign the head of a log."""
    signature = signature_of(signer, statement(seq, digest, at))
    return Checkpoint(seq, digest, at, signer.public_hex, signature, instance)


def signature_of(signer: Signer, message: bytes) -> str:
    """Return a signature as it is written down."""
    return base64.b64encode(signer.sign(message)).decode("ascii")


def is_signed(message: bytes, key: str, signature: str) -> bool:
    """Whether `signature` (base64) is one over `message` by the key of these 64 hex digits. Never raises."""
    public = _public_key(key)
    return public is not None and _is_signed(message, public, signature)


def _public_key(key: str) -> Ed25519PublicKey | None:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    if not _HEX_64.fullmatch(key):
        return None
    return Ed25519PublicKey.from_public_bytes(bytes.fromhex(key))


def _is_signed(message: bytes, public: Ed25519PublicKey, signature: str) -> bool:
    from cryptography.exceptions import InvalidSignature

    try:
        public.verify(base64.b64decode(signature, validate=True), message)
    except (InvalidSignature, ValueError):
        return False
    return True


def from_document(document: object) -> Checkpoint:
    """Read a checkpoint. Raises NoCheckpoint, saying what is off; whether its signature fits is another question."""
    if not isinstance(document, dict):
        raise NoCheckpoint("a checkpoint is a JSON object")
    seq, instance = document.get("seq"), document.get("instance", "")
    if type(seq) is not int or not 0 <= seq <= _MOST_SEQ:
        raise NoCheckpoint("a checkpoint's seq is the number of an entry")
    words = {name: document.get(name) for name in ("hash", "at", "key", "signature")}
    for name, value in words.items():
        if not isinstance(value, str) or (name in {"hash", "key"} and not _HEX_64.fullmatch(value)):
            raise NoCheckpoint(f"a checkpoint's {name} is {'64 hex digits' if name in {'hash', 'key'} else 'text'}")
    return Checkpoint(seq=seq, instance=str(instance), **words)  # type: ignore[arg-type]


class Trust(NamedTuple):
    """Which public keys a signature may be by. None: any, each entry's own word is taken.

    confirmed: the first key was derived from the sealed private one, so nobody can have put another in its place.
    note: in words, why it is not.
    """

    keys: frozenset[str] | None = None
    confirmed: bool = False
    note: str = ""


class Proofs:
    """What the signed entries of one log prove, as they come by in its order."""

    def __init__(self, trust: Trust) -> None:
        self.signed: list[int] = []
        """Entries that a checkpoint vouches for, each with everything before it."""
        self.pruned: dict[int, str] = {}
        """Entries that a signed audit.pruned names as the last of an archive, and their hashes."""
        self._trust = trust
        self._public: dict[str, Ed25519PublicKey | None] = {}

    def notice(self, seq: int, body: bytes) -> str:
        """Take note of an entry that is sound by itself and in its place.

        Return why what it claims is not true; "" when it is.
        """
        try:
            entry = json.loads(body)
        except (ValueError, RecursionError):
            return ""
        detail = entry.get("detail")
        if not isinstance(detail, dict) or entry.get("action") not in {CHECKPOINT, PRUNED}:
            return ""
        if entry["action"] == CHECKPOINT:
            return self._checkpoint(seq, entry, detail)
        return self._pruned(seq, entry, detail)

    def _checkpoint(self, seq: int, entry: dict[str, Any], detail: dict[str, Any]) -> str:
        prev = entry["prev"]
        try:
            found = from_document(detail)
        except NoCheckpoint as error:
            return f"the checkpoint at entry {seq} is malformed: {error}"
        if (found.seq, found.hash, found.at) != (seq - 1, prev, entry.get("at")):
            return (
                f"the checkpoint at entry {seq} was signed over another log: it saw entry {found.seq} as "
                f"{found.hash[:12]}…, the log has {prev[:12]}… before it"
            )
        if why := self._signature(statement(found.seq, found.hash, found.at), found.key, found.signature):
            return f"the checkpoint at entry {seq} {why}"
        self.signed.append(found.seq)
        return ""

    def _pruned(self, seq: int, entry: dict[str, Any], detail: dict[str, Any]) -> str:
        last, digest = detail.get("seq"), detail.get("hash")
        if type(last) is not int or not isinstance(digest, str) or detail.get("at") != entry.get("at"):
            return f"entry {seq} says that the log was pruned and is malformed"
        key, signature = str(detail.get("key")), str(detail.get("signature"))
        if why := self._signature(pruning_statement(detail), key, signature):
            return f"entry {seq}, which says that the log was pruned, {why}"
        self.pruned[last] = digest
        return ""

    def _signature(self, message: bytes, key: str, signature: str) -> str:
        if self._trust.keys is not None and key not in self._trust.keys:
            ours = ", ".join(sorted(one[:12] for one in self._trust.keys))
            return (
                f"is signed with the key {key[:12]}…, not with this vault's ({ours}…): it was replaced, or the vault "
                f"was (then name a former key that you trust with --key)"
            )
        if key not in self._public:
            self._public[key] = _public_key(key)
        public = self._public[key]
        return (
            "" if public is not None and _is_signed(message, public, signature) else "has a signature that does not fit"
        )


def find(text: str) -> Iterable[Checkpoint]:
    """Yield the checkpoints in a text: a message that was pasted, quoted, or wrapped by a mail program."""
    for match in re.finditer(r"\{[^{}]{100,4000}\}", text):
        written = match.group()
        for candidate in (written, re.sub(r"[ \t]*\r?\n[> \t]*", "", written)):
            try:
                found = from_document(json.loads(candidate))
            except (ValueError, BadInput):
                continue
            yield found
            break
