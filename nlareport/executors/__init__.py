"""Executors: where the batches of one open model are answered, in this process or by copies of the model elsewhere.

Every module in this folder is an executor and its file name is what ``--executor`` calls it. To add one, add a module
that sets `EXECUTOR` to a class that is constructed without arguments and satisfies `nlareport.ports.Executor`;
`nlareport.executors.local` is an example.
"""

from importlib import import_module
from pkgutil import iter_modules

from nlareport.errors import ExecutorUnknown
from nlareport.ports import Executor


def executor_names() -> list[str]:
    """The executors there are, in alphabetical order."""
    return sorted(module.name for module in iter_modules(__path__))


def load_executor(name: str) -> Executor:
    """The executor of this name, imported on first use.

    Raises:
        ExecutorUnknown: this folder has no such module.
    """
    if name not in executor_names():
        raise ExecutorUnknown(f"No executor is called {name!r}; choose from {', '.join(executor_names())}.")
    executor: Executor = import_module(f"{__name__}.{name}").EXECUTOR()
    return executor
