"""The Oxford Hand data set: annotations, archives, conversion."""
