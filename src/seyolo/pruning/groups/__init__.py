"""Channel groups and residual blocks of a network."""
