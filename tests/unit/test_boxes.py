"""Boxes: what two of them have in common."""

from hypothesis import given
from hypothesis import strategies as st

from filmgate.media.boxes import Box

places = st.floats(-50, 150).map(lambda value: round(value, 2))
extents = st.floats(0, 100).map(lambda value: round(value, 2))
boxes = st.builds(Box, places, places, extents, extents)
NEARLY = 1e-6


@given(boxes, boxes)
def test_overlap_is_a_share_and_the_same_from_both_sides(one: Box, other: Box) -> None:
    assert 0 <= one.iou(other) <= 1 + NEARLY
    assert one.iou(other) == other.iou(one)
    assert one.common(other) <= min(one.area, other.area) + NEARLY


@given(boxes)
def test_a_box_is_like_itself(box: Box) -> None:
    assert box.iou(box) == (1 if box.area else 0) or abs(box.iou(box) - 1) < NEARLY


@given(boxes)
def test_what_lies_in_the_picture_is_in_the_picture_and_in_the_box(box: Box) -> None:
    inside = box.inside(100, 80)
    assert 0 <= inside.x <= inside.x + inside.width <= 100 + NEARLY
    assert 0 <= inside.y <= inside.y + inside.height <= 80 + NEARLY
    assert inside.area <= box.area + NEARLY


@given(boxes, st.floats(0.1, 10))
def test_scaling_keeps_what_two_boxes_have_in_common(box: Box, factor: float) -> None:
    other = Box(box.x + 3, box.y, box.width, box.height + 5)
    assert abs(box.scaled(factor).iou(other.scaled(factor)) - box.iou(other)) < NEARLY
