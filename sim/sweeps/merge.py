"""Folds the stores of several machines into one, and refuses what does not fit together."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sim.base.errors import Problem, ScenarioError
from sim.sweeps.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


def merge(sources: Sequence[Path], target: Path) -> int:
    """Fold stores into a new one.

    Parameters
    ----------
    sources
        Stores to read; they are left as they are.
    target
        The store to make; it must not exist yet.

    Returns
    -------
    int
        Number of points in the new store: those of the sources, each scenario once, in the order given.

    Raises
    ------
    ScenarioError
        The target exists, a source is no store, or two of them disagree on the same blocks or were made by different
        versions.
    """
    if target.exists():
        raise ScenarioError([Problem("", "exists already: merging makes a new store", where=str(target))])
    opened = [Store(path) for path in sources]
    try:
        _check_versions(opened)
        with Store(target, create=True) as merged:
            return merged.take(opened)
    except BaseException:
        for path in (target, target.with_name(target.name + "-wal"), target.with_name(target.name + "-shm")):
            path.unlink(missing_ok=True)
        raise
    finally:
        for store in opened:
            store.close()


def _check_versions(stores: Sequence[Store]) -> None:
    versions = {version: store for store in stores for version in store.versions()}
    if len(versions) > 1:
        told = ", ".join(f"{store.path} has {version}" for version, store in versions.items())
        raise ScenarioError([Problem("", f"results of different versions cannot be merged: {told}")])
