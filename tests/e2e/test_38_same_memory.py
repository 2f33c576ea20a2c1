"""Reloads in the same memory, however many certificates there are."""

import os

import pytest

from lib import pki
from lib.peer import meet
from lib.wait import until

SMALL = os.environ.get("CLINCH_SIZE") == "small"
CERTIFICATES, RELOADS = (1000, 30) if SMALL else (5000, 100)
if os.environ.get("CLINCH_SANITIZED"):  # memory is not ours then, and time is short
    CERTIFICATES, RELOADS = 100, 10


@pytest.fixture(scope="module")
def many(ca, tmp_path_factory):
    """A folder full of certificates; one key does, each certificate is its own."""
    folder = tmp_path_factory.mktemp("many")
    key = pki.new_key()
    made = {}
    for i in range(CERTIFICATES):
        made[i] = ca.issue(f"n{i}.example", names=[f"n{i}.example"], label=f"n{i}", folder=folder, key=key)
        made[i].crt.unlink(), made[i].key.unlink()
    return folder, made


def test_a_hundred_reloads_take_no_more_than_the_first(launch, serve, many):
    """Proves that what did not change is shared: after every reload changes one
    host, and after one certificate is replaced, memory is within a tenth of
    what it was after the first."""
    folder, made = many
    head = f"[listener web]\naccept = 127.0.0.1:0\nconnect = {serve().connect}\ncert_dir = {folder}\nwatch = no\n"

    def text(i):
        hosts = "".join(f"[host web n{k}.example]\ntimeout_idle = {1000 + (i if k == i % 50 else 0)}s\n" for k in range(50))
        return head + hosts

    clinch = launch(text(0), ready=False)
    clinch.wait_log("server started", deadline=60)
    first = None
    for i in range(1, RELOADS + 1):
        clinch.write(text(i))
        assert "reloaded" in clinch.reload()
        first = first or clinch.memory_kb()
    assert clinch.memory_kb() <= first * 1.1, (first, clinch.memory_kb())
    for i in (0, CERTIFICATES // 2, CERTIFICATES - 1):
        assert meet(clinch.port(), name=f"n{i}.example").serial == made[i].serial
