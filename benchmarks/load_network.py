"""How long parsing, building and loading a Darknet network takes, and how much memory.

    python benchmarks/load_network.py [--model yolov4]

Writes the network with random weights to a temporary folder first, in a process of its own, so that the peak
is that of loading alone.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from seyolo.darknet.zoo import network_from_name
from seyolo.opening.network import load, save
from seyolo.torchnet.build import build


def main() -> None:
    """Writes, loads, prints."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="yolov4")
    parser.add_argument("--write", type=Path, help="only write the network's files to this .cfg")
    options = parser.parse_args()
    if options.write:
        save(build(network_from_name(options.model)), options.write)
        return
    with tempfile.TemporaryDirectory() as folder:
        cfg = Path(folder) / "x.cfg"
        subprocess.run([sys.executable, __file__, "--model", options.model, "--write", cfg], check=True)
        before_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
        start = time.perf_counter()
        model = load(cfg, cfg.with_suffix(".weights"))
        seconds = time.perf_counter() - start
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3
    num_params = sum(parameter.numel() for parameter in model.parameters())
    print(f"{options.model}: {num_params / 1e6:.2f} M parameters loaded in {seconds:.2f} s")
    print(f"peak memory {peak_mb:.0f} MB, of which {before_mb:.0f} MB before loading")


if __name__ == "__main__":
    main()
