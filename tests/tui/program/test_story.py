"""The story that the cockpit is for, at 80x24: find what failed, read why, send it again, pause, resume, leave."""

from __future__ import annotations

from pathlib import Path

from tests.interfaces.program import Box
from tests.servers import SmtpSink
from tests.tui import wire
from tests.tui.program.receiver import receiving
from tests.tui.program.visit import Visit

CONFIG = """\
environment: development
instance: box.example.org
smtp: {{host: 127.0.0.1, port: {smtp}, tls: none, from: "chronos@box.example.org"}}
targets:
  forms: {{channel: webhook, url: "{http}"}}
  me: {{channel: email, to: [me@box.example.org]}}
"""


def test_an_operator_finds_a_failure_mends_it_pauses_resumes_and_leaves(tmp_path: Path) -> None:
    with SmtpSink() as mails, receiving() as forms:
        box = Box(tmp_path)
        box.configure(CONFIG.format(smtp=mails.port, http=forms.url))
        forms.status, forms.words = 422, b"the field e-mail is missing"
        box.send("--subject", "Form submission", "--text", "name=Ada", target="forms")
        box.send("--subject", "Weekly report", "--text", "All is well.", target="me")
        with Visit(box) as visit:
            visit.wait_header("delivering here")
            visit.wait_header("1 dead")
            _find_and_read(visit)

            forms.status = 200
            visit.send("r")
            visit.wait_for("✓ delivered")
            assert len(forms.ids) == 1
            visit.wait_for(lambda lines: "dead" not in lines[0])

            _pause_and_resume(box, visit, mails)
            assert visit.leave() == 0
            visit.assert_as_before()
        assert wire.foreign(visit.raw) == []
        states = {one["subject"]: one["state"] for one in box.ok("outbox", "list", "--json").json["messages"]}
        assert states == {"Form submission": "delivered", "Weekly report": "delivered", "Held back": "delivered"}
        audited = [one["action"] for one in box.ok("audit", "list", "--json").json["entries"]]
        assert {"message.retried", "hold.started", "hold.ended"} <= set(audited)


def _find_and_read(visit: Visit) -> None:
    visit.panel(2, "due/age")
    visit.filter("submission")
    visit.wait_for(lambda lines: "Form submission" in "\n".join(lines) and "Weekly report" not in "\n".join(lines))
    visit.send("enter")
    visit.wait_for("the field e-mail is missing")
    assert "422" in visit.text
    visit.send("esc")
    visit.wait_gone("the field e-mail is missing")


def _pause_and_resume(box: Box, visit: Visit, mails: SmtpSink) -> None:
    before = len(mails.mails)
    visit.say("pause email 30m")
    visit.wait_for(lambda lines: "email" in lines[0] and "30 min" in lines[0])
    box.send("--subject", "Held back", "--text", "Later.", target="me")
    visit.send("esc")
    visit.wait_for("Held back")
    assert len(mails.mails) == before
    visit.say("resume email")
    visit.wait_for("y resume")
    visit.send("y")
    visit.wait_for(lambda lines: "email" not in lines[0])
    visit.wait_for(lambda lines: any("Held back" in line and "delivered" in line for line in lines))
    assert len(mails.mails) == before + 1
