"""Programs that tests need and a machine may not have."""

from __future__ import annotations

import shutil

import pytest

from tests.support import SKIP_NOTHING


def needs(*programs: str) -> pytest.MarkDecorator:
    """Skip where a program is missing; on the machine that guards the main branch, fail there instead."""
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing) and not SKIP_NOTHING, reason=f"not installed: {', '.join(missing)}")
