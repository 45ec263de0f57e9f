"""Contact sheets: frames side by side, as one small picture."""

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

ACROSS = 6
WIDTH = 200
"""Pixels of one frame."""
QUALITY = 72
GAP = 3


def contact_sheet(frames: "NDArray[np.uint8]", captions: Sequence[str]) -> str:
    """Frames (n, 3, h, w) with a caption each, six in a row, as a `data:` address of a JPEG."""
    import cv2  # heavy
    import numpy as np

    height = max(1, round(frames.shape[2] * WIDTH / frames.shape[3]))
    down = -(-len(frames) // ACROSS)
    sheet = np.full((down * (height + GAP), ACROSS * (WIDTH + GAP), 3), 24, np.uint8)
    for place, (frame, caption) in enumerate(zip(frames, captions, strict=True)):
        image = np.ascontiguousarray(frame.transpose(1, 2, 0)[:, :, ::-1])
        small = cv2.resize(image, (WIDTH, height), interpolation=cv2.INTER_AREA)
        for thick, colour in ((3, (0, 0, 0)), (1, (255, 255, 255))):
            cv2.putText(
                small,
                caption,
                (5, height - 7),
                cv2.FONT_HERSHEY_SIMPLEX,
                0.4,
                colour,
                thick,
                cv2.LINE_AA,
            )
        top, left = place // ACROSS * (height + GAP), place % ACROSS * (WIDTH + GAP)
        sheet[top : top + height, left : left + WIDTH] = small
    is_made, data = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert is_made
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")
