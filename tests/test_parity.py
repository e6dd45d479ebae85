"""The golden file: every number of the original, and proof that the comparison can fail."""

from pathlib import Path

import numpy as np
import pytest

from tests import parity

FILE = Path(__file__).parent / "data" / "parity.npz"


@pytest.fixture(scope="module")
def arrays() -> dict[str, np.ndarray]:
    with np.load(FILE) as file:
        return {name: file[name] for name in file.files}


@pytest.mark.parametrize("fast", [False, True])
def test_every_array_agrees_with_the_original(arrays, fast):
    checks = parity.compare(arrays, fast)
    assert not [check for check in checks if not check.passed]
    assert len(checks) > 60
    compared = {check.name for check in checks if check.name.startswith("swap/")}
    assert compared == {name for name in arrays if name.startswith("swap/") and not name.endswith("_mask_box")}


@pytest.mark.parametrize("name", ["gen/reference_encoder.convs.1.extraction_operations.0.value_conv.weight", "dis/final_linear.1.bias"])
def test_a_changed_weight_is_noticed(arrays, name):
    changed = arrays | {name: arrays[name] + 0.05}
    assert any(not check.passed for check in parity.compare(changed))


def test_command_reports_a_file_that_is_no_npz(tmp_path, capsys):
    path = tmp_path / "x.npz"
    path.write_text("no")
    assert parity.main([str(path)]) == 2
    assert "x.npz" in capsys.readouterr().err
