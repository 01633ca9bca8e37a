"""`make screenshots`: runs the commands on a fresh demo and draws what they print. Writes only beside itself."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from rich.console import Console
from rich.text import Text

WIDTH = 96
PATIENCE_S = 30
SHOTS = {
    "outbox": ["outbox", "list"],
    "explain": ["outbox", "explain", "3"],
    "status": ["status"],
    "health": ["health"],
    "audit": ["audit", "list"],
}


def main() -> None:
    """Draw every shot. Raises CalledProcessError when a command fails."""
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "demo"
        env = {name: value for name, value in os.environ.items() if not name.startswith("CHRONOS_")}
        env |= {"COLUMNS": str(WIDTH), "CHRONOS_DATA_DIR": str(data)}
        chronos = [sys.executable, "-m", "chronos_tui.commands"]
        subprocess.run([*chronos, "init", "--demo", "--sample"], env=env, check=True, capture_output=True)
        engine = _start_engine(env)
        try:
            settled = ["send", "flaky", "--subject", "Certificate renewed", "--text", "for 90 days", "--wait", "30s"]
            subprocess.run([*chronos, *settled], env=env, check=True, capture_output=True, timeout=PATIENCE_S)
            for name, words in SHOTS.items():
                shown = subprocess.run([*chronos, *words], env=env, check=True, capture_output=True, text=True)
                _draw(name, words, shown.stdout.replace(str(data), "~/.local/share/chronos"))
        finally:
            engine.terminate()
            engine.wait(PATIENCE_S)


def _start_engine(env: dict[str, str]) -> subprocess.Popen[str]:
    program = "import sys; from chronos_tui.app import main; sys.exit(main())"
    engine = subprocess.Popen(
        [sys.executable, "-c", program, "--engine-only"], env=env, stderr=subprocess.PIPE, text=True
    )
    assert engine.stderr is not None
    for line in engine.stderr:
        if line.startswith("chronos engine ready"):
            break
    # Nobody reads the rest; a full pipe would stop the engine.
    threading.Thread(target=engine.stderr.read, daemon=True).start()
    return engine


def _draw(name: str, words: list[str], output: str) -> None:
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True)
        console.print(Text(f"$ chronos {' '.join(words)}", style="bold"))
        console.print(Text.from_ansi(output.rstrip()))
        console.save_svg(str(Path(__file__).with_name(f"{name}.svg")), title="chronos", unique_id=name)


if __name__ == "__main__":
    main()
