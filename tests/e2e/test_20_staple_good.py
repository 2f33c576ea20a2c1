"""A staple from certificate to handshake, with real responders and clients."""

import ssl
import subprocess

import pytest
from cryptography import x509

from lib import service
from lib.responder import TYPE
from lib.stapled import s_client, staple_of, status_of, wait_staple
from lib.wait import until

VERSIONS = ["-tls1_2", "-tls1_3"]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_real_responders_answer_is_stapled(launch, ca, openssl_ocsp, stapled, version):
    """Proves the whole path with `openssl ocsp` behind and s_client in front:
    the first handshake after the start has the staple."""
    site = ca.issue(must_staple=True, label="first")
    real = openssl_ocsp(good=[site], minutes=60)
    clinch = launch(stapled(site, f"mode = always\nurl = {real.url}"))
    assert status_of(clinch.port(), ca, version) == "good"
    assert staple_of(clinch.port(), ca, site).status == "good"


@pytest.mark.parametrize("mode", ["auto", "must", "always", "prefer"])
def test_every_mode_staples_what_must_be_stapled(launch, ca, responders, stapled, mode):
    """Proves the row "good" for certificates that carry must-staple."""
    responder = responders()
    site = ca.issue(ocsp=responder.url, must_staple=True)
    clinch = launch(stapled(site, f"mode = {mode}"))
    assert staple_of(clinch.port(), ca, site).status == "good"


@pytest.mark.parametrize("mode, expect", [("auto", None), ("must", None), ("always", "good"), ("prefer", "good")])
def test_plain_certificates_are_stapled_by_mode(launch, ca, responders, stapled, mode, expect):
    """Proves that auto and must send no request for a plain certificate, and
    that must-staple is the feature 5 (17 without it is not)."""
    responder = responders()
    site = ca.issue(ocsp=responder.url)
    other = ca.issue(ocsp=responder.url, label="v2", features=[x509.TLSFeatureType.status_request_v2])
    text = stapled(site, f"mode = {mode}") + stapled(other, "", name="v2").replace("[ocsp]", "")
    clinch = launch(text)
    for name in ("web", "v2"):
        assert status_of(clinch.port(name), ca) == expect
    assert responder.count() == (0 if expect is None else 2)


def test_never_staples_nothing_and_logs_it(launch, ca, responders, stapled):
    """Proves never, and its one warning for a certificate that demands a staple."""
    responder = responders()
    site = ca.issue(ocsp=responder.url, must_staple=True)
    clinch = launch(stapled(site, "mode = never"))
    assert status_of(clinch.port(), ca) is None
    assert responder.count() == 0
    assert len(clinch.grep("warning ocsp .*must-staple.*")) == 1


def test_nothing_for_clients_without_status_request(launch, ca, responders, stapled):
    """Proves rule 31: no status_request, no staple, and no refusal either."""
    responder = responders()
    site = ca.issue(ocsp=responder.url)
    clinch = launch(stapled(site, "mode = always", head="[log]\naccess = same"))
    assert "OCSP response:" not in s_client(clinch.port(), ca, status=False)
    assert status_of(clinch.port(), ca) == "good"
    until(lambda: clinch.grep(r"stapled=no") and clinch.grep(r"stapled=yes"), "the access log tells the two apart")


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3], ids=["tls12", "tls13"])
def test_resumed_handshakes_carry_none(launch, ca, responders, stapled, tmp_path, version):
    """Proves RFC 8446 4.4.2.1's consequence: no certificate, no staple."""
    responder = responders()
    site = ca.issue(ocsp=responder.url)
    clinch = launch(stapled(site, "mode = always", head="[log]\naccess = same"))
    session = str(tmp_path / "session")
    which = "-tls1_2" if version == ssl.TLSVersion.TLSv1_2 else "-tls1_3"
    command = ["openssl", "s_client", "-connect", f"127.0.0.1:{clinch.port()}", "-status", which, "-CAfile", str(ca.file)]
    first = subprocess.Popen([*command, "-sess_out", session], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    first.stdin.write(b"ping\n")
    first.stdin.flush()
    while b"ping" not in (line := first.stdout.readline()):
        assert line, "s_client ended early"
    first.communicate(b"Q\n", timeout=20)
    done = subprocess.run([*command, "-sess_in", session], input=b"", capture_output=True, timeout=20)
    assert b"Reused, " in done.stdout
    until(lambda: clinch.grep(r"resumed=yes stapled=no"), "a resumed connection without a staple in the access log")


@pytest.mark.parametrize("kind", ["good", "delegated", "chunked", "redirect", "only_get", "only_post", "only_sha256", "no_next_update", "old_cache"])
def test_honest_responders_of_every_kind(launch, ca, responders, stapled, kind):
    """Proves that delegates, chunked bodies, redirects, responders that
    support only GET, POST or SHA-256, such without nextUpdate, and such behind
    a cache that keeps an expired response all end in a staple."""
    responder = responders(kind)
    site = ca.issue(ocsp=responder.url, must_staple=True)
    clinch = launch(stapled(site, "mode = must"))
    assert staple_of(clinch.port(), ca, site).status == "good"


def test_requests_are_plain_http(launch, ca, responders, stapled):
    """Proves rule 26: Host with its port, the right types, no compression, no
    cookies, and a GET path of escaped base64 without a doubled slash."""
    responder = responders("only_post")
    site = ca.issue(ocsp=responder.url + "/ocsp/", must_staple=True)
    clinch = launch(stapled(site, "mode = must"))
    assert status_of(clinch.port(), ca) == "good"
    get, post = responder.asked[:2]
    assert (get.method, post.method) == ("GET", "POST")
    assert post.headers["content-type"] == "application/ocsp-request"
    for one in (post, get):
        assert one.headers["host"] == f"127.0.0.1:{responder.port}"
        assert TYPE.decode() in one.headers.get("accept", TYPE.decode())
        assert not {"accept-encoding", "cookie", "authorization", "expect", "cache-control"} & set(one.headers)
    assert get.path.startswith("/ocsp/") and "//" not in get.path
    assert not set(get.path.rsplit("/", 1)[1]) & set("+=")
    assert get.serial == site.serial


@pytest.mark.parametrize(
    "method, path, expect",
    [
        ("", "", "GET"),
        ("", "/" + 200 * "x", "POST"),
        ("method = post", "", "POST"),
        ("method = get", "/" + 200 * "x", "GET"),
    ],
    ids=["auto", "auto_long", "post", "get_long"],
)
def test_the_method_that_is_tried_first(launch, ca, responders, stapled, method, path, expect):
    """Proves `method`: by default GET for requests of up to 255 bytes (RFC
    5019: caches can answer), POST for longer ones; and either by
    configuration."""
    responder = responders()
    site = ca.issue(ocsp=responder.url + path)
    launch(stapled(site, f"mode = always\n{method}"))
    assert [one.method for one in responder.asked] == [expect]


def test_caches_are_bypassed_only_after_an_expired_answer(launch, ca, responders, stapled):
    """Proves RFC 5019 6.1: no-cache is sent after an expired response, and no
    more once a valid one has come."""
    responder = responders("old_cache")
    responder.window(-4, 4)
    site = ca.issue(ocsp=responder.url)
    clinch = launch(stapled(site, "mode = always"))
    assert status_of(clinch.port(), ca) == "good"
    assert [one.headers.get("cache-control") for one in responder.asked] == [None, "no-cache"]
    responder.behave("good")
    until(lambda: responder.count() >= 3, "a refresh", 20)
    assert responder.asked[2].headers.get("cache-control") is None


def test_url_replaces_the_certificates_own(launch, ca, responders, stapled):
    """Proves that `url` replaces AIA, several in order."""
    own, first, second = responders(), responders("http_500"), responders()
    site = ca.issue(ocsp=own.url)
    clinch = launch(stapled(site, f"mode = always\nurl = {first.url}\nurl = {second.url}"))
    assert status_of(clinch.port(), ca) == "good"
    assert own.count() == 0 and first.count() > 0 and second.count() > 0


def test_what_worked_is_requested_first_the_next_time(launch, ca, responders, stapled):
    """Proves rule 24's memory: a dead first URL costs one try, not one for
    every refresh."""
    dead, alive = responders("http_404"), responders()
    alive.window(-4, 4)
    site = ca.issue(ocsp=[dead.url, alive.url])
    launch(stapled(site, "mode = always"))
    until(lambda: alive.count() >= 3, "two refreshes")
    assert dead.count() == 2  # GET, then POST, once


def test_curl_and_gnutls_are_satisfied(launch, ca, responders, serve):
    """Proves it to clients that verify staples themselves, and that they do:
    without one, both refuse."""
    body = b"HTTP/1.0 200 OK\r\nContent-Length: 3\r\n\r\nyes"
    connect = serve(service.say(body)).connect
    responder = responders()
    site = ca.issue(ocsp=responder.url, must_staple=True)
    rest = f"accept = 127.0.0.1:0\nconnect = {connect}\ncert = {site.pem}\n"
    clinch = launch(f"[ocsp]\nmode = always\n[listener web]\n{rest}[listener bare]\nocsp = never\n{rest}")
    for name, fine in (("web", True), ("bare", False)):
        port = clinch.port(name)
        curl = ["curl", "-sS", "--cert-status", "--cacert", ca.file, "--resolve", f"localhost:{port}:127.0.0.1"]
        curl.append(f"https://localhost:{port}/")
        done = subprocess.run(curl, capture_output=True, text=True, timeout=20)
        assert (done.returncode == 0 and done.stdout == "yes") == fine, done
        gnutls = ["gnutls-cli", "--x509cafile", ca.file, "--sni-hostname=localhost", "--verify-hostname=localhost"]
        gnutls += ["-p", str(port), "127.0.0.1"]
        done = subprocess.run(gnutls, input="", capture_output=True, text=True, timeout=20)
        assert ("Status: The certificate is trusted." in done.stdout) == fine, done.stdout


def test_each_certificate_gets_its_own(launch, ca, responders, stapled):
    """Proves rule 30 for RSA beside ECDSA: each client gets the staple of the
    certificate it was shown."""
    responder = responders()
    ecdsa, rsa = ca.issue(ocsp=responder.url), ca.issue(ocsp=responder.url, kind="rsa", label="rsa")
    text = stapled(ecdsa, "mode = always") + stapled(rsa, name="rsa").replace("[ocsp]", "")
    clinch = launch(text)
    assert staple_of(clinch.port("web"), ca, ecdsa).serial == ecdsa.serial
    assert staple_of(clinch.port("rsa"), ca, rsa).serial == rsa.serial


def test_served_staples_are_counted(launch, ca, responders, stapled):
    """Proves rule 33: the counters asked and sent of a certificate, logged at
    the end."""
    responder = responders()
    site = ca.issue(ocsp=responder.url)
    clinch = launch(stapled(site, "mode = always", head="[log]\nlevel = info"))
    for _ in range(3):
        assert status_of(clinch.port(), ca) == "good"
    s_client(clinch.port(), ca, status=False)
    assert clinch.terminate() == 0
    assert clinch.grep(r"ocsp .*cert=localhost.* asked=3 .*sent=3")


def test_it_is_refreshed_before_it_ends(launch, ca, responders, stapled):
    """Proves that a short-lived response is replaced in time, again and again,
    while no handshake goes without."""
    responder = responders()
    responder.window(-3, 3)
    site = ca.issue(ocsp=responder.url)
    clinch = launch(stapled(site, "mode = always"))
    first = staple_of(clinch.port(), ca, site)
    seen = set()

    def moves_on():
        seen.add(staple_of(clinch.port(), ca, site).this_update)
        return len(seen) >= 3

    until(moves_on, "three staples, one after the other", 20)
    assert first.this_update in seen or len(seen) >= 3


def test_urls_with_blanks_and_urls_that_are_left_out(launch, ca, responders, stapled):
    """Proves that blanks around an AIA URL are trimmed, and that a URL that
    cannot be used is logged once while another one has a response."""
    responder = responders()
    site = ca.issue(ocsp=["ldap://ca.example/", f" {responder.url}/ "])
    clinch = launch(stapled(site, "mode = always"))
    assert staple_of(clinch.port(), ca, site).status == "good"
    clinch.reload()
    assert len(clinch.grep(r"warning ocsp .*ldap://ca.example/ was left out")) == 1


def test_no_issuer_in_the_chain(launch, ca, responders, stapled):
    """Proves rule 14: the issuer is found in ca_file when the chain lacks it,
    and its absence is logged with a remedy."""
    responder = responders()
    site = ca.issue(ocsp=responder.url, chain=False)
    clinch = launch(stapled(site, f"mode = always\nca_file = {ca.file}"))
    assert staple_of(clinch.port(), ca, site).status == "good"
    bare = launch(stapled(site, "mode = prefer"))
    assert status_of(bare.port(), ca) is None
    assert bare.grep(r"ocsp .*issuer")


@pytest.mark.parametrize("proxy", ["key", "environment", "none"])
def test_fetches_go_through_the_proxy(launch, ca, responders, stapled, proxy):
    """Proves rule 27: the key, the environment, and `none` against it."""
    responder, through = responders(), responders()
    site = ca.issue(ocsp="http://responder.example/ocsp" if proxy != "none" else responder.url)
    key = {"key": f"proxy = {through.url}", "environment": "", "none": "proxy = none"}[proxy]
    env = {} if proxy == "key" else {"http_proxy": through.url, "no_proxy": ""}
    clinch = launch(stapled(site, f"mode = always\n{key}"), env=env)
    assert status_of(clinch.port(), ca) == "good"
    assert (through.count() > 0) == (proxy != "none")


def test_one_line_when_the_outcome_changes(launch, ca, responders, stapled):
    """Proves rule 38: a repeated failure is logged once, its end is logged
    once."""
    responder = responders()
    responder.window(-4, 6)
    site = ca.issue(ocsp=responder.url)
    clinch = launch(stapled(site, "mode = prefer"))
    responder.behave("http_500")
    before = responder.count()
    until(lambda: responder.count() >= before + 2, "a failed refresh", 20)
    clinch.wait_log(r"ocsp .*outcome=http_5xx", deadline=20)
    assert len(clinch.grep(r"outcome=http_5xx")) <= 4  # the expiry warnings included
    responder.behave("good")
    wait_staple(clinch.port(), ca, site, deadline=30)
    clinch.wait_log(r"notice ocsp .*outcome=good")
