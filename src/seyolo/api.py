"""Functions behind the verbs, under one name: `seyolo.api`."""

from __future__ import annotations

from seyolo.darknet.cost import cost
from seyolo.data.datasets import load_dataset
from seyolo.data.oxford.convert import convert as convert_oxford
from seyolo.opening.network import input_size, open_model, resized
from seyolo.options.cut import CutOptions as PlanOptions
from seyolo.report.pages.write import write_report
from seyolo.torchnet.device import torch_device
from seyolo.verbs.data import check_dataset, convert_dataset, draw_dataset, find_anchors, split_dataset
from seyolo.verbs.data_label import label_images
from seyolo.verbs.data_view import view_dataset
from seyolo.verbs.evaluate import evaluate, evaluate_oxford
from seyolo.verbs.export import export_file
from seyolo.verbs.importance import bn_scales, importance_scores
from seyolo.verbs.prune import plan_file, plan_path, prune_file, read_plan
from seyolo.verbs.slim import resume_slim, slim
from seyolo.verbs.study import resume_study, study
from seyolo.verbs.train import resume_train, train

__all__ = [
    "PlanOptions",
    "bn_scales",
    "check_dataset",
    "convert_dataset",
    "convert_oxford",
    "cost",
    "draw_dataset",
    "evaluate",
    "evaluate_oxford",
    "export_file",
    "find_anchors",
    "importance_scores",
    "input_size",
    "label_images",
    "load_dataset",
    "open_model",
    "plan_file",
    "plan_path",
    "prune_file",
    "read_plan",
    "resized",
    "resume_slim",
    "resume_study",
    "resume_train",
    "slim",
    "split_dataset",
    "study",
    "torch_device",
    "train",
    "view_dataset",
    "write_report",
]
