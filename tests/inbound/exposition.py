"""A strict reader of Prometheus' text format 0.0.4, as far as Chronos writes it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

_NAME = r"[a-zA-Z_:][a-zA-Z0-9_:]*"
_SAMPLE = re.compile(rf"({_NAME})(?:{{(.*)}})? (-?[0-9]+(?:\.[0-9]+)?(?:e[+-]?[0-9]+)?)")
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\[\\"n])*)"(,|$)')


class Exposition(NamedTuple):
    kinds: dict[str, str]
    values: dict[tuple[str, frozenset[tuple[str, str]]], float]

    def value(self, name: str, **labels: str) -> float:
        return self.values[name, frozenset(labels.items())]


def parse(text: str) -> Exposition:
    """Read the text format 0.0.4 strictly: HELP, TYPE, then this family's samples and no other's, none twice."""
    kinds: dict[str, str] = {}
    values: dict[tuple[str, frozenset[tuple[str, str]]], float] = {}
    helped = family = ""
    assert text.endswith("\n")
    for line in text.splitlines():
        assert line
        if match := re.fullmatch(rf"# HELP ({_NAME}) ((?:[^\\]|\\\\|\\n)*)", line):
            helped = match[1]
            assert helped not in kinds
        elif match := re.fullmatch(rf"# TYPE ({_NAME}) (counter|gauge|summary)", line):
            family = match[1]
            assert family == helped
            kinds[family] = match[2]
        else:
            match = _SAMPLE.fullmatch(line)
            assert match, line
            name = match[1]
            suffixes = ("_sum", "_count") if kinds[family] == "summary" else ("",)
            assert name in {family + suffix for suffix in suffixes}, line
            assert kinds[family] != "counter" or name.endswith("_total"), line
            key = (name, frozenset(labels(match[2] or "")))
            assert key not in values, line
            values[key] = float(match[3])
    return Exposition(kinds, values)


def labels(text: str) -> Iterator[tuple[str, str]]:
    at = 0
    while at < len(text):
        match = _LABEL.match(text, at)
        assert match, text
        value = re.sub(r"\\(.)", lambda found: {"n": "\n"}.get(found[1], found[1]), match[2])
        yield match[1], value
        at = match.end()
