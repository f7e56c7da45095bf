"""Measures how much meaning survives between Natural Language Autoencoders, and publishes the report.

For notebooks: `open` gives a run's tables as frames, `matrix` makes cells with intervals of a frame in memory.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nlareport.errors import NlareportError
    from nlareport.notebook.matrix_of_frame import matrix
    from nlareport.notebook.opened_run import OpenRun
    from nlareport.notebook.opened_run import open_ as open
    from nlareport.notebook.shown_matrix import Matrix

__version__ = "0.1.0"

__all__ = ["Matrix", "NlareportError", "OpenRun", "__version__", "matrix", "open"]

_PLACES = {
    "Matrix": ("nlareport.notebook.shown_matrix", "Matrix"),
    "NlareportError": ("nlareport.errors", "NlareportError"),
    "OpenRun": ("nlareport.notebook.opened_run", "OpenRun"),
    "matrix": ("nlareport.notebook.matrix_of_frame", "matrix"),
    "open": ("nlareport.notebook.opened_run", "open_"),
}
"""Where each name comes from: imported on first use, so that `import nlareport` stays fast."""


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    module, attribute = _PLACES[name]
    return getattr(import_module(module), attribute)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
