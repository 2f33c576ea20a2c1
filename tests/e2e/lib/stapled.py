"""Real clients that send status_request and verify the staple strictly."""

import datetime
import re
import subprocess
import tempfile

from cryptography.x509 import ocsp

from .wait import until


class Refused(AssertionError):
    """The server ended the handshake with an alert."""


class Staple:
    """A stapled response: its bytes and its fields."""

    def __init__(self, der):
        self.der = der
        response = ocsp.load_der_ocsp_response(der)
        self.status = response.certificate_status.name.lower()
        self.serial = response.serial_number
        self.this_update, self.next_update = response.this_update, response.next_update

    def __eq__(self, other):
        return self.der == other.der


def s_client(port, ca, *options, name="localhost", status=True):
    """What `openssl s_client` printed; raises Refused on an alert."""
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{port}", "-servername", name, "-CAfile", str(ca.file)]
    done = subprocess.run(
        [*command, *(["-status"] if status else []), *options], input=b"", capture_output=True, timeout=20
    )
    text = done.stdout.decode("utf-8", "replace") + done.stderr.decode("utf-8", "replace")
    if re.search(r"alert (?!close)", text) and "Cipher is (NONE)" in text:
        raise Refused(text)
    assert "Verify return code: 0 (ok)" in text, text
    return text


def status_of(port, ca, *options, name="localhost"):
    """ "good", "revoked", or None where nothing was stapled, as s_client saw it."""
    text = s_client(port, ca, *options, name=name)
    if "OCSP response: no response sent" in text:
        return None
    return re.search(r"Cert Status: (\w+)", text).group(1)


def staple_of(port, ca, files, *options, name="localhost", at=None):
    """The staple that gnutls-cli got, verified by `openssl ocsp` against the CA,
    about this certificate and within its window; None where there was none."""
    with tempfile.NamedTemporaryFile() as saved:
        subprocess.run(
            ["gnutls-cli", "--insecure", "--save-ocsp", saved.name, "--sni-hostname", name, "-p", str(port), "127.0.0.1", *options],
            input=b"",
            capture_output=True,
            timeout=20,
        )
        der = saved.read()
    if not der:
        return None
    staple = Staple(der)
    verify(staple, ca, files, at or datetime.datetime.utcnow())
    return staple


def verify(staple, ca, files, now):
    """Bytes, signer, serial and window."""
    with tempfile.NamedTemporaryFile() as saved, tempfile.NamedTemporaryFile() as leaf:
        saved.write(staple.der)
        saved.flush()
        leaf.write(files.crt.read_bytes())
        leaf.flush()
        done = subprocess.run(
            ["openssl", "ocsp", "-respin", saved.name, "-issuer", str(ca.file), "-cert", leaf.name, "-CAfile", str(ca.file)]
            + ["-no_nonce", "-attime", str(int(now.replace(tzinfo=datetime.timezone.utc).timestamp()))],
            capture_output=True,
            text=True,
            timeout=20,
        )
    assert "Response verify OK" in done.stdout + done.stderr, done.stdout + done.stderr
    assert staple.serial == files.serial
    assert staple.this_update <= now + datetime.timedelta(minutes=5)
    assert staple.next_update is None or now < staple.next_update


def wait_staple(port, ca, files, status="good", deadline=10.0, **options):
    """Poll until this status is stapled; return the verified staple."""
    until(lambda: status_of(port, ca, **options) == status, f"a {status} staple on port {port}", deadline)
    return staple_of(port, ca, files, **options)
