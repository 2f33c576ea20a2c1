"""Instructions and system calls of a proxy for one unit of work.

Each row runs twice with different numbers of units; what the second run costs
more, divided by the units it does more, is the cost of one: a start and an
end cancel out.  The hard decision: the proxy's own code (the instructions
inside its program file) and its system calls are compared with the file in
the repository on every machine of a release and architecture.  Instructions
inside OpenSSL depend on its package and on the processor, so the sum is
compared only where both are those of the file.
"""

from dataclasses import astuple, dataclass
from typing import Optional

LIMIT = 1.02            # by which a row may grow; repetitions lie within 1.7 %
WAITS = ("epoll_", "futex", "poll", "ppoll")


@dataclass(frozen=True)
class Cost:
    """Of a whole run, or of one unit."""
    own: float          # instructions inside the program file
    total: float        # and inside all libraries
    calls: float        # system calls, without waits and failed ones
    all_calls: float


@dataclass(frozen=True)
class Written:
    """A row of the file."""
    own: float
    calls: float
    total: float
    libraries: str


@dataclass(frozen=True)
class Verdict:
    row: str
    what: str
    was: Optional[float]
    now: float

    @property
    def ratio(self):
        return self.now / self.was if self.was else None

    @property
    def failed(self):
        return self.was is not None and self.now > self.was * LIMIT


def read_callgrind(lines, program):
    """Instructions inside this object file, and inside all of them.

    The format: "ob=(ID) NAME" once and "ob=(ID)" from then on; a line of
    digits is a position and its own cost; the line after "calls=" is the cost
    of the callee, which is counted where it arises."""
    names, here, skip = {}, None, False
    own = total = 0
    for line in lines:
        if line.startswith("ob="):
            number, _, name = line[3:].strip().partition(" ")
            if name:
                names[number] = name
            here = names.get(number)
        elif line.startswith("cob="):
            number, _, name = line[4:].strip().partition(" ")
            if name:
                names[number] = name
        elif line.startswith("calls="):
            skip = True
        elif line[:1] in "0123456789+-*" and line.strip():
            if not skip:
                cost = int((line.split() + ["0"])[1])
                total += cost
                own += cost if here == program else 0
            skip = False
    return own, total


def read_strace(lines):
    """Calls that "strace -c" has counted: the steady ones, and all.

    How often a loop waits, and finds nothing to read, depends on who is
    faster; every other call is part of the work."""
    steady = total = 0
    for line in lines:
        words = line.split()
        if len(words) < 5 or not words[3].isdigit() or words[-1] == "total":
            continue
        calls, errors = int(words[3]), int(words[4]) if len(words) > 5 else 0
        total += calls
        if not words[-1].startswith(WAITS):
            steady += calls - errors
    return steady, total


def per_unit(short, long, units):
    """The cost of one unit, from two runs that differ by so many units."""
    return Cost(*((getattr(long, name) - getattr(short, name)) / units
                  for name in ("own", "total", "calls", "all_calls")))


def lower(one, other):
    """The lower of each figure."""
    return Cost(*map(min, zip(astuple(one), astuple(other))))


def compare(was, now, libraries):
    """was: {row: Written}; now: {row: Cost}.  One verdict a figure."""
    found = []
    for row, cost in now.items():
        old = was.get(row)
        found.append(Verdict(row, "own instructions", old and old.own,
                             cost.own))
        found.append(Verdict(row, "system calls", old and old.calls,
                             cost.calls))
        if old and old.libraries == libraries:
            found.append(Verdict(row, "all instructions", old.total,
                                 cost.total))
    return found


def read_file(lines, machine):
    """The rows that were written on such a machine.

    A line: machine, row, own instructions, system calls, all instructions,
    and the libraries with which the last figure is comparable."""
    rows = {}
    for line in lines:
        words = line.split()
        if len(words) == 6 and words[0] == machine:
            rows[words[1]] = Written(*map(float, words[2:5]), words[5])
    return rows


def write_file(lines, machine, now, libraries):
    """The lines of the file, with these rows of this machine replaced."""
    kept = [line.rstrip("\n") for line in lines
            if line.split()[:1] != [machine] or line.split()[1] not in now]
    return kept + ["%s %s %.0f %.2f %.0f %s" % (
        machine, row, cost.own, cost.calls, cost.total, libraries)
        for row, cost in now.items()]
