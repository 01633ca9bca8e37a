"""What a dispatcher did, for the log: one line an attempt, one a minute for the pace. Counts; decides nothing."""

from __future__ import annotations

from collections import Counter

from engine.errors import Sent
from engine.host.log import Log
from engine.model import DELIVERED
from engine.senders import Result

_DETAIL_CHARS = 200


class Tally:
    """Since this process took over: attempts accepted, attempts failed, defects of the engine itself.

    outcomes: attempts by how they ended, a value of errors.Sent or "delivered".
    """

    def __init__(self, log: Log) -> None:
        self.delivered = 0
        self.failed = 0
        self.defects = 0
        self.outcomes: Counter[str] = Counter()
        self._log = log
        self._took_ms: list[int] = []

    def note(self, result: Result) -> None:
        """Count one attempt and log it."""
        good = result.outcome.kind == DELIVERED
        self.delivered += good
        self.failed += not good
        self.outcomes[result.outcome.kind] += 1
        self._took_ms.append(result.took_ms)
        self._log.event(
            "INFO" if good else "WARNING",
            "delivered" if good else "attempt_failed",
            message_id=result.message_id,
            attempt=result.attempt_no,
            target=result.lane,
            outcome=result.outcome.kind,
            code=result.outcome.code,
            detail="" if good else result.outcome.detail[:_DETAIL_CHARS],
            took_ms=result.took_ms,
        )
        if result.outcome.kind == Sent.MISCONFIGURED:  # login, certificate, address
            self._log.event(
                "WARNING",
                "target_misconfigured",
                channel="security",
                message_id=result.message_id,
                target=result.lane,
                code=result.outcome.code,
                detail=result.outcome.detail[:_DETAIL_CHARS],
            )

    def report_pace(self, wal_bytes: int) -> None:
        """Log how long the wire took since the last report; nothing when nothing was sent."""
        took_ms, self._took_ms = sorted(self._took_ms), []
        if not took_ms:
            return
        self._log.event(
            "INFO",
            "pace",
            channel="performance",
            attempts=len(took_ms),
            median_ms=took_ms[len(took_ms) // 2],
            p95_ms=took_ms[len(took_ms) * 95 // 100],
            max_ms=took_ms[-1],
            delivered_total=self.delivered,
            failed_total=self.failed,
            wal_bytes=wal_bytes,
        )
