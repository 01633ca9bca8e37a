"""Where a server listens: what is taken, what is refused and why."""

from __future__ import annotations

import socket
import stat
from pathlib import Path

import pytest

from engine.errors import NotPossible
from engine.host.listening import Place, listen, place_of


@pytest.mark.parametrize(
    ("listen_as", "place"),
    [
        ("127.0.0.1:8467", Place("127.0.0.1", 8467)),
        ("localhost:1", Place("localhost", 1)),
        ("[::1]:8467", Place("::1", 8467)),
        ("/run/chronos.sock", Place(path="/run/chronos.sock")),
        ("unix:/run/chronos.sock", Place(path="/run/chronos.sock")),
    ],
)
def test_an_address_as_configured_is_read(listen_as: str, place: Place) -> None:
    assert place_of(listen_as) == place


def test_port_0_is_any_free_port_and_is_named() -> None:
    made = listen(Place("127.0.0.1", 0))
    try:
        host, _, port = made.words.rpartition(":")
        assert (host, made.unix) == ("127.0.0.1", False)
        with socket.create_connection((host, int(port))):
            pass
    finally:
        made.close()


def test_ipv6_is_named_in_brackets() -> None:
    try:
        made = listen(Place("::1", 0))
    except NotPossible:
        pytest.skip("no IPv6 here")
    assert made.words.startswith("[::1]:")
    made.close()


def test_a_port_that_is_taken_is_said_in_one_line() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(NotPossible, match=rf"^cannot listen on 127.0.0.1:{port}: another program has it; [^\n]*$"):
            listen(Place("127.0.0.1", port))


def test_an_address_of_another_machine_is_said() -> None:
    with pytest.raises(NotPossible, match="no address of this machine"):
        listen(Place("192.0.2.1", 0))
    with pytest.raises(NotPossible, match=r"cannot listen on nowhere\.invalid:1"):
        listen(Place("nowhere.invalid", 1))


def test_a_unix_socket_is_for_its_owner_alone_and_goes_with_the_server(tmp_path: Path) -> None:
    path = tmp_path / "s"
    made = listen(Place(path=str(path)))
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert made.words == f"unix:{path}"
    made.close()
    made.close()
    assert not path.exists()


def test_the_socket_of_a_dead_process_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    made = listen(Place(path=str(path)))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    made.close()


def test_the_socket_of_a_live_process_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = listen(Place(path=str(path)))
    with pytest.raises(NotPossible, match="another program has it"):
        listen(Place(path=str(path)))
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))
    first.close()


def test_who_was_replaced_does_not_take_the_others_socket_away(tmp_path: Path) -> None:
    path = tmp_path / "s"
    first = listen(Place(path=str(path)))
    path.unlink()
    second = listen(Place(path=str(path)))
    first.close()
    assert path.exists()
    second.close()


def test_a_file_that_is_no_socket_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "s"
    path.write_text("mine")
    with pytest.raises(NotPossible, match="is no socket; remove it"):
        listen(Place(path=str(path)))
    assert path.read_text() == "mine"


def test_a_directory_that_others_may_write_into_is_refused(tmp_path: Path) -> None:
    """There somebody could put a socket first, and be handed API keys."""
    tmp_path.chmod(0o777)
    with pytest.raises(NotPossible, match="others may write into"):
        listen(Place(path=str(tmp_path / "s")))


@pytest.mark.parametrize(("name", "says"), [("x" * 200, "at most 107 bytes"), ("missing/s", "No such file")])
def test_a_path_that_cannot_be_is_said(tmp_path: Path, name: str, says: str) -> None:
    with pytest.raises(NotPossible, match=says):
        listen(Place(path=str(tmp_path / name)))
    assert list(tmp_path.iterdir()) == []
