"""What has expired is never sent, not for one second: rules 6 to 8, 22."""

import datetime

import pytest

from lib.clock import Clock, needs_faketime
from lib.stapled import Refused, s_client, staple_of, status_of
from lib.wait import until

HOUR = 3600

# libfaketime reads the file of the clock inside the process, again and again.
CLOCK_FILE = "sandbox = off"


@needs_faketime
@pytest.mark.parametrize("without, ends", [("serve", None), ("refuse", Refused)])
def test_over_next_update(launch, ca, responders, stapled, tmp_path, without, ends):
    """Proves rule 6 with the clock of the real binary moved: stapled one
    second before nextUpdate, not one second after, and without_staple applies
    to clients with status_request only."""
    responder, clock = responders(), Clock(tmp_path)
    site = ca.issue(ocsp=responder.url)
    clinch = launch(stapled(site, f"mode = always\nwithout_staple = {without}", head=CLOCK_FILE), env=clock.env())
    staple = staple_of(clinch.port(), ca, site)
    responder.stop()
    left = staple.next_update - datetime.datetime.utcnow()
    clock.set(int(left.total_seconds()) - 20)
    assert status_of(clinch.port(), ca) == "good"
    clock.set(int(left.total_seconds()) + 1)
    if ends:
        with pytest.raises(ends):
            s_client(clinch.port(), ca)
    else:
        assert status_of(clinch.port(), ca) is None
    s_client(clinch.port(), ca, status=False)


@needs_faketime
def test_restart_after_next_update(launch, ca, responders, stapled, tmp_path):
    """Proves that an expired file on disk is no staple either."""
    responder, clock = responders(), Clock(tmp_path)
    site = ca.issue(ocsp=responder.url)
    text = stapled(site, "mode = prefer", head=f"{CLOCK_FILE}\nstore_dir = {tmp_path}/state")
    first = launch(text, env=clock.env())
    until((tmp_path / "state/ocsp" / site.id).exists, "the response is on disk")
    first.terminate()
    responder.stop()
    clock.set(HOUR + 1)
    assert status_of(launch(text, env=clock.env()).port(), ca) is None


@needs_faketime
def test_a_clock_an_hour_slow_is_logged(launch, ca, responders, stapled, tmp_path):
    """Proves rule 15: a response from the future is refused with a hint."""
    responder, clock = responders(), Clock(tmp_path)
    clock.set(-HOUR)
    site = ca.issue(ocsp=responder.url)
    clinch = launch(stapled(site, "mode = prefer", head=CLOCK_FILE), env=clock.env())
    assert status_of(clinch.port(), ca) is None
    assert clinch.grep(r"outcome=not_yet_valid.*") and clinch.grep(r"clock")


@needs_faketime
def test_a_jump_of_the_clock_is_noticed(launch, ca, responders, stapled, tmp_path):
    """Proves rule 22: within a minute after a jump over nextUpdate a request
    is sent, although none was due for half an hour."""
    responder, clock = responders(), Clock(tmp_path)
    responder.window(-60, HOUR)
    site = ca.issue(ocsp=responder.url)
    clinch = launch(stapled(site, "mode = prefer", head=CLOCK_FILE), env=clock.env())
    assert responder.count() == 1
    responder.window(2 * HOUR - 60, 3 * HOUR)
    clock.set(2 * HOUR)
    until(lambda: responder.count() >= 2, "asked again after the jump", 75)
    until(lambda: status_of(clinch.port(), ca) == "good", "a staple for the new time")


@needs_faketime
def test_dated_in_the_future_once_the_clock_is_right(launch, ca, responders, stapled, tmp_path):
    """Proves rule 8b: the clocks of the responder and of the host were a day
    ahead; when they are set right, the response that is held is not sent, and
    within a minute a correct one, although it is older, takes its place."""
    responder, clock = responders(), Clock(tmp_path)
    clock.set(24 * HOUR)
    responder.window(24 * HOUR - 60, 25 * HOUR)
    site = ca.issue(ocsp=responder.url)
    clinch = launch(stapled(site, "mode = prefer", head=CLOCK_FILE), env=clock.env())
    assert status_of(clinch.port(), ca) == "good"
    responder.behave("http_500")
    clock.set(0)
    assert status_of(clinch.port(), ca) is None
    responder.window(-60, HOUR)
    responder.behave("good")
    until(lambda: status_of(clinch.port(), ca) == "good", "a staple for the right time", 90)
    assert staple_of(clinch.port(), ca, site).this_update < datetime.datetime.utcnow()


def test_without_next_update_a_replay_ends(launch, ca, responders, stapled):
    """Proves rule 8: default_lifetime counts from thisUpdate, so a response
    without nextUpdate cannot be replayed for ever."""
    responder = responders()
    site = ca.issue(ocsp=responder.url)
    responder.window(-30, None)
    clinch = launch(stapled(site, "mode = prefer\ndefault_lifetime = 1m"))
    assert status_of(clinch.port(), ca) == "good"
    clinch.stop()
    responder.window(-61, None)
    clinch = launch(stapled(site, "mode = prefer\ndefault_lifetime = 1m"))
    assert status_of(clinch.port(), ca) is None
    assert clinch.grep(r"outcome=expired")


def test_expiry_without_a_refresh(launch, ca, responders, stapled):
    """Proves it with a true clock: a response of seven seconds, the responder
    gone, a staple until the end and none from then on."""
    responder = responders()
    responder.window(-60, 7)
    site = ca.issue(ocsp=responder.url)
    clinch = launch(stapled(site, "mode = always\nwithout_staple = serve"))
    staple = staple_of(clinch.port(), ca, site)
    responder.stop()
    seen = []

    def gone():
        before = datetime.datetime.utcnow()
        seen.append((before, status_of(clinch.port(), ca), datetime.datetime.utcnow()))
        return seen[-1][1] is None

    until(gone, "the staple has ended", 15)
    for before, status, after in seen:
        if status == "good":
            assert before < staple.next_update
        else:
            assert after >= staple.next_update
    clinch.wait_log(r"error ocsp .*expired")


def test_the_expiry_warnings_rise(launch, ca, responders, stapled):
    """Proves rule 37: warnings before the loss, then one error."""
    responder = responders()
    responder.window(-10, 10)
    site = ca.issue(ocsp=responder.url)
    clinch = launch(stapled(site, "mode = prefer"))
    responder.behave("http_500")
    clinch.wait_log(r"error ocsp .*expired", deadline=30)
    warnings = clinch.grep(r"warning ocsp ")
    assert len(warnings) >= 2, clinch.output()
