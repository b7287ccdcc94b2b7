"""Options of the verbs: one frozen dataclass per group, each option declared once, with its text beside it.

The command line, the Python functions and the files of a run are made from these classes. They need no
PyTorch. A value that makes no sense is refused when the object is made.

Annotations are evaluated when a class is made: the command line reads them from `__init__`, which a subclass
has in another module, where their names are unknown.
"""
