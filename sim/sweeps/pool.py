"""Workers that start clean, never outlive their parent, and need no `__main__` guard in the caller's script."""

from __future__ import annotations

import multiprocessing
import os
import signal
import sys
import threading
from concurrent.futures import Executor, Future, ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing.context import SpawnContext, SpawnProcess
from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from multiprocessing.popen_spawn_posix import Popen
    from multiprocessing.process import BaseProcess

T = TypeVar("T")


class Inline(Executor):
    """Runs each task at once in this process: one worker without the cost of starting it."""

    def submit(self, work: Callable[..., T], /, *arguments: Any, **options: Any) -> Future[T]:
        """Run the work and return its finished future."""
        future: Future[T] = Future()
        try:
            future.set_result(work(*arguments, **options))
        except Exception as failure:  # noqa: BLE001 -- it belongs to the future
            future.set_exception(failure)
        return future


@contextmanager
def _hidden_main() -> Iterator[None]:
    """Keep a new process from importing the caller's script, whose top level would start a sweep of its own."""
    main = sys.modules["__main__"]
    hidden = {name: getattr(main, name) for name in ("__file__", "__spec__") if getattr(main, name, None) is not None}
    main.__spec__ = None
    if "__file__" in hidden:
        del main.__file__
    try:
        yield
    finally:
        for name, value in hidden.items():
            setattr(main, name, value)


class _Worker(SpawnProcess):
    @staticmethod
    def _Popen(process_obj: BaseProcess) -> Popen:  # noqa: N802 -- the standard library's name
        with _hidden_main():
            return SpawnProcess._Popen(process_obj)  # noqa: SLF001 -- where a process is really started


class _CleanSpawn(SpawnContext):
    """Starts workers, and knows them."""

    def __init__(self) -> None:
        super().__init__()
        self.started: list[_Worker] = []

    def Process(self, *arguments: Any, **options: Any) -> _Worker:  # type: ignore[override]  # noqa: N802 -- its name there
        """Make a worker; what asks for it starts it."""
        self.started.append(_Worker(*arguments, **options))
        return self.started[-1]


class Processes(ProcessPoolExecutor):
    """Runs tasks in processes of their own; who does not wait for them ends them.

    Parameters
    ----------
    number
        How many processes.
    """

    def __init__(self, number: int) -> None:
        self._spawn = _CleanSpawn()
        super().__init__(number, mp_context=self._spawn, initializer=_start_worker)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more work; without waiting, and with what is waiting cancelled, end what is running as well."""
        super().shutdown(wait, cancel_futures=cancel_futures)
        if cancel_futures and not wait:
            for worker in self._spawn.started:
                worker.terminate()


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and end with it however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = multiprocessing.parent_process()

    def follow() -> None:
        if parent is not None:
            parent.join()
        os._exit(1)

    threading.Thread(target=follow, daemon=True).start()


def workers(number: int) -> Executor:
    """Make an executor of that many processes; with one, the work is done in this process.

    Parameters
    ----------
    number
        At least 1.
    """
    if number == 1:
        return Inline()
    return Processes(number)


class Cluster(Executor):
    """Runs tasks on a Dask cluster (extra `cluster`), and disconnects when it is shut down.

    A Dask port runs any code that reaches it, so it belongs on a private network.

    Parameters
    ----------
    address
        The scheduler, `tcp://HOST:PORT`.

    Raises
    ------
    ImportError
        Dask is not installed.
    OSError, ValueError
        The scheduler cannot be reached, or that is no address.
    """

    def __init__(self, address: str) -> None:
        from distributed import Client

        client: Any = Client(address, timeout="10s")  # type: ignore[no-untyped-call]
        self._client = client
        self._inner: Executor = client.get_executor(pure=False)

    def submit(self, work: Callable[..., T], /, *arguments: Any, **options: Any) -> Future[T]:
        """Hand the work to the cluster; Dask does it again elsewhere if the worker dies."""
        return self._inner.submit(work, *arguments, **options)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Disconnect."""
        self._inner.shutdown(wait and not cancel_futures)
        self._client.close()
