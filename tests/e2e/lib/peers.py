"""haproxy and nginx as processes, before clinch or behind it. They do not
report the port of port 0, so they inherit a listening socket, or listen on a
Unix socket."""

import os
import re
import shutil
import socket
import subprocess
import threading

import pytest

from .wait import until

HAPROXY_HEAD = """\
global
    log stdout format raw daemon
defaults
    log global
    timeout connect 5s
    timeout client 30s
    timeout server 30s
"""

NGINX_HEAD = """\
daemon off;
user root;
worker_processes 1;
pid {folder}/nginx.pid;
error_log stderr info;
load_module {module};
events {{ }}
stream {{
"""

NGINX_STREAM = "/usr/lib/nginx/modules/ngx_stream_module.so"

needs_haproxy = pytest.mark.skipif(not shutil.which("haproxy"), reason="needs haproxy")
needs_nginx = pytest.mark.skipif(
    not shutil.which("nginx") or not os.path.exists(NGINX_STREAM), reason="needs nginx with its stream module"
)


class Peer:
    """A foreign process; its output is collected."""

    def __init__(self, command, folder, env=None, pass_fds=()):
        self.lines = []
        self.process = subprocess.Popen(
            command,
            cwd=folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(env or {})},
            pass_fds=pass_fds,
        )
        self._reader = threading.Thread(target=self._collect, daemon=True)
        self._reader.start()

    def _collect(self):
        for line in self.process.stdout:
            self.lines.append(line.decode("utf-8", "replace").rstrip("\n"))

    def output(self):
        return "\n".join(self.lines)

    def wait_log(self, pattern, deadline=10):
        def found():
            return [line for line in list(self.lines) if re.search(pattern, line)]

        try:
            return until(found, f"line {pattern!r}", deadline)[-1]
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.output()}") from None

    def answering(self, address):
        """Wait until it takes connections at a path or a (host, port)."""

        def connects():
            assert self.process.poll() is None, f"it ended:\n{self.output()}"
            family = socket.AF_UNIX if isinstance(address, str) else socket.AF_INET
            with socket.socket(family) as sock:
                return sock.connect_ex(address) == 0

        until(connects, f"{address} takes connections")
        return self

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self._reader.join(2)
        self.process.stdout.close()


def listening():
    """A socket that listens on a port of the kernel's choice; and the port."""
    sock = socket.create_server(("127.0.0.1", 0), backlog=128)
    return sock, sock.getsockname()[1]


class Peers:
    """Starts them in one folder and ends them all."""

    def __init__(self, folder):
        self.folder, self.started, self.sockets = folder, [], []

    def path(self, name):
        return str(self.folder / name)

    def handed(self):
        """A listening socket to hand over: (descriptor, port)."""
        sock, port = listening()
        self.sockets.append(sock)
        return sock.fileno(), port

    def haproxy(self, text, pass_fds=()):
        """text: frontends and backends."""
        config = self.folder / "haproxy.cfg"
        config.write_text(HAPROXY_HEAD + text)
        return self._add(Peer(["haproxy", "-db", "-f", config], self.folder, pass_fds=pass_fds))

    def nginx(self, text, pass_fds=()):
        """text: servers of a stream block."""
        config = self.folder / "nginx.conf"
        config.write_text(NGINX_HEAD.format(folder=self.folder, module=NGINX_STREAM) + text + "}\n")
        # Sockets named here are taken over where a listen line has their address.
        env = {"NGINX": "".join(f"{fd};" for fd in pass_fds)} if pass_fds else {}
        command = ["nginx", "-e", "stderr", "-p", str(self.folder), "-c", str(config)]
        return self._add(Peer(command, self.folder, env=env, pass_fds=pass_fds))

    def _add(self, peer):
        self.started.append(peer)
        return peer

    def close(self):
        for peer in self.started:
            peer.stop()
        for sock in self.sockets:
            sock.close()
