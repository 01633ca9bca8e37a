"""One run of `chronos`: its common options, its way to the engine, its output. Knows no verb."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping

from chronos_tui import bridge
from chronos_tui.actor import actor
from chronos_tui.commands.output import Output


class Session:
    """What every verb is handed. opened: takes the secrets that were opened, so that no traceback repeats them."""

    __slots__ = ("_opened", "config", "data_dir", "env", "out")

    def __init__(
        self, data_dir: str | None, config: str | None, env: Mapping[str, str], out: Output, opened: list[str]
    ) -> None:
        self._opened = opened
        self.data_dir = data_dir
        self.config = config
        self.env = env
        self.out = out

    def paths(self) -> bridge.Paths:
        """Return where things lie, by options and environment."""
        return bridge.paths(self.data_dir, self.config, self.env)

    @contextlib.contextmanager
    def engine(self, on_secret: Callable[[str], None] | None = None) -> Iterator[bridge.Engine]:
        """Open the data directory for one command. Attached only: a command never delivers."""

        def remember(value: str) -> None:
            self._opened.append(value)
            if on_secret is not None:
                on_secret(value)

        engine = bridge.Engine.open(self.paths(), self.env, actor=actor("cli", self.env), on_secret=remember)
        try:
            yield engine
        finally:
            engine.close()

    @contextlib.contextmanager
    def intake(self, *, waiting: bool) -> Iterator[bridge.Intake]:
        """Open the data directory to take a message; waiting: the whole engine, which can watch what becomes of it."""
        if waiting:
            with self.engine() as engine:
                yield engine
            return
        intake = bridge.Intake.open(self.paths(), self.env, actor=actor("cli", self.env))
        try:
            yield intake
        finally:
            intake.close()

    def settings(self) -> bridge.Settings:
        """Read the configuration anew, with the origin of each key. Raises ConfigError."""
        return bridge.load_settings(self.paths(), self.env)
