"""Many sites: a folder of PEM files, each with a key and a certificate of its
own and the intermediate they all share, as a public authority hands them out.
"""

import datetime
import os

from processes import Trouble

try:
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import (
        AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID)
except ImportError:
    x509 = None

PEM = serialization.Encoding.PEM if x509 else None


class Many:
    """`names`, each in `folder`/NAME.pem, and `root`, which is in none."""

    def __init__(self, folder, root, count):
        self.folder, self.root = folder, root
        self.names = ["site%05d.bench.test" % i for i in range(count)]
        self.paths = [os.path.join(folder, name + ".pem")
                      for name in self.names]
        if x509 is None:
            raise Trouble("many certificates need python3-cryptography")
        root_key, key = _key(), _key()
        authority = [
            (x509.BasicConstraints(ca=True, path_length=None), True)]
        root = _sign("Bench Root", "Bench Root", root_key, root_key, authority)
        middle = _sign("Bench CA", "Bench Root", key, root_key, authority)
        _write(self.root, root.public_bytes(PEM))
        os.mkdir(folder)
        for name, path in zip(self.names, self.paths):
            _write(path, _site(name, key) + middle.public_bytes(PEM))


def _key():
    return ec.generate_private_key(ec.SECP256R1())


def _write(path, text):
    with open(os.open(path, os.O_WRONLY | os.O_CREAT, 0o600), "wb") as out:
        out.write(text)


def _name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _sign(subject, issuer, key, issuer_key, extensions):
    now = datetime.datetime.utcnow()
    builder = (x509.CertificateBuilder()
               .subject_name(_name(subject)).issuer_name(_name(issuer))
               .public_key(key.public_key())
               .serial_number(x509.random_serial_number())
               .not_valid_before(now - datetime.timedelta(days=1))
               .not_valid_after(now + datetime.timedelta(days=2)))
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(issuer_key, hashes.SHA256())


def _site(name, issuer_key):
    """Key and certificate, with what certificates have that are bought."""
    key = _key()
    responder = x509.AccessDescription(
        AuthorityInformationAccessOID.OCSP,
        x509.UniformResourceIdentifier("http://ocsp.bench.test/"))
    cert = _sign(name, "Bench CA", key, issuer_key, [
        (x509.SubjectAlternativeName(
            [x509.DNSName(name), x509.DNSName("www." + name)]), False),
        (x509.BasicConstraints(ca=False, path_length=None), True),
        (x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False),
        (x509.AuthorityKeyIdentifier.from_issuer_public_key(
            issuer_key.public_key()), False),
        (x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False),
        (x509.AuthorityInformationAccess([responder]), False)])
    return key.private_bytes(
        PEM, serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption()) + cert.public_bytes(PEM)
