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
