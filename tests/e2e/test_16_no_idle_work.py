"""No idle work: in no state of a connection does a level-triggered loop spin
on a watcher that it cannot use."""

import socket
import struct
import threading
import time

import pytest

from lib import records
from lib.wait import stays, until

CONFIG = "[global]\nthreads = 1\n[log]\naccess = same"
MIB = 1 << 20


def spins(clinch, seconds=0.5):
    """Does it use the processor although the test does nothing?"""
    before = clinch.cpu_seconds()
    stays(lambda: True, seconds)
    return clinch.cpu_seconds() - before > seconds / 5


def reset(sock):
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def fill(sock):
    """Send until every buffer on the way is full."""
    sock.settimeout(0.3)
    try:
        while True:
            sock.sendall(bytes(MIB))
    except TimeoutError:
        pass


ACTS = {
    "client ends": lambda client, backend: client.half_close(),
    "client FIN": lambda client, backend: client.sock.shutdown(socket.SHUT_WR),
    "client resets": lambda client, backend: reset(client.sock),
    "backend FIN": lambda client, backend: backend.shutdown(socket.SHUT_WR),
    "backend resets": lambda client, backend: reset(backend),
    "backend fills": lambda client, backend: fill(backend),
}

STATES = [
    "client ends",
    "client ends, client FIN",
    "client ends, client resets",
    "client FIN",
    "client FIN, client resets",
    "client FIN, backend fills",
    "client FIN, backend fills, backend FIN",
    "backend FIN",
    "backend FIN, backend resets",
    "backend fills",
    "backend fills, client ends",
    "backend fills, client ends, client resets",
    "backend fills, backend FIN",
    "backend fills, backend FIN, backend resets",
    "backend fills, backend resets",
]


def test_a_connection_that_waits_costs_no_time(launch, listener, serve, tls, version):
    """Proves it for every way in which one side can leave the other waiting."""
    backends, done = [], threading.Event()

    def hold(sock):
        backends.append(sock)
        done.wait(60)

    clinch = launch(listener(serve(hold).connect, head=CONFIG))
    try:
        for state in STATES:
            before = len(backends)
            client = tls(clinch.port(), version)
            until(lambda: len(backends) > before, "the backend is reached")
            for act in state.split(", "):
                ACTS[act](client, backends[-1])
            stays(lambda: True, 0.05)
            assert not spins(clinch, 0.3), state
            client.close()
    finally:
        done.set()


def black_hole():
    """A backend without a response to a SYN: its queue is full."""
    listening = socket.socket()
    listening.bind(("127.0.0.1", 0))
    listening.listen(0)
    waiting = [socket.socket() for _ in range(4)]
    for one in waiting:
        one.setblocking(False)
        one.connect_ex(listening.getsockname())
    return listening, waiting


def test_a_client_that_resets_while_its_backend_is_awaited(launch, listener, tls):
    """Proves that the held ticket, which can leave no more, ends the
    connection instead of waking it until timeout_connect."""
    listening, waiting = black_hole()
    clinch = launch(listener("127.0.0.1:%d" % listening.getsockname()[1], "timeout_connect = 1m", head=CONFIG))
    port = clinch.port()
    for n in range(40):
        sock = socket.create_connection(("127.0.0.1", port))
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        client = tls(sock)
        client.send(b"GET /")
        # Some of them within the milliseconds for which the ticket waits for
        # a response, and not before the request was read.
        begin = time.monotonic()
        while time.monotonic() - begin < 0.0005 * (n % 10):
            pass
        reset(client.sock)
    stays(lambda: True, 0.1)
    assert not spins(clinch)
    for one in [listening, *waiting]:
        one.close()


def test_a_client_that_floods_key_updates_and_reads_nothing(launch, listener, serve, ca, tmp_path):
    """Proves that a response without room stops the reading without a busy
    loop, and that the connection continues once the client reads."""

    def pour(sock):
        sock.recv(1)
        for _ in range(64):
            sock.sendall(bytes(MIB))

    clinch = launch(listener(serve(pour).connect, head=CONFIG))
    client, writer = records.connect(clinch.port(), ca.file, tmp_path / "keys", receive_buffer=4096)
    with client:
        client.sock.sendall(writer.record(records.DATA, b"x"))
        stays(lambda: True, 0.5)
        client.sock.sendall(b"".join(writer.key_update() for _ in range(20_000)))
        stays(lambda: True, 0.2)
        assert not spins(clinch)
        assert len(client.recv_all()) == 64 * MIB


@pytest.mark.parametrize("rest", ["never", "comes", "FIN"])
def test_half_a_handshake_message(launch, listener, serve, ca, tmp_path, rest):
    """Proves that OpenSSL, which writes nothing until it has the other half,
    is not called in a loop; and that the response is sent when it arrives."""
    release = threading.Event()

    def answer(sock):
        sock.recv(1)
        release.wait(20)
        sock.sendall(b"answer")
        sock.recv(1)

    clinch = launch(listener(serve(answer).connect, head=CONFIG))
    client, writer = records.connect(clinch.port(), ca.file, tmp_path / "keys")
    with client:
        client.sock.sendall(writer.record(records.DATA, b"x") + writer.record(records.HANDSHAKE, b"\x18\0\0\1"))
        if rest == "FIN":
            client.sock.shutdown(socket.SHUT_WR)
        stays(lambda: True, 0.1)
        release.set()
        stays(lambda: True, 0.1)
        assert not spins(clinch)
        if rest == "FIN":
            clinch.wait_log(r"access .*reason=client_failed")
        if rest == "comes":
            client.sock.sendall(writer.record(records.HANDSHAKE, b"\0"))
            assert client.recv_exactly(6) == b"answer"
