"""The arithmetic of make bench and make bench-counts."""

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "bench"))

import counts                                           # noqa: E402
import rows                                             # noqa: E402
import stage                                            # noqa: E402
import table                                            # noqa: E402

CALLGRIND = """\
events: Ir
ob=(1) /usr/bin/proxy
fl=(1) conn.c
fn=(1) conn_step
0 100
cob=(2) /usr/lib/libssl.so.3
cfn=(2) SSL_read
calls=3 0
0 5000
0 20

ob=(2)
fn=(2)
0 4000
ob=(1)
fn=(3) relay
0 7
totals: 4127
""".splitlines()

STRACE = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.000060           1        60           epoll_wait
 20.00    0.000020           1        50        10 recvfrom
 20.00    0.000020           1        40           sendto
------ ----------- ----------- --------- --------- ----------------
100.00    0.000100           1       150        10 total
""".splitlines()


def test_own_instructions_are_those_inside_the_program():
    """The cost of a callee stands in its own object, and is counted once."""
    assert counts.read_callgrind(CALLGRIND, "/usr/bin/proxy") == (127, 4127)


def test_waits_and_failed_calls_are_not_steady():
    assert counts.read_strace(STRACE) == (80, 150)


def test_a_unit_is_the_difference_of_two_runs():
    short = counts.Cost(1000, 50000, 100, 140)
    long = counts.Cost(1400, 90000, 180, 240)
    assert counts.per_unit(short, long, 40) == counts.Cost(10, 1000, 2, 2.5)


@pytest.mark.parametrize("own, calls, total, failed", [
    (1000, 20, 50000, []),
    (1019, 20.3, 50900, []),
    (500, 10, 25000, []),
    (1021, 20, 50000, ["own instructions"]),
    (1000, 20.5, 50000, ["system calls"]),
    (1000, 20, 51100, ["all instructions"]),
])
def test_more_than_two_percent_fails(own, calls, total, failed):
    was = {"ping": counts.Written(1000, 20, 50000, "3.0.1/cpu")}
    now = {"ping": counts.Cost(own, total, calls, 30)}
    found = counts.compare(was, now, "3.0.1/cpu")
    assert [one.what for one in found if one.failed] == failed


def test_all_instructions_depend_on_openssl_and_the_processor():
    was = {"ping": counts.Written(1000, 20, 50000, "3.0.1/cpu")}
    now = {"ping": counts.Cost(1000, 99999, 20, 30)}
    assert not any(one.failed for one in counts.compare(was, now, "3.0.2/cpu"))
    assert any(one.failed for one in counts.compare(was, now, "3.0.1/cpu"))


def test_a_row_that_is_not_in_the_file_fails_nothing():
    found = counts.compare({}, {"new": counts.Cost(1, 2, 3, 4)}, "any")
    assert [one.was for one in found] == [None, None]
    assert not any(one.failed for one in found)


def test_writing_replaces_the_rows_of_this_machine():
    """Rows of other machines, and rows that were not counted, stay."""
    lines = ["# what this is\n", "deb12 ping 1 2.00 3 lib\n", "deb12 full 4 5.00 6 lib\n", "deb13 ping 7 8.00 9 lib\n"]
    new = counts.write_file(lines, "deb12", {"ping": counts.Cost(10, 30, 20, 40)}, "lib2")
    assert new == ["# what this is", "deb12 full 4 5.00 6 lib", "deb13 ping 7 8.00 9 lib", "deb12 ping 10 20.00 30 lib2"]
    assert counts.read_file(new, "deb12") == {"full": counts.Written(4, 5, 6, "lib"), "ping": counts.Written(10, 20, 30, "lib2")}
    assert counts.read_file(new, "deb14") == {}


def test_the_lower_of_two_counts():
    assert counts.lower(counts.Cost(1, 9, 3, 9), counts.Cost(2, 8, 2, 9)) == counts.Cost(1, 8, 2, 9)


PING = rows.BY_NAME["ping64"]
IDLE = rows.BY_NAME["idle"]


def results(row=PING, foreign=0.0, **values):
    """Results with these figures of each proxy, one a round."""
    found = table.Results()
    for peer, figures in values.items():
        for number, value in enumerate(figures):
            found.add(number, row, peer, {"value": value, "wall": 2 * value, "foreign": foreign})
    return found


def test_the_ratio_is_to_the_best_peer_of_the_same_round():
    """The control is no peer."""
    found = results(clinch=[110, 90], nginx=[100, 60], haproxy=[80, 90], control=[500, 500])
    assert found.ratios(PING) == [1.1, 1.0]


def test_the_best_peer_has_least_where_less_is_better():
    found = results(IDLE, clinch=[10], nginx=[40], haproxy=[20], control=[1])
    assert found.ratios(IDLE) == [0.5]


@pytest.mark.parametrize("control, why", [
    ([100, 100, 100], ""),
    ([104, 96, 100], ""),
    ([100, 100, 110], "control 0.91 to 1.00"),
    ([94, 100, 100], "control 1.00 to 1.06"),
    ([], "no control"),
])
def test_a_row_is_judged_only_while_the_control_holds(control, why):
    """One round outside the range is enough."""
    found = results(clinch=[100, 100, 100], nginx=[50, 50, 50], control=control)
    assert found.unjudged(PING) == why
    assert table.is_judged(found, [PING]) == (not why)
    last = table.verdict(found, PING, found.ratios(PING))
    assert last == ("not judged: " + why if why else "reached")


def test_no_row_is_judged_while_others_use_the_machine():
    values = {"clinch": [100], "nginx": [50], "control": [100]}
    assert results(foreign=0.04, **values).unjudged(PING) == ""
    assert results(foreign=0.06, **values).unjudged(PING) == "busy machine"


def test_a_row_without_a_figure_is_not_judged():
    assert not table.is_judged(results(nginx=[1], control=[1]), [PING])
    assert not table.is_judged(table.Results(), [PING])


@pytest.mark.parametrize("load, refused", [(0.0, False), (1.0, False), (1.1, True), (9.0, True)])
def test_the_load_average_forbids_a_start(load, refused):
    assert bool(table.too_busy(load, 2)) == refused


def test_a_cell_has_the_median_and_the_range():
    found = results(clinch=[30, 10, 20], nginx=[7])
    assert table.cell(found, PING, "clinch") == "20 [10 30] (40)"
    assert table.cell(found, PING, "nginx") == "7.00 (14)"
    assert table.cell(found, PING, "haproxy") == "-"


def test_a_table_line_has_ratio_control_and_verdict():
    found = results(clinch=[110, 120], nginx=[100, 100], control=[110, 120])
    head, line = table.lines(found, [PING], ["nginx", "clinch"])
    assert dict(zip(head, line)) == {
        "row": PING.title, "unit": PING.unit, "nginx": "100 [100 100] (200)", "clinch": "115 [110 120] (230)",
        "ratio": "1.15 [1.10 1.20]", "by control": "1.00 [1.00 1.00]", "goal": ">=1.40", "": "ahead"}


def test_the_groups_that_a_proxy_offers():
    """P-256 is for TLS 1.2 with an ECDSA certificate; none stands twice."""
    assert stage.preferred("X25519") == "X25519:P-256"
    assert stage.preferred("X25519MLKEM768") == "X25519MLKEM768:X25519:P-256"
