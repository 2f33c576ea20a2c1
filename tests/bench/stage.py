"""What stands on the stage for a measurement: certificates, a backend, one
proxy, one load generator, all in a folder that goes away."""

import grp
import os
import pwd
import socket
import subprocess
import tempfile
import time
from types import SimpleNamespace

import peers
from many import Many
from processes import Process, free_port, tree, wait_until

CURVE = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"]
KEYS = {"p256": CURVE, "rsa": ["-newkey", "rsa:2048"]}


class Bench:
    """What every measurement of a run shares."""

    def __init__(self, folder, build, args):
        self.folder = folder
        self.load = os.path.join(build, "tests/bench/load")
        self.backend = os.path.join(build, "tests/bench/backend")
        self.workers = args.workers
        self.seconds = args.seconds
        self.idle = args.idle
        for name in KEYS:
            self._make_certificate(name)
        self.many = None
        if any(row.stapled for row in args.rows):
            self._make_staple()
        if any(row.many for row in args.rows):
            self.many = Many(self.path("many"), self.path("root.crt"),
                             max(row.many for row in args.rows))

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

    def _openssl(self, *words):
        subprocess.run(["openssl", *words], check=True, cwd=self.folder,
                       stdin=subprocess.DEVNULL, capture_output=True)

    def _make_staple(self):
        """issued.crt with its chain, and issued.der: what is stapled for it.
        The p256 certificate is the CA."""
        ca = ["-CA", "p256.crt"]
        end = time.strftime("%y%m%d%H%M%SZ", time.gmtime(time.time() + 86400))
        with open(self.path("index.txt"), "w", encoding="utf-8") as index:
            index.write("V\t%s\t\t1001\tunknown\t/CN=bench.test\n" % end)
        self._openssl("req", *CURVE, "-nodes", "-subj", "/CN=bench.test",
                      "-keyout", "issued.key", "-out", "issued.csr")
        self._openssl("x509", "-req", "-in", "issued.csr", *ca, "-CAkey",
                      "p256.key", "-set_serial", "0x1001", "-days", "1",
                      "-out", "leaf.crt")
        self._openssl("ocsp", "-issuer", "p256.crt", "-cert", "leaf.crt",
                      "-no_nonce", "-reqout", "issued.req")
        self._openssl("ocsp", "-index", "index.txt", *ca, "-rsigner",
                      "p256.crt", "-rkey", "p256.key", "-nmin", "600",
                      "-reqin", "issued.req", "-respout", "issued.der")
        with open(self.path("issued.crt"), "wb") as chain:
            for name in ("leaf.crt", "p256.crt"):
                with open(self.path(name), "rb") as text:
                    chain.write(text.read())

    def has_group(self, group):
        """Whether the OpenSSL of the load generator knows it: with nothing to
        read the generator ends as soon as its context is made."""
        done = subprocess.run(
            [self.load, "--mode", "handshake", "--connect", "127.0.0.1:1",
             "--group", group], input=b"", capture_output=True, check=False)
        return done.returncode == 0

    def site(self, row, name, port, backend):
        """All facts for the configuration of a peer."""
        connections = self.idle + 500
        return SimpleNamespace(
            folder=tempfile.mkdtemp(prefix=name + ".", dir=self.folder),
            port=port, backend=backend, workers=self.workers,
            groups=preferred(row.group),
            connections=connections, sockets=2 * connections,
            cert=self.path(row.cert + ".crt"),
            key=self.path(row.cert + ".key"),
            pem=self.path(row.cert + ".pem"),
            staple=self.path(row.cert + ".der") if row.stapled else None,
            many=self.many if row.many else None,
            # No proxy changes its user: the folder is private.
            user=pwd.getpwuid(os.getuid()).pw_name,
            group=grp.getgrgid(os.getgid()).gr_name)


def preferred(group):
    """What a proxy is to offer: TLS 1.2 with ECDSA needs P-256 as well."""
    return ":".join(dict.fromkeys([group, "X25519", "P-256"]))


def answers(port):
    try:
        socket.create_connection(("127.0.0.1", port), 1).close()
        return True
    except OSError:
        return False


class Stage:
    """One proxy and its own backend; generators as they are asked for."""

    def __init__(self, bench, row, name):
        self.bench, self.row = bench, row
        self.processes = []
        self.pids = []
        try:
            self.backend = self._start([bench.backend], bench.folder, True)
            self._start_proxy(name, self.backend.line()["port"])
        except BaseException:
            self.clear()
            raise

    def _start(self, argv, folder, talks=False):
        process = Process(argv, folder, talks)
        self.processes.append(process)
        return process

    def prepare(self, name, backend):
        """The peer's module, and the facts for its configuration."""
        peer = peers.load(name)
        self.says = getattr(peer, "PORT_LINE", None)
        self.port = 0 if self.says else free_port()
        return peer, self.bench.site(self.row, name, self.port, backend)

    def learn_port(self):
        """The port that the program chose, once it has printed it."""
        match = self.says and self.says.search(self.proxy.said())
        if match:
            self.port = int(match["port"])

    def _start_proxy(self, name, backend):
        peer, site = self.prepare(name, backend)
        proxy = self.proxy = self._start(peer.command(site), site.folder)

        def listens():
            proxy.check()
            self.learn_port()
            return bool(self.port) and answers(self.port)

        wait_until(listens, 10, name + " does not listen")

    def look_around(self):
        """The proxy's processes, known once it has worked: a socket may
        listen before the workers are forked."""
        self.pids = tree(self.proxy.pid)

    def start_load(self, clients, count=0):
        row = self.row
        argv = [self.bench.load, "--mode", row.mode, "--tls", row.tls,
                "--connect", "127.0.0.1:%d" % self.port,
                "--clients", str(clients), "--size", str(row.size),
                "--group", row.group]
        if row.resume:
            argv.append("--resume")
        if row.stapled:
            argv.append("--status")
        if count:
            argv += ["--count", str(count)]
        if row.rate:
            argv += ["--rate", str(row.rate)]
        return self._start(argv, self.bench.folder, talks=True)

    def clear(self):
        """The generator first: it needs the proxy while it ends."""
        for process in reversed(self.processes):
            process.stop()
        self.processes = []
