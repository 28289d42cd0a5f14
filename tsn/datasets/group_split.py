"""Group-aware train/test split."""

import hashlib
import re
from collections import Counter, defaultdict
from collections.abc import Iterable

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
