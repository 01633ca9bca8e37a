"""Files in the age format against the ordinary `age` program, both ways."""

from __future__ import annotations

import filecmp
import io
import os
import pty
import random
import select
import subprocess
import tracemalloc
from pathlib import Path
from typing import NamedTuple

import pytest

from engine.errors import BadInput
from engine.host import age
from tests.tools import needs

pytestmark = needs("age", "age-keygen")

CHUNK = 64 * 1024
SIZES = (0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK - 1, 2 * CHUNK, 2 * CHUNK + 1, 16 * CHUNK, 17 * CHUNK + 5)


class Key(NamedTuple):
    file: Path
    recipient: str
    identity: str


def keygen(path: Path) -> Key:
    subprocess.run(["age-keygen", "-o", path], check=True, capture_output=True)
    recipient = subprocess.run(["age-keygen", "-y", path], check=True, capture_output=True, text=True).stdout.strip()
    return Key(path, recipient, age.read_identities(path.read_text())[0])


@pytest.fixture
def key(tmp_path: Path) -> Key:
    return keygen(tmp_path / "key.txt")


def content(size: int) -> bytes:
    return random.Random(size).randbytes(size)


def encrypted(plain: bytes, *recipients: str, passphrase: str | None = None) -> bytes:
    out = io.BytesIO()
    age.encrypt(io.BytesIO(plain), out, recipients=recipients, passphrase=passphrase)
    return out.getvalue()


def decrypted(sealed: bytes, *identities: str, passphrase: str | None = None) -> bytes:
    out = io.BytesIO()
    age.decrypt(io.BytesIO(sealed), out, identities=identities, passphrase=passphrase)
    return out.getvalue()


def age_program(*arguments: str | Path, given: bytes) -> bytes:
    return subprocess.run(["age", *arguments], input=given, capture_output=True, check=True, timeout=60).stdout


def age_on_a_terminal(arguments: list[str | Path], answers: list[bytes]) -> None:
    """Run age, which asks for a passphrase on its terminal and nowhere else."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.execvp("age", ["age", *map(str, arguments)])
    try:
        seen = b""
        while True:
            ready, _, _ = select.select([terminal], [], [], 60)
            assert ready, seen
            try:
                part = os.read(terminal, 1024)
            except OSError:  # Linux: the other side is closed
                break
            if not part:
                break
            seen += part
            if answers and b"assphrase" in seen and seen.rstrip().endswith(b":"):
                os.write(terminal, answers.pop(0) + b"\n")
                seen = b""
    finally:
        os.close(terminal)
        _, status = os.waitpid(pid, 0)
    assert os.waitstatus_to_exitcode(status) == 0, seen


@pytest.mark.parametrize("size", SIZES)
def test_the_age_program_reads_what_we_write(key: Key, size: int) -> None:
    sealed = encrypted(content(size), key.recipient)

    assert age_program("-d", "-i", key.file, given=sealed) == content(size)


@pytest.mark.parametrize("size", SIZES)
def test_we_read_what_the_age_program_writes(key: Key, size: int) -> None:
    sealed = age_program("-r", key.recipient, given=content(size))

    assert decrypted(sealed, key.identity) == content(size)


def test_each_of_several_recipients_opens_it_and_nobody_else(tmp_path: Path) -> None:
    first, second, stranger = (keygen(tmp_path / name) for name in ("a", "b", "c"))
    sealed = encrypted(b"words", first.recipient, second.recipient)

    assert age_program("-d", "-i", second.file, given=sealed) == b"words"
    assert decrypted(sealed, stranger.identity, first.identity) == b"words"
    with pytest.raises(BadInput, match="no identity that was given opens it"):
        decrypted(sealed, stranger.identity)


def test_a_file_of_ours_with_a_passphrase_opens_in_the_age_program(tmp_path: Path) -> None:
    sealed, plain = tmp_path / "sealed.age", tmp_path / "plain"
    sealed.write_bytes(encrypted(content(CHUNK + 3), passphrase="größe one two"))

    age_on_a_terminal(["-d", "-o", plain, sealed], ["größe one two".encode()])

    assert plain.read_bytes() == content(CHUNK + 3)


def test_a_file_of_the_age_program_with_a_passphrase_opens_here(tmp_path: Path) -> None:
    sealed, plain = tmp_path / "sealed.age", tmp_path / "plain"
    plain.write_bytes(content(2 * CHUNK))
    words = "größe one two".encode()

    age_on_a_terminal(["-p", "-o", sealed, plain], [words, words])

    assert decrypted(sealed.read_bytes(), passphrase="größe one two") == content(2 * CHUNK)
    with pytest.raises(BadInput, match="passphrase does not open it"):
        decrypted(sealed.read_bytes(), passphrase="grosse one two")


def test_progress_counts_the_source_to_its_end(key: Key) -> None:
    told: list[tuple[int, int]] = []
    plain = content(33 * CHUNK + 7)

    age.encrypt(io.BytesIO(plain), io.BytesIO(), recipients=[key.recipient], progress=lambda *n: told.append(n))

    assert told == [(16 * CHUNK, len(plain)), (32 * CHUNK, len(plain)), (len(plain), len(plain))]


def test_it_reads_from_where_the_file_stands(key: Key) -> None:
    source = io.BytesIO(b"left out" + b"taken")
    source.seek(8)
    out = io.BytesIO()

    age.encrypt(source, out, recipients=[key.recipient])

    assert age_program("-d", "-i", key.file, given=out.getvalue()) == b"taken"


def test_a_file_of_age_keygen_is_read_with_its_comments(key: Key) -> None:
    assert key.file.read_text().startswith("#")
    assert age.read_identities(key.file.read_text() + "\n# more\n") == (key.identity,)


def test_memory_does_not_grow_with_the_file(tmp_path: Path, key: Key) -> None:
    plain = tmp_path / "plain"
    with plain.open("wb") as file:
        file.truncate(64 * 1024 * 1024)
    sealed, back = tmp_path / "sealed", tmp_path / "back"
    encrypted(b"", key.recipient)  # what is imported once is no matter of the file's size
    tracemalloc.start()
    try:
        with plain.open("rb") as source, sealed.open("wb") as out:
            age.encrypt(source, out, recipients=[key.recipient])
        with sealed.open("rb") as source, back.open("wb") as out:
            age.decrypt(source, out, identities=[key.identity])
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert most < 2 * 1024 * 1024
    assert filecmp.cmp(plain, back, shallow=False)
