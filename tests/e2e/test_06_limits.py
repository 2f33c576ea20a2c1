"""Caps, lists and descriptor exhaustion."""

import resource
import socket

import pytest

from lib.wait import until

ACCESS = "[log]\naccess = same\nlevel = info\n"


def turned_away(tls, port, **options):
    """Is a new client closed before its handshake?"""
    try:
        client = tls(port, **options)
        client.ping()
        return False
    except (OSError, AssertionError):
        return True


def waiting_client(port):
    """A TCP client that the kernel has queued and the proxy has not
    accepted."""
    sock = socket.create_connection(("127.0.0.1", port))
    sock.settimeout(0.5)
    return sock


@pytest.mark.parametrize("where", ["global", "listener"])
def test_max_connections_pauses_accept(launch, listener, serve, tls, where):
    """Proves that the third waits, is not refused, and is served when one leaves."""
    head = "[global]\nmax_connections = 2" if where == "global" else ""
    more = "max_connections = 2" if where == "listener" else ""
    clinch = launch(listener(serve().connect, more, head=head))
    first, second = tls(clinch.port()), tls(clinch.port())
    assert first.ping() and second.ping()
    with pytest.raises(TimeoutError):
        tls(clinch.port(), timeout=0.7)
    first.close()
    assert tls(clinch.port()).ping()
    assert second.ping()


def test_per_ip_max(launch, listener, serve, tls):
    """Proves that one address has its share and others theirs."""
    clinch = launch(listener(serve().connect, "per_ip_max = 2", head=ACCESS))
    port = clinch.port()
    ours = [tls(port, source=("127.0.0.2", 0)) for _ in range(2)]
    assert all(one.ping() for one in ours)
    assert turned_away(tls, port, source=("127.0.0.2", 0))
    assert tls(port, source=("127.0.0.3", 0)).ping()
    ours[0].close()
    until(lambda: not turned_away(tls, port, source=("127.0.0.2", 0)), "room again")


def test_allow_and_deny(launch, listener, serve, tls):
    """Proves deny first, then allow; the refusal is logged with the peer."""
    clinch = launch(listener(serve().connect, "allow = 127.0.0.0/24\ndeny = 127.0.0.5", head=ACCESS))
    port = clinch.port()
    assert tls(port, source=("127.0.0.4", 0)).ping()
    assert turned_away(tls, port, source=("127.0.0.5", 0))
    assert turned_away(tls, port, source=("127.0.1.1", 0))
    clinch.wait_log(r"127\.0\.0\.5")


def test_mapped_addresses_count_as_v4(launch, listener, serve, tls):
    """Proves that a dual-stack socket does not hide an IPv4 client."""
    clinch = launch(listener(serve().connect, "deny = 127.0.0.6", accept="0"))
    port = clinch.port()
    assert tls(port).ping()
    assert turned_away(tls, port, source=("127.0.0.6", 0))


def test_max_handshakes(launch, listener, serve, tls):
    """Proves that the cap is on handshakes under way, not on connections."""
    clinch = launch(listener(serve().connect, "max_handshakes = 2\ntimeout_handshake = 20s"))
    port = clinch.port()
    settled = [tls(port) for _ in range(4)]
    assert all(one.ping() for one in settled)
    base = clinch.descriptors()
    stuck = [waiting_client(port) for _ in range(2)]
    for one in stuck:
        one.sendall(b"\x16")
    until(lambda: clinch.descriptors() >= base + 2, "both are being greeted")
    with pytest.raises(TimeoutError):
        tls(port, timeout=0.7)
    for one in stuck:
        one.close()
    assert tls(port).ping()


def test_descriptor_exhaustion_pauses_and_recovers(launch, listener, serve, tls):
    """Proves EMFILE: one warning, no open connection is lost, and it
    recovers."""
    clinch = launch(listener(serve().connect, head="[global]\nmax_connections = 10000\nthreads = 1"))
    port = clinch.port()
    held = tls(port)
    assert held.ping()
    used = clinch.descriptors()
    resource.prlimit(clinch.pid, resource.RLIMIT_NOFILE, (used + 6, used + 6))
    crowd = [waiting_client(port) for _ in range(12)]
    clinch.wait_log(r"warning .*descriptor")
    assert held.ping()
    for one in crowd:
        one.close()
    until(lambda: tls(port).ping(), "serves again", 15)
    assert len(clinch.grep(r"warning .*descriptor")) < 5
