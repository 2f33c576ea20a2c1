"""The status page in a browser: with the real binary, and with documents that
no binary would send.

Needs chromium and chromedriver (scripts/install-deps page).  Where they are too
large to install, CLINCH_WITHOUT_BROWSER=1 skips this file."""

import os
import re
import shutil
import time

import pytest

from lib import status_sample as sample
from lib.browser import Browser
from lib.page_server import PageServer
from lib.proxy import fields
from lib.wait import until

pytestmark = pytest.mark.skipif(
    os.environ.get("CLINCH_WITHOUT_BROWSER", "") not in ("", "0"), reason="CLINCH_WITHOUT_BROWSER is set"
)

SHOWN = "!document.getElementById('main').hidden"


@pytest.fixture(scope="module")
def chromium(tmp_path_factory):
    for program in ("chromium", "chromedriver"):
        assert shutil.which(program), f"no {program}: scripts/install-deps page, or set CLINCH_WITHOUT_BROWSER=1"
    one = Browser(tmp_path_factory.mktemp("chromium"))
    yield one
    one.close()


@pytest.fixture
def page(chromium):
    """The browser with an empty page and empty logs, 1,000 points wide, light."""
    chromium.open("about:blank")
    chromium.screen(1000, 800)
    chromium.media()
    chromium.console(), chromium.requests()
    return chromium


@pytest.fixture
def show(page):
    """show(document): the page, once it has drawn the document, and its server."""
    started = []

    def start(document, **options):
        started.append(PageServer(document, **options))
        page.open(started[-1].url)
        page.until(SHOWN)
        return started[-1]

    yield start
    for one in started:
        one.close()


def row(page, name):
    """What the row of a certificate shows, or ""."""
    return page.run(
        """return [...document.querySelectorAll(".certificate")]
            .find((one) => one.querySelector("h3").textContent === arguments[0])?.innerText ?? "";""",
        name,
    )


def only_status_was_requested(page, url):
    asked = [one for one in page.requests() if not one[1].startswith("data:")]
    assert asked[0] == ("GET", url)
    assert len(asked) > 1 and set(asked[1:]) == {("GET", url + "status")}


# ---- The real binary ----



@pytest.fixture
def four(launch, ca, responders, serve):
    """A clinch with a healthy, an expiring, a failing and a revoked certificate,
    and the address of its page."""
    backend = serve().connect
    lines = ["[admin]", "listen = 127.0.0.1:0", "[ocsp]", "mode = prefer"]
    for name, behaviour, options in (
        ("healthy", "good", {"begins": 10}),
        ("expiring", "good", {"days": 5}),
        ("failing", "http_500", {"begins": 10}),
        ("revoked", "revoked", {"begins": 10}),
    ):
        files = ca.issue(f"{name}.example", ocsp=responders(behaviour).url, names=[f"{name}.example", "localhost"], **options)
        lines += [f"[listener {name}]", "accept = 127.0.0.1:0", f"connect = {backend}", f"cert = {files.pem}"]
    clinch = launch("\n".join(lines) + "\n")
    line = clinch.wait_log(r"admin listening .*address=")
    return clinch, f"http://{fields(line)['address']}/"


def test_certificates_are_shown_as_they_are(four, page):
    """Proves severity, what clients get and the words of four time lines with
    the real endpoint; no console error, no request but GET status."""
    clinch, url = four
    page.open(url)
    page.until(SHOWN)
    until(lambda: "a staple: good" in row(page, "healthy.example"), "healthy", 20)
    until(lambda: "a staple: revoked" in row(page, "revoked.example"), "revoked", 20)
    until(lambda: "HTTP 500" in row(page, "failing.example"), "failing", 20)
    healthy, expiring = row(page, "healthy.example"), row(page, "expiring.example")
    failing, revoked = row(page, "failing.example"), row(page, "revoked.example")
    assert "✓ good" in healthy and re.search(r"ends in (89|90) days", healthy) and "next fetch in" in healthy
    assert "Last error" not in healthy
    assert "▲ warning" in expiring and re.search(r"ends in [45] days", expiring)
    assert "good" not in failing and "none held" in failing and "Last error" in failing
    assert "✕ critical" in revoked and "Staple revoked" in revoked
    names = page.texts(".certificate h3")
    assert names[-1] == "healthy.example" and len(names) == 4, "worst first"
    assert "serving, ready" in page.text("#state")
    assert page.console() == []
    only_status_was_requested(page, url)


def test_connections_and_a_failed_reload_are_shown(four, page, tls):
    """Proves the counters of a listener, a failed reload in words, and the
    banner once the process has ended."""
    clinch, url = four
    page.open(url)
    page.until(SHOWN)
    client = tls(clinch.port("healthy"))
    assert client.ping()
    card = "return [...document.querySelectorAll('.listener')].find((one) => one.innerText.startsWith('healthy')).innerText"
    until(lambda: "1\nconnections" in page.run(card), "1 connection", 20)
    until(lambda: "1 done" in page.run(card), "1 handshake", 20)
    clinch.write("[listener healthy]\nacept = 443\n")
    clinch.reload()
    page.until("document.getElementById('problems').innerText.includes('The last reload failed')")
    assert "acept" in page.text("#problems")
    assert page.console() == []
    client.close()
    clinch.terminate()
    page.until("!document.getElementById('gone').hidden")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_a_phone(four, page, scheme):
    """Proves 360 points without horizontal scrolling, and legible text, with
    the real document."""
    clinch, url = four
    page.screen(360, 740)
    page.media(scheme)
    page.open(url)
    page.until(SHOWN)
    until(lambda: row(page, "revoked.example"), "the rows")
    assert page.value("document.documentElement.scrollWidth") == 360
    assert page.run(CONTRAST) == []


# ---- A document of ours ----


def test_worst_first_in_words(show, page):
    """Proves the words of each kind of certificate, and their order."""
    now = int(time.time())
    show(sample.status(now=now))
    shown = [text.split("\n")[0] for text in page.texts(".certificate .head > .mark")]
    order = ["✕ critical", "▲ warning", "ℹ notice", "✓ good"]
    assert shown == sorted(shown, key=order.index) and set(shown) == set(order)
    legacy, shop = row(page, "legacy.example.org"), row(page, "shop.example.org")
    assert "Clients get a staple: revoked" in legacy and "Staple revoked" in legacy
    assert "ends in 40 days" in legacy and "next fetch in 7 hours" in legacy
    assert "Last error (7 in a row): fetch failed: connection refused" in shop and "none held" in shop
    assert "ends in 26 hours" in row(page, "api.example.org")
    assert "stapling is off (mode never)" in row(page, "edge.example.org")
    assert "renewal, not in service yet" in row(page, "mail.example.org")
    assert "stale: was due 5 hours ago" in page.text("#crls")
    assert "▲ resting\ndovecot:143" in page.text("#listeners")
    assert page.console() == []


def test_the_bars_have_the_scale_of_the_document(show, page):
    """Proves where "now", the end of the past and the next fetch are drawn:
    62 of 90 days are left, 5 of 7 days of the staple, the fetch is half-way."""
    now = int(time.time())
    ocsp = sample.staple(now, -2 * sample.DAY, 5 * sample.DAY, 1.5 * sample.DAY)
    late = sample.staple(now, -6 * sample.DAY, -2 * sample.DAY, sample.DAY, state="expired")
    show(sample.status([sample.certificate(now, "a", -28, 62, ocsp), sample.certificate(now, "b", -28, 62, late)], now))
    left = """const [row, bar, part] = arguments;
        const found = document.querySelectorAll(".certificate")[row].querySelectorAll(".bar")[bar].querySelector("." + part);
        return found.hidden ? null : [parseFloat(found.style.left), parseFloat(found.style.width)];"""
    names = page.texts(".certificate h3")
    a, b = names.index("a"), names.index("b")
    assert page.run(left, a, 0, "rest") == pytest.approx([28 / 90 * 100, 62 / 90 * 100], abs=0.1)
    assert page.run(left, a, 0, "at")[0] == pytest.approx(28 / 90 * 100, abs=0.1)
    assert page.run(left, a, 0, "window") == pytest.approx([26 / 90 * 100, 7 / 90 * 100], abs=0.1)
    assert page.run(left, a, 1, "past") == pytest.approx([0, 2 / 7 * 100], abs=0.1)
    assert page.run(left, a, 1, "fetch")[0] == pytest.approx(50, abs=0.1)
    assert page.run(left, a, 1, "over") is None
    assert page.run(left, b, 1, "over") == pytest.approx([4 / 6 * 100, 2 / 6 * 100], abs=0.1), "ended two days ago"
    assert page.run(left, b, 1, "rest") is None and "ended 2 days ago" in row(page, "b")


def test_a_thousand_certificates(page, show):
    """Proves that they are drawn in well under a second (of CPU: other tests run
    beside this one), fifty at a time, and that filter and severity find each."""
    page.cdp("Performance.enable", timeDomain="threadTicks")
    server = show(sample.many(1000))
    assert page.value("document.body.offsetHeight") > 0, "layout is done"
    spent = {one["name"]: one["value"] for one in page.cdp("Performance.getMetrics")["metrics"]}["TaskDuration"]
    page.cdp("Performance.disable")
    assert spent < 0.6, "seconds of CPU, loading included"
    rows = "document.querySelectorAll('.certificate').length"
    assert page.value(rows) == 50 and "50 of 1,000" in page.text("#shown")
    page.run("document.getElementById('more').click()")
    assert page.value(rows) == 100
    page.type("#filter", "HOST-0987 web")
    assert page.texts(".certificate h3") == ["host-0987.example.org"]
    page.type("#filter", "")
    page.run("[...document.querySelectorAll('#severities button')].find((one) => one.innerText.includes('critical')).click()")
    assert set(page.texts(".certificate h3")) == {"legacy.example.org", "shop.example.org"}
    before = len(server.asked)
    until(lambda: len(server.asked) > before + 1, "two more polls")
    assert page.value(rows) == 2, "a poll keeps the choice"
    page.type("#filter", "no such thing")
    assert page.value(rows) == 0 and page.text("#shown") == "No certificate matches."


HOSTILE = """<img src=x onerror="window.hacked=1"><script>window.hacked=1</script>"'>&lt;${window.hacked=1}"""


def spoiled(value, text):
    """The same document with this text for each string in it, keys included."""
    if isinstance(value, dict):
        return {key: spoiled(one, text) for key, one in value.items()} | ({text: 1} if "good" in value else {})
    if isinstance(value, list):
        return [spoiled(one, text) for one in value]
    return text if isinstance(value, str) else value


def test_text_is_never_markup(show, page):
    """Proves that hostile names, errors and files are shown as they are."""
    document = spoiled(sample.status(), HOSTILE)
    document["ready"], document["reasons"] = False, [HOSTILE]
    document["reload"]["last_result"] = "failure"
    server = show(document)
    for button in range(3):
        page.run("document.querySelectorAll('.certificate button')[arguments[0]].click()", button)
    assert row(page, HOSTILE) and HOSTILE in page.text("#problems") and HOSTILE in page.text("#crls")
    assert page.text(".facts").count(HOSTILE) > 5
    assert page.value("window.hacked ?? null") is None
    assert page.value("document.querySelectorAll('img, main script').length") == 0
    assert page.console() == []
    assert {path for _, path in server.asked} == {"/", "/status"}
    only_status_was_requested(page, server.url)


ODD = {
    "empty": {},
    "an array": [],
    "null": None,
    "empty parts": {"listeners": [{}], "certificates": [{}, {"staple": {}}], "crls": [{}], "reload": {}},
    "nulls": {"listeners": [None], "certificates": [None], "crls": [None], "reload": None, "reasons": [None], "ready": None},
    "wrong types": {
        "now": "x", "pid": {}, "version": [], "state": 7, "ready": "yes", "reload": [], "listeners": {"a": 1}, "crls": 3,
        "certificates": [{"name": {}, "not_before": "a", "not_after": [], "listeners": "web", "staple": "good", "severity": 3}],
    },
    "no times": {"now": 1, "certificates": [{"not_before": -1e300, "not_after": 1e300, "staple": {"state": "good", "this_update": 1e18, "expires": -1e18}}]},
    "backwards": {"now": 5, "certificates": [{"not_before": 9, "not_after": 1, "staple": {"state": "good", "this_update": 9, "next_update": 1}}]},
}  # fmt: skip


@pytest.mark.parametrize("document", ODD.values(), ids=ODD.keys())
def test_odd_documents(show, page, document):
    """Proves that missing fields and values of other types are shown as unknown."""
    show(document)
    page.run("document.querySelectorAll('.certificate button').forEach((one) => one.click())")
    assert page.value("document.getElementById('gone').hidden")
    assert "NaN" not in page.text() and "undefined" not in page.text() and "[object" not in page.text()
    assert page.console() == []


def test_every_field_may_be_missing(show, page):
    """Proves the same for each field by itself: the page polls one document
    after another."""
    whole = sample.status()
    ways = [(path, key) for path in ((), ("reload",), ("listeners", 0), ("certificates", 12), ("certificates", 12, "staple"), ("crls", 0))
            for key in at(whole, path)]  # fmt: skip
    sent = []

    def without():
        made = sample.status()
        path, key = ways[len(sent) % len(ways)]
        del at(made, path)[key]
        sent.append(key)
        return made

    page.run_first("const wait = setTimeout; window.setTimeout = (run, ms) => wait(run, ms === 2000 ? 10 : ms);")
    show(without)
    until(lambda: len(sent) > len(ways), "all of them", 60)
    assert page.value("document.getElementById('gone').hidden"), page.text("#gone")
    assert page.console() == []


def at(document, path):
    for step in path:
        document = document[step]
    return document


def test_rates_come_from_successive_counters(show, page):
    """Proves the rate of new connections, and that another process with lower
    counters shows none below zero."""
    begin = time.monotonic()
    changes = {"pid": 1}

    def document():
        accepted = 10_000 + int(100 * (time.monotonic() - begin)) if changes["pid"] == 1 else 3
        backends = [sample.backend("a:1")]
        return sample.status(start_time=1_700_000_000, listeners=[sample.listener("web", accepted, backends)], **changes)

    server = show(document)
    fresh = "document.querySelectorAll('.listener .now b')[1].innerText"
    assert page.value(fresh) == "–"
    page.until(f"Math.abs(Number({fresh}) - 100) < 25")
    changes["pid"] = 2
    before = len(server.asked)
    page.until(f"{fresh} === '–' || Number({fresh}) === 0")
    until(lambda: len(server.asked) > before + 2, "a rate of the new process")
    page.until(f"Number({fresh}) === 0")


def test_the_process_goes_and_comes_back(show, page):
    """Proves the banner with the age of the data while connections are refused,
    and that it goes away by itself."""
    server = show(sample.status())
    assert page.value("document.getElementById('gone').hidden")
    server.stop()
    page.until("document.getElementById('gone').innerText.includes('clinch does not answer: the connection failed')")
    page.until("/The data below is \\d+ s old/.test(document.getElementById('gone').innerText)")
    assert page.value("document.title").startswith("no answer")
    assert row(page, "shop.example.org"), "the old data stays"
    server.start()
    page.until("document.getElementById('gone').hidden")


@pytest.mark.parametrize("document, status, words", [(b"", 503, "HTTP status 503"), (b"<html>", 200, "no JSON")])
def test_an_answer_that_is_no_status(page, document, status, words):
    """Proves that it is named while there is no data at all."""
    server = PageServer(document, status=status)
    try:
        page.open(server.url)
        page.until(f"document.getElementById('gone').innerText.includes('{words}')")
        assert "No data has arrived yet" in page.text("#gone")
        assert page.value("document.getElementById('main').hidden")
    finally:
        server.close()


# Texts whose colour is too close to what is behind them (WCAG 2, 1.4.3).
CONTRAST = """
    const parse = (colour) => colour.match(/[\\d.]+/g).map(Number);
    const light = (rgb) => [.2126, .7152, .0722].reduce((sum, part, i) => {
        const c = rgb[i] / 255;
        return sum + part * (c <= .04045 ? c / 12.92 : ((c + .055) / 1.055) ** 2.4);
    }, 0);
    const behind = (one) => {
        for (; one; one = one.parentElement) {
            const colour = parse(getComputedStyle(one).backgroundColor);
            if (colour.length === 3 || colour[3] === 1)
                return colour;
        }
        return [255, 255, 255];
    };
    return [...document.querySelectorAll("body *")].filter((one) =>
        one.checkVisibility() && [...one.childNodes].some((node) => node.nodeType === 3 && node.data.trim())
    ).map((one) => {
        const a = light(parse(getComputedStyle(one).color)), b = light(behind(one));
        return [one.textContent.slice(0, 40), (Math.max(a, b) + .05) / (Math.min(a, b) + .05)];
    }).filter((one) => one[1] < 4.5);
"""


@pytest.mark.parametrize("scheme, dark", [("light", False), ("dark", True)])
def test_it_is_legible(show, page, scheme, dark):
    """Proves a contrast of 4.5 for each text in both schemes, and that dark is
    dark."""
    page.media(scheme)
    document = sample.status(ready=False, reasons=["a sentence"], log_lines_dropped=9)
    document["reload"]["last_result"] = "failure"
    show(document)
    page.run("document.querySelector('.certificate button').click()")
    assert page.run(CONTRAST) == []
    shade = page.value("getComputedStyle(document.body).backgroundColor.match(/\\d+/g).map(Number)[0]")
    assert shade < 40 if dark else shade > 220


def test_the_states_of_backends(show, page):
    """Proves the words for each state, the worst first."""
    now = int(time.time())
    document = sample.status(now=now)
    document["listeners"][0]["backends"] = [
        sample.backend("a:1", since=now - 600, checked=True, error="Connection refused", error_time=now - 900),
        sample.backend("b:1", "resting", 1, 1, 3, since=now - 600, error="Connection timed out", error_time=now),
        sample.backend("c:1", "down", 1, 1, since=now - 7200, checked=True, error="Connection refused", error_time=now),
        sample.backend("d:1", "unresolved", 0),
    ]
    show(document)
    shown = page.value("document.querySelector('.backends').innerText").replace("\n", " ")
    expected = [
        "✕ down c:1 1 resting, down for 2 hours, last error: Connection refused, checked",
        "✕ unresolved d:1",
        "▲ resting b:1 1 resting, 3 errors, resting for 10 min, last error: Connection timed out",
        "✓ up a:1 up for 10 min, checked",
    ]
    assert " ".join(shown.split()) == " ".join(expected)


@pytest.mark.parametrize("width", [320, 360, 768])
def test_nothing_scrolls_sideways(show, page, width):
    """Proves it with long names, files and errors, details open."""
    now = int(time.time())
    document = sample.status(now=now)
    name = ".".join(["a" * 60] * 4)
    document["certificates"][-1] |= {"name": name, "file": "/" + "x" * 300, "listeners": [name] * 30, "issuer": "CN=" + "y" * 200}
    document["certificates"][-1]["staple"] |= {"error": "z" * 400}
    document["listeners"][0] |= {"name": "n" * 100, "addresses": ["unix:/" + "s" * 100]}
    document["listeners"][0]["backends"] = [sample.backend("b" * 200, "resting", 1, 1, 5, host=name)] * 30
    document["crls"][0]["file"] = "/" + "c" * 300
    page.screen(width, 740)
    show(document)
    page.run("document.querySelectorAll('.certificate button').forEach((one) => one.click())")
    page.run("document.querySelectorAll('details').forEach((one) => one.open = true)")
    assert page.value("document.documentElement.scrollWidth") == width
    assert page.value("[...document.querySelectorAll('.card')].filter((one) => one.scrollWidth > one.clientWidth).length") == 0


def test_it_can_be_used_without_a_mouse_and_without_sight(show, page):
    """Proves headings, names of controls, a caption, and details that the
    keyboard opens and a poll leaves open."""
    server = show(sample.status())
    levels = page.value("[...document.querySelectorAll('h1, h2, h3')].filter((one) => one.checkVisibility()).map((one) => +one.tagName[1])")
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in zip(levels, levels[1:])), levels
    names = page.names("button") + page.names("textbox") + page.names("searchbox")
    assert len(names) > 20 and all(names) and len([one for one in names if one.startswith("Details of ")]) == 17
    assert page.value("document.querySelector('table caption').innerText")
    assert page.value("document.documentElement.lang") == "en"
    assert page.value("document.querySelectorAll('form, a[href^=http]').length") == 0
    page.run("document.querySelector('.certificate button').focus()")
    page.key("Enter", "\r")
    page.until("document.querySelector('.certificate button').getAttribute('aria-expanded') === 'true'")
    assert "nextUpdate" in page.text(".facts")
    before = len(server.asked)
    until(lambda: len(server.asked) > before + 1, "two more polls")
    assert "nextUpdate" in page.text(".facts")
    assert page.value("document.activeElement.matches('.certificate button')")


def test_motion_can_be_reduced(show, page):
    """Proves that bars do not move where the system prefers none."""
    seconds = "getComputedStyle(document.querySelector('.bar i')).transitionDuration"
    show(sample.status())
    assert page.value(seconds).startswith("0.4s")
    page.media(motion="reduce")
    assert page.value(seconds) == "0s"
