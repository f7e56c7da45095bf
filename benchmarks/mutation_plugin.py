"""Settings of pytest for mutation testing: axis names are still checked, failing examples are not shrunk.

`make mutants` runs pytest many times in one process, where `--jaxtyping-packages` is refused the second time.
"""

from hypothesis import Phase, settings
from jaxtyping import install_import_hook

install_import_hook("nlareport", "beartype.beartype")
settings.register_profile(
    "mutants", derandomize=True, database=None, deadline=None, phases=[Phase.explicit, Phase.generate]
)
settings.load_profile("mutants")
