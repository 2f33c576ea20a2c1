"""A revoked certificate: reported, confirmed, and the effect of the policy."""

import pytest

from lib.stapled import Refused, s_client, staple_of, status_of, wait_staple
from lib.wait import stays, until


@pytest.mark.parametrize("mode", ["must", "always"])
def test_at_start_it_ends_the_process(launch, ca, openssl_ocsp, stapled, mode):
    """Proves exit status 3 with the real responder, after a second request."""
    site = ca.issue(must_staple=True, label="revoked")
    real = openssl_ocsp(revoked=[site], minutes=60)
    clinch = launch(stapled(site, f"mode = {mode}\nurl = {real.url}"), ready=False)
    assert clinch.wait_exit() == 3
    assert clinch.grep("revoked") and not clinch.grep("server started")


@pytest.mark.parametrize("mode", ["auto", "prefer"])
def test_at_start_it_is_stapled(launch, ca, openssl_ocsp, stapled, mode):
    """Proves that auto and prefer go on, staple the status revoked and log an
    error."""
    site = ca.issue(must_staple=True, label="revoked")
    real = openssl_ocsp(revoked=[site], minutes=60)
    clinch = launch(stapled(site, f"mode = {mode}\nurl = {real.url}"))
    assert status_of(clinch.port(), ca) == "revoked"
    assert staple_of(clinch.port(), ca, site).status == "revoked"
    assert clinch.grep(r"error ocsp .*revoked")


def running(launch, responder, text):
    """A proxy whose first response was good and will soon be refreshed."""
    responder.window(-3, 5)
    return launch(text)


@pytest.mark.parametrize("mode", ["must", "always"])
def test_while_running_it_is_confirmed_then_ends(launch, ca, responders, stapled, mode, tls):
    """Proves the exit: a second response confirms, open connections are
    drained, exit status 3."""
    responder = responders()
    site = ca.issue(ocsp=responder.url, must_staple=True)
    clinch = running(launch, responder, stapled(site, f"mode = {mode}", head="[global]\ndrain_timeout = 5s"))
    client = tls(clinch.port())
    assert client.ping()
    responder.behave("revoked")
    clinch.wait_log(r"error ocsp .*revoked", deadline=20)
    clinch.wait_log("drain", deadline=20)
    assert client.ping()
    client.close()
    assert clinch.wait_exit() == 3
    methods = [one.method for one in responder.asked]
    assert "POST" in methods, "the second answer came the other way"


def test_one_response_stops_nothing(launch, ca, responders, stapled):
    """Proves that a "revoked" without a confirming response is stapled, and
    that the process goes on."""
    first, second = responders(), responders()
    site = ca.issue(ocsp=[first.url, second.url], must_staple=True)
    first.window(-3, 5)
    clinch = launch(stapled(site, "mode = must"))
    first.window(-1, 60)
    first.behave("revoked_by_get")
    second.behave("http_500")
    wait_staple(clinch.port(), ca, site, "revoked", deadline=20)
    until(lambda: second.count() >= 2, "the second responder was asked")
    until(lambda: [one for one in first.asked if one.method == "POST"], "the first was asked the other way")
    assert stays(lambda: clinch.process.poll() is None, 0.5)
    assert status_of(clinch.port(), ca) == "revoked"


def test_confirmation_uses_another_url_first(launch, ca, responders, stapled):
    """Proves that the second word comes from another responder if there is one."""
    first, second = responders("revoked"), responders("revoked")
    site = ca.issue(ocsp=[first.url, second.url], must_staple=True)
    clinch = launch(stapled(site, "mode = must"), ready=False)
    assert clinch.wait_exit() == 3
    assert (first.count(), second.count()) == (1, 1)


def test_a_newer_good_response_lifts_it(launch, ca, responders, stapled):
    """Proves certificateHold: an older good response does not replace a
    revoked one, a newer one does."""
    responder = responders("revoked")
    responder.window(-10, 30)
    site = ca.issue(ocsp=responder.url, must_staple=True)
    clinch = launch(stapled(site, "mode = auto"))
    assert status_of(clinch.port(), ca) == "revoked"
    responder.behave("older")
    clinch.wait_log(r"outcome=older\b", deadline=30)
    assert status_of(clinch.port(), ca) == "revoked"
    responder.window(-1, 600)
    responder.behave("good")
    wait_staple(clinch.port(), ca, site, "good", deadline=40)


@pytest.mark.parametrize("on_revoked", ["exit", "refuse", "staple"])
def test_on_revoked_decides(launch, ca, responders, stapled, on_revoked):
    """Proves the key against the mode's default, in auto and always alike."""
    for mode in ("auto", "always"):
        responder = responders("revoked")
        site = ca.issue(ocsp=responder.url, must_staple=True, label=mode)
        clinch = launch(stapled(site, f"mode = {mode}\non_revoked = {on_revoked}"), ready=False)
        if on_revoked == "exit":
            assert clinch.wait_exit() == 3
            continue
        clinch.ready()
        if on_revoked == "staple":
            assert status_of(clinch.port(), ca) == "revoked"
        else:
            with pytest.raises(Refused):
                s_client(clinch.port(), ca)
            clinch.wait_log("handshake failed .*client requested a staple, and there is no valid one")
            s_client(clinch.port(), ca, status=False)


def test_a_tenants_revocation_is_its_own(launch, ca, responders, stapled):
    """Proves the default where the mode comes from a listener: its handshakes
    are refused, the others go on."""
    responder = responders()
    good, bad = ca.issue(ocsp=responder.url, label="good"), ca.issue(ocsp=responder.url, label="bad")
    responder.behave("revoked", bad)
    text = stapled(good, "mode = always") + stapled(bad, name="tenant", more="ocsp = always").replace("[ocsp]", "")
    clinch = launch(text)
    assert status_of(clinch.port("web"), ca) == "good"
    with pytest.raises(Refused):
        s_client(clinch.port("tenant"), ca)
    assert stays(lambda: clinch.process.poll() is None, 0.5)


def keep_revoked(launch, ca, responder, stapled, site, state):
    """A store with a revoked response."""
    responder.behave("revoked")
    first = launch(stapled(site, "mode = auto", head=state))
    assert status_of(first.port(), ca) == "revoked"
    first.terminate()


@pytest.mark.parametrize(
    "mode, answer, ends",
    [
        ("auto", None, "revoked"),
        ("prefer", None, "revoked"),
        ("must", None, 3),
        ("always", None, 3),
        ("must", "good", "good"),
        ("always", "good", "good"),
        ("must", "revoked", 3),
    ],
)
def test_a_revoked_file_is_confirmed_by_a_request(launch, ca, responders, stapled, tmp_path, mode, answer, ends):
    """Proves the row "revoked L on disk": it never stops a process without a
    request; a newer good response replaces it, after a failed attempt or a
    second response it counts."""
    responder = responders()
    state = f"store_dir = {tmp_path}/state"
    site = ca.issue(ocsp=responder.url, must_staple=True)
    keep_revoked(launch, ca, responder, stapled, site, state)
    before = responder.count()
    if answer:
        responder.window(-1, 3600)
        responder.behave(answer)
    else:
        responder.behave("http_500")
    clinch = launch(stapled(site, f"mode = {mode}", head=state), ready=False)
    if ends == 3:
        assert clinch.wait_exit() == 3
    else:
        assert status_of(clinch.ready().port(), ca) == ends
    assert responder.count() > before
