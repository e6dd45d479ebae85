"""The baselines and the colour error, against what can be worked out by hand."""

import numpy as np
import pytest
import torch

from nted_step.pose import Pose
from training.evaluation.baselines import limb_warp
from training.evaluation.garment_colour import GarmentColours


def test_limbs_stay_where_the_pose_stays_and_move_where_it_moves(standing):
    source = torch.rand(3, 64, 44)
    warped = limb_warp(source, standing, standing)
    x, y = standing.xy[3].round().astype(int)
    assert torch.allclose(warped[:, y, x], source[:, y, x], atol=1e-3), "a pixel on a bone that did not move"
    moved = Pose(np.add(standing.xy, [3, -2]), standing.visible)
    assert torch.allclose(limb_warp(source, standing, moved)[:, y - 2, x + 3], source[:, y, x], atol=1e-3)


def test_a_limb_that_turns_takes_its_pixels_along():
    """A forearm drawn red, turned by a quarter: red where it points now, background where it was."""
    xy, seen = np.zeros((18, 2)), np.zeros(18, bool)
    seen[[1, 2, 3, 4, 8, 11]] = True
    xy[[1, 2, 3, 4, 8, 11]] = [[30, 10], [45, 10], [70, 10], [70, 40], [25, 50], [35, 50]]
    source = torch.ones(3, 80, 120)
    source[1:, 12:39, 68:73] = -1
    turned = xy.copy()
    turned[4] = [100, 10]
    warped = limb_warp(source, Pose(xy, seen), Pose(turned, seen))
    assert warped[1, 10, 85] < -0.9 and warped[0, 10, 85] > 0.9
    assert warped[1, 35, 70] > 0.9


def test_colour_error_is_known_differences():
    white, classes = torch.full((1, 3, 20, 20), 255, dtype=torch.uint8), torch.zeros(1, 20, 20, dtype=torch.int64)
    classes[:, :10], classes[:, 10:15] = 1, 14
    black = white.clone()
    black[:, :, :10] = 0
    garments = GarmentColours(white, classes)
    assert garments.errors(white) == pytest.approx([0])
    assert garments.errors(black) == pytest.approx([100], abs=0.1), "black from white is 100; skin does not count"
    assert len(GarmentColours(white, torch.zeros_like(classes)).errors(white)) == 0


def lab(rgb: np.ndarray) -> np.ndarray:
    """sRGB 0..255 -> CIELAB under D65, by the standards' formulas; ... x 3."""
    c = rgb / 255
    linear = np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
    xyz = linear @ np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]).T / [0.9505, 1.0, 1.089]
    f = np.where(xyz > (6 / 29) ** 3, np.cbrt(xyz), xyz / (3 * (6 / 29) ** 2) + 4 / 29)
    return np.stack([116 * f[..., 1] - 16, 500 * (f[..., 0] - f[..., 1]), 200 * (f[..., 1] - f[..., 2])], axis=-1)


def ciede2000(one: np.ndarray, other: np.ndarray) -> float:
    """Sharma, Wu and Dalal (2005), equations 2 to 22, for two colours of different hue."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    mean_c7 = ((np.hypot(a1, b1) + np.hypot(a2, b2)) / 2) ** 7
    g = 0.5 * (1 - np.sqrt(mean_c7 / (mean_c7 + 25**7)))
    c1, c2 = np.hypot((1 + g) * a1, b1), np.hypot((1 + g) * a2, b2)
    h1, h2 = (np.degrees(np.arctan2(b, (1 + g) * a)) % 360 for a, b in ((a1, b1), (a2, b2)))
    turn = (h2 - h1 + 180) % 360 - 180
    h = (h1 + turn / 2) % 360
    lightness, chroma, hue = l2 - l1, c2 - c1, 2 * np.sqrt(c1 * c2) * np.sin(np.radians(turn / 2))
    ml, mc = (l1 + l2) / 2, (c1 + c2) / 2
    cos = lambda angle: np.cos(np.radians(angle))  # noqa: E731
    t = 1 - 0.17 * cos(h - 30) + 0.24 * cos(2 * h) + 0.32 * cos(3 * h + 6) - 0.20 * cos(4 * h - 63)
    sl, sc, sh = 1 + 0.015 * (ml - 50) ** 2 / np.sqrt(20 + (ml - 50) ** 2), 1 + 0.045 * mc, 1 + 0.015 * mc * t
    rotation = -2 * np.sqrt(mc**7 / (mc**7 + 25**7)) * np.sin(np.radians(60 * np.exp(-(((h - 275) / 25) ** 2))))
    return np.sqrt((lightness / sl) ** 2 + (chroma / sc) ** 2 + (hue / sh) ** 2 + rotation * (chroma / sc) * (hue / sh))


def test_colour_error_is_the_published_formula():
    """Two people with a garment each in many colours, against the formulas written down anew."""
    assert ciede2000(np.array([50, 2.6772, -79.7751]), np.array([50, 0, -82.7485])) == pytest.approx(2.0425, abs=1e-4), (
        "Sharma's first pair"
    )
    rng = np.random.default_rng(0)
    tint = np.array([[200, 60, 40], [40, 120, 200]])[:, None, None]
    image, truth = ((tint + rng.integers(-40, 40, (2, 20, 20, 3)) + shift).astype(np.uint8) for shift in (0, [10, -15, 5]))
    classes = np.zeros((2, 20, 20), np.int64)
    classes[0, 3:15, 2:18], classes[1, 5:, 4:] = 2, 7
    expected = [ciede2000(lab(a[c > 0]).mean(0), lab(b[c > 0]).mean(0)) for a, b, c in zip(image, truth, classes, strict=True)]
    ours, theirs = (torch.from_numpy(value).permute(0, 3, 1, 2) for value in (image, truth))
    assert GarmentColours(theirs, torch.from_numpy(classes)).errors(ours) == pytest.approx(expected, rel=2e-3)
