"""Keyword arguments of the Python functions; written by tools/option_keywords.py, not by hand."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal, TypedDict

from seyolo.options.cut import CutOptions
from seyolo.options.training import Augmentation, LossWeights


class ModelKeywords(TypedDict, total=False):
    """`ModelOptions` as keyword arguments."""

    weights: str | Path | None
    num_classes: int | None
    names: str | Path | None
    attention: Literal["se", "cbam", "eca", "coordatt", "simam"] | None
    at: Literal["residual", "stage", "neck", "head"] | Sequence[Literal["residual", "stage", "neck", "head"]]
    reduction: int
    join: Literal["scale", "add"]


class TileKeywords(TypedDict, total=False):
    """`TileOptions` as keyword arguments."""

    tile: bool
    tile_size: int | tuple[int, int] | None
    tile_overlap: float
    tile_whole: bool


class CutKeywords(TypedDict, total=False):
    """`CutOptions` as keyword arguments."""

    scope: Literal["all", "plain"]
    multiple: int | None
    least_share: float
    evenness: float | None
    keep: int | Sequence[int]
    blocks: bool
    tied: Literal["max", "mean", "sum"] | None
    size_hw: tuple[int, int] | None


class TrainingKeywords(TileKeywords, total=False):
    """`TrainingOptions` as keyword arguments."""

    batch: int | Literal["auto"]
    lr: float | Literal["auto"]
    optimizer: Literal["adamw", "muon"]
    seed: int
    device: str
    threads: int | None
    patience: int | None
    freeze: int
    class_weights: str | Sequence[str]
    mosaic: bool
    flip: bool
    zoom: bool
    colour: bool
    sync_bn: bool
    multi_scale: bool
    save_every: float
    cache: str
    weight_decay: float
    warmup_epochs: float
    plain_share: float
    average_decay: float
    average_ramp_updates: float
    top_k: int
    gradient_clip: float
    loss: LossWeights
    augmentation: Augmentation
    evaluations: int
    mixed_precision: bool
    loader_workers: int | None


class SparsityKeywords(TypedDict, total=False):
    """`SparsityOptions` as keyword arguments."""

    sparsity: Literal["group", "steered", "proximal", "l1"]
    s: float | None
    schedule: Literal["constant", "decay"]
    scales_rate: float | None
    rounds: int


class TrainKeywords(ModelKeywords, TrainingKeywords, total=False):
    """`TrainOptions` as keyword arguments."""

    sparsity: Literal["l1", "proximal", "group"] | None
    s: float | None
    schedule: Literal["constant", "decay"]
    epochs: int | None
    size: int | tuple[int, int] | None
    teacher: str | Path | None
    distill: float | None


class SlimKeywords(ModelKeywords, TrainingKeywords, SparsityKeywords, CutKeywords, total=False):
    """`SlimOptions` as keyword arguments."""

    budget: str | Sequence[str]
    size: int | tuple[int, int] | None
    epochs: int | None
    branch_epoch: int | None
    sparse_epochs: int | None
    finetune_epochs: int | None
    finetune: bool
    controls: str | Sequence[str]
    cut: CutOptions
    repair: Literal["reconstruct", "recalibrate", "none"]
    activation: Literal["relu", "relu6", "leaky"] | None
    distill: float
    importance: Literal["obs", "bn", "norm", "group", "taylor", "uniform", "random"] | None
    strength: float | None


class PruneKeywords(ModelKeywords, TileKeywords, CutKeywords, total=False):
    """`PruneOptions` as keyword arguments."""

    budget: str | Sequence[str]
    dry_run: bool
    cut: CutOptions
    keep_blocks: bool
    repair: Literal["reconstruct", "recalibrate", "none"]
    data: str | Path | None
    size: int | tuple[int, int] | None
    seed: int
    device: str


class StudyKeywords(TypedDict, total=False):
    """`StudyOptions` as keyword arguments."""

    gates: str | Sequence[str]
    places: str | Sequence[str]
    joins: str | Sequence[str]
    budgets: str | Sequence[str]
    seeds: int | Sequence[int]
