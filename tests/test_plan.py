"""The laws of splits and shards, over any datasets that hypothesis can think of, and the golden order."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imageshards.pipeline import plan
from imageshards.pipeline.plan import CARVED, DRAWN, GIVEN, PREVIOUS, UNDECIDED, Rows, Rules

SHARES = st.sampled_from([(0.8, 0.1, 0.1), (0.9, 0.1, 0.0), (1.0, 0.0, 0.0), (0.7, 0.15, 0.15), (0.5, 0.25, 0.25)])
RULES = Rules({DRAWN: (0.8, 0.1, 0.1), CARVED: (0.0, 0.8, 0.2)}, "validation", 1, frozenset())


def rows_of(groups: list[int], splits: list[int] | None = None, origin: int = DRAWN) -> Rows:
    rows = np.zeros(len(groups), plan.ROWS)
    rows["group"] = [plan.salted("split", str(group)) for group in groups]
    rows["order"] = [plan.salted("order", str(number)) for number in range(len(groups))]
    rows["row"] = np.arange(len(groups))
    rows["origin"] = origin
    rows["split"] = UNDECIDED if splits is None else splits
    rows["length"] = 100
    return rows


def by_order(rows: Rows) -> list[int]:
    return rows[np.argsort(rows["order"])]["split"].tolist()  # type: ignore[no-any-return]


@given(st.integers(0, 5000), SHARES)
def test_quotas_sum_up_and_are_near_their_shares(count: int, shares: tuple[float, ...]) -> None:
    quotas = plan.quotas(count, shares)
    assert sum(quotas) == count
    if count >= 3:
        assert all(quota >= 1 for quota, share in zip(quotas, shares, strict=True) if share)
    for quota, share in zip(quotas, shares, strict=True):
        assert abs(quota - count * share) < 2
        assert share or not quota


@pytest.mark.parametrize(
    ("count", "quotas"),
    [(0, [0, 0, 0]), (1, [1, 0, 0]), (2, [2, 0, 0]), (3, [1, 1, 1]), (4, [2, 1, 1]), (10, [8, 1, 1]), (32, [26, 3, 3])],
)
def test_quotas_of_few(count: int, quotas: list[int]) -> None:
    assert plan.quotas(count, (0.8, 0.1, 0.1)) == quotas


@given(st.integers(1, 300), SHARES)
def test_images_of_their_own_are_drawn_to_the_exact_quota(count: int, shares: tuple[float, ...]) -> None:
    drawn = plan.draw(rows_of(list(range(count))), shares)
    assert np.bincount(drawn["split"], minlength=3).tolist() == plan.quotas(count, shares)


@given(st.lists(st.integers(0, 30), min_size=1, max_size=120), SHARES)
def test_a_group_is_in_one_split(groups: list[int], shares: tuple[float, ...]) -> None:
    drawn = plan.draw(rows_of(groups), shares)
    for group in np.unique(drawn["group"]):
        assert len(set(drawn["split"][drawn["group"] == group])) == 1
    counts, quotas = np.bincount(drawn["split"], minlength=3), plan.quotas(len(groups), shares)
    largest = np.unique(groups, return_counts=True)[1].max()
    for split in (1, 2):  # a whole group may be more than a tiny quota, and nothing else is
        assert counts[split] <= max(quotas[split], largest)
        assert shares[split] or not counts[split]


@given(st.lists(st.integers(0, 30), min_size=1, max_size=80), st.randoms(use_true_random=False))
def test_the_order_of_arrival_does_not_matter(groups: list[int], chance: object) -> None:
    rows = rows_of(groups)
    shuffled = rows.copy()
    chance.shuffle(order := list(range(len(rows))))  # type: ignore[attr-defined]
    shuffled = rows[order]

    def drawn(rows: Rows) -> list[int]:
        return by_order(plan.draw(plan.settle(rows, RULES), (0.8, 0.1, 0.1)))

    assert drawn(rows) == drawn(shuffled)


@settings(max_examples=50)
@given(st.integers(1, 60), st.integers(0, 60))
def test_what_was_drawn_stays_when_images_are_added(before: int, added: int) -> None:
    first = plan.draw(rows_of(list(range(before))), (0.8, 0.1, 0.1))
    grown = rows_of(list(range(before + added)))
    grown["split"][:before] = first["split"]
    second = plan.draw(grown, (0.8, 0.1, 0.1))
    assert second["split"][:before].tolist() == first["split"].tolist()
    quotas = plan.quotas(before + added, (0.8, 0.1, 0.1))
    assert np.abs(np.bincount(second["split"], minlength=3) - quotas).max() <= 2


def test_a_given_split_wins_over_a_previous_one_and_settles_its_group() -> None:
    rows = rows_of([1, 1, 1, 2, 2, 3], [UNDECIDED, 1, 2, 0, UNDECIDED, UNDECIDED])
    rows["origin"][2] = GIVEN
    rows["origin"][3] = PREVIOUS
    settled = plan.settle(rows, RULES)
    assert {int(row): int(split) for row, split in zip(settled["row"], settled["split"], strict=True)} == {
        0: 2,
        1: 1,
        2: 2,
        4: 0,
        5: UNDECIDED,
    }


def test_an_image_of_a_carved_split_never_becomes_training_data() -> None:
    rows = rows_of([1, 1], [0, UNDECIDED])
    rows["origin"] = [GIVEN, CARVED]
    settled = plan.settle(rows, RULES)
    assert settled["split"][settled["row"] == 1].tolist() == [UNDECIDED]


def test_groups_that_share_pictures_are_one() -> None:
    rows = rows_of([1, 2, 3, 4, 5])
    rows["content"] = [10, 10, 11, 11, 12]
    rows["group"][1] = rows["group"][2]  # 1–2 share content 10, 2–3 a group, 3–4 content 11
    merged = plan.merge(rows, plan.roots([plan.link(rows)]))
    assert len(set(merged["group"].tolist())) == 2
    assert len(set(merged["group"][:4].tolist())) == 1


@given(st.integers(1, 400), st.integers(1, 12))
def test_shards_are_even_and_in_order(count: int, wanted: int) -> None:
    rows = rows_of(list(range(count)), [0] * count)
    totals = plan.Totals.none().add(rows)
    numbers = plan.shard_numbers(rows, totals, wanted)
    sizes = np.bincount(numbers, minlength=totals.shards(0, wanted))
    assert len(sizes) == min(wanted, count)
    assert sizes.max() - sizes.min() <= 3  # neighbours within 1/65536 of the order stay together
    assert (np.diff(numbers[np.argsort(rows["order"])]) >= 0).all()


def test_large_labels_are_drawn_by_threshold_within_half_a_percent() -> None:
    rows = np.zeros(200_000, plan.ROWS)
    rows["group"] = np.random.default_rng(0).integers(0, 2**64, len(rows), dtype=np.uint64)
    rows["split"] = UNDECIDED
    rules = Rules({DRAWN: (0.8, 0.1, 0.1)}, None, 2, frozenset({(DRAWN, 0)}))
    keys = plan.stratum(rows, rules)
    assert len(np.unique(keys)) == 2
    parts = [plan.decide(rows[keys == key], rules) for key in np.unique(keys)]
    shares = np.bincount(np.concatenate(parts)["split"], minlength=3) / len(rows)
    assert np.abs(shares - (0.8, 0.1, 0.1)).max() < 0.005


def test_the_golden_order() -> None:
    """Changing any of these numbers moves every image of every dataset: it needs a new major version."""
    assert plan.salted("order", "cat/1.jpg") == 10942036106452112407
    assert plan.salted("split", "content abc") == 10462883937004222594
    drawn = plan.draw(rows_of(list(range(12))), (0.5, 0.25, 0.25))
    assert drawn["split"].tolist() == [2, 0, 0, 0, 1, 1, 2, 0, 0, 1, 2, 0]
