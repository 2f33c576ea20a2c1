"""Each direction ends by itself, in both versions of TLS."""

import socket
import ssl

import pytest

from lib import records, service
from lib.wait import until


def test_client_ends_first_and_still_gets_the_answer(launch, listener, serve, tls, version):
    """Proves client close_notify -> service reads the end -> response ->
    close_notify."""
    client = tls(launch(listener(serve(service.answer_after_end).connect)).port(), version)
    client.send(b"question")
    client.half_close()
    assert client.recv_all() == b"got question"


def test_client_may_wait_long_after_its_end(launch, listener, serve, tls, version):
    """Proves that timeout_close does not cut a service that thinks."""

    def think(sock):
        while sock.recv(4096):
            pass
        until(lambda: released, "the test's word", 20)
        sock.sendall(b"at last")

    released = []
    clinch = launch(listener(serve(think).connect, "timeout_close = 200ms"))
    client = tls(clinch.port(), version)
    client.half_close()
    client.sock.settimeout(1)
    with pytest.raises(TimeoutError):
        client.recv()
    released.append(True)
    client.sock.settimeout(10)
    assert client.recv_all() == b"at last"


def test_service_ends_first(launch, listener, serve, tls, version):
    """Proves that the last byte comes before close_notify, never a bare FIN."""
    data = b"x" * 500_000
    client = tls(launch(listener(serve(service.say(data)).connect)).port(), version)
    assert client.recv_all() == data


def test_client_goes_on_after_the_service_ended_its_side(launch, listener, serve, tls):
    """Proves the other half: input flows on after we sent close_notify (TLS 1.3)."""
    got = []

    def half(sock):
        sock.sendall(b"bye")
        sock.shutdown(socket.SHUT_WR)
        while data := sock.recv(4096):
            got.append(data)
        got.append(None)

    client = tls(launch(listener(serve(half).connect)).port(), ssl.TLSVersion.TLSv1_3)
    assert client.recv_all() == b"bye"
    # Python refuses to write after close_notify was read: use the socket's end.
    client.half_close()
    client.sock.shutdown(socket.SHUT_WR)
    until(lambda: got and got[-1] is None, "the service sees the client's end")


def test_an_upload_may_change_its_keys_after_the_service_ended(launch, listener, serve, ca, tmp_path):
    """Proves that a request for new keys of ours, which we can honour no more
    after close_notify, costs the client nothing."""
    got = []

    def half(sock):
        sock.shutdown(socket.SHUT_WR)
        while data := sock.recv(65536):
            got.append(len(data))
        got.append(None)

    clinch = launch(listener(serve(half).connect, head="[log]\naccess = same"))
    client, writer = records.connect(clinch.port(), ca.file, tmp_path / "keys")
    with client:
        assert client.recv_all() == b""
        for _ in range(20):
            client.sock.sendall(writer.record(records.DATA, bytes(10_000)) + writer.key_update())
        client.sock.sendall(writer.record(records.ALERT, b"\1\0"))
        until(lambda: got and got[-1] is None, "the service sees the end")
    assert sum(got[:-1]) == 200_000
    clinch.wait_log(r"access .*reason=done")


def test_a_client_that_ended_even_in_tcp_gets_close_notify_after_all_bytes(launch, listener, serve, tls, version):
    """Proves that a response which was complete before the client ended is
    closed with close_notify: without it the response would count as
    truncated."""

    def answer(sock):
        sock.sendall(b"early")
        while sock.recv(4096):
            pass

    client = tls(launch(listener(serve(answer).connect)).port(), version)
    client.send(b"x")
    got = client.recv_exactly(5)
    client.half_close()
    client.sock.shutdown(socket.SHUT_WR)
    assert got + client.recv_all() == b"early"


def test_bare_fin_delivers_what_was_sent(launch, listener, serve, tls, version):
    """Proves that a client that closes without close_notify loses no byte, and
    that the access log has the reason."""
    got = []

    def collect(sock):
        while data := sock.recv(65536):
            got.append(data)
        got.append(None)

    clinch = launch(listener(serve(collect).connect, head="[log]\naccess = same"))
    client = tls(clinch.port(), version)
    client.send(b"y" * 300_000)
    client.sock.shutdown(socket.SHUT_WR)
    until(lambda: got and got[-1] is None, "the service sees the end")
    assert sum(map(len, got[:-1])) == 300_000
    clinch.wait_log(r"access .*reason=truncated")


def test_service_reset_is_no_clean_end(launch, listener, serve, tls, version):
    """Proves that a truncated response differs from a whole one."""
    clinch = launch(listener(serve(service.reset).connect, head="[log]\naccess = same"))
    client = tls(clinch.port(), version)
    client.send(b"x")
    with pytest.raises((ssl.SSLError, ConnectionResetError)):
        client.recv_all()
    clinch.wait_log(r"access .*reason=backend_reset")


def test_client_reset_reaches_the_service(launch, listener, serve, tls, version):
    """The service gets a reset and not an end, which would count as a whole
    request."""
    ended = []

    def watch(sock):
        try:
            while sock.recv(4096):
                pass
            ended.append("end")
        except ConnectionResetError:
            ended.append("reset")

    clinch = launch(listener(serve(watch).connect))
    client = tls(clinch.port(), version)
    client.send(b"x")
    client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    client.close()
    until(lambda: ended, "the service's connection ends")
    assert ended == ["reset"]
