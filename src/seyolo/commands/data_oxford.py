"""`seyolo data oxford`: the Oxford Hand data set as YOLO labels."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from seyolo.commands.output import Json, check_target, remark, show, table
from seyolo.data.oxford.convert import convert


def oxford(
    source: Path, out: Path, /, *, split: Literal["official", "reference"] = "official", json: Json = None
) -> None:
    """Convert the Oxford Hand data set, a folder or the archive.

    Args:
        source: the folder hand_dataset or the archive hand_dataset.tar.gz.
        out: a folder that does not exist yet.
        split: official keeps train, val and test; reference trains on train and val, and test is val, too.
        json: write the counts here as JSON, too; - is stdout.
    """
    check_target(json)
    report = convert(source, out, split)
    show(report.to_dict(), table(report.rows()), json)
    for warning in report.warnings:
        remark(f"warning: {warning}")
    remark(f"wrote {out / 'data.yaml'}")
