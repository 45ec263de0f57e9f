"""Clustering of face tracks into identities by the distance of their mean vectors."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from filmgate.media.spans import Span

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SEPARATE_DISTANCE = 1e6
"""Distance between two tracks that cannot be one person. It is so large that no average of
distances with it comes below a threshold."""

MAX_COMPARED = 3000
"""Maximum number of tracks that are clustered at once. More tracks are clustered in parts of this
size, ordered by time; then the resulting groups are clustered. Memory grows with the square of this
number; at 3000 it is about 150 MB."""

GroupSpans = Sequence[Sequence[Span]]
"""The spans of the tracks of each group."""


def group_tracks(
    means: "NDArray[np.float32]",
    track_spans: Sequence[Span],
    *,
    same_person: float,
    max_compared: int = MAX_COMPARED,
) -> list[list[int]]:
    """Cluster tracks into people by average linkage; return the indices of each person's tracks.

    `means`: (n, d), the mean vector of each track. `track_spans`: ordered by time. `same_person`:
    distance at which the tree of clusters is cut. Single linkage would merge people through chains
    of lookalikes; average linkage does not. Two tracks that overlap in time are two people, however
    similar they look.
    """
    groups = [[index] for index in range(len(means))]
    while len(groups) > max_compared:
        before = len(groups)
        parts = [groups[start : start + max_compared] for start in range(0, before, max_compared)]
        groups = [
            group for part in parts for group in _link_groups(part, means, track_spans, same_person)
        ]
        if len(groups) == before:  # nothing was merged: only larger parts can find more pairs
            max_compared *= 2
    return sorted(_link_groups(groups, means, track_spans, same_person))


def _link_groups(
    groups: Sequence[Sequence[int]],
    means: "NDArray[np.float32]",
    track_spans: Sequence[Span],
    same_person: float,
) -> list[list[int]]:
    """Merge groups by average linkage over all pairs.

    The distance of two groups is the root mean square distance between their tracks: it combines
    the distance between their centres with the spread of each group around its centre. The distance
    between the centres alone would shrink with every added track, until all people were merged into
    one.
    """
    import numpy as np
    from scipy.cluster.hierarchy import fcluster, linkage  # slow to import
    from scipy.spatial.distance import pdist, squareform

    if len(groups) < 2:  # noqa: PLR2004 - fewer than two groups
        return [sorted(group) for group in groups]
    wide = means.astype(np.float64)
    centres = np.array([wide[list(group)].mean(axis=0) for group in groups])
    spread = np.array(
        [
            ((wide[list(group)] - centre) ** 2).sum(axis=1).mean()
            for group, centre in zip(groups, centres, strict=True)
        ]
    )
    squares = squareform(pdist(centres, "sqeuclidean")) + spread[:, None] + spread[None, :]
    distances = np.sqrt(squares)
    distances[_overlap_in_time([[track_spans[track] for track in group] for group in groups])] = (
        SEPARATE_DISTANCE
    )
    np.fill_diagonal(distances, 0.0)
    tree = linkage(squareform(distances, checks=False), method="average")
    merged: dict[int, list[int]] = {}
    for index, label in enumerate(fcluster(tree, t=same_person, criterion="distance").tolist()):
        merged.setdefault(label, []).extend(groups[index])
    return [sorted(group) for group in merged.values()]


def _overlap_in_time(group_spans: GroupSpans) -> "NDArray[np.bool_]":
    """Find which groups overlap in time, as an (n, n) matrix."""
    import numpy as np

    group_of_span = np.array([number for number, spans in enumerate(group_spans) for _ in spans])
    starts = np.array([span.start_ms for spans in group_spans for span in spans])
    ends = np.array([span.end_ms for spans in group_spans for span in spans])
    order = np.argsort(starts, kind="stable")
    ordered = starts[order]
    overlapping = np.zeros((len(group_spans), len(group_spans)), dtype=bool)
    for place, index in enumerate(order):
        last = np.searchsorted(ordered, ends[index], side="left")
        others = group_of_span[order[place + 1 : last]]
        overlapping[group_of_span[index], others] = overlapping[others, group_of_span[index]] = True
    return overlapping
