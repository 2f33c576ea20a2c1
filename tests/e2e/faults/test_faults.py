"""The fault matrix: every fault, in every mode, in every phase, against the
cells of FAULTS.md."""

import os

import pytest

from faults import scenes, table
from lib import pki, service
from lib.faults import EVERYTHING

SMALL = os.environ.get("CLINCH_SIZE") == "small" or os.environ.get("CLINCH_SANITIZED")
MODES = ["auto", "always"] if SMALL else table.MODES


def observe(folder, phase, mode):
    """{fault: cell} of one phase in one mode."""
    backend = service.Service(service.echo)
    (folder / "pki").mkdir()
    scene = scenes.Scene(pki.Authority(folder / "pki"), folder, mode, EVERYTHING, backend.connect)
    try:
        return scenes.PHASES[phase](scene)
    finally:
        scene.close()
        backend.close()


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("phase", scenes.PHASES)
def test_matrix(tmp_path, phase, mode):
    """Proves every cell of one column of one table of FAULTS.md."""
    seen = observe(tmp_path, phase, mode)
    said = {fault: cells.get(mode, "–") for fault, cells in table.read()[phase].items()}
    wrong = {fault: (cell, said.get(fault)) for fault, cell in seen.items() if cell != said.get(fault)}
    assert not wrong, f"fault: (seen, FAULTS.md): {wrong}"
    unseen = {fault for fault, cell in said.items() if cell != "–" and fault not in seen}
    assert not unseen
