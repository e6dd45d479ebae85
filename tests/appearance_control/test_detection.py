"""mmdetection 1.x's numeric rules against cases computed by hand."""

import numpy as np
import pytest
import torch

from appearance_control.detection import (
    decode,
    enlarge,
    log_odds,
    merge_masks,
    paste,
    pixel_masks,
    prepare,
    select,
    to_original,
    to_resized,
)
from appearance_control.network import Anchors
from appearance_control.parser import Instance, Parse


def test_anchors_are_centred_on_half_a_stride():
    level = Anchors(8).level(4, 2, 3)
    assert level.shape == (2 * 3 * 3, 4)
    # Ratio 1 at stride 4: side 32 around (2, 2). mmdetection's own row is [-14, -14, 17, 17], its last pixel counted.
    assert level[1].tolist() == [-14, -14, 18, 18]
    # Ratio 1/2: half sides 22.627 and 11.314 rounded to 23 and 11.
    assert level[0].tolist() == [-21, -9, 25, 13]
    assert level[3 + 1].tolist() == [-10, -14, 22, 18]  # next cell to the right
    assert level[3 * 3 + 1].tolist() == [-14, -10, 18, 22]  # next row


def test_strides_are_fixed_even_where_the_grid_does_not_divide_the_image():
    # 750 pixels wide, padded to 768: the coarsest map has 12 columns, and torchvision would derive 768 // 12 = 64, but
    # for 1120 high it has 18 rows (1120/64 = 17.5, rounded up) and torchvision derives 62.
    level = Anchors(8).level(64, 18, 12)
    centres = (level[:, :2] + level[:, 2:]) / 2
    assert centres[1].tolist() == [32, 32]
    assert centres[-1].tolist() == [11 * 64 + 32, 17 * 64 + 32]


@pytest.mark.parametrize(("photo", "resized", "padded"), [((256, 176), (1091, 750), (1120, 768)), ((400, 800), (551, 1101), (576, 1120))])
def test_resize_keeps_the_ratio_into_750_by_1101(photo, resized, padded):
    prepared = prepare(np.full((*photo, 3), 128, np.uint8), (750, 1101))
    assert prepared.size == resized and tuple(prepared.image.shape[-2:]) == padded
    assert prepared.original == photo
    assert prepared.image[0, :, 0, 0].tolist() == pytest.approx(
        [(128 - 123.675) / 58.395, (128 - 116.28) / 57.12, (128 - 103.53) / 57.375], abs=1e-5
    )
    if padded[0] > resized[0]:
        assert (prepared.image[0, :, resized[0] :] == 0).all()


def test_resize_is_bilinear_between_pixel_centres():
    ramp = np.zeros((2, 2, 3), np.uint8)
    ramp[:, 1] = 100
    row = prepare(ramp, (4, 4)).image[0, 0, 0, :4] * 58.395 + 123.675
    assert row.tolist() == pytest.approx([0, 25, 75, 100], abs=1e-3)


def test_decode_by_hand():
    # Anchor 10..30 x 20..60: centre (20, 40), sides 20 and 40. dx = .5 / 10 of 20, dw = ln 2 through a weight of 5.
    deltas = torch.tensor([[5.0, 0.0, 5 * np.log(2), 0.0]])
    box = decode(deltas, torch.tensor([[10.0, 20, 30, 60]]), (10.0, 10.0, 5.0, 5.0), (100, 100))
    assert box[0].tolist() == pytest.approx([10, 20, 50, 60], abs=1e-4)


def test_decode_clips_to_the_last_pixel_and_bounds_the_ratio():
    anchor = torch.tensor([[90.0, 90, 110, 110], [200.0, 200, 220, 220], [40.0, 40, 42, 42]])
    deltas = torch.tensor([[0.0] * 4, [0.0] * 4, [0, 0, 50, -50]])
    box = decode(deltas, anchor, (1.0,) * 4, (100, 120))
    assert box[0].tolist() == [90, 90, 110, 100]
    assert box[1].tolist() == [119, 99, 120, 100]  # wholly outside: the last pixel remains
    assert box[2].tolist() == pytest.approx([0, 41 - 16 / 1000, 41 + 1000 / 16, 41 + 16 / 1000], abs=1e-3)


def test_boxes_are_scaled_by_their_pixels():
    # Pixels 8..23 of an image twice as large are 4..11.5 of the original: 12.5 in continuous form.
    boxes = torch.tensor([[8.0, 8, 24, 24]])
    assert to_original(boxes, 2.0)[0].tolist() == [4, 4, 12.5, 12.5]
    assert torch.equal(to_resized(to_original(boxes, 2.0), 2.0), boxes)


def test_overlap_is_judged_in_original_pixels():
    # Inclusive pixels 0..7 and 3.6..11.6 after dividing by 10: the "+1" makes small boxes overlap more than in the resized photo.
    resized = torch.tensor([[0.0, 0, 41, 41], [20.0, 0, 61, 41]])
    original = to_original(resized, 10.0)
    assert original.tolist() == [[0, 0, 5, 5], [2, 0, 7, 5]]

    def kept(boxes):
        scores = torch.zeros(2, 16)
        scores[:, 1] = torch.tensor([0.9, 0.8])
        return select(scores, boxes[:, None].expand(2, 16, 4)).scores.tolist()

    assert len(kept(original)) == 2  # 15 of 35
    closer = torch.tensor([[0.0, 0, 31, 31], [11.0, 0, 42, 31]])  # 20 of 42 columns resized: .476; 2.9 of 5.1 original: .569
    assert len(kept(closer)) == 2 and len(kept(to_original(closer, 10.0))) == 1


def test_selection_drops_untrained_labels_low_scores_and_the_background():
    scores = torch.zeros(4, 81)
    scores[0, 0], scores[1, 16], scores[2, 3], scores[3, 15] = 0.9, 0.9, 0.05, 0.06
    boxes = torch.arange(4.0)[:, None, None] * 20 + torch.tensor([0.0, 0, 10, 10]).expand(4, 81, 4)
    found = select(scores, boxes)
    assert found.labels.tolist() == [15] and found.scores.tolist() == pytest.approx([0.06])


def test_selection_keeps_the_best_hundred_over_classes():
    scores = torch.zeros(120, 16)
    scores[torch.arange(120), torch.arange(120) % 15 + 1] = torch.linspace(0.1, 0.9, 120)
    boxes = (torch.arange(120.0)[:, None, None] * 20 + torch.tensor([0.0, 0, 10, 10])).expand(120, 16, 4)
    found = select(scores, boxes)
    assert len(found.scores) == 100 and found.scores[0] == pytest.approx(0.9) and found.scores.min() > 0.2


def test_paste_truncates_corners_and_resizes_without_padding():
    probability = np.zeros((28, 28), np.float32)
    probability[:, 14:] = 1
    mask = paste(probability, np.array([10.9, 5.2, 20.6, 9.9]), (30, 40))
    # Last pixels 19.6 and 8.9, truncated: columns 10..19 and rows 5..8; the right half of ten columns is inside.
    expected = np.zeros((30, 40), bool)
    expected[5:9, 15:20] = True
    assert np.array_equal(mask, expected)


def test_paste_threshold_is_strict_and_the_smallest_box_is_a_pixel():
    assert not paste(np.full((28, 28), 0.5, np.float32), np.array([2, 2, 8, 8]), (10, 10)).any()
    assert paste(np.ones((28, 28), np.float32), np.array([9.5, 9.5, 9.9, 9.9]), (10, 10)).sum() == 1


def test_run_length_encoding_and_coco_document():
    mask = np.zeros((4, 5), bool)
    mask[1:3, 2] = True
    parse = Parse((4, 5), (Instance(6, 0.75, (2.0, 1.0, 3.0, 3.0), mask),))
    entry = parse.to_coco("a.png")["annotations"][0]
    from pycocotools import mask as coco_mask

    assert np.array_equal(coco_mask.decode(entry["segmentation"]).astype(bool), mask)
    assert entry["bbox"] == [2.0, 1.0, 1.0, 2.0] and entry["area"] == 2 and entry["category_id"] == 6
    assert parse.class_names() == ["pants"] and np.array_equal(parse.mask(["lower"]), mask) and not parse.mask(["upper"]).any()


def test_blended_masks_are_laid_to_fractions_of_a_pixel():
    half = torch.full((1, 4, 4), -4.0)
    half[:, :, :2] = 4  # the left half of the box
    mask = merge_masks(half, torch.tensor([[2.0, 1.0, 8.0, 5.0]]), torch.zeros(1, 6, 10))
    assert mask[0].nonzero().tolist() == [[y, x] for y in range(1, 5) for x in range(2, 5)]
    # 0.4 to the right the middle is at 5.4, left of the centre of pixel 5, and the centre of pixel 2 still lies in the box.
    assert torch.equal(merge_masks(half, torch.tensor([[2.4, 1.0, 8.4, 5.0]]), torch.zeros(1, 6, 10)), mask)
    assert merge_masks(half, torch.tensor([[2.6, 1.0, 8.6, 5.0]]), torch.zeros(1, 6, 10))[0, 1].nonzero()[:, 0].tolist() == [3, 4, 5]


def test_pixels_overrule_an_unsure_mask_and_yield_to_a_sure_one():
    odds = torch.full((1, 6, 6), -3.0)
    odds[:, 2:4] = 3
    box = torch.tensor([[0.0, 0.0, 6.0, 6.0]])
    assert torch.equal(merge_masks(torch.zeros(1, 4, 4), box, odds), odds > 0)
    assert merge_masks(torch.full((1, 4, 4), 4.0), box, odds).all() and not merge_masks(torch.full((1, 4, 4), -4.0), box, odds).any()


def test_log_odds_are_bounded_and_of_one_label_against_the_rest():
    odds = log_odds(torch.tensor([0.0, 0.0, np.log(2.0), 100.0])[None, :, None, None][:, :3])
    assert odds.flatten().tolist() == pytest.approx([np.log(1 / 3), np.log(1 / 3), 0], abs=1e-5)
    assert log_odds(torch.tensor([0.0, 100.0])[None, :, None, None]).flatten().tolist() == [-8, 8]


def test_pixels_lie_where_they_did_in_the_photo():
    prepared = prepare(np.zeros((64, 44, 3), np.uint8), (66, 96))
    logits = torch.zeros(3, 48, 48)
    logits[2, :24], logits[2, 24:] = -9, 9  # the lower half; the photo is half as wide as the padded image at this stride
    odds = pixel_masks(logits, torch.tensor([2, 1]), prepared)
    assert odds.shape == (2, 64, 44) and (odds[0] > 0).all(1).nonzero()[:, 0].tolist() == list(range(32, 64))


def test_enlarged_boxes_stay_in_the_image():
    boxes = enlarge(torch.tensor([[10.0, 20, 30, 60], [0, 0, 100, 100]]), 0.1, (100, 90))
    assert boxes.tolist() == [[8, 16, 32, 64], [0, 0, 90, 100]]
