#!/usr/bin/env bash
# evaluate_mot_sequence of trackers: ground truth in the ten columns of MOT15 has no objects, a file against itself
# gets MOTA 0.
#
# Seen with trackers 2.6.1, Python 3.11, 2026-11-30:
#   MOT15, and the files that `trackers track` writes, have ten columns: frame, id, x, y, w, h, confidence and three
#   world coordinates, -1 where unknown. The reader of ground truth takes the eighth for MOT17's class and keeps class
#   1 only: nothing is left, MOTA and HOTA are 0, each found object is a false positive, and no word about it. Classes
#   0 and 3 of one's own data go the same way. Seven columns, or 1 in the eighth, give MOTA 1.
# Expected before: the columns told apart by their number, as in the benchmark; an error where no object is left.
# What follows: write ground truth with seven columns or with class 1, and look at CLR_TP + CLR_FN before the scores.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check trackers==2.6.1 supervision==0.31.2 numpy==2.4.6
cat > "$folder/check.py" <<'PY'
from importlib import metadata
from pathlib import Path

from trackers.eval import evaluate_mot_sequence

TAILS = {
    "ten columns": ",-1,-1,-1",
    "seven columns": "",
    "class 1": ",1,1",
    "class 0": ",0,1",
    "class 3": ",3,1",
}
rows = [f"{frame},{track},{100 * track + frame},20,50,80,1" for frame in range(1, 11) for track in (1, 2)]


def written(name: str, tail: str) -> str:
    Path(name).write_text("".join(f"{row}{tail}\n" for row in rows))
    return name


tracks = written("tracks.txt", TAILS["ten columns"])
seen = {}
for name, tail in TAILS.items():
    truth = written("truth.txt", tail)
    scores = evaluate_mot_sequence(truth, tracks, metrics=["CLEAR", "HOTA"])
    clear = scores.CLEAR
    seen[name] = (clear.MOTA, scores.HOTA.HOTA, clear.CLR_TP + clear.CLR_FN, clear.CLR_FP)
    if name == "ten columns":
        assert Path(truth).read_bytes() == Path(tracks).read_bytes()
print("trackers", metadata.version("trackers"), "| (MOTA, HOTA, objects in the ground truth, false positives)")
for name, found in seen.items():
    print(f"{name}:", found)
same = seen == {
    name: (1.0, 1.0, 20, 0) if name in ("seven columns", "class 1") else (0.0, 0.0, 0, 20) for name in TAILS
}
raise SystemExit(0 if same else "ground truth is read otherwise now: the finding is out of date")
PY
cd "$folder"
venv/bin/python check.py
