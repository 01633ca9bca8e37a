"""Programs that tests need and a machine may not have."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.support import SKIP_NOTHING


def find(program: str) -> str | None:
    """Return where a program lies; servers lie where only root's PATH leads."""
    return shutil.which(program, path=f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin")


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skip where a program is missing; on the machine that guards the main branch, fail there instead."""
    missing = [program for program in programs if find(program) is None]
    return pytest.mark.skipif(bool(missing) and not SKIP_NOTHING, reason=f"not installed: {', '.join(missing)}")
