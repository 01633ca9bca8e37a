"""`chronos-tui`: chooses between the cockpit and the engine alone. Imports no Textual where the engine runs alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from chronos_tui import bridge, failure

if TYPE_CHECKING:
    import argparse

PROGRAM = "chronos-tui"


def main(argv: Sequence[str] | None = None) -> int:
    """Run `chronos-tui`; return its exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    return failure.guarded(PROGRAM, lambda: _run(words), os.environ)


def _run(words: list[str]) -> int:
    given = parser().parse_args(words)
    if given.engine_only:
        from chronos_tui import headless

        return headless.run(given.data_dir, given.config, os.environ)
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM", "dumb") == "dumb":
        raise bridge.BadInput("needs a terminal; 'chronos-tui --engine-only' runs the engine without one")
    raise bridge.NotPossible(
        "the cockpit is not in this version; run 'chronos-tui --engine-only', and 'chronos' to look at it"
    )


def parser() -> argparse.ArgumentParser:
    """Build the parser of `chronos-tui`."""
    from chronos_tui.commands.parsing import HelpFormatter, Parser

    made = Parser(
        prog=PROGRAM,
        description="Runs the engine: takes messages from the outbox and delivers them until SIGTERM or SIGINT.",
        epilog=(
            "SIGHUP reloads the configuration. A second SIGTERM leaves at once; nothing is lost.\n\n"
            "examples:\n  chronos-tui --engine-only\n  chronos-tui --data-dir /var/lib/chronos --engine-only"
        ),
        formatter_class=HelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    made.add_argument("--engine-only", action="store_true", help="the engine alone, in the foreground")
    made.add_argument("--data-dir", metavar="DIR", help="the data directory (CHRONOS_DATA_DIR)")
    made.add_argument("--config", metavar="FILE", help="the configuration file (CHRONOS_CONFIG_FILE)")
    made.add_argument(
        "--version", action="version", version=f"{PROGRAM} {bridge.__version__}", help="print the version"
    )
    made.add_argument("-h", "--help", action="help", help="this text")
    return made


if __name__ == "__main__":
    sys.exit(main())
