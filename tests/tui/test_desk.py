"""The cockpit's threads: answers reach the front end's thread, the newest wish counts, nothing is swallowed."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from chronos_tui.desk import Desk
from engine.engine import Engine
from engine.errors import NotFound
from engine.model import NewMessage, Role
from engine.operations.watching import Topic
from tests.support import PATIENCE_S, EventLog, data_dir, opened_engine


class Front:
    """A front end of one thread: runs what it is handed until something it waits for has happened."""

    def __init__(self, engine: Engine, on_owner: Callable[[], None] = lambda: None) -> None:
        self.log = EventLog()
        self.moved: list[frozenset[Topic]] = []
        self.roles: list[Role] = []
        self._todo: queue.Queue[Callable[[], None]] = queue.Queue()
        self.desk = Desk(
            engine, self._todo.put, moved=self.moved.append, role=self.roles.append, on_owner=on_owner, log=self.log
        )

    def until(self, condition: Callable[[], bool]) -> None:
        while not condition():
            self._todo.get(timeout=PATIENCE_S)()

    def drain(self) -> None:
        while not self._todo.empty():
            self._todo.get()()


@contextmanager
def front(engine: Engine) -> Iterator[Front]:
    made = Front(engine)
    made.desk.start()
    try:
        yield made
    finally:
        made.desk.stop(PATIENCE_S)


def test_an_answer_comes_on_the_front_ends_thread_and_was_made_on_another(tmp_path: Path) -> None:
    with opened_engine(data_dir(tmp_path)) as engine, front(engine) as made:
        asked: list[str] = []
        shown: list[tuple[str, str]] = []

        def query(_engine: Engine) -> str:
            asked.append(threading.current_thread().name)
            return "answer"

        made.desk.read("one", query, lambda answer: shown.append((answer, threading.current_thread().name)))
        made.until(lambda: bool(shown))

    assert asked == ["cockpit-reader"]
    assert shown == [("answer", threading.current_thread().name)]


def test_of_two_wishes_of_one_key_only_the_newer_is_read(tmp_path: Path) -> None:
    with opened_engine(data_dir(tmp_path)) as engine, front(engine) as made:
        busy, go_on = threading.Event(), threading.Event()
        shown: list[str] = []

        def slow(_engine: Engine) -> str:
            busy.set()
            assert go_on.wait(PATIENCE_S)
            return "slow"

        made.desk.read("other", slow, shown.append)
        assert busy.wait(PATIENCE_S)
        made.desk.read("same", lambda _engine: "older", shown.append)
        made.desk.read("same", lambda _engine: "newer", shown.append)
        go_on.set()
        made.until(lambda: len(shown) >= 2)

    assert shown == ["slow", "newer"]


def test_a_refusal_is_one_line_and_a_defect_is_logged_once(tmp_path: Path) -> None:
    with opened_engine(data_dir(tmp_path)) as engine, front(engine) as made:
        said: list[str] = []

        def refused(_engine: Engine) -> None:
            raise NotFound("no message #7\x1b[31m")

        def broken(_engine: Engine) -> None:
            raise KeyError("a defect")

        made.desk.read("a", refused, lambda _none: said.append("shown"), said.append)
        made.desk.act(broken, lambda _none: said.append("shown"), said.append)
        made.until(lambda: len(said) == 2)
        made.log.wait_for("cockpit_failed")

    assert "no message #7" in said
    assert any(text.startswith("KeyError") for text in said)
    assert made.log.names().count("cockpit_failed") == 1


def _number(number: int, _engine: Engine) -> int:
    return number


def test_acts_are_done_in_the_order_they_were_asked_for(tmp_path: Path) -> None:
    with opened_engine(data_dir(tmp_path)) as engine, front(engine) as made:
        done: list[int] = []
        for number in range(20):
            made.desk.act(partial(_number, number), done.append, lambda _text: None)
        made.until(lambda: len(done) == 20)

    assert done == list(range(20))


def test_the_commit_of_another_engine_is_told(tmp_path: Path) -> None:
    where = data_dir(tmp_path)
    with opened_engine(where) as engine, opened_engine(where) as other, front(engine) as made:
        made.until(lambda: bool(made.moved) and made.roles == [Role.OWNER])
        made.moved.clear()

        other.enqueue(NewMessage("hook", text="hi"))
        made.until(lambda: any(Topic.OUTBOX in topics for topics in made.moved))


def test_a_front_end_that_finds_nobody_delivering_delivers(tmp_path: Path) -> None:
    owned = threading.Event()
    with opened_engine(data_dir(tmp_path)) as engine:
        made = Front(engine, owned.set)
        made.desk.start()
        made.until(lambda: made.roles == [Role.OWNER])
        assert owned.wait(PATIENCE_S)
        made.desk.stop(PATIENCE_S)


def test_it_takes_over_when_the_owner_has_gone(tmp_path: Path) -> None:
    where = data_dir(tmp_path)
    with opened_engine(where) as engine, opened_engine(where) as owner:
        owner.own("engine-only")
        with front(engine) as made:
            made.until(lambda: made.roles == [Role.ATTACHED])
            owner.stop()
            made.until(lambda: made.roles == [Role.ATTACHED, Role.OWNER])


def test_a_long_job_tells_how_far_it_is_and_ends_when_it_is_told_to(tmp_path: Path) -> None:
    with opened_engine(data_dir(tmp_path)) as engine, front(engine) as made:
        steps: list[tuple[int, int]] = []
        ends: list[str] = []
        first = threading.Event()

        def work(_engine: Engine, progress: Callable[[int, int], None]) -> str:
            for number in range(10_000_000):
                progress(number, 10_000_000)
                first.set()
            return "all of it"

        job = made.desk.long(work, ends.append, ends.append, lambda done, total: steps.append((done, total)))
        assert first.wait(PATIENCE_S)
        job.cancel()
        made.until(lambda: bool(ends))

    assert ends == ["cancelled"]
    assert steps
    assert len(steps) < 100, "a bar repaints at most twice a second"


def test_a_long_job_ends_when_the_desk_stops(tmp_path: Path) -> None:
    with opened_engine(data_dir(tmp_path)) as engine, front(engine) as made:
        begun, ended = threading.Event(), threading.Event()

        def work(_engine: Engine, progress: Callable[[int, int], None]) -> None:
            try:
                while True:
                    progress(1, 2)
                    begun.set()
            finally:
                ended.set()

        made.desk.long(work, lambda _answer: None, lambda _text: None)
        assert begun.wait(PATIENCE_S)
        made.desk.stop(PATIENCE_S)
        assert ended.is_set()


def test_nothing_is_handed_over_once_it_has_stopped(tmp_path: Path) -> None:
    with opened_engine(data_dir(tmp_path)) as engine, front(engine) as made:
        begun, go_on = threading.Event(), threading.Event()
        shown: list[str] = []

        def slow(_engine: Engine) -> str:
            begun.set()
            assert go_on.wait(PATIENCE_S)
            return "late"

        made.desk.read("a", slow, shown.append)
        assert begun.wait(PATIENCE_S)
        threading.Timer(0.05, go_on.set).start()
        made.desk.stop(PATIENCE_S)
        made.drain()

    assert shown == []
