"""The processes of a run: sinks, engines, producers. Each is ended by its own id; none survives the run."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading
import time
from collections import deque
from pathlib import Path
from types import TracebackType

from tests.crash.site import Site

READY_S = 30.0
_LAST_LINES = 40


class CrashTestError(Exception):
    """The run itself went wrong: something did not start, end or settle as it must."""


class Sinks:
    """The two sinks, a process each."""

    def __init__(self, site: Site, seed: int, *, slow_s: float) -> None:
        self._processes: list[subprocess.Popen[str]] = []
        self.ports: dict[str, int] = {}
        try:
            for kind in ("smtp", "http"):
                words = [sys.executable, "-m", "tests.servers", f"--{kind}", "0"]
                words += ["--log", str(site.root / f"sink-{kind}.jsonl"), "--faults", str(seed), "--slow", str(slow_s)]
                process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True, env=site.environment())
                self._processes.append(process)
                assert process.stdout is not None
                name, _, port = process.stdout.readline().strip().partition("=")
                if name != kind:
                    raise CrashTestError(f"the {kind} sink did not start")
                self.ports[kind] = int(port)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        for process in self._processes:
            process.terminate()
        for process in self._processes:
            process.wait(20)
            if process.stdout is not None:
                process.stdout.close()

    def __enter__(self) -> Sinks:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()


class EngineProcess:
    """One life of an engine. Its end is written into the run's log."""

    def __init__(self, site: Site, command: list[str], *, prefix: tuple[str, ...] = ()) -> None:
        self._site = site
        self._ready = threading.Event()
        self._came_up = False
        self._lines: deque[str] = deque(maxlen=_LAST_LINES)
        self._process = subprocess.Popen(
            [*prefix, *command], stderr=subprocess.PIPE, text=True, cwd=site.outside[-1], env=site.environment()
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def words(self) -> str:
        """The last lines that it wrote."""
        return "".join(self._lines)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    @property
    def ready(self) -> bool:
        return self._came_up

    def _read(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._lines.append(line)
            if line.startswith("chronos engine ready "):
                self._came_up = True
                self._ready.set()
        self._ready.set()

    def wait_ready(self, timeout_s: float = READY_S) -> bool:
        """Return whether it came up; False when it ended before. Raises CrashTestError when it does neither."""
        if not self._ready.wait(timeout_s):
            raise CrashTestError(f"engine {self.pid} neither came up nor ended within {timeout_s} s: {self.words}")
        return self.ready

    def wait_ready_for(self, timeout_s: float) -> None:
        """Wait at most so long; whatever came of it."""
        self._ready.wait(timeout_s)

    def kill(self) -> None:
        """SIGKILL, as the kernel does it when memory runs out."""
        if self.alive:
            self._end(signal.SIGKILL, clean=False)

    def terminate(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Ask it to end; return the exit code."""
        return self._end(number, clean=True)

    def send(self, number: signal.Signals) -> None:
        self._process.send_signal(number)

    def wait(self, timeout_s: float = 20.0) -> int:
        """Wait until it ended by itself; return the exit code."""
        return self._process.wait(timeout_s)

    def _end(self, number: signal.Signals, *, clean: bool) -> int:
        from_ms = time.time_ns() // 1_000_000
        self._process.send_signal(number)
        try:
            code = self._process.wait(30)
        except subprocess.TimeoutExpired as error:
            self._process.kill()
            raise CrashTestError(f"engine {self.pid} did not end on {number.name}: {self.words}") from error
        self._site.log("ended", pid=self.pid, from_ms=from_ms, to_ms=time.time_ns() // 1_000_000, clean=clean)
        self._reader.join(5)
        return code

    def sample(self) -> None:
        """Write down what it uses."""
        status = Path(f"/proc/{self.pid}/status").read_text(encoding="utf-8")
        values = dict(line.split(":", 1) for line in status.splitlines())
        descriptors = len(list(Path(f"/proc/{self.pid}/fd").iterdir()))
        rss_kib = int(values["VmRSS"].split()[0])
        self._site.log("sample", pid=self.pid, fds=descriptors, threads=int(values["Threads"]), rss_kib=rss_kib)

    def __enter__(self) -> EngineProcess:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._reader.join(5)
        if self._process.stderr is not None:
            self._process.stderr.close()


class ProducerProcess:
    """One producer, which may be killed and started again."""

    def __init__(self, site: Site, number: int, *arguments: str) -> None:
        words = [sys.executable, "-m", "tests.crash.producer", "--data", str(site.data)]
        words += ["--acks", str(site.acks(number)), "--targets", ",".join(site.targets), *arguments]
        self._site, self._words = site, words
        self._process: subprocess.Popen[bytes] = self._start()

    def _start(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._words, cwd=self._site.outside[-1], env=self._site.environment())

    @property
    def done(self) -> bool:
        """Whether everything was put in. Raises CrashTestError when it gave up."""
        code = self._process.poll()
        if code is not None and code not in {0, -signal.SIGKILL}:
            raise CrashTestError(f"a producer ended with {code}")
        return code == 0

    def kill_and_restart(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(20)
            self._process = self._start()

    def wait(self, timeout_s: float) -> None:
        self._process.wait(timeout_s)
        if not self.done:
            raise CrashTestError("a producer was killed and not started again")

    def stop(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(20)
