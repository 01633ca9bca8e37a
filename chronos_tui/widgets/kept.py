"""The columns of the security panel's tables. What stands in them views/ make."""

from __future__ import annotations

from chronos_tui.views.security import INCIDENTS, KEYS, SECRETS, SOURCES
from chronos_tui.widgets.columns import Column

COLUMNS = {
    INCIDENTS: (
        Column("#", right=True, width=4),
        Column("severity", width=10),
        Column("what", least=18, weight=3),
        Column("subject", least=10, weight=3),
        Column("times", right=True, width=6),
        Column("last", right=True, width=6),
        Column("state", width=8),
        Column("in words", least=24, weight=6, rank=1),
    ),
    KEYS: (
        Column("name", least=10, weight=2),
        Column("id", width=8, rank=1),
        Column("scopes", width=15),
        Column("bound to", least=10, weight=2, rank=2),
        Column("state", width=10),
        Column("last used", least=16, weight=3),
    ),
    SOURCES: (
        Column("name", least=8, weight=1),
        Column("verified by", width=17, rank=3),
        Column("taken", right=True, width=6),
        Column("again", right=True, width=5, rank=1),
        Column("replays", right=True, width=7),
        Column("refused", right=True, width=7),
        Column("last", right=True, width=6),
        Column("last refused", least=18, weight=4),
    ),
    SECRETS: (
        Column("name", least=12, weight=1),
        Column("from", width=13),
        Column("version", width=7, rank=1),
        Column("age", right=True, width=6),
        Column("used by", least=20, weight=3),
    ),
}
"""By section, in the order of the rows' cells. Columns of a higher rank leave first when it gets narrow."""
