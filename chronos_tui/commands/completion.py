"""`chronos completion`: the script that teaches a shell to complete `chronos`."""

from __future__ import annotations

import argparse

from chronos_tui.commands.parsing import Arguments, Verb
from chronos_tui.commands.session import Session

SHELLS = ("bash", "zsh", "fish")


def arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=SHELLS, metavar="SHELL", help="bash, zsh or fish")


def completion(session: Session, given: Arguments) -> int:
    from argcomplete.shell_integration import shellcode

    print(shellcode(["chronos"], shell=given.shell), end="")
    return 0


VERBS = (
    Verb(
        "completion",
        "print the completion script of a shell",
        completion,
        (
            "chronos completion bash > ~/.local/share/bash-completion/completions/chronos",
            "chronos completion fish > ~/.config/fish/completions/chronos.fish",
        ),
        arguments,
    ),
)
