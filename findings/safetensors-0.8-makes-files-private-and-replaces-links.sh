#!/usr/bin/env bash
# save_file of safetensors 0.8 makes a file that only its owner can read, and puts it in the place of a link.
#
# Seen with safetensors 0.8.0 beside 0.7.0, numpy 2.3.5, Python 3.11, Linux, 2026-11-29:
#   with umask 022, 0.7 writes a new file with mode 644, keeps the mode of an existing one, and writes through a
#   symbolic link. 0.8 writes to a hidden file and renames it: mode 600 for new and existing files, the symbolic
#   link is gone and its target is as it was, a hard link keeps the old content.
# Expected before: the mode that the umask gives, as open() does, and a link that is followed.
# What follows: after an update colleagues, services and containers of another user cannot read new checkpoints;
#   latest.safetensors, a link to the newest one, becomes a file. Write the bytes of safetensors.numpy.save().
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cat > "$folder/check.py" <<'PY'
import os
import sys
from pathlib import Path

import numpy as np
import safetensors
from safetensors.numpy import save_file

os.umask(0o022)
os.chdir(sys.argv[1])
tensors = {"a": np.zeros(3, np.float32)}
for name in ("old", "target"):
    Path(name).write_bytes(b"")
    os.chmod(name, 0o664)
os.symlink("target", "link")
for name in ("new", "old", "link"):
    save_file(tensors, name)
found = [oct(os.stat(name).st_mode & 0o777) for name in ("new", "old")]
found += [os.path.islink("link"), os.path.getsize("target") > 0]
print("safetensors", safetensors.__version__, "modes of new and old file, link stays, target written:", found)
expected = {"0.7.0": ["0o644", "0o664", True, True], "0.8.0": ["0o600", "0o600", False, False]}
raise SystemExit(0 if found == expected[safetensors.__version__] else "this is another: the finding is out of date")
PY
for version in 0.7.0 0.8.0; do
  python3 -m venv "$folder/$version"
  "$folder/$version/bin/pip" install --quiet --disable-pip-version-check numpy==2.3.5 "safetensors==$version"
  mkdir "$folder/files-$version"
  "$folder/$version/bin/python" "$folder/check.py" "$folder/files-$version"
done
