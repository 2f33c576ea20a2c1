"""A client that is gone gives its slot back, in whatever state it went."""

import socket
import struct
import subprocess
import sys
import threading

import pytest

from lib import service
from lib.wait import stays, until
from test_15_namespace import inside, pytestmark as needs_a_namespace

CONFIG = "[global]\nthreads = 1\n[log]\nlevel = info\naccess = same"
COUNT = 10
MIB = 1 << 20


def reset(client):
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def end(client):
    client.half_close()
    client.sock.shutdown(socket.SHUT_WR)


def upload(client):
    """Send until the proxy takes no more."""
    client.sock.settimeout(0.3)
    with pytest.raises(TimeoutError):
        while True:
            client.send(bytes(MIB))


@pytest.fixture
def held(serve):
    """A service that reads nothing and sends `done` once it is released."""
    release = threading.Event()

    def hold(sock):
        release.wait(60)
        sock.sendall(b"done")
        while sock.recv(MIB):
            pass

    service = serve(hold)
    service.release = release
    yield service
    release.set()


@pytest.mark.parametrize("act", [lambda client: client.half_close(), end, upload], ids=["notify", "FIN", "upload"])
def test_reset_clients_give_their_slots_back(launch, listener, held, tls, act):
    """Proves that a reset is noticed within two seconds where nothing can be
    read from the client: after its end, and while its upload is held back."""
    clinch = launch(listener(held.connect, f"max_connections = {COUNT}", head=CONFIG))
    clients = [tls(clinch.port()) for _ in range(COUNT)]
    until(lambda: held.accepted == COUNT, "the backend is reached")
    for client in clients:
        act(client)
    stays(lambda: True, 1.0)
    for client in clients:
        reset(client)
    clinch.wait_log(r"access .*reason=client_reset", COUNT, 2.0)
    tls(clinch.port(), timeout=2)


@pytest.mark.parametrize("act", [lambda client: client.half_close(), end, upload], ids=["notify", "FIN", "upload"])
def test_waiting_clients_keep_their_slots(launch, listener, held, tls, act):
    """Proves the opposite: a client that is alive is not taken for a dead one,
    also when both directions have ended."""
    clinch = launch(listener(held.connect, head=CONFIG))
    client = tls(clinch.port())
    until(lambda: held.accepted == 1, "the backend is reached")
    act(client)
    stays(lambda: True, 1.5)
    client.sock.settimeout(10)
    held.release.set()
    assert client.recv_exactly(4) == b"done"
    assert not clinch.grep(r"access .*reason=client_")


# In the proxy's network: a client that ends and waits.
SILENT = """
import sys
from lib import client
one = client.Client(int(sys.argv[1]), client.context(sys.argv[2]))
one.recv_exactly(1)
one.half_close()
print("ended", flush=True)
sys.stdin.read()
"""


@needs_a_namespace
def test_a_client_whose_network_is_gone(launch, listener, serve, ca, tmp_path):
    """Proves that a failed keepalive probe ends a client that has ended its
    direction, as it ends one that is read from."""
    path = str(tmp_path / "app.sock")
    serve(service.greet_and_wait, family=socket.AF_UNIX, address=path)
    probes = [f"echo 1 > /proc/sys/net/ipv4/tcp_keepalive_{name}" for name in ("intvl", "probes")]
    clinch = launch(listener(f"unix:{path}", "keepalive = 1s", head=CONFIG), wrapper=inside(*probes))
    enter = ["nsenter", f"--net=/proc/{clinch.pid}/ns/net"]
    silent = subprocess.Popen(
        [*enter, sys.executable, "-c", SILENT, str(clinch.port()), ca.file],
        cwd=__file__.rpartition("/")[0],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        assert silent.stdout.readline() == b"ended\n"
        subprocess.run([*enter, "ip", "link", "set", "lo", "down"], check=True)
        clinch.wait_log(r"access .*reason=client_failed", 1, 15)
    finally:
        silent.kill()
        silent.wait()
        silent.stdin.close()
        silent.stdout.close()
