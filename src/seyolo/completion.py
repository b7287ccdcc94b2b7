"""`seyolo --install-completion`: verbs and options completed by the shell."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from cyclopts.completion.detect import ShellDetectionError, detect_shell

from seyolo.cli import make_app
from seyolo.errors import UsageError

Shell = Literal["bash", "zsh", "fish", "powershell"]
NEXT = {
    "bash": "open another terminal (package bash-completion), or run: source {path}",
    "zsh": "put its folder into fpath in front of compinit in ~/.zshrc: fpath=({path.parent} $fpath)",
    "fish": "open another terminal",
    "powershell": "add to the profile: . {path}",
}


def install_completion(*, shell: Shell | None = None, output: Path | None = None) -> None:
    """Lets the shell complete verbs and options.

    Writes one file, where the shell looks for it, and changes no other.

    Args:
        shell: by default the one that runs.
        output: the file; by default the shell's own place.
    """
    if shell is None:
        try:
            shell = detect_shell()
        except ShellDetectionError:
            raise UsageError("which shell runs is not known; say it: --shell bash, zsh or fish") from None
    path = make_app().install_completion(shell=shell, output=output, add_to_startup=False)
    print(f"wrote {path}; {NEXT[shell].format(path=path)}")
