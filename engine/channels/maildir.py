"""Local delivery into a Maildir. One message is one file, whatever crashes in between."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path
from time import monotonic_ns
from typing import TYPE_CHECKING

from engine.channels.base import ChannelContext
from engine.errors import BadInput, ConfigError, DeliveryError, Sent
from engine.model import Delivery, ProbeStep, Receipt, TargetSpec

if TYPE_CHECKING:
    from pydantic import BaseModel

_PARTS = ("tmp", "new", "cur")
_FULL = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the quota is used up", errno.EFBIG: "the file is too large"}
_SETUP = {
    errno.EACCES: "permission denied",
    errno.EPERM: "operation not permitted",
    errno.EROFS: "the file system is read-only",
    errno.ENOTDIR: "a part of the path is not a directory",
    errno.ELOOP: "the path leads in circles",
    errno.ENAMETOOLONG: "the path is too long",
}


class MaildirChannel:
    """A Maildir that is written to as its specification says: tmp, then new, nothing locked, nothing overwritten.

    The file's name is made of the message's identity, so a delivery that is repeated after a crash finds the first
    copy and leaves it. A file system that hangs (a dead NFS server) hangs the attempt: no system call of it can be
    given a deadline.
    """

    def __init__(self, path: Path, sender: str) -> None:
        self._path = path
        self._sender = sender

    def deliver(self, delivery: Delivery) -> Receipt:
        """Store the message; it is on the disk when this returns. See base.Channel."""
        raw = self._compose(delivery)
        name = f"{delivery.created_ms // 1000}.{delivery.uid}.chronos"
        try:
            self._prepare()
            if self._is_there(name, delivery.attempt_no):
                return Receipt("was already there", accepted=())
            self._store(name, delivery.attempt_no, raw)
        except OSError as error:
            raise self._failure(error) from error
        return Receipt(f"stored as {name}")

    def probe(self, *, send: bool, timeout_ms: int) -> list[ProbeStep]:
        """Try to write into tmp/. With `send` a file is left in new/ as well. See base.Channel."""
        start_ns = monotonic_ns()
        try:
            self._prepare()
            name = f"{os.getpid()}.{start_ns}.chronos-test"
            self._store(name, 1, b"From: chronos\r\nSubject: Chronos test message\r\n\r\nThis is a test.\r\n")
            if not send:
                (self._path / "new" / name).unlink()
        except OSError as error:
            failure = self._failure(error)
            return [ProbeStep("send", ok=False, detail=failure.detail, took_ms=_since_ms(start_ns))]
        return [ProbeStep("send", ok=True, detail=f"{self._path} can be written", took_ms=_since_ms(start_ns))]

    def close(self) -> None:
        """Nothing is kept open."""

    def _compose(self, delivery: Delivery) -> bytes:
        from engine.channels.email_compose import compose
        from engine.channels.mailbox import Mailbox, parse_mailbox

        try:
            sender = parse_mailbox(self._sender or f"Chronos <chronos@{delivery.domain}>")
            return compose(delivery, sender=sender, to=[Mailbox("", "maildir", sender.domain)])
        except BadInput as error:
            raise DeliveryError(Sent.REJECTED, str(error)) from error

    def _prepare(self) -> None:
        present = {name for name in _PARTS if (self._path / name).is_dir()}
        if len(present) == len(_PARTS):
            return
        self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Parts that appear meanwhile are another thread's that makes them too.
        if not present and any(entry.name not in _PARTS for entry in self._path.iterdir()):
            words = f"{self._path} holds other files and is no Maildir; name an empty or a new directory"
            raise DeliveryError(Sent.MISCONFIGURED, words, code="ENOTDIR")
        for name in _PARTS:
            (self._path / name).mkdir(mode=0o700, exist_ok=True)
        _sync_directory(self._path)

    def _is_there(self, name: str, attempt_no: int) -> bool:
        if (self._path / "new" / name).exists():
            return True
        if attempt_no == 1:
            return False  # nobody can have read what was never stored; spares a scan of a large cur/
        for earlier in range(1, attempt_no):
            with suppress(FileNotFoundError):
                (self._path / "tmp" / f"{name}.{earlier}").unlink()
        with os.scandir(self._path / "cur") as entries:
            return any(entry.name.partition(":")[0] == name for entry in entries)

    def _store(self, name: str, attempt_no: int, raw: bytes) -> None:
        """Write, sync, then link under the final name: a reader never sees half a message."""
        # The attempt's number keeps a former owner that was frozen and wakes up away from our bytes.
        temporary, final = self._path / "tmp" / f"{name}.{attempt_no}", self._path / "new" / name
        try:
            with open(_create(temporary), "wb") as file:
                file.write(raw)
                file.flush()
                os.fsync(file.fileno())
            _link(temporary, final)
        finally:
            temporary.unlink(missing_ok=True)
        _sync_directory(self._path / "new")

    def _failure(self, error: OSError) -> DeliveryError:
        number = error.errno or 0
        code = errno.errorcode.get(number, "")
        if number in _SETUP:
            return DeliveryError(Sent.MISCONFIGURED, f"cannot write to {self._path}: {_SETUP[number]}", code=code)
        words = _FULL.get(number) or (error.strerror or "input/output error").lower()
        return DeliveryError(Sent.NO, f"cannot write to {self._path}: {words}", code=code)


def _create(path: Path) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)


def _link(temporary: Path, final: Path) -> None:
    try:
        os.link(temporary, final, follow_symlinks=False)
    except FileExistsError:
        return  # another attempt was faster with the same bytes
    except OSError as error:
        # FAT and some network file systems have no links; rename replaces only a file of the same identity.
        if error.errno not in {errno.EPERM, errno.EOPNOTSUPP, errno.EMLINK}:
            raise
        temporary.rename(final)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _since_ms(start_ns: int) -> int:
    return (monotonic_ns() - start_ns) // 1_000_000


class MaildirType:
    """The channel `maildir`."""

    name = "maildir"

    def options(self) -> type[BaseModel]:
        from engine.channels.options import MaildirOptions

        return MaildirOptions

    def check(self, target: TargetSpec, *, production: bool) -> list[str]:
        return []

    def open(self, target: TargetSpec, context: ChannelContext) -> MaildirChannel:
        try:
            path = Path(str(target.options["path"])).expanduser()
        except RuntimeError as error:
            raise ConfigError(
                [f"target {target.name}: path: no home directory for ~; write the path in full"]
            ) from error
        return MaildirChannel(Path(context.data_dir) / path, str(context.smtp.get("from") or ""))


CHANNEL = MaildirType()
