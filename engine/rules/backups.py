"""What a backup is: its name, its members, its manifest and what of that is signed. Reads and writes no file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from engine.errors import ArchiveRefused
from engine.rules.canonical import canonical_json

FORMAT = "chronos-backup/1"
DATABASE, CONFIG, RESTORE, MANIFEST, SUMS = "chronos.db", "config.yaml", "RESTORE.md", "manifest.json", "SHA256SUMS"
TEMPLATES = "templates/"
"""The folder of the members that are templates; each is one file directly in it."""

SUFFIX, ENCRYPTED_SUFFIX = ".zip", ".zip.age"
MOST_MEMBERS = 1_000
MOST_SMALL_BYTES = 4 * 1024 * 1024
"""Of every member but the database."""

_NAME = re.compile(
    r"chronos-([A-Za-z0-9](?:[A-Za-z0-9.-]{0,61}[A-Za-z0-9])?)-([0-9]{8}T[0-9]{6}Z)(\.zip|\.zip\.age)", re.ASCII
)
_TEMPLATE = re.compile(r"templates/[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}", re.ASCII)
_STAMP = "%Y%m%dT%H%M%SZ"


class Kind(StrEnum):
    """Why a backup was made. FOUND: a file that lay in the folder and was not in the ledger."""

    SCHEDULED = "scheduled"
    MANUAL = "manual"
    SAFETY = "safety"
    FOUND = "found"


class Proof(StrEnum):
    """What the last drill said. UNPROVEN: none was made, or something it needs (the root key) was not at hand."""

    PROVEN = "proven"
    UNPROVEN = "unproven"
    FAILED = "failed"


class Name(NamedTuple):
    """What the name of a backup says. at_ms: Unix time in ms, whole seconds."""

    instance: str
    at_ms: int
    encrypted: bool

    @property
    def text(self) -> str:
        """The file name."""
        stamp = datetime.fromtimestamp(self.at_ms / 1000, UTC).strftime(_STAMP)
        return f"chronos-{self.instance}-{stamp}{ENCRYPTED_SUFFIX if self.encrypted else SUFFIX}"


def parse_name(text: str) -> Name | None:
    """Read the name of a backup; None where it is none."""
    found = _NAME.fullmatch(text)
    if found is None:
        return None
    try:
        at = datetime.strptime(found[2], _STAMP).replace(tzinfo=UTC)
    except ValueError:
        return None
    return Name(found[1], round(at.timestamp() * 1000), found[3] == ENCRYPTED_SUFFIX)


class Member(NamedTuple):
    """One file of a backup. packed_size, packed_sha256: of the bytes as they lie in the archive; the same as size and
    sha256 where it is stored as it is. Sizes in bytes, sums in hex.
    """

    name: str
    size: int
    sha256: str
    packed_size: int
    packed_sha256: str

    def document(self) -> dict[str, object]:
        """Return it as the manifest holds it, without the name."""
        fields = self._asdict()
        del fields["name"]
        return fields


def allowed(name: str) -> bool:
    """Whether a backup may hold a member of that name."""
    return name in {DATABASE, CONFIG, RESTORE, MANIFEST, SUMS} or _TEMPLATE.fullmatch(name) is not None


def statement(manifest: Mapping[str, Any]) -> bytes:
    """Return the bytes that are signed: everything in a manifest but its signature."""
    return (
        b"chronos backup manifest\n" + canonical_json({k: v for k, v in manifest.items() if k != "signature"}).encode()
    )


def sums(members: Sequence[Member], manifest_sha256: str) -> bytes:
    """Return SHA256SUMS as `sha256sum -c` reads it: every member but itself, the manifest last."""
    lines = [f"{member.sha256}  {member.name}\n" for member in members]
    return "".join([*lines, f"{manifest_sha256}  {MANIFEST}\n"]).encode()


def members_of(manifest: Mapping[str, Any]) -> list[Member]:
    """Return the members that a manifest lists, in their order. Raises ArchiveRefused where it is not as we write."""
    try:
        if manifest["format"] != FORMAT:
            raise ArchiveRefused(
                f"the manifest has format {str(manifest['format'])[:40]!r}; this Chronos reads {FORMAT}"
            )
        found = [Member(name, **fields) for name, fields in manifest["members"].items()]
    except (KeyError, TypeError, AttributeError) as error:
        raise ArchiveRefused("the manifest does not list its members as Chronos writes them") from error
    if not all(_sound(member) for member in found):
        raise ArchiveRefused("the manifest lists a member with a name, size or sum that no backup has")
    return found


def _sound(member: Member) -> bool:
    sizes, digests = (member.size, member.packed_size), (member.sha256, member.packed_sha256)
    return (
        allowed(member.name)
        and member.name not in {MANIFEST, SUMS}
        and all(isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 1 << 48 for size in sizes)
        and all(isinstance(digest, str) and re.fullmatch("[0-9a-f]{64}", digest) for digest in digests)
    )
