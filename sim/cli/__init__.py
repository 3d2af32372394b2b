"""The command line: one thin file per command, and the exit codes.

Exit codes: 0 done; 1 a fault of ours; 2 the command line or the scenario is wrong; 3 done, but a bar that the user set
was missed; 130 interrupted, with everything finished so far kept.
"""

from sim.cli.main import execute, main

__all__ = ["execute", "main"]
