"""The help above the verbs: what `chronos --help` and `chronos NOUN --help` print."""

from __future__ import annotations

from chronos_tui.commands import catalogue

_HEAD = """\
usage: chronos VERB [OPTIONS]

The outbox of this machine: queue messages, watch them go, act on them. Works whether or not an engine runs.

"""
_TAIL = """
common options, before or after the verb:
  --data-dir DIR   the data directory (CHRONOS_DATA_DIR)
  --config FILE    the configuration file (CHRONOS_CONFIG_FILE)
  --json           one JSON document on stdout
  --quiet          results and errors only
  --no-color       no colours (NO_COLOR)
  --version        print the version
  -h, --help       help, also for each verb

exit codes: 0 done, 1 failed, 2 usage, 3 a check found a problem, 4 no such thing, 5 not possible in this state,
69 the engine is needed and not running, 75 busy, try again, 78 configuration error

examples:
  chronos send ops --subject 'Backup failed' --text-file report.txt
  chronos outbox list --state dead
"""


def overview() -> str:
    """Return the help of the whole command."""
    lines = [f"  {noun.name:<12} {noun.help}" for noun in catalogue.NOUNS]
    return _HEAD + "\n".join(lines) + "\n" + _TAIL


def of_noun(noun: catalogue.Noun) -> str:
    """Return the help of a noun with several verbs; its examples are the first of the first two."""
    verbs = [catalogue.verb(name) for name in catalogue.verb_names(noun)]
    width = max(len(verb.name) for verb in verbs)
    lines = [f"  {verb.name:<{width}}  {verb.help}" for verb in verbs]
    examples = [f"  {verb.examples[0]}" for verb in verbs[:2]]
    return "\n".join(
        [
            f"usage: chronos {noun.name} {{{','.join(noun.verbs)}}} [OPTIONS]",
            "",
            f"{noun.help[0].upper()}{noun.help[1:]}.",
            "",
            *lines,
            "",
            f"'chronos {noun.name} VERB --help' explains each.",
            "",
            "examples:",
            *examples,
            "",
        ]
    )
