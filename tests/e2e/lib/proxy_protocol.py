"""The PROXY protocol, read and written anew from its specification: what
clinch sends and takes is never judged by clinch's own code."""

import ipaddress
import re
import socket
import struct
import threading

from . import service

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
ALPN, AUTHORITY, CRC32C, NOOP, UNIQUE_ID, SSL = 1, 2, 3, 4, 5, 0x20
VERSION, CN, CIPHER, SIG_ALG, KEY_ALG, CLIENT_CERT = 0x21, 0x22, 0x23, 0x24, 0x25, 0x28
LOCAL, PROXY = 0x20, 0x21
UNSPEC, TCP4, UDP4, TCP6, UNIX = 0, 0x11, 0x12, 0x21, 0x31


def crc32c(data):
    total = 0xFFFFFFFF
    for byte in data:
        total ^= byte
        for _ in range(8):
            total = (total >> 1) ^ (0x82F63B78 if total & 1 else 0)
    return total ^ 0xFFFFFFFF


# ---- What a sender writes ----


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def line(text):
    return b"PROXY " + text.encode() + b"\r\n"


def v1(client, server):
    """TCP4 or TCP6, of two (host, port)."""
    family = "TCP6" if ":" in client[0] else "TCP4"
    return line(f"{family} {client[0]} {server[0]} {client[1]} {server[1]}")


def block(command, family, rest):
    return SIGNATURE + struct.pack("!BBH", command, family, len(rest)) + rest


def v2(client=None, server=None, tlvs=b"", crc=False, spoil=0):
    """client and server: (host, port), or None for a header without addresses.
    spoil: is added to the checksum."""
    family, rest = UNSPEC, b""
    if client:
        hosts = [ipaddress.ip_address(host) for host, _ in (client, server)]
        family = TCP6 if hosts[0].version == 6 else TCP4
        rest = hosts[0].packed + hosts[1].packed + struct.pack("!HH", client[1], server[1])
    if not crc:
        return block(PROXY, family, rest + tlvs)
    whole = block(PROXY, family, rest + tlvs + tlv(CRC32C, bytes(4)))
    return whole[:-4] + struct.pack("!I", (crc32c(whole) + spoil) & 0xFFFFFFFF)


# ---- What a receiver reads ----


class Ssl:
    """The TLV of TLS: the facts about the client."""

    def __init__(self, value):
        self.client, self.verify = struct.unpack_from("!BI", value)
        self.parts = dict(tlvs(value[5:]))

    def text(self, kind):
        return self.parts[kind].decode() if kind in self.parts else None


class Header:
    """One header.  client and server are (host, port), None where unknown."""

    def __init__(self, raw, version, client=None, server=None, rest=b""):
        self.raw, self.version, self.client, self.server = raw, version, client, server
        self.tlvs = dict(tlvs(rest))
        assert len(self.tlvs) == len(list(tlvs(rest))), "a TLV came twice"
        self.ssl = Ssl(self.tlvs[SSL]) if SSL in self.tlvs else None

    def text(self, kind):
        return self.tlvs[kind].decode() if kind in self.tlvs else None

    def sum_is_right(self):
        at = self.raw.index(tlv(CRC32C, self.tlvs[CRC32C])) + 3
        zeroed = self.raw[:at] + bytes(4) + self.raw[at + 4:]
        return struct.unpack("!I", self.tlvs[CRC32C])[0] == crc32c(zeroed)


def tlvs(data):
    while data:
        kind, size = struct.unpack_from("!BH", data)
        assert len(data) >= 3 + size, "a TLV is cut short"
        yield kind, data[3:3 + size]
        data = data[3 + size:]


def parse_line(raw):
    assert len(raw) <= 107
    words = raw[:-2].decode("ascii").split(" ")
    assert words[0] == "PROXY"
    if words[1] == "UNKNOWN":
        return Header(raw, 1)
    _, family, client, server, client_port, server_port = words
    kind = {"TCP4": ipaddress.IPv4Address, "TCP6": ipaddress.IPv6Address}[family]
    if family == "TCP6":
        assert re.fullmatch(r"[0-9a-f:]+", client + server), "dots, or upper case"
    return Header(raw, 1, (str(kind(client)), int(client_port)), (str(kind(server)), int(server_port)))


def parse_block(raw):
    command, family = raw[12], raw[13]
    assert command == (LOCAL if family == UNSPEC else PROXY), f"command {command:#x} and family {family:#x}"
    rest = raw[16:]
    if family == UNSPEC:
        return Header(raw, 2, rest=rest)
    size = {TCP4: 4, TCP6: 16}[family]
    hosts = [str(ipaddress.ip_address(rest[at:at + size])) for at in (0, size)]
    ports = struct.unpack_from("!HH", rest, 2 * size)
    return Header(raw, 2, (hosts[0], ports[0]), (hosts[1], ports[1]), rest[2 * size + 4:])


def exactly(sock, size):
    got = b""
    while len(got) < size:
        data = sock.recv(size - len(got))
        assert data, f"ended in the middle of a header: {got!r}"
        got += data
    return got


def read(sock):
    """Take one header off a socket, and not a byte more."""
    raw = exactly(sock, 12)
    if raw == SIGNATURE:
        raw += exactly(sock, 4)
        raw += exactly(sock, struct.unpack("!H", raw[14:])[0])
        return parse_block(raw)
    while not raw.endswith(b"\r\n"):
        raw += exactly(sock, 1)
    return parse_line(raw)


class Receiver:
    """A handler for lib.service: takes a header, keeps it, then goes on."""

    def __init__(self, then=service.echo):
        self.then, self.headers, self.refused = then, [], []
        self._arrived = threading.Condition()

    def __call__(self, sock):
        try:
            header = read(sock)
        except (AssertionError, ValueError, KeyError, OSError) as error:
            header, problem = None, error
        with self._arrived:
            if header:
                self.headers.append(header)
            else:
                self.refused.append(problem)
            self._arrived.notify_all()
        if header:
            self.then(sock)

    def header(self, nth=0, deadline=10):
        """The nth header that came; waits for it."""
        with self._arrived:
            self._arrived.wait_for(lambda: len(self.headers) > nth or self.refused, deadline)
        assert not self.refused, self.refused
        assert len(self.headers) > nth, "no header came"
        return self.headers[nth]


class Fronted(socket.socket):
    """A client's socket that sends a header together with its first bytes; or,
    with step, so many bytes of both at a time, each a packet of its own."""

    def __init__(self, port, header, step=None):
        super().__init__()
        self.connect(("127.0.0.1", port))
        self.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.waiting, self.step = header, step

    def sendall(self, data):
        data, self.waiting = self.waiting + data, b""
        for at in range(0, len(data), self.step or len(data)):
            super().sendall(data[at:at + (self.step or len(data))])
