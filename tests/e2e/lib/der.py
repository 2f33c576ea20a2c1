"""OCSP responses taken apart and put together again, for what the library
that makes them cannot make."""

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

SEQUENCE, OCTET_STRING, BIT_STRING, GENERALIZED_TIME = 0x30, 0x04, 0x03, 0x18


def tlv(tag, *parts):
    content = b"".join(parts)
    size = len(content)
    if size < 128:
        return bytes([tag, size]) + content
    octets = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def split(der):
    """The elements that stand one after the other."""
    found = []
    while der:
        size, header = der[1], 2
        if size & 0x80:
            header += size & 0x7F
            size = int.from_bytes(der[2:header], "big")
        found.append(der[: header + size])
        der = der[header + size :]
    return found


def inside(der):
    """The elements inside the first one."""
    first = split(der)[0]
    header = 2 + (first[1] & 0x7F if first[1] & 0x80 else 0)
    return split(first[header:])


def basic(response):
    """tbsResponseData, signatureAlgorithm, signature and, maybe, certs."""
    _, wrapped = inside(response)
    _, octets = inside(inside(wrapped)[0])
    return inside(inside(octets)[0])


def wrap(parts):
    """The response around the parts of a basic one."""
    kind = bytes.fromhex("06092b0601050507300101")
    body = tlv(SEQUENCE, kind, tlv(OCTET_STRING, tlv(SEQUENCE, *parts)))
    return tlv(SEQUENCE, b"\x0a\x01\x00", tlv(0xA0, body))


def append(response, *certificates):
    """What needs no key: these certificates behind the others."""
    parts = basic(response)
    there = inside(inside(parts[3])[0]) if len(parts) > 3 else []
    more = [one.public_bytes(Encoding.DER) for one in certificates]
    return wrap([*parts[:3], tlv(0xA0, tlv(SEQUENCE, *there, *more))])


def resign(response, key, change):
    """What needs the signer's P-256 key: other entries, change(entries) of
    those that are there."""
    tbs, algorithm, _, *certificates = basic(response)
    responder, produced, entries, *extensions = inside(tbs)
    entries = tlv(SEQUENCE, *change(inside(entries)))
    tbs = tlv(SEQUENCE, responder, produced, entries, *extensions)
    signature = tlv(BIT_STRING, b"\0", key.sign(tbs, ec.ECDSA(hashes.SHA256())))
    return wrap([tbs, algorithm, signature, *certificates])


def entries(response):
    return inside(inside(basic(response)[0])[2])
