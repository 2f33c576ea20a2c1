"""The sandbox: what is in force, what stays possible, what is refused."""

import os
import pathlib
import shutil
import signal
import sys

import pytest

from lib import no_landlock
from lib.peer import meet
from lib.wait import until

OUTSIDE = "is outside the sandbox of this start"


def has_landlock():
    """Does this kernel have Landlock, and is it switched on?"""
    import ctypes

    return ctypes.CDLL(None).syscall(no_landlock.LANDLOCK_CREATE_RULESET, None, 0, 1) > 0


landlock = pytest.mark.skipif(not has_landlock(), reason="the kernel has no Landlock")


def rows_of(pid, name):
    text = pathlib.Path(f"/proc/{pid}/{name}").read_text()
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def copied(files, folder):
    """The joint file of an identity, in this folder."""
    folder.mkdir(exist_ok=True)
    return pathlib.Path(shutil.copy(files.pem, folder / "site.pem"))


def config(connect, cert, head=""):
    return f"{head}\n[listener web]\naccept = 127.0.0.1:0\nconnect = {connect}\ncert = {cert}\n"


@landlock
def test_it_is_in_force_and_in_one_line(launch, listener, serve, tls):
    """Every thread has no new privileges and the filter; no core is dumped."""
    clinch = launch(listener(serve().connect, head="[global]\nsandbox = require"))
    (line,) = clinch.grep("notice sandbox ")
    assert "in force landlock=" in line and 'seccomp="filter of ' in line and "core_dumps=off" in line
    for task in os.listdir(f"/proc/{clinch.pid}/task"):
        rows = rows_of(clinch.pid, f"task/{task}/status")
        assert rows["NoNewPrivs"] == "1" and rows["Seccomp"] == "2"
    limits = pathlib.Path(f"/proc/{clinch.pid}/limits").read_text()
    (core,) = [row.split() for row in limits.splitlines() if row.startswith("Max core file size")]
    assert core[4:6] == ["0", "0"]
    assert tls(clinch.port()).ping()
    assert "reloaded" in clinch.reload()


@landlock
def test_a_reload_to_another_folder_is_refused(launch, serve, ca, tmp_path):
    """With the line and what to do; the old configuration serves on."""
    old, new = ca.issue("localhost", label="inside"), ca.issue("localhost", label="outside")
    inside, outside = copied(old, tmp_path / "in"), copied(new, tmp_path / "out")
    connect = serve().connect
    clinch = launch(config(connect, inside))
    clinch.write(config(connect, outside))
    assert "refused" in clinch.reload()
    (line,) = clinch.grep(OUTSIDE)
    assert str(outside) in line and "clinch.ini:5: " in line and "restart" in line
    assert meet(clinch.port()).serial == old.serial
    clinch.write(config(connect, copied(new, tmp_path / "in")))
    assert "reloaded" in clinch.reload()
    assert meet(clinch.port()).serial == new.serial


@landlock
def test_logs_and_sockets_elsewhere_are_refused(launch, listener, serve, tls, tmp_path):
    """Before anything of the new configuration is applied."""
    clinch = launch(listener(serve().connect))
    (tmp_path / "elsewhere").mkdir()
    for head, accept in ((f"[log]\noutput = {tmp_path}/elsewhere/log", "127.0.0.1:0"), ("", f"unix:{tmp_path}/elsewhere/s")):
        before = len(clinch.grep(OUTSIDE))
        clinch.write(listener(serve().connect, head=head, accept=accept))
        assert "refused" in clinch.reload()
        assert len(clinch.grep(OUTSIDE)) == before + 1
    assert os.listdir(tmp_path / "elsewhere") == []
    assert tls(clinch.port()).ping()


@landlock
def test_an_include_elsewhere_is_explained(launch, listener, serve, tls, tmp_path):
    """The file is not read, so that the line cannot name the key."""
    clinch = launch(listener(serve().connect))
    more = tmp_path / "elsewhere" / "more.ini"
    more.parent.mkdir()
    more.write_text("[log]\nlevel = info\n")
    link = tmp_path / "elsewhere.ini"
    more.parent.rename(f"{tmp_path}-elsewhere")
    link.symlink_to(f"{tmp_path}-elsewhere/more.ini")
    clinch.write(f"include = {link}\n" + listener(serve().connect))
    assert "refused" in clinch.reload()
    assert clinch.grep("elsewhere.ini.*Permission denied") and clinch.grep("outside the sandbox of this start: restart")
    assert tls(clinch.port()).ping()


@landlock
def test_the_store_and_rotated_logs_are_written(launch, listener, serve, tls, tmp_path):
    """A store made at the start; a log that logrotate has renamed."""
    log, store = tmp_path / "logs" / "clinch.log", tmp_path / "store"
    log.parent.mkdir()
    head = f"[global]\nsandbox = require\nstore_dir = {store}\n[log]\naccess = {log}"
    clinch = launch(listener(serve().connect, head=head))
    assert (store / "ocsp").is_dir()
    log.rename(log.with_suffix(".1"))
    os.kill(clinch.pid, signal.SIGUSR1)
    clinch.wait_log("logs reopened")
    with tls(clinch.port()) as one:
        assert one.ping()
    until(lambda: log.exists() and "listener=web" in log.read_text(), "a line in the new log")


@landlock
def test_a_link_that_leads_outside_is_not_followed(launch, serve, ca, tmp_path):
    """The kernel denies it, even to root; the log gives the reason."""
    old, new = ca.issue("localhost", label="linked"), ca.issue("localhost", label="linked-out")
    inside, outside = copied(old, tmp_path / "in"), copied(new, tmp_path / "out")
    link = tmp_path / "live" / "site.pem"
    link.parent.mkdir()
    link.symlink_to(inside)
    clinch = launch(config(serve().connect, link))
    fresh = link.with_name("fresh")
    fresh.symlink_to(outside)
    fresh.rename(link)
    clinch.wait_log(OUTSIDE)
    assert clinch.grep("certificate not replaced.*Permission denied")
    assert meet(clinch.port()).serial == old.serial


@landlock
def test_a_folder_swapped_by_its_link_renews(launch, serve, ca, tmp_path):
    """Releases of a deployment: current -> releases/1, then releases/2."""
    made = [ca.issue("localhost", label=f"release{i}") for i in (1, 2)]
    (tmp_path / "releases").mkdir()
    current = tmp_path / "current"
    copied(made[0], tmp_path / "releases" / "1")
    current.symlink_to("releases/1")
    clinch = launch(config(serve().connect, current / "site.pem"))
    assert meet(clinch.port()).serial == made[0].serial
    copied(made[1], tmp_path / "releases" / "2")
    fresh = tmp_path / "fresh"
    fresh.symlink_to("releases/2")
    fresh.rename(current)
    until(lambda: meet(clinch.port()).serial == made[1].serial, "the second release")


@landlock
def test_a_name_that_certbot_adds_to_live(launch, serve, ca, tmp_path):
    """A cert_dir of links: a new folder in live/ with its files in archive/."""
    live, archive = tmp_path / "live", tmp_path / "archive"

    def add(name):
        files = ca.issue(name, label=f"certbot-{name}")
        for folder in (live, archive):
            (folder / name).mkdir(parents=True)
        for kind, source in (("fullchain", files.crt), ("privkey", files.key)):
            shutil.copy(source, archive / name / f"{kind}1.pem")
            os.symlink(f"../../archive/{name}/{kind}1.pem", live / name / f"{kind}.pem")
        return files

    first = add("a.example")
    clinch = launch(f"[listener web]\naccept = 127.0.0.1:0\nconnect = {serve().connect}\ncert_dir = {live}\n")
    assert meet(clinch.port(), name="a.example").serial == first.serial
    second = add("b.example")
    until(lambda: meet(clinch.port(), name="b.example").serial == second.serial, "the new name")


@pytest.mark.parametrize("mode", ["auto", "require"])
def test_a_kernel_without_landlock(launch, listener, serve, tls, mode):
    """auto goes on with one line, require does not start."""
    head = f"[global]\nsandbox = {mode}"
    old = (sys.executable, no_landlock.__file__)
    clinch = launch(listener(serve().connect, head=head), ready=mode == "auto", wrapper=old)
    if mode == "require":
        assert clinch.wait_exit() == 1
        assert "sandbox = require: the kernel has no Landlock" in clinch.output()
        return
    (line,) = clinch.grep("notice sandbox ")
    assert 'landlock="no: ' in line and 'seccomp="filter of ' in line
    assert tls(clinch.port()).ping()


def test_off(launch, serve, ca, tmp_path):
    """A reload may name any folder."""
    old, new = ca.issue("localhost", label="off"), ca.issue("localhost", label="off-new")
    inside, outside = copied(old, tmp_path / "in"), copied(new, tmp_path / "out")
    connect = serve().connect
    clinch = launch(config(connect, inside, "[global]\nsandbox = off"))
    assert rows_of(clinch.pid, "status")["Seccomp"] == "0"
    clinch.write(config(connect, outside, "[global]\nsandbox = off"))
    assert "reloaded" in clinch.reload()
    assert meet(clinch.port()).serial == new.serial
