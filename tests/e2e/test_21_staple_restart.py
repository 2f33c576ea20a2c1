"""Staples outlive the process: rules 1 to 5."""

import os
import pathlib
import pwd
import shutil
import signal
import stat
import subprocess
import tempfile

import pytest

from lib.mounts import needs_mounts
from lib.stapled import staple_of, status_of, wait_staple
from lib.wait import until


@pytest.fixture
def kept(tmp_path):
    """A store_dir, and the path of a certificate's file in it."""
    folder = tmp_path / "state"

    class Kept:
        head = f"store_dir = {folder}"
        path = folder

        @staticmethod
        def file(files):
            return folder / "ocsp" / files.id

    return Kept


def test_restart_with_the_responder_down(launch, ca, responders, stapled, kept):
    """Proves rule 1: the first handshake after a restart is stapled with the
    same bytes while the responder is down; and the file is raw DER, 0600."""
    responder = responders()
    site = ca.issue(ocsp=responder.url, must_staple=True)
    text = stapled(site, "mode = always", head=kept.head)
    first = launch(text)
    before = staple_of(first.port(), ca, site)
    until(kept.file(site).exists, "the response is on disk")
    assert first.terminate() == 0
    assert kept.file(site).read_bytes() == before.der
    assert stat.S_IMODE(kept.file(site).stat().st_mode) == 0o600
    assert stat.S_IMODE(kept.path.stat().st_mode) == 0o700
    responder.stop()
    assert staple_of(launch(text).port(), ca, site) == before


def test_killed_and_restarted(launch, ca, responders, stapled, kept):
    """Proves the same for kill -9."""
    responder = responders()
    site = ca.issue(ocsp=responder.url)
    text = stapled(site, "mode = always", head=kept.head)
    first = launch(text)
    until(kept.file(site).exists, "the response is on disk")
    os.kill(first.pid, signal.SIGKILL)
    first.wait_exit()
    responder.stop()
    assert status_of(launch(text).port(), ca) == "good"


BROKEN = {
    "torn": lambda der, other: der[:-30],
    "empty": lambda der, other: b"",
    "garbage": lambda der, other: b"\x30\x82garbage",
    "trailing": lambda der, other: der + b"\0",
    "another certificate's": lambda der, other: other,
    "spoiled": lambda der, other: der[:-1] + bytes([der[-1] ^ 1]),
    "huge": lambda der, other: der + b"\0" * (1 << 20),
}


@pytest.mark.parametrize("broken", BROKEN)
def test_bad_files_are_logged_once_and_never_served(launch, ca, responders, stapled, kept, broken):
    """Proves rule 2: a saved response is verified like a fetched one, a bad
    file is never fatal, and the next good response replaces it."""
    responder = responders()
    site, other = ca.issue(ocsp=responder.url), ca.issue("other", ocsp=responder.url)
    text = stapled(site, "mode = prefer", head=kept.head)
    both = text + stapled(other, name="other").replace("[ocsp]", "")
    first = launch(both)
    until(lambda: kept.file(site).exists() and kept.file(other).exists(), "both files")
    first.terminate()
    good = kept.file(site).read_bytes()
    kept.file(site).write_bytes(BROKEN[broken](good, kept.file(other).read_bytes()))
    responder.behave("http_500")
    second = launch(text)
    assert status_of(second.port(), ca) is None
    assert len(second.grep("warning ocsp saved response not used")) == 1, second.output()
    responder.behave("good")
    second.terminate()
    third = launch(text)
    fresh = staple_of(third.port(), ca, site)
    until(lambda: kept.file(site).read_bytes() == fresh.der, "the file is mended")


@pytest.mark.parametrize("instead", ["symlink", "folder", "fifo"])
def test_strange_things_in_the_store(launch, ca, responders, stapled, kept, instead):
    """Proves that only regular files are read, and that none of them blocks or
    stops anything."""
    responder = responders()
    site = ca.issue(ocsp=responder.url)
    kept.file(site).parent.mkdir(parents=True)
    if instead == "symlink":
        kept.file(site).symlink_to("/etc/passwd")
    elif instead == "folder":
        kept.file(site).mkdir()
    else:
        os.mkfifo(kept.file(site))
    clinch = launch(stapled(site, "mode = always", head=kept.head))
    assert status_of(clinch.port(), ca) == "good"


def test_a_renewed_certificate_does_not_inherit(launch, ca, responders, stapled, kept):
    """Proves rule 4: same name, another certificate, another file."""
    responder = responders()
    old = ca.issue(ocsp=responder.url, label="old")
    first = launch(stapled(old, "mode = prefer", head=kept.head))
    until(kept.file(old).exists, "the response is on disk")
    first.terminate()
    responder.behave("http_500")
    renewed = ca.issue(ocsp=responder.url, label="renewed")
    second = launch(stapled(renewed, "mode = prefer", head=kept.head))
    assert status_of(second.port(), ca) is None


def needs_strace():
    return not shutil.which("strace") or subprocess.call(["strace", "-o", "/dev/null", "true"]) != 0


# Opening and writing cannot be told from those of other files: store_faults
# has them.
STEPS = ["fsync", "rename,renameat,renameat2", "fsync:2"]


@pytest.mark.skipif(needs_strace(), reason="needs the right to trace a process")
@pytest.mark.skipif(bool(os.environ.get("CLINCH_SANITIZED")), reason="the leak checker does not run under strace")
@pytest.mark.parametrize("step", STEPS)
def test_killed_at_every_step_of_a_write(launch, ca, responders, stapled, kept, tmp_path, step):
    """Proves rule 3: after a kill at the syncing or renaming of a file or the
    syncing of its folder, the store has the old response or the new one,
    whole, and the restart staples it."""
    responder = responders()
    site = ca.issue(ocsp=responder.url)
    text = stapled(site, "mode = always", head=kept.head)
    first = launch(text)
    until(kept.file(site).exists, "the response is on disk")
    first.terminate()
    old = kept.file(site).read_bytes()
    # Old enough to be refreshed at once, still valid.
    responder.window(-HOUR, HOUR)
    responder.behave("good")
    kept.file(site).unlink()
    second = launch(text)
    until(kept.file(site).exists, "a response in the middle of its life")
    second.terminate()
    middle = kept.file(site).read_bytes()
    assert middle != old
    responder.window(-60, HOUR)
    calls, _, nth = step.partition(":")
    trace = ["strace", "-f", "-o", str(tmp_path / "trace"), "-e", f"trace={calls}"]
    inject = ["-e", f"inject={calls}:signal=KILL:when={nth or 1}"]
    third = launch(text, ready=False, wrapper=(*trace, *inject))
    third.wait_exit(20)
    found = kept.file(site).read_bytes()
    responder.stop()
    last = launch(text)
    assert staple_of(last.port(), ca, site).der == found


HOUR = 3600



def in_namespace(script):
    """A wrapper that gives the process mounts of its own, made by `script`."""
    return ("unshare", "--mount", "sh", "-ec", script + '; exec "$@"', "sh")


@needs_mounts
@pytest.mark.parametrize("disk", ["full", "read-only"])
def test_a_disk_that_takes_nothing(launch, ca, responders, stapled, kept, disk):
    """Proves that a full or read-only disk delays nothing, loses nothing in
    memory, and is logged once."""
    responder = responders()
    responder.window(-3, 3)
    site = ca.issue(ocsp=responder.url)
    (kept.path / "ocsp").mkdir(parents=True)
    mount = f"mount -t tmpfs -o size=8k none {kept.path}/ocsp"
    spoil = f"head -c 8192 /dev/zero >{kept.path}/ocsp/filler || :" if disk == "full" else f"mount -o remount,ro {kept.path}/ocsp"
    clinch = launch(stapled(site, "mode = always", head=kept.head), wrapper=in_namespace(f"{mount}; {spoil}"))
    before = responder.count()
    assert status_of(clinch.port(), ca) == "good"
    until(lambda: responder.count() >= before + 2, "two refreshes", 20)
    assert status_of(clinch.port(), ca) == "good"
    says = "No space left" if disk == "full" else "Read-only"
    assert len(clinch.grep(says)) == 1, clinch.output()


def test_a_store_that_cannot_be_made(launch, ca, responders, stapled, tmp_path):
    """Proves that a store_dir without its parent folder is an error at the
    start."""
    site = ca.issue(ocsp=responders().url)
    clinch = launch(stapled(site, head=f"store_dir = {tmp_path}/no/such/parent"), ready=False)
    assert clinch.wait_exit() in (1, 2)
    assert clinch.grep("store_dir|no/such/parent")


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")


@needs_root
def test_a_folder_made_by_root_belongs_to_the_owner_of_store_dir(launch, ca, responders, stapled, tmp_path):
    """Proves that files of a process of root can be read and replaced by the
    next process, which runs as the owner of store_dir."""
    account = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory() as top:
        os.chmod(top, 0o711)
        state = pathlib.Path(top) / "state"
        state.mkdir()
        os.chown(state, account.pw_uid, account.pw_gid)
        responder = responders()
        responder.window(-HOUR, HOUR / 2)  # due at once
        site = ca.issue(ocsp=responder.url)
        file = state / "ocsp" / site.id
        head = f"store_dir = {state}"
        first = launch(stapled(site, "mode = always", head=head))
        until(file.exists, "the response is on disk")
        assert first.terminate() == 0
        owners = {path: path.stat().st_uid for path in (file.parent, *file.parent.iterdir())}
        assert set(owners.values()) == {account.pw_uid}, owners
        before = file.read_bytes()
        responder.window(-60, HOUR)
        second = launch(stapled(site, "mode = always", head=f"{head}\nuser = nobody\ngroup = nogroup"))
        until(lambda: file.read_bytes() != before, "the response is replaced")
        assert not second.grep("warning ocsp|over restarts"), second.output()


@needs_root
@pytest.mark.parametrize("there", [False, True], ids=["made", "there"])
def test_the_configured_user_can_write_what_root_made(launch, ca, responders, stapled, there):
    """Proves that with `user` the folders belong to that user, with any owner
    of the parent folder."""
    account = pwd.getpwnam("nobody")
    with tempfile.TemporaryDirectory() as top:
        os.chmod(top, 0o755)
        state = pathlib.Path(top) / "state"
        if there:
            state.mkdir(mode=0o755)
        site = ca.issue(ocsp=responders().url)
        head = f"store_dir = {state}\nuser = nobody\ngroup = nogroup"
        clinch = launch(stapled(site, "mode = always", head=head))
        until((state / "ocsp" / site.id).exists, "the response is on disk")
        for folder in ("ocsp", "issuer"):
            assert (state / folder).stat().st_uid == account.pw_uid
        assert state.stat().st_uid == (0 if there else account.pw_uid)
        assert not clinch.grep("warning ocsp|over restarts"), clinch.output()
