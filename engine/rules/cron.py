"""When a cron expression of five fields comes round next, in a time zone. No clock of its own."""

from __future__ import annotations

from datetime import UTC, datetime, tzinfo

from engine.errors import BadInput


def check(expression: str) -> None:
    """Raise BadInput where `expression` is not five fields of cron, or names a day that never comes."""
    next_after(expression, 0, UTC)


def next_after(expression: str, at_ms: int, zone: tzinfo) -> int:
    """Return the first time after `at_ms` (both Unix time in ms) that the expression names.

    At a change of the clocks cronsim does as Debian's cron does: a fixed time that the spring leaves out runs at once
    after it, one that the autumn brings twice runs once, and what runs every so many minutes or hours goes on.

    Raises BadInput for an expression that is none or never comes round.
    """
    from cronsim import CronSim, CronSimError

    if len(expression.split()) != 5:
        raise BadInput("must be five fields of cron such as '0 3 * * *'")
    begin = datetime.fromtimestamp(at_ms / 1000, tz=zone)
    try:
        found = next(CronSim(expression, begin))
    except CronSimError as error:
        raise BadInput(f"is no cron expression ({error})") from error
    except StopIteration:
        raise BadInput("never comes round: it names a day that no calendar has") from None
    return round(found.timestamp() * 1000)
