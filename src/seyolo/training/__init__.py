"""Training: label assignment, loss, optimiser, sparsity, weight averaging, checkpoints and the loop."""
