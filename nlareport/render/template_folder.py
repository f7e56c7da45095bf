"""Where the templates lie: inside an installed package, or at the top of a checkout."""

from pathlib import Path

import nlareport


def templates_folder() -> Path:
    """The folder that holds ``report/``: the wheel's own first, then the checkout's.

    Raises:
        FileNotFoundError: neither is there, so the installation is broken.
    """
    package = Path(nlareport.__file__).parent
    for folder in (package / "templates", package.parent / "templates"):
        if (folder / "report").is_dir():
            return folder
    raise FileNotFoundError(f"no templates beside or above {package}; install nlareport again")
