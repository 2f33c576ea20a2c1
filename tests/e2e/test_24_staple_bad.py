"""Invalid responses, and responders that hang or fail: nothing invalid is
stapled, and each failure has its name."""

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from lib import der
from lib.stapled import staple_of, status_of
from lib.wait import until

# behaviour of the responder: name of the outcome
OUTCOMES = {
    "wrong_serial": "wrong_certificate",
    "foreign_signer": "wrong_signer|bad_signature",
    "leaf_signed": "wrong_signer",
    "sibling": "wrong_signer",
    "expired_delegate": "wrong_signer",
    "bad_signature": "bad_signature",
    "expired": "expired",
    "not_yet_valid": "not_yet_valid",
    "weak_key": "weak_signature",
    "contradictory": "contradictory",
    "never_issued": "unknown",
    "fraction": "malformed",
    "too_large_to_staple": "too_large_to_staple",
    "trailing_bytes": "trailing_bytes",
    "truncated_der": "truncated",
    "malformed": "malformed",
    "empty": "empty",
    "not_ocsp": "not_ocsp",
    "too_large": "too_large",
    "endless": "too_large",
    "truncated": "truncated",
    "http_404": "http_4xx",
    "http_500": "http_5xx",
    "retry_after": "http_5xx",
    "redirect_loop": "redirect_loop",
    "redirect_file": "redirect_refused",
    "no_http": "connection_reset|malformed|http_other",
    "unknown": "unknown",
    "try_later": "try_later",
    "internal_error": "internal_error",
    "malformed_request": "malformed_request",
    "sig_required": "sig_required",
    "unauthorized": "unauthorized",
    "close": "connection_reset",
    "reset": "connection_reset",
    "hang": "timeout_headers",
    "body_stall": "timeout_body",
    "slow_drip": "slow_drip",
}


@pytest.mark.parametrize("behaviour", OUTCOMES)
def test_each_failure_has_its_name(launch, ca, responders, stapled, behaviour):
    """Proves rules 9 to 13, 25 and 29 at the start: no staple, the outcome by
    name with the certificate, the URL in the sentence, in bounded time."""
    responder = responders(behaviour)
    site = ca.issue(ocsp=responder.url, must_staple=True)
    ca.issue("other", ocsp=responder.url)
    clinch = launch(stapled(site, "mode = auto\ntimeout = 1s"))
    assert status_of(clinch.port(), ca) is None
    line = clinch.wait_log(rf"ocsp .*cert=localhost .*outcome=({OUTCOMES[behaviour]})\b")
    assert responder.url in line or str(responder.port) in line


@pytest.mark.parametrize(
    "url, outcome",
    [
        ("http://no-such-host.invalid/", "name_not_found|name_timeout"),
        ("http://127.0.0.1:1/", "connection_refused"),
        ("https://127.0.0.1:1/", "connection_refused"),
    ],
)
def test_no_server_there(launch, ca, stapled, url, outcome):
    """Proves the outcomes of URLs that lead nowhere."""
    site = ca.issue(ocsp=url, must_staple=True)
    clinch = launch(stapled(site, "mode = auto\ntimeout = 2s"))
    assert status_of(clinch.port(), ca) is None
    clinch.wait_log(rf"outcome=({outcome})\b")


@pytest.mark.parametrize("tls", ["-tls1_2", "-tls1_3"])
def test_what_is_added_on_the_way_reaches_no_client(launch, ca, responders, stapled, tls):
    """Proves rule 8a: certificates are not covered by the signature, so 100 KB
    of them may be added on the way; each client in each version of TLS gets the
    response without them."""
    responder = responders("padded")
    site = ca.issue(ocsp=responder.url)
    clinch = launch(stapled(site, "mode = always\nmax_response = 256k"))
    assert status_of(clinch.port(), ca, tls) == "good"
    staple = staple_of(clinch.port(), ca, site, "--priority", f"NORMAL:-VERS-ALL:+VERS-TLS1.{tls[-1]}")
    assert staple.status == "good" and len(staple.der) < 1000


def test_what_is_added_on_the_way_is_no_news(launch, ca, responders, stapled, tmp_path):
    """Proves rule 8a for the store: a file of an earlier version, which saved
    what came, is stapled without what was added, and written anew."""
    responder = responders()
    site = ca.issue(ocsp=responder.url)
    text = stapled(site, "mode = always", head=f"store_dir = {tmp_path}/state")
    file = tmp_path / "state/ocsp" / site.id
    first = launch(text)
    before = staple_of(first.port(), ca, site)
    until(file.exists, "the response is on disk")
    first.terminate()
    file.write_bytes(der.append(before.der, *[ca.certificate] * 100))
    assert len(file.read_bytes()) > 30000
    responder.stop()
    second = launch(text)
    assert staple_of(second.port(), ca, site) == before
    until(lambda: file.read_bytes() == before.der, "the file is written anew")
    assert not second.grep("not used")


@pytest.mark.parametrize("mode, must_staple, sent", [("prefer", False, None), ("prefer", True, "good"), ("always", False, "good")])
def test_a_response_that_begins_with_another(launch, ca, responders, stapled, mode, must_staple, sent):
    """Proves rule 12a: GnuTLS refuses such a response, so a certificate that may
    go without a staple goes without; it counts as held, and is logged once."""
    responder = responders("other_first")
    site = ca.issue(ocsp=responder.url, must_staple=must_staple)
    ca.issue("other", ocsp=responder.url)
    clinch = launch(stapled(site, f"mode = {mode}", head="[log]\nlevel = info"))
    assert status_of(clinch.port(), ca) == sent
    said = "stapled, because" if sent else "held, not stapled"
    assert len(clinch.grep(rf"warning ocsp .*first entry .*{said}")) == 1
    clinch.terminate()
    assert bool(clinch.grep(r"staples .*unsent_not_first=1")) == (sent is None)


@pytest.mark.parametrize("behaviour", ["good", "delegated"])
@pytest.mark.parametrize("begins, days", [(60, -30), (-30, 60)], ids=["expired", "future"])
def test_a_renewed_authority(launch, ca, responders, stapled, behaviour, begins, days):
    """Proves rule 14: of two certificates of one CA's key and name the chain
    has one that has expired, or is not valid yet; only the dates of the
    delegate count."""
    responder = responders(behaviour)
    site = ca.issue(ocsp=responder.url, chain=False)
    twin = ca.twin(begins, days)
    site.pem.write_bytes(site.pem.read_bytes() + twin.public_bytes(Encoding.PEM))
    clinch = launch(stapled(site, "mode = always"))
    assert status_of(clinch.port(), ca) == "good"


HOSTILE = [
    "file:///etc/passwd",
    "ftp://127.0.0.1/",
    "http://user:secret@127.0.0.1:9/",
    "http://",
    "http:///nowhere",
    "gopher://127.0.0.1:70/_x",
    "ldap://127.0.0.1/cn=ocsp",
    "http://[::1",
    "http://127.0.0.1:99999/",
    "http://exa mple/",
    "http://" + "a" * 5000 + "/",
    "javascript:alert(1)",
]


def test_hostile_urls_in_a_certificate(launch, ca, responders, stapled):
    """Proves that no URL of a certificate does harm: it is left out with its
    reason, and the valid one behind them is used."""
    responder = responders()
    site = ca.issue(ocsp=[*HOSTILE, responder.url], must_staple=True)
    clinch = launch(stapled(site, "mode = auto\ntimeout = 2s"))
    assert status_of(clinch.port(), ca) == "good"


def test_the_second_url_is_always_tried(launch, ca, responders, stapled):
    """Proves rule 25: one try gets at most a third of the deadline, so a slow
    drip on the first URL does not cost the staple."""
    dripping, honest = responders("slow_drip"), responders()
    site = ca.issue(ocsp=[dripping.url, honest.url])
    clinch = launch(stapled(site, "mode = always\ntimeout = 3s"))
    assert status_of(clinch.port(), ca) == "good"


@pytest.mark.parametrize("behaviour", ["http_500", "wrong_serial", "foreign_signer", "expired", "unknown", "hang", "older"])
def test_what_is_held_is_kept(launch, ca, responders, stapled, behaviour):
    """Proves rules 5 and 16: while the held response is valid, nothing that
    fails takes its place."""
    responder = responders()
    responder.window(-4, 8)
    site = ca.issue(ocsp=responder.url, must_staple=True)
    ca.issue("other", ocsp=responder.url)
    clinch = launch(stapled(site, "mode = must\ntimeout = 1s"))
    held = staple_of(clinch.port(), ca, site)
    if behaviour == "older":
        responder.window(-4, 3600)
    responder.behave(behaviour)
    before = responder.count()
    until(lambda: responder.count() > before, "asked again", 20)
    until(lambda: clinch.grep(r"ocsp .*outcome=") or responder.count() > before + 1, "the failure", 5)
    assert staple_of(clinch.port(), ca, site) == held


def test_retry_after_is_honoured(launch, ca, responders, stapled):
    """Proves rule 19: after a 503 with Retry-After: 120 no request is sent,
    nor by the other method, while an ordinary failure would cause two."""
    polite, plain = responders("retry_after"), responders("http_404")
    first, second = ca.issue(ocsp=polite.url, label="polite"), ca.issue(ocsp=plain.url, label="plain")
    text = stapled(first, "mode = prefer") + stapled(second, name="plain").replace("[ocsp]", "")
    launch(text)
    asked = plain.count()
    until(lambda: plain.count() >= 2 * asked, "the other is retried", 60)
    assert polite.count() == 1
