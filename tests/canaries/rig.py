"""A box whose every word is kept: what commands, engines and cockpits wrote, what files hold, what processes show."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.canaries.planted import Canary
from tests.canaries.search import Hit, files, search
from tests.canaries.watching import Watch
from tests.interfaces.program import Box, Engine, Result


@dataclass
class Evidence:
    """Where to look. excepted: canary → how the places begin where it may stand; the test says why."""

    box: Box
    watch: Watch
    canaries: list[Canary] = field(default_factory=list)
    places: dict[str, bytes] = field(default_factory=dict)
    excepted: dict[str, tuple[str, ...]] = field(default_factory=dict)
    _number: Any = field(default_factory=itertools.count)

    def plant(self, canary: Canary, *excepted: str) -> str:
        """Return the canary's text, and look for it from now on."""
        if canary not in self.canaries:
            self.canaries.append(canary)
        self.excepted[canary.name] = (*self.excepted.get(canary.name, ()), *excepted)
        return canary.text

    def note(self, name: str, data: bytes | str) -> None:
        """Keep what was written somewhere."""
        number = next(self._number)
        self.places[f"{name} ({number})"] = data if isinstance(data, bytes) else data.encode("utf-8", "surrogateescape")

    def chronos(self, *words: str, stdin: str | bytes = "", **env: str) -> Result:
        """Run `chronos`, and keep what it says."""
        done = self.box.chronos(*words, stdin=stdin, **env)
        named = " ".join(words[:2])
        self.note(f"stdout of {named}", done.out)
        self.note(f"stderr of {named}", done.err)
        return done

    def ok(self, *words: str, stdin: str | bytes = "", **env: str) -> Result:
        """Run `chronos`, which must end with 0."""
        done = self.chronos(*words, stdin=stdin, **env)
        assert done.code == 0, done
        return done

    def everything(self, **env: str) -> None:
        """Run every command that shows something, with tracebacks."""
        for words in _SHOWING:
            self.chronos(*words, **{**env, "CHRONOS_DEBUG": "1"})

    def heard(self, engine: Engine) -> None:
        """Keep what an engine wrote on stderr. Once it has ended."""
        engine.end()
        while (line := engine._queue.get()) != "":
            engine.lines.append(line)
        self.note("stderr of the engine", "".join([*engine._early, *engine.lines]))

    def keep_files(self, label: str, *folders: Path) -> None:
        """Read every file of the data directory, and of other folders, as they are now."""
        for folder in (self.box.data_dir, *folders):
            for name, data in files(folder, f"{folder.name}/").items():
                self.note(f"{name}, {label}", data)

    def hits(self, canaries: Iterable[Canary] | None = None) -> list[Hit]:
        """Return what was found where it must not be."""
        places = {**self.places, **self.watch.seen, **self.watch.given}
        operators_own = set(self.watch.given)
        found = search(places, self.canaries if canaries is None else canaries)
        return [
            hit
            for hit in found
            if not hit.place.startswith(self.excepted.get(hit.canary, ()))
            and not (hit.place in operators_own and self._set_by_operator(hit))
        ]

    def _set_by_operator(self, hit: Hit) -> bool:
        return any(f"own {hit.place.split(' ', 1)[0]}" == one for one in self.excepted.get(hit.canary, ()))


_SHOWING = (
    ("doctor",),
    ("config", "show", "--origin"),
    ("secret", "check"),
    ("target", "list"),
    ("status", "--json"),
    ("health", "--json"),
    ("outbox", "list", "--json"),
    ("audit", "export"),
    ("log", "--limit", "1000"),
    ("log", "--channel", "security", "--json"),
    ("secret", "list", "--json"),
    ("key", "list", "--json"),
    ("source", "list", "--json"),
    ("incident", "list", "--json"),
)
