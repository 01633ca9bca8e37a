"""What a pause may hold back: scopes, and what a person means by a word. Reads no row."""

from __future__ import annotations

from collections.abc import Collection

from engine.errors import BadInput, NotFound
from engine.model import Settings
from engine.rules.text import suggest

_KINDS = ("channel", "target", "template")
_LONGEST = 200


def unknown_target(settings: Settings, name: str) -> NotFound:
    """Return the error for a target that nobody configured."""
    known = [*settings.targets, *settings.routes]
    guess = suggest(name, known)
    if guess:
        hint = f"did you mean {guess}?"
    elif known:
        hint = "'chronos target list' names them"
    else:
        hint = "none is configured yet; 'chronos config path' names the file"
    return NotFound(f"no target or route {name!r}; {hint}")


def check_scope(settings: Settings, scope: str) -> None:
    """Raise BadInput or NotFound unless `scope` is all, channel:X, target:X or template:X."""
    kind, colon, name = scope.partition(":")
    if scope == "all":
        return
    if not colon or kind not in _KINDS or not name or len(scope) > _LONGEST or not scope.isprintable():
        raise BadInput(f"scope {scope!r:.60}: use all, channel:email, target:ops or template:x")
    if kind == "target" and name not in settings.targets and ":" not in name:
        if name in settings.routes:
            raise _is_a_route(settings, name)
        raise unknown_target(settings, name)


def _is_a_route(settings: Settings, name: str) -> BadInput:
    steps = ", ".join(f"target:{step.target}" for step in settings.routes[name])
    return BadInput(f"{name} is a route; hold its targets: {steps}")


def scope_of(settings: Settings, word: str, *, channels: Collection[str] = (), templates: Collection[str] = ()) -> str:
    """Return the scope that a person means: "all", a whole scope, or the name of a channel, a target or a template.

    channels, templates: names in use beside those of the configuration.

    Raises BadInput where a word names two things, NotFound, with what was probably meant, where it names none.
    """
    word = word.strip()
    if word == "all" or (word.partition(":")[0] in _KINDS and ":" in word):
        check_scope(settings, word)
        return word
    known = {
        "channel": {spec.channel for spec in settings.targets.values()} | set(channels),
        "target": set(settings.targets),
        "template": set(templates),
    }
    meant = [f"{kind}:{word}" for kind, names in known.items() if word in names]
    if len(meant) == 1:
        return meant[0]
    if meant:
        raise BadInput(f"{word} is more than one thing: write {' or '.join(meant)}")
    if word in settings.routes:
        raise _is_a_route(settings, word)
    names = sorted(set().union(*known.values()))
    guess = suggest(word, ["all", *names])
    hint = f"did you mean {guess}?" if guess else "use all, channel:email, target:ops or template:x"
    raise NotFound(f"nothing called {word!r:.60} can be paused; {hint}")
