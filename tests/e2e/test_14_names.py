"""Backend names are looked up again while the proxy runs, and every address of
a name is tried, of backends and of responders.  The name service is /etc/hosts,
replaced in a mount namespace of the proxy's own."""

import socket
import threading

import pytest

from lib import service
from lib.client import answer
from lib.mounts import needs_mounts
from lib.proxy import fields
from lib.stapled import status_of
from lib.wait import until

ACCESS = "[log]\naccess = same\nlevel = info"

pytestmark = needs_mounts


def test_names_follow_the_name_service(launch, listener, serve, tls, hosts):
    """Proves the states of a name: its address changes, the name service fails
    and the last address is kept, then the address changes again."""
    a = serve(service.named(b"a"))
    serve(service.named(b"b"), address=("127.0.0.2", a.port))
    hosts("127.0.0.1 app.test\n")
    clinch = launch(listener(f"app.test:{a.port}", "resolve = 1s"), wrapper=hosts.wrapper)
    assert answer(tls, clinch.port()) == "a"
    hosts("127.0.0.2 app.test\n")
    until(lambda: answer(tls, clinch.port()) == "b", "new clients follow the name")
    hosts("# nothing\n")
    clinch.wait_log(r"warning resolve name no longer resolves.* host=app\.test")
    assert answer(tls, clinch.port()) == "b"
    hosts("127.0.0.1 app.test\n")
    clinch.wait_log(r"notice resolve name resolves again host=app\.test")
    until(lambda: answer(tls, clinch.port()) == "a", "and it moves again")


def test_a_name_that_appears_later(launch, listener, serve, tls, hosts):
    """Proves that a start without the name is no dead end."""
    a = serve(service.named(b"a"))
    hosts("# nothing\n")
    clinch = launch(listener(f"app.test:{a.port}", "resolve = 1s"), wrapper=hosts.wrapper)
    clinch.wait_log(r"warning resolve name does not resolve host=app\.test")
    assert answer(tls, clinch.port()) == ""
    hosts("127.0.0.1 app.test\n")
    until(lambda: answer(tls, clinch.port()) == "a", "its clients are served")


def test_every_address_of_a_name_is_tried(launch, listener, serve, tls, hosts):
    """Proves that a dead first address does not hide a live second."""
    b = serve(service.named(b"b"), address=("127.0.0.2", 0))
    hosts("127.0.0.3 app.test\n127.0.0.2 app.test\n")
    clinch = launch(listener(f"app.test:{b.port}"), wrapper=hosts.wrapper)
    assert [answer(tls, clinch.port()) for _ in range(3)] == ["b"] * 3


def test_a_failed_connect_is_followed_by_a_look_up(launch, listener, serve, tls, hosts):
    """Proves that a backend which has moved is found at its first refusal, not
    when `resolve` is over."""
    a = serve(service.named(b"a"))
    hosts("127.0.0.2 app.test\n")
    clinch = launch(listener(f"app.test:{a.port}", "resolve = 1d", head=ACCESS), wrapper=hosts.wrapper)
    assert answer(tls, clinch.port()) == ""
    hosts("127.0.0.1 app.test\n")
    until(lambda: answer(tls, clinch.port()) == "a", "the new address is found", 5)
    clinch.wait_log(r"resolve name has new addresses host=app\.test")


class Hole:
    """An address without a response to a SYN (its queue is full) until it is
    opened."""

    def __init__(self, host, port=0):
        self.listening = socket.socket()
        self.listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.listening.bind((host, port))
        self.listening.listen(0)
        self.port = self.listening.getsockname()[1]
        self.waiting = [socket.socket() for _ in range(4)]
        for one in self.waiting:
            one.setblocking(False)
            one.connect_ex((host, self.port))
        self.got = []

    def open(self):
        """Accept the fillers and later clients; return what each sent."""
        for one in self.waiting:
            one.close()
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self._read, args=(sock,), daemon=True).start()

    def _read(self, sock):
        with sock:
            try:
                data = sock.recv(4096)
                if data:
                    self.got.append(data)
                    sock.sendall(self.listening.getsockname()[0].encode())
                    sock.recv(4096)
            except OSError:
                pass

    def close(self):
        for one in [self.listening, *self.waiting]:
            one.close()


@pytest.fixture
def hole():
    """hole(host, port): a Hole that ends with the test."""
    made = []

    def make(host, port=0):
        made.append(Hole(host, port))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("dead", [1, 3])
def test_the_next_address_is_tried_while_one_is_silent(launch, listener, serve, tls, hosts, hole, dead):
    """Proves that no client waits for timeout_connect if another address
    accepts, and that clients after the first do not wait at all."""
    b = serve(service.named(b"b"), address=("127.0.0.8", 0))  # sorted last: RFC 6724, rule 9
    for n in range(dead):
        hole(f"127.0.0.{n + 2}", b.port)
    hosts("".join(f"127.0.0.{n + 2} app.test\n" for n in range(dead)) + "127.0.0.8 app.test\n")
    more = "timeout_connect = 1m\nproxy_out = v1"
    clinch = launch(listener(f"app.test:{b.port}", more, head=ACCESS), wrapper=hosts.wrapper)
    port = clinch.port()
    assert [answer(tls, port) for _ in range(4)] == ["b"] * 4
    clinch.wait_log(r"access .*backend=app\.test", 4)
    waits = [int(fields(line)["connect_ms"]) for line in clinch.grep(r"access ")]
    assert 300 * dead <= waits[0] < 10_000
    assert min(waits[1:]) < 300


def test_the_first_address_may_still_win(launch, listener, tls, hosts, hole):
    """Proves that a slow first is not given up for a silent second, and that
    the bytes and the PROXY header go to one of the two alone."""
    first = hole("127.0.0.2")
    second = hole("127.0.0.3", first.port)
    hosts("127.0.0.2 app.test\n127.0.0.3 app.test\n")
    more = "timeout_connect = 1m\nproxy_out = v1"
    clinch = launch(listener(f"app.test:{first.port}", more, head=ACCESS), wrapper=hosts.wrapper)
    before = clinch.descriptors()
    client = tls(clinch.port())
    client.send(b"question")
    until(lambda: clinch.descriptors() >= before + 3, "both are tried")
    first.open()
    second.open()
    winner = client.recv().decode()
    client.close()
    clinch.wait_log(r"access ")
    got = {"127.0.0.2": first.got, "127.0.0.3": second.got}
    assert len(got[winner]) == 1
    assert got[winner][0].startswith(b"PROXY TCP4") and got[winner][0].endswith(b"question")
    assert len(first.got) + len(second.got) == 1
    until(lambda: clinch.descriptors() == before, "the loser is closed")


def test_silent_addresses_time_out_each_by_itself(launch, listener, tls, hosts, hole):
    """Proves that timeout_connect counts from each connect, that the end has
    its reason, and that a client which goes meanwhile leaves nothing behind."""
    first = hole("127.0.0.2")
    hole("127.0.0.3", first.port)
    hosts("127.0.0.2 app.test\n127.0.0.3 app.test\n")
    clinch = launch(listener(f"app.test:{first.port}", "timeout_connect = 1s", head=ACCESS), wrapper=hosts.wrapper)
    before = clinch.descriptors()
    assert answer(tls, clinch.port()) == ""
    clinch.wait_log(r"info conn backend connect failed .*backend=app\.test", 2)
    clinch.wait_log(r"warning conn backend down .*backend=app\.test:.*timed out")
    line = clinch.wait_log(r"access .*reason=backend_timeout")
    assert 1300 <= int(fields(line)["ms"]) < 2300
    client = tls(clinch.port())
    until(lambda: clinch.descriptors() >= before + 3, "both are tried again")
    client.close()
    until(lambda: clinch.descriptors() == before, "nothing is left")


def dead_address(host, port):
    """Sockets that make an address drop packets: two connections fill the queue
    of a listener that accepts none."""
    sockets = [socket.socket() for _ in range(3)]
    sockets[0].bind((host, port))
    sockets[0].listen(0)
    for one in sockets[1:]:
        one.setblocking(False)
        one.connect_ex((host, port))
    return sockets


def test_every_address_of_a_responder_is_tried(launch, ca, responders, stapled, hosts):
    """Proves that addresses that drop packets do not hide the next one within
    one attempt: a strict start succeeds, after one request."""
    responder = responders()
    responder.stop()
    responder.address = "127.0.0.4"  # getaddrinfo sorts it behind the others
    responder.start()
    dead = dead_address("127.0.0.2", responder.port) + dead_address("127.0.0.3", responder.port)
    hosts("".join(f"127.0.0.{n} ocsp.test\n" for n in (2, 3, 4)))
    site = ca.issue(ocsp=f"http://ocsp.test:{responder.port}", must_staple=True)
    clinch = launch(stapled(site, "mode = must"), wrapper=hosts.wrapper)
    assert status_of(clinch.port(), ca) == "good"
    assert responder.count() == 1
    for one in dead:
        one.close()
