"""Logs from the event to the reader, on real files."""

from __future__ import annotations

import gzip
import json
import logging
import os
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from engine.errors import BadInput
from engine.host import logs
from engine.host.log import CHANNELS, Log, NullLog
from engine.host.logfiles import Line, LineQueue, LogFiles, rotated_files
from engine.host.logread import read
from engine.rules.redact import Redactor

NOON_MS = 1_795_435_200_000  # 2026-11-23T12:00:00Z
DAY_MS = 86_400_000
FORTNIGHT_MS = 14 * DAY_MS
SECRET = 'tr0ub"4dor&3/x'


class HandClock:
    """A clock that somebody moves."""

    def __init__(self, now_ms: int = NOON_MS) -> None:
        self.now = now_ms

    def now_ms(self) -> int:
        return self.now

    def monotonic_ms(self) -> int:
        return self.now


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def redactor() -> Redactor:
    redactor = Redactor()
    redactor.register(SECRET)
    return redactor


@pytest.fixture
def log_dir(tmp_path: Path) -> Path:
    return tmp_path / "logs"


class Engine:
    """A configured process; `lines` ends it and reads what it wrote."""

    def __init__(self, log_dir: Path, redactor: Redactor, clock: HandClock, level: str = "INFO") -> None:
        self.log_dir = log_dir
        self.opened = logs.configure(
            log_dir, level, redactor=redactor, stderr=None, retention_ms=FORTNIGHT_MS, clock=clock
        )
        self.log: Log = logs.get()

    def lines(self, channel: str = "chronos") -> list[dict[str, Any]]:
        self.opened.close()
        return list(read(self.log_dir, channel=channel))


@pytest.fixture
def engine(log_dir: Path, redactor: Redactor, clock: HandClock) -> Iterator[Engine]:
    engine = Engine(log_dir, redactor, clock)
    yield engine
    engine.opened.close()


def numbered(number: int, size: int = 0) -> Line:
    record = {"at": "2026-11-23T12:00:00.000Z", "level": "INFO", "event": "n", "n": number, "pad": "x" * size}
    return Line("chronos", json.dumps(record).encode() + b"\n")


def numbers(log_dir: Path, **options: Any) -> list[int]:
    return [record["n"] for record in read(log_dir, **options)]


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_a_line_holds_the_documented_fields_and_the_context(engine: Engine) -> None:
    with logs.get().context(message_id=1042, uid="msg_0"):
        engine.log.event("INFO", "delivered", target="ops", attempt=2)
    engine.log.event("WARNING", "breaker_opened", target="ops")

    first, second = engine.lines()
    assert first == {
        "at": "2026-11-23T12:00:00.000Z",
        "level": "INFO",
        "event": "delivered",
        "channel": "chronos",
        "pid": os.getpid(),
        "thread": "MainThread",
        "message_id": 1042,
        "uid": "msg_0",
        "target": "ops",
        "attempt": 2,
    }
    assert "message_id" not in second


def test_each_channel_has_its_own_private_file(engine: Engine, log_dir: Path) -> None:
    before = os.umask(0)
    try:
        for channel in CHANNELS:
            engine.log.event("INFO", f"about_{channel}", channel=channel)
        engine.opened.close()
    finally:
        os.umask(before)

    assert sorted(path.name for path in log_dir.iterdir()) == [f"{channel}.jsonl" for channel in sorted(CHANNELS)]
    assert {mode(path) for path in log_dir.iterdir()} == {0o600}
    assert mode(log_dir) == 0o700
    assert [line["event"] for line in read(log_dir, channel="security")] == ["about_security"]


def test_what_is_below_the_level_is_not_written(engine: Engine) -> None:
    engine.log.event("DEBUG", "detail")
    engine.log.event("INFO", "fact")

    assert [line["event"] for line in engine.lines()] == ["fact"]


def test_no_secret_reaches_a_file_and_each_line_stays_json(engine: Engine, log_dir: Path) -> None:
    engine.log.event("INFO", "by value", text=f"it is {SECRET}!", nested={"deep": [SECRET]})
    engine.log.event("INFO", "by rule", text='header "Authorization: Bearer abcdefghijkl", and\nmore', other="kept")
    engine.log.event("INFO", "by name", password="correct horse", quoted='he said password=swordfish\\"')
    try:
        raise ValueError(f"login with {SECRET} failed")
    except ValueError as error:
        engine.log.event("ERROR", "in an error", error=error)
    logging.getLogger("urllib3").warning("https://api/bot123456789:%s/x", "A" * 35)
    lines = engine.lines()

    assert [line["event"] for line in lines] == ["by value", "by rule", "by name", "in an error", "library"]
    text = (log_dir / "chronos.jsonl").read_text()
    for secret in (SECRET, json.dumps(SECRET)[1:-1], "tr0ub", "abcdefghijkl", "horse", "swordfish", "A" * 35):
        assert secret not in text
    assert lines[1]["other"] == "kept"


def test_a_line_that_cannot_be_cleaned_is_withheld(log_dir: Path, clock: HandClock) -> None:
    class Greedy(Redactor):
        def redact(self, text: str, *, cut: bool = False) -> str:
            return text.replace('login"', "")

    engine = Engine(log_dir, Greedy(), clock)
    engine.log.event("INFO", "login", text="the secret is open sesame")
    (line,) = engine.lines()

    assert (line["event"], line["about"]) == ("line_withheld", "login")
    assert "sesame" not in (log_dir / "chronos.jsonl").read_text()


def test_an_error_shows_its_frames_and_causes_but_no_local_variable(engine: Engine, log_dir: Path) -> None:
    def fails() -> None:
        local_canary = "visible only in a frame's locals"
        try:
            raise ConnectionError("the inner one")
        except ConnectionError as inner:
            raise RuntimeError(f"the outer one, {len(local_canary)}") from inner

    try:
        fails()
    except RuntimeError as error:
        engine.log.event("ERROR", "defect", error=error)
    (line,) = engine.lines()

    assert line["error"]["type"] == "RuntimeError"
    assert "the outer one" in line["error"]["text"]
    assert line["error"]["frames"][-1].endswith(" fails")
    assert line["error"]["cause"]["text"].endswith("the inner one")
    assert "visible only" not in (log_dir / "chronos.jsonl").read_text()


def test_a_field_can_be_anything_and_cannot_break_or_flood_the_log(engine: Engine, log_dir: Path) -> None:
    class Hostile:
        def __str__(self) -> str:
            raise AssertionError("a log line runs no code of what it is given")

        __repr__ = __str__

    endless: list[object] = []
    endless.append(endless)
    engine.log.event(
        "INFO",
        "fields {with} braces",
        thing=Hostile(),
        endless=endless,
        number=float("nan"),
        big=10**6000,
        raw=b"12345",
        path=Path("/x"),
        text="x" * 100_000,
        surrogate="\udc80",
        escape="\x1b[31m\x9b\u202e\x7f",
        keys={Hostile(): 1},
        pid="not the pid",
        many={str(index): "y" * 3_000 for index in range(49)},
    )
    (line,) = engine.lines()

    assert line["thing"] == "<Hostile>"
    assert line["raw"] == "<5 bytes>"
    assert (line["pid"], line["pid_"]) == (os.getpid(), "not the pid")
    assert line["cut"]
    assert "many" not in line
    raw = (log_dir / "chronos.jsonl").read_bytes()
    assert len(raw) < 64 * 1024
    assert all(32 <= byte < 127 for byte in raw[:-1])


def test_what_libraries_log_arrives_here_and_nowhere_else(
    engine: Engine, capfd: pytest.CaptureFixture[str], log_dir: Path
) -> None:
    library = logging.getLogger("some.package")
    library.warning("half %s", "full")
    (ours,) = [handler for handler in logging.getLogger().handlers if type(handler).__module__ == logs.__name__]
    ours.handle(library.makeRecord("some.package", logging.WARNING, "", 0, "%d arguments are %d", (1,), None))
    library.info("chatter")
    try:
        raise OSError("boom")
    except OSError:
        library.exception("failed")
    lines = engine.lines()

    assert [(line["level"], line["logger"], line["text"]) for line in lines] == [
        ("WARNING", "some.package", "half full"),
        ("WARNING", "some.package", "%d arguments are %d"),
        ("ERROR", "some.package", "failed"),
    ]
    assert lines[2]["error"]["type"] == "OSError"
    assert capfd.readouterr() == ("", "")


def test_closing_gives_the_standard_library_its_handlers_back(log_dir: Path, redactor: Redactor) -> None:
    root = logging.getLogger()
    before = (root.handlers[:], root.level)
    engine = Engine(log_dir, redactor, HandClock(), level="DEBUG")
    assert (root.handlers, root.level) != before
    engine.opened.close()

    assert (root.handlers, root.level) == before


def test_a_line_inside_another_line_is_left_out_and_breaks_nothing(log_dir: Path, clock: HandClock) -> None:
    class Interrupting(Redactor):
        def redact(self, text: str, *, cut: bool = False) -> str:
            logs.get().event("INFO", "from a signal handler")
            return text

    engine = Engine(log_dir, Interrupting(), clock)
    engine.log.event("INFO", "outer")

    assert [line["event"] for line in engine.lines()] == ["outer"]


@pytest.mark.parametrize(("level", "channel"), [("LOUD", "chronos"), ("INFO", "gossip")])
def test_a_level_or_channel_that_does_not_exist_is_refused(engine: Engine, level: str, channel: str) -> None:
    with pytest.raises(BadInput, match=r"there is no log .*; there are "):
        engine.log.event(level, "x", channel=channel)
    with pytest.raises(BadInput, match=r"there is no log .*; there are "):
        read(engine.log_dir, level=level, channel=channel)


def test_a_null_log_takes_everything_and_keeps_nothing() -> None:
    log: Log = NullLog()
    log.event("INFO", "anything", name="also a field", error=ValueError())


@pytest.mark.parametrize("shape", ["plain", "json"])
def test_stderr_gets_lines_that_no_terminal_can_misread(
    shape: Any, redactor: Redactor, clock: HandClock, capfd: pytest.CaptureFixture[str]
) -> None:
    opened = logs.configure(None, "INFO", redactor=redactor, stderr=shape, retention_ms=1, clock=clock)
    logs.get().event("WARNING", "refused", target="ops", text="\x1b[2Jno = \x7f", code="550")
    logs.get().event("ERROR", "broke", error=ValueError("so"))
    opened.close()
    first, second = capfd.readouterr().err.splitlines()

    if shape == "plain":
        assert first == (r'2026-11-23T12:00:00.000Z WARNING refused target=ops text="\u001b[2Jno = \u007f" code=550')
        assert second == '2026-11-23T12:00:00.000Z ERROR broke error="ValueError: so"'
    else:
        assert json.loads(first)["text"] == "\x1b[2Jno = \x7f"
        assert "\x1b" not in first


class Disk:
    """Takes lines when it is let; `full` makes it refuse."""

    def __init__(self) -> None:
        self.taken: list[bytes] = []
        self.asked = threading.Event()
        self.may_go_on = threading.Event()
        self.full = False

    def write(self, lines: Sequence[Line]) -> Sequence[Line]:
        self.asked.set()
        self.may_go_on.wait()
        if self.full:
            return lines
        self.taken += [line.text for line in lines]
        return []


def report(count: int) -> Line:
    return Line("chronos", b"dropped %d" % count)


def text(word: str) -> Line:
    return Line("chronos", word.encode())


@pytest.mark.parametrize("limit", [{"max_lines": 2}, {"max_bytes": 2}])
def test_a_disk_that_does_not_answer_costs_lines_and_never_time(limit: dict[str, int]) -> None:
    disk = Disk()
    queue = LineQueue("test", disk.write, report, **limit)
    queue.put(text("0"))
    disk.asked.wait()
    for word in "1234":
        queue.put(text(word))
    disk.may_go_on.set()
    assert queue.close(30)

    assert disk.taken == [b"0", b"dropped 2", b"1", b"2"]
    assert queue.dropped == 2


def test_lines_lost_to_a_full_disk_are_counted_once_it_takes_lines_again() -> None:
    disk = Disk()
    disk.full = True
    queue = LineQueue("test", disk.write, report)
    for word in ("lost", "lost too"):
        disk.asked.clear()
        disk.may_go_on.clear()
        queue.put(text(word))
        disk.asked.wait()
        disk.may_go_on.set()
    # The second refusal was of "dropped 1" and "lost too": the report is not itself counted.
    disk.asked.clear()
    disk.may_go_on.clear()
    queue.put(text("kept"))
    disk.asked.wait()
    disk.full = False
    disk.may_go_on.set()
    assert queue.close(30)

    assert disk.taken == [b"dropped 2", b"kept"]
    assert queue.dropped == 2


def test_closing_gives_up_on_a_disk_that_never_answers() -> None:
    disk = Disk()
    queue = LineQueue("test", disk.write, report)
    queue.put(text("0"))

    assert not queue.close(0.01)
    disk.may_go_on.set()
    assert queue.close(30)


FULL_DISK = """
import resource, sys
from pathlib import Path
from engine.host.logfiles import Line, LogFiles
from engine.clock import SystemClock
files = LogFiles(Path(sys.argv[1]), SystemClock(), retention_ms=10**9)
line = lambda n: Line("chronos", b'{"at":"","level":"INFO","event":"e","n":%d}\\n' % n)
assert files.write([line(1)]) == []
unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (60, unlimited[1]))
assert files.write([line(2)]) == [line(2)]
resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
assert files.write([line(3)]) == []
"""


def test_a_full_disk_leaves_no_torn_line_and_goes_on_when_there_is_space(log_dir: Path) -> None:
    subprocess.run([sys.executable, "-c", FULL_DISK, str(log_dir)], check=True)

    assert numbers(log_dir) == [1, 3]
    assert len((log_dir / "chronos.jsonl").read_text().splitlines()) == 2


def test_the_half_line_of_a_killed_process_swallows_no_other(log_dir: Path, clock: HandClock) -> None:
    log_dir.mkdir()
    path = log_dir / "chronos.jsonl"
    path.write_bytes(numbered(1).text + numbered(2).text[:20])
    os.utime(path, (NOON_MS // 1000,) * 2)
    path.chmod(0o644)
    LogFiles(log_dir, clock, retention_ms=FORTNIGHT_MS).write([numbered(3)])

    assert numbers(log_dir) == [1, 3]
    assert mode(path) == 0o600


def test_a_removed_file_is_made_anew(log_dir: Path, clock: HandClock) -> None:
    files = LogFiles(log_dir, clock, retention_ms=FORTNIGHT_MS)
    files.write([numbered(1)])
    (log_dir / "chronos.jsonl").unlink()
    files.write([numbered(2)])

    assert numbers(log_dir) == [2]


def test_files_rotate_by_size_are_packed_and_stay_private(log_dir: Path, clock: HandClock) -> None:
    before = os.umask(0)
    try:
        files = LogFiles(log_dir, clock, retention_ms=FORTNIGHT_MS, max_file_bytes=1_000)
        for number in range(20):
            assert files.write([numbered(number, 300)]) == []
        files.close()
    finally:
        os.umask(before)

    packed = [path for path in log_dir.iterdir() if path.name != "chronos.jsonl"]
    assert len(packed) == 9
    assert all(path.name.endswith(".jsonl.gz") for path in packed)
    assert {mode(path) for path in log_dir.iterdir()} == {0o600}
    assert numbers(log_dir) == list(range(20))


def test_a_new_day_begins_a_new_file_also_after_a_restart(log_dir: Path, clock: HandClock) -> None:
    files = LogFiles(log_dir, clock, retention_ms=FORTNIGHT_MS)
    files.write([numbered(1)])
    clock.now += DAY_MS
    files.write([numbered(2)])
    files.close()
    os.utime(log_dir / "chronos.jsonl", (clock.now // 1000,) * 2)
    LogFiles(log_dir, clock, retention_ms=FORTNIGHT_MS).write([numbered(3)])
    clock.now += DAY_MS
    LogFiles(log_dir, clock, retention_ms=FORTNIGHT_MS).write([numbered(4)])

    assert len(rotated_files(log_dir, "chronos")) == 2
    assert (log_dir / "chronos.jsonl").read_bytes() == numbered(4).text
    assert numbers(log_dir) == [1, 2, 3, 4]


def test_old_files_go_but_a_jump_of_the_clock_never_takes_all(log_dir: Path, clock: HandClock) -> None:
    files = LogFiles(log_dir, clock, retention_ms=FORTNIGHT_MS)
    for day in range(20):
        files.write([numbered(day)])
        clock.now += DAY_MS
    assert numbers(log_dir) == list(range(4, 20))

    clock.now += 3_650 * DAY_MS
    files.write([numbered(20)])
    assert numbers(log_dir) == [18, 19, 20]


def test_what_a_kill_left_of_a_rotation_is_finished_at_the_next_start(log_dir: Path, clock: HandClock) -> None:
    log_dir.mkdir()
    (log_dir / "chronos.20261122T120000000Z.jsonl").write_bytes(numbered(1).text)
    (log_dir / "chronos.20261122T120000000Z.jsonl.gz.tmp").write_bytes(b"half")
    (log_dir / "chronos.20261122T130000000Z.jsonl").write_bytes(numbered(2).text)
    with gzip.open(log_dir / "chronos.20261122T130000000Z.jsonl.gz", "wb") as packed:
        packed.write(numbered(2).text)
    LogFiles(log_dir, clock, retention_ms=FORTNIGHT_MS).write([numbered(3)])

    assert sorted(path.name for path in log_dir.iterdir()) == [
        "chronos.20261122T120000000Z.jsonl.gz",
        "chronos.20261122T130000000Z.jsonl.gz",
        "chronos.jsonl",
    ]
    assert numbers(log_dir) == [1, 2, 3]


def test_reading_chooses_by_level_and_time(engine: Engine, log_dir: Path, clock: HandClock) -> None:
    engine.log.event("WARNING", "early")
    clock.now += 1
    engine.log.event("INFO", "quiet")
    engine.log.event("ERROR", "late")
    engine.opened.close()

    assert [line["event"] for line in read(log_dir, level="warning")] == ["early", "late"]
    assert [line["event"] for line in read(log_dir, since_ms=clock.now)] == ["quiet", "late"]


def test_hostile_lines_are_left_out(log_dir: Path) -> None:
    log_dir.mkdir()
    hostile = [
        b"",
        b"not json",
        b'{"cut": ',
        b"[]",
        b'{"at": 1, "level": "INFO", "event": "e"}',
        b'{"at": "", "level": "LOUD", "event": "e"}',
        b'{"at": "", "level": ["INFO"], "event": "e"}',
        b"[" * 100_000,
        b"9" * 10_000,
        b"\xff\xfe",
        b'{"x": "' + b"y" * 600_000 + b'"}',
    ]
    lines = b"\n".join([numbered(1).text.rstrip(), *hostile, numbered(2).text])
    (log_dir / "chronos.jsonl").write_bytes(lines)
    with gzip.open(log_dir / "chronos.20261122T120000000Z.jsonl.gz", "wb") as packed:
        packed.write(lines)
    cut = log_dir / "chronos.20261122T130000000Z.jsonl.gz"
    cut.write_bytes((log_dir / "chronos.20261122T120000000Z.jsonl.gz").read_bytes()[:-12])
    (log_dir / "chronos.20261122T140000000Z.jsonl.gz").write_bytes(b"no gzip at all")
    (log_dir / "chronos.not-a-time.jsonl.gz").write_bytes(b"someone else's")

    found = numbers(log_dir)
    assert found[:2] == [1, 2]
    assert found[-2:] == [1, 2]
    assert set(found) == {1, 2}


def test_following_loses_nothing_over_rotations(log_dir: Path, clock: HandClock) -> None:
    files = LogFiles(log_dir, clock, retention_ms=FORTNIGHT_MS, max_file_bytes=300)
    counter = iter(range(1, 1_000))

    def write(count: int) -> None:
        for _ in range(count):
            assert files.write([numbered(next(counter), 20)]) == []

    # Nothing, a first line, one more and one past a rotation, one, many rotations at once, nothing, a removal by hand.
    steps: list[int | str] = [0, 1, 2, 1, 9, 0, "remove", 3]

    def wait() -> bool:
        if not steps:
            return False
        step = steps.pop(0)
        if isinstance(step, int):
            write(step)
        else:
            (log_dir / "chronos.jsonl").unlink()
        return True

    assert numbers(log_dir, follow=True, wait=wait) == list(range(1, next(counter)))


def test_reading_while_files_rotate_gives_each_line_once_and_in_order(log_dir: Path, clock: HandClock) -> None:
    files = LogFiles(log_dir, clock, retention_ms=FORTNIGHT_MS, max_file_bytes=300)
    lost: list[Line] = []

    def write() -> None:
        for number in range(180):
            lost.extend(files.write([numbered(number, 20)]))

    writer = threading.Thread(target=write)
    writer.start()
    while writer.is_alive():
        found = numbers(log_dir)
        assert found == list(range(len(found)))
    writer.join()

    assert numbers(log_dir) == list(range(180))
    assert lost == []


def test_following_waits_for_the_end_of_a_line_and_survives_an_emptied_file(log_dir: Path) -> None:
    log_dir.mkdir()
    path = log_dir / "chronos.jsonl"
    path.write_bytes(numbered(1).text + numbered(2).text[:30])

    contents = [numbered(1).text + numbered(2).text, b"", numbered(3).text]

    def wait() -> bool:
        if contents:
            path.write_bytes(contents.pop(0))
            return True
        return False

    assert numbers(log_dir, follow=True, wait=wait) == [1, 2, 3]


def test_reading_needs_no_loguru() -> None:
    program = "import sys, engine.host.log, engine.host.logread; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True).stdout.split()

    assert not {"loguru", "logging", "json", "gzip", "asyncio"} & set(loaded)
