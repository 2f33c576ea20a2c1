"""Every timeout of the manual ends what it should, and only that."""

import socket
import time

import pytest

from lib import service
from lib.wait import stays, until

ACCESS = "[log]\naccess = same"


def ends(sock, deadline=10):
    """Wait until the peer closes; how long that took."""
    begin = time.monotonic()
    sock.settimeout(deadline)
    try:
        while sock.recv(4096):
            pass
    except ConnectionResetError:
        pass
    return time.monotonic() - begin


@pytest.mark.parametrize("first", [b"", b"\x16\x03\x01\x02\x00\x01\x00"], ids=["silent", "half-way"])
def test_handshake_that_stops(launch, listener, serve, tls, first):
    """Proves timeout_handshake for silence and for a ClientHello that stops."""
    clinch = launch(listener(serve().connect, "timeout_handshake = 400ms", head=ACCESS))
    with socket.create_connection(("127.0.0.1", clinch.port())) as sock:
        sock.sendall(first)
        assert 0.2 < ends(sock) < 5
    clinch.wait_log(r"access .*reason=handshake_timeout")

    def served():
        try:
            return tls(clinch.port()).ping()
        except (OSError, AssertionError):  # 400 ms are short on a loaded machine
            return False

    until(served, "a client that goes on is served")


def test_idle(launch, listener, serve, tls):
    """Proves timeout_idle: activity either way puts it off, silence ends it."""
    clinch = launch(listener(serve().connect, "timeout_idle = 1500ms", head=ACCESS))
    client = tls(clinch.port())
    begin = time.monotonic()
    while time.monotonic() - begin < 2:
        assert client.ping()
        stays(lambda: True, 0.2)
    ends(client.sock)
    assert time.monotonic() - begin < 10
    clinch.wait_log(r"access .*reason=idle_timeout")


def test_one_way_traffic_is_not_idle(launch, listener, serve, tls):
    """Proves that bytes in one direction alone keep a connection."""

    def drip(sock):
        for _ in range(8):
            sock.sendall(b".")
            stays(lambda: True, 0.2)

    clinch = launch(listener(serve(drip).connect, "timeout_idle = 700ms"))
    assert tls(clinch.port()).recv_all() == b"." * 8


def test_a_slow_reader_is_not_idle(launch, listener, serve, tls):
    """Proves that an upload which the kernel still delivers to a slow service
    is not cut, although we can hand it nothing more for longer than that."""
    got = []

    def slow(sock):
        while data := sock.recv(20_000):
            got.append(len(data))
            stays(lambda: True, 0.1)

    slow_service = serve(slow)
    slow_service.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 20_000)
    clinch = launch(listener(slow_service.connect, "timeout_idle = 1s", head=ACCESS))
    client = tls(clinch.port())
    client.sock.settimeout(0.2)
    with pytest.raises(TimeoutError):
        client.send(bytes(16 << 20))
    begin = len(got)
    until(lambda: len(got) > begin + 25 or clinch.grep("access "), "the service reads on", 20)
    assert not clinch.grep("access ")


def test_close(launch, listener, serve, tls):
    """Proves timeout_close: a client that ignores our end is let go."""
    clinch = launch(listener(serve(service.say(b"bye")).connect, "timeout_close = 400ms", head=ACCESS))
    client = tls(clinch.port())
    assert client.recv_all() == b"bye"
    clinch.wait_log(r"access .*reason=close_timeout")


def test_lifetime(launch, listener, serve, tls):
    """Proves max_lifetime: even a busy connection ends."""
    clinch = launch(listener(serve().connect, "max_lifetime = 1s", head=ACCESS))
    client = tls(clinch.port())
    with pytest.raises((OSError, AssertionError)):
        for _ in range(1000):
            client.ping()
            stays(lambda: True, 0.02)
    clinch.wait_log(r"access .*reason=lifetime")


def test_a_stuck_client_delays_no_other(launch, listener, serve, tls):
    """Proves that 100 half-open handshakes do not delay a good client."""
    clinch = launch(listener(serve().connect, head="[global]\nthreads = 1"))
    stuck = [socket.create_connection(("127.0.0.1", clinch.port())) for _ in range(100)]
    for one in stuck:
        one.sendall(b"\x16\x03\x01")
    begin = time.monotonic()
    assert tls(clinch.port()).ping()
    assert time.monotonic() - begin < 5  # timeout_handshake: 10 s
    for one in stuck:
        one.close()
    until(lambda: tls(clinch.port()).ping(), "still serving")
