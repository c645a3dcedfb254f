"""Pictures that look alike though their files differ: pairs of perceptual hashes that differ in a few bits.

Two 64-bit hashes that differ in at most three bits are equal in one of their quarters, so only pictures that share a
quarter are compared, and sorting takes the place of comparing all with all.
Source: Manku, Jain and Das Sarma, "Detecting Near-Duplicates for Web Crawling", 2007.
"""

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

MOST_BITS = 3
QUARTERS = range(MOST_BITS + 1)
_NEIGHBOURS = 64  # of a picture, in the order of the hashes that share a quarter, that it is compared with
_ROWS = np.uint64(1 << 32)  # a pair of row numbers is one number: sorting those is quick
_TELLING = (8, 56)  # bits set, outside of which a hash is that of a plain surface

PAIRS = np.dtype([("one", "<i8"), ("other", "<i8"), ("bits", "u1")])


def look_alikes(hashes: npt.NDArray[np.uint64], contents: npt.NDArray[np.uint64]) -> npt.NDArray[np.void]:
    """Returns PAIRS of row numbers, `one` < `other`, of pictures that look alike and are not the same file.

    Of rows with the same contents the first one stands for all.
    """
    _, rows = np.unique(contents, return_index=True)
    rows = np.sort(rows[~plain(hashes[rows])])
    found = [rows[pairs] for number in QUARTERS for pairs in alike_by(number, hashes[rows])]
    one, other = np.concatenate([np.zeros((0, 2), np.int64), *found]).astype(np.uint64).T
    together = np.minimum(one, other) * _ROWS + np.maximum(one, other)
    one, other = np.divmod(np.unique(together), _ROWS)
    pairs = np.zeros(len(one), PAIRS)
    pairs["one"], pairs["other"] = one, other
    pairs["bits"] = np.bitwise_count(hashes[one] ^ hashes[other])
    return pairs


def plain(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Says which hashes are those of plain surfaces, and tell nothing: all such pictures look alike."""
    bits_set = np.bitwise_count(hashes)
    return (bits_set < _TELLING[0]) | (bits_set > _TELLING[1])


def quarter(number: int, hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.uint64]:
    """Returns 16 of the 64 bits of each hash."""
    return hashes >> np.uint64(16 * number) & np.uint64(0xFFFF)


def alike_by(number: int, hashes: npt.NDArray[np.uint64]) -> Iterator[npt.NDArray[np.int64]]:
    """Yields pairs of places (N, 2) of hashes that share a quarter and differ in few bits."""
    shared = quarter(number, hashes)
    order = np.lexsort((hashes, shared))
    hashes, shared = hashes[order], shared[order]
    for step in range(1, min(_NEIGHBOURS, len(order) - 1) + 1):
        same = np.flatnonzero(shared[:-step] == shared[step:])
        if not len(same):
            break
        alike = same[np.bitwise_count(hashes[same] ^ hashes[same + step]) <= MOST_BITS]
        yield order[np.stack([alike, alike + step], axis=1)]
