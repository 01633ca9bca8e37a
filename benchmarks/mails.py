"""Rows: e-mail through a server that demands STARTTLS and a login."""

from __future__ import annotations

import smtplib
import ssl
import time
from collections.abc import Iterator
from email.message import EmailMessage
from email.utils import formatdate, make_msgid
from functools import partial
from pathlib import Path

from benchmarks import contenders, smtp_sink
from benchmarks.measure import Bench, Row, Sample, at_least, side_by_side, versus
from benchmarks.webhooks import delivered

_TO = "ops@example.org"
_SMTP = """\
smtp: {{host: 127.0.0.1, port: {port}, tls: starttls, username: "{login}", password: "secret:smtp", from: "{login}",
       ca_file: "{ca}"}}
"""


def starttls(bench: Bench) -> Iterator[Row]:
    """Four connections of ours, kept; one of smtplib's, kept; one of yagmail's for each message."""
    home = bench.fresh("ours")
    with smtp_sink.running(bench.directory) as port:
        ca = bench.directory / "ca.pem"
        smtp = _SMTP.format(port=port, login=smtp_sink.LOGIN, ca=ca)
        engine = contenders.open_engine(home, more=smtp, target=f"{{channel: email, to: [{_TO}], max_in_flight: 4}}")
        try:
            engine.start("bench")
            found = side_by_side(
                {
                    "ours": partial(delivered, engine, bench.scaled(1_000, 0.25)),
                    "smtplib": partial(_by_smtplib, port, ca, bench.scaled(500, 0.25)),
                    "yagmail": partial(_by_yagmail, port, ca, bench.scaled(10, 0.3)),
                },
                bench.rounds,
            )
        finally:
            engine.close()
    work = "e-mail by STARTTLS with login"
    yield versus(work, "smtplib on one reused connection", at_least(0.8), found["ours"], found["smtplib"], "rate")
    yield versus(work, "yagmail per message", at_least(80), found["ours"], found["yagmail"], "rate")


def _by_smtplib(port: int, ca: Path, count: int) -> Sample:
    with smtplib.SMTP("127.0.0.1", port, timeout=10) as client:
        client.starttls(context=ssl.create_default_context(cafile=str(ca)))
        client.login(smtp_sink.LOGIN, smtp_sink.PASSWORD)
        begin = time.perf_counter()
        for _ in range(count):
            client.send_message(_mail())
        return {"rate": count / (time.perf_counter() - begin)}


def _mail() -> EmailMessage:
    mail = EmailMessage()
    mail["From"], mail["To"], mail["Subject"] = smtp_sink.LOGIN, _TO, "nightly backup"
    mail["Date"], mail["Message-ID"] = formatdate(), make_msgid(domain="bench.example.org")
    mail.set_content(contenders.TEXT)
    return mail


def _by_yagmail(port: int, ca: Path, count: int) -> Sample:
    import yagmail

    begin = time.perf_counter()
    for _ in range(count):
        context = ssl.create_default_context(cafile=str(ca))
        login = {"user": smtp_sink.LOGIN, "password": smtp_sink.PASSWORD, "host": "127.0.0.1", "port": port}
        with yagmail.SMTP(**login, smtp_ssl=False, smtp_starttls={"context": context}) as client:
            assert client.send(_TO, "nightly backup", contenders.TEXT) is not False
    return {"rate": count / (time.perf_counter() - begin)}
