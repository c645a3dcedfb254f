"""Which split and which shard an image goes to: columns in, columns out; pure but for numpy.

Everything here works on arrays of `ROWS`, a few bytes per image, so that a plan for millions fits through a shuffle:

    rows_of        what the plan needs of a chunk
    link, merge    groups that share a picture, or have pictures that look alike, become one group
    settle         a group's images take the split that one of them has already
    draw           what is left of each label is drawn, in the order of the salted hashes, to exact quotas
    Totals         counts by split and by slice of the salted order
    shard_numbers  rows cut into shards of even size, in the salted order

Order comes from salted SHA-256 digests alone, never from a random generator or from the order of arrival. A new salt,
or any other change to what is hashed, moves every image of every dataset: that is a major version.
"""

import dataclasses
import hashlib
import zlib
from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from imageshards.pipeline.facts import Chunk, content_number
from imageshards.pipeline.lookalikes import alike_by, plain, quarter
from imageshards.pipeline.source import SPLITS

ROWS = np.dtype(
    [
        ("order", "<u8"),  # salted hash of the key: the order within a split
        ("group", "<u8"),  # salted hash of the group, or of the content where there is none
        ("content", "<u8"),  # hash of the source's bytes, or the perceptual one, where groups may share a picture
        ("chunk", "<u4"),
        ("row", "<u4"),  # within the chunk
        ("label", "<u4"),
        ("origin", "u1"),
        ("split", "i1"),  # number in SPLITS, or UNDECIDED
        ("offset", "<u8"),  # of the frame in the chunk's staged file
        ("length", "<u4"),
    ]
)
Rows = npt.NDArray[np.void]
Links = npt.NDArray[np.uint64]  # (N, 2)

UNDECIDED = -1
DRAWN, CARVED, GIVEN, PREVIOUS = range(4)  # origins of splits: drawn, or carved from a split that the source gives, …

EXACT_LABEL = 100_000  # above it a label's quotas come from thresholds of the hash, with less than 0.5 % error
SHARD_BYTES = 256 * 1024 * 1024
_SLICES = 1 << 16


@dataclasses.dataclass(frozen=True)
class Rules:
    """How splits are drawn.

    `shares` are the parts of train, validation and test that the images of each origin are cut into. `ranges` is the
    number of pieces of a shuffle of all images, and `large` holds the (origin, label) that are cut up like that too.
    `linked` says that groups may share pictures, as those that the source names do, and `alike` that pictures which
    look alike count as one picture. `shards` is the number of files of each split; 0 is one for every 256 MB.
    """

    shares: dict[int, tuple[float, float, float]]
    carve_from: str | None
    ranges: int
    large: frozenset[tuple[int, int]]
    linked: bool = False
    alike: bool = False
    shards: int = 0


def packed(rows: Rows) -> bytes:
    """Returns rows as few bytes: column by column, where much is the same, and compressed."""
    return zlib.compress(b"".join(np.ascontiguousarray(rows[name]).tobytes() for name in ROWS.names or ()), 1)


def unpacked(pieces: Iterable[bytes]) -> Rows:
    """Returns the rows of packed pieces, one after the other."""
    raw = [zlib.decompress(piece) for piece in pieces]
    rows = np.zeros(sum(map(len, raw)) // ROWS.itemsize, ROWS)
    start = 0
    for piece in raw:
        count, place = len(piece) // ROWS.itemsize, 0
        for name in ROWS.names or ():
            column = np.frombuffer(piece, ROWS[name], count, place)
            rows[name][start : start + count] = column
            place += column.nbytes
        start += count
    return rows


def salted(purpose: str, text: str) -> int:
    """Returns 64 bits of the salted digest that decides `purpose`."""
    digest = hashlib.sha256(f"imageshards {purpose} 1\0{text}".encode()).digest()
    return int.from_bytes(digest[:8], "little")


def rows_of(chunk: Chunk, sources: pa.RecordBatch, facts: pa.RecordBatch, labels: dict[str, int], rules: Rules) -> Rows:
    """Returns the rows of the chunk's images that were not rejected."""
    good = [number for number, reason in enumerate(facts["reason"].to_pylist()) if reason is None]
    sources, facts = sources.take(pa.array(good, pa.int64())), facts.take(pa.array(good, pa.int64()))
    rows = np.zeros(len(good), ROWS)
    contents = facts["sha256"].to_pylist()
    groups = [
        f"group {g}" if g is not None else f"content {c}"
        for g, c in zip(sources["group"].to_pylist(), contents, strict=True)
    ]
    rows["order"] = [salted("order", key) for key in sources["key"].to_pylist()]
    rows["group"] = [salted("split", group) for group in groups]
    rows["content"] = [content_number(content) for content in contents] if rules.linked else 0
    if rules.alike:
        hashes = facts["phash"].to_numpy(zero_copy_only=False)
        rows["content"] = np.where(plain(hashes), rows["content"], hashes)
    rows["chunk"] = chunk.number
    rows["row"] = good
    rows["label"] = [labels[label] for label in sources["label"].to_pylist()]
    origins = zip(sources["split"].to_pylist(), sources["previous_split"].to_pylist(), strict=True)
    rows["origin"], rows["split"] = (
        zip(*(_origin(given, previous, rules) for given, previous in origins), strict=True) if good else ((), ())
    )
    rows["offset"] = facts["offset"].to_numpy(zero_copy_only=False)
    rows["length"] = facts["length"].to_numpy(zero_copy_only=False)
    return rows


def _origin(given: str | None, previous: str | None, rules: Rules) -> tuple[int, int]:
    """Returns where an image's split comes from, and the split if that is known."""
    before = SPLITS.index(previous) if previous else UNDECIDED
    if given is None:
        return DRAWN, before
    if given == rules.carve_from:
        return CARVED, before if previous in (given, "test") else UNDECIDED
    return GIVEN, SPLITS.index(given)


def previous_assignments(groups: Iterable[str | None], contents: Iterable[str], splits: Iterable[str]) -> Rows:
    """Returns rows that hold the splits of a previous version, for images that moved or were renamed since."""
    names = [f"group {g}" if g is not None else f"content {c}" for g, c in zip(groups, contents, strict=True)]
    rows = np.zeros(len(names), ROWS)
    rows["group"] = [salted("split", name) for name in names]
    rows["split"] = [SPLITS.index(split) for split in splits]
    rows["origin"] = PREVIOUS
    return rows


def link(rows: Rows) -> Links:
    """Returns pairs of groups that share a picture; `rows` hold every row of the contents in them."""
    rows = rows[np.lexsort((rows["group"], rows["content"]))]
    same = rows["content"][1:] == rows["content"][:-1]
    return _links(rows["group"][:-1][same], rows["group"][1:][same])


def link_alike(rows: Rows, number: int) -> Links:
    """Returns pairs of groups with pictures that look alike; `rows` hold all that share a quarter of their hash."""
    pairs = np.concatenate([np.zeros((0, 2), np.int64), *alike_by(number, rows["content"])])
    return _links(*rows["group"][pairs].T)


def _links(one: npt.NDArray[np.uint64], other: npt.NDArray[np.uint64]) -> Links:
    return np.unique(np.stack([one, other], axis=1)[one != other], axis=0)


def roots(links: Iterable[Links]) -> Links:
    """Returns each linked group, in order, with the smallest of those that it is linked to, directly or not."""
    parents: dict[int, int] = {}

    def root(group: int) -> int:
        while (parent := parents.get(group, group)) != group:
            parents[group] = group = parents.get(parent, parent)
        return group

    for left, right in (pair for pairs in links for pair in pairs.tolist()):
        low, high = sorted((root(left), root(right)))
        parents[high] = low
    return np.array([(group, root(group)) for group in sorted(parents)], np.uint64).reshape(-1, 2)


def merge(rows: Rows, rooted: Links) -> Rows:
    """Returns `rows` with linked groups under one number; `rooted` is what `roots` returns."""
    if not len(rooted):
        return rows
    merged = rows.copy()
    place = np.searchsorted(rooted[:, 0], rows["group"]).clip(max=len(rooted) - 1)
    merged["group"] = np.where(rooted[place, 0] == rows["group"], rooted[place, 1], rows["group"])
    return merged


def settle(rows: Rows, rules: Rules) -> Rows:
    """Gives undecided rows the split of their group; `rows` hold every row of the groups in them.

    A split that the source gives comes before one of the previous version; an image whose split is carved up stays in
    it. A group that stays undecided is drawn as one, under the label of its first row. Rows of the previous version are
    gone from the result.
    """
    rows = rows.copy()
    rank = np.array([1, 1, 0, 2])[rows["origin"]]
    decided = np.flatnonzero(rows["split"] != UNDECIDED)
    decided = decided[np.lexsort((rows["split"][decided], rank[decided], rows["group"][decided]))]
    groups, first = np.unique(rows["group"][decided], return_index=True)
    splits = rows["split"][decided][first]
    open_ = np.flatnonzero(rows["split"] == UNDECIDED)
    if len(groups):
        place = np.searchsorted(groups, rows["group"][open_]).clip(max=len(groups) - 1)
        has_split = groups[place] == rows["group"][open_]
        allowed = np.array(rules.shares[CARVED]) > 0
        has_split &= (rows["origin"][open_] != CARVED) | allowed[splits[place]]
        rows["split"][open_[has_split]] = splits[place[has_split]]
        open_ = open_[~has_split]
    open_ = open_[np.lexsort((rows["order"][open_], rows["origin"][open_] != CARVED, rows["group"][open_]))]
    _, first, group_of = np.unique(rows["group"][open_], return_index=True, return_inverse=True)
    for column in ("label", "origin"):
        rows[column][open_] = rows[column][open_][first][group_of]
    settled: Rows = rows[rows["origin"] != PREVIOUS]
    return settled


def quotas(count: int, shares: Sequence[float]) -> list[int]:
    """Returns how many of `count` images go to each split: largest remainders, then one at least where three exist."""
    exact = [count * share for share in shares]
    whole = [int(np.floor(value + 1e-9)) for value in exact]
    by_remainder = sorted(range(len(shares)), key=lambda split: (whole[split] - exact[split], split))
    for split in by_remainder[: count - sum(whole)]:
        whole[split] += 1
    for split, share in enumerate(shares):
        if share > 0 and whole[split] == 0 and count >= 3 and max(whole) > 1:
            whole[whole.index(max(whole))] -= 1
            whole[split] = 1
    return whole


def group_range(rows: Rows, rules: Rules) -> npt.NDArray[np.int64]:
    """Returns which piece of a shuffle each row's group belongs to."""
    return _range(rows["group"], rules)


def content_range(rows: Rows, rules: Rules) -> npt.NDArray[np.int64]:
    """Returns which piece of a shuffle each row's content belongs to."""
    return _range(rows["content"], rules)


def quarter_range(rows: Rows, rules: Rules, number: int) -> npt.NDArray[np.int64]:
    """Returns which piece of a shuffle each row belongs to by a quarter of its perceptual hash."""
    return (quarter(number, rows["content"]) * np.uint64(rules.ranges) >> np.uint64(16)).astype(np.int64)


def stratum(rows: Rows, rules: Rules) -> npt.NDArray[np.int64]:
    """Returns a number for what is drawn together: a label of one origin, or a range of it where that is large."""
    number = rows["label"].astype(np.int64) * (PREVIOUS + 1) + rows["origin"]
    cut_up = rows["origin"] == GIVEN
    for origin, label in rules.large:
        cut_up |= (rows["origin"] == origin) & (rows["label"] == label)
    result: npt.NDArray[np.int64] = number * rules.ranges + np.where(cut_up, group_range(rows, rules), 0)
    return result


def decide(rows: Rows, rules: Rules) -> Rows:
    """Decides all rows of one stratum."""
    origin, label = int(rows["origin"][0]), int(rows["label"][0])
    if origin == GIVEN:
        return rows
    way = draw_by_threshold if (origin, label) in rules.large else draw
    return way(rows, rules.shares[origin])


def draw(rows: Rows, shares: Sequence[float]) -> Rows:
    """Decides the undecided rows of one label; `rows` hold all of the label and origin, decided ones too.

    The smaller splits take whole groups in salted order while they fit their quota; the largest takes the rest.
    """
    rows = rows.copy()
    need = [max(0, n) for n in quotas(len(rows), shares) - np.bincount(rows["split"][rows["split"] >= 0], minlength=3)]
    open_ = np.flatnonzero(rows["split"] == UNDECIDED)
    _, group_of, sizes = np.unique(rows["group"][open_], return_inverse=True, return_counts=True)
    main = int(np.argmax(shares))
    splits = np.full(len(sizes), main)
    free = list(range(len(sizes)))  # np.unique sorts by the salted hash
    for split in (split for split, share in enumerate(shares) if share > 0 and split != main):
        taken = []
        for group in free:
            if need[split] == 0:
                break
            if sizes[group] <= need[split]:
                taken.append(group)
                need[split] -= sizes[group]
        if not taken and need[split] and len(free) > 1:
            taken = [min(free, key=lambda group: sizes[group])]  # rather a little too much than an empty split
        splits[taken] = split
        free = sorted(set(free) - set(taken))
    rows["split"][open_] = splits[group_of]
    return rows


def draw_by_threshold(rows: Rows, shares: Sequence[float]) -> Rows:
    """Decides undecided rows by where their group's hash lies, for labels too large to look at as a whole."""
    rows = rows.copy()
    open_ = rows["split"] == UNDECIDED
    edges = np.cumsum(shares)[:-1]
    rows["split"][open_] = np.searchsorted(edges, rows["group"][open_] / 2.0**64, side="right")
    return rows


@dataclasses.dataclass(frozen=True)
class Totals:
    """Images by split and slice of the salted order, and bytes by split."""

    images: npt.NDArray[np.int64]  # (splits, slices)
    frame_bytes: npt.NDArray[np.int64]  # (splits,)

    @classmethod
    def none(cls) -> "Totals":
        """Counts nothing."""
        return cls(np.zeros((len(SPLITS), _SLICES), np.int64), np.zeros(len(SPLITS), np.int64))

    def add(self, rows: Rows) -> "Totals":
        """Counts `rows` in, and returns itself."""
        np.add.at(self.images, (rows["split"], _slice(rows)), 1)
        np.add.at(self.frame_bytes, rows["split"], rows["length"].astype(np.int64))
        return self

    def __add__(self, other: "Totals") -> "Totals":
        return Totals(self.images + other.images, self.frame_bytes + other.frame_bytes)

    def shards(self, split: int, wanted: int) -> int:
        """Returns the number of shards of a split: `wanted`, or one for every 256 MB; none of them is empty."""
        count = wanted or -(-int(self.frame_bytes[split]) // SHARD_BYTES)
        return max(1, min(count, int(np.count_nonzero(self.images[split]))))


def shard_numbers(rows: Rows, totals: Totals, wanted: int) -> npt.NDArray[np.int64]:
    """Returns the shard of each row: the salted order of its split, cut into even pieces of the slices in use."""
    shards = np.array([totals.shards(split, wanted) for split in range(len(SPLITS))])
    used = totals.images > 0
    rank = np.cumsum(used, axis=1) - 1
    split = rows["split"]
    result: npt.NDArray[np.int64] = rank[split, _slice(rows)] * shards[split] // used.sum(axis=1)[split]
    return result


def _range(hashes: npt.NDArray[np.uint64], rules: Rules) -> npt.NDArray[np.int64]:
    return ((hashes >> np.uint64(32)) * np.uint64(rules.ranges) >> np.uint64(32)).astype(np.int64)


def _slice(rows: Rows) -> npt.NDArray[np.int64]:
    return (rows["order"] >> np.uint64(48)).astype(np.int64)
