"""What a page of the playbook is made of. Knows no page."""

from __future__ import annotations

from dataclasses import dataclass

from engine.rules.incidents import SEVERITIES, Kind, Severity


@dataclass(frozen=True, slots=True)
class Page:
    """One kind of incident as an operator needs it at 3 a.m.

    means: what it says and what it does not. subject: what an incident of this kind names. check: how to find out, each
    a sentence with the command in quotes. act: what to do, the first thing first. rule: what raises it, with its
    numbers, and what ends it. source: where the rule comes from.
    """

    kind: Kind
    title: str
    subject: str
    means: str
    check: tuple[str, ...]
    act: tuple[str, ...]
    rule: str
    source: str

    @property
    def severity(self) -> Severity:
        """How bad it is where whoever raises it does not say otherwise."""
        return SEVERITIES[self.kind]
