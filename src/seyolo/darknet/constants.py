"""Numbers of the forward pass that no cfg holds; torch layers, ONNX nodes and pruning share them."""

BATCH_NORM_EPSILON = 1e-6
"""Inside the root. OpenCV's value: on real networks it agrees with OpenCV's reader to 4e-6."""
SHORTCUT_EPSILON = 1e-4
"""Added to the sum of a shortcut's weights before it divides them, as Darknet does."""
MAX_LOG_SIZE = 10.0
"""Larger size logits are clamped: exp(10) = 22,026 anchors is already wider than any image."""

SIMAM_LAMBDA = 1e-4
"""Added to the variance of a channel in SimAM, the value of its paper."""

LEAKY_SLOPE = 0.1
RELIE_SLOPE = 0.01
SELU_SCALE, SELU_ALPHA = 1.0507, 1.6732
GELU_LINEAR, GELU_CUBIC = 0.797885, 0.035677
