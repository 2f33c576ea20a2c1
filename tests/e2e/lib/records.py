"""TLS 1.3 records of our own making, for what no TLS library would send."""

import hmac
import socket
import ssl
import struct

from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from . import client

ALERT, HANDSHAKE, DATA = 21, 22, 23


def expand_label(secret, label, size):
    """HKDF-Expand-Label of RFC 8446 section 7.1, without a context, with SHA-384."""
    label = b"tls13 " + label
    info = struct.pack("!HB", size, len(label)) + label + b"\0"
    return hmac.digest(secret, info + b"\1", "sha384")[:size]


class Writer:
    """The client's writing half after a handshake with TLS_AES_256_GCM_SHA384."""

    def __init__(self, secret):
        self._use(secret)

    def _use(self, secret):
        self.secret, self.sequence = secret, 0
        self.key = AESGCM(expand_label(secret, b"key", 32))
        self.iv = int.from_bytes(expand_label(secret, b"iv", 12), "big")

    def record(self, kind, data):
        head = struct.pack("!BHH", DATA, 0x0303, len(data) + 17)
        nonce = (self.iv ^ self.sequence).to_bytes(12, "big")
        self.sequence += 1
        return head + self.key.encrypt(nonce, data + bytes([kind]), head)

    def key_update(self):
        """New keys for us, and a request that the server takes new ones too."""
        made = self.record(HANDSHAKE, b"\x18\0\0\1\1")
        self._use(expand_label(self.secret, b"traffic upd", 48))
        return made


def connect(port, ca, keylog, receive_buffer=None):
    """A client of lib.client that reads as usual, and its Writer."""
    made = client.context(ca, ssl.TLSVersion.TLSv1_3)
    made.keylog_filename = str(keylog)
    sock = socket.socket()
    if receive_buffer:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    sock.connect(("127.0.0.1", port))
    one = client.Client(sock, made)
    assert one.tls.cipher()[0] == "TLS_AES_256_GCM_SHA384"
    secrets = [line.split() for line in keylog.read_text().splitlines()]
    [secret] = [words[2] for words in secrets if words[0] == "CLIENT_TRAFFIC_SECRET_0"]
    return one, Writer(bytes.fromhex(secret))


def extension(kind, data):
    return struct.pack("!HH", kind, len(data)) + data


def client_hello(name, entries=None, version=b"\x03\x03", group=b"\0\x17", alpn=None):
    """A ClientHello, of TLS 1.2 or older, with these bytes as server name;
    entries: the whole server_name list instead. group: P-256, or another."""
    if entries is None:
        entries = b"\0" + struct.pack("!H", len(name)) + name
    extensions = (
        extension(0, struct.pack("!H", len(entries)) + entries)
        + extension(10, b"\0\2" + group)  # supported_groups
        + extension(11, b"\1\0")
        + extension(13, b"\0\4\4\3\4\1")  # ECDSA and RSA with SHA-256
    )
    if alpn:
        protocol = bytes([len(alpn)]) + alpn
        extensions += extension(16, struct.pack("!H", len(protocol)) + protocol)
    body = version + bytes(32) + b"\0" + b"\0\4\xc0\x2b\xc0\x2f" + b"\1\0"
    body += struct.pack("!H", len(extensions)) + extensions
    hello = b"\1" + struct.pack("!I", len(body))[1:] + body
    return b"\x16\x03\x01" + struct.pack("!H", len(hello)) + hello


def answer(port, hello):
    """The first seven bytes that come back: a record's header, and a level and
    a description where it is an alert."""
    with socket.create_connection(("127.0.0.1", port), 20) as sock:
        sock.sendall(hello)
        return sock.recv(7, socket.MSG_WAITALL)


def hello_with_name(port, name, entries=None):
    """The response to such a hello: "alert", "server hello" or "end"."""
    return {b"\x15": "alert", b"\x16": "server hello"}.get(answer(port, client_hello(name, entries))[:1], "end")


def fatal_alert(port, hello):
    """The number of the fatal alert after this hello; None: another
    response."""
    got = answer(port, hello)
    return got[6] if got[:1] == bytes([ALERT]) and got[5] == 2 else None
