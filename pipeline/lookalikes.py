"""Pictures that look alike though their files differ: pairs of perceptual hashes that differ in a few bits.

Two 64-bit hashes that differ in at most three bits are equal in one of their quarters, so only pictures that share a
quarter are compared, and sorting takes the place of comparing all with all.
Source: Manku, Jain and Das Sarma, "Detecting Near-Duplicates for Web Crawling", 2007.
"""

import numpy as np
import numpy.typing as npt

MOST_BITS = 3
_QUARTERS = tuple(np.uint64(shift) for shift in (0, 16, 32, 48))
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
    found = [np.zeros(0, np.uint64)]
    for shift in _QUARTERS:
        quarter = hashes[rows] >> shift & np.uint64(0xFFFF)
        order = np.lexsort((hashes[rows], quarter))
        found += _among_neighbours(rows[order], quarter[order], hashes)
    one, other = np.divmod(np.unique(np.concatenate(found)), _ROWS)
    pairs = np.zeros(len(one), PAIRS)
    pairs["one"], pairs["other"] = one, other
    pairs["bits"] = np.bitwise_count(hashes[one] ^ hashes[other])
    return pairs


def plain(hashes: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
    """Says which hashes are those of plain surfaces, and tell nothing: all such pictures look alike."""
    bits_set = np.bitwise_count(hashes)
    return (bits_set < _TELLING[0]) | (bits_set > _TELLING[1])


def _among_neighbours(
    rows: npt.NDArray[np.int64],
    quarter: npt.NDArray[np.uint64],
    hashes: npt.NDArray[np.uint64],
) -> list[npt.NDArray[np.uint64]]:
    found = []
    for step in range(1, min(_NEIGHBOURS, len(rows) - 1) + 1):
        same = np.flatnonzero(quarter[:-step] == quarter[step:])
        if not len(same):
            break
        left, right = rows[same], rows[same + step]
        bits = np.bitwise_count(hashes[left] ^ hashes[right])
        alike = bits <= MOST_BITS
        left, right = left[alike].astype(np.uint64), right[alike].astype(np.uint64)
        found.append(np.minimum(left, right) * _ROWS + np.maximum(left, right))
    return found
