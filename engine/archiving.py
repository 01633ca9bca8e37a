"""Backups and restores as an operator asks for them: class Archiving, below Engine. Delivers nothing."""

from __future__ import annotations

from engine.keeping import Keeping


class Archiving(Keeping):
    """What is kept safe. Every method may be called from any thread, in any process."""
