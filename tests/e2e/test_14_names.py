"""Backend names are looked up again while the proxy runs, and every address of
a name is tried, of backends and of responders.  The name service is /etc/hosts,
replaced in a mount namespace of the proxy's own."""

import os
import shutil
import socket
import subprocess

import pytest

from lib import service
from lib.stapled import status_of
from lib.wait import until

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("unshare") or subprocess.call(["unshare", "--mount", "true"]) != 0,
    reason="needs the right to make a mount namespace",
)


@pytest.fixture
def hosts(tmp_path):
    """hosts(text): what the proxy finds in /etc/hosts from now on."""
    path = tmp_path / "hosts"

    def put(text):
        path.write_text(text)  # in place: a bind mount follows the inode

    put.wrapper = ("unshare", "--mount", "sh", "-c", f'mount --bind {path} /etc/hosts && exec "$@"', "sh")
    return put


def answers(tls, port):
    """The name of the service that a new client reaches; "" if none."""
    try:
        client = tls(port)
        client.send(b"?")
        return client.recv().decode()
    except OSError:
        return ""


def test_names_follow_the_name_service(launch, listener, serve, tls, hosts):
    """Proves the whole life of a name: it moves, the name service fails and the
    last answer is kept, then it moves again."""
    a = serve(service.named(b"a"))
    serve(service.named(b"b"), address=("127.0.0.2", a.port))
    hosts("127.0.0.1 app.test\n")
    clinch = launch(listener(f"app.test:{a.port}", "resolve = 1s"), wrapper=hosts.wrapper)
    assert answers(tls, clinch.port()) == "a"
    hosts("127.0.0.2 app.test\n")
    until(lambda: answers(tls, clinch.port()) == "b", "new clients follow the name")
    hosts("# nothing\n")
    clinch.wait_log(r"warning resolve name no longer resolves.* host=app\.test")
    assert answers(tls, clinch.port()) == "b"
    hosts("127.0.0.1 app.test\n")
    clinch.wait_log(r"notice resolve name resolves again host=app\.test")
    until(lambda: answers(tls, clinch.port()) == "a", "and it moves again")


def test_a_name_that_appears_later(launch, listener, serve, tls, hosts):
    """Proves that a start without the name is no dead end."""
    a = serve(service.named(b"a"))
    hosts("# nothing\n")
    clinch = launch(listener(f"app.test:{a.port}", "resolve = 1s"), wrapper=hosts.wrapper)
    clinch.wait_log(r"warning resolve name does not resolve host=app\.test")
    assert answers(tls, clinch.port()) == ""
    hosts("127.0.0.1 app.test\n")
    until(lambda: answers(tls, clinch.port()) == "a", "its clients are served")


def test_every_address_of_a_name_is_tried(launch, listener, serve, tls, hosts):
    """Proves that a dead first address does not hide a live second."""
    b = serve(service.named(b"b"), address=("127.0.0.2", 0))
    hosts("127.0.0.3 app.test\n127.0.0.2 app.test\n")
    clinch = launch(listener(f"app.test:{b.port}"), wrapper=hosts.wrapper)
    assert [answers(tls, clinch.port()) for _ in range(3)] == ["b"] * 3


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
