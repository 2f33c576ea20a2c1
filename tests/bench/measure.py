"""Measurements: work per CPU second of a proxy, all its processes and threads
together, with work per second of wall-clock time beside it.

The hard decision: all proxies of a row run at once, but only one at a time
has work.  Each works for a short turn while the generators of the others are
stopped (SIGSTOP), so that whatever else the machine does meanwhile meets all
of them alike.
"""

import os
import time

from processes import (Trouble, busy_seconds, cpu_seconds, pss_bytes,
                       wait_until)
from stage import Stage
from start import measure_starts
from table import CLINCH, CONTROL

WARM_UP = 0.5
TURN = 0.25
GIVEN_BACK_WITHIN = 8
AGREED = {
    ("1.3", "p256"): "TLSv1.3 TLS_AES_128_GCM_SHA256",
    ("1.3", "issued"): "TLSv1.3 TLS_AES_128_GCM_SHA256",
    ("1.3", "rsa"): "TLSv1.3 TLS_AES_128_GCM_SHA256",
    ("1.2", "p256"): "TLSv1.2 ECDHE-ECDSA-AES128-GCM-SHA256",
    ("1.2", "rsa"): "TLSv1.2 ECDHE-RSA-AES128-GCM-SHA256",
}


class Rate:
    """One proxy at work, in turns."""

    def __init__(self, bench, row, name):
        self.row = row
        self.staples = row.stapled and name in (CLINCH, CONTROL)
        self.stage = Stage(bench, row, name)
        try:
            self.load = self.stage.start_load(row.clients)
            wait_until(self._is_under_way, 10, "no connection gets through")
            time.sleep(WARM_UP)
            self.stage.look_around()
            self.first = self.last = self._sample()
            self.load.pause()
            self.seconds = 0.0
        except BaseException:
            self.stage.clear()
            raise

    def _is_under_way(self):
        counters = self.load.ask()
        return counters["full"] + counters["resumed"] > 0

    def _sample(self):
        cpu = cpu_seconds(self.stage.pids)
        counters = self.load.ask()
        if self.row.mode == "upload":
            work = self.stage.backend.ask()["received"]
        else:
            work = counters[self.row.counts]
        return {"cpu": cpu, "work": work, **counters}

    def turn(self, seconds):
        start = time.monotonic()
        self.load.go_on()
        time.sleep(seconds)
        self.last = self._sample()
        self.load.pause()
        self.seconds += time.monotonic() - start
        time.sleep(0.005)           # what is under way comes to its end

    def ours(self):
        """CPU seconds of everything that belongs to this proxy's stage."""
        return cpu_seconds(self.stage.pids
                           + [self.load.pid, self.stage.backend.pid])

    def result(self):
        was, now = self.first, self.last
        self._judge(was, now)
        cpu, work = now["cpu"] - was["cpu"], now["work"] - was["work"]
        if work <= 0 or cpu <= 0:
            raise Trouble("no work was done: %s" % now["why"])
        scale = 1e9 if self.row.counts == "bytes" else 1
        found = {"value": work / cpu / scale,
                 "wall": work / self.seconds / scale,
                 "cpu": cpu, "seconds": self.seconds}
        if self.row.mode == "latency":
            found.update(value=now["p50"], wall=now["p99"])
        return found

    def _judge(self, was, now):
        """A figure is worth nothing if the work was something else."""
        done = now["ops"] - was["ops"]
        if now["errors"] > max(done, 1000) / 1000:
            raise Trouble("%d errors, first: %s"
                          % (now["errors"], now["why"]))
        agreed = "%(version)s %(cipher)s %(group)s" % now
        due = "%s %s" % (AGREED[self.row.tls, self.row.cert], self.row.group)
        if agreed.lower() != due.lower():
            raise Trouble("agreed on " + agreed)
        full = now["full"] - was["full"]
        resumed = now["resumed"] - was["resumed"]
        if (full if self.row.resume else resumed) > done / 100:
            raise Trouble("%d full and %d resumed handshakes"
                          % (full, resumed))
        stapled = now["stapled"] - was["stapled"]
        if stapled != (full if self.staples else 0):
            raise Trouble("%d of %d handshakes were stapled" % (stapled, full))


def each(rates, action, failed):
    """Do it with every proxy; one that fails leaves the round."""
    for name in list(rates):
        try:
            action(rates[name])
        except Trouble as why:
            failed(name, why)
            rates.pop(name).stage.clear()


def measure_rates(bench, row, names, failed):
    """All proxies in turns; a dict of what was found."""
    rates, found = {}, {}
    turns = max(1, round(bench.seconds / TURN))
    try:
        for name in names:
            try:
                rates[name] = Rate(bench, row, name)
            except Trouble as why:
                failed(name, why)
        busy, start, own = busy_seconds(), time.monotonic(), own_cpu(rates)
        for _ in range(turns):
            each(rates, lambda r: r.turn(bench.seconds / turns), failed)
        each(rates, lambda r: r.result(), failed)
        foreign = busy_seconds() - busy - (own_cpu(rates) - own)
        share = foreign / (time.monotonic() - start) / os.cpu_count()
        for name, rate in rates.items():
            found[name] = {**rate.result(), "foreign": max(share, 0)}
    finally:
        for rate in rates.values():
            rate.stage.clear()
    return found


def own_cpu(rates):
    return time.process_time() + sum(r.ours() for r in rates.values())


def least_pss(pids, seconds, goal):
    """The memory once it is below goal, or the least that was measured."""
    least = pss_bytes(pids)
    deadline = time.monotonic() + seconds
    while least > goal and time.monotonic() < deadline:
        time.sleep(0.25)
        least = min(least, pss_bytes(pids))
    return least


def fill(stage, clients):
    """So many connections that have each had one response."""
    load = stage.start_load(clients)
    wait_until(lambda: load.ask()["ops"] >= clients, 60,
               "%d connections are not reached" % clients, 0.1)
    return load


def idle_memory(bench, row, name):
    """Bytes per idle connection, and the share that is given back."""
    stage = Stage(bench, row, name)
    try:
        fill(stage, 20).stop()
        time.sleep(0.5)
        stage.look_around()
        empty = pss_bytes(stage.pids)
        load = fill(stage, bench.idle)
        time.sleep(1)
        now, full = load.ask(), pss_bytes(stage.pids)
        load.stop(20)
        if now["open"] != bench.idle:
            raise Trouble("%d of %d connections are open: %s"
                          % (now["open"], bench.idle, now["why"]))
        grown = max(full - empty, 1)
        after = least_pss(stage.pids, GIVEN_BACK_WITHIN, empty + grown / 20)
        return {"value": (full - empty) / bench.idle, "wall": full,
                "back": 100 * (full - after) / grown}
    finally:
        stage.clear()


def measure(bench, row, names, failed):
    """One row for these proxies; failed(name, why) for those it cannot."""
    if row.mode == "start":
        return measure_starts(bench, row, names, failed)
    if row.mode != "idle":
        return measure_rates(bench, row, names, failed)
    found = {}
    for name in names:
        try:
            found[name] = idle_memory(bench, row, name)
        except Trouble as why:
            failed(name, why)
    return found
