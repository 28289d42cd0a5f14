"""Files whose names are written otherwise in a list than they are on disk."""

import re
import unicodedata
from collections import defaultdict

from tsn.datasets.scan import Scan, without_suffix


class NamesOnDisk:
    """The videos below a folder, by names that may differ in their writing.

    Args:
        on_disk: what the folder holds.
    """

    def __init__(self, on_disk: Scan):
        self._files = on_disk.files
        self._by_stem: dict[str, list[str]] = defaultdict(list)
        for stem, path in on_disk.videos():
            self._by_stem[_same(stem)].append(path)
        self._by_name: dict[str, list[str]] | None = None
        self._by_near: dict[str, str] | None = None

    def find(self, path: str) -> str:
        """The file of that name, whatever its ending, its normal form of Unicode (macOS has NFD),
        and the slashes of the path; "" if there is none.
        """
        if path in self._files:
            return path
        found = self._by_stem.get(_same(path), [])
        exact = (file for file in found if without_suffix(file) == without_suffix(path))
        return next(exact, found[0] if found else "")

    def anywhere(self, name: str) -> list[str]:
        """One file in each folder that has it, for a name without a folder."""
        if self._by_name is None:
            self._by_name = defaultdict(list)
            for stem, files in self._by_stem.items():
                self._by_name[stem.rpartition("/")[2]].append(files[0])
        return self._by_name.get(_same(name), [])

    def near(self, path: str) -> str:
        """A file whose name differs in case, spaces and hyphens, or in its folder; "" for none."""
        if self._by_near is None:
            self._by_near = {}
            for files in self._by_stem.values():
                key = _near(files[0])
                self._by_near.setdefault(key, files[0])
                self._by_near.setdefault(key.rpartition("/")[2], files[0])
        key = _near(path)
        return self._by_near.get(key) or self._by_near.get(key.rpartition("/")[2], "")


def _same(path: str) -> str:
    stem = without_suffix(path).replace("\\", "/")
    return stem if stem.isascii() else unicodedata.normalize("NFC", stem)


def _near(path: str) -> str:
    return re.sub(r"[\s_-]+", "_", _same(path)).casefold()
