"""Who is who: tracks grouped by how near their faces' vectors are."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from filmgate.media.spans import Span

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

APART = 1e6
"""The distance of two tracks that cannot be one person: no average gets over it."""

AT_ONCE = 3000
"""So many tracks are compared each with each; more are grouped by so many in order of time first,
and then the groups. Memory grows with the square: some 150 MB at that."""

Lives = Sequence[Sequence[Span]]
"""When each was seen: one span of a track, several of a group."""


def group_tracks(
    means: "NDArray[np.float32]",
    lives: Sequence[Span],
    *,
    same_person: float,
    at_once: int = AT_ONCE,
) -> list[list[int]]:
    """Groups of tracks, by index, each one person: average linkage cut at `same_person`.

    `means`: (n, d), the mean vector of each track; `lives` in order of time. Single linkage
    merges people through chains of lookalikes; averages do not. Two tracks seen at the same time
    are two people, whatever they look like.
    """
    groups = [[index] for index in range(len(means))]
    while len(groups) > at_once:
        before = len(groups)
        parts = [groups[start : start + at_once] for start in range(0, before, at_once)]
        groups = [each for part in parts for each in _linked(part, means, lives, same_person)]
        if len(groups) == before:  # nobody is seen twice: only wider parts could tell
            at_once *= 2
    return sorted(_linked(groups, means, lives, same_person))


def _linked(
    groups: Sequence[Sequence[int]],
    means: "NDArray[np.float32]",
    lives: Sequence[Span],
    same_person: float,
) -> list[list[int]]:
    """Groups joined by average linkage, each compared with each.

    How far two groups are from each other is the root of the mean square distance between their
    tracks: that of their centres, and how widely each is spread around its own. The distance of
    the centres alone shrinks with every track, until everybody is one.
    """
    import numpy as np
    from scipy.cluster.hierarchy import fcluster, linkage  # slow to import
    from scipy.spatial.distance import pdist, squareform

    if len(groups) < 2:  # noqa: PLR2004 - nothing to group
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
    distances[_together([[lives[track] for track in group] for group in groups])] = APART
    np.fill_diagonal(distances, 0.0)
    tree = linkage(squareform(distances, checks=False), method="average")
    joined: dict[int, list[int]] = {}
    for index, label in enumerate(fcluster(tree, t=same_person, criterion="distance").tolist()):
        joined.setdefault(label, []).extend(groups[index])
    return [sorted(group) for group in joined.values()]


def _together(seen: Lives) -> "NDArray[np.bool_]":
    """(n, n): whether two were seen at the same time."""
    import numpy as np

    owners = np.array([number for number, spans in enumerate(seen) for _ in spans])
    starts = np.array([span.start_ms for spans in seen for span in spans])
    ends = np.array([span.end_ms for spans in seen for span in spans])
    order = np.argsort(starts, kind="stable")
    ordered = starts[order]
    together = np.zeros((len(seen), len(seen)), dtype=bool)
    for place, index in enumerate(order):
        last = np.searchsorted(ordered, ends[index], side="left")
        others = owners[order[place + 1 : last]]
        together[owners[index], others] = together[others, owners[index]] = True
    return together
