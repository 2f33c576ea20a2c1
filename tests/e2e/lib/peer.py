"""What a client meets under a name: which certificate, which alert, which
staple; and whether it is let through to the service."""

import re
import ssl
import subprocess

from cryptography import x509

from . import client


class Meeting:
    """What `openssl s_client` saw of one handshake."""

    def __init__(self, text):
        self.text = text
        found = re.search(r"-----BEGIN CERTIFICATE-----.*?-----END CERTIFICATE-----", text, re.S)
        self.certificate = x509.load_pem_x509_certificate(found.group(0).encode()) if found else None
        alert = re.search(r"SSL alert number (\d+)", text)
        self.alert = int(alert.group(1)) if alert and "Cipher is (NONE)" in text else None
        status = re.search(r"Cert Status: (\w+)", text)
        self.status = status.group(1) if status else None
        stapled = re.search(r"Serial Number: ([0-9A-F]+)", text)
        self.stapled = int(stapled.group(1), 16) if status and stapled else None

    @property
    def serial(self):
        return self.certificate.serial_number if self.certificate else None


def meet(port, *options, name=None):
    """One handshake; name None: no SNI.  Bytes of a name go out as they are."""
    sni = ["-noservername"] if name is None else ["-servername", name]
    done = subprocess.run(
        ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-status", *sni, *options],
        input=b"",
        capture_output=True,
        timeout=20,
    )
    return Meeting(done.stdout.decode("utf-8", "replace") + done.stderr.decode("utf-8", "replace"))


def context(ca, version=None, files=None):
    """A client's context, with a certificate of its own or without."""
    made = client.context(ca.file, version)
    made.check_hostname = False
    if files:
        made.load_cert_chain(files.crt, files.key)
    return made


class Visit:
    """One connection that tried to talk: admitted, resumed, and the session it
    was left with."""

    def __init__(self, port, made, name="localhost", session=None):
        self.admitted, self.resumed, self.session, self.said = False, False, None, b""
        try:
            with client.Client(port, made, name=name, session=session) as one:
                one.send(b"hello")
                self.said = one.recv()
                self.admitted = self.said != b""
                self.resumed = one.tls.session_reused
                self.session = one.tls.session
        except (ssl.SSLError, OSError) as error:
            self.error = error


def visit(port, made, name="localhost", session=None):
    return Visit(port, made, name, session)
