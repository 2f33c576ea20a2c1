"""check = tcp: addresses of backends are connected to at an interval, and one
that fails gets no clients until it is reached again."""

import os
import re
import signal
import socket
import time

import pytest

from lib import admin, service
from lib.admin import metric, wait_metric
from lib.client import answer
from lib.mounts import needs_mounts
from lib.proxy import run
from lib.wait import stays, until

HEAD = "[admin]\nlisten = 127.0.0.1:0\n[log]\nlevel = info\n"
# Without retry_after an address rests for its failed check alone.
CHECK = "check = tcp\ncheck_interval = 100ms\nretry_after = 0"

@pytest.fixture
def door(serve):
    """door(name): a backend that opens and shuts, on a port that stays its own."""
    made = []

    class Door:
        def __init__(self, name, host="127.0.0.1", port=0):
            self.name = name
            self.holder = socket.socket()
            self.holder.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.holder.bind((host, port))
            self.address = self.holder.getsockname()
            self.connect = "%s:%d" % self.address
            made.append(self)

        def open(self):
            self.service = serve(service.named(self.name.encode()), address=self.address)
            return self

        def shut(self):
            self.service.close()

    yield Door
    for one in made:
        one.holder.close()


def state(clinch, name):
    """What /status has about a backend."""
    backends = admin.status(clinch)["listeners"][0]["backends"]
    return next(one for one in backends if one["name"] == name)


def full_port():
    """A TCP port with a full queue, as (address, sockets): connects hang."""
    sockets = [socket.socket() for _ in range(5)]
    sockets[0].bind(("127.0.0.1", 0))
    sockets[0].listen(0)
    for one in sockets[1:]:
        one.setblocking(False)
        one.connect_ex(sockets[0].getsockname())
    return "127.0.0.1:%d" % sockets[0].getsockname()[1], sockets


def test_no_client_meets_what_a_check_found_down(launch, listener, serve, tls, door, tmp_path):
    """Proves both changes: log lines, state, metric and terminal, and that
    clients go to the next backend without a failed connect."""
    a, b = door("a").open(), serve(service.named(b"b"))
    head = HEAD.replace("127.0.0.1:0", f"127.0.0.1:0, unix:{tmp_path}/admin.sock")
    clinch = launch(listener(f"{a.connect}, {b.connect}", CHECK, head=head))
    assert answer(tls, clinch.port()) == "a"
    assert state(clinch, a.connect)["state"] == "up" and state(clinch, a.connect)["since"] is None
    a.shut()
    clinch.wait_log(rf"warning check backend down backend={a.connect} .*refused")
    began = time.time()
    assert [answer(tls, clinch.port()) for _ in range(3)] == ["b"] * 3
    down = state(clinch, a.connect)
    assert (down["state"], down["checked"], down["error"], down["errors"]) == ("down", True, "Connection refused", 0)
    assert abs(down["since"] - began) < 5 and abs(down["error_time"] - time.time()) < 5
    assert metric(clinch, "clinch_backend_up", backend=a.connect) == 0
    assert metric(clinch, "clinch_backend_up", backend=b.connect) == 1
    _, terminal, _ = run("status", "-c", clinch.file)
    assert re.search(rf"backend {a.connect} +down for .*, checked, Connection refused", terminal), terminal
    a.open()
    clinch.wait_log(rf"notice check backend up again backend={a.connect} down_ms=\d")
    assert answer(tls, clinch.port()) == "a"
    wait_metric(clinch, "clinch_backend_up", 1, backend=a.connect)
    up = state(clinch, a.connect)
    assert up["state"] == "up" and up["since"] >= down["since"] and up["error"] == "Connection refused"
    assert not clinch.grep("backend connect failed")
    assert len(clinch.grep("backend down")) == len(clinch.grep("backend up again")) == 1


def test_without_checks_clients_notice(launch, listener, serve, tls, door):
    """Proves one line for each change however many clients fail, and that there
    is no connect but theirs."""
    a, b = door("a").open(), serve(service.named(b"b"))
    clinch = launch(listener(f"{a.connect}, {b.connect}", "retry_after = 0", head=HEAD))
    a.shut()
    assert [answer(tls, clinch.port()) for _ in range(3)] == ["b"] * 3
    clinch.wait_log("info conn backend connect failed", 3)
    clinch.wait_log(rf"warning conn backend down .*backend={a.connect} .*refused")
    assert state(clinch, a.connect)["checked"] is False and state(clinch, a.connect)["errors"] == 3
    a.open()
    assert answer(tls, clinch.port()) == "a"
    clinch.wait_log(rf"notice conn backend up again .*backend={a.connect} down_ms=\d")
    assert len(clinch.grep("backend down")) == len(clinch.grep("backend up again")) == 1
    assert a.service.accepted == 1


def test_the_last_resort(launch, listener, tls, door):
    """Proves that a client still tries a backend that is down if there is no
    other, and that its success is a change."""
    a = door("a").open()
    clinch = launch(listener(a.connect, CHECK, head=HEAD))
    a.shut()
    clinch.wait_log("warning check backend down")
    clinch.write(listener(a.connect, CHECK.replace("100ms", "1d"), head=HEAD))
    clinch.reload()
    assert state(clinch, a.connect)["state"] == "down"
    a.open()
    assert answer(tls, clinch.port()) == "a"
    clinch.wait_log("notice conn backend up again")
    assert (state(clinch, a.connect)["state"], state(clinch, a.connect)["resting"]) == ("up", 0)
    assert answer(tls, clinch.port()) == "a" and not clinch.grep("backend connect failed")


@needs_mounts
def test_one_address_of_two(launch, listener, serve, tls, hosts):
    """Proves that the address that accepts keeps the backend up, and that no
    client meets the other."""
    hosts("::1 two.test\n127.0.0.1 two.test\n")
    name = f"two.test:{serve(service.named(b'a')).port}"
    clinch = launch(listener(name, CHECK, head=HEAD), wrapper=hosts.wrapper)
    until(lambda: state(clinch, name)["resting"] == 1, "the dead address is found")
    assert state(clinch, name)["state"] == "up" and state(clinch, name)["addresses"] == 2
    assert answer(tls, clinch.port()) == "a"
    assert not clinch.grep("backend down") and not clinch.grep("backend connect failed")


@needs_mounts
def test_new_addresses_are_checked(launch, listener, serve, tls, door, hosts):
    """Proves that a failed check causes a look-up, and that the address it
    brings is checked."""
    hosts("127.0.0.1 app.test\n")
    dead = door("dead")
    alive = door("alive", "127.0.0.2", dead.address[1]).open()
    name = f"app.test:{dead.address[1]}"
    clinch = launch(listener(name, CHECK + "\nresolve = 1d", head=HEAD), wrapper=hosts.wrapper)
    clinch.wait_log(r"warning check backend down backend=app\.test")
    hosts("127.0.0.2 app.test\n")
    clinch.wait_log(r"notice check backend up again backend=app\.test")
    assert answer(tls, clinch.port()) == "alive" and alive.service.accepted >= 2


def test_a_connect_that_hangs(launch, listener, serve, tls):
    """Proves that timeout_connect ends a check, and that its descriptor is
    closed."""
    hanging, sockets = full_port()
    b = serve(service.named(b"b"))
    clinch = launch(listener(b.connect, head=HEAD))
    before = clinch.descriptors()
    clinch.write(listener(f"{hanging}, {b.connect}", CHECK + "\ntimeout_connect = 300ms", head=HEAD))
    clinch.reload()
    clinch.wait_log(rf"warning check backend down backend={hanging} .*timed out")
    assert answer(tls, clinch.port()) == "b" and not clinch.grep("backend connect failed")
    until(lambda: clinch.descriptors() > before, "another check is in flight")
    clinch.write(listener(b.connect, head=HEAD))
    clinch.reload()
    until(lambda: clinch.descriptors() == before, "no check is left open")
    for one in sockets:
        one.close()


def test_a_reload_switches_checks(launch, listener, serve):
    """Proves off, on and off again, and that the connection is reset."""
    seen = []

    def note(sock):
        try:
            seen.append(sock.recv(1))
        except ConnectionResetError:
            seen.append("reset")

    backend = serve(note)
    clinch = launch(listener(backend.connect, head=HEAD))
    assert stays(lambda: not seen, 0.5)
    clinch.write(listener(backend.connect, CHECK, head=HEAD))
    clinch.reload()
    until(lambda: len(seen) >= 3, "it is checked")
    assert set(seen) == {"reset"} and state(clinch, backend.connect)["checked"]
    clinch.write(listener(backend.connect, head=HEAD))
    clinch.reload()
    assert not state(clinch, backend.connect)["checked"]
    accepted = backend.accepted
    assert stays(lambda: backend.accepted <= accepted + 1, 0.5)


def test_a_state_outlives_a_reload(launch, listener, tls, door):
    """Proves that the change is not reported again, and that the address still
    rests."""
    a = door("a").open()
    clinch = launch(listener(a.connect, CHECK, head=HEAD))
    a.shut()
    clinch.wait_log("warning check backend down")
    since = state(clinch, a.connect)["since"]
    clinch.write(listener(a.connect, CHECK.replace("100ms", "200ms"), head=HEAD))
    clinch.reload()
    now = state(clinch, a.connect)
    assert (now["state"], now["resting"]) == ("down", 1) and abs(now["since"] - since) <= 1
    a.open()
    clinch.wait_log("notice check backend up again")
    assert len(clinch.grep("backend down")) == 1


def test_hosts_share_a_check(launch, listener, door):
    """Proves with 1,000 hosts, of which each second has another list, that a
    backend gets one connect per interval, and a change one line."""
    a, b = door("a").open(), door("b").open()
    keys = CHECK.replace("100ms", "200ms")
    lists = [f"{a.connect}", f"{b.connect}, {a.connect}"]
    hosts = "".join(f"[host web h{i}.example]\nconnect = {lists[i % 2]}\n" for i in range(1000))
    clinch = launch(listener(a.connect, keys, head=HEAD) + hosts)
    until(lambda: a.service.accepted > 0, "checks have begun")
    began, first = time.monotonic(), a.service.accepted
    until(lambda: a.service.accepted >= first + 10, "checks go on")
    assert a.service.accepted - first <= (time.monotonic() - began) / 0.18 + 2
    a.shut()
    clinch.wait_log(rf"warning check backend down backend={a.connect}")
    a.open()
    clinch.wait_log(rf"notice check backend up again backend={a.connect}")
    assert len(clinch.grep("backend down")) == len(clinch.grep("backend up again")) == 1


def test_unix_backend(launch, listener, serve, tls, tmp_path):
    """Proves that a socket that is not there, and then is, changes the state."""
    path = str(tmp_path / "app.sock")
    clinch = launch(listener(f"unix:{path}", CHECK, head=HEAD))
    clinch.wait_log(rf"warning check backend down backend=unix:{path} .*No such file")
    serve(service.named(b"unix"), family=socket.AF_UNIX, address=path)
    clinch.wait_log(rf"notice check backend up again backend=unix:{path}")
    assert answer(tls, clinch.port()) == "unix"


def test_a_drain_ends_checks(launch, listener, serve, tls):
    """Proves that no check begins once the process drains."""
    backend = serve(service.named(b"a"))
    clinch = launch(listener(backend.connect, CHECK, head=HEAD + "[global]\ndrain_timeout = 30s\n"))
    until(lambda: backend.accepted >= 2, "it is checked")
    client = tls(clinch.port())
    client.send(b"?")
    assert client.recv() == b"a"
    os.kill(clinch.pid, signal.SIGTERM)
    clinch.wait_log("server draining")
    accepted = backend.accepted
    assert stays(lambda: backend.accepted <= accepted + 1, 0.5)
    client.close()
    clinch.wait_exit()
