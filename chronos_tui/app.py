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
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or os.environ.get("TERM", "") in {"", "dumb", "unknown"}:
        raise bridge.BadInput("needs a terminal; 'chronos-tui --engine-only' runs the engine without one")
    from chronos_tui.cockpit.run import run

    return run(
        given.data_dir,
        given.config,
        os.environ,
        read_only=given.read_only,
        mouse=given.mouse,
        plain=given.plain_terminal,
    )


def parser() -> argparse.ArgumentParser:
    """Build the parser of `chronos-tui`."""
    from chronos_tui.commands.parsing import HelpFormatter, Parser

    made = Parser(
        prog=PROGRAM,
        description=(
            "The cockpit: starts the engine inside itself, or attaches to the one that runs on this data directory.\n"
            "With --engine-only the engine alone: takes messages and delivers them until SIGTERM or SIGINT."
        ),
        epilog=(
            "In the cockpit ? shows every key. With --engine-only SIGHUP reloads the configuration and a second\n"
            "SIGTERM leaves at once; nothing is lost.\n\n"
            "examples:\n  chronos-tui\n  chronos-tui --data-dir /var/lib/chronos --engine-only"
        ),
        formatter_class=HelpFormatter,
        allow_abbrev=False,
        add_help=False,
    )
    made.add_argument("--engine-only", action="store_true", help="the engine alone, in the foreground")
    made.add_argument("--read-only", action="store_true", help="look only: the engine refuses every act")
    made.add_argument("--mouse", action="store_true", help="take the mouse (then the terminal's own selection rests)")
    made.add_argument(
        "--plain-terminal", action="store_true", help="write whole screens, for a terminal that shows leftovers"
    )
    made.add_argument("--data-dir", metavar="DIR", help="the data directory (CHRONOS_DATA_DIR)")
    made.add_argument("--config", metavar="FILE", help="the configuration file (CHRONOS_CONFIG_FILE)")
    made.add_argument(
        "--version", action="version", version=f"{PROGRAM} {bridge.__version__}", help="print the version"
    )
    made.add_argument("-h", "--help", action="help", help="this text")
    return made


if __name__ == "__main__":
    sys.exit(main())
