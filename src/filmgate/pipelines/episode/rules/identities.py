"""Who is who: tracks grouped by how near their faces' vectors are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from filmgate.media.spans import Span

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

APART = 1e6
"""The distance of two tracks that cannot be one person: no average gets over it."""


def group_tracks(
    means: "NDArray[np.float32]", lives: Sequence[Span], *, same_person: float
) -> list[list[int]]:
    """Groups of tracks, by index, each one person: average linkage cut at `same_person`.

    `means`: (n, d), the mean vector of each track. Single linkage merges people through chains
    of lookalikes; averages do not. Two tracks seen at the same time are two people, whatever
    they look like.
    """
    import numpy as np
    from scipy.cluster.hierarchy import fcluster, linkage  # slow to import
    from scipy.spatial.distance import squareform

    if len(means) < 2:  # noqa: PLR2004 - nothing to group
        return [[index] for index in range(len(means))]
    wide = means.astype(np.float64)
    squares = (wide**2).sum(axis=1)
    distances = np.sqrt(np.maximum(squares[:, None] + squares[None, :] - 2 * wide @ wide.T, 0.0))
    starts = np.array([life.start_ms for life in lives])
    ends = np.array([life.end_ms for life in lives])
    together = (starts[:, None] < ends[None, :]) & (starts[None, :] < ends[:, None])
    distances[together] = APART
    np.fill_diagonal(distances, 0.0)
    labels = fcluster(
        linkage(squareform(distances, checks=False), method="average"),
        t=same_person,
        criterion="distance",
    )
    groups: dict[int, list[int]] = {}
    for index, label in enumerate(labels.tolist()):
        groups.setdefault(label, []).append(index)
    return sorted(groups.values())
