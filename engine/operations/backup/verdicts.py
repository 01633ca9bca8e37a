"""What was found about a backup, step by step: what holds, what fails, what could not be made. Reads no file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from engine.errors import ArchiveForged, ArchiveRefused, BadInput, NotFound, NotPossible, TryAgain, VaultDamaged
from engine.operations.commanding import Report, Stopped
from engine.operations.context import Context
from engine.rules.backups import Proof

_BY_ITSELF = frozenset({"schema", "text", "audit", "vault", "secrets"})
"""Steps that fail where the database was like that when it was backed up; sums and signature say that it was."""

_WORDS = {
    "file": "reading the file",
    "decrypting": "decrypting",
    "sums": "checking every sum",
    "schema": "comparing the schema",
    "integrity": "checking every page of the database",
    "text": "reading every text",
    "counts": "counting",
    "audit": "verifying the audit log",
    "vault": "reading the vault",
    "secrets": "opening the secrets",
    "signature": "checking the signature",
}


class Step(NamedTuple):
    """One thing that was looked at. ok: None where it could not be made. detail: in words, what was found."""

    name: str
    ok: bool | None
    detail: str
    took_ms: int


@dataclass(frozen=True, slots=True)
class Verdict:
    """What was found about one file. ok: no step failed.

    proof: FAILED where the file is damaged or was swapped; UNPROVEN where a step could not be made, or the database in
    it was not right when it was backed up. manifest: what the archive says of itself; None where it could not be read.
    authenticity: confirmed, unknown_key, forged, or "" where nothing was judged.
    """

    file: str
    ok: bool
    proof: Proof
    steps: tuple[Step, ...]
    took_ms: int
    manifest: dict[str, Any] | None
    authenticity: str

    @property
    def why(self) -> str:
        """The first step that failed, else the first that could not be made, in words; "" when all is good."""
        for wanted in (False, None):
            for step in self.steps:
                if step.ok is wanted:
                    return step.detail
        return ""


class Steps:
    """The steps of one verdict, as they are made. After a failure nothing more is looked at."""

    def __init__(self, context: Context, file: Path, report: Report | None) -> None:
        self.context = context
        self.file = file
        self.report = report
        self.made: list[Step] = []
        self.manifest: dict[str, Any] | None = None
        self.authenticity = ""
        self._told = ("", 0, 0)
        self._began_ms = context.clock.monotonic_ms()

    @property
    def sound(self) -> bool:
        return all(step.ok is not False for step in self.made)

    def make(self, name: str, work: Callable[[], str]) -> bool:
        """Make one; return whether it holds."""
        began_ms = self.context.clock.monotonic_ms()
        ok, detail = self._judged(name, work)
        self.add(name, ok, detail, self.context.clock.monotonic_ms() - began_ms)
        return ok is True

    def _judged(self, name: str, work: Callable[[], str]) -> tuple[bool | None, str]:
        self.tell(name, 0, 0)
        try:
            return True, work()
        except (Stopped, NotFound):
            raise
        except ArchiveForged as error:
            self.authenticity = "forged"
            return False, str(error)
        except (ArchiveRefused, VaultDamaged) as error:
            return False, str(error)
        except (NotPossible, TryAgain, BadInput) as error:
            return None, str(error)

    def add(self, name: str, ok: bool | None, detail: str, took_ms: int) -> None:  # noqa: FBT001 - a step's own field
        self.made.append(Step(name, ok, detail, took_ms))

    def tell(self, name: str, done: int, total: int) -> None:
        self._told = (_WORDS.get(name, name), done, total)
        self.ask()

    def ask(self) -> bool:
        """Say again how far it is, so that somebody who wants it to end is heard; never ends anything by itself."""
        if self.report is not None:
            self.report(*self._told)
        return False

    def counting(self, stage: str) -> Callable[[int, int], None]:
        """Return a listener for bytes of one stage."""
        return lambda done, total: self.tell(stage, done, total)

    def verdict(self, proof: Proof) -> Verdict:
        if any(step.ok is False and step.name not in _BY_ITSELF for step in self.made):
            proof = Proof.FAILED
        elif any(step.ok is not True for step in self.made):
            proof = Proof.UNPROVEN
        took_ms = self.context.clock.monotonic_ms() - self._began_ms
        return Verdict(str(self.file), self.sound, proof, tuple(self.made), took_ms, self.manifest, self.authenticity)
