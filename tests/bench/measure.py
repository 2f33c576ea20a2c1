"""One measurement: a fresh proxy, a warm-up, a window.

What is told is work per CPU second of the proxy, all its processes and
threads together; work per second of wall-clock time stands beside it.
"""

import os
import socket
import subprocess
import tempfile
import time
from types import SimpleNamespace

from processes import (Process, Trouble, busy_seconds, cpu_seconds, free_port,
                       pss_bytes, tree, wait_until)

CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
KEYS = {"p256": CURVE, "rsa": ["-newkey", "rsa:2048"]}
WARM_UP = 0.5
AGREED = {
    ("1.3", "p256"): "TLSv1.3 TLS_AES_128_GCM_SHA256 x25519",
    ("1.3", "rsa"): "TLSv1.3 TLS_AES_128_GCM_SHA256 x25519",
    ("1.2", "p256"): "TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256 x25519",
    ("1.2", "rsa"): "TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256 x25519",
}


class Bench:
    """What every measurement of a run shares: programs, certificates, a
    folder and the backend."""

    def __init__(self, folder, build, workers, seconds):
        self.folder = folder
        self.load = os.path.join(build, "tests/bench/load")
        self.workers = workers
        self.seconds = seconds
        for name in KEYS:
            self._make_certificate(name)
        self.backend = Process(
            [os.path.join(build, "tests/bench/backend")], folder, talks=True)
        self.port = self.backend.line()["port"]

    def path(self, name):
        return os.path.join(self.folder, name)

    def _make_certificate(self, name):
        cert, key = self.path(name + ".crt"), self.path(name + ".key")
        subprocess.run(
            ["openssl", "req", "-x509", *KEYS[name], "-nodes", "-days", "2",
             "-subj", "/CN=bench.test", "-addext",
             "subjectAltName=DNS:bench.test", "-keyout", key, "-out", cert],
            check=True, stdin=subprocess.DEVNULL, capture_output=True)
        with open(self.path(name + ".pem"), "wb") as both:
            for part in (key, cert):
                with open(part, "rb") as text:
                    both.write(text.read())
        os.chmod(self.path(name + ".pem"), 0o600)


def start_proxy(bench, row, peer, connections):
    """The running proxy and the port it listens on."""
    says = getattr(peer, "SAYS_PORT", None)
    site = SimpleNamespace(
        folder=tempfile.mkdtemp(prefix=peer.TITLE + ".", dir=bench.folder),
        port=0 if says else free_port(), backend=bench.port,
        workers=bench.workers, connections=connections,
        sockets=2 * connections,
        cert=bench.path(row.cert + ".crt"), key=bench.path(row.cert + ".key"),
        pem=bench.path(row.cert + ".pem"), **identity())
    proxy = Process(peer.command(site), site.folder)
    found = SimpleNamespace(port=site.port)

    def listens():
        proxy.check()
        if says and not found.port:
            match = says.search(proxy.said())
            found.port = int(match["port"]) if match else 0
        return bool(found.port) and answers(found.port)

    wait_until(listens, 10, peer.TITLE + " does not listen")
    return proxy, found.port


def identity():
    """Whoever runs this; proxies are not to change user."""
    import grp
    import pwd
    return {"user": pwd.getpwuid(os.getuid()).pw_name,
            "group": grp.getgrgid(os.getgid()).gr_name}


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


def start_load(bench, row, port, clients):
    argv = [bench.load, "--mode", row.mode, "--tls", row.tls,
            "--connect", "127.0.0.1:%d" % port,
            "--clients", str(clients), "--size", str(row.size)]
    if row.resume:
        argv.append("--resume")
    if row.rate:
        argv += ["--rate", str(row.rate)]
    return Process(argv, bench.folder, talks=True)


def work_done(bench, row, load):
    """What has been done so far, and the counters it was taken from."""
    counters = load.ask()
    if row.mode == "upload":
        return bench.backend.ask()["received"], counters
    return counters[row.counts], counters


def judge(row, was, now):
    """A figure is worth nothing if the work was not what it is said to be."""
    done = now["ops"] - was["ops"]
    if now["errors"] > max(done, 1000) / 1000:
        raise Trouble("%d errors, first: %s" % (now["errors"], now["why"]))
    agreed = "%(version)s %(cipher)s %(group)s" % now
    if agreed.lower() != AGREED[row.tls, row.cert].lower():
        raise Trouble("agreed on " + agreed)
    if row.mode == "handshake":
        full = now["full"] - was["full"]
        resumed = now["resumed"] - was["resumed"]
        if (full if row.resume else resumed) > done / 100:
            raise Trouble("%d full and %d resumed handshakes"
                          % (full, resumed))


def measure_rate(bench, row, port, pids):
    load = start_load(bench, row, port, row.clients)
    try:
        wait_until(lambda: load.ask()["open"] > 0 or row.mode == "handshake",
                   10, "no connection gets through", 0.05)
        time.sleep(WARM_UP)
        ours = [os.getpid(), bench.backend.pid, load.pid]
        busy, own = busy_seconds(), cpu_seconds(ours)
        cpu, start = cpu_seconds(pids), time.monotonic()
        before, was = work_done(bench, row, load)
        time.sleep(bench.seconds)
        cpu = cpu_seconds(pids) - cpu
        elapsed = time.monotonic() - start
        after, now = work_done(bench, row, load)
        own = cpu_seconds(ours) - own
        foreign = busy_seconds() - busy - own - cpu
    finally:
        load.stop()
    judge(row, was, now)
    if after == before or cpu <= 0:
        raise Trouble("no work was done: %s" % now["why"])
    scale = 1e9 if row.counts == "bytes" else 1
    result = {"value": (after - before) / cpu / scale,
              "wall": (after - before) / elapsed / scale,
              "cpu": cpu, "seconds": elapsed,
              "foreign": max(foreign, 0) / elapsed / os.cpu_count()}
    if row.mode == "latency":
        result.update(value=now["p50"], wall=now["p99"])
    return result


def settled_pss(pids, seconds, goal):
    """The memory once it is below goal, or the least that was seen."""
    least = pss_bytes(pids)
    deadline = time.monotonic() + seconds
    while least > goal and time.monotonic() < deadline:
        time.sleep(0.25)
        least = min(least, pss_bytes(pids))
    return least


def measure_idle(bench, row, port, pids, clients):
    first = start_load(bench, row, port, 20)
    wait_until(lambda: first.ask()["ops"] == 20, 10, "the first twenty")
    first.stop()
    time.sleep(0.5)
    empty = pss_bytes(pids)
    load = start_load(bench, row, port, clients)
    try:
        wait_until(lambda: load.ask()["ops"] >= clients, 60,
                   "%d connections are not reached" % clients, 0.1)
        time.sleep(1)
        now = load.ask()
        full = pss_bytes(pids)
    finally:
        load.stop(20)
    if now["open"] != clients:
        raise Trouble("%d of %d connections are open: %s"
                      % (now["open"], clients, now["why"]))
    after = settled_pss(pids, 8, empty + (full - empty) / 20)
    return {"value": (full - empty) / clients, "wall": full,
            "back": 100 * (full - after) / max(full - empty, 1)}


def measure(bench, row, peer, idle):
    """One line of results, or Trouble."""
    proxy, port = start_proxy(bench, row, peer, idle + 500)
    try:
        pids = tree(proxy.pid)
        if row.mode == "idle":
            return measure_idle(bench, row, port, pids, idle)
        return measure_rate(bench, row, port, pids)
    finally:
        proxy.stop()
