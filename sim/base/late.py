"""What is imported when it is used: classes that are named by a text, and packages that an extra installs."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from sim.base.errors import SplitquorumError


def named(path: str) -> Any:
    """Import what `module:name` names.

    A registry names its classes so, and a method the function that does its work where that stands on a higher floor:
    `Result.plot` draws, but those who make results know nothing of pictures.

    Examples
    --------
    >>> named("sim.base.text:bounded")("a" * 300, 10)
    'aaaaaaa...'
    """
    module, _, attribute = path.partition(":")
    return getattr(import_module(module), attribute)


def package(name: str, user: str) -> Any:
    """Import a package that the extra of the same name installs.

    Parameters
    ----------
    name
        Of the package, and of the extra.
    user
        What needs it, for the message.

    Raises
    ------
    SplitquorumError
        It is not installed.
    """
    try:
        return import_module(name)
    except ImportError:
        raise SplitquorumError(f"{user} needs {name}: pip install 'splitquorum[{name}]'") from None
