"""The model card of the shipped hand detector: `hand_card.md` filled with the figures of `hand.json`."""

from __future__ import annotations

from pathlib import Path
from string import Template
from typing import Any

from hand_failures import failure_table
from hand_training import MIT_HOLDERS

from seyolo.errors import counted
from seyolo.report.text import lead_text
from seyolo.results import Difference

TEMPLATE = Path(__file__).with_name("hand_card.md")
STAGES = {"dense": "dense training", "sparse": "sparsity training", "finetuned": "fine-tuning"}

Figures = dict[str, Any]


def card(figures: Figures) -> str:
    """The model card with its figures filled in."""
    return Template(TEMPLATE.read_text(encoding="utf-8")).substitute(values(figures))


def values(figures: Figures) -> dict[str, str]:
    """Every figure of the card as it is printed there."""
    return {
        **network_values(figures),
        **training_values(figures),
        **accuracy_values(figures),
        **latency_values(figures["latency"]),
    }


def network_values(figures: Figures) -> dict[str, str]:
    """The network and its files."""
    network = figures["network"]
    height, width = network["input_size"]
    return {
        "version": str(figures["version"]),
        "before": figures["before"],
        "params": f"{network['params']:,}",
        "mmacs": f"{network['macs'] / 1e6:.0f}",
        "macs_share": f"{100 * network['macs'] / figures['training']['dense_macs']:.0f}",
        "input_size": f"{width}x{height}",
        "size_mb": f"{figures['file']['size_bytes'] / 1e6:.2f}",
        "sha256": figures["file"]["sha256"],
        "checkpoint_mb": f"{figures['checkpoint']['size_bytes'] / 1e6:.2f}",
        "checkpoint_sha256": figures["checkpoint"]["sha256"],
    }


def training_values(figures: Figures) -> dict[str, str]:
    """How it was trained, and on what."""
    trained, rows = figures["training"], figures["training_data"]
    stages = [
        f"{counted(trained['epochs'][stage], 'epoch')} of {title}"
        for stage, title in STAGES.items()
        if trained["epochs"].get(stage)
    ]
    empty = [row for row in rows if not row["hands"]]
    return {
        "commands": "\n".join(trained["commands"]),
        "commit": trained["commit"],
        "seed": str(trained["seed"]),
        "stages": ", ".join(stages),
        "minutes": str(trained["minutes"]),
        "source_table": source_table(rows),
        "mit_holders": "; ".join(MIT_HOLDERS.values()),
        "train_images": f"{sum(row['images'] for row in rows):,}",
        "train_hands": f"{sum(row['hands'] for row in rows):,}",
        "train_empty": f"{sum(row['images'] for row in empty):,}",
    }


def accuracy_values(figures: Figures) -> dict[str, str]:
    """AP by split, confidence thresholds, and failures."""
    confidence = figures["confidence"]
    default, best = confidence["hands val"]["default"], confidence["hands val"]["best"]
    tested, others = confidence["hands test"]["default"], confidence["hands_more test"]["default"]
    return {
        "accuracy_table": accuracy_table(figures),
        "before_table": before_table(figures),
        "precision_table": precision_table(figures),
        "failure_table": failure_table(figures["failures"]),
        "failure_images": f"{figures['failure_images']:,}",
        "false": f"{figures['false']:,}",
        "best_confidence": f"{best['confidence']:.2f}",
        "best_f1": f"{best['f1']:.3f}",
        "default_f1": f"{default['f1']:.3f}",
        "test_precision": f"{tested['precision']:.3f}",
        "test_recall": f"{tested['recall']:.3f}",
        "more_precision": f"{others['precision']:.3f}",
        "more_recall": f"{others['recall']:.3f}",
    }


def latency_values(latency: Figures) -> dict[str, str]:
    """Latency and the machine that it was measured on."""
    machine = latency["machine"]
    return {
        "latency_table": latency_table(latency),
        "rounds": str(latency["rounds"]),
        "num_pictures": str(latency["num_pictures"]),
        "cores": str(machine["cores"]),
        "architecture": machine["architecture"],
        "instructions": machine["instructions"],
        "onnxruntime": machine["onnxruntime"],
        "first_result_s": f"{latency['first_result_s']:.2f}",
        "frames_boxes": f"{latency['video']['boxes']:.0f}",
        "frames_drawn": f"{latency['video']['drawn']:.0f}",
        "num_frames": str(latency["video"]["num_frames"]),
    }


def source_table(rows: list[Figures]) -> str:
    """Sources of the training images with licence and author."""
    lines = [
        "| source | licence | author | images | shown in an epoch | hands |",
        "| --- | --- | --- | ---: | ---: | ---: |",
    ]
    for row in rows:
        source = f"[{row['source']}](https://github.com/{row['source']})"
        cells = [
            source if "/" in row["source"] else row["source"],
            row["licence"] or "as above",
            row["author"],
        ]
        numbers = [f"{row[name]:,}" for name in ("images", "shown", "hands")]
        lines.append(f"| {' | '.join([*cells, *numbers])} |")
    return "\n".join(lines)


def accuracy_table(figures: Figures) -> str:
    """The shipped file on every split with its interval, beside the dense network."""
    rows = [
        "| split | images | hands | AP (95 % of draws) | AP@0.5 | dense network's AP | lead over it |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    for split, found in figures["accuracy"][figures["file"]["precision"]].items():
        counts, interval = figures["data"][split], figures["interval"][split]
        rows.append(
            f"| {split} | {counts['images']:,} | {counts['hands']:,} "
            f"| {found['ap']:.3f} ({interval['low']:.3f} to {interval['high']:.3f}) | {found['ap50']:.3f} "
            f"| {figures['accuracy']['dense'][split]['ap']:.3f} "
            f"| {lead_text(Difference(**figures['lead'][split]))} |"
        )
    return "\n".join(rows)


def before_table(figures: Figures) -> str:
    """The shipped file beside the version before."""
    before = figures["before"]
    rows = [
        f"| split | AP | AP of `{before}` | AP@0.5 | AP@0.5 of `{before}` | lead in AP |",
        "| --- | ---: | ---: | ---: | ---: | ---: |",
    ]
    for split, found in figures["accuracy"][figures["file"]["precision"]].items():
        other = figures["accuracy"][before][split]
        rows.append(
            f"| {split} | {found['ap']:.3f} | {other['ap']:.3f} | {found['ap50']:.3f} | {other['ap50']:.3f} "
            f"| {lead_text(Difference(**figures['lead_over_before'][split]))} |"
        )
    return "\n".join(rows)


def precision_table(figures: Figures) -> str:
    """The same network stored in three ways, and the dense one."""
    splits = [split for split in figures["data"] if "," not in split]
    rows = [
        f"| file | MB | {' | '.join(f'AP {split}' for split in splits)} |",
        "| --- | ---: |" + " ---: |" * len(splits),
    ]
    for name, size in figures["size_bytes"].items():
        cells = [f"{figures['accuracy'][name][split]['ap']:.3f}" for split in splits]
        rows.append(f"| {name} | {size / 1e6:.2f} | {' | '.join(cells)} |")
    return "\n".join(rows)


def latency_table(latency: Figures) -> str:
    """Milliseconds by threads: the network alone, and a decoded image to its boxes."""
    counts = list(latency["threads"])
    head = [f"network, {count} thr. | image to boxes, {count} thr." for count in counts]
    rows = [f"| p50 in ms | {' | '.join(head)} |", "| --- |" + " ---: | ---: |" * len(counts)]
    for name in latency["threads"][counts[0]]:
        both = [latency["threads"][count][name] for count in counts]
        cells = [f"{row['network_ms']:.1f} | {row['total_ms']:.1f}" for row in both]
        rows.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(rows)
