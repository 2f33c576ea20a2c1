"""How long a proxy with many certificates takes to serve: from exec until a
handshake that asks for the last name gets that name's certificate.

Nobody is to gain by serving one name early: the names are loaded in some
order, and all of them are there when the socket opens.  Starts of all proxies
alternate, so that whatever else the machine does meets all of them alike.
"""

import socket
import ssl
import time
from statistics import median

from processes import Trouble, cpu_seconds, tree, wait_until
from stage import Stage

STARTS = 3                      # of each proxy in a round
DEADLINE = 30
TRY_EVERY = 0.002


class Client:
    """It trusts only the root and verifies the name that it sends."""

    def __init__(self, many):
        self.name = many.names[-1]
        self.context = ssl.create_default_context(cafile=many.root)

    def gets_through(self, port):
        try:
            with socket.create_connection(("127.0.0.1", port), 5) as plain:
                with self.context.wrap_socket(
                        plain, server_hostname=self.name):
                    return True
        except OSError:         # an SSLError is one
            return False


class Start(Stage):
    """One proxy, timed while it starts."""

    def _start_proxy(self, name, backend):
        client = Client(self.bench.many)
        peer, site = self.prepare(name, backend)
        argv = peer.command(site)
        proxy = self.proxy = self._start(argv, site.folder)
        begin = time.monotonic()        # Popen comes back once exec is done

        def serves():
            proxy.check()
            self.learn_port()
            return self.port and client.gets_through(self.port)

        wait_until(serves, DEADLINE, name + " does not serve", TRY_EVERY)
        self.seconds = time.monotonic() - begin
        self.cpu = cpu_seconds(tree(proxy.pid))


def measure_starts(bench, row, names, failed):
    """Milliseconds, and those of CPU beside them: the median of some."""
    found = {}
    for _ in range(STARTS):
        for name in names:
            try:
                stage = Start(bench, row, name)
                found.setdefault(name, []).append(stage)
                stage.clear()
            except Trouble as why:
                failed(name, why)
    return {name: {"value": 1000 * median(s.seconds for s in stages),
                   "wall": 1000 * median(s.cpu for s in stages)}
            for name, stages in found.items()}
