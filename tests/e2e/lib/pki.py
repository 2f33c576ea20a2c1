"""Certificates made at test time: nothing checked in can expire."""

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

PEM = serialization.Encoding.PEM
PLAIN = serialization.NoEncryption()


def new_key(kind="ec"):
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key, encryption=PLAIN):
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, encryption)


class Authority:
    """A throwaway CA that writes its files into one folder."""

    def __init__(self, folder):
        self.folder = folder
        self.key = new_key()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test CA")])
        self.certificate = self._builder(name, name, self.key.public_key(), 3650).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        ).sign(self.key, hashes.SHA256())
        self.file = folder / "ca.pem"
        self.file.write_bytes(self.certificate.public_bytes(PEM))

    @staticmethod
    def _builder(subject, issuer, public, days):
        now = datetime.datetime.utcnow()
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=365))
            .not_valid_after(now + datetime.timedelta(days=days))
        )

    def issue(self, name="localhost", kind="ec", days=90, label=None):
        """Write NAME.pem (chain, then key), NAME.crt and NAME.key."""
        key = new_key(kind)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        leaf = self._builder(subject, self.certificate.subject, key.public_key(), days).add_extension(
            x509.SubjectAlternativeName(names), critical=False
        ).sign(self.key, hashes.SHA256())
        chain = leaf.public_bytes(PEM) + self.certificate.public_bytes(PEM)
        return Files(self.folder, label or name, chain, key_pem(key), key)


class Files:
    """The files of one identity."""

    def __init__(self, folder, label, chain, key_bytes, key):
        self.key_object = key
        self.pem = folder / f"{label}.pem"
        self.crt = folder / f"{label}.crt"
        self.key = folder / f"{label}.key"
        self.pem.write_bytes(chain + key_bytes)
        self.crt.write_bytes(chain)
        self.key.write_bytes(key_bytes)
        self.pem.chmod(0o600)
        self.key.chmod(0o600)
