"""systemd: the watchdog, credentials, and the examples in etc/systemd."""

import configparser
import os
import pathlib
import re
import socket
import time

import pytest

from lib import proxy
from lib.wait import until

EXAMPLES = pathlib.Path(__file__).parents[2] / "etc" / "systemd"


@pytest.fixture
def manager(tmp_path):
    """A datagram socket in the place of systemd's."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind(str(tmp_path / "notify"))
        sock.settimeout(10)
        yield sock


def environment(manager, **more):
    return {"NOTIFY_SOCKET": manager.getsockname(), **more}


AS_ITSELF = ("sh", "-c", 'export WATCHDOG_PID=$$; exec "$@"', "sh")


def test_the_watchdog_gets_a_sign_of_life_at_half_its_time(launch, listener, serve, manager):
    """Proves WATCHDOG=1 every 0.2 s for WATCHDOG_USEC of 0.4 s, in a drain too."""
    text = listener(serve().connect, head="[global]\ndrain_timeout = 60s")
    began = time.monotonic()
    clinch = launch(text, env=environment(manager, WATCHDOG_USEC="400000"), wrapper=AS_ITSELF)
    times = []

    def next_sign():
        while manager.recv(4096) != b"WATCHDOG=1":
            pass
        times.append(time.monotonic())
        return len(times) > 1 and times[-1] - times[-2] < 0.3

    until(next_sign, "two signs within 0.3 s", 20)
    assert len(times) <= (times[-1] - began) / 0.2 + 1
    assert clinch.process.poll() is None


def test_the_watchdog_of_another_process(launch, listener, serve, manager):
    """Proves that WATCHDOG_PID is honoured: no sign among the other messages, where one
    is due each millisecond."""
    clinch = launch(
        listener(serve().connect), env=environment(manager, WATCHDOG_USEC="2000", WATCHDOG_PID=str(os.getpid()))
    )
    seen = [manager.recv(4096)]
    for _ in range(5):
        clinch.reload()
        seen += [manager.recv(4096), manager.recv(4096)]
    clinch.terminate()
    seen.append(manager.recv(4096))
    words = [message.split(b"\n")[0] for message in seen]
    assert words == [b"READY=1", *[b"RELOADING=1", b"READY=1"] * 5, b"STOPPING=1"]


def test_a_reload_is_dated_after_its_signal(launch, listener, serve, manager):
    """Proves MONOTONIC_USEC: systemd ignores a reload from before its signal."""
    clinch = launch(listener(serve().connect), env=environment(manager))
    assert manager.recv(4096).startswith(b"READY=1")
    for _ in range(5):
        signalled = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
        clinch.reload()
        message = manager.recv(4096).decode()
        assert message.startswith("RELOADING=1\n")
        assert int(re.search(r"^MONOTONIC_USEC=(\d+)$", message, re.M)[1]) >= signalled
        assert manager.recv(4096).startswith(b"READY=1")


def test_a_refused_reload_ends_for_systemd(launch, listener, serve, manager):
    """Proves READY=1 after a bad file: `systemctl reload` does not hang."""
    clinch = launch(listener(serve().connect), env=environment(manager))
    assert manager.recv(4096).startswith(b"READY=1")
    clinch.write("[listener web]\naccept = nonsense\n")
    clinch.process.send_signal(1)
    assert manager.recv(4096).startswith(b"RELOADING=1")
    assert manager.recv(4096).startswith(b"READY=1")


def test_the_example_of_a_credential(launch, serve, tls, site, tmp_path):
    """Proves the key of etc/systemd/credentials.conf: a path in
    ${CREDENTIALS_DIRECTORY}, where systemd puts what LoadCredential names."""
    example = (EXAMPLES / "credentials.conf").read_text()
    value = re.search(r"^#\s+key = (\S+)$", example, re.M)[1]
    name = re.search(r"^LoadCredential=([^:]+):", example, re.M)[1]
    assert value == "${CREDENTIALS_DIRECTORY}/" + name
    folder = tmp_path / "credentials"
    folder.mkdir()
    (folder / name).write_bytes(site.key.read_bytes())
    text = f"[listener web]\naccept = 127.0.0.1:0\nconnect = {serve().connect}\ncert = {site.crt}\nkey = {value}\n"
    clinch = launch(text, env={"CREDENTIALS_DIRECTORY": str(folder)})
    assert tls(clinch.port()).ping()


def test_the_example_of_a_socket(launch, listener, serve, tls):
    """Proves etc/systemd/clinch.socket: a listener with its `fd` line takes the
    socket of that FileDescriptorName, and opens none itself."""
    text = (EXAMPLES / "clinch.socket").read_text()
    unit = configparser.ConfigParser(strict=False, comment_prefixes="#")
    unit.read_string(text)
    name = unit["Socket"]["FileDescriptorName"]
    line = re.search(r"^#\s+(fd = \S+)$", text, re.M)[1]
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
        config = listener(serve().connect, more=line).replace("accept = 127.0.0.1:0\n", "")
        clinch = proxy.activated(launch, config, [sock], name)
        assert clinch.port() == port
        assert tls(port).ping()
