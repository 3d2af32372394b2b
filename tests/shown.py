"""Pages in Markdown: their code blocks, and commands with what they print."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable

from sim.cli import execute


def blocks(text: str, language: str) -> list[str]:
    """The code blocks of a language."""
    return re.findall(rf"^```{language}\n((?:.*\n)*?)```", text, re.MULTILINE)


def check_console(block: str, printed: Callable[[], str]) -> None:
    """Run the commands of a block in turn; `printed` tells what has been printed since it was last asked."""
    shown = re.findall(r"^\$ (.*)\n((?:(?!\$ ).*\n)*)", block, re.MULTILINE)
    assert "".join(f"$ {command}\n{output}" for command, output in shown) == block
    for command, output in shown:
        program, *arguments = shlex.split(command)
        assert program == "sim"
        assert execute(arguments) == 0
        assert printed() == output
