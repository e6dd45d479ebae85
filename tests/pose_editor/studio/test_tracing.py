"""Where a pixel comes from, on maps small enough to know the answer."""

import numpy as np

from pose_editor.studio import tracing

SIZE = (256, 176)


def test_the_glow_is_where_the_texture_was_taken() -> None:
    mixture = np.zeros((2, 16, 11), np.float32)
    mixture[0, :8], mixture[1, 8:] = 1, 1  # the upper half takes texture 0, the lower half texture 1
    attention = np.zeros((2, 16, 11), np.float32)
    attention[0, 2, 3] = attention[1, 12, 8] = 1
    assert not tracing.is_uniform(mixture, attention, (88, 10), SIZE)
    assert tracing.is_uniform(mixture, np.ones_like(attention), (88, 10), SIZE)
    for y, (row, column) in ((10, (2, 3)), (250, (12, 8))):
        alpha = np.asarray(tracing.glow(mixture, attention, (88, y), SIZE))[..., 3].astype(int)
        middle = alpha[row * 16 + 8, column * 16 + 8]
        assert middle < 100 < alpha[128, 88], "bright there and dark elsewhere"


def test_the_label_map_has_a_colour_for_each_label() -> None:
    mixture = np.zeros((3, 16, 11), np.float32)
    mixture[np.arange(16) % 3, np.arange(16)] = 1
    picture = tracing.label_map(mixture, SIZE)
    assert picture.size == (176, 256) and len(picture.getcolors()) == 3


def test_a_spot_is_clear_at_its_place_ringed_and_dark_elsewhere() -> None:
    for place in ((40.3, 200.8), (0.0, 0.0), (175.9, 255.9)):
        picture = tracing.place_marker(place, SIZE)
        assert picture.size == (176, 256)
        layer = np.asarray(picture).astype(int)
        x, y = (int(value) for value in place)
        rows, columns = np.mgrid[:256, :176]
        away = np.hypot(columns - place[0], rows - place[1])
        assert (layer[away > tracing.RING + 3] == (10, 10, 16, tracing.SHADE)).all() and (layer[..., 3][away < tracing.RING - 3] == 0).all()
        ring = layer[..., 0] > tracing.GLOW[0] / 2  # its edges are smooth
        assert layer[y, x, 3] == 0 and ring.any() and abs(away[ring] - tracing.RING).max() <= 2
