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
    import numpy as np

    groups = [[index] for index in range(len(means))]
    centres, seen = means, [[life] for life in lives]
    while len(groups) > at_once:
        before = len(groups)
        merged = [
            [start + index for index in part]
            for start in range(0, before, at_once)
            for part in _linked(
                centres[start : start + at_once], seen[start : start + at_once], same_person
            )
        ]
        groups = [[track for part in parts for track in groups[part]] for parts in merged]
        centres = np.array([means[group].mean(axis=0) for group in groups], dtype=np.float32)
        seen = [[lives[track] for track in group] for group in groups]
        if len(groups) == before:  # nobody is seen twice: only wider parts could tell
            at_once *= 2
    linked = _linked(centres, seen, same_person)
    return sorted(sorted(track for part in parts for track in groups[part]) for parts in linked)


def _linked(centres: "NDArray[np.float32]", seen: Lives, same_person: float) -> list[list[int]]:
    """Average linkage of those that are compared each with each."""
    import numpy as np
    from scipy.cluster.hierarchy import fcluster, linkage  # slow to import
    from scipy.spatial.distance import pdist, squareform

    if len(centres) < 2:  # noqa: PLR2004 - nothing to group
        return [[index] for index in range(len(centres))]
    distances = squareform(pdist(centres.astype(np.float64)))
    distances[_together(seen)] = APART
    np.fill_diagonal(distances, 0.0)
    tree = linkage(squareform(distances, checks=False), method="average")
    groups: dict[int, list[int]] = {}
    for index, label in enumerate(fcluster(tree, t=same_person, criterion="distance").tolist()):
        groups.setdefault(label, []).append(index)
    return list(groups.values())


def _together(seen: Lives) -> "NDArray[np.bool_]":
    """(n, n): whether two were seen at the same time."""
    import numpy as np

    owners = np.array([number for number, spans in enumerate(seen) for _ in spans])
    starts = np.array([span.start_ms for spans in seen for span in spans])
    ends = np.array([span.end_ms for spans in seen for span in spans])
    order = np.argsort(starts, kind="stable")
    together = np.zeros((len(seen), len(seen)), dtype=bool)
    for place, index in enumerate(order):
        last = np.searchsorted(starts[order], ends[index], side="left")
        others = owners[order[place + 1 : last]]
        together[owners[index], others] = together[others, owners[index]] = True
    return together
