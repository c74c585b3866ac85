"""Files that grow while somebody reads them: their new lines alone, and curves of a size that does not grow."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from translate.utils.stored import MOST_OF_A_LINE, UnreadableError

_PIECE = 4 << 20
_MARK = 64
MOST_BINS = 240
"""Of a curve; more are merged in pairs."""
_LARGEST = 1e300
"""Of the numbers whose mean is one, too."""
Mark = tuple[int, int, int]


class Tail:
    """The lines that came to a file since the last time. `more`: whether some are left for the next time."""

    def __init__(self, path: Path) -> None:
        self._path, self._at, self._mark, self._seen = path, 0, b"", (0, 0, 0)
        self.more = False

    def lines(self) -> tuple[bool, list[bytes]]:
        """Whether the file has begun again (cut off or replaced, as by a resumed run), and the whole lines that are
        new; at most some megabytes of them. Raises UnreadableError."""
        try:
            here = os.stat(self._path)
        except FileNotFoundError:
            return self._begin(), []
        except OSError as error:
            raise UnreadableError(f"{self._path.name}: cannot be read ({error.strerror})") from error
        now = (here.st_ino, here.st_size, here.st_mtime_ns)
        if now == self._seen and not self.more:
            return False, []
        if not stat.S_ISREG(here.st_mode):
            raise UnreadableError(f"{self._path.name}: not a plain file")
        with open(self._path, "rb") as file:
            again = here.st_size < self._at or not self._continues(file.fileno())
            if again:
                self._begin()
            file.seek(self._at)
            piece = file.read(_PIECE)
        whole = piece[: piece.rfind(b"\n") + 1]
        if not whole and len(piece) > MOST_OF_A_LINE:
            raise UnreadableError(f"{self._path.name}: a line is longer than {MOST_OF_A_LINE:,} bytes")
        self._at, self._mark, self._seen = self._at + len(whole), (self._mark + whole)[-_MARK:], now
        self.more = len(piece) == _PIECE
        return again, whole.splitlines()

    def _continues(self, descriptor: int) -> bool:
        """Whether what was read last still stands where it stood."""
        os.lseek(descriptor, self._at - len(self._mark), os.SEEK_SET)
        return os.read(descriptor, len(self._mark)) == self._mark

    def _begin(self) -> bool:
        had, self._at, self._mark, self._seen = self._at > 0, 0, b"", (0, 0, 0)
        return had


class Curve:
    """A metric over steps as at most `MOST_BINS` bins [step, mean, least, most] of equally many values each."""

    def __init__(self) -> None:
        self.bins: list[list[float]] = []
        self.not_finite = 0
        self.last: float | None = None
        self._size, self._in_last, self._count = 1, 0, 0

    def add(self, step: int, value: float) -> None:
        self._count, self.last = self._count + 1, value
        if not abs(value) <= _LARGEST:
            self.not_finite += 1
            return
        if not self.bins or self._in_last == self._size:
            self._make_room()
            self.bins.append([step, value, value, value])
            self._in_last = 1
            return
        self._in_last += 1
        last = self.bins[-1]
        last[0] += (step - last[0]) / self._in_last
        last[1] += (value - last[1]) / self._in_last
        last[2], last[3] = min(last[2], value), max(last[3], value)

    def _make_room(self) -> None:
        if len(self.bins) < MOST_BINS:
            return
        pairs = zip(self.bins[::2], self.bins[1::2], strict=True)
        self.bins = [
            [(one[0] + two[0]) / 2, (one[1] + two[1]) / 2, min(one[2], two[2]), max(one[3], two[3])]
            for one, two in pairs
        ]
        self._size *= 2

    def since(self, mark: Mark | None) -> tuple[int, Mark] | None:
        """From which bin on it has changed since then, and a mark of now; None if it has not."""
        now = (self._size, len(self.bins), self._count)
        if mark == now:
            return None
        return (max(0, mark[1] - 1) if mark and mark[0] == self._size else 0), now
