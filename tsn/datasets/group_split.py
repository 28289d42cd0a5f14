"""Group-aware splits: train and test by ratio, and folds."""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from statistics import pstdev

OFFICIAL_GROUPS = {"ucf101": r"_(g\d+)_c\d+$", "hmdb51": r"/(.+)_[fhlu]_(?:cm|nm)_np"}
"""Where the names of the official data sets say which clips are of one source: UCF101's 25 groups
a class (Soomro et al. 2012), and the film and action before HMDB51's tags of body part and camera
(Kuehne et al. 2011)."""


def group_of(video_id: str, pattern: str | None) -> str | None:
    """What `pattern` matches in the id: its first group if it has one, otherwise all of it.

    Without a pattern every video is a group of its own; None means that the pattern matches not.
    """
    if pattern is None:
        return video_id
    match = re.search(pattern, video_id)
    return match and match[1 if match.re.groups else 0]


def sample_groups(videos: Iterable[tuple[str, str, str]], fraction: float, seed: str) -> set[str]:
    """Sample about `fraction` of the videos of every class, whole groups at a time.

    Groups in a seeded order are chosen while their classes still need videos. Where groups allow
    it, a class of two videos or more has at least one on either side.

    Args:
        videos: (id, class, group) of each.
        fraction: 0 < fraction < 1.
        seed: seeds the order of the groups, which depends on it and on their names alone.

    Returns:
        The ids of those chosen.
    """
    groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for video_id, class_name, group in videos:
        groups[group].append((video_id, class_name))
    counts = Counter(class_name for members in groups.values() for _, class_name in members)
    wanted = {name: min(max(1, round(fraction * n)), n - 1) for name, n in counts.items()}

    def order(group: str) -> bytes:
        return hashlib.sha256(f"{seed}/{group}".encode(errors="surrogateescape")).digest()

    chosen: set[str] = set()
    for group in sorted(groups, key=order):
        size = Counter(class_name for _, class_name in groups[group])
        gain = sum(min(n, wanted[name]) for name, n in size.items())
        if 2 * gain > len(groups[group]):
            chosen.update(video_id for video_id, _ in groups[group])
            for name, n in size.items():
                wanted[name] = max(0, wanted[name] - n)
    return chosen


def assign_folds(videos: Iterable[tuple[str, str, str]], folds: int, seed: str) -> dict[str, int]:
    """Divide videos into folds, whole groups at a time, with each class spread evenly.

    The greedy rule of scikit-learn's `StratifiedGroupKFold`: groups, the least evenly composed
    and the largest first, go where they leave the fractions of the classes most alike.

    Args:
        videos: (id, class, group) of each.
        folds: how many, at least 2.
        seed: seeds the order of groups that are composed alike.

    Returns:
        The fold of each id, from 1.
    """
    groups: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for video_id, class_name, group in videos:
        groups[group].append((video_id, class_name))
    total = Counter(class_name for members in groups.values() for _, class_name in members)
    sizes = {g: Counter(name for _, name in members) for g, members in groups.items()}

    def order(group: str) -> tuple[float, int, bytes]:
        counts, n = sizes[group].values(), len(total)
        # Variance of the group's counts over all classes, those it lacks included.
        spread = sum(c * c for c in counts) / n - (sum(counts) / n) ** 2
        name = f"{seed}/{group}".encode(errors="surrogateescape")
        return -spread, -len(groups[group]), hashlib.sha256(name).digest()

    filled: list[Counter[str]] = [Counter() for _ in range(folds)]
    held = [0] * folds
    fold_of = {}
    for group in sorted(groups, key=order):
        size = sizes[group]

        def unevenness(fold: int, size: Counter[str] = size) -> tuple[float, int]:
            added = 0.0
            for name, count in size.items():
                before = [counts[name] / total[name] for counts in filled]
                after = list(before)
                after[fold] += count / total[name]
                added += pstdev(after) - pstdev(before)
            return round(added, 12), held[fold]

        best = min(range(folds), key=unevenness)
        filled[best].update(size)
        held[best] += len(groups[group])
        fold_of.update({video_id: best + 1 for video_id, _ in groups[group]})
    return fold_of
