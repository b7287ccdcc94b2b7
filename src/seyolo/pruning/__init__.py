"""Pruning of channels and residual blocks: groups, importance, planning, cutting."""
