"""A client's bytes reach the service and its response reaches the client."""

import hashlib
import os
import subprocess

import pytest

from lib import service


def test_echo_in_both_versions(launch, listener, serve, tls, version):
    """Proves the first thing: TLS in, plaintext out, and back."""
    clinch = launch(listener(serve().connect))
    client = tls(clinch.port(), version)
    assert client.ping(b"hello")
    assert client.tls.version() == {771: "TLSv1.2", 772: "TLSv1.3"}[version]


@pytest.mark.parametrize("size", [1, 16383, 16384, 16385, 65536, 65537, 3_000_001])
def test_sizes_around_record_and_buffer_edges(launch, listener, serve, tls, size):
    """Proves that no byte is lost where records and blocks end."""
    data = os.urandom(size)
    client = tls(launch(listener(serve(service.answer_after_end).connect)).port())
    client.send(data)
    client.half_close()
    assert hashlib.sha256(client.recv_all()).digest() == hashlib.sha256(b"got " + data).digest()


def http(sock):
    sock.recv(65536)
    sock.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 6\r\nConnection: close\r\n\r\nhello\n")


def test_curl(launch, listener, serve, ca):
    """Proves it with the client everybody has."""
    port = launch(listener(serve(http).connect)).port()
    done = subprocess.run(
        ["curl", "-sS", "--cacert", ca.file, "--resolve", f"localhost:{port}:127.0.0.1", f"https://localhost:{port}/"],
        capture_output=True,
        timeout=20,
    )
    assert (done.returncode, done.stdout) == (0, b"hello\n"), done.stderr


def test_openssl_s_client(launch, listener, serve, ca):
    """Proves that OpenSSL's client verifies the chain and gets the
    response."""
    port = launch(listener(serve(http).connect)).port()
    done = subprocess.run(
        ["openssl", "s_client", "-quiet", "-verify_return_error", "-CAfile", ca.file, "-connect", f"127.0.0.1:{port}"],
        input=b"GET / HTTP/1.0\r\n\r\n",
        capture_output=True,
        timeout=20,
    )
    assert b"hello" in done.stdout, done.stderr


@pytest.mark.parametrize("priority", ["NORMAL:-VERS-ALL:+VERS-TLS1.2", "NORMAL:-VERS-ALL:+VERS-TLS1.3"])
def test_gnutls_cli(launch, listener, serve, ca, priority):
    """Proves that another TLS implementation agrees, in both versions."""
    port = launch(listener(serve(http).connect)).port()
    done = subprocess.run(
        ["gnutls-cli", "--x509cafile", ca.file, "--priority", priority, "-p", str(port), "localhost"],
        input=b"GET / HTTP/1.0\r\n\r\n",
        capture_output=True,
        timeout=20,
    )
    assert b"hello" in done.stdout, done.stderr


def test_rsa_identity_from_two_files(launch, serve, tls, ca, version):
    """Proves RSA, and cert and key apart."""
    files = ca.issue("localhost", kind="rsa", label="rsa")
    clinch = launch(
        f"[listener web]\naccept=127.0.0.1:0\nconnect={serve().connect}\ncert={files.crt}\nkey={files.key}\n"
    )
    assert tls(clinch.port(), version).ping()


def test_two_listeners_reach_two_services(launch, listener, serve, tls):
    """Proves that each listener has its own backend."""
    one, two = serve(service.named(b"one")), serve(service.named(b"two"))
    clinch = launch(listener(one.connect, name="a") + listener(two.connect, name="b"))
    for name, answer in (("a", b"one"), ("b", b"two")):
        client = tls(clinch.port(name))
        client.send(b"?")
        assert client.recv() == answer


def test_service_that_speaks_first(launch, listener, serve, tls, version):
    """Proves that a service may send first (SMTP, MySQL)."""

    def greet(sock):
        sock.sendall(b"220 ready\r\n")
        service.echo(sock)

    client = tls(launch(listener(serve(greet).connect)).port(), version)
    assert client.recv_exactly(11) == b"220 ready\r\n"
    assert client.ping()
