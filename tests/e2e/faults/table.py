"""FAULTS.md, read and written: one table for each phase, a row for each fault,
a column for each mode. The tests compare every cell with the program."""

import pathlib

PAGE = pathlib.Path(__file__).resolve().parents[3] / "FAULTS.md"
MODES = ["never", "auto, plain", "auto", "must", "always", "prefer"]
PHASES = {
    "start": "At the start, nothing held",
    "restart": "At the start, a valid response on disk",
    "running": "While running, a valid response held",
    "expired": "While running, what was held has expired",
    "reload": "On a reload that brings a new certificate",
    "renewal": "On a reload that renews a certificate",
}


def read():
    """{phase: {fault: {mode: cell}}} of the page."""
    titles = {title: phase for phase, title in PHASES.items()}
    found, phase = {}, None
    for line in PAGE.read_text().splitlines():
        if line.startswith("## "):
            phase = titles.get(line[3:])
        elif phase and line.startswith("| ") and not line.startswith("| fault"):
            fault, _, *cells = [cell.strip() for cell in line.strip("|").split("|")]
            found.setdefault(phase, {})[fault] = dict(zip(MODES, cells))
    return found


def render(results, faults):
    """The tables of the page from {phase: {fault: {mode: cell}}}."""
    text = ""
    for phase, title in PHASES.items():
        text += f"## {title}\n\n| fault | outcome in the log | {' | '.join(MODES)} |\n|{'---|' * (len(MODES) + 2)}\n"
        for fault in faults:
            cells = results.get(phase, {}).get(fault.name, {})
            row = [fault.name, f"`{fault.outcome}`", *[cells.get(mode, "–") for mode in MODES]]
            text += f"| {' | '.join(row)} |\n"
        text += "\n"
    return text
