"""Contact sheets: several frames side by side in one small picture."""

import base64
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

COLUMNS = 6
WIDTH = 200
"""Width of one frame in pixels."""
QUALITY = 72
"""JPEG quality, 0 to 100."""
GAP = 3
"""Distance between frames in pixels."""


def contact_sheet(frames: "NDArray[np.uint8]", captions: Sequence[str]) -> str:
    """Draw frames (n, 3, h, w) with a caption each, six per row; return a JPEG as `data:` URL."""
    import cv2  # slow to import
    import numpy as np

    height = max(1, round(frames.shape[2] * WIDTH / frames.shape[3]))
    rows = -(-len(frames) // COLUMNS)
    sheet = np.full((rows * (height + GAP), COLUMNS * (WIDTH + GAP), 3), 24, np.uint8)
    for index, (frame, caption) in enumerate(zip(frames, captions, strict=True)):
        image = np.ascontiguousarray(frame.transpose(1, 2, 0)[:, :, ::-1])
        small = cv2.resize(image, (WIDTH, height), interpolation=cv2.INTER_AREA)
        for thickness, colour in ((3, (0, 0, 0)), (1, (255, 255, 255))):
            cv2.putText(
                small,
                caption,
                (5, height - 7),
                cv2.FONT_HERSHEY_SIMPLEX,
                0.4,
                colour,
                thickness,
                cv2.LINE_AA,
            )
        top, left = index // COLUMNS * (height + GAP), index % COLUMNS * (WIDTH + GAP)
        sheet[top : top + height, left : left + WIDTH] = small
    is_encoded, data = cv2.imencode(".jpg", sheet, [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    assert is_encoded
    return "data:image/jpeg;base64," + base64.b64encode(data.tobytes()).decode("ascii")
