"""`slim`: dense training, sparsity training, plan, cut, repair, fine-tuning, evaluation, export, controls."""
