"""Boxes: overlap, clipping and scaling."""

from hypothesis import given
from hypothesis import strategies as st

from filmgate.media.boxes import Box

places = st.floats(-50, 150).map(lambda value: round(value, 2))
extents = st.floats(0, 100).map(lambda value: round(value, 2))
boxes = st.builds(Box, places, places, extents, extents)
NEARLY = 1e-6


@given(boxes, boxes)
def test_overlap_is_a_share_and_symmetric(one: Box, other: Box) -> None:
    assert 0 <= one.iou(other) <= 1 + NEARLY
    assert one.iou(other) == other.iou(one)
    assert one.intersection_area(other) <= min(one.area, other.area) + NEARLY


@given(boxes)
def test_a_box_overlaps_itself_completely(box: Box) -> None:
    assert box.iou(box) == (1 if box.area else 0) or abs(box.iou(box) - 1) < NEARLY


@given(boxes)
def test_a_clipped_box_is_inside_the_picture_and_the_box(box: Box) -> None:
    inside = box.clipped(100, 80)
    assert 0 <= inside.x <= inside.x + inside.width <= 100 + NEARLY
    assert 0 <= inside.y <= inside.y + inside.height <= 80 + NEARLY
    assert inside.area <= box.area + NEARLY


@given(boxes, st.floats(0.1, 10))
def test_scaling_preserves_the_overlap_of_two_boxes(box: Box, factor: float) -> None:
    other = Box(box.x + 3, box.y, box.width, box.height + 5)
    assert abs(box.scaled(factor).iou(other.scaled(factor)) - box.iou(other)) < NEARLY
