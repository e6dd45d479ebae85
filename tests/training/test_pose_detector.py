"""The published pose detector's files -> a weights folder."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from nted_step.bundled import POSE_WEIGHTS
from nted_step.pose_detection import load_network
from nted_step.weights import WeightsError, read_folder
from training.__main__ import main
from training.pose_detector import names, read_movenet, read_tfjs


def to_tensorflow(name: str, value: np.ndarray) -> np.ndarray:
    if name == "prior":
        return value[..., None]
    if value.ndim != 4:
        return value
    return value.transpose((2, 3, 0, 1) if "depthwise" in name else (2, 3, 1, 0))


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """The weights in the box as TensorFlow.js keeps them, in two groups, with a number of the graph among them."""
    _, state, _ = read_folder(POSE_WEIGHTS)
    tensors = [(theirs, to_tensorflow(ours, state[ours].numpy())) for ours, theirs in names().items()]
    tensors.insert(3, ("a/shape", np.array([1, -1], np.int32)))
    manifest = []
    for k, group in enumerate((tensors[:20], tensors[20:])):
        (tmp_path / f"group{k}.bin").write_bytes(b"".join(value.tobytes() for _, value in group))
        weights = [
            {"name": name, "shape": list(value.shape), "dtype": "int32"}
            if value.dtype == np.int32
            else {"name": name, "shape": list(value.shape), "dtype": "float32", "quantization": {"dtype": "float16", "original_dtype": "float32"}}  # noqa: E501
            for name, value in group
        ]  # fmt: skip
        manifest.append({"paths": [f"group{k}.bin"], "weights": weights})
    path = tmp_path / "model.json"
    path.write_text(json.dumps({"format": "graph-model", "modelTopology": {}, "weightsManifest": manifest}))
    return path


def test_there_and_back(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert main(["pose-detector", "--model", str(model), "--output", str(tmp_path / "out")]) == 0
    assert capsys.readouterr().out.strip() == str(tmp_path / "out")
    theirs, ours = load_network(POSE_WEIGHTS).state_dict(), load_network(tmp_path / "out").state_dict()
    assert list(theirs) == list(ours) and all(torch.equal(theirs[key], ours[key]) for key in theirs)
    document, state, _ = read_folder(tmp_path / "out")
    assert document["training"]["licence"] == "Apache-2.0" and {value.dtype for value in state.values()} == {torch.float16}
    assert (tmp_path / "out" / "model.safetensors").read_bytes() == (POSE_WEIGHTS / "model.safetensors").read_bytes()
    assert read_tfjs(model)[0]["a/shape"].tolist() == [1, -1]


@pytest.mark.parametrize(
    "change,message",
    [
        (lambda document, folder: (folder / "group1.bin").write_bytes(b"\0" * 10), "not a TensorFlow.js graph model, or cut short"),
        (lambda document, folder: (folder / "group0.bin").unlink(), "group0.bin: No such file"),
        (lambda document, folder: document.pop("weightsManifest"), "not a TensorFlow.js graph model"),
        (lambda document, folder: document["weightsManifest"][1]["weights"][0]["quantization"].update(dtype="uint8"), "stored as uint8"),
        (lambda document, folder: document["weightsManifest"][0]["weights"][0].update(name="other"), "is missing; is this MoveNet"),
        (lambda document, folder: document["weightsManifest"].pop(), "is missing; is this MoveNet"),
    ],
)
def test_wrong_files_are_one_line_and_nothing_is_written(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture, change, message
) -> None:
    document = json.loads(model.read_text())
    change(document, tmp_path)
    model.write_text(json.dumps(document))
    with pytest.raises(WeightsError, match=message):
        read_movenet(model)
    assert main(["pose-detector", "--model", str(model), "--output", str(tmp_path / "out")]) == 2
    assert capsys.readouterr().err.count("\n") == 1 and not (tmp_path / "out").exists()
