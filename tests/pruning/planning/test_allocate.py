"""Allocation: hand-worked thresholds, budgets met closely, floors, multiples, refusals."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helpers.planning import ranked_by
from helpers.small_graphs import conv, group_of, network_of
from helpers.strategies import networks
from seyolo.darknet.cfg import Network
from seyolo.darknet.cost import cost
from seyolo.darknet.sections import Convolutional
from seyolo.darknet.zoo import network_from_name
from seyolo.errors import BudgetError, UsageError
from seyolo.options.budget import parse_budgets
from seyolo.options.cut import CutOptions, Scope
from seyolo.pruning.groups.atoms import FloatArray, IntArray
from seyolo.pruning.groups.groups import Groups, find_groups
from seyolo.pruning.planning.allocate import allocate
from seyolo.pruning.planning.cost_model import CostModel
from seyolo.pruning.planning.prunable import PrunableNetwork, Ranked


def uniform_scores(groups: Groups, seed: int = 0) -> list[FloatArray]:
    rng = np.random.default_rng(seed)
    return [rng.random(group.num_channels) for group in groups.groups]


def cut(
    network: Network,
    budget: str | Sequence[str],
    scores: Sequence[FloatArray] | None = None,
    scope: Scope = "all",
    *,
    multiple: int | None = None,
    keep: tuple[int, ...] = (),
) -> tuple[Groups, tuple[IntArray, ...]]:
    groups = find_groups(network)
    scores = uniform_scores(groups) if scores is None else scores
    options = CutOptions(scope=scope, multiple=multiple, keep=keep)
    return groups, allocate(ranked_by(network, scores), parse_budgets(budget), options)


def counts_of(kept: Sequence[IntArray]) -> IntArray:
    return np.array([len(indices) for indices in kept])


def test_one_global_threshold_by_hand() -> None:
    # Six channels, half must go: the three best are 9, 8 and 7, wherever they are.
    network = network_of(conv(3), conv(3))
    groups = find_groups(network)
    scores = uniform_scores(groups)
    scores[1], scores[2] = np.array([9.0, 1.0, 8.0]), np.array([2.0, 7.0, 3.0])
    _, kept = cut(network, "channels=50%", scores, multiple=1)
    assert [indices.tolist() for indices in kept[1:3]] == [[0, 2], [1]]


def test_evenness_by_hand() -> None:
    # Eight channels, half must go. Times 4 / rank: 36, 16, 9.3, 6 against 20, 10, 1.3, 1.
    network = network_of(conv(4), conv(4))
    groups = find_groups(network)
    scores = uniform_scores(groups)
    scores[1], scores[2] = np.array([6.0, 9.0, 7.0, 8.0]), np.array([5.0, 1.0, 1.0, 5.0])
    options = CutOptions(multiple=1)
    _, first, second, *_ = allocate(ranked_by(network, scores), parse_budgets("channels=50%"), options)
    assert (first.tolist(), second.tolist()) == ([1, 2, 3], [0])
    options = CutOptions(multiple=1, evenness=1.0)
    _, first, second, *_ = allocate(ranked_by(network, scores), parse_budgets("channels=50%"), options)
    assert (first.tolist(), second.tolist()) == ([1, 3], [0, 3])


def test_every_group_keeps_one_multiple_or_its_width() -> None:
    network = network_of(conv(24), conv(6), conv(16))
    scores = uniform_scores(find_groups(network))
    scores[1] *= 1e-6
    _, kept = cut(network, "channels=40%", scores)
    assert len(kept[1]) == 8  # least important, yet one multiple stays; 46 * 0.6 = 27.6, so at most 27 stay
    assert len(kept[2]) == 6  # narrower than a multiple
    assert len(kept[3]) == 8


def test_wide_groups_climb_in_sixteens_from_a_floor_of_eight() -> None:
    network = network_of(conv(128), conv(120))
    scores = uniform_scores(find_groups(network))
    for share in range(10, 90, 5):
        _, kept = cut(network, f"channels={share}%", scores)
        assert len(kept[1]) == 8 or len(kept[1]) % 16 == 0
        assert len(kept[2]) % 8 == 0
    _, kept = cut(network, "channels=93%", scores)
    assert [len(indices) for indices in kept[1:3]] == [8, 8]
    counts = {len(cut(network, f"channels={share}%", scores, multiple=8)[1][1]) for share in range(10, 90, 5)}
    assert any(count % 16 == 8 and count > 8 for count in counts)


def test_equal_scores_narrow_all_groups_alike() -> None:
    network = network_from_name("yolov3-tiny", 1)
    groups = find_groups(network)
    scores = [np.ones(group.num_channels) for group in groups.groups]
    _, kept = cut(network, "macs=30%", scores)
    shares = [
        len(indices) / group.num_channels
        for group, indices in zip(groups.groups, kept, strict=True)
        if not group.fixed and group.num_channels >= 64  # one multiple is a small share of those
    ]
    assert max(shares) - min(shares) < 0.13
    assert abs(np.mean(shares) - 0.3**0.5) < 0.05


@pytest.mark.parametrize("name", ["yolov3@0.5", "se-yolov3@0.5", "cbam-yolov3-tiny", "yolov3-spp@0.5"])
@pytest.mark.parametrize("budget", ["macs=30%", "params=20%", "channels=60%", "macs=50%,params=500k"])
def test_budgets_are_met_closely(name: str, budget: str) -> None:
    network = network_from_name(name, 1)
    groups, kept = cut(network, budget)
    model, dense, counts = CostModel(network, groups), cost(network), counts_of(kept)
    members = np.array([0 if group.fixed else len(group.layers) for group in groups.groups])
    fill = []
    for limit in parse_budgets(budget):
        values = {
            "macs": (model.macs(counts), dense.macs),
            "params": (model.params(counts), dense.params),
            "channels": (int(members @ counts), int(members @ model.widths)),
        }
        value, whole = values[limit.kind]
        fill.append(value / limit.limit(whole))
    assert 0.985 < max(fill) <= 1
    for group, indices in zip(groups.groups, kept, strict=True):
        assert len(indices) % 8 == 0 or len(indices) == group.num_channels
        assert len(indices) == group.num_channels or not group.fixed


def test_plain_scope_leaves_shortcuts_alone() -> None:
    network = network_from_name("yolov3", 1)
    groups, kept = cut(network, "channels=85%", scope="plain", multiple=1)
    plain = [
        (group.num_channels, len(indices))
        for group, indices in zip(groups.groups, kept, strict=True)
        if not group.fixed and not group.in_shortcut
    ]
    assert len(plain) == 44  # 23 residual bottlenecks and 21 convolutions of the neck and the heads
    widths, stay = np.array(plain).T
    assert stay.sum() == int(widths.sum() * 0.15)
    for group, indices in zip(groups.groups, kept, strict=True):
        assert not group.in_shortcut or len(indices) == group.num_channels


def test_each_part_of_a_split_keeps_its_own_best() -> None:
    network = network_of(conv(8), "[route]\nlayers=-1\ngroups=2\ngroup_id=1\n", conv(8))
    groups = find_groups(network)
    scores = uniform_scores(groups)
    split = groups.groups.index(group_of(groups, 0))
    scores[split] = np.array([1, 2, 3, 4, 9, 6, 7, 8.0]) * 1e-3
    _, kept = cut(network, "channels=60%", scores, multiple=2)
    # The first part's best is its channel 3, the second's is 4.
    assert kept[split].tolist() == [3, 4]


def test_impossible_budgets_name_the_nearest() -> None:
    network = network_from_name("yolov3-tiny@0.25", 1)
    with pytest.raises(BudgetError, match="nearest budget is --budget macs=") as caught:
        cut(network, "macs=1%")
    nearest = str(caught.value).split("nearest budget is --budget ")[1].split(",")[0]
    groups, kept = cut(network, nearest)
    assert len(counts_of(kept)) == len(groups.groups)
    for budget in ("params=1K", "channels=99%", "channels=100k"):
        kind = budget.split("=", maxsplit=1)[0]
        with pytest.raises(BudgetError, match=f"nearest budget is --budget {kind}=") as caught:
            cut(network, budget)
        cut(network, str(caught.value).split("nearest budget is --budget ")[1].split(",")[0])


def test_layers_to_keep_stay_whole_and_so_does_what_is_tied_to_them() -> None:
    # 0 and 2 meet in a shortcut, 1 is between them; whatever is said of 3, the shortcut, holds for both.
    network = network_of(conv(16), conv(16), conv(16), "[shortcut]\nfrom=-3\nactivation=linear\n")
    for keep, counts in [((0,), [16, 4]), ((2,), [16, 4]), ((3,), [16, 4]), ((1,), [4, 16])]:
        groups, kept = cut(network, "channels=75%", multiple=4, keep=keep)
        assert [len(indices) for indices in kept[1:3]] == counts
        assert [group.layers for group in groups.groups[1:3]] == [(0, 2), (1,)]


def test_layers_to_keep_that_are_not_there() -> None:
    network = network_of(conv(16), conv(16))
    for layer in (-1, 4):
        with pytest.raises(UsageError, match=f"there is no layer {layer}; the network has layers 0 to 3"):
            cut(network, "macs=50%", keep=(0, layer))


def test_an_impossible_budget_says_what_keeps_the_channels_and_what_would_help() -> None:
    network = network_of(conv(64), conv(64))
    with pytest.raises(BudgetError) as caught:
        cut(network, "channels=90%", keep=(0,))
    # The second convolution is all there is to cut: 8 of its 64 channels stay, or 1 with a multiple of 1.
    assert str(caught.value) == (
        "budget channels=90% cannot be met: every group keeps at least 8 channels (or its width), "
        "all channels of layer 0 are kept; that leaves 8 of 64 channels; "
        "the nearest budget is --budget channels=87.5%, or allow --multiple 1 (1 of 64 channels)"
    )


def test_nothing_to_cut() -> None:
    network = network_of(conv(8), conv(8))
    scores = [np.full(group.num_channels, np.inf) for group in find_groups(network).groups]
    with pytest.raises(BudgetError, match="nothing can be cut"):
        cut(network, "macs=50%", scores)


@settings(max_examples=40)
@given(network=networks(), percent=st.integers(20, 95), seed=st.integers(0, 99))
def test_any_graph_meets_its_budget_or_says_why(network: Network, percent: int, seed: int) -> None:
    groups = find_groups(network)
    scores = uniform_scores(groups, seed)
    try:
        _, kept = cut(network, f"macs={percent}%", scores, multiple=2)
    except BudgetError:
        return
    model = CostModel(network, groups)
    counts = counts_of(kept)
    most = model.macs(model.widths) * percent // 100
    assert model.macs(counts) <= most
    widths = {i: s.filters for i, s in enumerate(network.layers) if isinstance(s, Convolutional)}
    assert all(counts >= 1)
    assert len(widths) > 0
    for index, group in enumerate(groups.groups):
        # Nothing more would fit: the next step of any group passes the budget.
        step = np.lcm(2, group.num_parts)
        more = min(group.num_channels, (counts[index] // step + 1) * step)
        if not group.fixed and more > counts[index]:
            assert model.macs(np.where(np.arange(len(counts)) == index, more, counts)) > most


def test_a_change_of_the_outputs_counts_by_what_its_channel_costs() -> None:
    # Layer 1 reads 16 channels and is read by 16 filters, those beside it by fewer or of fewer.
    network = network_of(conv(16), conv(16), conv(16))
    groups = find_groups(network)
    scores = [np.ones(group.num_channels) for group in groups.groups]
    ranked = ranked_by(network, scores, per_cost=True)
    for budget in ("macs=80%", "params=80%"):
        kept = counts_of(allocate(ranked, parse_budgets(budget), CutOptions(multiple=1)))
        free = kept[1:4]
        assert free.argmin() == 1
        assert free.sum() > counts_of(cut(network, budget, scores, multiple=1)[1])[1:4].sum()


SHORTCUT = "[shortcut]\nfrom=-3\nactivation=linear\n"
RESIDUAL = "".join([conv(8), conv(16), SHORTCUT])


def with_blocks(network: Network, scores: Sequence[FloatArray]) -> Ranked:
    """Scores that are changes of the outputs, of a network whose residual blocks may be removed."""
    return replace(ranked_by(network, scores, per_cost=True), blocks=PrunableNetwork(network).blocks)


def time_of(ranked: Ranked) -> Callable[[IntArray], float]:
    """A machine on which a layer takes a millisecond whatever its width, and a tenth of one per channel."""
    return lambda counts: float((ranked.costs.alive(counts) * (1 + ranked.costs.written(counts) / 10)).sum())


@pytest.mark.parametrize("evenness", [0.0, 2.0])
def test_a_block_that_changes_little_is_removed_for_the_time_of_its_layers(evenness: float) -> None:
    network = network_of(conv(16), RESIDUAL, RESIDUAL, conv(16))
    groups = find_groups(network)
    scores = [np.full(group.num_channels, 10.0) for group in groups.groups]
    (inner,) = [index for index, group in enumerate(groups.groups) if group.layers == (4,)]
    scores[inner] = np.full(8, 1.0)
    ranked = with_blocks(network, scores)
    budget = parse_budgets("latency=85%@onnxruntime")
    options = CutOptions(multiple=1, evenness=evenness)
    latency = {"onnxruntime": time_of(ranked)}
    counts = counts_of(allocate(ranked, budget, options, latency))
    assert counts[inner] == 0
    assert (np.delete(counts, inner) == np.delete(ranked.costs.widths, inner)).sum() >= 4
    # Without a latency, and where blocks stay, only channels are removed.
    for kept in (
        allocate(ranked, parse_budgets("macs=85%"), options),
        allocate(ranked, budget, replace(options, blocks=False), latency),
    ):
        assert (counts_of(kept) > 0).all()


def test_the_blocks_of_a_trunk_narrow_alike_by_evenness() -> None:
    # Two of three must go; times (3 / rank)² the best of them outranks everything else.
    network = network_of(conv(16), RESIDUAL, RESIDUAL, RESIDUAL, conv(16))
    groups = find_groups(network)
    scores = [np.full(group.num_channels, 50.0) for group in groups.groups]
    inner = [i for i, group in enumerate(groups.groups) if group.layers in ((1,), (4,), (7,))]
    for worth, index in enumerate(inner, 1):
        scores[index] = np.full(8, float(worth))
    ranked = with_blocks(network, scores)
    kept = allocate(
        ranked,
        parse_budgets("latency=60%@onnxruntime"),
        CutOptions(multiple=1, evenness=2.0),
        {"onnxruntime": time_of(ranked)},
    )
    assert [len(kept[index]) > 0 for index in inner] == [False, False, True]
