"""Any single change to the audit log is found and named, by whatever means it was made; an untouched log is sound."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.engine.tampering import MUTATIONS, Log, Mutation, opened_log, tried, untouched

EACH = 12
LOGS = 25


@pytest.fixture(scope="module", params=[False, True], ids=["whole", "pruned"])
def log(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Log]:
    with opened_log(tmp_path_factory.mktemp("log"), seed=7, pruned=request.param) as made:
        yield made


@pytest.mark.parametrize("mutation", MUTATIONS, ids=[mutation.__name__ for mutation in MUTATIONS])
def test_a_change_is_found_and_named(log: Log, mutation: Mutation) -> None:
    assert log.verify().ok
    assert [wrong for _ in range(EACH) if (wrong := tried(log, mutation))] == []
    assert log.verify().ok


def test_an_untouched_log_raises_no_alarm(log: Log) -> None:
    assert [why for _ in range(LOGS) if (why := untouched(log))] == []
