"""Files that change by themselves: certificates, keys, lists, folders."""

import os
import shutil
import threading

import pytest

from lib import client, peer, pki, service
from lib.mounts import Projected
from lib.peer import meet, visit
from lib.wait import stays, until

REPLACED = r"changed certificate in service"
KEPT = r"certificate not replaced; the previous one stays in service"


def config(connect, cert, key=None, more=""):
    lines = ["[listener web]", "accept = 127.0.0.1:0", f"connect = {connect}", f"cert = {cert}"]
    return "\n".join([*lines, *([f"key = {key}"] if key else []), more]) + "\n"


def shows(clinch, files, name=None):
    return meet(clinch.port(), name=name).serial == files.serial


@pytest.fixture
def pair(ca, tmp_path):
    """Two identities, and a folder where the first one is in use."""
    folder = tmp_path / "live"
    folder.mkdir()
    old, new = ca.issue("localhost", label="old"), ca.issue("localhost", label="new")
    shutil.copy(old.crt, folder / "site.crt")
    shutil.copy(old.key, folder / "site.key")
    return folder, old, new


def test_a_file_written_in_place_and_one_renamed_over_it(launch, serve, pair):
    """Proves that both ways of replacing a joint file are picked up."""
    folder, old, new = pair
    joint = folder / "joint.pem"
    shutil.copy(old.pem, joint)
    clinch = launch(config(serve().connect, joint))
    assert shows(clinch, old)
    joint.write_bytes(new.pem.read_bytes())
    until(lambda: shows(clinch, new), "the new certificate")
    pki.replace(joint, old.pem.read_bytes())
    until(lambda: shows(clinch, old), "the old certificate again")
    assert len(clinch.grep(REPLACED)) == 2


def test_certbot_swaps_links(launch, serve, tmp_path, ca):
    """Proves that a swap of the links in live/ is detected, which point into
    archive/, where no old name changes."""
    live, archive = tmp_path / "live", tmp_path / "archive"
    live.mkdir(), archive.mkdir()
    made = [ca.issue("localhost", label=f"cert{i}") for i in (1, 2)]
    for i, files in enumerate(made, 1):
        shutil.copy(files.crt, archive / f"fullchain{i}.pem")
        shutil.copy(files.key, archive / f"privkey{i}.pem")

    def point(i):
        for name in ("fullchain", "privkey"):
            aside = live / f".{name}"
            os.symlink(f"../archive/{name}{i}.pem", aside)
            aside.rename(live / f"{name}.pem")

    point(1)
    clinch = launch(config(serve().connect, live / "fullchain.pem", live / "privkey.pem"))
    assert shows(clinch, made[0])
    point(2)
    until(lambda: shows(clinch, made[1]), "the renewed certificate")


def test_kubernetes_swaps_a_folder(launch, serve, tmp_path, ca):
    """Proves that a swap of ..data is detected: the links in the configuration
    never change, the folder that they lead through does."""
    made = [ca.issue("localhost", label=f"k8s{i}") for i in (1, 2)]
    mount = Projected(tmp_path / "mount")
    mount.write({"tls.crt": made[0].crt.read_bytes(), "tls.key": made[0].key.read_bytes()})
    clinch = launch(config(serve().connect, mount.path / "tls.crt", mount.path / "tls.key"))
    assert shows(clinch, made[0])
    mount.write({"tls.crt": made[1].crt.read_bytes(), "tls.key": made[1].key.read_bytes()})
    until(lambda: shows(clinch, made[1]), "the new secret")


class Load:
    """Clients that connect and exchange bytes one after the other, until
    stopped."""

    def __init__(self, port, made, count=3):
        self.port, self.made = port, made
        self.done, self.failed, self.serials = 0, [], set()
        self.going = True
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def _run(self):
        while self.going:
            try:
                with client.Client(self.port, self.made) as one:
                    assert one.ping()
                    self.serials.add(one.tls.getpeercert()["serialNumber"])
                self.done += 1
            except Exception as error:
                self.failed.append(repr(error))

    def end(self):
        self.going = False
        for thread in self.threads:
            thread.join(30)


def test_a_half_written_pair_and_a_swap_under_load_lose_no_handshake(launch, serve, pair, ca):
    """Proves that a new certificate beside the old key is not put in service,
    that the pair is once it is whole, and that no client notices any of it."""
    folder, old, new = pair
    clinch = launch(config(serve().connect, folder / "site.crt", folder / "site.key"))
    load = Load(clinch.port(), client.context(ca.file))
    until(lambda: load.done > 20, "some handshakes", 30)
    (folder / "site.crt").write_bytes(new.crt.read_bytes()[:300])
    clinch.wait_log(KEPT)
    (folder / "site.crt").write_bytes(new.crt.read_bytes())
    clinch.wait_log(KEPT, 2)
    assert "key does not match certificate" in clinch.grep(KEPT)[-1]
    assert shows(clinch, old)
    (folder / "site.key").write_bytes(new.key.read_bytes())
    clinch.wait_log(REPLACED)
    before = load.done
    until(lambda: load.done > before + 20, "handshakes after the swap", 30)
    load.end()
    assert load.failed == []
    assert f"{new.serial:X}" in {serial.lstrip("0") for serial in load.serials}
    assert shows(clinch, new)


def test_a_file_that_is_gone_changes_nothing(launch, serve, pair):
    """Proves that the old certificate serves on without its files, and that
    it is replaced when they are back."""
    folder, old, new = pair
    clinch = launch(config(serve().connect, folder / "site.crt", folder / "site.key"))
    (folder / "site.crt").unlink()
    clinch.wait_log(KEPT)
    assert shows(clinch, old)
    (folder / "site.key").write_bytes(new.key.read_bytes())
    (folder / "site.crt").write_bytes(new.crt.read_bytes())
    until(lambda: shows(clinch, new), "the new certificate")


def test_no_change_is_loaded_without_watch(launch, serve, pair):
    """Proves watch = no: a reload is needed then."""
    folder, old, new = pair
    joint = folder / "joint.pem"
    shutil.copy(old.pem, joint)
    clinch = launch(config(serve().connect, joint, more="watch = no"))
    pki.replace(joint, new.pem.read_bytes())
    assert stays(lambda: shows(clinch, old), 1.5)
    assert "reloaded" in clinch.reload()
    assert shows(clinch, new)


def test_files_come_and_go_in_a_folder(launch, serve, ca, tmp_path):
    """Proves cert_dir: a new file's names are served, a bad one is one error
    line, a removed one's names are unknown again, and an emptied folder
    leaves what was there."""
    folder = tmp_path / "certs"
    folder.mkdir()
    first = ca.issue("first.example", label="a-first", folder=folder)
    first.crt.unlink(), first.key.unlink()
    more = "sni_unknown = reject"
    text = f"[listener web]\naccept = 127.0.0.1:0\nconnect = {serve().connect}\ncert_dir = {folder}\n{more}\n"
    clinch = launch(text)
    assert meet(clinch.port(), name="second.example").alert
    second = ca.issue("second.example", label="second", folder=tmp_path)
    pki.replace(folder / "b-second.pem", second.pem.read_bytes())
    until(lambda: shows(clinch, second, "second.example"), "the second certificate")
    (folder / "c-bad.pem").write_text("nonsense")
    clinch.wait_log(r"certificate left out.*c-bad\.pem")
    assert shows(clinch, first, "first.example") and shows(clinch, second, "second.example")
    (folder / "b-second.pem").unlink()
    until(lambda: meet(clinch.port(), name="second.example").alert, "the second name to be unknown")
    (folder / "c-bad.pem").unlink()
    (folder / "a-first.pem").unlink()
    clinch.wait_log(r"cert_dir not usable; its certificates stay in service")
    assert shows(clinch, first, "first.example")


def test_only_changes_are_logged(launch, serve, pair, tmp_path):
    """Proves that a file touched without a change, and other files in the same
    folder, make no new certificate and no line."""
    folder, old, _ = pair
    clinch = launch(config(serve().connect, folder / "site.crt", folder / "site.key"))
    os.utime(folder / "site.crt")
    (folder / "other.txt").write_text("nothing of ours")
    assert stays(lambda: not clinch.grep(f"{REPLACED}|{KEPT}"), 1.5)
    assert shows(clinch, old)


@pytest.mark.parametrize(
    "begins, days, expect",
    [(365, 40, None), (365, 29, 29), (365, 13, 13), (365, 0.5, 1), (365, -1, 0), (1, 5, None), (5, 1.5, 2)],
)
def test_the_end_of_a_certificate_is_warned_of_once(launch, serve, ca, begins, days, expect):
    """A certificate with a third of its life left, and at most 30 days, is
    logged once; a reload repeats no line."""
    site = ca.issue("localhost", days=days, label="ending", begins=begins)
    clinch = launch(config(serve().connect, site.pem))
    assert "reloaded" in clinch.reload()
    warned = clinch.grep(r"certificate (expires soon|has expired)")
    assert len(warned) == (expect is not None), clinch.output()
    if expect is not None:
        assert f"days={expect}" in warned[0] and str(site.pem) in warned[0]


class Certbot:
    """live/ and archive/ as certbot keeps them."""

    def __init__(self, folder, ca):
        self.live, self.archive, self.ca, self.count = folder / "live", folder / "archive", ca, {}
        self.live.mkdir(), self.archive.mkdir()
        (self.live / "README").write_text("certbot")

    def obtain(self, name):
        """A first certificate, or a renewal: links are replaced one by one."""
        nth = self.count[name] = self.count.get(name, 0) + 1
        files = self.ca.issue(name, label=f"{name}-{nth}", names=[name])
        live, archive = self.live / name, self.archive / name
        live.mkdir(exist_ok=True), archive.mkdir(exist_ok=True)
        parts = {"cert": files.crt, "privkey": files.key, "chain": self.ca.file, "fullchain": files.crt}
        for part, source in parts.items():
            shutil.copy(source, archive / f"{part}{nth}.pem")
            fresh = live / f".{part}"
            fresh.symlink_to(f"../../archive/{name}/{part}{nth}.pem")
            fresh.rename(live / f"{part}.pem")
        return files


def test_live_of_certbot(launch, serve, tmp_path, ca):
    """Proves cert_dir = /etc/letsencrypt/live: each folder in it is one
    certificate; renewals by links, new folders and removed ones are picked up,
    and what certbot keeps besides is no error."""
    certbot = Certbot(tmp_path, ca)
    a, b = certbot.obtain("a.example"), certbot.obtain("b.example")
    (certbot.live / "later.example").mkdir()
    text = f"[listener web]\naccept = 127.0.0.1:0\nconnect = {serve().connect}\ncert_dir = {certbot.live}\n"
    clinch = launch(text)
    assert shows(clinch, a, "a.example") and shows(clinch, b, "b.example")
    renewed = certbot.obtain("a.example")
    until(lambda: shows(clinch, renewed, "a.example"), "the renewal")
    fresh = certbot.obtain("c.example")
    until(lambda: shows(clinch, fresh, "c.example"), "a new folder")
    later = certbot.obtain("later.example")
    until(lambda: shows(clinch, later, "later.example"), "a folder that was empty")
    again = certbot.obtain("c.example")
    until(lambda: shows(clinch, again, "c.example"), "the renewal of the new one")
    shutil.rmtree(certbot.live / "b.example")
    until(lambda: not shows(clinch, b, "b.example"), "it is gone")
    assert shows(clinch, renewed, "b.example"), "the default"
    assert not clinch.grep(" error ")


def test_one_folder_of_certbot(launch, serve, tmp_path, ca):
    """Proves that the folder of one name works as well: one pair, no errors."""
    certbot = Certbot(tmp_path, ca)
    old = certbot.obtain("a.example")
    text = f"[listener web]\naccept = 127.0.0.1:0\nconnect = {serve().connect}\ncert_dir = {certbot.live}/a.example\n"
    clinch = launch(text)
    assert shows(clinch, old, "a.example")
    new = certbot.obtain("a.example")
    until(lambda: shows(clinch, new, "a.example"), "the renewal")
    assert not clinch.grep(" error ")


def bytes_read(clinch):
    """By read(2), since its start: files, not clients."""
    with open(f"/proc/{clinch.pid}/io") as io:
        return int(io.readline().split()[1])


def reads_nothing(clinch, seconds):
    """Does it read no file for this long?"""
    before = bytes_read(clinch)
    stays(lambda: True, seconds)
    return bytes_read(clinch) - before < 200


def rests(clinch, seconds=1.5):
    """Does it stop reading files although the test does nothing?  A log line is
    written while the generation is being built: files that were not yet a second
    old when they were read are read again after it.  What repeats for ever leaves
    no such pause (a look comes 0.3 s after the last event)."""
    until(lambda: reads_nothing(clinch, seconds), "a pause in its reading")
    return True


STATES = {
    "removed": lambda crt, key, new: crt.unlink(),
    "cut": lambda crt, key, new: crt.write_bytes(crt.read_bytes()[:300]),
    "empty": lambda crt, key, new: crt.write_bytes(b""),
    "another's": lambda crt, key, new: crt.write_bytes(new.crt.read_bytes()),
    "a folder": lambda crt, key, new: (crt.unlink(), crt.mkdir()),
    "key removed": lambda crt, key, new: key.unlink(),
}


@pytest.mark.parametrize("state", STATES)
def test_a_bad_state_is_logged_once_and_costs_nothing(launch, serve, pair, state):
    """Proves that a bad file is one line and read once, that a change of
    another file repeats neither, that SIGHUP gives the reason again, and that
    the next state counts."""
    folder, old, new = pair
    crt, key = folder / "site.crt", folder / "site.key"
    other = folder / "other.pem"
    shutil.copy(old.pem, other)
    second = f"[listener b]\naccept = 127.0.0.1:0\nconnect = 1\ncert = {other}\n"
    clinch = launch(config(serve().connect, crt, key) + second)
    STATES[state](crt, key, new)
    clinch.wait_log(KEPT)
    assert rests(clinch)
    assert len(clinch.grep(KEPT)) == 1, clinch.output()
    pki.replace(other, new.pem.read_bytes())
    clinch.wait_log(REPLACED)
    assert rests(clinch)
    assert len(clinch.grep(KEPT)) == 1, clinch.output()
    assert shows(clinch, old)
    assert "refused" in clinch.reload()
    assert rests(clinch)
    assert len(clinch.grep(r"reload refused")) == 1
    if state == "a folder":
        crt.rmdir()
    pki.replace(crt, new.crt.read_bytes())
    pki.replace(key, new.key.read_bytes())
    until(lambda: shows(clinch, new), "the new certificate")


def test_a_file_touched_without_a_change_costs_nothing(launch, serve, pair):
    """Proves that a new stamp with the same bytes is read once."""
    folder, old, _ = pair
    clinch = launch(config(serve().connect, folder / "site.crt", folder / "site.key"))
    before = bytes_read(clinch)
    os.utime(folder / "site.crt", (1, 1))
    until(lambda: bytes_read(clinch) > before + 1000, "it is read")
    stays(lambda: True, 0.5)
    assert rests(clinch)
    assert not clinch.grep(f"{REPLACED}|{KEPT}")


@pytest.mark.parametrize("state", ["removed", "empty"])
def test_a_bad_ca_file_is_logged_once(launch, serve, pair, ca, state):
    """Proves the same for the CA file of clients."""
    folder, old, _ = pair
    trust = folder / "ca.pem"
    shutil.copy(ca.file, trust)
    more = f"verify = require\nca_file = {trust}"
    clinch = launch(config(serve().connect, folder / "site.crt", folder / "site.key", more))
    if state == "removed":
        trust.unlink()
    else:
        trust.write_bytes(b"")
    clinch.wait_log(r"client CA files not replaced; the previous ones stay in use")
    assert rests(clinch)
    assert len(clinch.grep(r"client CA files not replaced; the previous ones stay in use")) == 1


def test_a_bad_file_in_a_folder_is_logged_once(launch, serve, ca, tmp_path):
    """Proves the same of cert_dir, also when another file changes."""
    folder = tmp_path / "certs"
    folder.mkdir()
    first = ca.issue("first.example", label="t-first", folder=tmp_path)
    shutil.copy(first.pem, folder / "a.pem")
    clinch = launch(f"[listener web]\naccept = 127.0.0.1:0\nconnect = {serve().connect}\ncert_dir = {folder}\n")
    (folder / "bad.pem").write_text("nonsense")
    clinch.wait_log(r"certificate left out.*bad\.pem")
    assert rests(clinch)
    second = ca.issue("second.example", label="t-second", folder=tmp_path)
    pki.replace(folder / "b.pem", second.pem.read_bytes())
    until(lambda: shows(clinch, second, "second.example"), "the second certificate")
    assert rests(clinch)
    assert len(clinch.grep(r"certificate left out.*bad\.pem")) == 1
