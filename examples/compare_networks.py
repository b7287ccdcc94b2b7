"""What attention and width cost: parameters and MACs from the description alone, before anything is trained.

Needs no PyTorch. It prints

    network               parameters   MACs @416
    yolov3                   61.52 M     32.64 G
    se-yolov3                62.39 M     32.65 G
    cbam-yolov3              62.39 M     32.66 G
    yolov3@0.5               15.40 M      8.20 G
    yolov3@0.25               3.86 M      2.07 G
    se-yolov3@0.25            3.92 M      2.07 G
    yolov4-tiny               5.87 M      3.39 G
"""

from __future__ import annotations

from seyolo.darknet.cost import cost
from seyolo.darknet.zoo import network_from_name

NAMES = ("yolov3", "se-yolov3", "cbam-yolov3", "yolov3@0.5", "yolov3@0.25", "se-yolov3@0.25", "yolov4-tiny")


def main() -> None:
    """One row for each network, as it would be for one class."""
    print(f"{'network':<20}{'parameters':>12}{'MACs @416':>12}")
    for name in NAMES:
        counted = cost(network_from_name(name, num_classes=1), 416, 416)
        print(f"{name:<20}{counted.params / 1e6:>10.2f} M{counted.macs / 1e9:>10.2f} G")


if __name__ == "__main__":
    main()
