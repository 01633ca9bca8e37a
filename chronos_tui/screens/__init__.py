"""The panels, one a file: each file with a class that is a Panel is found here, and the shell names none of them."""

from __future__ import annotations

import importlib
import inspect
import pkgutil

from chronos_tui.widgets.panel import Panel


def panels() -> list[type[Panel]]:
    """Return the panels in the order of their numbers. Raises ValueError when two want the same number."""
    found: dict[int, type[Panel]] = {}
    for module in pkgutil.iter_modules(__path__):
        for _name, member in inspect.getmembers(importlib.import_module(f"{__name__}.{module.name}"), inspect.isclass):
            if not (issubclass(member, Panel) and member.NUMBER and member.__module__ == f"{__name__}.{module.name}"):
                continue
            if member.NUMBER in found:
                raise ValueError(f"{member.ID} and {found[member.NUMBER].ID} are both panel {member.NUMBER}")
            found[member.NUMBER] = member
    return [found[number] for number in sorted(found)]
