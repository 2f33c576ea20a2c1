"""Status documents of the admin endpoint, made up: the mix of the README's
screenshot, and any number of certificates."""

import hashlib
import time

MINUTE, HOUR, DAY = 60, 3600, 86400


def staple(now, begins=-2 * DAY, ends=5 * DAY, fetch=36 * HOUR, **changes):
    """A good staple; times in seconds from now, begins None: nothing is held."""
    held = begins is not None
    made = {
        "mode": "always",
        "wanted": True,
        "must_staple": False,
        "responders": 1,
        "state": "good" if held else "none",
        "this_update": now + begins if held else None,
        "next_update": now + ends if held else None,
        "expires": now + ends if held else None,
        "next_fetch": None if fetch is None else now + fetch,
        "last_success": now + begins + 20 if held else None,
        "outcome": "good",
        "failures": 0,
        "error": None,
        "fetches": {"good": 14},
        "asked": 6005,
        "sent": 6000,
    }
    return {**made, **changes}


def certificate(now, name, begins=-28, ends=62, ocsp=None, **changes):
    """A good certificate; its life in days from now."""
    seed = hashlib.sha256(f"{name} {changes.get('kind')} {begins}".encode()).hexdigest()
    made = {
        "name": name,
        "id": seed,
        "serial": seed[:32].upper(),
        "kind": "ECDSA P-256",
        "issuer": "CN=Example CA R3, O=Example",
        "file": f"/etc/clinch/certs/{name}.pem",
        "listeners": ["web"],
        "in_service": True,
        "not_before": int(now + begins * DAY),
        "not_after": int(now + ends * DAY),
        "severity": "good",
        "clients_get": "a staple: good",
        "staple": ocsp or staple(now),
    }
    return {**made, **changes}


def backend(name, state="up", addresses=1, resting=0, errors=0, host=None, **changes):
    made = {
        "name": name, "host": host, "state": state, "since": None, "checked": False, "addresses": addresses,
        "resting": resting, "errors": errors, "error": None, "error_time": None,
    }
    return {**made, **changes}


def listener(name, accepted, backends, **changes):
    ok = int(accepted * 0.987)
    full = int(ok * 0.6)
    made = {
        "name": name,
        "addresses": ["[::]:443"],
        "connections": accepted // 800,
        "accepted": accepted,
        "max_connections": 0,
        "ended": {"done": int(accepted * 0.97), "idle_timeout": accepted // 90, "handshake_failed": accepted // 850},
        "handshakes": {"ok": ok, "resumed": ok - full, "failed": accepted // 850, "duration_ms": ok * 4},
        "bytes": {"in": accepted * 2100, "out": accepted * 61000},
        "staples": {"sent": int(full * 0.93), "not_asked": int(full * 0.066), "none": full // 300, "refused": 0},
        "backends": backends,
    }
    return {**made, **changes}


def special(now):
    """One certificate for each thing that can be wrong, worst last."""
    refused = "fetch failed: connection refused (http://ocsp.example.net/); check the port of the URL and the firewall"
    timeout = "fetch failed: no HTTP response in time (http://ocsp.example.com/)"
    return [
        certificate(now, "static.example.org", -80, 285, kind="RSA 2048", ocsp=staple(now, -3 * DAY, 4 * DAY, 12 * HOUR)),
        certificate(
            now, "edge.example.org", -2, 4, clients_get="no staple, by policy",
            ocsp=staple(now, None, fetch=None, wanted=False, mode="never", outcome="unasked", fetches={}, asked=31, sent=0),
        ),
        certificate(
            now, "mail.example.org", -1, 89, severity="notice", in_service=False, listeners=["imaps"], 
            clients_get="the certificate before it: this one waits for its staple",
            ocsp=staple(now, None, fetch=9, must_staple=True, outcome="try_later", failures=1, fetches={"try_later": 1},
                        error="fetch failed: responder error tryLater (http://ocsp.example.com/)", asked=0, sent=0),
        ),
        certificate(now, "intranet.example.org", -81, 9, severity="warning", kind="RSA 2048", listeners=["web *.example.org"]),
        certificate(
            now, "api.example.org", -40, 50, severity="warning",
            ocsp=staple(now, -6 * DAY, 26 * HOUR, 18 * MINUTE, must_staple=True, outcome="timeout_headers", failures=23, error=timeout,
                        fetches={"good": 9, "timeout_headers": 23}),
        ),
        certificate(
            now, "shop.example.org", -33, 57, severity="critical", clients_get="no staple, so strict clients refuse the certificate", kind="RSA 2048",
            ocsp=staple(now, None, fetch=12, must_staple=True, outcome="connection_refused", failures=7, error=refused,
                        fetches={"connection_refused": 7}, asked=112, sent=0),
        ),
        certificate(
            now, "legacy.example.org", -50, 40, severity="critical", clients_get="a staple: revoked",
            ocsp=staple(now, -5 * HOUR, 6 * DAY, 7 * HOUR, state="revoked", outcome="revoked", fetches={"good": 31, "revoked": 2},
                        error="the certificate is revoked: replace it"),
        ),
    ]  # fmt: skip


def status(certificates=None, now=None, accepted=512_340, **changes):
    """The mix of the screenshot; `accepted` moves the counters."""
    now = int(time.time()) if now is None else now
    if certificates is None:
        names = ["www", "example", "blog", "wiki", "git", "cdn", "status", "docs", "chat", "login"]
        good = [
            certificate(now, f"{name}.example.org", -5 * i - 2, 88 - 5 * i, ocsp=staple(now, (-1 - i % 3) * DAY, (6 - i % 3) * DAY, (30 + 5 * i) * HOUR))
            for i, name in enumerate(names)
        ]
        certificates = [*good, *special(now)]
    made = {
        "version": "0.1.0",
        "openssl": "3.5.4",
        "pid": 4711,
        "start_time": now - 12 * DAY - 5 * HOUR,
        "now": now,
        "config": "/etc/clinch/clinch.ini",
        "threads": 2,
        "state": "serving",
        "ready": True,
        "reasons": [],
        "reload": {"succeeded": 9, "failed": 1, "running": False, "last_time": now - 51 * MINUTE, "last_result": "success", "last_error": None},
        "log_lines_dropped": 0,
        "listeners": [
            listener("web", accepted, [backend("localhost:8080", addresses=2, errors=3), backend("unix:/run/app.sock")]),
            listener(
                "imaps", accepted // 16, [backend("dovecot:143", "resting", 2, 2, 117), backend("dovecot-2:143")],
                addresses=["0.0.0.0:993", "[::]:993"], max_connections=4000,
            ),
        ],
        "certificates": certificates,
        "crls": [
            {"issuer": "CN=Client CA, O=Example", "file": "/etc/clinch/crl/clients.pem", "next_update": now + 3 * DAY},
            {"issuer": "CN=Partner CA", "file": "/etc/clinch/crl/partner.pem", "next_update": now - 5 * HOUR},
        ],
    }  # fmt: skip
    return {**made, **changes}


def many(amount, now=None):
    """A status with that many certificates, some of each severity."""
    now = int(time.time()) if now is None else now
    certificates = special(now)
    for i in range(amount - len(certificates)):
        age = (i * 37) % 59
        certificates.append(certificate(now, f"host-{i:04}.example.org", -age - 1, 89 - age, listeners=[f"web host-{i:04}.example.org"]))
    return status(certificates, now)
