"""Certificates made at test time: nothing checked in can expire."""

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID, NameOID

PEM = serialization.Encoding.PEM
PLAIN = serialization.NoEncryption()


def new_key(kind="ec", bits=2048):
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=bits)
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key, encryption=PLAIN):
    return key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, encryption)


class Authority:
    """A throwaway CA that writes its files into one folder."""

    def __init__(self, folder, name="test CA", label="ca", with_ids=False):
        """with_ids: certificates carry key identifiers (RFC 5280 section
        4.2.1.1), which distinguish two authorities of one name."""
        self.folder, self.with_ids = folder, with_ids
        self.key = new_key()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(name, name, self.key.public_key(), 3650).add_extension(
            x509.BasicConstraints(ca=True, path_length=None), critical=True
        )
        if with_ids:
            builder = builder.add_extension(x509.SubjectKeyIdentifier.from_public_key(self.key.public_key()), critical=False)
        self.certificate = builder.sign(self.key, hashes.SHA256())
        self.issued, self.keys = {}, {}  # by serial number
        self.labels = {}  # how often each was used
        self.file = folder / f"{label}.pem"
        self.file.write_bytes(self.certificate.public_bytes(PEM))

    @staticmethod
    def _builder(subject, issuer, public, days, begins=365):
        now = datetime.datetime.utcnow()
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(issuer)
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=begins))
            .not_valid_after(now + datetime.timedelta(days=days))
        )

    def issue(
        self, name="localhost", kind="ec", days=90, label=None, ocsp=(), must_staple=False, chain=True, features=None, begins=365,
        names=None, folder=None, key=None, usage=None, issuers=(),
    ):
        """Write LABEL.pem (chain, then key), LABEL.crt and LABEL.key; the label is NAME, with a number where that was used.
        ocsp: responder URLs for the AIA extension; issuers: its caIssuers URLs; chain: with the issuer;
        name: may be empty (RFC 5280 section 4.1.2.6); names: SANs instead of the name and 127.0.0.1; days: may be negative."""
        key = key or new_key(kind)
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if name else [])
        if names is None:
            names = [x509.DNSName(name), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
        names = [x509.DNSName(one) if isinstance(one, str) else one for one in names]
        builder = self._builder(subject, self.certificate.subject, key.public_key(), days, begins)
        if self.with_ids:
            by = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
            builder = builder.add_extension(by, critical=False)
        if usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=not name)
        access = [
            x509.AccessDescription(method, x509.UniformResourceIdentifier(url))
            for method, urls in ((AuthorityInformationAccessOID.OCSP, ocsp), (AuthorityInformationAccessOID.CA_ISSUERS, issuers))
            for url in ([urls] if isinstance(urls, str) else urls)
        ]
        if access:
            builder = builder.add_extension(x509.AuthorityInformationAccess(access), critical=False)
        if must_staple:
            features = [x509.TLSFeatureType.status_request]
        if features:
            builder = builder.add_extension(x509.TLSFeature(features), critical=False)
        leaf = builder.sign(self.key, hashes.SHA256())
        self.issued[leaf.serial_number], self.keys[leaf.serial_number] = leaf, key
        pem = leaf.public_bytes(PEM) + (self.certificate.public_bytes(PEM) if chain else b"")
        return Files(folder or self.folder, label or self._unused(name, folder), pem, key_pem(key), key, leaf)

    def _unused(self, name, folder):
        """Tests of one process share this CA: no file of another test is overwritten."""
        self.labels[name] = self.labels.get(name, 0) + 1
        return name if folder or self.labels[name] == 1 else f"{name}-{self.labels[name]}"

    def revoke(self, path, *revoked, days=30, begins=1, number=None):
        """Write a revocation list of this CA with these certificates in it;
        days: until its next update, negative: it has expired."""
        now = datetime.datetime.utcnow()
        builder = (
            x509.CertificateRevocationListBuilder()
            .issuer_name(self.certificate.subject)
            .last_update(now - datetime.timedelta(days=begins))
            .next_update(now + datetime.timedelta(days=days))
        )
        if number is not None:
            builder = builder.add_extension(x509.CRLNumber(number), critical=False)
        for files in revoked:
            one = x509.RevokedCertificateBuilder().serial_number(files.serial).revocation_date(now)
            builder = builder.add_revoked_certificate(one.build())
        replace(path, builder.sign(self.key, hashes.SHA256()).public_bytes(PEM))
        return path

    def twin(self, begins, days):
        """Another certificate of this CA: its name, its key, other dates."""
        name = self.certificate.subject
        made = self._builder(name, name, self.key.public_key(), days, begins)
        made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        return made.sign(self.key, hashes.SHA256())

    def signer(self, name="OCSP signer", usage=True, begins=30, days=30, key=None):
        """A certificate of this CA that may (usage) sign responses: (certificate, key)."""
        key = key or new_key()
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        builder = self._builder(subject, self.certificate.subject, key.public_key(), days, begins)
        if usage:
            builder = builder.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.OCSP_SIGNING]), critical=False)
        return builder.sign(self.key, hashes.SHA256()), key


def replace(path, data):
    """Put a whole new file in the place of another one, as tools should."""
    aside = path.with_name(f".{path.name}.new")
    aside.write_bytes(data)
    aside.chmod(0o600)
    aside.rename(path)


class Files:
    """The files of one identity."""

    def __init__(self, folder, label, chain, key_bytes, key, leaf=None):
        self.key_object = key
        self.certificate = leaf
        self.pem = folder / f"{label}.pem"
        self.crt = folder / f"{label}.crt"
        self.key = folder / f"{label}.key"
        self.pem.write_bytes(chain + key_bytes)
        self.crt.write_bytes(chain)
        self.key.write_bytes(key_bytes)
        self.pem.chmod(0o600)
        self.key.chmod(0o600)

    @property
    def serial(self):
        return self.certificate.serial_number

    @property
    def id(self):
        """The name of its file in store_dir/ocsp."""
        return self.certificate.fingerprint(hashes.SHA256()).hex()
