"""What may stand behind a word at ":": completed, checked and taken apart by a pattern such as "SCOPE [REASON]".

Pure: what is known is handed in, nothing is asked and nothing is done.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from chronos_tui import bridge
from chronos_tui.views.handles import handles
from chronos_tui.views.quoting import quoted, take

DURATIONS = ("15m", "30m", "1h", "4h", "1d")
_LONGEST = "7d"


@dataclass(frozen=True, slots=True)
class Known:
    """What can be named now. values: as the engine knows them, by the filter's field. held: scopes that are paused."""

    settings: bridge.Settings
    values: Mapping[str, Sequence[str]] = field(default_factory=dict)
    held: tuple[str, ...] = ()
    themes: tuple[str, ...] = ()
    dialect: bridge.Dialect | None = None


class _Kind(NamedTuple):
    """missing: said when nothing stands there. greedy: takes the rest of the line as it is."""

    missing: str
    options: Callable[[Known], Sequence[str]]
    check: Callable[[str, Known], None]
    greedy: bool = False


def parse(pattern: str, rest: str, known: Known) -> list[str]:
    """Return one text for each place of `pattern`, "" where an optional one is left out.

    Raises BadInput or NotFound with what is wrong, or missing.
    """
    found: list[str] = []
    for name, optional in _places(pattern):
        kind = _kind(name)
        word, rest = (rest.strip(), "") if kind.greedy else take(rest)
        if not word:
            if not optional:
                raise bridge.BadInput(kind.missing)
        else:
            kind.check(word, known)
        found.append(word)
    if rest.strip():
        beyond = bridge.safe_line(rest.strip(), 40)
        raise bridge.BadInput(f"{beyond}: nothing more is taken here" if found else f"{beyond}: nothing is taken here")
    return found


def wrong(pattern: str, rest: str, known: Known) -> str:
    """Return why `parse` would refuse, "" when it would not."""
    try:
        parse(pattern, rest, known)
    except bridge.ChronosError as error:
        return str(error)
    return ""


def complete(pattern: str, rest: str, known: Known) -> list[str]:
    """Return what `rest` could become: whole rests, with a space behind a word that another may follow."""
    places = _places(pattern)
    before = ""
    for at, (name, _optional) in enumerate(places):
        kind = _kind(name)
        present = rest[len(before) :]
        if kind.greedy:
            return [before + one for one in _greedy(name, present, known)]
        try:
            word, behind = take(present)
        except bridge.BadInput:
            return []
        if not behind:
            more = " " if at + 1 < len(places) else ""
            options = _starting(word.removeprefix('"'), kind.options(known))
            space = present[: len(present) - len(present.lstrip())]
            return [f"{before}{space}{quoted(one)}{more}" for one in options]
        gap = behind[: len(behind) - len(behind.lstrip())]
        before = rest[: len(rest) - len(behind) + len(gap)]
    return []


def _greedy(name: str, present: str, known: Known) -> list[str]:
    if "FILTER" not in name or known.dialect is None:
        return []
    start = bridge.filter_word_start(present, len(present))
    return [
        present[:start] + term for term in bridge.complete_filter(present, len(present), known.values, known.dialect)
    ]


def _starting(prefix: str, options: Iterable[str]) -> list[str]:
    """Those that begin so first; then those whose name does: "em" finds channel:email too."""
    low = prefix.lower()
    listed = list(dict.fromkeys(options))
    first = [one for one in listed if one.lower().startswith(low)]
    return first + [one for one in listed if one not in first and one.lower().partition(":")[2].startswith(low) and low]


def _places(pattern: str) -> list[tuple[str, bool]]:
    return [(place.strip("[]"), place.startswith("[")) for place in pattern.split()]


def _kind(name: str) -> _Kind:
    return _KINDS.get(name) or _choice(name.split("|"))


def _choice(words: Sequence[str]) -> _Kind:
    def check(word: str, _known: Known) -> None:
        if word not in words:
            raise bridge.BadInput(f"{bridge.safe_line(word, 40)}: write {' or '.join(words)}")

    return _Kind(f"write {' or '.join(words)}", lambda _known: words, check)


def _anything(_word: str, _known: Known) -> None:
    """What is right only the engine can say."""


def _nothing(_known: Known) -> Sequence[str]:
    return ()


def scopes(known: Known) -> list[str]:
    """Return what can be paused: names alone where they mean one thing, else with what they are."""
    names: dict[str, list[str]] = {}
    kinds = {
        "target": list(known.settings.targets),
        "channel": sorted(
            {spec.channel for spec in known.settings.targets.values()} | set(known.values.get("channel", ()))
        ),
        "template": [one for one in known.values.get("template", ()) if one],
    }
    for kind, found in kinds.items():
        for name in found:
            names.setdefault(name, []).append(kind)
    plain = [
        name if len(of) == 1 and ":" not in name else f"{kind}:{name}" for name, of in names.items() for kind in of
    ]
    return ["all", *plain]


def scope(word: str, known: Known) -> str:
    """Return the scope that is meant. Raises BadInput, NotFound."""
    values = known.values
    return bridge.scope_of(
        known.settings, word, channels=values.get("channel", ()), templates=values.get("template", ())
    )


def _check_scope(word: str, known: Known) -> None:
    scope(word, known)


def _check_held(word: str, known: Known) -> None:
    if word not in known.held and scope(word, known) not in known.held:
        held = ", ".join(known.held) or "nothing"
        raise bridge.NotFound(f"{bridge.safe_line(word, 40)} is not held; held: {bridge.safe_line(held, 100)}")


def hold_ms(word: str) -> int:
    """Return how long a pause lasts. Raises BadInput for what is none, or too long."""
    for_ms = bridge.parse_duration_ms(word)
    if not 0 < for_ms <= bridge.LONGEST_HOLD_MS:
        raise bridge.BadInput(f"a pause lasts from a moment to {_LONGEST}; pause again to prolong it")
    return for_ms


def _check_duration(word: str, _known: Known) -> None:
    hold_ms(word)


def _targets(known: Known) -> list[str]:
    return [*known.settings.targets, *known.settings.routes]


def _check_target(word: str, known: Known) -> None:
    if word not in known.settings.targets:
        guess = bridge.suggest(word, known.settings.targets)
        names = ", ".join(known.settings.targets) or "none is configured"
        hint = f"did you mean {guess}?" if guess else f"targets: {names}"
        raise bridge.NotFound(bridge.safe_line(f"no target {word!r:.60}; {hint}", 200))


def _check_theme(word: str, known: Known) -> None:
    if word not in known.themes:
        raise bridge.NotFound(f"no theme {bridge.safe_line(word, 40)!r}; there are {', '.join(known.themes)}")


def _check_number(word: str, _known: Known) -> None:
    if not re.fullmatch(r"[0-9]{1,15}", word):
        raise bridge.BadInput(f"{bridge.safe_line(word, 40)!r} is not a number")


def _check_filter(word: str, known: Known) -> None:
    if known.dialect is not None:
        bridge.parse_filter(word, known.dialect)


def _check_set(word: str, known: Known) -> None:
    if not handles(word):
        _check_filter(word, known)


_KINDS: Mapping[str, _Kind] = {
    "SCOPE": _Kind("a scope is missing: all, a channel, a target or a template", scopes, _check_scope),
    "HELD": _Kind("which one", lambda known: known.held, _check_held),
    "DURATION": _Kind(
        f"how long is missing: {', '.join(DURATIONS)}, at most {_LONGEST}", lambda _known: DURATIONS, _check_duration
    ),
    "REASON": _Kind("", _nothing, _anything, greedy=True),
    "TARGET": _Kind("a target is missing", lambda known: list(known.settings.targets), _check_target),
    "TO": _Kind("a target, a route or an address is missing", _targets, _anything),
    "KEY": _Kind("the name of a key is missing", lambda known: known.values.get("api_key", ()), _anything),
    "SECRET": _Kind("the name of a secret is missing", lambda known: known.values.get("secret", ()), _anything),
    "FILE": _Kind(
        "the name or the path of a backup is missing", lambda known: known.values.get("backup", ()), _anything
    ),
    "NOTE": _Kind("", _nothing, _anything, greedy=True),
    "THEME": _Kind("a theme is missing", lambda known: known.themes, _check_theme),
    "N": _Kind("a number is missing", _nothing, _check_number),
    "FILTER": _Kind("a filter is missing", _nothing, _check_filter, greedy=True),
    "ID…|FILTER": _Kind("numbers or a filter are missing: 1042, or state:dead", _nothing, _check_set, greedy=True),
}
