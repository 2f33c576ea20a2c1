"""`clinch healthcheck`: one line and a status about a clinch that runs."""

import re
import signal
import socket
import ssl
import threading
import time

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from lib import client, proxy, service
from lib.stapled import status_of, wait_staple
from lib.wait import until


def known(clinch):
    """The file of that clinch, with the ports it has got instead of port 0."""
    text, name, heard = [], None, {}
    for line in clinch.file.read_text().splitlines():
        if heading := re.match(r"\[listener (\S+)\]", line):
            name = heading[1]
            heard[name] = iter(clinch.addresses(name))
        elif accept := re.match(r"accept = (.*:)?0$", line):
            line = f"accept = {accept[1] or ''}{next(heard[name]).rsplit(':', 1)[1]}"
        text.append(line)
    return "\n".join(text) + "\n"


def check(clinch, *options, extra="", change=lambda text: text):
    """(status, the line) of a check of this clinch."""
    file = clinch.file.with_name("check.ini")
    file.write_text(change(known(clinch)) + extra)
    status, out, err = proxy.run("healthcheck", "-c", file, *options)
    assert err == "" and out.count("\n") == 1, (out, err)
    return status, out.rstrip("\n")


def healthy(clinch, count=1, **options):
    assert check(clinch, **options) == (0, f"healthy: {count} listener{'s' * (count > 1)}")


def unhealthy(clinch, *words, **options):
    status, line = check(clinch, **options)
    assert status == 1 and line.startswith("unhealthy: "), line
    for word in words:
        assert word in line, line
    return line


def quiet(clinch):
    """No error, warning or notice about a client was logged since the start."""
    return not clinch.grep(r"(error|warning) ") and not clinch.grep(r"notice (conn|tls|listener client)")


DEAD = "127.0.0.1:1"  # a port where nothing listens


def section(name, site, accept="127.0.0.1:0", more="", connect=DEAD):
    return f"[listener {name}]\naccept = {accept}\nconnect = {connect}\ncert = {site.pem}\n{more}\n"


# ---- A server that answers ----


def test_every_listener_is_reached(launch, site, tmp_path):
    """Proves bare ports, wildcards of both families, specific addresses and Unix
    sockets, although every backend is down, and that the server logs nothing."""
    accepts = ["0", "0.0.0.0:0", "[::]:0\nv6only = yes", "[::]:0", "127.0.0.2:0", "[::1]:0", f"unix:{tmp_path}/tls.sock"]
    clinch = launch("".join(section(f"l{i}", site, accept) for i, accept in enumerate(accepts)))
    healthy(clinch, len(accepts))
    assert quiet(clinch), clinch.output()


def test_the_backend_is_left_alone(launch, serve, site, tmp_path):
    """Proves that no backend is connected to, that the access log has the
    check, and that the response comes without a wait."""
    backend, access = serve(), tmp_path / "access.log"
    clinch = launch(f"[log]\naccess = {access}\n" + section("web", site, connect=backend.connect))
    for _ in range(5):
        healthy(clinch)
    until(lambda: access.read_text().count("reason=health_check") == 5, "five lines")
    lines = access.read_text().splitlines()
    assert all("alpn=clinch-healthcheck" in line and "backend=-" in line for line in lines), lines
    assert backend.accepted == 0 and quiet(clinch)


@pytest.mark.parametrize("verify", ["optional", "require", "pinned"])
@pytest.mark.parametrize("most", ["TLSv1.2", "TLSv1.3"])
def test_client_certificates(launch, ca, site, verify, most):
    """Proves that a handshake that lacks nothing but a client certificate is
    healthy in both versions, and no news to the log."""
    clinch = launch(section("web", site, more=f"verify = {verify}\nca_file = {ca.file}\nmax_version = {most}"))
    healthy(clinch)
    assert quiet(clinch), clinch.output()


def test_the_identifier_opens_nothing(launch, serve, ca, site, version):
    """Proves that a client with the identifier of the check reaches no
    backend, and must send its certificate like any other."""
    backend = serve()
    text = section("open", site, connect=backend.connect) + section(
        "closed", site, more=f"verify = require\nca_file = {ca.file}", connect=backend.connect
    )
    clinch = launch(text)
    made = client.context(ca.file, version, ["clinch-healthcheck"])
    one = client.Client(clinch.port("open"), made)
    assert one.tls.selected_alpn_protocol() == "clinch-healthcheck"
    assert one.recv() == b"", "the server ends it by close_notify"
    one.close()
    with pytest.raises(ssl.SSLError, match="(?i)alert"):
        with client.Client(clinch.port("closed"), made) as other:
            other.recv()
    assert backend.accepted == 0


def test_offered_beside_another_protocol_it_means_nothing(launch, serve, ca, site, tls):
    """Proves that the identifier counts alone, and that ALPN is as it was: chosen
    where it is configured, ignored where it is not."""
    backend = serve()
    clinch = launch(section("plain", site, connect=backend.connect) + section("h2", site, more="alpn = h2", connect=backend.connect))
    for name, chosen in (("plain", None), ("h2", "h2")):
        one = tls(clinch.port(name), alpn=["clinch-healthcheck", "h2"])
        assert one.tls.selected_alpn_protocol() == chosen
        assert one.ping()
    healthy(clinch, 2)


@pytest.mark.parametrize(
    "more",
    [
        "alpn = h2, http/1.1",
        "max_version = TLSv1.2\nciphers = ECDHE-ECDSA-CHACHA20-POLY1305",
        "profile = modern",
        "groups = X448",
        "min_version = TLSv1.3\nciphersuites = TLS_CHACHA20_POLY1305_SHA256",
        "tickets = no",
        "per_ip_max = 1",
    ],
)
def test_unusual_policies(launch, site, more):
    """Proves that a listener which few clients could talk to is healthy."""
    clinch = launch(section("web", site, more=more))
    healthy(clinch)
    assert quiet(clinch), clinch.output()


# ---- PROXY headers and access lists ----


def test_a_trusted_check_sends_a_header(launch, site):
    """Proves that proxy_in gets a header that counts as the check's own address."""
    clinch = launch(section("web", site, more="proxy_in = yes\nproxy_trust = 127.0.0.1"))
    healthy(clinch)
    assert quiet(clinch), clinch.output()


@pytest.mark.parametrize(
    "more, word",
    [
        ("proxy_in = yes\nproxy_trust = 192.0.2.0/24", "127.0.0.1, which is not in proxy_trust"),
        ("proxy_in = yes\nproxy_trust = 127.0.0.1\ndeny = 127.0.0.0/8", "which allow and deny refuse"),
        ("allow = 192.0.2.0/24", "which allow and deny refuse"),
    ],
)
def test_a_check_that_is_kept_out(launch, site, more, word):
    """Proves that a listener which would refuse the check is not healthy, that
    the line says what to admit, and that the server is not even connected to."""
    clinch = launch(section("web", site, more=more) + section("other", site))
    unhealthy(clinch, "listener web: ", word)
    assert check(clinch, "--listener", "other") == (0, "healthy: 1 listener")
    assert quiet(clinch) and not clinch.grep("kept out|denied|refused")


def test_the_address_that_is_admitted_is_used(launch, site):
    """Proves that a socket of both families is reached by ::1 where that alone
    is admitted."""
    healthy(launch(section("web", site, "0", "allow = ::1")))


# ---- Staples ----


def test_a_must_staple_certificate(launch, ca, openssl_ocsp, stapled):
    """Proves healthy with a staple of the real responder, in every mode."""
    site = ca.issue(must_staple=True, label="must")
    real = openssl_ocsp(good=[site], minutes=60)
    for mode in ("auto", "must", "always", "prefer"):
        clinch = launch(stapled(site, f"mode = {mode}\nurl = {real.url}"))
        assert status_of(clinch.port(), ca) == "good"
        healthy(clinch)
        assert quiet(clinch), clinch.output()


@pytest.mark.parametrize("mode, must_staple, well", [
    ("auto", True, False), ("prefer", True, False), ("never", True, True),
    ("auto", False, True), ("prefer", False, True), ("never", False, True),
])
def test_a_responder_that_never_answered(launch, ca, responders, stapled, mode, must_staple, well):
    """Proves what each lenient mode demands."""
    site = ca.issue(ocsp=responders("http_500").url, must_staple=must_staple, label="unanswered")
    clinch = launch(stapled(site, f"mode = {mode}"))
    if well:
        healthy(clinch)
    else:
        unhealthy(clinch, f"listener web (127.0.0.1:{clinch.port()}): no staple for localhost ({site.pem}), mode {mode}: ")


def test_it_becomes_healthy_with_its_staple(launch, ca, responders, stapled):
    """Proves that a staple which arrives later is detected."""
    responder = responders("http_500")
    site = ca.issue(ocsp=responder.url, must_staple=True, label="later")
    clinch = launch(stapled(site))
    unhealthy(clinch, "no staple")
    responder.behave("good")
    wait_staple(clinch.port(), ca, site, deadline=30)
    healthy(clinch)


@pytest.mark.parametrize("mode, without", [("auto", "serve"), ("auto", "refuse"), ("always", "serve"), ("always", "refuse")])
def test_a_staple_that_ran_out(launch, ca, responders, stapled, mode, without):
    """Proves that it becomes unhealthy when the staple has expired, whether
    clients are then served or refused."""
    responder = responders()
    site = ca.issue(ocsp=responder.url, must_staple=True, label="ran-out")
    responder.window(-3, 5)
    clinch = launch(stapled(site, f"mode = {mode}\nwithout_staple = {without}"))
    healthy(clinch)
    responder.behave("http_500")
    until(lambda: check(clinch)[0] == 1, "unhealthy", 20)
    unhealthy(clinch, "no staple for ", str(site.pem), f"mode {mode}", "refused" if without == "refuse" else "the server has none")


@pytest.mark.parametrize("behaviour", ["staple", "refuse"])
def test_revoked(launch, ca, openssl_ocsp, stapled, behaviour):
    """Proves that a revoked certificate is unhealthy with every on_revoked."""
    site = ca.issue(must_staple=True, label="revoked")
    real = openssl_ocsp(revoked=[site], minutes=60)
    clinch = launch(stapled(site, f"mode = auto\non_revoked = {behaviour}\nurl = {real.url}"))
    unhealthy(clinch, "is revoked" if behaviour == "staple" else "the handshake was refused")


def test_a_staple_file(launch, ca, openssl_ocsp, site, tmp_path):
    """Proves that a staple of another tool counts alike."""
    must = ca.issue(must_staple=True, label="filed")
    file = tmp_path / "filed.der"
    status, _, err = proxy.run("staple", "fetch", must.pem, "-o", file, "--url", openssl_ocsp(good=[must], minutes=60).url)
    assert status == 0, err
    clinch = launch(section("web", must, more=f"staple_file = {file}"))
    wait_staple(clinch.port(), ca, must)
    healthy(clinch)
    file.unlink()
    again = launch(section("web", must, more=f"staple_file = {file}"))
    unhealthy(again, "no staple for localhost")


def test_an_issuer_of_the_store(launch, ca, responders, depot, stapled, tmp_path):
    """Proves that a staple is verified with an issuer that the server has
    fetched and saved, and that one without an issuer at hand is taken."""
    responder = responders()
    url = depot.put("/ca.der", ca.certificate.public_bytes(Encoding.DER))
    site = ca.issue(ocsp=responder.url, issuers=url, chain=False, must_staple=True, label="no-issuer")
    clinch = launch(stapled(site, head=f"[global]\nstore_dir = {tmp_path}/store"))
    wait_staple(clinch.port(), ca, site)
    healthy(clinch)
    healthy(clinch, change=lambda text: text.replace(f"store_dir = {tmp_path}/store", ""))


# ---- Names ----


def test_an_rsa_and_an_ecdsa_certificate(launch, ca, responders, stapled):
    """Proves that each of two certificates for one name is checked."""
    responder = responders()
    ecdsa = ca.issue(ocsp=responder.url, must_staple=True, label="pair-ecdsa")
    rsa = ca.issue(ocsp=responder.url, must_staple=True, label="pair-rsa", kind="rsa")
    both = launch(stapled(ecdsa, more=f"cert = {rsa.pem}"))
    healthy(both)
    assert quiet(both), both.output()
    for bad in (rsa, ecdsa):
        responder.behave("good")
        responder.behave("http_500", bad)
        clinch = launch(stapled(ecdsa, more=f"cert = {rsa.pem}"))
        line = unhealthy(clinch, f"no staple for localhost ({bad.pem})" if bad is rsa else "no staple for localhost")
        assert str((ecdsa if bad is rsa else rsa).pem) not in line
        assert quiet(both)


def test_a_kind_that_is_not_served(launch, ca, site):
    """Proves that a certificate which the server has not taken yet is no failure
    where the name has one of another kind."""
    rsa = ca.issue(label="not-yet", kind="rsa")
    clinch = launch(section("web", site))
    healthy(clinch, change=lambda text: text.replace(f"cert = {site.pem}", f"cert = {site.pem}\ncert = {rsa.pem}"))


def test_each_host(launch, ca, responders, stapled):
    """Proves that the certificate and the policy of each host are checked, of
    a wildcard too."""
    good, bad = responders(), responders("http_500")
    site = ca.issue(ocsp=good.url, must_staple=True, label="default")
    own = ca.issue("own.example", ocsp=bad.url, must_staple=True, label="own")
    text = stapled(site, more=f"[host web *.example]\ncert = {own.pem}\n[host web localhost]\n")
    clinch = launch(text)
    unhealthy(clinch, ", healthcheck.example): no staple for own.example", str(own.pem))
    bad.behave("good")
    wait_staple(clinch.port(), ca, own, deadline=30, name="own.example")
    healthy(clinch)


@pytest.mark.parametrize("more", ["", "[host web *.tenant.example]\n"])
def test_unknown_names_are_rejected(launch, ca, responders, stapled, more):
    """Proves that the check sends a server name that the listener has."""
    responder = responders()
    site = ca.issue(names=["*.wild.example", "b.example"], ocsp=responder.url, must_staple=True, label="known")
    clinch = launch(stapled(site, more=f"sni_unknown = reject\n{more}"))
    healthy(clinch)
    assert quiet(clinch), clinch.output()
    # Without the file no name is known: then the refusal shows that it lives.
    if not more:
        healthy(clinch, change=lambda text: text.replace(str(site.pem), str(site.pem) + ".gone"))


@pytest.mark.parametrize("unknown", ["default", "reject"])
def test_a_folder(launch, ca, responders, stapled, tmp_path, unknown):
    """Proves that one handshake is made with cert_dir, and that a certificate of
    it without a staple is its own affair."""
    folder = tmp_path / "certs"
    folder.mkdir()
    bad = responders("http_500")
    for name in ("a.example", "b.example"):
        ca.issue(name, ocsp=bad.url, must_staple=True, folder=folder)
    text = f"[listener web]\naccept = 127.0.0.1:0\nconnect = {DEAD}\ncert_dir = {folder}\nsni_unknown = {unknown}\n"
    healthy(launch(text))


def test_an_expired_certificate(launch, ca):
    """Proves that its end is detected and printed."""
    site = ca.issue(days=-1, label="ended")
    unhealthy(launch(section("web", site)), f"the certificate localhost ({site.pem}) expired on 20")


# ---- A server that does not answer ----


def test_a_closed_port(launch, site):
    """Proves that a server that has ended is unhealthy, and that the failures of
    other listeners are counted."""
    clinch = launch(section("one", site) + section("two", site) + section("three", site))
    healthy(clinch, 3)
    clinch.terminate()
    line = unhealthy(clinch, f"listener one (127.0.0.1:{clinch.port('one')}): no connection: ")
    assert line.endswith("; 2 more")


def test_a_server_that_drains(launch, serve, site, tls):
    """Proves that a server which takes no more clients is unhealthy."""
    clinch = launch("[global]\ndrain_timeout = 30s\n" + section("web", site, connect=serve().connect))
    one = tls(clinch.port())
    assert one.ping()
    clinch.process.send_signal(signal.SIGTERM)
    clinch.wait_log("draining")
    until(lambda: check(clinch)[0] == 1, "unhealthy")
    assert one.ping()


def test_a_stopped_server_takes_no_longer_than_it_may(launch, site):
    """Proves --timeout."""
    clinch = launch(section("web", site) + section("other", site))
    clinch.process.send_signal(signal.SIGSTOP)
    try:
        until(clinch.is_stopped, "every thread has stopped")
        begun = time.monotonic()
        status, line = check(clinch, "--timeout", "700ms")
        assert time.monotonic() - begun < 3
        assert status == 1 and "listener web" in line and "no response within 700ms" in line and line.endswith("; 1 more")
    finally:
        clinch.process.send_signal(signal.SIGCONT)
    healthy(clinch, 2)


def hung(port):
    return f"[listener hung]\naccept = 127.0.0.1:{port}\nconnect = {DEAD}\n"


def test_one_that_hangs_takes_no_time_from_the_others(launch, site):
    """Proves that the others are checked meanwhile, before and behind it."""
    silent = service.Service(lambda sock: sock.recv(65536) and threading.Event().wait(20))
    clinch = launch(section("web", site))
    cert = f"cert = {site.pem}\n"
    try:
        head = lambda text: hung(silent.port) + cert + text  # noqa: E731
        for options in ({"change": head}, {"extra": hung(silent.port) + cert}):
            status, line = check(clinch, "--timeout", "1s", **options)
            assert status == 1 and "listener hung" in line and "more" not in line.split("connections")[-1]
    finally:
        silent.close()


def test_a_full_unix_queue(site, tmp_path):
    """Proves that the check waits for a Unix socket with a full queue, up to
    the timeout."""
    path = str(tmp_path / "full.sock")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(0)
    clients = [socket.socket(socket.AF_UNIX) for _ in range(3)]
    for one in clients:
        one.setblocking(False)
        one.connect_ex(path)
    file = tmp_path / "check.ini"
    file.write_text(section("web", site, f"unix:{path}"))
    status, out, _ = proxy.run("healthcheck", "-c", file, "--timeout", "500ms")
    assert status == 1 and "no response within 500ms" in out
    for one in [*clients, listening]:
        one.close()


@pytest.mark.parametrize("text", [b"220 mail ready\r\n", b"HTTP/1.1 400 Bad Request\r\n\r\n"])
def test_another_program_on_the_port(site, tmp_path, text):
    """Proves that something else that listens there is not taken for a clinch."""
    other = service.Service(service.say(text))
    file = tmp_path / "check.ini"
    file.write_text(section("web", site, f"127.0.0.1:{other.port}"))
    status, out, _ = proxy.run("healthcheck", "-c", file)
    other.close()
    assert status == 1 and "does not use TLS" in out, out


def test_another_tls_server_on_the_port(site, tmp_path):
    """Proves that a TLS server which is no clinch is not healthy."""
    made = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    made.load_cert_chain(site.crt, site.key)

    def serve(sock):
        with made.wrap_socket(sock, server_side=True) as tls:
            tls.recv(1)

    other = service.Service(serve)
    file = tmp_path / "check.ini"
    file.write_text(section("web", site, f"127.0.0.1:{other.port}"))
    status, out, _ = proxy.run("healthcheck", "-c", file)
    other.close()
    assert status == 1 and "from another TLS server" in out, out


# ---- The configuration ----


def test_what_cannot_be_checked_is_not_healthy(launch, site):
    """Proves that port 0 is reported, and that a listener can be left out."""
    clinch = launch(section("web", site) + section("ready", site))
    text = clinch.file.read_text()
    status, out, _ = proxy.run("healthcheck", "-c", clinch.file)
    assert status == 1 and "listener web: its port is chosen at the start" in out and out.endswith("; 1 more\n")
    fd = section("web", site).replace("accept = 127.0.0.1:0", "fd = web")
    clinch.file.write_text(fd)
    status, out, _ = proxy.run("healthcheck", "-c", clinch.file)
    assert status == 1 and "listener web: its socket is handed over (fd)" in out
    clinch.file.write_text(text)
    port = clinch.port("ready")
    mixed = text.replace("[listener ready]\naccept = 127.0.0.1:0", f"[listener ready]\naccept = 127.0.0.1:{port}")
    clinch.file.with_name("mixed.ini").write_text(mixed)
    status, out, _ = proxy.run("healthcheck", "-c", clinch.file.with_name("mixed.ini"), "--listener", "ready")
    assert (status, out) == (0, "healthy: 1 listener\n")


def test_an_address_that_comes_later(launch, site):
    """Proves that bind_early's address is left out until it is on this host, and
    that nothing is sent to wherever it is."""
    clinch = launch(section("web", site) + section("early", site, "192.0.2.1:4433", "bind_early = yes"))
    healthy(clinch, 2)
    unhealthy(clinch, "192.0.2.1:4433): the address cannot be used", change=lambda text: text.replace("bind_early = yes", ""))


def test_a_bad_configuration(site, tmp_path):
    """Proves one line with the place of the first error, and status 1."""
    file = tmp_path / "bad.ini"
    file.write_text(section("web", site, more="nonsense = 1\nrubbish = 2"))
    status, out, err = proxy.run("healthcheck", "-c", file)
    assert (status, err, out.count("\n")) == (1, "", 1)
    assert out.startswith(f"unhealthy: {file}:5: ") and "nonsense" in out and out.endswith("; 1 more\n"), out
    status, out, _ = proxy.run("healthcheck", "-c", tmp_path / "none.ini")
    assert status == 1 and out.startswith("unhealthy: ") and "none.ini" in out


def test_the_environment_counts(launch, site):
    """Proves that variables of the configuration are the check's own."""
    clinch = launch(section("web", site))
    file = clinch.file.with_name("variable.ini")
    file.write_text(section("web", site, "127.0.0.1:${THE_PORT}"))
    assert proxy.run("healthcheck", "-c", file, env={"THE_PORT": str(clinch.port())})[0] == 0
    assert proxy.run("healthcheck", "-c", file, env={"THE_PORT": "1"})[0] == 1
    status, out, _ = proxy.run("healthcheck", "-c", file)
    assert status == 1 and "THE_PORT" in out


def test_a_certificate_that_cannot_be_read(launch, site):
    """Proves that neither the key nor the certificate is needed."""
    clinch = launch(section("web", site))
    healthy(clinch, change=lambda text: text.replace(str(site.pem), "/nonexistent/site.pem"))


@pytest.mark.parametrize("words", [["--timeout", "soon"], ["--timeout", "0"], ["--nonsense"], ["web"], ["--listener"]])
def test_bad_usage(words):
    """Proves status 1 (Docker reserves 2) and a line of usage."""
    status, out, err = proxy.run("healthcheck", *words)
    assert (status, out) == (1, "") and "usage: clinch healthcheck" in err


def test_a_listener_that_is_not_there(launch, site):
    """Proves that a misspelt --listener is no success."""
    clinch = launch(section("web", site))
    status, line = check(clinch, "--listener", "wep")
    assert status == 1 and line.endswith("check.ini has no listener wep")


def test_it_stays_quiet_for_long(launch, site):
    """Proves that checks without end leave nothing behind in the server."""
    clinch = launch(section("web", site))
    healthy(clinch)
    before = clinch.descriptors()
    for _ in range(30):
        healthy(clinch)
    until(lambda: clinch.descriptors() == before, "every descriptor is back")
    assert quiet(clinch)
