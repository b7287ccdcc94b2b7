"""Runs that are killed at any moment, resumed to the end, and compared bit by bit with an undisturbed run.

The runs are started through the command line and judged by the files they leave; nothing here knows how they
are written. `python -m kills` does hundreds of kills, the tests beside it a few dozen.

    jobs.py       the runs: train, slim, slim with controls, detect in shards
    child.py      one command line, in the process that may die
    faults.py     the moments: a process kills itself, or finds the disk full, at its n-th file operation
    nursery.py    a process that has imported PyTorch and forks a child per command line
    compare.py    bit-by-bit comparison of two run folders, and what it leaves out
    cases.py      one run from the first kill to the comparison
"""
