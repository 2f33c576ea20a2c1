"""Staples over reloads: kept, waited for, refused."""

import os
import shutil
import signal

import pytest

from lib.stapled import Refused, s_client, staple_of, status_of, wait_staple
from lib.wait import stays, until


def test_a_reload_sends_no_request(launch, ca, responders, stapled):
    """Proves rule 1 for reloads: the same staple before, during and after, and
    no request for a certificate that did not change."""
    responder = responders()
    site = ca.issue(ocsp=responder.url, must_staple=True)
    text = stapled(site, "mode = must")
    clinch = launch(text)
    before = staple_of(clinch.port(), ca, site)
    responder.stop()
    for extra in ("", "timeout_idle = 1h", "timeout_idle = 2h"):
        clinch.write(text + extra + "\n")
        assert "reloaded" in clinch.reload()
        assert staple_of(clinch.port(), ca, site) == before
    assert responder.count() == 1


def both(stapled, old, new, mode):
    """A listener that was there before and one that is new."""
    return stapled(old, f"mode = {mode}") + stapled(new, name="new").replace("[ocsp]", "")


REFUSED = ["revoked", "http_500", "unknown", "hang"]


@pytest.mark.parametrize("behaviour", REFUSED)
@pytest.mark.parametrize("mode", ["must", "always"])
def test_a_strict_reload_is_refused(launch, ca, responders, stapled, mode, behaviour):
    """Proves that the old generation goes on with its staple if a new
    certificate is revoked or gets no response."""
    responder = responders()
    site, new = ca.issue(ocsp=responder.url, must_staple=True), ca.issue(ocsp=responder.url, must_staple=True, label="new")
    responder.behave(behaviour, new)
    clinch = launch(stapled(site, f"mode = {mode}\ntimeout = 1s"))
    port, before = clinch.port(), staple_of(clinch.port(), ca, site)
    text = both(stapled, site, new, mode).replace(f"mode = {mode}", f"mode = {mode}\ntimeout = 1s")
    clinch.write(text)
    assert "refused" in clinch.reload()
    assert staple_of(port, ca, site) == before
    responder.behave("good", new)
    clinch.write(text)
    assert "reloaded" in clinch.reload()
    assert staple_of(clinch.port("new"), ca, new).status == "good"


@pytest.mark.parametrize("behaviour, status", [("revoked", "revoked"), ("http_500", None), ("unknown", None), ("hang", None)])
@pytest.mark.parametrize("mode", ["auto", "prefer"])
def test_a_lenient_reload_goes_through(launch, ca, responders, stapled, mode, behaviour, status):
    """Proves the same rows for auto and prefer."""
    responder = responders()
    site, new = ca.issue(ocsp=responder.url, must_staple=True), ca.issue(ocsp=responder.url, must_staple=True, label="new")
    responder.behave(behaviour, new)
    clinch = launch(stapled(site, f"mode = {mode}\ntimeout = 1s"))
    clinch.write(both(stapled, site, new, mode).replace(f"mode = {mode}", f"mode = {mode}\ntimeout = 1s"))
    assert "reloaded" in clinch.reload()
    assert status_of(clinch.port("web"), ca) == "good"
    assert status_of(clinch.port("new"), ca) == status


@pytest.mark.parametrize("mode", ["must", "always"])
def test_no_responder_refuses_the_reload(launch, ca, responders, stapled, mode):
    """Proves the row "no responder" for reloads."""
    site, new = ca.issue(ocsp=responders().url, must_staple=True), ca.issue(must_staple=True, label="new")
    clinch = launch(stapled(site, f"mode = {mode}"))
    clinch.write(both(stapled, site, new, mode))
    assert "refused" in clinch.reload()
    assert status_of(clinch.port(), ca) == "good"


@pytest.mark.parametrize("mode", ["must", "always"])
def test_taking_the_responder_away_is_refused(launch, ca, responders, stapled, mode):
    """Proves the same row for a certificate that runs already: what the new
    configuration breaks is not taken for broken before."""
    responder = responders()
    responder.window(-4, 6)
    site = ca.issue(must_staple=True)
    clinch = launch(stapled(site, f"mode = {mode}\nurl = {responder.url}"))
    clinch.write(stapled(site, f"mode = {mode}"))
    assert "refused" in clinch.reload()
    assert clinch.grep("must be stapled, but there is no responder URL")
    before = responder.count()
    until(lambda: responder.count() > before, "the responder is asked again", 20)
    assert status_of(clinch.port(), ca) == "good"


@pytest.mark.parametrize("mode", ["must", "always"])
def test_a_strict_mode_may_come_with_its_certificate(launch, ca, responders, stapled, mode):
    """Proves that the certificate that is replaced need not fulfil the new
    mode: the new one serves, stapled, when the reload is done."""
    old, new = ca.issue(label="plain"), ca.issue(ocsp=responders().url, must_staple=True, label="new")
    clinch = launch(stapled(old, "mode = auto"))
    clinch.write(stapled(new, f"mode = {mode}"))
    assert "reloaded" in clinch.reload()
    assert staple_of(clinch.port(), ca, new).status == "good"


def test_what_was_held_is_inherited(launch, ca, responders, stapled):
    """Proves "failure, on reload: L is inherited", for a mode that changes."""
    responder = responders()
    site = ca.issue(ocsp=responder.url, must_staple=True)
    clinch = launch(stapled(site, "mode = auto"))
    before = staple_of(clinch.port(), ca, site)
    responder.behave("http_500")
    clinch.write(stapled(site, "mode = always"))
    assert "reloaded" in clinch.reload()
    assert staple_of(clinch.port(), ca, site) == before


def test_from_never_to_always_and_back(launch, ca, responders, stapled):
    """Proves that the mode is reloadable and that a reload waits for the first
    response."""
    responder = responders()
    site = ca.issue(ocsp=responder.url)
    clinch = launch(stapled(site, "mode = never"))
    assert status_of(clinch.port(), ca) is None
    clinch.write(stapled(site, "mode = always"))
    assert "reloaded" in clinch.reload()
    assert status_of(clinch.port(), ca) == "good"
    clinch.write(stapled(site, "mode = never"))
    assert "reloaded" in clinch.reload()
    assert status_of(clinch.port(), ca) is None


def test_settings_are_put_back_with_a_refused_reload(launch, ca, responders, stapled):
    """Proves that a refused reload leaves the settings of the requests
    unchanged."""
    first, second = responders(), responders("http_500")
    first.window(-4, 6)
    site, new = ca.issue(label="a"), ca.issue(label="b")
    clinch = launch(stapled(site, f"mode = always\nurl = {first.url}"))
    clinch.write(stapled(site, f"mode = always\nurl = {second.url}") + stapled(new, name="new").replace("[ocsp]", ""))
    assert "refused" in clinch.reload()
    before = first.count()
    until(lambda: first.count() > before, "the first responder is asked again", 20)
    wait_staple(clinch.port(), ca, site)


def serial_at(port, ca):
    """Which certificate is shown, in hex."""
    import re
    import ssl as tls

    from cryptography import x509

    pem = tls.get_server_certificate(("127.0.0.1", port))
    return x509.load_pem_x509_certificate(pem.encode()).serial_number


@pytest.fixture
def renewing(launch, ca, responders, stapled, tmp_path):
    """A proxy, its responder, and a way to put another certificate in place."""

    class Renewing:
        def __init__(self, mode, days=90):
            self.responder = responders()
            self.old = ca.issue(ocsp=self.responder.url, must_staple=True, label="old", days=days)
            self.new = ca.issue(ocsp=self.responder.url, must_staple=True, label="renewed")
            self.place = ca.issue(label="place")
            shutil.copy(self.old.pem, self.place.pem)
            self.clinch = launch(stapled(self.place, f"mode = {mode}\ntimeout = 4s\nstart_wait = 8s"))

        def renew(self):
            shutil.copy(self.new.pem, self.place.pem)
            return self.clinch.reload()

        def shows(self, files):
            return serial_at(self.clinch.port(), ca) == files.serial

    return Renewing


@pytest.mark.parametrize("mode", ["auto", "must", "always", "prefer"])
def test_a_renewal_with_its_staple_serves_at_once(renewing, ca, mode):
    """Proves rule 5a's everyday case: when the reload is logged as done, the
    new certificate serves, stapled."""
    one = renewing(mode)
    assert "reloaded" in one.renew()
    assert one.shows(one.new)
    assert staple_of(one.clinch.port(), ca, one.new).status == "good"


@pytest.mark.parametrize("mode", ["auto", "must", "always", "prefer"])
@pytest.mark.parametrize("behaviour", ["unauthorized", "http_500", "hang"])
def test_a_renewal_waits_for_its_staple(renewing, ca, mode, behaviour):
    """Proves rule 5a: the old certificate and its staple serve until the new
    one has its own, and the swap happens by itself, in every mode."""
    one = renewing(mode)
    one.responder.behave(behaviour, one.new)
    assert "reloaded" in one.renew()
    assert one.shows(one.old)
    assert staple_of(one.clinch.port(), ca, one.old).status == "good"
    one.clinch.wait_log("waits for its staple")
    one.responder.behave("good")
    until(lambda: one.shows(one.new), "the swap happens by itself", 60)
    assert staple_of(one.clinch.port(), ca, one.new).status == "good"


@pytest.mark.parametrize("mode, said", [("must", "refused"), ("always", "refused"), ("auto", "reloaded")])
def test_a_revoked_renewal(renewing, ca, mode, said):
    """Proves the row "revoked, on reload" for a renewed certificate: strict
    modes refuse, and the old one goes on."""
    one = renewing(mode)
    one.responder.behave("revoked", one.new)
    assert said in one.renew()
    if said == "refused":
        assert one.shows(one.old)
        assert staple_of(one.clinch.port(), ca, one.old).status == "good"
    else:
        assert status_of(one.clinch.port(), ca) in ("revoked", "good")


def test_a_revoked_certificate_gives_way_to_its_renewal(renewing, ca, stapled):
    """Proves that rule 5a ends with the old certificate's validity: a CA often
    revokes a replaced certificate. No strict mode ends the process for a
    certificate that is being replaced, even while a reload delays the swap."""
    one = renewing("always\nmin_interval = 1s\nmax_interval = 2s")
    other = ca.issue(ocsp=one.responder.url, label="other")
    one.responder.behave("unauthorized", one.new)
    assert "reloaded" in one.renew()
    one.responder.behave("hang", other)
    text = one.clinch.file.read_text().replace("timeout = 4s\nstart_wait = 8s", "timeout = 30s\nstart_wait = 6s")
    one.clinch.write(text + stapled(other, name="b").replace("[ocsp]", ""))
    os.kill(one.clinch.pid, signal.SIGHUP)
    until(lambda: one.responder.count(other), "the reload waits")
    one.responder.behave("revoked", one.old)
    one.clinch.wait_log("confirmed by a second response")
    assert one.shows(one.old)
    one.clinch.wait_log("reload refused", deadline=20)
    until(lambda: one.shows(one.new), "the new one serves", 20)


def test_a_certificate_that_expires_soon_is_replaced(renewing, ca):
    """Proves the end of rule 5a: with less than an hour to notAfter the new one
    serves, staple or not."""
    one = renewing("auto", days=0.03)
    one.responder.behave("unauthorized", one.new)
    assert "reloaded" in one.renew()
    assert one.shows(one.new)


def test_another_reload_while_one_waits(renewing, ca, stapled):
    """Proves that reloads go on while a renewal waits, and that it still
    arrives afterwards."""
    one = renewing("auto")
    one.responder.behave("unauthorized", one.new)
    assert "reloaded" in one.renew()
    assert "reloaded" in one.clinch.reload()
    assert one.shows(one.old)
    one.responder.behave("good")
    until(lambda: one.shows(one.new), "the swap", 60)


def test_a_hundred_reloads_keep_the_staple(launch, ca, responders, stapled):
    """Proves that reloads under clients lose neither staples nor memory."""
    responder = responders()
    site = ca.issue(ocsp=responder.url, must_staple=True)
    text = stapled(site, "mode = must")
    clinch = launch(text)
    for i in range(100):
        clinch.write(text + f"timeout_idle = {i + 1}h\n")
        assert "reloaded" in clinch.reload()
        if i % 10 == 0:
            assert status_of(clinch.port(), ca) == "good"
        if i == 10:
            settled = clinch.memory_kb()
    assert responder.count() == 1
    assert clinch.memory_kb() <= settled * 1.1 + 1024
