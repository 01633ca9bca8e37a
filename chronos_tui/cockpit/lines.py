"""The command line at ":": takes a line apart, completes and checks it, and says what was probably meant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from chronos_tui import bridge
from chronos_tui.cockpit import arguments, words
from chronos_tui.cockpit.arguments import Known
from chronos_tui.cockpit.themes import THEMES
from chronos_tui.cockpit.words import Word
from chronos_tui.keys import Danger
from chronos_tui.widgets.panel import Prompt

if TYPE_CHECKING:
    from chronos_tui.cockpit.shell import Cockpit

_HINT = "pause email 30m · outbox state:dead · #1042   tab completes, ↑ brings back"


class CommandLine:
    """What ":" understands. Asks the engine what can be named each time it is opened."""

    def __init__(self, shell: Cockpit) -> None:
        self._shell = shell
        self._values: dict[str, tuple[str, ...]] = {}

    def open(self, initial: str = "") -> None:
        """Ask for a line."""
        self._shell.desk.read("known values", _known_values, self._learn)
        self._shell.prompt(Prompt(":", self.run, initial, self.complete, self.check, "command", _HINT))

    def _learn(self, values: dict[str, tuple[str, ...]]) -> None:
        self._values = values

    def known(self, dialect: bridge.Dialect | None = None) -> Known:
        """Return what can be named now."""
        situation = self._shell.situation
        held = tuple(hold.scope for hold in situation.holds) if situation is not None else ()
        themes = tuple(theme.name for theme in THEMES)
        return Known(self._shell.engine.settings, self._values, held, themes, dialect)

    def words(self) -> Mapping[str, Word]:
        """Return every word that can be said, by its name."""
        return {word.name: word for word in words.words(self._shell.kinds)}

    def complete(self, text: str, cursor: int) -> list[str]:
        """Return whole lines that `text` could become, the likeliest first."""
        if cursor < len(text):
            return []
        name, space, rest = _split(text)
        known = self.words()
        if not space:
            return [f"{one} " if word.pattern else one for one, word in known.items() if one.startswith(name)]
        found = known.get(name)
        if found is None:
            return []
        place = self.known(found.dialect)
        return [f"{name}{space}{one}" for one in arguments.complete(found.pattern, rest, place)]

    def check(self, text: str) -> str:
        """Return why the line cannot be done, "" when nothing speaks against it."""
        name, _space, rest = _split(text)
        if not name or (not rest.strip() and words.place_of(self._shell.kinds, name)):
            return ""
        found = self.words().get(name)
        if found is None:
            return self._unknown(name)
        if self._shell.read_only and found.danger is not Danger.NONE:
            return f"{name}: opened read-only: nothing can be changed from here"
        why = arguments.wrong(found.pattern, rest, self.known(found.dialect))
        return f"{name}: {why}" if why else ""

    def run(self, text: str) -> None:
        """Do what the line says, or say why not."""
        if why := self.check(text):
            self._shell.say(why, "failed")
            return
        name, _space, rest = _split(text)
        if not name:
            return
        if not rest.strip() and (place := words.place_of(self._shell.kinds, name)):
            self._shell.go(*place)
            return
        found = self.words()[name]
        found.run(self._shell, arguments.parse(found.pattern, rest, self.known(found.dialect)))

    def _unknown(self, name: str) -> str:
        guess = bridge.suggest(name, self.words())
        hint = f"did you mean {guess}?" if guess else "'help' lists the keys, tab the commands"
        return f"no command {bridge.safe_line(name, 40)!r}; {hint}"


def _known_values(engine: bridge.Engine) -> dict[str, tuple[str, ...]]:
    keys = tuple(dict.fromkeys(one.name for one in engine.api_keys() if one.revoked_ms is None))
    secrets = tuple(one.name for one in engine.secrets())
    return {**engine.known_values(), "api_key": keys, "secret": secrets, "backup": _backups(engine)}


def _backups(engine: bridge.Engine) -> tuple[str, ...]:
    """Return what can be named; none where the folder cannot be read, which must not keep the rest away."""
    try:
        return tuple(bridge.safe_line(one.name, 200) for one in engine.backups())
    except bridge.ChronosError:
        return ()


def _split(text: str) -> tuple[str, str, str]:
    """Return the word, the blanks behind it, and the rest."""
    line = text.lstrip().removeprefix(":")
    name, space, rest = line.partition(" ")
    return name, space, rest
