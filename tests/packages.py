"""The packages of `examples/`, built, and put where Python looks for packages."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from zipfile import ZipFile

from sim.consensus.matching import MATCHINGS
from sim.consensus.protocols import PROTOCOLS
from sim.inference.difficulty import DIFFICULTIES
from sim.network.latency import LATENCIES
from sim.statistics.durations import DURATIONS

EXAMPLES = Path(__file__).parents[1] / "examples"
REGISTRIES = (DIFFICULTIES, PROTOCOLS, MATCHINGS, LATENCIES, DURATIONS)


def unpacked(example: str, place: Path) -> Path:
    """What `pip install examples/NAME` would install, unpacked; nothing is downloaded for it."""
    source = shutil.copytree(EXAMPLES / example, place / "source")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(place)]
    subprocess.run(command, cwd=source, check=True, capture_output=True)
    (built,) = place.glob("*.whl")
    ZipFile(built).extractall(place / "site")
    return place / "site"


@contextmanager
def installed(*sites: Path) -> Iterator[None]:
    """Put packages on the path, and forget afterwards what was loaded of them."""
    sys.path[:0] = map(str, sites)
    try:
        yield
    finally:
        for site in sites:
            sys.path.remove(str(site))
            for module in site.glob("*.py"):
                sys.modules.pop(module.stem, None)
                for registry in REGISTRIES:
                    registry._loaded.pop(module.stem, None)
