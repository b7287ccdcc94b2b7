#!/usr/bin/env bash
# The same tensors and metadata give another safetensors file every time: the order of metadata is random.
#
# Seen with safetensors 0.8.0, numpy 2.3.5, Python 3.11, 2026-11-29:
#   twenty calls of save() with one metadata dictionary of six entries give more than ten different byte strings of
#   one length. With no metadata, or one entry, all twenty are equal. Tensors are always in the same order.
# Expected before: equal content, equal bytes, since the format has no time stamp and dictionaries have an order.
# What follows: a digest of the file cannot tell whether two trainings ended alike, caches and deduplication miss,
#   and a reproducible build is not. Sort the JSON of the header after saving; its length stays the same.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check numpy==2.3.5 safetensors==0.8.0
cat > "$folder/check.py" <<'PY'
import json

import numpy as np
import safetensors
from safetensors.numpy import save

tensors = {name: np.arange(4, dtype=np.float32) for name in "badc"}
many, one = {key: key for key in "format version cfg names origin epoch".split()}, {"format": "x"}
kinds = {len(metadata or {}): {save(tensors, metadata) for _ in range(20)} for metadata in (None, one, many)}
print("safetensors", safetensors.__version__, {count: len(found) for count, found in kinds.items()}, "kinds of bytes")
heads = [json.loads(data[8 : 8 + int.from_bytes(data[:8], "little")]) for data in kinds[6]]
same = len(kinds[0]) == len(kinds[1]) == 1 and len(kinds[6]) > 10
same &= all(head == heads[0] for head in heads) and len({len(data) for data in kinds[6]}) == 1
same &= len({tuple(list(head)[1:]) for head in heads}) == 1
raise SystemExit(0 if same else "this is another: the finding is out of date")
PY
"$folder/venv/bin/python" "$folder/check.py"
