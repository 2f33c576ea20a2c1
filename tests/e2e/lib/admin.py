"""The admin endpoint of a clinch, as a scraper or a person with curl uses it."""

import json
import re
import socket

from .wait import until


def listen(clinch):
    """The TCP address of the endpoint, as the log has it."""
    clinch.wait_log("admin listening address=[^u]")
    return clinch.grep("admin listening address=[^u]")[-1].rsplit("address=", 1)[1].split()[0]


def connect(clinch, path=None):
    """A socket to the endpoint: over TCP, or to the Unix socket at `path`."""
    if path is None:
        host, port = listen(clinch).rsplit(":", 1)
        return socket.create_connection((host.strip("[]"), int(port)), 20)
    client = socket.socket(socket.AF_UNIX)
    client.settimeout(20)
    client.connect(str(path))
    return client


def exchange(client, request):
    """Send these bytes and return (status, headers, body) of the answer."""
    with client:
        client.sendall(request)
        data = b""
        while part := client.recv(65536):
            data += part
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:])
    assert int(headers["content-length"]) == len(body)
    return int(lines[0].split()[1]), headers, body.decode()


def request(clinch, target, method="GET", path=None):
    head = f"{method} {target} HTTP/1.1\r\nHost: localhost\r\n\r\n"
    return exchange(connect(clinch, path), head.encode())


def status(clinch, path=None):
    code, headers, body = request(clinch, "/status", path=path)
    assert code == 200 and headers["content-type"] == "application/json"
    return json.loads(body)


SERIES = re.compile(r'^([a-z_]+)(?:\{(.*)\})? ([-+0-9.eE]+)$')
LABEL = re.compile(r'([a-z_]+)="((?:[^"\\]|\\.)*)"')


def metrics(clinch, path=None):
    """{(name, frozenset of labels): value}; every series is there once."""
    code, headers, body = request(clinch, "/metrics", path=path)
    assert code == 200 and headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {}
    for line in body.splitlines():
        if line.startswith("#"):
            continue
        name, labels, value = SERIES.match(line).groups()
        key = (name, frozenset(LABEL.findall(labels or "")))
        assert key not in found, line
        found[key] = float(value)
    return found


def metric(clinch, name, **labels):
    """The sum of the series of that name with at least these labels; None: there
    is none."""
    found = [value for (key, has), value in metrics(clinch).items() if key == name and set(labels.items()) <= has]
    return sum(found) if found else None


def wait_metric(clinch, name, value, **labels):
    until(lambda: metric(clinch, name, **labels) == value, f"{name}{labels} == {value}")
