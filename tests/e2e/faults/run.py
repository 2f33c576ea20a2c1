"""Print the fault matrix as it is observed; --write puts it into FAULTS.md,
below the introduction of that page."""

import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1]))

from faults import table  # noqa: E402
from faults.test_faults import observe  # noqa: E402
from lib.faults import EVERYTHING  # noqa: E402


def main():
    results = {}
    for phase in table.PHASES:
        for mode in table.MODES:
            print(f"{phase}: {mode}", file=sys.stderr, flush=True)
            with tempfile.TemporaryDirectory() as folder:
                for fault, cell in observe(pathlib.Path(folder), phase, mode).items():
                    results.setdefault(phase, {}).setdefault(fault, {})[mode] = cell
    text = table.render(results, EVERYTHING)
    if "--write" in sys.argv:
        head, _, _ = table.PAGE.read_text().partition("## ")
        table.PAGE.write_text(head + text)
    else:
        print(text)


if __name__ == "__main__":
    main()
