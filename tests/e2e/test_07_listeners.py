"""Every kind of address, and the wrong ones."""

import os
import shutil
import socket
import stat
import subprocess
import tempfile

import pytest

from lib import client, proxy


def unix_client(path, ca):
    sock = socket.socket(socket.AF_UNIX)
    sock.settimeout(10)
    sock.connect(path)
    return client.Client(sock, client.context(ca.file))


def test_bare_port_takes_both_families(launch, listener, serve, tls):
    """Proves accept = 0: dual-stack on one port."""
    clinch = launch(listener(serve().connect, accept="0"))
    assert tls(clinch.port()).ping()
    assert tls(clinch.port(), host="::1").ping()


def test_ipv6_only(launch, listener, serve, tls):
    """Proves [::1]:0 and v6only."""
    clinch = launch(listener(serve().connect, "v6only = yes", accept="[::]:0"))
    assert tls(clinch.port(), host="::1").ping()
    with pytest.raises(OSError):
        tls(clinch.port())


def test_several_accept_lines(launch, listener, serve, tls):
    """Proves that accept may repeat."""
    clinch = launch(listener(serve().connect, "accept = [::1]:0"))
    clinch.wait_log(r"listener listening ", 2)
    v4, v6 = sorted(clinch.addresses("web"))
    assert tls(int(v4.rsplit(":", 1)[1])).ping()
    assert tls(int(v6.rsplit(":", 1)[1]), host="::1").ping()


def test_unix_socket(launch, listener, serve, ca, tmp_path):
    """Proves accept = unix:PATH, its mode, and that it is gone afterwards."""
    path = str(tmp_path / "tls.sock")
    clinch = launch(listener(serve().connect, "unix_mode = 0600", accept=f"unix:{path}"))
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with unix_client(path, ca) as one:
        assert one.ping()
    clinch.terminate()
    assert not os.path.exists(path)


def test_stale_unix_socket_is_replaced(launch, listener, serve, ca, tmp_path):
    """Proves that a leftover of a killed process does not stop the next start."""
    path = str(tmp_path / "tls.sock")
    left = socket.socket(socket.AF_UNIX)
    left.bind(path)
    left.close()
    launch(listener(serve().connect, accept=f"unix:{path}"))
    with unix_client(path, ca) as one:
        assert one.ping()


def test_live_unix_socket_is_left_alone(launch, listener, serve, tmp_path):
    """Proves that a socket of another process is an error, and is not
    replaced."""
    path = str(tmp_path / "tls.sock")
    with socket.socket(socket.AF_UNIX) as other:
        other.bind(path)
        other.listen()
        clinch = launch(listener(serve().connect, accept=f"unix:{path}"), ready=False)
        assert clinch.wait_exit() == 1
        assert path in clinch.output() and "in use" in clinch.output()
        probe = socket.socket(socket.AF_UNIX)
        probe.connect(path)
        probe.close()


def test_address_in_use_by_another_program(launch, listener, serve):
    """Proves exit 1 and a sentence that names the address."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        address = "127.0.0.1:%d" % other.getsockname()[1]
        clinch = launch(listener(serve().connect, accept=address), ready=False)
        assert clinch.wait_exit() == 1
        assert address in clinch.output() and "in use" in clinch.output()


def test_address_in_use_by_another_clinch(launch, listener, serve, tls):
    """Proves that a second process does not join the SO_REUSEPORT group."""
    first = launch(listener(serve().connect))
    second = launch(listener(serve().connect, accept=f"127.0.0.1:{first.port()}"), ready=False)
    assert second.wait_exit() == 1
    assert "in use" in second.output()
    assert all(tls(first.port()).ping() for _ in range(8))


def test_threads_share_a_port(launch, listener, serve, tls):
    """Proves that every thread of the pool accepts on the one port."""
    clinch = launch(listener(serve().connect, head="[global]\nthreads = 4"))
    assert all(tls(clinch.port()).ping() for _ in range(40))
    names = []
    for task in os.listdir(f"/proc/{clinch.pid}/task"):
        with open(f"/proc/{clinch.pid}/task/{task}/comm") as comm:
            names.append(comm.read().strip())
    assert len([name for name in names if name.startswith("listener")]) == 4, names


def test_inherited_by_address(launch, listener, serve, tls):
    """Proves LISTEN_FDS without names: the address decides."""
    with socket.create_server(("127.0.0.1", 0)) as given:
        port = given.getsockname()[1]
        clinch = proxy.activated(launch, listener(serve().connect, accept=f"127.0.0.1:{port}"), [given], None)
        assert tls(port).ping()
        clinch.reload()
        assert tls(port).ping()


def test_inherited_by_name(launch, serve, tls, site):
    """Proves fd = NAME with LISTEN_FDNAMES."""
    with socket.create_server(("127.0.0.1", 0)) as given:
        config = f"[listener web]\nfd = web\nconnect = {serve().connect}\ncert = {site.pem}\n"
        proxy.activated(launch, config, [given], "web")
        assert tls(given.getsockname()[1]).ping()


def test_inherited_name_that_is_not_there(launch, serve, site):
    """Proves that a missing inherited socket is an error that names it."""
    config = f"[listener web]\nfd = nosuch\nconnect = {serve().connect}\ncert = {site.pem}\n"
    clinch = launch(config, ready=False)
    assert clinch.wait_exit() != 0
    assert "nosuch" in clinch.output()


def test_no_privilege_for_a_low_port(listener, serve, site, open_folder):
    """Proves the sentence for a port below 1024 without the right to it."""
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as start:
        if int(start.read()) == 0:
            pytest.skip("this kernel lets everybody bind low ports")
    if os.geteuid() != 0:
        pytest.skip("needs root to become somebody without rights")
    wrapper = ("setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--inh-caps=-all", "--bounding-set=-all")
    readable = listener(serve().connect, accept="127.0.0.1:443")
    readable = readable.replace(str(site.pem), f"{open_folder}/site.pem")
    shutil.copy(site.pem, f"{open_folder}/site.pem")
    os.chmod(f"{open_folder}/site.pem", 0o644)
    with open(f"{open_folder}/clinch.ini", "w") as file:
        file.write(readable)
    command = [*wrapper, proxy.BINARY, "-c", f"{open_folder}/clinch.ini"]
    done = subprocess.run(command, capture_output=True, timeout=20)
    assert done.returncode == 1
    assert b"127.0.0.1:443" in done.stderr


@pytest.fixture
def open_folder():
    """A folder that everybody may read, unlike pytest's own."""
    with tempfile.TemporaryDirectory() as folder:
        os.chmod(folder, 0o755)
        yield folder
