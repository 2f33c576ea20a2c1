"""The rows of the table: what is measured, and what clinch is to reach.

A goal is a ratio to the best peer of the same round.  For rows where less is
better the ratio is still clinch's figure by the best peer's.
"""

from dataclasses import dataclass
from typing import Optional


@dataclass(frozen=True)
class Row:
    name: str
    title: str
    mode: str                   # of the load generator
    unit: str = "/CPU s"
    counts: str = "ops"         # "bytes": count those that arrived
    cert: str = "p256"
    tls: str = "1.3"
    clients: int = 16
    size: int = 64
    rate: int = 0
    resume: bool = False
    group: str = "X25519"       # of the key exchange
    stapled: bool = False       # the client sends status_request
    many: int = 0               # certificates, each with a name of its own
    peers: tuple = ()           # instead of the proxies that were chosen
    goal: Optional[float] = None
    less_is_better: bool = False
    goal_value: Optional[float] = None      # an absolute bound for clinch


def _full(name, title, goal, **kw):
    return Row(name, title, "handshake", goal=goal, **kw)


def _stream(name, title, clients, goal):
    return Row(name, title, name.rstrip("0123456789"), unit="GB/CPU s",
               counts="bytes", clients=clients, goal=goal)


ROWS = [
    _full("full13-p256", "TLS 1.3 full, P-256", 1.30),
    _full("full13-rsa", "TLS 1.3 full, RSA-2048", 1.25, cert="rsa"),
    _full("full12-p256", "TLS 1.2 full, P-256", 1.25, tls="1.2"),
    _full("full12-rsa", "TLS 1.2 full, RSA-2048", 1.15, tls="1.2",
          cert="rsa"),
    _full("resumed13", "TLS 1.3 resumed", 1.35, resume=True),
    _full("full13-mlkem", "TLS 1.3 full, X25519MLKEM768", 1.18,
          group="X25519MLKEM768"),
    _full("resumed13-mlkem", "TLS 1.3 resumed, X25519MLKEM768", 1.18,
          resume=True, group="X25519MLKEM768"),
    _full("resumed12", "TLS 1.2 resumed", 1.30, tls="1.2", resume=True),
    _full("stapled13", "TLS 1.3 full, P-256, stapled", 0.97, cert="issued",
          stapled=True, peers=("unstapled", "clinch")),
    _stream("download1", "download, 1 stream", 1, 1.40),
    _stream("download8", "download, 8 streams", 8, 1.40),
    _stream("upload1", "upload, 1 stream", 1, 1.50),
    _stream("upload8", "upload, 8 streams", 8, 1.50),
    Row("ping64", "64 B ping-pong, 100 conn.", "ping", clients=100,
        goal=1.40),
    Row("ping4k", "4 KiB ping-pong, 100 conn.", "ping", clients=100,
        size=4096, goal=1.30),
    Row("latency", "p50 at 2000 requests/s", "latency", unit="us",
        clients=100, rate=2000, goal=1.0, less_is_better=True),
    Row("idle", "memory per idle connection", "idle", unit="bytes",
        clients=2000, less_is_better=True, goal_value=16384),
    Row("start1000", "start with 1000 certificates (SNI)", "start", unit="ms",
        many=1000, goal=0.20, less_is_better=True),
]

BY_NAME = {row.name: row for row in ROWS}
GROUPS = {
    "handshake": [r.name for r in ROWS if r.mode == "handshake"],
    "full": [r.name for r in ROWS if r.name.startswith("full")],
    "resumed": [r.name for r in ROWS if r.resume],
    "download": ["download1", "download8"],
    "upload": ["upload1", "upload8"],
    "stream": [r.name for r in ROWS if r.counts == "bytes"],
    "ping": ["ping64", "ping4k"],
}


def choose(words):
    """Rows by name or by group, in the order of the table."""
    wanted = set()
    for word in words:
        wanted.update(GROUPS.get(word, [word]))
    unknown = sorted(wanted - set(BY_NAME))
    if unknown:
        raise ValueError("no test is called %s; there are: %s" % (
            ", ".join(unknown), ", ".join(list(BY_NAME) + list(GROUPS))))
    return [row for row in ROWS if row.name in wanted]
