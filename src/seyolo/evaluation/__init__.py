"""Average precision, its bootstrap, and the protocols of the Oxford Hand data set."""
