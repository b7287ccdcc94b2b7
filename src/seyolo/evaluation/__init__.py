"""Average precision and the protocols that use it.

`ap` is numpy and faster-coco-eval, `evaluate` runs a network or a runtime backend over a split (torch), and
`oxford` is the two-fold protocol of the Oxford Hand dataset.
"""
