"""The surface of the figures, and the exact places between two poses of a person."""

import numpy as np
import pytest
import torch

from nted_step.pose import Pose, joint_tensor
from training.data.figure_store import FigureStore, figure_store
from training.data.figure_stream import FigureStream
from training.figures import render_people
from training.figures.annotate import shown
from training.figures.places import DEPTH_WEIGHT, HIDDEN, NEAR, SCALE, SEEN, SEEN_WITHIN, exact_places, places_grid

TINY = (64, 44)
PEOPLE = range(50, 54)


@pytest.fixture(scope="module")
def crowd():
    """Four people in two poses."""
    return render_people(PEOPLE, 2, TINY)


@pytest.fixture(scope="module")
def person():
    """One person in two poses: surface and classes at 256x176, where a cell is more than a pixel."""
    figures = render_people([50], 2, (256, 176))
    return figures.surface.numpy(), figures.class_map.numpy()


def pixels(place: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Places 2 x ... as x and y in pixels, the first pixel's centre being 0."""
    extent = np.array(size[::-1], np.float64).reshape(2, *[1] * (place.ndim - 1))
    return (place / SCALE + 1) / 2 * extent - 0.5


def dots(*points: tuple[int, int, int]) -> np.ndarray:
    """A surface 3 x 1 x N of these points in millimetres."""
    return np.array(points, np.int16).T[:, None]


# -- the surface -----------------------------------------------------------------------------------------------------------


def test_the_surface_is_there_where_the_person_is(crowd):
    assert crowd.surface.dtype == torch.int16 and crowd.surface.shape == (8, 3, *TINY)
    ground = (crowd.class_map == 0)[:, None].expand_as(crowd.surface)
    assert not crowd.surface[ground].any()
    assert (crowd.surface != 0).any(dim=1)[crowd.class_map > 0].float().mean() > 0.999


def test_the_surface_is_in_millimetres(crowd):
    """From the eyes of a standing body down to its ankles it is well over a metre, and no body is three metres high."""
    heights = crowd.surface[:, 1].flatten(1).amax(1) - crowd.surface[:, 1].flatten(1).amin(1)
    assert 1200 < heights.max() < 3000
    assert crowd.surface.abs().max() < 3000


def test_a_joint_is_the_same_place_in_both_poses():
    """Where both poses show a joint with the same class on it, the surface there is the same to within the width of a limb."""
    figures = render_people(PEOPLE, 2, (128, 88))
    away = []
    for first in range(0, 8, 2):
        both = figures.visible[first] & figures.visible[first + 1]
        for joint in both.nonzero().flatten().tolist():
            (x, y), (u, v) = (figures.joints[i, joint].long().tolist() for i in (first, first + 1))
            if figures.class_map[first, y, x] == figures.class_map[first + 1, v, u] > 0:
                away.append((figures.surface[first, :, y, x] - figures.surface[first + 1, :, v, u]).float().norm().item())
    assert len(away) > 20 and np.median(away) < 50 and np.mean(np.array(away) < 250) > 0.85


def test_a_pixel_shows_one_surface_and_not_the_mean_of_two():
    """Of a pixel's four samples, three on the garment and one on what lies behind it, the three count; on the background none."""
    fine = torch.tensor([[[515, 515, 0, 515], [515, 770, 0, 0]]])
    code = torch.tensor([[[515, 0]]])
    point = torch.tensor([[0.1, 0.2, 0.3]] * 3 + [[9.0, 9.0, 9.0]] * 2)
    surface = shown(point, torch.tensor([0, 1, 4, 3, 5]), fine, code, 2)
    assert surface[0, :, 0, 0].tolist() == [100, 200, 300] and surface[0, :, 0, 1].tolist() == [0, 0, 0]


# -- places ----------------------------------------------------------------------------------------------------------------


def test_the_grid_has_at_most_128_rows():
    assert [places_grid(size) for size in ((256, 176), (512, 352), (128, 88), (64, 44))] == [(128, 88)] * 3 + [(64, 44)]


def test_the_same_pose_twice_leaves_every_cell_where_it_is(person):
    surface, classes = (np.repeat(values[:1], 2, axis=0) for values in person)
    place, seen = exact_places(surface, classes)
    assert place.shape == (2, 2, 2, 128, 88) and place.dtype == np.int16 and seen.shape == (2, 2, 128, 88)
    body = classes[0, 1::2, 1::2] > 0
    assert (seen[0, 1] == np.where(body, SEEN, HIDDEN)).mean() > 0.999
    row, column = np.indices((128, 88)) * 2 + 0.5  # a cell's centre lies between its four pixels
    away = np.linalg.norm(pixels(place[0, 1], (256, 176)) - [column, row], axis=0)[body]
    assert np.quantile(away, 0.98) < 1
    assert not place[0, 1][:, ~body].any() and not seen[0, 0].any(), "and nothing is said of the background, or of a pose and itself"


def test_a_shifted_surface_is_found_shifted(person):
    down, right = 9, -6
    surface, classes = (values[:1, ..., ::2, ::2] for values in person)
    there = [np.roll(values, (down, right), (-2, -1)) for values in (surface, classes)]
    place, seen = exact_places(np.concatenate([surface, there[0]]), np.concatenate([classes, there[1]]))
    row, column = np.indices((128, 88))
    for source, target, sign in ((0, 1, -1), (1, 0, 1)):
        body = (classes[0], there[1][0])[target] > 0
        expected = np.stack([(column + sign * right) % 88, (row + sign * down) % 128])
        away = np.abs(pixels(place[source, target], (128, 88)) - expected).max(axis=0)[body]
        assert (seen[source, target][body] == SEEN).all() and np.quantile(away, 0.99) < 0.1


def test_the_nearest_by_brute_force():
    """Every cell of a rendered pair against every pixel of the photo."""
    figures = render_people([51], 2, TINY)
    surface, classes = figures.surface.numpy(), figures.class_map.numpy()
    place, seen = exact_places(surface, classes)
    stretch = np.array([1, 1, DEPTH_WEIGHT])[:, None, None]
    levels = set()
    for y, x in np.argwhere(classes[1] > 0):
        away = np.linalg.norm((surface[0].astype(float) - surface[1, :, y, x].astype(float)[:, None, None]) * stretch / 1000, axis=0)
        away[classes[0] != classes[1, y, x]] = np.inf
        levels.add(int(seen[0, 1, y, x]))
        if seen[0, 1, y, x] == HIDDEN:
            v, u = np.unravel_index(away.argmin(), TINY)
            real = np.linalg.norm(surface[0, :, v, u].astype(float) - surface[1, :, y, x].astype(float)) / 1000
            assert np.isinf(away.min()) or real > 0.29
            continue
        u, v = pixels(place[0, 1, :, y, x], TINY).round().astype(int)
        assert away[v, u] == pytest.approx(away.min(), abs=1e-5)
        real = np.linalg.norm(surface[0, :, v, u].astype(float) - surface[1, :, y, x].astype(float)) / 1000
        assert (seen[0, 1, y, x] == SEEN) == (real < SEEN_WITHIN)
    assert {NEAR, SEEN} <= levels


@pytest.mark.parametrize("millimetres,level", [(0, SEEN), (44, SEEN), (46, NEAR), (299, NEAR), (301, HIDDEN)])
@pytest.mark.parametrize("axis", [0, 1, 2])
def test_how_near_is_seen(axis, millimetres, level):
    """The distance is the true one in every direction, depth as well."""
    away = [0, 0, 0]
    away[axis] = millimetres
    place, seen = exact_places(np.stack([dots((0, 0, 0), (0, 0, 0)), dots((0, 0, 0), away)]), np.array([[[0, 7]], [[0, 7]]], np.uint8))
    assert seen[0, 1].tolist() == [[HIDDEN, level]]
    assert place[0, 1, :, 0, 1].tolist() == ([0, 0] if level == HIDDEN else [round(0.5 * SCALE), 0])


def test_another_class_is_not_the_same_place():
    here = dots((0, 0, 0), (0, 0, 0))
    place, seen = exact_places(np.stack([here, here]), np.array([[[3, 4]], [[5, 4]]], np.uint8))
    assert seen[0, 1].tolist() == [[HIDDEN, SEEN]] and not place[0, 1, :, 0, 0].any()


def test_depth_counts_less_than_width_when_the_nearest_is_sought():
    """Through a garment from front to back is nearer than along it."""
    photo, target = dots((0, 0, 100), (60, 0, 0)), dots((0, 0, 0), (0, 0, 0))
    place, seen = exact_places(np.stack([photo, target]), np.full((2, 1, 2), 7, np.uint8))
    assert pixels(place[0, 1], (1, 2))[0].round().tolist() == [[0, 0]] and (seen[0, 1] == NEAR).all()


# -- stores ----------------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def stored(tmp_path_factory) -> tuple[FigureStore, str]:
    folder = tmp_path_factory.mktemp("stored")
    return figure_store(folder, (32, 22), 4, 2, 50, TINY), folder


def test_a_store_says_what_the_renderer_knows(stored, crowd):
    """Places come at the size at which people were rendered, whatever the canvas; joints count from -1 to 1."""
    pairs = stored[0].pairs(np.array([2]), np.array([1]), np.array([0]))
    place, seen = exact_places(crowd.surface[4:6].numpy(), crowd.class_map[4:6].numpy())
    assert torch.equal(pairs.place[0], torch.from_numpy(place[1, 0]).float() / SCALE) and pairs.place.abs().max() <= 1
    assert torch.equal(pairs.seen[0, 0], torch.from_numpy(seen[1, 0]).float() / SEEN) and set(pairs.seen.unique().tolist()) <= {0, 0.5, 1}
    for joints, row in ((pairs.source_joints, 5), (pairs.target_joints, 4)):
        assert torch.allclose(joints[0], joint_tensor(Pose(crowd.joints[row].numpy(), crowd.visible[row].numpy()), TINY), atol=1e-5)
    other = stored[0].pairs(np.array([2]), np.array([0]), np.array([1]))
    assert torch.equal(other.skeleton, pairs.source_skeleton) and not torch.equal(other.source_skeleton, pairs.source_skeleton)


def test_live_figures_say_the_same(stored, tmp_path):
    live = FigureStream(tmp_path, (32, 22), 4, 2, 50, TINY, 0, torch.device("cpu"), first=4)
    live.close()
    names = np.array([0, 3, 3]), np.array([0, 1, 0]), np.array([1, 0, 1])
    mine, theirs = live.pairs(*names), stored[0].pairs(*names)
    for name in ("place", "seen", "source_joints", "target_joints", "source_skeleton"):
        assert torch.equal(getattr(mine, name), getattr(theirs, name)), name


def test_figures_of_an_older_version_are_rendered_anew(stored, tmp_path):
    store, folder = stored
    before = np.array(store.arrays["place"])
    (folder / "rendered_64x44_50_4x2" / "place.npy").unlink()
    assert np.array_equal(figure_store(folder, (32, 22), 4, 2, 50, TINY).arrays["place"], before)

    def live() -> FigureStream:
        figures = FigureStream(tmp_path, (32, 22), 4, 2, 50, TINY, 0, torch.device("cpu"), first=4)
        figures.close()
        return figures

    first, path = live(), tmp_path / "00000050.npz"
    with np.load(path) as file:
        older = {name: file[name] for name in file.files if name not in ("place", "seen")}
    np.savez(path, **older)
    assert torch.equal(live().tensors["place"], first.tensors["place"]) and first.tensors["place"].any()
    with np.load(path) as file:
        assert "place" in file
