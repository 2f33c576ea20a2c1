"""Versions, ciphers, groups, ALPN, sessions."""

import re
import ssl
import subprocess

import pytest

from lib import client, records, service
from lib.wait import until

ACCESS = "[log]\naccess = same\nlevel = info"


def s_client(port, ca, *arguments, data=b""):
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", str(ca.file), *arguments]
    done = subprocess.run(command, input=data, capture_output=True, timeout=20)
    return done.stdout.decode() + done.stderr.decode()


def handshakes(port, ca, *arguments):
    """Does s_client get through its handshake, and verify?"""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", str(ca.file), "-verify_return_error"]
    return subprocess.run([*command, *arguments], input=b"", capture_output=True, timeout=20).returncode == 0


PROTOCOL_VERSION, HANDSHAKE_FAILURE, NO_APPLICATION_PROTOCOL = 70, 40, 120  # alerts


def test_nothing_below_tls_1_2(launch, listener, serve):
    """Proves the secure defaults, and that the log has the client and the
    reason."""
    clinch = launch(listener(serve().connect, head=ACCESS))
    assert records.fatal_alert(clinch.port(), records.client_hello(b"localhost", version=b"\x03\x02")) == PROTOCOL_VERSION
    clinch.wait_log(r"127\.0\.0\.1:\d+.*(version|protocol)")


@pytest.mark.parametrize(
    "keys, works, fails",
    [
        ("min_version = TLSv1.3", ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2),
        ("max_version = TLSv1.2", ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3),
        ("profile = modern", ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2),
    ],
)
def test_version_bounds(launch, listener, serve, tls, keys, works, fails):
    """Proves min_version, max_version and the modern profile."""
    clinch = launch(listener(serve().connect, keys))
    assert tls(clinch.port(), works).ping()
    with pytest.raises(ssl.SSLError):
        tls(clinch.port(), fails)


def test_cipher_keys(launch, listener, serve, tls, ca):
    """Proves ciphers and ciphersuites."""
    keys = "ciphers = ECDHE-ECDSA-AES256-GCM-SHA384\nciphersuites = TLS_CHACHA20_POLY1305_SHA256"
    port = launch(listener(serve().connect, keys)).port()
    assert tls(port, ssl.TLSVersion.TLSv1_2).tls.cipher()[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"
    assert tls(port, ssl.TLSVersion.TLSv1_3).tls.cipher()[0] == "TLS_CHACHA20_POLY1305_SHA256"


def test_unknown_groups_are_left_out_with_a_warning(launch, listener, serve, ca):
    """Proves that one unknown name does not cost the whole list."""
    clinch = launch(listener(serve().connect, "groups = NoSuchGroup:P-384"))
    clinch.wait_log(r"warning .*NoSuchGroup")
    assert handshakes(clinch.port(), ca, "-groups", "P-384")
    assert not handshakes(clinch.port(), ca, "-groups", "X25519")
    hello = records.client_hello(b"localhost", group=b"\0\x1d")  # X25519
    assert records.fatal_alert(clinch.port(), hello) == HANDSHAKE_FAILURE


def test_bad_cipher_list_is_a_config_error(launch, listener, serve):
    """Proves a sentence with file and line."""
    clinch = launch(listener(serve().connect, "ciphers = NONSENSE"), ready=False)
    assert clinch.wait_exit() == 2
    assert "clinch.ini:" in clinch.output() and "ciphers" in clinch.output()


@pytest.mark.parametrize("offer, gets", [(["h2"], "h2"), (["http/1.1", "h2"], "h2"), (None, None)])
def test_alpn(launch, listener, serve, tls, offer, gets):
    """Proves our order of preference, and that no ALPN is fine."""
    port = launch(listener(serve().connect, "alpn = h2, http/1.1")).port()
    assert tls(port, alpn=offer).tls.selected_alpn_protocol() == gets


def test_alpn_without_overlap(launch, listener, serve):
    """Proves the alert no_application_protocol (RFC 7301 section 3.2)."""
    port = launch(listener(serve().connect, "alpn = h2")).port()
    assert records.fatal_alert(port, records.client_hello(b"localhost", alpn=b"spdy/1")) == NO_APPLICATION_PROTOCOL


def test_no_renegotiation(launch, listener, serve, ca):
    """Proves that a TLS 1.2 client cannot renegotiate: the alert is a warning,
    no_renegotiation (100), as bytes."""
    port = launch(listener(serve().connect)).port()
    out = s_client(port, ca, "-tls1_2", "-msg", data=b"R\n")
    assert re.search(r"^<<< .*Alert.*\n    01 64$", out, re.M), out


def test_no_zero_rtt(launch, listener, serve, ca, tmp_path):
    """Proves that a ticket permits no early data (RFC 8446 section 8)."""
    port = launch(listener(serve(service.say(b"bye")).connect)).port()
    kept = tmp_path / "session.pem"
    s_client(port, ca, "-tls1_3", "-ign_eof", "-sess_out", str(kept))
    told = subprocess.run(["openssl", "sess_id", "-in", kept, "-noout", "-text"], capture_output=True, timeout=20)
    assert b"TLS session ticket" in told.stdout and b"Max Early Data: 0" in told.stdout


@pytest.fixture
def generous(ca, site, tmp_path):
    """The session of a server that permits early data, in a file."""
    kept = tmp_path / "session.pem"
    pem = str(site.pem)
    command = ["openssl", "s_server", "-accept", "0", "-cert", pem, "-key", pem, "-www", "-max_early_data", "16384"]
    with subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as server:
        try:
            lines = iter(server.stdout.readline, b"")
            port = next(line for line in lines if line.startswith(b"ACCEPT")).rpartition(b":")[2]
            s_client(int(port), ca, "-ign_eof", "-sess_out", str(kept), data=b"GET / HTTP/1.0\r\n\r\n")
        finally:
            server.kill()
    return kept


@pytest.mark.parametrize("groups", ["X25519", "secp521r1:P-384"], ids=["at once", "after a retry"])
def test_early_data_is_skipped(launch, listener, serve, ca, generous, tmp_path, groups):
    """Proves that a client that sends 0-RTT, which another server allowed, is
    served, and that its early data is dropped (RFC 8446 section 4.2.10)."""
    early = tmp_path / "early"
    early.write_bytes(b"E" * 16000)
    port = launch(listener(serve(service.say(b"welcome")).connect)).port()
    out = s_client(port, ca, "-ign_eof", "-groups", groups, "-sess_in", str(generous), "-early_data", str(early))
    assert "Early data was rejected" in out and "welcome" in out


def resumes(tls, port, made, session):
    one = tls(port, made=made, session=session)
    assert one.ping()
    return one.tls.session_reused, one.tls.session


def first_session(tls, port, made):
    one = tls(port, made=made)
    assert one.ping()
    return one.tls.session


def test_resumption(launch, listener, serve, tls, ca, version):
    """Proves tickets in both versions, and a new one from a resumed session."""
    port = launch(listener(serve().connect)).port()
    made = client.context(ca.file, version)
    session = first_session(tls, port, made)
    for _ in range(3):
        reused, session = resumes(tls, port, made, session)
        assert reused


def test_resumption_survives_reload(launch, listener, serve, tls, ca, version):
    """Proves that ticket keys belong to the process, not to a generation."""
    echo = serve()
    clinch = launch(listener(echo.connect))
    made = client.context(ca.file, version)
    session = first_session(tls, clinch.port(), made)
    clinch.write(listener(echo.connect, "timeout_idle = 77s"))
    clinch.reload()
    assert resumes(tls, clinch.port(nth=0), made, session)[0]


def test_tickets_off(launch, listener, serve, tls, ca, version):
    """Proves tickets = no: no resumption at all."""
    port = launch(listener(serve().connect, "tickets = no")).port()
    made = client.context(ca.file, version)
    session = first_session(tls, port, made)
    assert not resumes(tls, port, made, session)[0]


def test_a_ticket_does_not_cross_listeners(launch, listener, serve, tls, ca, version):
    """Proves that a session of one listener is nothing to another."""
    echo = serve()
    clinch = launch(listener(echo.connect, name="a") + listener(echo.connect, name="b"))
    made = client.context(ca.file, version)
    session = first_session(tls, clinch.port("a"), made)
    assert resumes(tls, clinch.port("a"), made, session)[0]
    assert not resumes(tls, clinch.port("b"), made, session)[0]


def test_session_lifetime_counts_from_the_first_handshake(launch, listener, serve, tls, ca, version):
    """Proves that resumption never stretches a session's life: renewed tickets
    keep the birth time, and after session_timeout the handshake is full."""
    port = launch(listener(serve().connect, "session_timeout = 3s")).port()
    made = client.context(ca.file, version)
    session = first_session(tls, port, made)

    def full_again():
        nonlocal session
        reused, session_now = resumes(tls, port, made, session)
        session = session_now
        return not reused

    assert not full_again()
    until(full_again, "a full handshake although resumed all the time", 10)


def test_rotation_keeps_old_tickets_open(launch, listener, serve, tls, ca, version):
    """Proves ticket_rotate: a ticket of the last key still opens."""
    clinch = launch(listener(serve().connect, head="[tls]\nticket_rotate = 1s\n[log]\nlevel = info"))
    made = client.context(ca.file, version)
    session = first_session(tls, clinch.port(), made)
    clinch.wait_log(r"ticket key")
    assert resumes(tls, clinch.port(), made, session)[0]


def test_ticket_leaves_with_the_first_answer_or_soon(launch, listener, serve, tls, ca):
    """Proves that a silent TLS 1.3 client gets its ticket too, without data."""

    def quiet(sock):
        sock.recv(1)

    one = tls(launch(listener(serve(quiet).connect)).port(), ssl.TLSVersion.TLSv1_3)
    one.sock.settimeout(5)
    one.incoming.write(one.sock.recv(65536))
    with pytest.raises(ssl.SSLWantReadError):
        one.tls.read(1)
    assert one.tls.session is not None
