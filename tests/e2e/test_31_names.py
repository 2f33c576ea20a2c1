"""Many names on one listener: the certificate and the backend of each."""

import pytest
from cryptography import x509

from lib import peer, proxy, service
from lib.peer import meet, visit
from lib.wait import until

UNRECOGNIZED = 112  # unrecognized_name


@pytest.fixture(scope="module")
def shown(ca):
    """Certificates of several names, the listener's own first."""
    return {
        "default": ca.issue("default.example", label="names-default"),
        "a": ca.issue("a.example", label="names-a"),
        "wild": ca.issue("*.w.example", label="names-wild"),
    }


def config(connect, shown, more="", hosts=""):
    return f"""
[listener web]
accept = 127.0.0.1:0
connect = {connect}
cert = {shown["default"].pem}
{more}
[host web a.example]
cert = {shown["a"].pem}
[host web *.w.example]
cert = {shown["wild"].pem}
{hosts}
"""


NAMES = [
    ("a.example", "a"),
    ("A.EXAMPLE", "a"),
    ("a.example.", "a"),
    ("x.w.example", "wild"),
    ("X.W.Example", "wild"),
    ("w.example", None),
    ("b.x.w.example", None),
    ("unknown.example", None),
    ("default.example", "default"),
    ("127.0.0.1", None),
    (None, None),
]


@pytest.mark.parametrize("options", [["-tls1_2"], ["-tls1_3"]], ids=["tls12", "tls13"])
def test_the_closest_pattern_wins_and_the_unknown_get_the_default(launch, serve, shown, options):
    """Proves exact names, wildcards of one label, case, the trailing dot; and
    that a name without a host, an address and no name get the default."""
    clinch = launch(config(serve().connect, shown))
    for name, expect in NAMES:
        met = meet(clinch.port(), *options, name=name)
        assert met.serial == shown[expect or "default"].serial, name


def test_the_unknown_are_refused_if_so_configured(launch, serve, shown):
    """Proves sni_unknown = reject: unrecognized_name for every client whose
    name has no host and no certificate; a name of the listener's own
    certificate is served."""
    clinch = launch(config(serve().connect, shown, "sni_unknown = reject"))
    for name, expect in NAMES:
        met = meet(clinch.port(), name=name)
        if expect:
            assert met.serial == shown[expect].serial, name
        else:
            assert met.alert == UNRECOGNIZED, (name, met.text)


def test_each_name_has_its_own_backend(launch, serve, shown, ca):
    """Proves that a host's connect is its own, and that a host without one has
    the listener's."""
    one, other = serve(service.named(b"one")), serve(service.named(b"other"))
    text = config(one.connect, shown).replace("[host web *.w", f"connect = {other.connect}\n[host web *.w")
    clinch = launch(text)
    made = peer.context(ca)
    assert visit(clinch.port(), made, "a.example").said == b"other"
    assert visit(clinch.port(), made, "x.w.example").said == b"one"
    assert visit(clinch.port(), made, "unknown.example").said == b"one"


KINDS = {
    "rsa13": (["-tls1_3", "-sigalgs", "rsa_pss_rsae_sha256"], "rsa"),
    "ecdsa13": (["-tls1_3", "-sigalgs", "ecdsa_secp256r1_sha256"], "ec"),
    "rsa12": (["-tls1_2", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256"], "rsa"),
    "ecdsa12": (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"], "ec"),
    "dual13": (["-tls1_3", "-sigalgs", "ecdsa_secp256r1_sha256:rsa_pss_rsae_sha256"], "ec"),
    "dual12": (["-tls1_2", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256:ECDHE-RSA-AES128-GCM-SHA256"], "ec"),
}


@pytest.mark.parametrize("way", ["listener", "host", "folder"])
def test_each_client_gets_the_certificate_it_can_use_and_its_staple(launch, serve, ca, responders, tmp_path, way):
    """Proves RSA and ECDSA for one name: clients of either kind and of both get
    the right chain, and the staple of that very certificate."""
    responder = responders()
    folder = tmp_path / "certs"
    folder.mkdir()
    both = {kind: ca.issue("dual.example", kind, label=f"dual-{kind}", ocsp=responder.url, folder=folder) for kind in ("rsa", "ec")}
    pairs = f"cert = {both['ec'].pem}\ncert = {both['rsa'].pem}\n"
    text = f"[ocsp]\nmode = always\n[listener web]\naccept = 127.0.0.1:0\nconnect = {serve().connect}\n"
    if way == "listener":
        text += pairs
    elif way == "folder":
        for files in both.values():
            files.crt.unlink()
            files.key.unlink()
        text += f"cert_dir = {folder}\n"
    else:
        own = ca.issue("own.example", ocsp=responder.url)
        text += f"cert = {own.pem}\n[host web dual.example]\n{pairs}"
    clinch = launch(text)
    for what, (options, kind) in KINDS.items():
        met = meet(clinch.port(), *options, name="dual.example")
        assert met.serial == both[kind].serial, what
        assert met.status == "good", what
        assert met.stapled == both[kind].serial, what


def folder_config(connect, folder, more=""):
    return f"[listener web]\naccept = 127.0.0.1:0\nconnect = {connect}\ncert_dir = {folder}\n{more}\n"


def test_a_folder_serves_every_name_of_its_certificates(launch, serve, ca, tmp_path):
    """Proves cert_dir: names from the SANs, keys in the file or beside it, and
    one bad file is one error line while the rest serve."""
    folder = tmp_path / "certs"
    folder.mkdir()
    joint = ca.issue("one.example", names=["one.example", "two.example"], label="a-joint", folder=folder)
    joint.crt.unlink(), joint.key.unlink()
    apart = ca.issue("three.example", label="b-apart", folder=folder)
    apart.pem.unlink()
    (folder / "bad.pem").write_text("no certificate at all\n")
    (folder / "notes.txt").write_text("not looked at\n")
    clinch = launch(folder_config(serve().connect, folder))
    expected = {"one.example": joint, "two.example": joint, "three.example": apart, "other.example": joint, None: joint}
    for name, files in expected.items():
        assert meet(clinch.port(), name=name).serial == files.serial, name
    assert len(clinch.grep(r"^\S* ?error .*bad\.pem|error .*bad\.pem")) == 1, clinch.output()
    assert not clinch.grep(r"notes\.txt")


def test_a_folder_without_any_good_file_is_an_error(tmp_path, serve):
    """Proves that nothing is started half: exit status 2 and a sentence."""
    folder = tmp_path / "certs"
    folder.mkdir()
    file = tmp_path / "clinch.ini"
    file.write_text(folder_config(serve().connect, folder))
    for make in (lambda: None, lambda: (folder / "bad.pem").write_text("bad\n")):
        make()
        status, _, errors = proxy.run("-c", file)
        assert status == 2
        assert f"{file}:4: listener web: cert_dir: " in errors


def test_a_host_applies_to_names_from_the_folder(launch, serve, ca, tmp_path):
    """Proves that policy and certificate of a name are found apart: a wildcard
    host that demands client certificates does so for a name that has a
    certificate of its own in the folder."""
    folder = tmp_path / "certs"
    folder.mkdir()
    files = ca.issue("a.corp.example", label="corp", folder=folder)
    files.crt.unlink(), files.key.unlink()
    guest = ca.issue("guest", label="guest")
    hosts = f"[host web *.corp.example]\nverify = require\nca_file = {ca.file}\n"
    clinch = launch(folder_config(serve().connect, folder, hosts))
    assert meet(clinch.port(), name="a.corp.example").serial == files.serial
    assert not visit(clinch.port(), peer.context(ca), "a.corp.example").admitted
    assert visit(clinch.port(), peer.context(ca, files=guest), "a.corp.example").admitted
    assert visit(clinch.port(), peer.context(ca), "elsewhere.example").admitted


def test_ten_thousand_names_on_one_listener(launch, serve, ca, tmp_path, shown):
    """Proves that 10,000 hosts and 10,000 names from certificates are served
    side by side, and that a reload keeps them."""
    folder = tmp_path / "certs"
    folder.mkdir()
    key, made = shown["default"].key_object, {}
    for i in range(200):
        names = [f"n{i}-{k}.example" for k in range(50)]
        files = ca.issue(f"cert{i}", names=names, label=f"cert{i}", folder=folder, key=key)
        files.crt.unlink(), files.key.unlink()
        made.update(dict.fromkeys(names, files))
    one, other = serve(service.named(b"one")), serve(service.named(b"other"))
    hosts = "".join(f"[host web h{i}.example]\nconnect = {other.connect}\n" for i in range(10000))
    text = f"[listener web]\naccept = 127.0.0.1:0\nconnect = {one.connect}\ncert = {shown['default'].pem}\ncert_dir = {folder}\n"
    clinch = launch(text + hosts, ready=False)
    clinch.wait_log("server started", deadline=60)
    for _ in range(2):
        for name in ("n0-0.example", "n99-25.example", "n199-49.example"):
            assert meet(clinch.port(), name=name).serial == made[name].serial
        for name in ("h0.example", "h5000.example", "h9999.example"):
            assert visit(clinch.port(), peer.context(ca), name).said == b"other"
        assert visit(clinch.port(), peer.context(ca), "n7-7.example").said == b"one"
        assert "reloaded" in clinch.reload()


@pytest.mark.parametrize(
    "name",
    [b"a" * 64 + b".example", b"x" * 250 + b".example", b"a\x00.example", b"..", b"a..example", b"", b"\xff\xfe", b"[::1]"],
    ids=["long label", "long name", "NUL", "dots", "empty label", "empty", "not ASCII", "brackets"],
)
@pytest.mark.parametrize("unknown", ["default", "reject"])
def test_a_hostile_name_is_an_unknown_name(launch, serve, shown, name, unknown):
    """Proves that no name does harm: it is refused, or meets the default, and
    the next client is served."""
    from lib.records import hello_with_name

    clinch = launch(config(serve().connect, shown, f"sni_unknown = {unknown}"))
    answer = hello_with_name(clinch.port(), name)
    assert answer in ("alert", "server hello")
    assert unknown == "default" or answer == "alert"
    assert meet(clinch.port(), name="a.example").serial == shown["a"].serial
    assert clinch.process.poll() is None


def test_what_a_test_run_prints_about_names(serve, shown, tmp_path):
    """Proves that --test prints the hosts, their certificates and backends."""
    file = tmp_path / "clinch.ini"
    file.write_text(config("127.0.0.1:1", shown, "sni_unknown = reject"))
    status, out, errors = proxy.run("--test", "-c", file)
    assert status == 0, errors
    assert "host a.example -> 127.0.0.1:1" in out
    assert "certificate a.example until" in out
    assert "any other name is rejected" in out


def test_the_default_of_a_folder_is_valid(launch, serve, ca, tmp_path):
    """Proves that an expired certificate, and one that has not begun, are the
    default of a folder only where there is no valid one."""
    folder = tmp_path / "certs"
    folder.mkdir()
    ca.issue("a.example", days=-1, label="a", folder=folder, names=["a.example"])
    clinch = launch(f"[listener web]\naccept = 127.0.0.1:0\nconnect = {serve().connect}\ncert_dir = {folder}\n")
    assert meet(clinch.port()).certificate.subject.rfc4514_string() == "CN=a.example"
    ca.issue("b.example", label="b", folder=folder, names=["b.example"])
    clinch.reload()
    assert meet(clinch.port()).certificate.subject.rfc4514_string() == "CN=b.example"
