"""Garbage, scanners and clients that stop half-way: each is logged, leaks
nothing and affects no other client."""

import os
import re
import socket
import struct

import pytest

from lib import service
from lib.wait import until

CONFIG = "[log]\naccess = same\nlevel = info"

GARBAGE = {
    "http": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "ssh": b"SSH-2.0-OpenSSH_9.2\r\n",
    "zeros": bytes(300),
    "random": bytes(range(256)) * 4,
    "sslv2": b"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10" + bytes(40),
    "proxy": b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n",
    "huge record": b"\x16\x03\x01\xff\xff" + bytes(70000),
    "alert": b"\x15\x03\x01\x00\x02\x02\x28",
}


def closed(sock):
    sock.settimeout(10)
    try:
        while sock.recv(4096):
            pass
    except ConnectionResetError:
        pass
    return True


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_instead_of_a_client_hello(launch, listener, serve, tls, kind):
    """Proves that it is closed at once, with a line that names the peer."""
    clinch = launch(listener(serve().connect, head=CONFIG))
    with socket.create_connection(("127.0.0.1", clinch.port())) as sock:
        peer = "127.0.0.1:%d" % sock.getsockname()[1]
        try:
            sock.sendall(GARBAGE[kind])
        except ConnectionError:
            pass
        assert closed(sock)
    clinch.wait_log(rf"{peer}.*reason=(not_tls|handshake_failed|client_gone|client_reset)")
    assert tls(clinch.port()).ping()


def test_an_http_client_has_a_reason_of_its_own(launch, listener, serve):
    """Proves that the usual mistake has its own words."""
    clinch = launch(listener(serve().connect, head=CONFIG))
    with socket.create_connection(("127.0.0.1", clinch.port())) as sock:
        sock.sendall(GARBAGE["http"])
        assert closed(sock)
    clinch.wait_log(r"(?i)plain.?http|http request")


@pytest.mark.parametrize("how", ["fin", "reset"])
def test_leaving_in_the_middle_of_the_handshake(launch, listener, serve, tls, how):
    """Proves the reason, and that nothing is left open."""
    clinch = launch(listener(serve().connect, head=CONFIG))
    assert tls(clinch.port()).ping()
    base = clinch.descriptors()
    for _ in range(50):
        sock = socket.create_connection(("127.0.0.1", clinch.port()))
        sock.sendall(b"\x16\x03\x01\x00\xf0\x01")
        if how == "reset":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        sock.close()
    until(lambda: clinch.descriptors() <= base, "all closed")
    clinch.wait_log(r"reason=(client_gone|client_reset)")


def test_port_scan_is_quiet(launch, listener, serve, tls):
    """Proves that connect-and-close floods neither log nor process."""
    clinch = launch(listener(serve().connect))
    for _ in range(500):
        socket.create_connection(("127.0.0.1", clinch.port())).close()
    assert tls(clinch.port()).ping()
    assert len(clinch.lines) < 100


def test_garbage_after_the_handshake(launch, listener, serve, tls, version):
    """Proves that a broken record ends that connection and no other."""
    clinch = launch(listener(serve().connect, head=CONFIG))
    bystander, broken = tls(clinch.port(), version), tls(clinch.port(), version)
    assert broken.ping()
    broken.sock.sendall(b"\x17\x03\x03\x00\x20" + os.urandom(32))
    assert closed(broken.sock)
    clinch.wait_log(r"access .*reason=client_failed")
    assert bystander.ping()


def test_the_service_gets_no_connection_without_tls(launch, listener, serve):
    """Proves that the backend is connected to only after the handshake."""
    echo = serve()
    clinch = launch(listener(echo.connect, head=CONFIG))
    with socket.create_connection(("127.0.0.1", clinch.port())) as sock:
        sock.sendall(GARBAGE["http"])
        assert closed(sock)
    clinch.wait_log(r"reason=not_tls")
    assert echo.accepted == 0


def test_a_flood_of_one_kind_hides_no_line_of_another(launch, listener, serve, tls):
    """Proves that lines are suppressed for each listener and reason by itself,
    and that the count of the suppressed ones names both."""
    holder, dead = service.refused_port()
    text = listener(serve().connect, head=CONFIG + "\n[global]\nthreads = 1") + listener(f"127.0.0.1:{dead}", name="other")
    clinch = launch(text)
    flood = [socket.create_connection(("127.0.0.1", clinch.port())) for _ in range(60)]
    for sock in flood:
        sock.sendall(GARBAGE["ssh"])
    with pytest.raises((OSError, AssertionError)):
        tls(clinch.port("other")).recv_exactly(1)
    assert all(closed(sock) for sock in flood)
    clinch.wait_log(r"warning conn .*listener=other .*reason=backend_refused")
    suppressed = r"notice conn similar lines suppressed listener=web reason=not_tls lines=(\d+)"
    lines = r"notice conn .*listener=web .*reason=not_tls (error|backend)"

    def all_counted():
        counts = [int(re.search(suppressed, line).group(1)) for line in clinch.grep(suppressed)]
        return sum(counts) + len(clinch.grep(lines)) == 60 and counts

    until(all_counted, "each of them is written or counted")
    holder.close()


def test_refusals_have_reasons_of_their_own(launch, listener, serve):
    """Proves the same of clients that are not even accepted."""
    clinch = launch(listener(serve().connect, "deny = 127.0.0.5\nper_ip_max = 1", head=CONFIG))
    sources = ["127.0.0.5", "127.0.0.6", "127.0.0.6"]
    socks = [socket.create_connection(("127.0.0.1", clinch.port()), source_address=(source, 0)) for source in sources]
    clinch.wait_log(r"listener client denied by allow/deny list .*reason=denied")
    clinch.wait_log(r"listener client refused: per_ip_max .*reason=per_ip_max")
    for sock in socks:
        sock.close()
