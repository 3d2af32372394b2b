"""`sim completion`: what a shell needs to complete commands, flags, their values and files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter

if TYPE_CHECKING:
    from pathlib import Path

Shell = Literal["bash", "zsh", "fish"]
_BASH = "complete -F _sim sim\n"
_BASH_WITH_FILES = "complete -o default -F _sim sim\n"


def completion(
    shell: Shell = "bash", /, *, output: Annotated[str | None, Parameter(name=["--output", "-o"])] = None
) -> int:
    """Print the script with which a shell completes `sim`; no file of yours is touched.

    For example: sim completion bash

    To have it in this shell only: eval "$(sim completion bash)". To keep it, write it where the shell looks: with
    --output ~/.local/share/bash-completion/completions/sim for bash, ~/.zfunc/_sim for zsh (a folder of $fpath),
    ~/.config/fish/completions/sim.fish for fish. In zsh, names of files are not completed.

    Parameters
    ----------
    shell
        bash, zsh or fish.
    output
        A file to write instead of printing; it must not exist yet, or be such a script.
    """
    from pathlib import Path

    text = script(shell)
    if output is None:
        print(text, end="")
        return 0
    _write(text, Path(output).expanduser())
    print(f"wrote {output}; it counts in every new {shell}")
    return 0


def script(shell: Shell) -> str:
    """The script; in bash, what is no command or flag is completed as a file."""
    from sim.cli.main import app

    text = app.generate_completion(prog_name="sim", shell=shell)
    if shell == "bash":
        if not text.rstrip().endswith(_BASH.rstrip()):
            raise AssertionError(f"the script of bash ends otherwise: {text[-60:]!r}")
        text = text.replace(_BASH, _BASH_WITH_FILES)
    return text


def _write(text: str, path: Path) -> None:
    from sim.base.errors import Problem, ScenarioError

    first = text.partition("\n")[0]
    try:
        if path.exists() and not path.read_text(encoding="utf-8", errors="replace").startswith(first):
            message = "exists and is no completion of sim, so it is left as it is"
            raise ScenarioError([Problem("", message, str(path), "--output")])
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ScenarioError([Problem("", f"cannot be written: {reason}", str(path), "--output")]) from None
