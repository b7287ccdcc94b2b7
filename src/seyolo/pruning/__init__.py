"""Slimming: channel groups, importance, budgets, plans, surgery, folding and recalibration."""
