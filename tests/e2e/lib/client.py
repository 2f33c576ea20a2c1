"""TLS clients of ours: over memory BIOs, so that each direction can be ended
by itself and each byte on the wire is under the test's control."""

import socket
import ssl


def context(ca, version=None, alpn=None, ciphers=None):
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    made.load_verify_locations(str(ca))
    # Python hides a bare FIN by default; here it must not pass for close_notify.
    made.options &= ~ssl.OP_IGNORE_UNEXPECTED_EOF
    if version:
        made.minimum_version = made.maximum_version = version
    if alpn:
        made.set_alpn_protocols(alpn)
    if ciphers:
        made.set_ciphers(ciphers)
    return made


class Client:
    """A connected TLS client whose directions end independently."""

    def __init__(self, port, made, name="localhost", session=None, source=None, host="127.0.0.1", timeout=20):
        if isinstance(port, socket.socket):
            self.sock = port
        else:
            self.sock = socket.create_connection((host, port), timeout, source_address=source)
        self.sock.settimeout(timeout)
        self.incoming, self.outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.tls = made.wrap_bio(self.incoming, self.outgoing, server_hostname=name, session=session)
        self._drive(self.tls.do_handshake)

    def _flush(self):
        if data := self.outgoing.read():
            self.sock.sendall(data)

    def _fill(self):
        data = self.sock.recv(262144)
        if data:
            self.incoming.write(data)
        else:
            self.incoming.write_eof()

    def _drive(self, step, *arguments):
        while True:
            try:
                result = step(*arguments)
                self._flush()
                return result
            except ssl.SSLWantReadError:
                self._flush()
                self._fill()

    def send(self, data):
        self._drive(self.tls.write, data)

    def recv(self, size=65536):
        """Bytes; b"" on close_notify; ssl.SSLError on a bare FIN."""
        try:
            return self._drive(self.tls.read, size)
        except ssl.SSLZeroReturnError:
            return b""

    def recv_exactly(self, size):
        got = bytearray()
        while len(got) < size:
            data = self.recv(min(262144, size - len(got)))
            assert data, f"ended after {len(got)} of {size} bytes"
            got += data
        return bytes(got)

    def recv_all(self):
        got = bytearray()
        while data := self.recv():
            got += data
        return bytes(got)

    def ping(self, data=b"ping"):
        self.send(data)
        return self.recv_exactly(len(data)) == data

    def half_close(self):
        """Send close_notify (and no FIN); reading goes on."""
        try:
            self.tls.unwrap()
        except (ssl.SSLWantReadError, ssl.SSLSyscallError):
            pass
        self._flush()

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def answer(tls, port):
    """The name of the service that a new client reaches; "" if none."""
    try:
        with tls(port) as client:
            client.send(b"?")
            return client.recv().decode()
    except OSError:
        return ""
