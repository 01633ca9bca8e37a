"""A new API key in a real terminal: on the screen while it is shown, and in nothing that is left afterwards."""

from __future__ import annotations

import base64
import re

from tests.interfaces.program import Box
from tests.tui import wire
from tests.tui.program.visit import Visit

KEY = re.compile(r"chr_([0-9a-f]{8})_([A-Za-z0-9_-]{43})_[0-9A-Za-z]{6}")
_COPY = r"\x1b\]52;c;[A-Za-z0-9+/=]*\x07"


def test_a_key_that_was_closed_is_in_nothing_that_the_terminal_or_the_disk_has(box: Box) -> None:
    with Visit(box, env={"TMUX": ""}) as visit:
        visit.wait_header("delivering here")
        visit.panel(7, "─ Incidents")
        visit.send("tab")
        visit.wait_for("─ API keys")
        visit.send("n")
        visit.wait_for("New API key")
        visit.send("prog", "enter")
        visit.wait_for("shown this once")
        visit.wait_for(lambda lines: KEY.search("\n".join(lines)) is not None)
        found = KEY.search(visit.text)
        assert found is not None
        key, secret = found[0], found[2]
        visit.send("y")
        visit.wait_for("copied: sent to the terminal's clipboard")
        assert base64.b64encode(key.encode()) in visit.raw
        visit.send("q", "enter")
        visit.wait_for("Nothing can show it again.")

        visit.send("K")
        visit.wait_gone("shown this once")
        visit.quiet(150)
        closed = len(visit.raw)
        visit.send("ctrl+l")
        visit.wait_for(lambda _lines: len(visit.raw) > closed)
        for panel, sign in ((3, "key.created"), (2, "due/age"), (7, "prog")):
            visit.panel(panel, sign)
        visit.quiet(150)
        after = bytes(visit.raw[closed:]).decode()
        for part in (key, secret, *(secret[at : at + 10] for at in range(0, 33, 4))):
            assert part not in after
            assert part not in visit.text
        assert base64.b64encode(key.encode()).decode() not in after
        assert visit.leave() == 0
        visit.assert_as_before()
        assert wire.foreign(visit.raw, also=_COPY) == []
        assert secret not in visit.text

    files = [path for path in box.data_dir.rglob("*") if path.is_file()]
    assert {"chronos.db", "cockpit.json"} <= {path.name for path in files}
    for path in files:
        content = path.read_bytes()
        assert secret.encode() not in content, path
        assert base64.b64encode(key.encode()) not in content, path
    assert box.ok("key", "list", "--json").json["keys"][0]["name"] == "prog"
