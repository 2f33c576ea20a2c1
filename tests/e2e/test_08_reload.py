"""SIGHUP: everything reloadable changes, no client is lost."""

import os
import signal
import socket
import threading

import pytest

from lib import client, service
from lib.wait import until


def test_adds_and_removes_listeners(launch, listener, serve, tls):
    """Proves that a new section serves and a removed one stops, while an
    unchanged one keeps its socket and its connections."""
    one = listener(serve(service.named(b"one")).connect, name="one")
    two = listener(serve(service.named(b"two")).connect, name="two")
    three = listener(serve(service.named(b"three")).connect, name="three")
    clinch = launch(one + two)
    old_port, kept_port = clinch.port("two"), clinch.port("one")
    kept, parting = tls(kept_port), tls(old_port)
    clinch.write(one + three)
    assert "reloaded" in clinch.reload()
    until(lambda: refuses(old_port), "the removed address is closed")
    for existing, name in ((kept, b"one"), (parting, b"two"), (tls(kept_port), b"one"), (tls(clinch.port("three")), b"three")):
        existing.send(b"?")
        assert existing.recv() == name


def refuses(port):
    try:
        socket.create_connection(("127.0.0.1", port), 2).close()
        return False
    except ConnectionRefusedError:
        return True


def test_new_connections_get_the_new_backend(launch, listener, serve, tls):
    """Proves that connect is reloadable; old connections stay where they are."""
    a, b = serve(service.named(b"a")), serve(service.named(b"b"))
    clinch = launch(listener(a.connect))
    old = tls(clinch.port())
    old.send(b"?")
    assert old.recv() == b"a"
    clinch.write(listener(b.connect))
    clinch.reload()

    def new_goes_to_b():
        fresh = tls(clinch.port(nth=0))
        fresh.send(b"?")
        return fresh.recv() == b"b"

    until(new_goes_to_b, "new clients reach b")
    old.send(b"?")
    assert old.recv() == b"a"


def test_certificate_is_read_again(launch, ca, serve, tls):
    """Proves that a renewed certificate is served after SIGHUP."""
    files = ca.issue("localhost", label="renewed")
    config = f"[listener web]\naccept=127.0.0.1:0\nconnect={serve().connect}\ncert={files.pem}\n"
    clinch = launch(config)
    before = tls(clinch.port()).tls.getpeercert()["serialNumber"]
    ca.issue("localhost", label="renewed")
    clinch.reload()
    until(lambda: tls(clinch.port(nth=0)).tls.getpeercert()["serialNumber"] != before, "the new certificate")


@pytest.mark.parametrize(
    "broken, says",
    [
        ("[listener web]\naccept = 127.0.0.1:0\n", "connect"),
        ("[listener web]\nacept = 1\n", "accept"),
        ("[listener web\n", r"clinch\.ini:1"),
        (None, "clinch.ini"),
    ],
    ids=["incomplete", "typo", "syntax", "missing"],
)
def test_a_bad_file_changes_nothing(launch, listener, serve, tls, broken, says):
    """Proves: clear error with file and line, old configuration goes on."""
    clinch = launch(listener(serve().connect))
    client = tls(clinch.port())
    if broken is None:
        os.unlink(clinch.file)
    else:
        clinch.write(broken)
    assert "refused" in clinch.reload()
    clinch.wait_log(f"error .*{says}")
    assert client.ping() and tls(clinch.port()).ping()


def test_a_mismatched_key_changes_nothing(launch, ca, serve, tls):
    """Proves that a half-replaced pair is refused and the old one serves."""
    files, other = ca.issue("localhost", label="pair"), ca.issue("localhost", label="other")
    config = f"[listener web]\naccept=127.0.0.1:0\nconnect={serve().connect}\ncert={files.crt}\nkey={files.key}\n"
    clinch = launch(config)
    files.key.write_bytes(other.key.read_bytes())
    assert "refused" in clinch.reload()
    clinch.wait_log(r"error .*pair\.key.*match|error .*match.*pair")
    assert tls(clinch.port()).ping()


def test_what_needs_a_start_is_named(launch, listener, serve, tls):
    """Proves one warning that names the key, and the rest takes effect."""
    clinch = launch(listener(serve().connect, head="[global]\nthreads = 1"))
    clinch.write(listener(serve().connect, head="[global]\nthreads = 2\n[log]\naccess = same"))
    assert "reloaded" in clinch.reload()
    clinch.wait_log(r"warning .*threads")

    def access_is_on():
        tls(clinch.port(nth=0)).close()
        return clinch.grep(r" access ")

    until(access_is_on, "access log is on")


class Load:
    """Clients that connect, ping and close, until stopped."""

    def __init__(self, ca, port, threads=4):
        self.stop, self.done, self.failed = threading.Event(), 0, []
        self.made = client.context(ca.file)
        self.port = port
        self.threads = [threading.Thread(target=self._run) for _ in range(threads)]
        for one in self.threads:
            one.start()

    def _run(self):
        while not self.stop.is_set():
            try:
                with client.Client(self.port, self.made) as one:
                    assert one.ping()
                self.done += 1
            except (OSError, AssertionError) as error:
                self.failed.append(repr(error))

    def end(self):
        self.stop.set()
        for one in self.threads:
            one.join()


def test_a_hundred_reloads_under_load(launch, ca, listener, serve, tls):
    """Proves the issue's own sentence: no connection lost, memory level after
    the tenth, no descriptor leaked."""
    echo = serve()
    clinch = launch(listener(echo.connect))
    port = clinch.port()
    held = [tls(port) for _ in range(10)]
    load = Load(ca, port)
    memory = []
    try:
        for i in range(100):
            clinch.write(listener(echo.connect, f"timeout_idle = {600 + i}s\nalpn = h{i}"))
            assert "reloaded" in clinch.reload()
            memory.append(clinch.memory_kb())
    finally:
        load.end()
    assert not load.failed, load.failed[:3]
    assert load.done > 100
    assert all(one.ping() for one in held)
    early, late = max(memory[10:30]), max(memory[80:])
    assert late < early + 1024, memory
    for one in held:
        one.close()
    baseline = launch(listener(echo.connect))
    tls(baseline.port()).ping()
    until(lambda: clinch.descriptors() <= baseline.descriptors() + 2, "descriptors back to the start's")


def test_socket_closing_loses_no_waiting_client(launch, ca, listener, serve):
    """Proves that clients in the queue of a removed address are served.  The
    process is stopped until the kernel has queued them all."""
    echo = serve()
    both = listener(echo.connect, name="one") + listener(echo.connect, name="two")
    clinch = launch(both)
    port = clinch.port("two")
    clinch.process.send_signal(signal.SIGSTOP)
    until(clinch.is_stopped, "every thread has stopped")
    waiting = [socket.create_connection(("127.0.0.1", port)) for _ in range(50)]
    until(lambda: queued(port) == 50, "all are in the queue")
    clinch.write(listener(echo.connect, name="one"))
    clinch.process.send_signal(signal.SIGHUP)
    clinch.process.send_signal(signal.SIGCONT)
    clinch.wait_log(r"server reloaded")
    made = client.context(ca.file)
    for sock in waiting:
        with client.Client(sock, made) as one:
            assert one.ping()


def queued(port):
    """How many clients wait to be accepted on this port, all threads' sockets."""
    with open("/proc/net/tcp") as table:
        rows = [line.split() for line in table.readlines()[1:]]
    return sum(int(row[4].split(":")[1], 16) for row in rows if row[3] == "0A" and row[1].endswith(f":{port:04X}"))


def test_repeated_signals_collapse(launch, listener, serve, tls):
    """Proves that a storm of SIGHUP ends in a working process."""
    clinch = launch(listener(serve().connect))
    for _ in range(200):
        clinch.process.send_signal(signal.SIGHUP)
    clinch.wait_log(r"server reloaded")
    assert "reloaded" in clinch.reload()
    assert tls(clinch.port()).ping()
