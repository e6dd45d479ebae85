"""What holds for every mix of people and for whatever a browser sends, tried on made-up ones."""

import json
from types import SimpleNamespace

from hypothesis import given, settings
from hypothesis import strategies as st

from nted_step.pose import PoseError
from pose_editor import formats, runbar
from pose_editor.mixer import OWN, Mixer
from pose_editor.people import Mixed
from pose_editor.tween import MAX_FRAMES, tween
from tests.nted_step.test_properties import poses

STEPS = 6
PEOPLE = [SimpleNamespace(name=name) for name in "abc"]
casts = st.lists(st.sampled_from(PEOPLE), min_size=STEPS, max_size=STEPS)
anything = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.sampled_from(["joints", "edit", "seed", "save", "kind", "step", "restore", "owners"]), inner, max_size=4)),
    max_leaves=12,
)


def run(cast: list, until: int) -> list[str]:
    """Outputs 0..until of a model whose every output tells of all the people before it."""
    outputs = ["noise"]
    for person in cast[:until]:
        outputs.append(outputs[-1] + person.name)
    return outputs


@given(casts, casts, st.integers(0, STEPS), st.integers(0, 2))
def test_a_mix_goes_on_from_where_another_parts_and_ends_the_same(old, new, until, seed):
    """What is taken over is what the new run would have made, and not one step less than could be."""
    of = (PEOPLE[0], "pose", 0)
    earlier = Mixed(of, old, run(old, until))
    known = earlier.agrees_until((PEOPLE[0], "pose", seed), new)
    if seed:
        assert known == 0
        return
    assert 0 <= known <= until
    assert earlier.outputs[: known + 1] == run(new, known)
    if known < until:
        assert run(old, known + 1) != run(new, known + 1)


@given(casts, st.integers(0, STEPS))
def test_another_person_or_pose_takes_over_nothing(cast, until):
    earlier = Mixed((PEOPLE[0], "pose", 0), cast, run(cast, until))
    assert earlier.agrees_until((PEOPLE[1], "pose", 0), cast) == earlier.agrees_until((PEOPLE[0], "other", 0), cast) == 0


MIXER = Mixer([{"name": name, "title": name, "picture": "data:,"} for name in "abc"], STEPS)


@given(st.one_of(anything, st.fixed_dictionaries({"owners": st.lists(st.sampled_from(["", OWN, "a", "b", "c", "d", 1, None]), max_size=8)})))
def test_a_plan_names_somebody_for_every_step_or_is_refused(payload):
    try:
        owners = MIXER._known(payload)
    except ValueError as error:
        assert "one of the people for each of 6 steps" in str(error)
    else:
        assert len(owners) == STEPS and set(owners) <= {"", OWN, "a", "b", "c"}


@given(anything)
def test_settings_are_taken_as_they_are_or_refused(payload):
    try:
        found = runbar.check(payload)
    except ValueError as error:
        assert str(error) and "\n" not in str(error)
    else:
        assert runbar.check(json.loads(json.dumps(found))) == found


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
