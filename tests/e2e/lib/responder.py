"""An OCSP responder of ours that misbehaves on request, for what real ones
do not do.  How it behaves is switched at run time, for all or per certificate:

    responder.behave("http_500")              all
    responder.behave("hang", site)            only this certificate

Every request is in responder.asked.
"""

import base64
import datetime
import socket
import struct
import threading
import urllib.parse

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp

from . import der, pki

HOUR = 3600
TYPE = b"application/ocsp-response"
ERRORS = {
    "try_later": ocsp.OCSPResponseStatus.TRY_LATER,
    "internal_error": ocsp.OCSPResponseStatus.INTERNAL_ERROR,
    "malformed_request": ocsp.OCSPResponseStatus.MALFORMED_REQUEST,
    "sig_required": ocsp.OCSPResponseStatus.SIG_REQUIRED,
    "unauthorized": ocsp.OCSPResponseStatus.UNAUTHORIZED,
}


class Asked:
    """One request: time, method and certificate."""

    def __init__(self, method, path, headers, body):
        self.method, self.path, self.headers = method, path, headers
        self.request = None
        try:
            der = body if method == "POST" else base64.b64decode(urllib.parse.unquote(path.rsplit("/", 1)[1]), validate=True)
            self.request = ocsp.load_der_ocsp_request(der)
        except ValueError:
            pass

    @property
    def serial(self):
        return self.request.serial_number if self.request else None

    @property
    def hash(self):
        return self.request.hash_algorithm.name if self.request else None


class Responder:
    """Serves on a port of the kernel's choice until closed."""

    address = "127.0.0.1"

    def __init__(self, ca, behaviour="good"):
        self.ca = ca
        self.asked = []
        self.at_once = self.most_at_once = 0
        self.released = threading.Event()
        self.latency = 0.2  # seconds, of "late"
        self.this_update, self.next_update = -60, HOUR  # seconds from now
        self._default, self._special = behaviour, {}
        self._lock = threading.Lock()
        self._signers = {}
        self._others = []
        self._listen(0)

    # ---- What a test calls ----

    def behave(self, behaviour, who=None):
        assert behaviour in ERRORS or hasattr(self, f"do_{behaviour}"), behaviour
        if who is None:
            self._default = behaviour
            self._special.clear()
        else:
            self._special[who.serial] = behaviour

    def window(self, this_update, next_update):
        """Of the responses, in seconds from now; next_update None: none."""
        self.this_update, self.next_update = this_update, next_update

    def stop(self):
        """From now on connections are refused; start() takes the port again."""
        self.socket.close()
        self._thread.join(5)

    def start(self):
        self._listen(self.port)

    def close(self):
        self.released.set()
        for listening, thread in self._others:
            listening.close()
            thread.join(5)
        self.stop()

    def another_url(self):
        """Another port of the same responder, which is another host to clients:
        what fails there has no consequence for this one."""
        listening, thread = self._open(0)
        self._others.append((listening, thread))
        return f"http://127.0.0.1:{listening.getsockname()[1]}"

    def count(self, who=None):
        return len([1 for one in list(self.asked) if who is None or one.serial == who.serial])

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    # ---- The wire ----

    def _listen(self, port):
        self.socket, self._thread = self._open(port)
        self.port = self.socket.getsockname()[1]

    def _open(self, port):
        listening = socket.socket()
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((self.address, port))
        listening.listen(512)
        listening.settimeout(0.05)
        thread = threading.Thread(target=self._accept, args=(listening,), daemon=True)
        thread.start()
        return listening, thread

    def _accept(self, listening):
        while True:
            try:
                client, _ = listening.accept()
            except TimeoutError:
                continue
            except OSError:
                return
            client.settimeout(20)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client:
            with self._lock:
                self.at_once += 1
                self.most_at_once = max(self.most_at_once, self.at_once)
            try:
                self._answer(client)
            except OSError:
                pass
            finally:
                with self._lock:
                    self.at_once -= 1

    def _answer(self, client):
        asked = read_request(client)
        if asked is None:
            return
        self.asked.append(asked)
        if asked.request is None:
            return send(client, b"no OCSP request", status=b"400 Bad Request", kind=b"text/plain")
        behaviour = self._special.get(asked.serial, self._default)
        if behaviour in ERRORS:
            made = ocsp.OCSPResponseBuilder.build_unsuccessful(ERRORS[behaviour])
            send(client, made.public_bytes(Encoding.DER))
        else:
            getattr(self, f"do_{behaviour}")(client, asked)

    # ---- Responses ----

    def response(self, asked, status="good", signer=None, about=None, shift=0, certificates=(), **window):
        """DER of a response; signer: (certificate, key), default the CA;
        window: this_update, next_update, revoked_at (a datetime), reason,
        extensions."""
        this_update = window.get("this_update", self.this_update)
        next_update = window.get("next_update", self.next_update)
        now = datetime.datetime.utcnow().replace(microsecond=0) + datetime.timedelta(seconds=shift)
        certificate, key = signer or (self.ca.certificate, self.ca.key)
        revoked = status == "revoked"
        algorithm = asked.request.hash_algorithm
        leaf = about or self.ca.issued[asked.serial]
        seconds = lambda n: now + datetime.timedelta(seconds=n)
        builder = ocsp.OCSPResponseBuilder().add_response(
            cert=leaf,
            issuer=self.ca.certificate,
            algorithm=algorithm,
            cert_status=ocsp.OCSPCertStatus[status.upper()],
            this_update=seconds(this_update),
            next_update=None if next_update is None else seconds(next_update),
            revocation_time=window.get("revoked_at", seconds(this_update)) if revoked else None,
            revocation_reason=window.get("reason", x509.ReasonFlags.key_compromise) if revoked else None,
        ).responder_id(ocsp.OCSPResponderEncoding.HASH, certificate)
        for extension in window.get("extensions", ()):
            builder = builder.add_extension(extension, critical=False)
        if certificates:
            builder = builder.certificates(list(certificates))
        return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.DER)

    def signer(self, kind, make):
        if kind not in self._signers:
            self._signers[kind] = make()
        return self._signers[kind]

    def _signed_by(self, client, asked, kind, make):
        signer = self.signer(kind, make)
        send(client, self.response(asked, signer=signer, certificates=[signer[0]]))

    def do_good(self, client, asked):
        send(client, self.response(asked))

    def do_revoked(self, client, asked):
        send(client, self.response(asked, "revoked"))

    def do_unknown(self, client, asked):
        send(client, self.response(asked, "unknown"))

    def do_delegated(self, client, asked):
        self._signed_by(client, asked, "delegate", self.ca.signer)

    def do_only_sha256(self, client, asked):
        """Recognises no certificate by SHA-1."""
        if asked.hash == "sha256":
            return send(client, self.response(asked))
        made = ocsp.OCSPResponseBuilder.build_unsuccessful(ERRORS["unauthorized"])
        send(client, made.public_bytes(Encoding.DER))

    def do_only_get(self, client, asked):
        if asked.method == "GET":
            return send(client, self.response(asked))
        send(client, b"no", status=b"405 Method Not Allowed", kind=b"text/plain")

    def do_only_post(self, client, asked):
        if asked.method == "POST":
            return send(client, self.response(asked))
        send(client, b"no", status=b"405 Method Not Allowed", kind=b"text/plain")

    def do_old_cache(self, client, asked):
        """A cache in front keeps an expired response; no-cache bypasses it."""
        if asked.headers.get("cache-control") == "no-cache":
            return self.do_good(client, asked)
        self.do_expired(client, asked)

    def do_chunked(self, client, asked):
        der = self.response(asked)
        head = b"HTTP/1.1 200 OK\r\nContent-Type: " + TYPE + b"\r\nTransfer-Encoding: chunked\r\n\r\n"
        chunks = [der[i : i + 100] for i in range(0, len(der), 100)]
        client.sendall(head + b"".join(b"%x\r\n%s\r\n" % (len(one), one) for one in chunks) + b"0\r\n\r\n")

    def do_no_next_update(self, client, asked):
        send(client, self.response(asked, next_update=None))

    def do_padded(self, client, asked):
        """With 100 KB of certificates, as an attacker on the path adds them."""
        send(client, self.response(asked, certificates=[self.ca.certificate] * 300))

    def do_other_first(self, client, asked):
        """Begins with the entry of another certificate."""
        other = next(one for serial, one in self.ca.issued.items() if serial != asked.serial)
        more = der.entries(self.response(asked, about=other))
        send(client, der.resign(self.response(asked), self.ca.key, lambda ours: more + ours))

    # ---- Invalid responses ----

    def do_wrong_serial(self, client, asked):
        other = next(one for serial, one in self.ca.issued.items() if serial != asked.serial)
        send(client, self.response(asked, about=other))

    def do_foreign_signer(self, client, asked):
        self._signed_by(client, asked, "foreign", lambda: stranger(self.ca))

    def do_leaf_signed(self, client, asked):
        leaf = self.ca.issued[asked.serial]
        send(client, self.response(asked, signer=(leaf, self.ca.keys[asked.serial]), certificates=[leaf]))

    def do_sibling(self, client, asked):
        self._signed_by(client, asked, "sibling", lambda: self.ca.signer("sibling", usage=False))

    def do_expired_delegate(self, client, asked):
        self._signed_by(client, asked, "old", lambda: self.ca.signer("old", begins=30, days=-1))

    def do_bad_signature(self, client, asked):
        der = self.response(asked)
        signature = ocsp.load_der_ocsp_response(der).signature
        spoiled = signature[:-1] + bytes([signature[-1] ^ 1])
        send(client, der.replace(signature, spoiled))

    def do_weak_key(self, client, asked):
        self._signed_by(client, asked, "weak", lambda: self.ca.signer("weak", key=pki.new_key("rsa", 1024)))

    def do_contradictory(self, client, asked):
        more = der.entries(self.response(asked, "revoked"))
        send(client, der.resign(self.response(asked), self.ca.key, lambda ours: ours + more))

    def do_never_issued(self, client, asked):
        """Extended revoke, RFC 6960 section 4.4.8."""
        epoch, hold = datetime.datetime(1970, 1, 1), x509.ReasonFlags.certificate_hold
        send(client, self.response(asked, "revoked", revoked_at=epoch, reason=hold))

    def do_fraction(self, client, asked):
        """A time that OpenSSL reads and others do not."""

        def change(entries):
            identity, status, this_update, *more = der.inside(entries[0])
            stamp = der.tlv(der.GENERALIZED_TIME, this_update[2:-1] + b".5Z")
            return [der.tlv(der.SEQUENCE, identity, status, stamp, *more)]

        send(client, der.resign(self.response(asked), self.ca.key, change))

    def do_too_large_to_staple(self, client, asked):
        """Larger than clients accept, and all of it signed."""
        send(client, self.response(asked, extensions=[x509.OCSPNonce(b"x" * 20000)]))

    def do_expired(self, client, asked):
        send(client, self.response(asked, shift=-2 * HOUR - (self.next_update or 0)))

    def do_not_yet_valid(self, client, asked):
        send(client, self.response(asked, shift=HOUR))

    def do_older(self, client, asked):
        send(client, self.response(asked, this_update=self.this_update - 600))

    def do_revoked_by_get(self, client, asked):
        """Sends another status to the other method."""
        if asked.method == "GET":
            return self.do_revoked(client, asked)
        self.do_http_500(client, asked)

    # ---- No response at all ----

    def do_trailing_bytes(self, client, asked):
        send(client, self.response(asked) + b"\0")

    def do_truncated_der(self, client, asked):
        send(client, self.response(asked)[:-20])

    def do_malformed(self, client, asked):
        send(client, b"\x30\x03\x0a\x01\x00")  # successful, and nothing inside

    def do_empty(self, client, asked):
        send(client, b"")

    def do_not_ocsp(self, client, asked):
        send(client, b"<html>Welcome to the airport WLAN</html>", kind=b"text/html")

    def do_too_large(self, client, asked):
        send(client, b"\x30\x83\x20\x00\x00" + b"\0" * (1 << 21))

    def do_endless(self, client, asked):
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: " + TYPE + b"\r\nConnection: close\r\n\r\n")
        for _ in range(1 << 12):
            client.sendall(b"\0" * 65536)

    def do_truncated(self, client, asked):
        send(client, self.response(asked)[:100], length=2000)

    def do_http_404(self, client, asked):
        send(client, b"not here", status=b"404 Not Found", kind=b"text/plain")

    def do_http_407(self, client, asked):
        more = b'Proxy-Authenticate: Basic realm="x"\r\n'
        send(client, b"who?", status=b"407 Proxy Authentication Required", kind=b"text/plain", more=more)

    def do_http_500(self, client, asked):
        send(client, b"oops", status=b"500 Internal Server Error", kind=b"text/plain")

    def do_retry_after(self, client, asked):
        send(client, b"later", status=b"503 Service Unavailable", kind=b"text/plain", more=b"Retry-After: 120\r\n")

    def do_redirect_loop(self, client, asked):
        send(client, b"", status=b"302 Found", more=b"Location: " + asked.path.encode() + b"\r\n")

    def do_redirect_file(self, client, asked):
        send(client, b"", status=b"302 Found", more=b"Location: file:///etc/passwd\r\n")

    def do_redirect(self, client, asked):
        """Once, to a path with a response."""
        if "/moved" in asked.path:
            return self.do_good(client, asked)
        where = asked.path.replace("/", "/moved/", 1) if asked.method == "GET" else "/moved/"
        send(client, b"", status=b"307 Temporary Redirect", more=b"Location: " + where.encode() + b"\r\n")

    def do_no_http(self, client, asked):
        client.sendall(b"220 mail.example.org ESMTP\r\n")

    # ---- Connections that go wrong ----

    def hold(self, client):
        """Until the client gives up or the test ends."""
        client.settimeout(0.05)
        while not self.released.is_set():
            try:
                client.recv(1)
                return
            except TimeoutError:
                continue

    def do_hang(self, client, asked):
        self.hold(client)

    def do_late(self, client, asked):
        made = self.response(asked)
        self.released.wait(self.latency)
        send(client, made)

    def do_body_stall(self, client, asked):
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc")
        self.hold(client)

    def do_slow_drip(self, client, asked):
        client.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n")
        for _ in range(900):
            client.sendall(b"\x30")
            if self.released.wait(0.02):
                return

    def do_close(self, client, asked):
        pass

    def do_reset(self, client, asked):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def stranger(ca):
    """A signer with the CA's name and a key of its own."""
    key = pki.new_key()
    name = ca.certificate.subject
    made = ca._builder(name, name, key.public_key(), 30)
    made = made.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return made.sign(key, hashes.SHA256()), key


def send(client, body, status=b"200 OK", kind=TYPE, more=b"", length=None):
    size = len(body) if length is None else length
    head = b"HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %d\r\n%sConnection: close\r\n\r\n"
    client.sendall(head % (status, kind, size, more) + body)


def read_request(client):
    data = b""
    while b"\r\n\r\n" not in data:
        more = client.recv(65536)
        if not more:
            return None
        data += more
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    method, path, _ = lines[0].split(" ", 2)
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    while len(body) < int(headers.get("content-length", 0)):
        body += client.recv(65536)
    return Asked(method, path, headers, body)
