"""What a start waits for, and what ends it."""

import os
import signal

import pytest

from lib import proxy
from lib.stapled import status_of
from lib.wait import stays, until

NOBODY = {"auto": None, "prefer": None, "must": 1, "always": 1}


@pytest.mark.parametrize("mode", NOBODY)
def test_nobody_to_ask(launch, ca, stapled, mode):
    """Proves the row "nobody to ask": a warning or an info line, or exit 1
    with a sentence that names the certificate and says what to do."""
    site = ca.issue(must_staple=True)
    clinch = launch(stapled(site, f"mode = {mode}", head="[log]\nlevel = info"), ready=NOBODY[mode] is None)
    if NOBODY[mode] is None:
        assert status_of(clinch.port(), ca) is None
        level = "warning" if mode == "auto" else "info"
        assert clinch.grep(rf"{level} ocsp .*(responder|url)")
    else:
        assert clinch.wait_exit() == 1
        assert clinch.grep(r"localhost.*(responder|url)")


@pytest.mark.parametrize("behaviour", ["http_500", "unknown", "foreign_signer", "hang", "reset"])
@pytest.mark.parametrize("mode", ["must", "always"])
def test_failing_ends_a_strict_start(launch, ca, responders, stapled, mode, behaviour):
    """Proves exit 1 after a bounded wait, with the certificate, every URL tried
    and what each said."""
    first, second = responders(behaviour), responders(behaviour)
    site = ca.issue(ocsp=[first.url, second.url], must_staple=True)
    clinch = launch(stapled(site, f"mode = {mode}\ntimeout = 2s"), ready=False)
    assert clinch.wait_exit() == 1
    line = clinch.wait_log(r"localhost.*127\.0\.0\.1")
    assert str(first.port) in line and str(second.port) in line
    assert not clinch.grep("server started")


@pytest.mark.parametrize("behaviour", ["http_500", "unknown", "hang"])
@pytest.mark.parametrize("mode", ["auto", "prefer"])
def test_failing_is_a_warning_otherwise(launch, ca, responders, stapled, mode, behaviour):
    """Proves that auto and prefer open without a staple, and mend themselves."""
    responder = responders(behaviour)
    site = ca.issue(ocsp=responder.url, must_staple=True)
    clinch = launch(stapled(site, f"mode = {mode}\ntimeout = 1s"))
    assert status_of(clinch.port(), ca) is None
    assert len(clinch.grep(r"warning ocsp .*cert=localhost")) == 1
    responder.released.set()
    responder.behave("good")
    until(lambda: status_of(clinch.port(), ca) == "good", "a staple after all", 40)


def test_listeners_stay_closed_until_answered(launch, ca, responders, stapled):
    """Proves that no client is served before the first answer, and that
    SIGTERM works while the start waits."""
    responder = responders("hang")
    site = ca.issue(ocsp=responder.url)
    clinch = launch(stapled(site, "mode = always\ntimeout = 60s\nstart_wait = 60s"), ready=False)
    until(lambda: responder.count() == 1, "the responder is asked")
    assert stays(lambda: not clinch.grep("listening"), 0.5)
    os.kill(clinch.pid, signal.SIGTERM)
    assert clinch.wait_exit() == 0


def test_start_wait_ends_the_patience(launch, ca, responders, stapled):
    """Proves start_wait: nothing answered for this time opens the listeners in
    prefer and ends the start in always."""
    responder = responders("hang")
    site = ca.issue(ocsp=responder.url)
    clinch = launch(stapled(site, "mode = prefer\ntimeout = 60s\nstart_wait = 1s"))
    assert status_of(clinch.port(), ca) is None
    assert clinch.grep("warning ocsp serving without a staple .*has answered yet")
    strict = launch(stapled(site, "mode = always\ntimeout = 60s\nstart_wait = 1s"), ready=False)
    assert strict.wait_exit() == 1
    assert strict.grep(r"error ocsp certificate localhost must be stapled.*no responder \(of 1\) has answered yet")


def test_without_staple_at_start_is_for_later(launch, ca, responders, stapled):
    """Proves that without_staple = serve does not soften a strict start."""
    site = ca.issue(ocsp=responders("http_500").url)
    clinch = launch(stapled(site, "mode = always\nwithout_staple = serve"), ready=False)
    assert clinch.wait_exit() == 1


def test_global_ocsp_is_a_mode(launch, ca, responders, stapled):
    """Proves `ocsp = false` (never) and `ocsp = true` (auto) in [global]."""
    responder = responders()
    site = ca.issue(ocsp=responder.url, must_staple=True)
    for word, status in (("false", None), ("true", "good")):
        clinch = launch(stapled(site, head=f"[global]\nocsp = {word}").replace("[ocsp]\n", ""))
        assert status_of(clinch.port(), ca) == status


def test_listener_overrides_the_mode(launch, ca, responders, stapled):
    """Proves `ocsp` in a listener, both ways."""
    responder = responders()
    site, other = ca.issue(ocsp=responder.url), ca.issue(ocsp=responder.url, label="other")
    text = stapled(site, "mode = never", more="ocsp = always") + stapled(other, name="b").replace("[ocsp]", "")
    clinch = launch(text)
    assert status_of(clinch.port("web"), ca) == "good"
    assert status_of(clinch.port("b"), ca) is None


def test_test_says_what_would_be_stapled(ca, responders, stapled, tmp_path):
    """Proves `clinch --test`: it names mode, must-staple and responders, finds
    nobody to ask, and asks nobody."""
    responder = responders()
    site, bare = ca.issue(ocsp=responder.url, must_staple=True), ca.issue(must_staple=True, label="bare")
    file = tmp_path / "clinch.ini"
    file.write_text(stapled(site, "mode = must"))
    status, out, err = proxy.run("-c", file, "--test")
    assert status == 0 and "must" in out and "stapl" in out, (out, err)
    file.write_text(stapled(bare, "mode = must"))
    status, out, err = proxy.run("-c", file, "--test")
    assert status == 1 and "localhost" in err, (out, err)
    file.write_text(stapled(site, "mode = must", more="staple_file = later.der"))
    status, out, err = proxy.run("-c", file, "--test")
    assert status == 0 and "later.der does not exist: responses will be picked up when it does" in err, (out, err)
    assert responder.count() == 0
