"""The store of a sweep: one SQLite file with every scenario, every finished stretch of blocks, and every answer.

A store is enough to redo the sweep. Each finished stretch is committed at once (write-ahead log), so whatever stops the
process, what was finished is kept. Stores are untrusted input too: nothing in one is executed or unpickled, scenarios
are validated again when they are read, and a file that is not a store is never written to.
"""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from sim.base.errors import Problem, ScenarioError
from sim.base.version import __version__
from sim.engines.result import Result
from sim.scenario.schema import Scenario
from sim.statistics.counts import Counts, Task
from sim.sweeps.row import Row
from sim.sweeps.rows import Rows

if TYPE_CHECKING:
    from types import TracebackType

    from sim.scenario.grid import Point

APPLICATION_ID = 0x53514F52  # "SQOR"
SCHEMA_VERSION = 1
TIME = "time"
"""How the rule of an answer begins that stands for what there was when time was up."""
_BUSY_MS = 10_000
_MAGIC = b"SQLite format 3\x00"

_SCHEMA = f"""
CREATE TABLE task (
    id INTEGER PRIMARY KEY,
    scenario_id TEXT NOT NULL,
    engine TEXT NOT NULL,
    seed INTEGER NOT NULL,
    version TEXT NOT NULL,
    scenario TEXT NOT NULL,
    rule TEXT NOT NULL DEFAULT '',
    answer TEXT NOT NULL DEFAULT '',
    error TEXT NOT NULL DEFAULT '',
    seconds REAL NOT NULL DEFAULT 0,
    UNIQUE (scenario_id, engine, seed)
);
CREATE TABLE stretch (
    task INTEGER NOT NULL REFERENCES task (id),
    first_cell INTEGER NOT NULL,
    cells INTEGER NOT NULL,
    trials INTEGER NOT NULL,
    outcomes TEXT NOT NULL,
    total TEXT NOT NULL,
    total_squares TEXT NOT NULL,
    seconds REAL NOT NULL,
    PRIMARY KEY (task, first_cell)
) WITHOUT ROWID;
CREATE TABLE point (
    position INTEGER PRIMARY KEY,
    task INTEGER NOT NULL REFERENCES task (id),
    name TEXT NOT NULL,
    coordinates TEXT NOT NULL
);
PRAGMA application_id = {APPLICATION_ID};
PRAGMA user_version = {SCHEMA_VERSION};
"""


class Stretch(NamedTuple):
    """Finished cells of a task, one after the other, and their counts."""

    first_cell: int
    cells: int
    counts: Counts

    @property
    def end(self) -> int:
        """The cell after the last one."""
        return self.first_cell + self.cells


class Store:
    """A sweep's store; use it as a context manager.

    Parameters
    ----------
    path
        The file; made, with its folder, if it is missing and `create` is given.
    create
        Whether the store is for writing.

    Raises
    ------
    ScenarioError
        The file is missing, is no store, is of a newer schema, or cannot be opened.
    """

    def __init__(self, path: Path, *, create: bool = False) -> None:
        self.path = path
        fresh = _is_fresh(path)
        if fresh and not create:
            raise ScenarioError(
                [Problem("", "is missing or empty: there are no results; sim sweep makes them", where=str(path))]
            )
        if not fresh:
            _check_is_store(path)
        with self._told():
            if create:
                path.parent.mkdir(parents=True, exist_ok=True)
            self._db = self._connect("mode=rwc" if create else _reading(path))
            self._db.execute("PRAGMA trusted_schema = OFF")
            if not create:
                self._db.execute("PRAGMA query_only = ON")
            else:
                self._db.execute("PRAGMA journal_mode = WAL")
                self._db.execute("PRAGMA synchronous = NORMAL")
            if fresh:
                self._db.executescript(f"BEGIN IMMEDIATE;{_SCHEMA}COMMIT;")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _connect(self, how: str) -> sqlite3.Connection:
        address = f"{self.path.absolute().as_uri()}?{how}"
        return sqlite3.connect(address, uri=True, timeout=_BUSY_MS / 1000, isolation_level=None)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Tell what the disk or the file is to blame for in one line."""
        try:
            yield
        except sqlite3.DatabaseError as error:
            raise ScenarioError([Problem("", f"cannot be used as a store: {error}", where=str(self.path))]) from None
        except OSError as error:
            reason = (error.strerror or str(error)).lower()
            raise ScenarioError([Problem("", f"cannot be used as a store: {reason}", where=str(self.path))]) from None

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Commit what is done inside together, or nothing of it."""
        with self._told():
            self._db.execute("BEGIN IMMEDIATE")
            try:
                yield
            except BaseException:
                self._db.execute("ROLLBACK")
                raise
            self._db.execute("COMMIT")

    def register(self, points: Sequence[Point], engines: Sequence[str]) -> list[int]:
        """Note the points of a sweep, in place of those of an earlier one, and find the task of each.

        Parameters
        ----------
        points
            The points, in order.
        engines
            The engine that answers each.

        Returns
        -------
        list of int
            Task numbers; points that are the same scenario share one.

        Raises
        ------
        ScenarioError
            A task holds results of another version.
        """
        tasks = []
        with self.transaction():
            self._db.execute("DELETE FROM point")
            for point, engine in zip(points, engines, strict=True):
                scenario = point.scenario
                key = (scenario.scenario_id, engine, scenario.run.seed)
                self._db.execute(
                    "INSERT OR IGNORE INTO task (scenario_id, engine, seed, version, scenario) VALUES (?, ?, ?, ?, ?)",
                    (*key, __version__, _dumped(scenario)),
                )
                found = self._db.execute(
                    "SELECT id, version FROM task WHERE scenario_id = ? AND engine = ? AND seed = ?", key
                ).fetchone()
                self._check_version(found[1])
                tasks.append(int(found[0]))
                self._db.execute(
                    "INSERT INTO point VALUES (?, ?, ?, ?)",
                    (point.position, tasks[-1], scenario.name, json.dumps(point.coordinates)),
                )
        return tasks

    def _check_version(self, version: str) -> None:
        if version != __version__:
            message = f"has results of version {version}, and this is {__version__}: use another store"
            raise ScenarioError([Problem("", message, where=str(self.path))])

    def stretches(self, task: int, identity: Task) -> list[Stretch]:
        """Finished stretches of a task, in the order of their cells."""
        rows = self._db.execute(
            "SELECT first_cell, cells, trials, outcomes, total, total_squares FROM stretch WHERE task = ? "
            "ORDER BY first_cell",
            (task,),
        )
        with self._told(), self._trusting():
            return [
                Stretch(first, cells, _counts(identity, trials, outcomes, total, squares))
                for first, cells, trials, outcomes, total, squares in rows
            ]

    def keep(self, task: int, stretch: Stretch, seconds: float) -> None:
        """Commit a finished stretch; the longer one wins where two start at the same cell."""
        counts = stretch.counts
        values = (
            task,
            stretch.first_cell,
            stretch.cells,
            counts.trials,
            json.dumps(counts.outcomes),
            _sums(counts.total, counts.extra),
            _sums(counts.total_squares, counts.extra_squares),
            seconds,
        )
        with self._told():
            self._db.execute(
                "INSERT INTO stretch VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET cells = excluded.cells, "
                "trials = excluded.trials, outcomes = excluded.outcomes, total = excluded.total, "
                "total_squares = excluded.total_squares, seconds = seconds + excluded.seconds "
                "WHERE excluded.cells > cells",
                values,
            )

    def answered(self, task: int) -> tuple[str, str]:
        """The rule under which a task was answered, and its error; empty where there is none."""
        rule, error = self._db.execute("SELECT rule, error FROM task WHERE id = ?", (task,)).fetchone()
        return str(rule), str(error)

    def answer(self, task: int, rule: str, result: Result, seconds: float) -> None:
        """Commit the answer of a task under a rule."""
        with self._told():
            self._db.execute(
                "UPDATE task SET rule = ?, answer = ?, error = '', seconds = seconds + ? WHERE id = ?",
                (rule, json.dumps(result.to_dict()), seconds, task),
            )

    def fail(self, task: int, error: str) -> None:
        """Commit that a task failed."""
        with self._told():
            self._db.execute("UPDATE task SET rule = '', answer = '', error = ? WHERE id = ?", (error, task))

    def versions(self) -> set[str]:
        """Versions that made the results."""
        with self._told():
            return {str(version) for (version,) in self._db.execute("SELECT DISTINCT version FROM task")}

    def take(self, sources: Sequence[Store]) -> int:
        """Copy the points, stretches and answers of other stores into this empty one.

        Returns
        -------
        int
            Number of points.

        Raises
        ------
        ScenarioError
            Two sources disagree on the same blocks, or on the answer under the same rule.
        """
        position = 0
        with self.transaction():
            for source in sources:
                tasks = self._take_tasks(source)
                for name, coordinates, task in source._db.execute(  # noqa: SLF001 -- the same class
                    "SELECT name, coordinates, task FROM point ORDER BY position"
                ):
                    known = self._db.execute("SELECT 1 FROM point WHERE task = ?", (tasks[task],)).fetchone()
                    if not known:
                        values = (position, tasks[task], name, coordinates)
                        self._db.execute("INSERT INTO point VALUES (?, ?, ?, ?)", values)
                        position += 1
        return position

    def _take_tasks(self, source: Store) -> dict[int, int]:
        """Copy tasks with their stretches; returns the number of each here."""
        numbers: dict[int, int] = {}
        columns = "scenario_id, engine, seed, version, scenario, rule, answer, error, seconds"
        for task, *values in source._db.execute(f"SELECT id, {columns} FROM task ORDER BY id"):  # noqa: S608
            key = tuple(values[:3])
            mine = self._db.execute(
                "SELECT id, rule, answer FROM task WHERE scenario_id = ? AND engine = ? AND seed = ?", key
            ).fetchone()
            if mine is None:
                marks = ", ".join("?" * len(values))
                made = self._db.execute(f"INSERT INTO task ({columns}) VALUES ({marks})", values)  # noqa: S608
                numbers[task] = int(made.lastrowid or 0)
            else:
                numbers[task] = int(mine[0])
                self._reconcile(source, key, mine, (values[5], values[6]))
            self._take_stretches(source, task, numbers[task], key)
        return numbers

    def _reconcile(
        self, source: Store, key: tuple[str, ...], mine: tuple[int, str, str], theirs: tuple[str, str]
    ) -> None:
        """Keep the answer that both agree on, or the only one; answers under different rules are for a later run."""
        task, rule, answer = mine
        if theirs[0] == rule and rule and not rule.startswith(TIME) and theirs[1] != answer:
            self._conflict(source, key)
        if not rule and theirs[0]:
            self._db.execute("UPDATE task SET rule = ?, answer = ?, error = '' WHERE id = ?", (*theirs, task))

    def _take_stretches(self, source: Store, task: int, number: int, key: tuple[str, ...]) -> None:
        columns = "first_cell, cells, trials, outcomes, total, total_squares"
        for *values, seconds in source._db.execute(
            f"SELECT {columns}, seconds FROM stretch WHERE task = ?",  # noqa: S608
            (task,),
        ):
            mine = self._db.execute(
                f"SELECT {columns} FROM stretch WHERE task = ? AND first_cell = ?",  # noqa: S608
                (number, values[0]),
            ).fetchone()
            if mine and mine[1] == values[1] and mine != tuple(values):
                self._conflict(source, key)
            if mine is None or values[1] > mine[1]:
                self._db.execute(
                    "INSERT OR REPLACE INTO stretch VALUES (?, ?, ?, ?, ?, ?, ?, ?)", (number, *values, seconds)
                )

    def _conflict(self, source: Store, key: tuple[str, ...]) -> None:
        message = f"disagrees with another store on scenario {key[0][:12]} (engine {key[1]}, seed {key[2]})"
        raise ScenarioError([Problem("", message, where=str(source.path))])

    def timings(self) -> list[float]:
        """Seconds of work in each point, in order."""
        with self._told():
            return [
                float(seconds)
                for (seconds,) in self._db.execute(
                    "SELECT task.seconds + (SELECT coalesce(sum(seconds), 0) FROM stretch WHERE task = task.id) "
                    "FROM point JOIN task ON task.id = point.task ORDER BY position"
                )
            ]

    def made_by(self) -> list[tuple[str, str]]:
        """Version that made each point, and the rule under which it was answered, in order."""
        with self._told():
            return [
                (str(version), str(rule))
                for version, rule in self._db.execute(
                    "SELECT version, rule FROM point JOIN task ON task.id = point.task ORDER BY position"
                )
            ]

    def rows(self) -> Rows:
        """Every point with its answer, in order; scenarios are validated again.

        Raises
        ------
        ScenarioError
            The store was damaged or tampered with.
        """
        found = Rows()
        with self._told(), self._trusting():
            for position, name, coordinates, scenario, answer, error in self._db.execute(
                "SELECT position, name, coordinates, scenario, answer, error FROM point JOIN task ON task.id = task "
                "ORDER BY position"
            ):
                model = Scenario.model_validate(json.loads(scenario) | {"name": name})
                result = Result.from_dict(json.loads(answer)) if answer else None
                found.append(Row(int(position), dict(json.loads(coordinates)), model, result, str(error)))
        return found

    @contextmanager
    def _trusting(self) -> Iterator[None]:
        """Tell values that cannot be what we wrote."""
        try:
            yield
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            what = " ".join(str(error).split())[:200]
            raise ScenarioError([Problem("", f"is damaged: {what}", where=str(self.path))]) from None


def _dumped(scenario: Scenario) -> str:
    return json.dumps(scenario.model_dump(mode="json", exclude={"sweep"}, exclude_none=True))


def _counts(identity: Task, trials: int, outcomes: str, total: str, squares: str) -> Counts:
    """Counts of a stretch, as `Store.keep` wrote them."""
    (first, second), (first_squares, second_squares) = _sums_read(total), _sums_read(squares)
    return Counts(identity, trials, _numbers(outcomes), first, first_squares, second, second_squares)


def _sums(first: int, second: int) -> str:
    """Write the sums of both numbers seen in each trial; the second only where there is one, as in older stores."""
    return f"{first} {second}" if second else str(first)


def _sums_read(text: str) -> tuple[int, int]:
    first, _, second = text.partition(" ")
    return int(first), int(second or 0)


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in json.loads(text))


def is_database(path: Path) -> bool:
    """Whether a file is an SQLite database, as stores are; false where it cannot be read."""
    try:
        with path.open("rb") as file:
            return file.read(len(_MAGIC)) == _MAGIC
    except (OSError, ValueError):
        return False


def _is_fresh(path: Path) -> bool:
    try:
        return not path.exists() or (path.is_file() and path.stat().st_size == 0)
    except (OSError, ValueError) as error:
        raise ScenarioError([Problem("", f"cannot be opened: {error}", where=str(path))]) from None


def _reading(path: Path) -> str:
    """How to open a store for reading: where its folder cannot be written to, SQLite's log is not to be had."""
    writable = os.access(path, os.W_OK) and os.access(path.absolute().parent, os.W_OK)
    logged = path.with_name(path.name + "-wal").exists()
    return "mode=rw" if writable else "mode=ro" if logged else "immutable=1"


def _check_is_store(path: Path) -> None:
    """Refuse a file that is not a store, without writing a byte of it or beside it."""
    where = str(path)
    try:
        with path.open("rb") as file:
            header = file.read(100)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise ScenarioError([Problem("", f"cannot be read: {reason}", where=where)]) from None
    if not header.startswith(_MAGIC) or int.from_bytes(header[68:72], "big") != APPLICATION_ID:
        raise ScenarioError(
            [Problem("", "is not a store of results as sim sweep makes them, and is left as it is", where=where)]
        )
    version = int.from_bytes(header[60:64], "big")
    if version > SCHEMA_VERSION:
        message = f"is a store of a newer schema ({version}; this program reads {SCHEMA_VERSION}): update splitquorum"
        raise ScenarioError([Problem("", message, where=where)])
