"""What holds for whatever a browser sends, and for every film, tried on made-up ones."""

import json

from hypothesis import given, settings
from hypothesis import strategies as st

from nted_step.pose import PoseError
from pose_editor import formats, run_bar
from pose_editor.interpolation import MAX_FRAMES, tween
from tests.nted_step.test_properties import poses

anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.dictionaries(st.sampled_from(["joints", "edit", "seed", "save", "kind", "step", "restore"]), inner, max_size=4),
    ),
    max_leaves=12,
)


@given(anything)
def test_settings_are_taken_as_they_are_or_refused(payload):
    try:
        found = run_bar.check(payload)
    except ValueError as error:
        assert str(error) and "\n" not in str(error)
    else:
        assert run_bar.check(json.loads(json.dumps(found))) == found


@given(anything)
def test_a_value_is_a_pose_or_refused(payload):
    try:
        pose = formats.from_value(payload)
    except PoseError as error:
        assert str(error) and "\n" not in str(error)
    else:
        assert formats.from_value(formats.to_value(pose)) == pose


@given(poses(), st.integers(0, 2**53 - 1))
def test_values_survive_json(pose, edit):
    value = json.loads(json.dumps(formats.to_value(pose, edit)))
    assert formats.from_value(value) == pose and formats.check_value(value)["edit"] == edit


@settings(max_examples=30)
@given(poses(), poses(), st.integers(2, MAX_FRAMES))
def test_a_film_begins_and_ends_where_it_should_and_stays_between(first, last, frames):
    made = tween(first, last, frames)
    assert len(made) == frames and made[0] == first and made[-1] == last
    both = first.visible & last.visible
    for pose in made[1:-1]:
        low, high = (side(first.xy, last.xy) for side in (lambda a, b: a.clip(max=b), lambda a, b: a.clip(min=b)))
        assert (pose.visible == both).all() and (pose.xy[both] >= low[both] - 1e-3).all() and (pose.xy[both] <= high[both] + 1e-3).all()
