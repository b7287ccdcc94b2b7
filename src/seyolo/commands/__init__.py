"""The verbs of the command line, one file each: options in, a function of the library, results out."""
