"""What needs a network of its own: low ports after the drop, and a host
without IPv6.  The proxy runs in a network namespace with loopback alone."""

import os
import shutil
import subprocess
import sys

import pytest

from lib import service

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0 or not shutil.which("nsenter") or subprocess.call(["unshare", "--net", "true"]) != 0,
    reason="needs the right to make a network namespace",
)

CAP_NET_BIND_SERVICE = 10


def inside(*commands):
    """A wrapper that runs the proxy in a new network, after these commands."""
    script = " && ".join(["ip link set lo up", *commands, 'exec "$@"'])
    return ("unshare", "--net", "sh", "-c", script, "sh")


def handshakes(clinch, port, ca, host="127.0.0.1"):
    """Does a client in the proxy's network get a verified handshake?"""
    command = ["nsenter", f"--net=/proc/{clinch.pid}/ns/net", "openssl", "s_client", "-brief", "-verify_return_error"]
    done = subprocess.run(
        [*command, "-CAfile", ca.file, "-connect", f"{host}:{port}"], input=b"", capture_output=True, timeout=20
    )
    return b"Verification: OK" in done.stderr


@pytest.fixture
def backend(serve, tmp_path):
    """A service the proxy reaches from its own network: by a Unix path."""
    import socket

    folder = tmp_path / "open"
    folder.mkdir()
    serve(service.echo, family=socket.AF_UNIX, address=str(folder / "app"))
    return f"unix:{folder}/app"


def test_low_ports_stay_possible_after_the_drop(launch, listener, backend, ca, site, tmp_path):
    """Proves that no capability survives the drop, and that a reload can open
    another low port nevertheless, by the opener."""
    head = "[global]\nuser = nobody"
    clinch = launch(listener(backend, accept="127.0.0.1:443", head=head), wrapper=inside())
    with open(f"/proc/{clinch.pid}/status") as status:
        held = {line[:6]: int(line.split()[1], 16) for line in status if line.startswith("Cap")}
    assert held["CapEff"] == held["CapPrm"] == held["CapInh"] == held["CapAmb"] == 0
    clinch.write(clinch.file.read_text().replace("accept = 127.0.0.1:443", "accept = 127.0.0.1:444"))
    assert "reloaded" in clinch.reload(), clinch.output()
    assert handshakes(clinch, 444, ca)


def test_low_ports_stay_possible_without_an_opener(launch, listener, backend, ca):
    """Proves that CAP_NET_BIND_SERVICE, and nothing else, survives the drop
    where the start is by another user than root, so that there is no opener."""
    given = "+setuid,+setgid,+net_bind_service,+dac_override"
    weak = ("setpriv", "--reuid=4242", "--regid=4242", "--clear-groups", f"--inh-caps={given}", f"--ambient-caps={given}")
    head = "[global]\nuser = nobody"
    clinch = launch(listener(backend, accept="127.0.0.1:443", head=head), wrapper=(*inside(), *weak))
    with open(f"/proc/{clinch.pid}/status") as status:
        held = {line[:6]: int(line.split()[1], 16) for line in status if line.startswith("Cap")}
    assert held["CapEff"] == held["CapPrm"] == 1 << CAP_NET_BIND_SERVICE
    assert held["CapInh"] == held["CapAmb"] == 0
    assert handshakes(clinch, 443, ca)


def test_a_bare_port_where_ipv6_is_switched_off(launch, listener, backend, ca):
    """Proves that IPv4 clients are served where no IPv6 address can be had."""
    off = "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6"
    clinch = launch(listener(backend, accept="0"), wrapper=inside(off))
    assert handshakes(clinch, clinch.port(), ca)


def test_an_address_that_comes_later(launch, listener, backend, ca):
    """Proves that bind_early listens before the machine has the address."""
    clinch = launch(listener(backend, "bind_early = yes", accept="192.0.2.1:443"), wrapper=inside())
    enter = ["nsenter", f"--net=/proc/{clinch.pid}/ns/net"]
    subprocess.run([*enter, "ip", "address", "add", "192.0.2.1/32", "dev", "lo"], check=True)
    assert handshakes(clinch, 443, ca, host="192.0.2.1")


def test_clients_of_one_device_alone(launch, listener, backend, ca):
    """Proves that device refuses those of another; that a device which is
    not there is an error."""
    other = ["ip link add other type veth peer name far", "ip link set other up"]
    for device, expect in [("lo", True), ("other", False)]:
        clinch = launch(listener(backend, f"device = {device}", accept="443"), wrapper=inside(*other))
        assert handshakes(clinch, 443, ca) == expect, device
    missing = launch(listener(backend, "device = missing", accept="443"), ready=False, wrapper=inside())
    assert missing.wait_exit() != 0
    assert missing.grep(r"no network device \"missing\"")


# A client whose own port is outside the kernel's range; prints the answer.
MIRROR = """
import socket, sys
from lib import client
sock = socket.create_connection(("127.0.0.1", int(sys.argv[1])), 10, source_address=("127.0.0.1", 20000))
one = client.Client(sock, client.context(sys.argv[2]))
try:
    one.send(b"to the backend")
    print(one.recv())
except OSError:
    print("closed")
free = socket.socket()
free.bind(("127.0.0.1", 40000))
print("free")
"""


def test_a_connection_to_itself_is_a_refused_one(launch, listener, ca):
    """Proves that a client does not get its own bytes back from a dead local
    port that the kernel chose as the local one too, and that the port stays
    free for the backend."""
    ports = "echo 40000 40000 > /proc/sys/net/ipv4/ip_local_port_range"
    clinch = launch(listener("127.0.0.1:40000", head="[log]\naccess = same", accept="127.0.0.1:443"), wrapper=inside(ports))
    done = subprocess.run(
        ["nsenter", f"--net=/proc/{clinch.pid}/ns/net", sys.executable, "-c", MIRROR, "443", ca.file],
        cwd=os.path.dirname(__file__),
        capture_output=True,
        text=True,
        timeout=20,
    )
    assert done.stdout == "closed\nfree\n", done.stderr
    clinch.wait_log(r"access .*reason=backend_refused")
