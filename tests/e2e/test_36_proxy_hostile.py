"""Invalid bytes in place of a PROXY header: each connection is closed and
logged with the reason, and no other client is affected."""

import socket
import ssl
import time

import pytest

from lib import client, proxy_protocol as pp
from lib.proxy import fields
from lib.wait import stays, until

ACCESS = "[log]\naccess = same\nlevel = info"
IN = "proxy_in = yes\nproxy_trust = 127.0.0.0/8\n"
CLIENT, SERVER = ("192.0.2.1", 1025), ("198.51.100.2", 443)
GOOD = pp.v2(CLIENT, SERVER)
HELLO = bytes.fromhex("1603010200010001fc0303")

# The bytes sent, and the text in the log.
HOSTILE = {
    "a TLS client without a header": (HELLO, "no PROXY header"),
    "one byte of TLS": (HELLO[:1], "no PROXY header"),
    "HTTP": (b"GET / HTTP/1.1\r\n\r\n", "no PROXY header"),
    "zeros": (bytes(200), "no PROXY header"),
    "almost the word": (b"PROXX ", "no PROXY header"),
    "almost the signature": (pp.SIGNATURE[:-1] + b"\r", "no PROXY header"),
    "a line without end": (b"PROXY UNKNOWN " + b"x" * 93, "107 bytes"),
    "a line of 108 bytes": (pp.line("UNKNOWN " + "x" * 92), "107 bytes"),
    "LF alone": (b"PROXY UNKNOWN\n", "CR LF"),
    "a zero in front": (pp.line("TCP4 192.0.2.01 198.51.100.2 1 2"), "malformed"),
    "a port too large": (pp.line("TCP4 192.0.2.1 198.51.100.2 1 65536"), "malformed"),
    "another family": (pp.line("TCP6 192.0.2.1 198.51.100.2 1 2"), "malformed"),
    "a zero byte": (b"PROXY TCP4 192.0.2.1\0 198.51.100.2 1 2\r\n", "malformed"),
    "nginx behind a Unix socket": (pp.line("TCP4 192.0.2.1 unix: 1 0"), "malformed"),
    "version 3": (pp.block(0x31, pp.TCP4, GOOD[16:]), "version"),
    "an unknown command": (pp.block(0x22, pp.TCP4, GOOD[16:]), "command"),
    "64 KiB announced": (pp.SIGNATURE + b"\x21\x11\xff\xff", "4096"),
    "one byte too many announced": (pp.SIGNATURE + b"\x21\x11\x0f\xf1", "4096"),
    "UDP": (pp.block(pp.PROXY, pp.UDP4, GOOD[16:]), "stream"),
    "too short for its addresses": (pp.block(pp.PROXY, pp.TCP6, GOOD[16:]), "short"),
    "a TLV that is cut": (pp.v2(CLIENT, SERVER, b"\x04\0\x09cut"), "TLVs"),
    "a wrong sum": (pp.v2(CLIENT, SERVER, crc=True, spoil=1), "checksum"),
    "an id of 129 bytes": (pp.v2(CLIENT, SERVER, pp.tlv(pp.UNIQUE_ID, bytes(129))), "unique id"),
}


@pytest.fixture
def guarded(launch, listener, serve):
    """guarded(more): a clinch with proxy_in before an echo, guarded.echo."""

    def start(more=IN, head=ACCESS):
        start.echo = serve()
        return launch(listener(start.echo.connect, more, head=head))

    return start


def closed(sock, deadline=10):
    """Reads to the end; how long that took."""
    began = time.monotonic()
    sock.settimeout(deadline)
    try:
        while sock.recv(4096):
            pass
    except ConnectionResetError:
        pass
    return time.monotonic() - began


def connect(clinch):
    return socket.create_connection(("127.0.0.1", clinch.port()))


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_headers(guarded, tls, kind):
    """Proves that it is refused before timeout_handshake, with a sentence and
    the peer's address; that the service gets no connection; and that no
    descriptor stays open."""
    clinch = guarded(IN + "timeout_handshake = 30s")
    sent, sentence = HOSTILE[kind]
    assert tls(pp.Fronted(clinch.port(), GOOD)).ping()
    base, seen = clinch.descriptors(), guarded.echo.accepted
    with connect(clinch) as sock:
        sock.sendall(sent)
        peer = "127.0.0.1:%d" % sock.getsockname()[1]
        assert closed(sock) < 5
    assert sentence in clinch.wait_log(rf"via={peer} reason=bad_proxy_header")
    until(lambda: clinch.descriptors() <= base, "nothing is left open")
    assert guarded.echo.accepted == seen
    assert tls(pp.Fronted(clinch.port(), GOOD)).ping()


UNTRUSTED = {
    "TLS": HELLO,
    "a good header": GOOD,
    "nothing": b"",
}


@pytest.mark.parametrize("kind", UNTRUSTED)
def test_an_untrusted_peer(guarded, kind):
    """Proves that it is closed at once, with any bytes sent, and that the line
    has the remedy."""
    clinch = guarded("proxy_in = yes\nproxy_trust = 192.0.2.0/24, 127.0.0.2")
    with connect(clinch) as sock:
        try:
            sock.sendall(UNTRUSTED[kind])
        except ConnectionError:
            pass
        assert closed(sock) < 5
    clinch.wait_log(r"proxy_trust.* peer=127\.0\.0\.1\b")
    assert guarded.echo.accepted == 0


def test_a_trusted_peer_beside_it(guarded, tls):
    """Proves that proxy_trust is a list of peers, not of what they carry."""
    clinch = guarded("proxy_in = yes\nproxy_trust = 192.0.2.0/24, 127.0.0.2")
    sock = socket.create_connection(("127.0.0.1", clinch.port()), source_address=("127.0.0.2", 0))
    sock.sendall(pp.v2(("127.0.0.1", 9), SERVER))
    assert tls(sock).ping()


def test_a_header_without_proxy_in(launch, listener, serve, tls):
    """Proves that an address outside proxy_trust may not send a header."""
    clinch = launch(listener(serve().connect, head=ACCESS))
    with connect(clinch) as sock:
        sock.sendall(GOOD + HELLO)
        closed(sock)
    assert "127.0.0.1" in clinch.wait_log("reason=not_tls") and not clinch.grep("192.0.2.1")
    assert tls(clinch.port()).ping()


SLOW = {
    "nothing": (b"", "bad_proxy_header"),
    "half a line": (b"PROXY TCP4 192.0.2.1 19", "bad_proxy_header"),
    "half a block": (GOOD[:20], "bad_proxy_header"),
    "a header and no hello": (GOOD, "handshake_timeout"),
    "a header and half a hello": (GOOD + HELLO, "handshake_timeout"),
}


@pytest.mark.parametrize("kind", SLOW)
def test_silence_ends_with_the_handshake_timeout(guarded, kind):
    """Proves that header and handshake have one time between them."""
    clinch = guarded(IN + "timeout_handshake = 1s")
    sent, reason = SLOW[kind]
    with connect(clinch) as sock:
        sock.sendall(sent)
        assert 0.5 < closed(sock) < 5
    clinch.wait_log(f"reason={reason}")


def test_a_slow_drip_does_not_buy_time(guarded):
    """Proves that the timeout counts from accept, however many bytes come."""
    clinch = guarded(IN + "timeout_handshake = 1s")
    began = time.monotonic()
    left = list(b"PROXY UNKNOWN " + b"x" * 80)
    with connect(clinch) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.settimeout(0.08)

        def dripping():
            try:
                sock.send(bytes([left.pop(0)]))
                return sock.recv(1) != b""
            except TimeoutError:
                return True
            except ConnectionError:
                return False

        assert not stays(dripping, 6), "it lived on"
    assert 0.5 < time.monotonic() - began < 5 and left
    clinch.wait_log("reason=bad_proxy_header.*in time")


def test_leaving_in_the_middle(guarded):
    """Proves that fifty halves of a header leave nothing behind."""
    clinch = guarded()
    base = clinch.descriptors()
    for at in range(50):
        with connect(clinch) as sock:
            sock.sendall(GOOD[:at % len(GOOD)])
    until(lambda: clinch.descriptors() <= base, "all closed")


def turned_away(tls, clinch, host):
    try:
        return not tls(pp.Fronted(clinch.port(), pp.v2((host, 9), SERVER))).ping()
    except (OSError, ssl.SSLError, AssertionError):
        return True


def test_allow_and_deny_apply_to_the_carried_address(guarded, tls):
    """Proves that lists apply to the carried address, and not to the
    proxy's."""
    clinch = guarded(IN + "allow = 192.0.2.0/24\ndeny = 192.0.2.66, 127.0.0.0/8")
    assert not turned_away(tls, clinch, "192.0.2.1")
    assert turned_away(tls, clinch, "192.0.2.66")
    assert turned_away(tls, clinch, "198.51.100.9")
    clinch.wait_log("192.0.2.66")


def test_per_ip_max_applies_to_the_carried_address(guarded, tls):
    """Proves that clients of one proxy do not share one share."""
    clinch = guarded(IN + "per_ip_max = 1")
    first = tls(pp.Fronted(clinch.port(), pp.v2(("192.0.2.1", 1), SERVER)))
    assert first.ping()
    assert turned_away(tls, clinch, "192.0.2.1")
    assert not turned_away(tls, clinch, "192.0.2.2")
    first.close()
    until(lambda: not turned_away(tls, clinch, "192.0.2.1"), "room again")


def test_max_connections_counts_sockets(guarded, tls):
    """Proves that a peer which carries nothing yet is counted all the same."""
    clinch = guarded(IN + "max_connections = 1")
    base = clinch.descriptors()
    with connect(clinch) as idle:
        idle.sendall(GOOD[:5])
        until(lambda: clinch.descriptors() > base, "it was accepted")
        with pytest.raises(TimeoutError):
            tls(pp.Fronted(clinch.port(), GOOD), timeout=0.7)
    until(lambda: not turned_away(tls, clinch, "192.0.2.1"), "room again")


def test_a_failed_client_is_logged_by_the_carried_address(guarded):
    """Proves that a line of a failed handshake names the client and the peer."""
    clinch = guarded()
    with connect(clinch) as sock:
        sock.sendall(GOOD + b"GET / HTTP/1.1\r\n\r\n")
        closed(sock)
        via = "127.0.0.1:%d" % sock.getsockname()[1]
    line = clinch.wait_log(r" access .*reason=not_tls")
    assert (fields(line)["peer"], fields(line)["via"]) == ("192.0.2.1:1025", via)


def test_a_unix_peer_is_trusted(launch, listener, serve, ca, tmp_path):
    """Proves that the mode of a Unix socket decides, not proxy_trust; and that
    a header is due there too."""
    path = str(tmp_path / "in")
    clinch = launch(listener(serve().connect, IN, accept=f"unix:{path}", head=ACCESS))
    for header, taken in ((GOOD, True), (b"", False)):
        sock = socket.socket(socket.AF_UNIX)
        sock.connect(path)
        sock.sendall(header)
        try:
            with client.Client(sock, client.context(ca.file)) as one:
                assert one.ping() and taken
        except (OSError, ssl.SSLError):
            assert not taken
    clinch.wait_log("no PROXY header")
    clinch.wait_log("access .*peer=192.0.2.1:1025")
