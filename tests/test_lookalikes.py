"""Pairs of look-alikes, against the comparison of all with all, and in the report that shows them."""

from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from imageshards.pipeline import plan
from imageshards.pipeline.lookalikes import MOST_BITS, look_alikes

from .conftest import Command, gradient, save


def scene(seed: int) -> Image.Image:
    """A picture of coarse coloured patches, none like another."""
    patches = np.random.default_rng(seed).integers(0, 256, (6, 9, 3), dtype=np.uint8)
    return Image.fromarray(patches).resize((300, 200), Image.Resampling.BICUBIC)


BASES = st.lists(st.integers(0, 2**64 - 1), min_size=1, max_size=6)
FLIPS = st.lists(st.tuples(st.integers(0, 5), st.sets(st.integers(0, 63), max_size=5)), max_size=20)


@given(bases=BASES, flips=FLIPS)
def test_pairs_are_those_that_comparing_all_with_all_finds(bases: list[int], flips: list[tuple[int, set[int]]]) -> None:
    hashes = bases + [bases[base % len(bases)] ^ sum(1 << bit for bit in bits) for base, bits in flips]
    contents = np.arange(len(hashes), dtype=np.uint64) // 2
    found = look_alikes(np.array(hashes, np.uint64), contents)
    telling = [8 <= value.bit_count() <= 56 for value in hashes]
    expected = {
        (i, j, (hashes[i] ^ hashes[j]).bit_count())
        for i in range(len(hashes))
        for j in range(i + 1, len(hashes))
        if telling[i] and telling[j] and i % 2 == j % 2 == 0 and (hashes[i] ^ hashes[j]).bit_count() <= MOST_BITS
    }
    assert {tuple(pair) for pair in found.tolist()} == expected
    assert len(found) == len(expected)


def test_the_report_shows_look_alikes_in_two_splits_first(tmp_path: Path, records: Command) -> None:
    root = tmp_path / "pets"
    for number in range(4):
        save(scene(number), root / f"train/cat/{number}.png")
        save(scene(number + 20), root / f"train/dog/{number}.png")
        save(scene(number + 40), root / f"val/cat/{number}.png")
        save(scene(number + 60), root / f"val/dog/{number}.png")
    save(scene(1).resize((240, 160)), root / "val/cat/smaller.jpg", quality=80)
    save(scene(2).resize((240, 160)), root / "train/dog/mislabelled.jpg", quality=80)
    for number in range(3):
        save(Image.new("RGB", (90, 90), (number, 0, 0)), root / f"train/cat/black{number}.png")
    code, _, _ = records(root)
    assert code == 0
    page = (tmp_path / "data/pets/1.0.0/report.html").read_text()
    assert "2 pairs of look-alikes, 1 in two splits, 1 under two labels" in page
    first, second = (page.index(f"{name}.jpg</span></figcaption>") for name in ("smaller", "mislabelled"))
    assert first < second
    assert "black" not in page[page.index("Pictures that look alike") :]


def test_a_label_that_may_be_misspelt_is_asked_about(tmp_path: Path, records: Command) -> None:
    for number in range(6):
        save(gradient(30, 20, seed=number), tmp_path / f"pets/mobile/{number}.png")
        save(gradient(30, 20, seed=number + 9), tmp_path / f"pets/wood/{number}.png")
    save(gradient(30, 20, seed=99), tmp_path / "pets/mobille/1.png")
    records(tmp_path / "pets")
    page = (tmp_path / "data/pets/1.0.0/report.html").read_text()
    assert "label &#39;mobille&#39; has 1 image; did you mean &#39;mobile&#39;?" in page


def test_pictures_that_look_alike_share_a_split_when_asked(tmp_path: Path, records: Command) -> None:
    for number in range(24):
        picture = scene(number)
        save(picture, tmp_path / f"pets/{'cat' if number % 2 else 'dog'}/{number}.png")
        save(
            picture.resize((240, 160)),
            tmp_path / f"pets/{'dog' if number % 3 else 'cat'}/{number}-small.jpg",
            quality=80,
        )

    def apart(*arguments: str) -> int:
        records(tmp_path / "pets", "--split", "50/25/25", *arguments)
        rows = pq.read_table(tmp_path / "data/pets/1.0.0/index.parquet", columns=["key", "split"]).to_pylist()
        splits: dict[str, set[str]] = {}
        for row in rows:
            splits.setdefault(Path(row["key"]).stem.removesuffix("-small"), set()).add(row["split"])
        assert len(rows) == 48
        assert {row["split"] for row in rows} == {"train", "validation", "test"}
        return sum(len(of) > 1 for of in splits.values())

    assert apart() > 5
    assert apart("--redraw-splits", "--group-near-duplicates") == 0


@given(links=st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=14))
def test_linked_groups_are_one_as_in_a_flood_fill(links: list[tuple[int, int]]) -> None:
    rows = np.zeros(13, plan.ROWS)
    rows["group"] = np.arange(13)
    pairs = np.array(links, np.uint64).reshape(-1, 2)
    merged = plan.merge(rows, plan.roots([pairs[:5], pairs[5:]]))["group"].tolist()
    expected = list(range(13))
    for _ in range(13):
        for one, other in links:
            expected[one] = expected[other] = min(expected[one], expected[other])
    assert merged == expected
