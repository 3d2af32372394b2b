"""The entry point: reads the command line, runs a command, and turns mistakes into one line each and an exit code."""

from __future__ import annotations

import errno
import os
import sys
from typing import TYPE_CHECKING

from cyclopts import App
from cyclopts.exceptions import CycloptsError

import sim
from sim.cli.advise import advise
from sim.cli.bench import bench
from sim.cli.calibrate import calibrate
from sim.cli.catalog import catalog
from sim.cli.chart import chart
from sim.cli.check import check
from sim.cli.compare import compare
from sim.cli.completion import completion
from sim.cli.cosines import cosines
from sim.cli.deadline import deadline
from sim.cli.explain import explain
from sim.cli.feasibility import feasibility
from sim.cli.merge import merge
from sim.cli.new import new
from sim.cli.plot import plot
from sim.cli.protocols import protocols
from sim.cli.record import record
from sim.cli.replay import replay
from sim.cli.report import report
from sim.cli.results import results
from sim.cli.run import run
from sim.cli.schema import schema
from sim.cli.sweep import sweep

if TYPE_CHECKING:
    from collections.abc import Sequence

DONE, WRONG_INPUT, INTERRUPTED = 0, 2, 130
FIRST_STEPS = """\
How often do honest nodes that run the same AI inference disagree, and what does that do to the blocks?

Five things to do first:
  sim new chain.yaml                       write a scenario to begin with, every part of it commented
  sim run chain.yaml                       how often its blocks fail, and why
  sim sweep chain.yaml --plot curve.png    the failure curve, over the axes that the file names
  sim explain diverged nodes               what a printed word, or a key of the file, means
  sim feasibility --model llama3_8b_q4     which chains can run a model

sim --help lists all commands, and sim COMMAND --help has an example of each.
"""

app = App(
    name="sim",
    help=(
        "How often do honest nodes that run the same AI inference disagree, and what does that do to the blocks?\n\n"
        "`sim` alone shows what to do first, `sim COMMAND --help` an example of each command."
    ),
    version=f"splitquorum {sim.__version__}",
    version_flags=["--version"],
    help_format="plaintext",
    result_action="return_value",
    suppress_keyboard_interrupt=False,  # cyclopts would exit by itself
)
for command in (
    new,
    run,
    chart,
    replay,
    sweep,
    results,
    plot,
    report,
    merge,
    check,
    compare,
    advise,
    feasibility,
    calibrate,
    catalog,
    cosines,
    record,
    protocols,
    explain,
    schema,
    bench,
    deadline,
    completion,
):
    app.command(command)


def execute(arguments: Sequence[str]) -> int:
    """Run a command line.

    Parameters
    ----------
    arguments
        What follows `sim`.

    Returns
    -------
    int
        The exit code. A fault of ours escapes as an exception.
    """
    from sim.base.errors import SplitquorumError

    if not arguments:
        print(FIRST_STEPS, end="")
        return DONE
    try:
        code = app(list(arguments), exit_on_error=False, print_error=False)
    except CycloptsError as error:
        print(f"sim: {_one_line(error)} (see {_help_of(error)})", file=sys.stderr)
        return WRONG_INPUT
    except SplitquorumError as error:
        print(error, file=sys.stderr)
        return WRONG_INPUT
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return INTERRUPTED
    return code if isinstance(code, int) else DONE


def _one_line(error: CycloptsError) -> str:
    from sim.base.text import printable

    return printable(" ".join(str(error).split()))


def _help_of(error: CycloptsError) -> str:
    """The help that tells what goes: that of the command, where one was named."""
    return " ".join(["sim", *(error.command_chain or ()), "--help"])


def main() -> None:
    """Run the command line of this process and exit."""
    code = DONE
    try:
        code = execute(sys.argv[1:])
        sys.stdout.flush()
    except (BrokenPipeError, SystemExit) as error:  # whoever read our output has seen enough
        if isinstance(error, SystemExit) and not isinstance(error.__context__, BrokenPipeError):
            raise  # not rich's way to tell of a closed pipe
        _drop_output()
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        print("sim: the output cannot be written: no space left", file=sys.stderr)
        _drop_output()
        code = WRONG_INPUT
    sys.exit(code)


def _drop_output() -> None:
    """Send what is still to be written nowhere, so that the interpreter does not complain at its end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
