"""Plaintext services to stand behind the proxy, one thread per connection."""

import socket
import struct
import threading


class Service:
    """Listens on a port of the kernel's choice and calls handler(sock)."""

    def __init__(self, handler, family=socket.AF_INET, address=None, backlog=512):
        self.handler = handler
        self.accepted = 0
        self.socket = socket.socket(family, socket.SOCK_STREAM)
        if family == socket.AF_UNIX:
            self.socket.bind(address)
            self.connect = f"unix:{address}"
        else:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            host = "127.0.0.1" if family == socket.AF_INET else "::1"
            self.socket.bind(address or (host, 0))
            self.port = self.socket.getsockname()[1]
            self.connect = f"{host}:{self.port}" if family == socket.AF_INET else f"[{host}]:{self.port}"
        self.socket.listen(backlog)
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.socket.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client:
            try:
                self.handler(client)
            except OSError:
                pass

    def close(self):
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.socket.close()


def echo(sock):
    while data := sock.recv(65536):
        sock.sendall(data)


def answer_after_end(sock):
    """Reads to the end of input, then sends back what it read."""
    got = b""
    while data := sock.recv(65536):
        got += data
    sock.sendall(b"got " + got)


def greet_and_wait(sock):
    """Sends one byte, reads to the end of input and keeps the connection."""
    sock.sendall(b"x")
    while sock.recv(65536):
        pass
    threading.Event().wait(60)


def say(text):
    """A service that sends `text` and closes."""

    def handler(sock):
        sock.sendall(text)

    return handler


def named(name):
    """Answers every line with its own name, so that backends can be
    distinguished."""

    def handler(sock):
        while sock.recv(4096):
            sock.sendall(name)

    return handler


def reset(sock):
    """Reads something, then resets the connection."""
    sock.recv(1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def refused_port():
    """A port that refuses: bound, so that no other process gets it, never
    listening."""
    sock = socket.socket()
    sock.bind(("127.0.0.1", 0))
    return sock, sock.getsockname()[1]
