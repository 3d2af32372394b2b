"""Packages that are not installed."""

from __future__ import annotations

import builtins
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Make a package one that is not installed."""
    imported = builtins.__import__

    def forget(package: str) -> None:
        def absent(name: str, *args: Any, **more: Any) -> Any:
            if name == package:
                raise ImportError
            return imported(name, *args, **more)

        monkeypatch.setattr(builtins, "__import__", absent)

    return forget
