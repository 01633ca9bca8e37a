"""Renders the pages of docs/incidents.md. `python -m tests.rules.incidentsdoc` writes them anew."""

from __future__ import annotations

from pathlib import Path

from engine.rules import playbook
from engine.rules.playbook import Page

FILE = Path(playbook.__file__).parents[3] / "docs" / "incidents.md"
BEGIN = "<!-- from here on: python -m tests.rules.incidentsdoc -->"


def document() -> str:
    """Return the file with its first part as it stands and its pages as they are."""
    head = FILE.read_text(encoding="utf-8").partition(BEGIN)[0]
    return f"{head}{BEGIN}\n" + "".join(map(_page, playbook.pages()))


def _page(page: Page) -> str:
    lines = [
        f"\n## {page.title}",
        f"\n`{page.kind.value}`, {page.severity.value}. Subject: {page.subject}.",
        f"\n{page.means}",
        "\nHow to check:\n",
        *(f"- {line}" for line in page.check),
        "\nWhat to do:\n",
        *(f"- {line}" for line in page.act),
        f"\nThe rule: {page.rule}",
        f"\nSource: {page.source}.",
    ]
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    FILE.write_text(document(), encoding="utf-8")
