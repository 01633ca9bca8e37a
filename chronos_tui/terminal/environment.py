"""What of the environment may steer the cockpit. To be asked before Textual is imported; imports it not."""

from __future__ import annotations

from collections.abc import Mapping, MutableMapping

_KEPT = frozenset({"TEXTUAL_DISABLE_KITTY_KEY"})
_SIZE = ("COLUMNS", "LINES")


def prepare_environment(env: MutableMapping[str, str]) -> None:
    """Take out of `env` what would steer Textual, and put in what keeps it calm.

    Textual's own variables load a driver by name, write every key to keys.log, press keys, or change the looks: none of
    that is for whoever can set a variable in a unit or a profile. COLUMNS and LINES, once exported, would hold the
    size for ever. An empty NO_COLOR means nothing (no-color.org), but Textual looks only whether it is there.
    """
    for name in [name for name in env if name == "TEXTUAL" or name.startswith("TEXTUAL_")]:
        if name not in _KEPT:
            del env[name]
    for name in _SIZE:
        env.pop(name, None)
    if not env.get("NO_COLOR"):
        env.pop("NO_COLOR", None)
    env["TEXTUAL_ANIMATIONS"] = "none"
    # How long Textual collects changes before it paints: a switch of panels takes three such rounds, and 60 a second
    # made it 20 to 30 ms slower. Nothing is painted more often for it.
    env["TEXTUAL_FPS"] = "120"
    env["TEXTUAL_SMOOTH_SCROLL"] = "0"


def speaks_utf8(env: Mapping[str, str]) -> bool:
    """Return whether the locale that `env` names is UTF-8.

    Python itself puts LC_CTYPE=C.UTF-8 beside a LANG of C (PEP 538): that is Python's wish, not the operator's.
    """
    language = env.get("LANG", "")
    for name in ("LC_ALL", "LC_CTYPE", "LANG"):
        locale = env.get(name, "")
        if name == "LC_CTYPE" and locale == "C.UTF-8" and language in {"C", "POSIX"}:
            continue
        if locale:
            return locale.partition("@")[0].lower().replace("-", "").endswith("utf8")
    return False


def wants_no_colour(env: Mapping[str, str]) -> bool:
    """Return whether NO_COLOR asks for none (no-color.org: set and not empty)."""
    return bool(env.get("NO_COLOR"))


def wants_plain_output(env: Mapping[str, str]) -> bool:
    """Return whether CHRONOS_PLAIN_TERMINAL asks for Textual's output as it is."""
    return env.get("CHRONOS_PLAIN_TERMINAL", "") not in {"", "0"}
