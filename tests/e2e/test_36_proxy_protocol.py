"""The PROXY protocol, written and read: the client's address for a backend,
and from a proxy in front. Checked by a parser of our own."""

import re
import socket

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from lib import client, proxy_protocol as pp, service
from lib.proxy import fields

ACCESS = "[log]\naccess = same\nlevel = info"
IN = "proxy_in = yes\nproxy_trust = 127.0.0.0/8\n"
CLIENT, SERVER = ("192.0.2.1", 1025), ("198.51.100.2", 443)


@pytest.fixture
def told(serve):
    """A backend that reads a header first: told.header(), told.connect."""
    receiver = pp.Receiver()
    receiver.connect = serve(receiver).connect
    return receiver


@pytest.fixture(scope="module")
def alice(ca):
    return ca.issue("alice", label="proxy-alice")


# ---- Out ----


def test_version_1_has_the_addresses_of_both_ends(launch, listener, told, tls, version):
    """Proves proxy_out = v1: both addresses, one line, and every byte after it."""
    clinch = launch(listener(told.connect, "proxy_out = v1"))
    one = tls(clinch.port(), version)
    data = bytes(range(256)) * 1000
    assert one.ping(data)
    header = told.header()
    assert (header.version, header.client, header.server) == (1, one.sock.getsockname(), one.sock.getpeername())


def test_version_2_has_what_was_negotiated(launch, listener, told, tls, version):
    """Proves proxy_out = v2 and the default of proxy_tlv."""
    clinch = launch(listener(told.connect, "proxy_out = v2\nalpn = h2, http/1.1"))
    one = tls(clinch.port(), version, alpn=["http/1.1"])
    assert one.ping()
    header = told.header()
    assert (header.version, header.client, header.server) == (2, one.sock.getsockname(), one.sock.getpeername())
    assert set(header.tlvs) == {pp.AUTHORITY, pp.ALPN, pp.SSL}
    assert (header.text(pp.AUTHORITY), header.text(pp.ALPN)) == ("localhost", "http/1.1")
    assert header.ssl.client == 1 and header.ssl.verify != 0
    assert set(header.ssl.parts) == {pp.VERSION, pp.CIPHER, pp.SIG_ALG, pp.KEY_ALG}
    assert (header.ssl.text(pp.VERSION), header.ssl.text(pp.CIPHER)) == (one.tls.version(), one.tls.cipher()[0])
    assert (header.ssl.text(pp.KEY_ALG), header.ssl.text(pp.SIG_ALG)) == ("EC256", "ecdsa-with-SHA256")


WANTED = {
    "authority": {pp.AUTHORITY},
    "alpn": {pp.ALPN},
    "ssl": {pp.SSL},
    "crc32c": {pp.CRC32C},
    "unique_id": {pp.UNIQUE_ID},
    "cn": {pp.SSL},
    "authority, alpn, ssl, cn, cert, crc32c, unique_id": {
        pp.AUTHORITY, pp.ALPN, pp.SSL, pp.CRC32C, pp.UNIQUE_ID,
    },
}


@pytest.mark.parametrize("wanted", WANTED)
def test_proxy_tlv_selects_the_tlvs(launch, listener, told, tls, wanted):
    """Proves each word of proxy_tlv, and that no other TLV is sent."""
    clinch = launch(listener(told.connect, f"proxy_out = v2\nproxy_tlv = {wanted}\nalpn = h2"))
    one = tls(clinch.port(), alpn=["h2"])
    assert one.ping()
    header = told.header()
    assert set(header.tlvs) == WANTED[wanted]
    if pp.CRC32C in header.tlvs:
        assert header.sum_is_right()


def test_absent_facts_have_no_tlv(launch, listener, told, ca):
    """Proves that a client without SNI and ALPN leaves both out."""
    clinch = launch(listener(told.connect, "proxy_out = v2\nalpn = h2"))
    made = client.context(ca.file)
    made.check_hostname = False
    with client.Client(clinch.port(), made, name=None) as one:
        assert one.ping()
    assert set(told.header().tlvs) == {pp.SSL}


def test_ids_are_of_one_connection(launch, listener, told, tls):
    """Proves that each connection has an id of its own: 16 bytes in hex."""
    clinch = launch(listener(told.connect, "proxy_out = v2\nproxy_tlv = unique_id"))
    for _ in range(3):
        assert tls(clinch.port()).ping()
    ids = {told.header(nth).text(pp.UNIQUE_ID) for nth in range(3)}
    assert len(ids) == 3 and all(re.fullmatch("[0-9a-f]{32}", one) for one in ids)


VERIFY = "proxy_out = v2\nproxy_tlv = ssl, cn, cert, crc32c\nverify = {}\nca_file = {}"


def test_a_verified_client_has_a_tlv(launch, listener, told, tls, ca, alice, version):
    """Proves the bits, the verdict, the name and the certificate; of a resumed
    session too, where the certificate was shown before and not now."""
    clinch = launch(listener(told.connect, VERIFY.format("require", ca.file)))
    made = client.context(ca.file, version)
    made.load_cert_chain(alice.pem)
    first = tls(clinch.port(), made=made)
    assert first.ping()
    again = tls(clinch.port(), made=made, session=first.tls.session)
    assert again.ping() and again.tls.session_reused
    for nth, bits in enumerate((7, 5)):
        header = told.header(nth)
        assert (header.ssl.client, header.ssl.verify) == (bits, 0)
        assert header.ssl.text(pp.CN) == "alice"
        assert header.ssl.parts[pp.CLIENT_CERT] == alice.certificate.public_bytes(Encoding.DER)
        assert header.sum_is_right()


def test_a_client_without_a_certificate_is_not_verified(launch, listener, told, tls, ca):
    """Proves verify = optional: no bit, no name, and a verdict that is not zero."""
    clinch = launch(listener(told.connect, VERIFY.format("optional", ca.file)))
    assert tls(clinch.port()).ping()
    header = told.header()
    assert header.ssl.client == 1 and header.ssl.verify != 0
    assert not {pp.CN, pp.CLIENT_CERT} & set(header.ssl.parts)


@pytest.mark.parametrize("out", ["v1", "v2"])
def test_the_header_does_not_wait_for_the_client(launch, listener, serve, tls, out):
    """Proves a service that sends first, to a client that sends nothing."""
    receiver = pp.Receiver(service.say(b"220 ready"))
    clinch = launch(listener(serve(receiver).connect, f"proxy_out = {out}"))
    assert tls(clinch.port()).recv_all() == b"220 ready"


@pytest.mark.parametrize("out", ["v1", "v2"])
def test_an_ipv6_client(launch, listener, told, tls, out):
    """Proves TCP6."""
    clinch = launch(listener(told.connect, f"proxy_out = {out}", accept="[::1]:0"))
    one = tls(clinch.port(), host="::1")
    assert one.ping()
    header = told.header()
    assert header.client == one.sock.getsockname()[:2] and header.server == ("::1", clinch.port())


@pytest.mark.parametrize("out", ["v1", "v2"])
def test_a_unix_client_has_no_address(launch, listener, told, ca, tmp_path, out):
    """Proves UNKNOWN and LOCAL, and that version 2 has the other TLVs all the
    same."""
    path = str(tmp_path / "in")
    launch(listener(told.connect, f"proxy_out = {out}", accept=f"unix:{path}"))
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(path)
    with client.Client(sock, client.context(ca.file)) as one:
        one.send(b"ping")
        header = told.header()
        assert one.recv() == b"ping"
    assert header.client is None and header.server is None
    assert out == "v1" or header.text(pp.AUTHORITY) == "localhost"


def test_the_backend_that_accepts_gets_the_header(launch, listener, told, tls):
    """Proves that a header goes to the backend that takes the connection, once,
    after another has refused it."""
    sock, port = service.refused_port()
    with sock:
        clinch = launch(listener(f"127.0.0.1:{port}", f"connect = {told.connect}\nproxy_out = v2"))
        one = tls(clinch.port())
        assert one.ping(b"PROXY " * 100)
    assert told.header().client == one.sock.getsockname() and len(told.headers) == 1


def test_a_host_has_its_own(launch, listener, told, serve, tls, ca):
    """Proves proxy_out per host: version 2 for one, no header for another."""
    plain = serve()
    hosts = (
        f"[host web told.example]\nproxy_out = v2\nproxy_tlv = authority\n"
        f"[host web plain.example]\nproxy_out = off\nconnect = {plain.connect}\n"
    )
    clinch = launch(listener(told.connect, "proxy_out = v1\n" + hosts))
    made = client.context(ca.file)
    made.check_hostname = False
    for name in ("localhost", "told.example", "plain.example"):
        assert tls(clinch.port(), made=made, name=name).ping(), name
    assert [header.version for header in told.headers] == [1, 2]
    assert set(told.header(1).tlvs) == {pp.AUTHORITY} and plain.accepted == 1


# ---- In ----

CARRIED = {
    "v1": pp.v1(CLIENT, SERVER),
    "v2": pp.v2(CLIENT, SERVER),
    "v2-ipv6": pp.v2(("2001:db8::1", 7), ("2001:db8::2", 443)),
    "v1-ipv6": pp.v1(("2001:db8::1", 7), ("2001:db8::2", 443)),
    "v2-mapped": pp.v2(("::ffff:192.0.2.1", 1025), ("::ffff:198.51.100.2", 443)),
    "v2-tlvs": pp.v2(CLIENT, SERVER, pp.tlv(pp.AUTHORITY, b"other") + pp.tlv(pp.NOOP, bytes(900)), crc=True),
}


@pytest.mark.parametrize("kind", CARRIED)
def test_the_carried_address_is_logged_and_passed_on(launch, listener, told, tls, kind):
    """Proves that a header's addresses replace those of the connection, in the
    log and in the header to the backend; and that via= is the proxy."""
    clinch = launch(listener(told.connect, IN + "proxy_out = v2", head=ACCESS))
    one = tls(pp.Fronted(clinch.port(), CARRIED[kind]))
    assert one.ping()
    six = "ipv6" in kind
    expect = ("2001:db8::1", 7) if six else CLIENT
    assert told.header().client == expect
    assert told.header().server == (("2001:db8::2", 443) if six else SERVER)
    assert told.header().text(pp.AUTHORITY) == "localhost"
    via = one.sock.getsockname()
    one.close()
    said = fields(clinch.wait_log("access "))
    assert said["peer"] == ("[2001:db8::1]:7" if six else "192.0.2.1:1025")
    assert said["via"] == "%s:%d" % via


NOBODY = {
    "v1 UNKNOWN": pp.line("UNKNOWN"),
    "v1 UNKNOWN with more": pp.line("UNKNOWN 192.0.2.1 192.0.2.1 1 2"),
    "v2 LOCAL": pp.block(pp.LOCAL, pp.UNSPEC, b""),
    "v2 LOCAL with addresses": pp.block(pp.LOCAL, pp.TCP4, bytes(range(12))),
    "v2 LOCAL and what is no TLV": pp.block(pp.LOCAL, pp.UNSPEC, b"\xff" * 30),
    "v2 UNSPEC": pp.v2(),
    "v2 Unix": pp.block(pp.PROXY, pp.UNIX, b"/run/a".ljust(108, b"\0") * 2),
}


@pytest.mark.parametrize("kind", NOBODY)
def test_a_header_without_addresses(launch, listener, told, tls, kind):
    """Proves that the connection's own addresses count, and that it is served."""
    clinch = launch(listener(told.connect, IN + "proxy_out = v2"))
    one = tls(pp.Fronted(clinch.port(), NOBODY[kind]))
    assert one.ping()
    assert (told.header().client, told.header().server) == (one.sock.getsockname(), one.sock.getpeername())


ID = b"\0any bytes\xff"
WITH_ID = {
    "PROXY": (pp.v2(CLIENT, SERVER, pp.tlv(pp.UNIQUE_ID, ID), crc=True), ID),
    "LOCAL": (pp.block(pp.LOCAL, pp.UNSPEC, pp.tlv(pp.UNIQUE_ID, ID)), ID),
    "none": (pp.v2(CLIENT, SERVER), None),
}


@pytest.mark.parametrize("kind", WITH_ID)
def test_an_id_is_passed_on(launch, listener, told, tls, kind):
    """Proves that one id goes all the way; where none comes, clinch makes it."""
    clinch = launch(listener(told.connect, IN + "proxy_out = v2\nproxy_tlv = unique_id"))
    front, expect = WITH_ID[kind]
    assert tls(pp.Fronted(clinch.port(), front)).ping()
    found = told.header().tlvs[pp.UNIQUE_ID]
    assert found == expect if expect else re.fullmatch(b"[0-9a-f]{32}", found)


@pytest.mark.parametrize("step", [None, 1, 7])
@pytest.mark.parametrize("kind", ["v1", "v2-tlvs"])
def test_however_it_is_cut(launch, listener, told, tls, kind, step, version):
    """Proves a header and the ClientHello in one packet, byte by byte, and cut
    anywhere: the handshake begins with the byte after the header."""
    clinch = launch(listener(told.connect, IN + "proxy_out = v1"))
    assert tls(pp.Fronted(clinch.port(), CARRIED[kind], step), version).ping()
    assert told.header().client == CLIENT
