"""A pose without a visible joint, or without a limb: a message, and no sampling."""

import numpy as np
import pytest

from nted_step.image import load_photo
from nted_step.pose import Pose, PoseError
from tests.faults.conftest import photo
from tests.running import Refused


def unseen(standing: Pose, *seen: int) -> Pose:
    return Pose(standing.xy, np.isin(np.arange(18), seen))


@pytest.mark.parametrize("seen", [(), (0,), (3, 10)])
def test_nothing_is_computed(pipeline, standing, monkeypatch, seen):
    monkeypatch.setattr("nted_step.pipeline.sample", lambda *_, **__: pytest.fail("the sampler ran"))
    person = pipeline.encode(load_photo(photo(), pipeline.config.size).image)
    with pytest.raises(PoseError, match="shows no limb"):
        next(pipeline.generate(person, unseen(standing, *seen)))


@pytest.mark.parametrize("seen", [(), (0,)])
def test_the_page_says_so(visitor, standing, works, seen):
    said = visitor.release(unseen(standing, *seen), "striped-dress")
    assert said["kind"] == "refused" and "at least two connected joints must be visible" in said["says"]
    value = visitor.value(unseen(standing, *seen))
    assert "frames" not in (visitor.call("preview", value, "striped-dress", None, {"seed": 0})[0] or {})
    with pytest.raises(Refused, match="shows no limb"):
        visitor.generate(visitor.upload(photo()), {"joints": value["joints"]})
    assert visitor.release(standing, "striped-dress")["kind"] == "steps"
    works()
