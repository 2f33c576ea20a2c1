"""The real `openssl ocsp` responder.  Its port is read from what it prints and
never probed: it spins for ever after a bare connect-and-close."""

import datetime
import re
import subprocess
import threading

from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from .wait import until


class OpensslOcsp:
    """Responses from an index of good ("V") and revoked ("R") certificates;
    others are unknown. The index is fixed at start: one response after a
    change is late."""

    def __init__(self, ca, folder, good=(), revoked=(), minutes=None, options=()):
        self.folder = folder
        folder.mkdir(exist_ok=True)
        key = folder / "ca.key"
        key.write_bytes(ca.key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
        index = folder / "index.txt"
        index.write_text("".join([row("V", one) for one in good] + [row("R", one) for one in revoked]))
        until_when = ["-nmin", str(minutes)] if minutes else []
        self.process = subprocess.Popen(
            ["openssl", "ocsp", "-port", "0", "-index", str(index), "-CA", str(ca.file), "-rsigner", str(ca.file)]
            + ["-rkey", str(key), *until_when, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        self.lines = []
        threading.Thread(target=self._collect, daemon=True).start()
        self.port = int(until(self._port, f"openssl ocsp says its port: {self.lines}"))

    def _collect(self):
        for line in self.process.stdout:
            self.lines.append(line.decode("utf-8", "replace"))

    def _port(self):
        found = re.search(r"ACCEPT \S*:(\d+)", "".join(self.lines))
        return found and found.group(1)

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()


def row(status, files):
    """One line of the index: status, expiry, revocation, serial, file, subject."""
    end = files.certificate.not_valid_after.strftime("%y%m%d%H%M%SZ")
    revoked = (datetime.datetime.utcnow() - datetime.timedelta(hours=1)).strftime("%y%m%d%H%M%SZ,keyCompromise")
    serial = f"{files.serial:X}"
    serial = serial if len(serial) % 2 == 0 else "0" + serial
    name = "/CN=" + files.certificate.subject.rfc4514_string().removeprefix("CN=")
    return "\t".join([status, end, revoked if status == "R" else "", serial, "unknown", name]) + "\n"
