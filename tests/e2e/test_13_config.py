"""The configuration file, and the errors that are printed about it."""

import os
import pathlib
import re
import shutil
import ssl
import subprocess

import pytest
from cryptography import x509

from lib import peer, pki, proxy, service


def check(folder, text, *arguments, env=None):
    """Write text as clinch.ini and run clinch --test on it."""
    file = folder / "clinch.ini"
    file.write_text(text)
    return proxy.run("-c", file, *(arguments or ["--test"]), env=env)


def test_test_prints_what_would_run(tmp_path, listener):
    """Proves --test: exit 0, in words, and no socket opened."""
    status, out, err = check(tmp_path, listener("127.0.0.1:9", accept="127.0.0.1:8443"))
    assert status == 0, err
    for word in ("web", "127.0.0.1:8443", "127.0.0.1:9", "localhost"):
        assert word in out


@pytest.mark.parametrize(
    "text, line, says",
    [
        ("[listener web]\nacept = 1\n", 2, "accept"),
        ("[global]\nthreads = many\n", 2, "threads"),
        ("[global]\nthreads = 0\n", 2, "threads"),
        ("[global]\nno equals sign\n", 2, "="),
        ("[listener web\naccept = 1\n", 1, "]"),
        ("[nonsense]\nx = 1\n", 1, "nonsense"),
        ("[listener web]\ntimeout_idle = 5 parsecs\n", 2, "timeout_idle"),
        ("[listener web]\naccept = 1.2.3.4.5:6\n", 2, "accept"),
        ("[listener web]\naccept = 127.0.0.1:99999\n", 2, "port"),
        ("[listener web]\ntickets = perhaps\n", 2, "tickets"),
        ("[listener web]\nbalance = fair\n", 2, "balance"),
        ("[listener web]\nmin_version = SSLv3\n", 2, "SSLv3"),
        ("[listener web]\nallow = 10.0.0.0/99\n", 2, "allow"),
        ("[listener web]\ncert = a\ncert = b\n", 3, "cert"),
        ("[listener web]\nverify = require\n", 2, "ca_file"),
        ("[ocsp]\nmode = sometimes\n", 2, "prefer"),
        ("[ocsp]\nurl = ocsp.example/\n", 2, "http://"),
        ("[ocsp]\nproxy = proxy:3128\n", 2, "http://"),
        ("[ocsp]\nmin_interval = 2h\nmax_interval = 1h\n", 2, "max_interval"),
        ("[ocsp]\nmode = must\n[global]\nocsp = no\n", 2, "clinch.ini:4"),
        ("[listener web]\nocsp = alway\n", 2, "always"),
        ("[listener web]\nallow_cn = x\n", 2, "verify"),
        ("[oscp]\nmode = must\n", 1, "[ocsp]"),
        ("x = ${NO_SUCH_VARIABLE_HERE}\n", 1, ""),
        ("include = no/such/file.ini\n", 1, "no/such/file.ini"),
    ],
)
def test_each_mistake_names_its_line(tmp_path, text, line, says):
    """Proves file:line and a helpful word for every kind of mistake."""
    status, _, err = check(tmp_path, text)
    assert status == 2
    assert any(f"clinch.ini:{line}:" in one and says in one for one in err.splitlines()), err


def test_all_mistakes_in_one_run(tmp_path):
    """Proves that the user fixes them all at once."""
    text = "[global]\nthreads = x\n[listener web]\naccept = 1\nacept = 1\ntickets = maybe\n"
    status, _, err = check(tmp_path, text)
    assert status == 2
    for line in (2, 5, 6):
        assert f"clinch.ini:{line}:" in err
    assert "connect" in err and "cert" in err


def test_missing_files_are_among_the_mistakes(tmp_path, site):
    """Proves that the error about a missing certificate or key has the line of
    its key, with and without other errors in the file."""
    text = f"[listener a]\naccept=1\nconnect=1\ncert=none.crt\nkey=none.key\n[listener b]\naccept=2\nconnect=2\ncert={site.crt}\nkey=gone.key\n"
    for more in ("", "acept=1\n"):
        status, _, err = check(tmp_path, text + more)
        assert status == 2
        for line, name in ((4, "none.crt"), (5, "none.key"), (10, "gone.key")):
            assert any(f"clinch.ini:{line}:" in one and f"{name}: No such" in one for one in err.splitlines()), err
        assert ("acept" in err) == bool(more)


def test_test_looks_at_what_a_start_would_write(tmp_path, listener):
    """Proves that --test finds log and pid files that cannot be written, all
    in one run, and creates none of those that can."""
    head = "[global]\npid = {0}/x.pid\n[log]\noutput = {0}/x.log\naccess = {0}/a.log"
    status, _, err = check(tmp_path, listener("127.0.0.1:9", head=head.format(tmp_path / "none")))
    assert status == 1
    for name in ("x.pid", "x.log", "a.log"):
        assert f"none/{name} cannot be written: No such" in err
    status, _, err = check(tmp_path, listener("127.0.0.1:9", head=head.format(tmp_path)))
    assert status == 0, err
    assert not list(tmp_path.glob("x.*"))
    (tmp_path / "folder.log").mkdir()
    check(tmp_path, listener("127.0.0.1:9", head="[log]\noutput = folder.log"))
    status, _, err = proxy.run("-c", "clinch.ini", "--test", cwd=tmp_path)
    assert status == 1 and "folder.log cannot be written: Is a directory" in err


def test_missing_file():
    """Proves exit 2 and the path."""
    status, _, err = proxy.run("-c", "/no/such/clinch.ini", "--test")
    assert status == 2 and "/no/such/clinch.ini" in err


def test_wrong_usage():
    """Proves exit 2 and a hint for unknown options."""
    status, _, err = proxy.run("--no-such-option")
    assert status == 2 and "--help" in err


@pytest.mark.parametrize("option", ["--version", "--help", "--list-keys"])
def test_informative_options(option):
    """Proves that they print to stdout and exit with 0."""
    status, out, err = proxy.run(option)
    assert status == 0 and out and not err


def version_lines():
    """What --version prints, as {"clinch": "0.1.0", "libraries": ..., ...}."""
    status, out, err = proxy.run("--version")
    assert status == 0 and not err
    return dict(re.match(r"(\w+):? (.+)", line).groups() for line in out.splitlines())


def test_version_names_the_loaded_libraries():
    """Proves that versions are those at run time: Python's OpenSSL and curl's libcurl are the same files."""
    lines = version_lines()
    assert list(lines) == ["clinch", "libraries", "groups", "features"]
    curl = subprocess.run(["curl", "--version"], capture_output=True, text=True, check=True).stdout
    expect = f"{ssl.OPENSSL_VERSION}, libcurl {re.search(r'libcurl/([0-9.]+)', curl)[1]}, libev 4."
    assert lines["libraries"].startswith(expect)


@pytest.mark.parametrize("group", ["X25519MLKEM768", "X25519", "P-256", "P-384"])
def test_version_names_the_groups_that_are_there(listener, tmp_path, group):
    """Proves that a default group is listed if and only if --test takes it alone, and the feature of the first."""
    file = tmp_path / "clinch.ini"
    file.write_text(listener("127.0.0.1:9", more=f"groups = {group}"))
    status, _, err = proxy.run("-c", str(file), "--test")
    lines = version_lines()
    assert (group in lines["groups"].split(":")) == (status == 0), err
    if "MLKEM" in group:
        assert ("post-quantum" in lines["features"]) == (status == 0)


def test_version_names_what_slows_it_down():
    """Proves that a build with sanitizers or lock checks is told from a usual one."""
    features = version_lines()["features"]
    assert ("lock-checks" in features) == bool(os.environ.get("CLINCH_SANITIZED")), features


def test_spelling_is_free(launch, site, serve, tls):
    """Proves case, dash and underscore blindness, indentation and comments."""
    text = (
        "; a comment\n# another\n[Listener web]\n"
        "   ACCEPT = 127.0.0.1:0 ; here too\n\tconnect: %s\n" % serve().connect
        + f"  Cert-File = {site.pem}\n  TIMEOUT-idle = 30s\n  time_out_connect = 5s\n"
    )
    text = text.replace("connect: ", "connect = ").replace("[Listener", "[listener")
    assert tls(launch(text).port()).ping()


def test_include_expansion_and_relative_paths(launch, tmp_path, serve, tls, ca):
    """Proves include, ${NAME}, ${NAME:-default}, ${file:PATH} and paths that
    are relative to the file that names them."""
    folder = tmp_path / "conf.d"
    folder.mkdir()
    files = ca.issue("localhost", label="included")
    (folder / "site.pem").write_bytes(files.pem.read_bytes())
    (folder / "backend").write_text(serve().connect + "\n")
    (folder / "b.ini").write_text(
        "[listener web]\naccept = ${HOST:-127.0.0.1}:${PORT}\nconnect = ${file:backend}\ncert = site.pem\n"
    )
    (folder / "ignored.txt").write_text("nonsense")
    clinch = launch(f"include = {folder}\n", env={"PORT": "0"})
    assert tls(clinch.port()).ping()


def test_print_config_reads_back(tmp_path, listener):
    """Proves that --print-config is a file with the same effect."""
    text = listener("127.0.0.1:9", "timeout_idle = 5m\nalpn = h2, http/1.1\nallow = 10.0.0.0/8", accept="127.0.0.1:1")
    status, once, err = check(tmp_path, text, "--print-config")
    assert status == 0, err
    status, twice, err = check(tmp_path, once, "--print-config")
    assert status == 0, err
    assert once == twice and "timeout_idle" in once


STAPLING = """\
[global]
store_dir = state
[ocsp]
mode = never
urls = http://a.example/, https://b.example:8443/x
method = get
proxy = none
without_staple = refuse
"""


def test_stapling_reads_back(tmp_path, listener):
    """Proves that [ocsp] and the keys of stapling in a listener are read,
    printed with absolute paths, and read back the same; and that a listener
    without such keys prints none."""
    text = listener("127.0.0.1:9", "ocsp = never\nstaple_file = web.ocsp", head=STAPLING)
    text += listener("127.0.0.1:9", name="plain")
    status, once, err = check(tmp_path, text, "--print-config")
    assert status == 0, err
    status, twice, err = check(tmp_path, once, "--print-config")
    assert status == 0 and once == twice, err
    for line in (
        "mode = never",
        "url = http://a.example/",
        "url = https://b.example:8443/x",
        "method = get",
        "proxy = none",
        "without_staple = refuse",
        "ocsp = never",
        f"store_dir = {tmp_path}/state",
        f"staple_file = {tmp_path}/web.ocsp",
    ):
        assert line in once.splitlines()
    assert once.count("\nocsp = ") == 1 and "; ocsp: mode of [ocsp]" in once
    assert "\non_revoked = " not in once.split("[listener plain]")[1]


def test_test_takes_stapling(tmp_path, listener):
    """Proves that --test accepts every key of stapling, opens no store_dir for
    it and sends no request."""
    status, out, err = check(tmp_path, listener("127.0.0.1:9", "ocsp = no", head=STAPLING))
    assert status == 0, err
    assert "configuration is good" in out and not (tmp_path / "state").exists()


def test_missing_issuers_are_among_the_mistakes(tmp_path, listener):
    """Proves that [ocsp] ca_file is checked even if the file has other
    errors."""
    status, _, err = check(tmp_path, "[ocsp]\nca_file = none.pem\nmode = x\n")
    assert status == 2
    assert any("clinch.ini:2:" in one and "none.pem: No such" in one for one in err.splitlines()), err


def test_missing_issuers_are_bad_configuration(tmp_path, listener):
    """Proves that --test and a start end with the same status."""
    file = tmp_path / "clinch.ini"
    file.write_text("[ocsp]\nca_file = none.pem\n" + listener("127.0.0.1:9"))
    for option in (["--test"], []):
        status, _, err = proxy.run("-c", file, *option)
        assert status == 2 and "clinch.ini:2: ca_file: " in err, err


BAD_IDENTITIES = {
    "missing": (lambda files, other: files.pem.unlink(), "No such file"),
    "empty": (lambda files, other: files.pem.write_bytes(b""), "is empty"),
    "garbage": (lambda files, other: files.pem.write_bytes(b"\0\xffnonsense" * 40), "no PEM block"),
    "cut": (lambda files, other: files.pem.write_bytes(files.pem.read_bytes()[:300]), "damaged"),
    "no key": (lambda files, other: files.pem.write_bytes(files.crt.read_bytes()), "key"),
    "other key": (lambda f, o: f.pem.write_bytes(f.crt.read_bytes() + o.key.read_bytes()), "match"),
    "encrypted": (
        lambda f, o: f.pem.write_bytes(f.crt.read_bytes() + pki.key_pem(f.key_object, pki.serialization.BestAvailableEncryption(b"x"))),
        "encrypted",
    ),
}


@pytest.mark.parametrize("defect", BAD_IDENTITIES)
def test_bad_identity(launch, ca, tmp_path, defect):
    """Proves exit 2 and a sentence with file:line and the certificate's path,
    the same from --test."""
    authority_folder, ca.folder = ca.folder, tmp_path
    try:
        files, other = ca.issue("localhost", label="bad"), ca.issue("localhost", label="other")
    finally:
        ca.folder = authority_folder
    damage, says = BAD_IDENTITIES[defect]
    damage(files, other)
    text = f"[listener web]\naccept=127.0.0.1:0\nconnect=127.0.0.1:9\ncert={files.pem}\n"
    clinch = launch(text, ready=False)
    assert clinch.wait_exit() == 2
    status, _, err = check(tmp_path, text)
    assert status == 2
    for said in (clinch.output(), err):
        assert "clinch.ini:4:" in said and "bad.pem" in said and says in said, said


@pytest.mark.parametrize("permissions, status, says", [("warn", 0, "warning"), ("refuse", 2, "chmod"), ("any", 0, None)])
def test_key_that_others_may_read(tmp_path, ca, permissions, status, says):
    """Proves key_permissions."""
    files = ca.issue("localhost", label=f"open-{permissions}")
    files.pem.chmod(0o644)
    text = f"[listener web]\naccept=127.0.0.1:0\nconnect=127.0.0.1:9\ncert={files.pem}\nkey_permissions={permissions}\n"
    got, out, err = check(tmp_path, text)
    assert got == status, err
    # As root, --test warns of a missing user as well.
    lines = [line for line in err.splitlines() if proxy.ROOT_WARNING not in line]
    assert any(says in line for line in lines) if says else not lines, err


WEB_SECTION = """\
[web]
accept = 127.0.0.1:0
connect = 127.0.0.1:8080
cert = {pem}
"""


@pytest.mark.parametrize(
    "more, name, timeout", [("", "clinch.ini", "10s"), ("foreground = yes\n", "clinch.ini", "5m"), ("", "stunnel.conf", "5m")]
)
def test_a_plain_heading_is_not_yet_stunnel(tmp_path, site, more, name, timeout):
    """Proves that [web] without more has the defaults of clinch, and that a
    key or the file name of stunnel selects stunnel's timeouts, which is logged
    with the reason."""
    file = tmp_path / name
    file.write_text(more + WEB_SECTION.format(pem=site.pem))
    status, out, err = proxy.run("-c", file, "--print-config")
    assert status == 0 and f"timeout_handshake = {timeout}" in out, out + err
    status, _, err = proxy.run("-c", file, "--test")
    assert status == 0 and ("with stunnel's timeouts" in err) == (timeout == "5m"), err


STUNNEL = """\
; an ordinary stunnel.conf
pid = {folder}/stunnel.pid
foreground = yes
debug = notice
sslVersionMin = TLSv1.2
socket = l:TCP_NODELAY=1

[first]
    accept = 127.0.0.1:0
    connect = {one}
    cert = {crt}
    key = {key}
    TIMEOUTidle = 600

[second]
    client = no
    accept = 127.0.0.1:0
    connect = {two}
    cert = {pem}
    sslVersionMin = TLSv1.3
    TIMEOUTclose = 0
"""


def test_stunnel_conf_runs_as_it_stands(launch, serve, tls, site, tmp_path):
    """Proves the sentence of the issue, and that a key without effect is
    reported."""
    one, two = serve(service.named(b"one")), serve(service.named(b"two"))
    text = STUNNEL.format(
        folder=tmp_path, one=one.connect, two=two.connect, crt=site.crt, key=site.key, pem=site.pem
    )
    clinch = launch(text)
    for name, answer in (("first", b"one"), ("second", b"two")):
        client = tls(clinch.port(name))
        client.send(b"?")
        assert client.recv() == answer
    with pytest.raises(OSError):
        tls(clinch.port("second"), pki_version_12())
    assert int((tmp_path / "stunnel.pid").read_text()) == clinch.pid
    clinch.wait_log(r"socket")


def pki_version_12():
    import ssl

    return ssl.TLSVersion.TLSv1_2


@pytest.mark.parametrize(
    "word, says",
    [
        ("chroot = /var/lib/stunnel", "container"),
        ("exec = /bin/sh", "exec"),
        ("client = yes", "client"),
        ("verifyPeer = yes", "ca_file"),
        ("PSKsecrets = /x", "PSK"),
        ("protocol = smtp", "protocol"),
        ("OCSPaia = yes", "[ocsp]"),
        ("OCSP = http://ocsp.example/", "[ocsp]"),
    ],
)
def test_stunnel_words_that_are_refused(tmp_path, site, word, says):
    """Proves that what cannot be done is an error with its line, not silence."""
    text = f"[first]\naccept = 127.0.0.1:0\nconnect = 127.0.0.1:9\ncert = {site.pem}\n{word}\n"
    status, _, err = check(tmp_path, text)
    assert status == 2
    assert "clinch.ini:5:" in err and says in err, err


def readme_block(after):
    """The first fenced block of README.md behind a sentence, as lines."""
    text = (pathlib.Path(__file__).parents[2] / "README.md").read_text()
    return text.split(after, 1)[1].split("```\n", 2)[1].splitlines()


def test_the_readme_shows_the_errors_that_are_printed(tmp_path):
    """Each error message in the README is one that the program prints."""
    lines = readme_block("with its line and remedy")
    text = "[listner web]\naccept = 1\n[listener a]\naccept = 127.0.0.1:0\ntimeout_idel = 1s\n"
    (tmp_path / "clinch.ini").write_text(text)
    _, _, errors = proxy.run("-c", "clinch.ini", "--test", cwd=tmp_path)
    assert lines and [line for line in lines if line not in errors.splitlines()] == [], errors


def test_the_readme_shows_the_lines_of_a_start(launch, listener, serve):
    """Each log line in the README has the words and fields of a real one."""

    def shape(line):
        head = line.split(" ", 1)[1]
        return re.sub(r"=\S+", "=", head)

    lines = [shape(line) for line in readme_block("When it works:")]
    printed = [shape(line) for line in launch(listener(serve().connect)).output().splitlines()]
    assert len(lines) >= 2 and [line for line in lines if line not in printed] == [], printed


def test_sysconfdir_has_its_effect():
    """The default configuration file is in the folder that configure was
    given."""
    folder = os.environ.get("CLINCH_SYSCONFDIR", "/etc")
    _, out, _ = proxy.run("--help")
    assert f" {folder}/clinch/clinch.ini\n" in out


MANUAL = pathlib.Path(__file__).parents[2] / "etc/man/clinch.ini.5"


def test_the_table_of_foreign_words_names_keys_of_ours():
    """The first column of the manual's table is a key that --list-keys has."""
    text = MANUAL.read_text().split(".Sh WORDS OF OTHER PROGRAMS")[1].split(".TE")[0]
    ours = [line.split("\t")[0] for line in text.split("_\n", 1)[1].splitlines()]
    _, out, _ = proxy.run("--list-keys")
    keys = {line.split("\t")[1] for line in out.splitlines()}
    assert len(ours) > 20 and [word for word in ours if word not in keys] == []


def test_the_examples_of_the_manual_are_good(tmp_path, ca, site):
    """Each example of clinch.ini(5) passes --test, with files of ours."""
    text = MANUAL.read_text().split(".Sh EXAMPLES")[1].split(".Sh ")[0]
    examples = [part.split(".Ed")[0] for part in text.split(".Bd -literal -offset indent\n")[1:]]
    assert len(examples) >= 3
    certs = tmp_path / "certs"
    certs.mkdir()
    (certs / "site.pem").write_bytes(site.pem.read_bytes())
    crl = ca.revoke(tmp_path / "list.crl")
    for example in examples:
        example = re.sub(r"/etc/clinch/certs", str(certs), example.replace("\\-", "-"))
        example = re.sub(r"/etc/clinch/\S*ca\.pem", str(ca.file), example)
        example = re.sub(r"/etc/clinch/\S*\.crl", str(crl), example)
        example = re.sub(r"/etc/clinch/\S*\.pem", str(site.pem), example)
        example = example.replace("/var/lib/clinch", str(tmp_path / "store")).replace("mode = always", "mode = prefer")
        status, _, errors = check(tmp_path, example)
        assert status == 0, errors


@pytest.mark.skipif(not shutil.which("mandoc"), reason="needs mandoc")
@pytest.mark.parametrize("page", ["clinch.8", "clinch.ini.5", "staple.3"])
def test_manual_pages_render_without_warnings(page):
    """mandoc reports no warning or error of its own about a page."""
    done = subprocess.run(["mandoc", "-Tlint", "-W", "warning", MANUAL.parent / page], capture_output=True, text=True)
    assert [line for line in done.stdout.splitlines() if page in line and "Xr" not in line] == []


SILENT_CIPHERS = """\
[listener web]
accept = 127.0.0.1:0
connect = 127.0.0.1:8080
cert = {pem}
ciphers = ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256:NOSUCH
ciphersuites = TLS_AES_256_GCM_SHA384:ECDHE-RSA-AES128-GCM-SHA256
"""


def test_names_without_effect_are_warned_of(launch, tmp_path, site):
    """Proves that the warning about a cipher that the certificate cannot use,
    that OpenSSL does not support or that is in the wrong list has its line."""
    text = SILENT_CIPHERS.format(pem=site.pem)
    status, _, err = check(tmp_path, text)
    assert status == 0, err
    clinch = launch(text)
    for said in (err, clinch.output()):
        for line, name in ((5, "ECDHE-RSA-AES128-GCM-SHA256"), (5, "NOSUCH"), (6, "ECDHE-RSA-AES128-GCM-SHA256")):
            assert re.search(rf"warning .*clinch.ini:{line}: cipher\w+: {name} has no effect", said), said
        assert said.count("has no effect") == 3


def test_a_list_shared_by_two_listeners(tmp_path, ca, site):
    """Proves that a default list is judged by all its listeners together."""
    rsa = ca.issue("localhost", kind="rsa", label="rsa")
    text = "[tls]\nciphers = ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256\n"
    one = "[listener {}]\naccept = 127.0.0.1:0\nconnect = 127.0.0.1:8080\ncert = {}\n"
    status, _, err = check(tmp_path, text + one.format("a", site.pem) + one.format("b", rsa.pem))
    assert status == 0 and "has no effect" not in err, err
    status, _, err = check(tmp_path, text + one.format("b", rsa.pem))
    assert status == 0 and "clinch.ini:2: ciphers: ECDHE-ECDSA-AES128-GCM-SHA256 has no effect" in err, err


def test_a_list_that_leaves_nothing_is_refused(tmp_path, ca, site):
    """Proves exit 2 where keys name the certificate, and a warning for one
    that lies in a folder."""
    text = "[listener a]\naccept = 127.0.0.1:0\nconnect = 127.0.0.1:8080\n{}\nciphers = ECDHE-RSA-AES128-GCM-SHA256\n"
    status, _, err = check(tmp_path, text.format(f"cert = {site.pem}"))
    assert status == 2 and "clinch.ini:5: ciphers = ECDHE-RSA-AES128-GCM-SHA256: none" in err, err
    folder = tmp_path / "certs"
    folder.mkdir()
    (folder / "site.pem").write_bytes(site.pem.read_bytes())
    status, _, err = check(tmp_path, text.format(f"cert_dir = {folder}"))
    assert status == 0 and "clinch.ini:5: ciphers = ECDHE-RSA-AES128-GCM-SHA256: none" in err, err


# Files as they stand in tests of issues, with paths and ports made here.
INCLUDE_FOLDER = """\
; stunnel.conf
foreground = yes
cert = {pem}
include = conf.d

[first]
accept = 127.0.0.1:0
connect = {backend}
"""

VERIFY_LEVELS = """\
; stunnel.conf
cert = {pem}
CAfile = {ca}

[none]
accept = 127.0.0.1:0
connect = {backend}
verify = 0

[optional]
accept = 127.0.0.1:0
connect = {backend}
verify = 1

[required]
accept = 127.0.0.1:0
connect = {backend}
verify = 2

[pinned]
accept = 127.0.0.1:0
connect = {backend}
verify = 4
CAfile = {pins}
"""

ACCEPT_FORMS = """\
; stunnel.conf
cert = {pem}

[name]
accept = localhost:0
connect = {backend}

[six]
accept = ::1:0
connect = {backend}

[service]
accept = 127.0.0.1:https-alt
connect = 127.0.0.1:http-alt
"""

DOUBLE_NAMES = """\
; stunnel.conf
cert = {pem}

[a]
accept = 127.0.0.1:0
connect = {backend}

[a]
accept = 127.0.0.1:0
connect = {backend}
retry = yes
"""


@pytest.mark.parametrize("fold", [".conf", ".ini", "", ".txt"])
def test_stunnel_includes_whole_folders(launch, serve, tls, site, tmp_path, fold):
    """Proves that a stunnel.conf reads every regular file of a folder, in the
    order of names, but none that an editor left behind."""
    folder = tmp_path / "conf.d"
    folder.mkdir()
    backend = serve().connect
    for name in ("a", "b"):
        (folder / (name + fold)).write_text(f"[{name}]\naccept = 127.0.0.1:0\nconnect = {backend}\n")
    (folder / "a.conf~").write_text("nonsense")
    (folder / ".a.swp").write_text("nonsense")
    (folder / "old").mkdir()
    text = INCLUDE_FOLDER.format(pem=site.pem, backend=backend).replace("conf.d", str(folder))
    clinch = launch(text)
    for name in ("first", "a", "b"):
        assert tls(clinch.port(name)).ping()


def test_files_of_a_folder_that_are_passed_over(tmp_path, listener):
    """Proves that a clinch.ini, which reads *.ini alone, mentions a *.conf
    beside them, and that a pattern is no folder."""
    folder = tmp_path / "conf.d"
    folder.mkdir()
    (folder / "a.conf").write_text("nonsense")
    status, _, err = check(tmp_path, "include = conf.d\n" + listener("127.0.0.1:9"))
    assert status == 0 and "clinch.ini:1: of the folder" in err and "a.conf is not one" in err, err
    status, _, err = check(tmp_path, "include = conf.d/*.conf\n")
    assert status == 2 and "clinch.ini:1: include" in err and "name the folder" in err, err


def test_stunnel_levels_of_verification(launch, serve, ca, site, tmp_path):
    """Proves verify = 0, 1, 2 and 4 with a client whose certificate is in the
    file, with one of the same CA, and with one that has none."""
    alice, bob = ca.issue("alice", label="alice13"), ca.issue("bob", label="bob13")
    pins = tmp_path / "pins.pem"
    pins.write_bytes(alice.certificate.public_bytes(pki.PEM))
    clinch = launch(VERIFY_LEVELS.format(pem=site.pem, ca=ca.file, pins=pins, backend=serve().connect))
    expect = {"none": (1, 1, 1), "optional": (1, 1, 1), "required": (1, 1, 0), "pinned": (1, 0, 0)}
    for name, admitted in expect.items():
        for who, taken in zip((alice, bob, None), admitted):
            seen = peer.visit(clinch.port(name), peer.context(ca, None, who), "localhost")
            assert seen.admitted == bool(taken), (name, who)


def test_stunnel_forms_of_accept(launch, serve, tls, site, tmp_path):
    """Proves localhost (both families), IPv6 without brackets and services by
    name; other names are refused with advice."""
    text = ACCEPT_FORMS.format(pem=site.pem, backend=serve().connect)
    status, out, err = check(tmp_path, text)
    assert status == 0, err
    assert "listener six: [::1]:0" in out and "listener service: 127.0.0.1:8443" in out
    status, out, err = check(tmp_path, text.replace("localhost:0", "localhost:8443"))
    assert status == 0 and "listener name: [::1]:8443 ->" in out and "leaves 127.0.0.1:8443" in err, out + err
    clinch = launch(text.split("[service]")[0])
    assert tls(clinch.port("six"), host="::1").ping()
    for nth, host in enumerate(("127.0.0.1", "::1")):
        assert tls(clinch.port("name", nth), host=host).ping()
    status, _, err = check(tmp_path, text.replace("localhost", "www.example.org"))
    assert status == 2 and "clinch.ini:5: accept: \"www.example.org:0\"" in err and "except localhost" in err, err


def test_stunnel_services_of_one_name(launch, serve, tls, site):
    """Proves that both serve, the second under a name of its own, with one
    warning, and that a reload keeps their ports."""
    clinch = launch(DOUBLE_NAMES.format(pem=site.pem, backend=serve().connect))
    ports = clinch.port("a"), clinch.port("a#2")
    assert all(tls(port).ping() for port in ports)
    assert len(clinch.grep("warning .*another service of this name.*a#2")) == 1
    clinch.reload()
    assert all(tls(port).ping() for port in ports)


def test_stunnel_order_of_ciphers(launch, serve, tls, site):
    """Proves options = CIPHER_SERVER_PREFERENCE, without a list of ours."""
    text = STUNNEL_ORDER.format(pem=site.pem, backend=serve().connect)
    clinch = launch(text)
    names = ["ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES128-GCM-SHA256"]
    for name, chosen in (("ours", names[1]), ("theirs", names[0])):
        client = tls(clinch.port(name), pki_version_12(), ciphers=":".join(names))
        assert client.tls.cipher()[0] == chosen


STUNNEL_ORDER = """\
; stunnel.conf
cert = {pem}
[ours]
accept = 127.0.0.1:0
connect = {backend}
options = CIPHER_SERVER_PREFERENCE
[theirs]
accept = 127.0.0.1:0
connect = {backend}
"""


def test_four_differences_are_logged(tmp_path, site):
    """Proves the lines that are logged once for a stunnel.conf."""
    status, _, err = check(tmp_path, "foreground = yes\n" + WEB_SECTION.format(pem=site.pem))
    assert status == 0 and err.count("is read as a stunnel.conf") == 4, err
    for words in ("foreground", "IPv4 and IPv6", "TLS 1.2 is the lowest", "fewer are offered than by stunnel"):
        assert words in err, err


def p12(files):
    from cryptography.hazmat.primitives.serialization import pkcs12

    return pkcs12.serialize_key_and_certificates(b"x", files.key_object, files.certificate, None, pki.PLAIN)


def p7b(files):
    from cryptography.hazmat.primitives.serialization import pkcs7

    return pkcs7.serialize_certificates([files.certificate], DER)


def request(files, encoding):
    from cryptography.x509 import CertificateSigningRequestBuilder

    made = CertificateSigningRequestBuilder().subject_name(files.certificate.subject)
    return made.sign(files.key_object, pki.hashes.SHA256()).public_bytes(encoding)


def key_of(files, encoding, form, encryption=pki.PLAIN):
    return files.key_object.private_bytes(encoding, form, encryption)


DER = pki.serialization.Encoding.DER
FORM = pki.serialization.PrivateFormat

FORMATS = {
    "pkcs12": (p12, "openssl pkcs12 -in .*file.pem -out site.pem -nodes"),
    "pkcs7": (p7b, "openssl pkcs7 -inform der -in .*file.pem -out site.pem -print_certs"),
    "der certificate": (lambda f: f.certificate.public_bytes(DER), "openssl x509 -inform der -in"),
    "der key": (lambda f: key_of(f, DER, FORM.PKCS8), "openssl pkey -inform der .* -out site.key"),
    "locked der key": (
        lambda f: key_of(f, DER, FORM.PKCS8, pki.serialization.BestAvailableEncryption(b"x")),
        "openssl pkey -inform der",
    ),
    "der request": (lambda f: request(f, DER), "a certificate request, which a CA makes"),
    "pem request": (lambda f: request(f, pki.PEM), "only: CERTIFICATE REQUEST; a CA makes"),
    "utf-16": (lambda f: f.pem.read_text().encode("utf-16"), "iconv -f UTF-16 -t UTF-8"),
    "utf-16 without a mark": (lambda f: f.pem.read_text().encode("utf-16-le"), "iconv -f UTF-16 -t UTF-8"),
    "keystore": (lambda f: b"\xfe\xed\xfe\xed\0\0\0\2", "keytool -importkeystore .* openssl pkcs12"),
    "text": (lambda f: b"-- BEGIN CERTIFICATE --\nMIIB\n", "no line begins with -----BEGIN"),
    "openssh key": (
        lambda f: f.crt.read_bytes() + key_of(f, pki.PEM, FORM.OpenSSH),
        "ssh-keygen -p -N '' -m PKCS8 -f",
    ),
    "encrypted key": (
        lambda f: f.crt.read_bytes() + key_of(f, pki.PEM, FORM.PKCS8, pki.serialization.BestAvailableEncryption(b"x")),
        "openssl pkey -in .*file.pem -out decrypted.key, and use decrypted.key as the file of the key",
    ),
}


@pytest.mark.parametrize("format", FORMATS)
def test_what_a_file_is_instead_of_pem(tmp_path, site, format):
    """Proves that the advice about a file of another format fits that format,
    in a listener and in a folder."""
    make, says = FORMATS[format]
    folder = tmp_path / "certs"
    folder.mkdir()
    (folder / "file.pem").write_bytes(make(site))
    head = "[listener web]\naccept = 127.0.0.1:0\nconnect = 127.0.0.1:9\n"
    for line in (f"cert = {folder}/file.pem", f"cert_dir = {folder}"):
        status, _, err = check(tmp_path, head + line)
        assert status == 2 and re.search(says, err), err


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-be"])
def test_a_configuration_in_utf_16(tmp_path, listener, encoding):
    """Proves one error instead of one for each line."""
    file = tmp_path / "clinch.ini"
    mark = b"\xfe\xff" if encoding == "utf-16-be" else b""
    file.write_bytes(mark + listener("127.0.0.1:9").encode(encoding))
    status, _, err = proxy.run("-c", file, "--test")
    assert status == 2 and err.count("\n") == 1 and "clinch.ini:1: this is UTF-16 text" in err, err


def test_a_proxy_with_a_password(tmp_path, listener):
    """Proves that the place for a user and a password is named."""
    status, _, err = check(tmp_path, "[ocsp]\nproxy = http://u:secret@proxy.example:3128\n" + listener("127.0.0.1:9"))
    assert status == 2 and "clinch.ini:2: proxy: " in err and "http_proxy=http://USER" in err, err
    assert "secret" not in err


HITCH_WORDS = """\
frontend = "[*]:8443"
backend = "[127.0.0.1]:8080"
pem-file = "/etc/hitch/site.pem"
pem-dir = "/etc/hitch/certs"
write-proxy-v2 = on
workers = 4
"""

FOREIGN = [
    ("frontend = x", "hitch's word for accept"),
    ("pem_file = x", "hitch's word for cert"),
    ("tls-protos = TLSv1.2", "hitch's word for min_version"),
    ("ssl_certificate = x", "nginx's word for cert"),
    ("ssl_certificate /etc/x.pem;", "nginx's word for cert"),
    ("proxy_pass 127.0.0.1:80;", "nginx's word for connect"),
    ("bind *:443 ssl crt /etc/x.pem", "haproxy's word for accept"),
    ("server web 127.0.0.1:80", "haproxy's word for connect"),
    ("maxconn 4000", "haproxy's word for max_connections"),
    ("dhparam = /etc/dh.pem", "remove it"),
    ('cert = "/etc/x.pem"', "without quotes: cert = /etc/x.pem"),
    ("Cert_File = '/etc/x.pem'", "without quotes: cert = /etc/x.pem"),
    ("accept = 443 # here", 'behind a value with ";"'),
    ("timeout_idle = off", "cannot be off; the longest is 30d"),
    ("timeout_close = none", "0 means no waiting"),
    ("max_lifetime = never", 'did you mean "off"'),
]


def test_words_of_hitch(tmp_path):
    """Proves that each word gets its hint, in one run."""
    status, _, err = check(tmp_path, HITCH_WORDS)
    assert status == 2
    lines = err.splitlines()
    for line, says in enumerate(("accept", "connect = [127.0.0.1]:8080", "word for cert", "cert_dir", "proxy_out"), 1):
        assert f"clinch.ini:{line}: " in lines[line - 1] and says in lines[line - 1], err
    assert len(lines) == 5


@pytest.mark.parametrize("line, says", FOREIGN)
def test_words_of_other_programs(tmp_path, line, says):
    """Proves the hint for keys, lines and forms of values from elsewhere."""
    status, _, err = check(tmp_path, f"[listener web]\n{line}\n")
    assert status == 2
    assert any("clinch.ini:2: " in one and says in one for one in err.splitlines()), err


def test_forms_of_other_programs_that_are_taken(tmp_path, listener):
    """Proves brackets around what is no IPv6 address, and roundrobin."""
    text = listener("[127.0.0.1]:8080", "balance = roundrobin\nallow_cn = client #1\nverify = require\nca_file = /x", accept="[*]:8443")
    status, out, err = check(tmp_path, text, "--print-config")
    assert status == 0, err
    for line in ("accept = 8443", "balance = rr", "allow_cn = client #1"):
        assert line in out.splitlines(), out


@pytest.mark.parametrize(
    "arguments, says",
    [
        (["--test", "--version"], "--test and --version are two commands"),
        (["clinch.ini"], "unexpected argument clinch.ini: a configuration is named by -c"),
        (["-c"], "requires an argument"),
        (["--nosuch"], "nosuch"),
    ],
)
def test_usage_errors_give_the_reason(arguments, says):
    """Proves that the reason is not lost in a page of help."""
    status, out, err = proxy.run(*arguments)
    assert status == 2 and not out
    assert says in err and "clinch --help" in err and len(err.splitlines()) == 2, err


def test_a_refused_certificate_names_its_file(tmp_path, ca):
    """Proves that a key too weak for OpenSSL is reported with the path."""
    from cryptography.hazmat.primitives.asymmetric import rsa

    weak = ca.issue("localhost", label="weak", folder=tmp_path, key=rsa.generate_private_key(65537, 1024))
    status, _, err = check(tmp_path, f"[listener web]\naccept = 127.0.0.1:0\nconnect = 127.0.0.1:9\ncert = {weak.pem}\n")
    assert status == 2 and f"{weak.pem}: " in err and "OpenSSL refuses" in err, err


@pytest.fixture(scope="module")
def middle(ca, tmp_path_factory):
    """An intermediate authority of our CA."""
    folder = tmp_path_factory.mktemp("middle")
    made = pki.Authority(folder, "middle CA", "middle")
    made.certificate = (
        made._builder(made.certificate.subject, ca.certificate.subject, made.key.public_key(), 3650)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(ca.key, pki.hashes.SHA256())
    )
    return made


CHAINS = {
    "whole": (lambda leaf, middle, root, other: [leaf, middle], None),
    "with its root": (lambda leaf, middle, root, other: [leaf, middle, root], None),
    "out of order": (lambda leaf, middle, root, other: [leaf, root, middle], None),
    "no intermediate": (lambda leaf, middle, root, other: [leaf], "issuer, CN=middle CA, is missing: append it"),
    "the root alone": (lambda leaf, middle, root, other: [leaf, root], "issuer, CN=middle CA, is missing"),
    "a foreign one": (lambda leaf, middle, root, other: [leaf, middle, other], "certificate 3, CN=other, issued no other"),
    "another's intermediate": (lambda leaf, middle, root, other: [leaf, other], "certificate 2, CN=other, issued no other"),
}


@pytest.mark.parametrize("chain", CHAINS)
def test_test_looks_at_chains(tmp_path, ca, middle, chain):
    """Proves that --test warns of a missing intermediate and of a certificate
    that belongs to no other, and of nothing else."""
    make, says = CHAINS[chain]
    leaf, other = middle.issue("localhost", label="leaf", folder=tmp_path), ca.issue("other", label="chain-other")
    certificates = make(leaf.certificate, middle.certificate, ca.certificate, other.certificate)
    leaf.pem.write_bytes(b"".join(one.public_bytes(pki.PEM) for one in certificates) + leaf.key.read_bytes())
    status, _, err = check(tmp_path, f"[listener web]\naccept = 127.0.0.1:0\nconnect = 127.0.0.1:9\ncert = {leaf.pem}\n")
    assert status == 0, err
    warnings = [line for line in err.splitlines() if " warning " in line and proxy.ROOT_WARNING not in line]
    if says:
        assert len(warnings) == 1 and says in warnings[0] and str(leaf.pem) in warnings[0], err
    else:
        assert not warnings, err


def test_certificates_and_syntax_in_one_run(tmp_path, ca, site):
    """Proves that --test looks at certificates beside other mistakes, each of
    them once, and at what a start would write beside bad certificates."""
    other = ca.issue("localhost", label="one-run-other")
    text = "cert = {0}\nacept = 1\n[listener a]\naccept = 1\nconnect = 2\ncert = {1}\nkey = {2}\n"
    text += "[listener b]\naccept = 3\nconnect = 4\n[listener c]\naccept = 5\nconnect = 6\n[host c x.y]\ncert = {3}\n"
    garbage, nokey = tmp_path / "garbage.pem", tmp_path / "nokey.pem"
    garbage.write_text("garbage")
    nokey.write_bytes(site.crt.read_bytes())
    status, _, err = check(tmp_path, text.format(garbage, site.crt, other.key, nokey))
    assert status == 2
    for line, says in ((1, "no PEM block"), (2, "acept"), (6, "does not match"), (15, "no private key")):
        assert sum(f"clinch.ini:{line}: " in one and says in one for one in err.splitlines()) == 1, err
    assert len(err.splitlines()) == 4
    head = f"[log]\noutput = {tmp_path}/none/x.log\n[listener a]\naccept = 1\nconnect = 2\ncert = {garbage}\n"
    status, _, err = check(tmp_path, head)
    assert status == 2 and "no PEM block" in err and "x.log cannot be written" in err, err
