"""Batches for training and evaluation: loaders, augmentation, cache."""
