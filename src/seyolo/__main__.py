"""`python -m seyolo`, the same as the command `seyolo`."""

from seyolo.cli import command

if __name__ == "__main__":
    command()
