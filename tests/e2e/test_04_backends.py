"""The choice of the backend, and backends that do not accept."""

import os
import socket
import time

import pytest

from lib import service
from lib.proxy import fields
from lib.wait import until

ACCESS = "[log]\naccess = same"


def asked(tls, port, count=1):
    """The names of the services that `count` new connections reached."""
    names = []
    for _ in range(count):
        client = tls(port)
        client.send(b"?")
        names.append(client.recv().decode())
        client.close()
    return names


def test_prio_uses_the_first_that_answers(launch, listener, serve, tls):
    """Proves order, and failover from a refusing first."""
    holder, dead = service.refused_port()
    a, b = serve(service.named(b"a")), serve(service.named(b"b"))
    clinch = launch(listener(f"127.0.0.1:{dead}, {a.connect}, {b.connect}"))
    assert asked(tls, clinch.port(), 4) == ["a"] * 4
    holder.close()


def test_rr_takes_turns(launch, listener, serve, tls):
    """Proves that both get their share."""
    a, b = serve(service.named(b"a")), serve(service.named(b"b"))
    clinch = launch(listener(a.connect, f"connect = {b.connect}\nbalance = rr"))
    assert sorted(asked(tls, clinch.port(), 6)) == ["a"] * 3 + ["b"] * 3


def test_a_failed_one_rests_for_retry_after(launch, listener, serve, tls):
    """Proves that it is left alone, then tried again."""
    holder, port = service.refused_port()
    b = serve(service.named(b"b"))
    clinch = launch(listener(f"127.0.0.1:{port}", f"connect = {b.connect}\nretry_after = 2s"))
    assert asked(tls, clinch.port()) == ["b"]
    failed = time.monotonic()
    holder.listen()
    holder.settimeout(0.2)
    assert asked(tls, clinch.port(), 3) == ["b"] * 3
    if time.monotonic() - failed < 1.5:
        with pytest.raises(TimeoutError):
            holder.accept()

    def came_back():
        client = tls(clinch.port())
        try:
            holder.accept()[0].close()
            return True
        except TimeoutError:
            return False
        finally:
            client.close()

    until(came_back, "the first is tried again", 10)
    holder.close()


def test_no_backend_answers(launch, listener, tls):
    """Proves a clear reason, a closed client, and that the process goes on."""
    holder, dead = service.refused_port()
    clinch = launch(listener(f"127.0.0.1:{dead}", head=ACCESS))
    for _ in range(2):
        client = tls(clinch.port())
        with pytest.raises((OSError, AssertionError)):
            client.recv_exactly(1)
    line = clinch.wait_log(r"access .*reason=backend_refused", 2)
    assert fields(line)["listener"] == "web"
    holder.close()


def test_a_backend_that_never_accepts_times_out(launch, listener, tls):
    """Proves timeout_connect: a full backlog hangs like a dead host."""
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    fillers = []
    for _ in range(4):
        one = socket.socket()
        one.setblocking(False)
        one.connect_ex(full.getsockname())
        fillers.append(one)
    clinch = launch(listener(f"127.0.0.1:{full.getsockname()[1]}", "timeout_connect = 300ms", head=ACCESS))
    client = tls(clinch.port())
    with pytest.raises((OSError, AssertionError)):
        client.recv_exactly(1)
    clinch.wait_log(r"access .*reason=backend_timeout")
    for one in [full, *fillers]:
        one.close()


def test_a_hanging_first_falls_over_to_the_second(launch, listener, serve, tls):
    """Proves that timeout_connect counts per candidate."""
    full = socket.socket()
    full.bind(("127.0.0.1", 0))
    full.listen(0)
    fillers = [socket.socket() for _ in range(4)]
    for one in fillers:
        one.setblocking(False)
        one.connect_ex(full.getsockname())
    b = serve(service.named(b"b"))
    connect = f"127.0.0.1:{full.getsockname()[1]}, {b.connect}"
    clinch = launch(listener(connect, "timeout_connect = 300ms"))
    assert asked(tls, clinch.port()) == ["b"]
    for one in [full, *fillers]:
        one.close()


def test_unix_backend(launch, listener, serve, tls, tmp_path):
    """Proves connect = unix:PATH."""
    path = str(tmp_path / "app.sock")
    serve(service.echo, family=socket.AF_UNIX, address=path)
    assert tls(launch(listener(f"unix:{path}")).port()).ping()


def test_ipv6_backend(launch, listener, serve, tls):
    """Proves connect = [::1]:PORT."""
    assert tls(launch(listener(serve(family=socket.AF_INET6).connect)).port()).ping()


def test_name_and_bare_port(launch, listener, serve, tls):
    """Proves name:port and a bare port = localhost."""
    one = serve(service.named(b"one"))
    clinch = launch(listener(f"localhost:{one.port}", name="a") + listener(str(one.port), name="b"))
    assert asked(tls, clinch.port("a")) == asked(tls, clinch.port("b")) == ["one"]


def test_a_name_that_does_not_resolve(launch, listener, tls):
    """Proves a warning at start, the reason for its clients, and no exit."""
    clinch = launch(listener("no-such-host.invalid:80", head=ACCESS))
    clinch.wait_log(r"warning .*no-such-host\.invalid")
    client = tls(clinch.port())
    with pytest.raises((OSError, AssertionError)):
        client.recv_exactly(1)
    clinch.wait_log(r"access .*reason=backend_unresolved")


def test_big_request_before_the_backend_is_there(launch, listener, serve, tls):
    """Proves that bytes sent while connecting wait, and arrive whole."""
    data = b"z" * 400_000
    holder, dead = service.refused_port()
    good = serve(service.answer_after_end)
    client = tls(launch(listener(f"127.0.0.1:{dead}, {good.connect}")).port())
    client.send(data)
    client.half_close()
    assert client.recv_all() == b"got " + data
    holder.close()


@pytest.mark.skipif(os.geteuid() != 0, reason="needs an /etc/hosts of its own")
def test_a_name_of_which_one_address_works(launch, listener, serve, tls, tmp_path):
    """Proves that a dead address of a name that works is no warning, and that
    the last of a name's addresses is."""
    hosts = tmp_path / "hosts"
    hosts.write_text("::1 two.test\n127.0.0.1 two.test\n")
    wrapper = ("unshare", "--mount", "sh", "-c", f'mount --bind {hosts} /etc/hosts && exec "$@"', "sh")
    backend = serve()
    port = backend.connect.rsplit(":", 1)[1]
    text = listener(f"two.test:{port}", "retry_after = 0", head="[log]\nlevel = info")
    clinch = launch(text, wrapper=wrapper)
    assert tls(clinch.port()).ping()
    clinch.wait_log("info conn backend connect failed")
    assert not clinch.grep(" warning ")
    backend.close()
    with pytest.raises((OSError, AssertionError)):
        tls(clinch.port()).ping()
    clinch.wait_log(r"warning conn backend down .*backend=two\.test")


def full_unix(path):
    """A Unix socket with a full queue, and the clients that fill it."""
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(0)
    fillers = []
    while True:
        one = socket.socket(socket.AF_UNIX)
        one.setblocking(False)
        fillers.append(one)
        try:
            one.connect(path)
        except BlockingIOError:
            return listening, fillers


def test_a_full_unix_backend_is_passed_over(launch, listener, serve, tls, tmp_path):
    """Proves that the next one gets the client, that the full one rests
    for retry_after, and that it is used again later."""
    path = str(tmp_path / "full.sock")
    listening, fillers = full_unix(path)
    b = serve(service.named(b"b"))
    more = "retry_after = 1s"
    clinch = launch(listener(f"unix:{path}, {b.connect}", more, head="[log]\nlevel = info\naccess = same"))
    assert asked(tls, clinch.port(), 3) == ["b"] * 3
    clinch.wait_log(r"warning conn backend down .*backend=unix:.*queue")
    for _ in range(len(fillers) - 1):
        listening.accept()[0].close()
    listening.settimeout(0.2)

    def came_back():
        with tls(clinch.port()):
            try:
                listening.accept()[0].close()
                return True
            except TimeoutError:
                return False

    until(came_back, "the first is tried again", 10)
    listening.close()


def test_a_full_unix_backend_alone(launch, listener, tls, tmp_path):
    """Proves the words of the log for it."""
    path = str(tmp_path / "full.sock")
    listening, fillers = full_unix(path)
    clinch = launch(listener(f"unix:{path}", head="[log]\nlevel = info\naccess = same"))
    with pytest.raises((OSError, AssertionError)):
        tls(clinch.port()).recv_exactly(1)
    clinch.wait_log(r"warning conn no backend .*error=.*queue")
    clinch.wait_log(r"access .*reason=backend_refused")
    for one in [listening, *fillers]:
        one.close()
