"""Functions behind the verbs, under one name: `seyolo.api`."""

from __future__ import annotations

from seyolo.opening.network import input_size, open_model, resized
from seyolo.options.cut import CutOptions as PlanOptions
from seyolo.report.pages.write import write_report
from seyolo.torchnet.device import torch_device
from seyolo.verbs.evaluate import evaluate, evaluate_oxford
from seyolo.verbs.export import export_file
from seyolo.verbs.prune import plan_file, plan_path, prune_file, read_plan
from seyolo.verbs.slim import resume_slim, slim
from seyolo.verbs.train import resume_train, train

__all__ = [
    "PlanOptions",
    "evaluate",
    "evaluate_oxford",
    "export_file",
    "input_size",
    "open_model",
    "plan_file",
    "plan_path",
    "prune_file",
    "read_plan",
    "resized",
    "resume_slim",
    "resume_train",
    "slim",
    "torch_device",
    "train",
    "write_report",
]
