"""Backend names are looked up again while the proxy runs.  The name service is
/etc/hosts, replaced in a mount namespace of the proxy's own."""

import os
import shutil
import subprocess

import pytest

from lib import service
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
