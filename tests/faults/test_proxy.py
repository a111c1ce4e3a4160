"""The fault proxy does to a connection what it says, to those that are open as well as to new ones."""

from __future__ import annotations

import socket
import threading
import time
from typing import TYPE_CHECKING

import pytest

from tests.faults import proxy
from tests.faults.proxy import FaultProxy
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator


@pytest.fixture(scope="module")
def echo() -> Iterator[int]:
    """The port of a server that sends back what it gets."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                try:
                    connection, _ = listener.accept()
                except OSError:
                    return
                threading.Thread(target=answer, args=(connection,), daemon=True).start()

        def answer(connection: socket.socket) -> None:
            with connection:
                try:
                    while data := connection.recv(65_536):
                        connection.sendall(data)
                except OSError:
                    return

        threading.Thread(target=serve, daemon=True).start()
        yield listener.getsockname()[1]
        listener.shutdown(socket.SHUT_RDWR)


@pytest.fixture
def between(echo: int) -> Iterator[FaultProxy]:
    with FaultProxy(echo) as fault_proxy:
        yield fault_proxy


@pytest.fixture
def dial(between: FaultProxy) -> Iterator[Callable[[], socket.socket]]:
    opened = []

    def connect() -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", between.port), timeout=5)
        opened.append(connection)
        return connection

    yield connect
    for connection in opened:
        connection.close()


def ask(connection: socket.socket, data: bytes = b"ping") -> bytes:
    connection.sendall(data)
    answer = b""
    while len(answer) < len(data) and (part := connection.recv(65_536)):
        answer += part
    return answer


def is_cut_off(connection: socket.socket, data: bytes = b"ping") -> bool:
    """No answer ever comes: the connection was closed or reset."""
    try:
        return len(ask(connection, data)) < len(data)
    except ConnectionError:
        return True


def is_refused(dial: Callable[[], socket.socket]) -> bool:
    """The connection fails, or is cut off before its first answer: which of them is the kernel's choice."""
    try:
        return is_cut_off(dial())
    except ConnectionError:
        return True


def test_it_passes_bytes_both_ways(between: FaultProxy, dial: Callable[[], socket.socket]) -> None:
    connection = dial()
    assert ask(connection) == b"ping"
    assert ask(connection, b"x" * 200_000) == b"x" * 200_000
    assert between.accepted == 1


@pytest.mark.parametrize("mode", [proxy.REFUSE, proxy.RESET], ids=str)
def test_open_connections_are_reset_and_new_ones_do_not_last(
    between: FaultProxy, dial: Callable[[], socket.socket], mode: proxy.Mode
) -> None:
    before = dial()
    assert ask(before) == b"ping"
    between.set(mode)
    assert is_cut_off(before)
    assert is_refused(dial)
    between.set(proxy.PASS)
    assert ask(dial()) == b"ping"


def test_a_black_hole_takes_everything_and_never_answers(
    between: FaultProxy, dial: Callable[[], socket.socket]
) -> None:
    before = dial()
    assert ask(before) == b"ping"
    between.set(proxy.BLACK_HOLE)
    for connection in (before, dial()):
        connection.settimeout(0.2)
        with pytest.raises(TimeoutError):
            ask(connection)


def test_a_stream_with_bytes_missing_never_goes_on(
    between: FaultProxy, dial: Callable[[], socket.socket]
) -> None:
    torn, whole = dial(), dial()
    assert ask(torn) == ask(whole) == b"ping"
    between.set(proxy.BLACK_HOLE)
    torn.sendall(b"swallowed")
    time.sleep(0.1)
    between.set(proxy.PASS)
    assert is_cut_off(torn)
    assert ask(whole) == b"ping"


def test_delay_makes_a_round_trip_longer(between: FaultProxy, dial: Callable[[], socket.socket]) -> None:
    connection = dial()
    assert ask(connection) == b"ping"
    between.set(proxy.delay(0.1))
    began = time.monotonic()
    assert ask(connection) == b"ping"
    assert time.monotonic() - began >= 0.2


def test_a_drip_is_slow_and_its_end_comes_at_once(
    between: FaultProxy, dial: Callable[[], socket.socket]
) -> None:
    connection = dial()
    between.set(proxy.drip(100))
    connection.sendall(b"x" * 5_000)
    connection.settimeout(5)
    assert len(connection.recv(65_536)) < 100
    between.set(proxy.PASS)
    began = time.monotonic()
    wait_until(lambda: connection.recv(65_536)[-1:] == b"x")
    assert time.monotonic() - began < 3


def test_a_cut_ends_an_answer_after_so_many_bytes(
    between: FaultProxy, dial: Callable[[], socket.socket]
) -> None:
    connection = dial()
    between.set(proxy.cut(10))
    assert is_cut_off(connection, b"x" * 100)
    assert is_cut_off(connection)


def test_an_absent_target_is_a_reset_and_its_return_is_found(
    between: FaultProxy, dial: Callable[[], socket.socket], echo: int
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as nobody:
        absent = nobody.getsockname()[1]
    between.target = absent
    assert is_refused(dial)
    between.target = echo
    assert ask(dial()) == b"ping"


def test_unavailable_answers_503_whatever_is_sent(between: FaultProxy) -> None:
    between.set(proxy.UNAVAILABLE)
    with socket.create_connection(("127.0.0.1", between.port), timeout=5) as client:
        client.sendall(b"PUT /x HTTP/1.1\r\nhost: x\r\ncontent-length: 100000\r\n\r\n" + b"x" * 100_000)
        assert client.recv(1000).startswith(b"HTTP/1.1 503 ")
        assert client.recv(1000) == b""
