"""Rounds into one table: medians, ratios taken within each round, spread."""

from statistics import median

CLINCH = "clinch"
CONTROL = "control"             # the same program once more
CONTROL_RANGE = (0.95, 1.05)    # of clinch by its control, in every round
FOREIGN_LIMIT = 0.05            # of the machine, used by other programs
LOAD_LIMIT = 0.5                # of each CPU, before the first round


class Results:
    """Every measurement of a run: results[row][peer] = {round: result}."""

    def __init__(self):
        self.found = {}
        self.troubles = []

    def add(self, number, row, peer, result):
        self.found.setdefault(row.name, {}).setdefault(peer, {})[
            number] = result

    def trouble(self, row, peer, why):
        line = "%s, %s: %s" % (row.name, peer, why)
        if line not in self.troubles:
            self.troubles.append(line)

    def values(self, row, peer, key="value"):
        rounds = self.found.get(row.name, {}).get(peer, {})
        return [r[key] for r in rounds.values() if key in r]

    def foreign(self):
        """The median share of the machine that others used meanwhile."""
        shares = [r["foreign"] for peers in self.found.values()
                  for rounds in peers.values() for r in rounds.values()
                  if "foreign" in r]
        return median(shares) if shares else 0.0

    def ratios(self, row):
        """clinch by the best peer, round by round."""
        peers = self.found.get(row.name, {})
        best = min if row.less_is_better else max
        found = []
        for number, result in peers.get(CLINCH, {}).items():
            others = [rounds[number]["value"] for name, rounds in peers.items()
                      if name not in (CLINCH, CONTROL) and number in rounds]
            if others:
                found.append(result["value"] / best(others))
        return found

    def controls(self, row):
        """clinch by the same program beside it, round by round."""
        peers = self.found.get(row.name, {})
        control = peers.get(CONTROL, {})
        return [result["value"] / control[number]["value"] for number, result
                in peers.get(CLINCH, {}).items() if number in control]

    def unjudged(self, row):
        """Why the figures of this row support no verdict, or ""."""
        controls = self.controls(row)
        if not self.values(row, CLINCH):
            return "clinch was not measured"
        if not controls:
            return "no control"
        low, high = CONTROL_RANGE
        if min(controls) < low or max(controls) > high:
            return "control %.2f to %.2f" % (min(controls), max(controls))
        if self.foreign() > FOREIGN_LIMIT:
            return "busy machine"
        return ""


def too_busy(load, cpus):
    """One sentence if the machine's load forbids to measure, or ""."""
    if load <= LOAD_LIMIT * cpus:
        return ""
    return "load average %.2f on %d CPUs, limit %.2f" % (
        load, cpus, LOAD_LIMIT * cpus)


def number(value):
    if value >= 1e6:
        return "%.1fM" % (value / 1e6)
    if value >= 1e4:
        return "%.1fk" % (value / 1e3)
    return "%.2f" % value if value < 10 else "%.0f" % value


def cell(results, row, peer):
    """Median and range, and the median by wall-clock in brackets."""
    values = results.values(row, peer)
    if not values:
        return "-"
    wall = number(median(results.values(row, peer, "wall")))
    if len(values) == 1:
        return "%s (%s)" % (number(values[0]), wall)
    return "%s [%s %s] (%s)" % (number(median(values)), number(min(values)),
                                number(max(values)), wall)


def goal_cell(row):
    if row.goal_value:
        return "<=%s" % number(row.goal_value)
    if not row.goal:
        return ""
    return "%s%.2f" % ("<=" if row.less_is_better else ">=", row.goal)


def ratio_cell(ratios):
    if not ratios:
        return "-"
    if len(ratios) == 1:
        return "%.2f" % ratios[0]
    return "%.2f [%.2f %.2f]" % (median(ratios), min(ratios), max(ratios))


def verdict(results, row, ratios):
    """Where clinch stands: the goal, ahead of the best peer, or behind."""
    values = results.values(row, CLINCH)
    if results.unjudged(row):
        return "not judged: " + results.unjudged(row)
    if not ratios and not row.goal_value:
        return ""
    mine, sign = median(ratios) if ratios else 1, 1
    if row.less_is_better:
        sign = -1
    if row.goal_value:
        reached = median(values) <= row.goal_value
    else:
        reached = sign * mine >= sign * row.goal
    if reached:
        return "reached"
    return "ahead" if sign * mine >= sign else "BEHIND"


def is_judged(results, rows):
    """Whether every row has a verdict."""
    return all(row.name in results.found and not results.unjudged(row)
               for row in rows)


def lines(results, rows, peers):
    yield ["row", "unit", *peers, "ratio", "by control", "goal", ""]
    for row in rows:
        if row.name not in results.found:
            continue
        ratios = results.ratios(row)
        yield [row.title, row.unit, *(cell(results, row, p) for p in peers),
               ratio_cell(ratios), ratio_cell(results.controls(row)),
               goal_cell(row), verdict(results, row, ratios)]
        if row.mode == "idle":
            yield given_back(results, row, peers)


def given_back(results, row, peers):
    values = [results.values(row, p, "back") for p in peers]
    return ["... given back once closed", "%",
            *("%.0f" % median(v) if v else "-" for v in values),
            "", "", "yes", ""]


def show(results, rows, peers, out):
    grid = list(lines(results, rows, peers))
    widths = [max(len(line[i]) for line in grid) for i in range(len(grid[0]))]
    for line in grid:
        left = [line[0].ljust(widths[0]), line[1].ljust(widths[1])]
        right = [c.rjust(w) for c, w in zip(line[2:], widths[2:])]
        print("  ".join(left + right).rstrip(), file=out)
    if results.foreign() > FOREIGN_LIMIT:
        print("other programs used %.0f %% of this machine meanwhile: "
              "trust no figure" % (100 * results.foreign()), file=out)
    for line in results.troubles:
        print("not measured: " + line, file=out)
