"""Options that several commands share: engines, device and executor, which together say how models are run.

Names to choose from are looked up when an option is used or its command's help is shown, so that nothing heavy is
imported before.
"""

from collections.abc import Callable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, Any

import click

from nlareport.errors import EngineUnfit, EngineUnknown

if TYPE_CHECKING:
    import nlareport.engine_options

device_type = click.Choice(["auto", "cpu", "cuda"])


class NamesOnUse(click.Choice[str]):
    """A choice of names that are looked up on first use."""

    def __init__(self, load_names: Callable[[], Sequence[str]]) -> None:
        self._load_names = load_names
        self.case_sensitive = True

    @property
    def choices(self) -> Sequence[str]:  # type: ignore[override]
        """The names."""
        return tuple(self._load_names())


class _EngineType(click.ParamType[str]):
    name = "engine"

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:  # noqa: ARG002 - click's shape
        """The engines to choose from."""
        from nlareport.backends import ENGINES

        return f"[ROLE=][{'|'.join(ENGINES)}]"


def model_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Gives a command `--device`, `--engine` and `--executor`, which it receives as one `models`."""

    @click.option("--device", type=device_type, default="auto", show_default=True, help="Where the models run.")
    @click.option(
        "--engine",
        "engines",
        type=_EngineType(),
        multiple=True,
        default=["transformers"],
        show_default=True,
        callback=_parse_engines,
        help="Backend that runs the models. Give it again as ROLE=NAME for one role alone: base_model, verbalizer or "
        "reconstructor. NAME@ADDRESS says where an engine's server listens.",
    )
    @click.option(
        "--executor",
        type=NamesOnUse(_executor_names),
        default="local",
        show_default=True,
        help="Where the batches of a model are answered; local: in this process, one after the other.",
    )
    @wraps(command)
    def with_models(
        *arguments: Any, device: str, engines: "nlareport.engine_options.EngineChoice", executor: str, **rest: Any
    ) -> Any:
        from nlareport.engine_options import ModelOptions

        return command(*arguments, models=ModelOptions(engines, device, executor), **rest)

    return with_models


def _parse_engines(
    context: click.Context, parameter: click.Parameter, values: Sequence[str]
) -> "nlareport.engine_options.EngineChoice":
    from nlareport.backends import refuse_unknown
    from nlareport.engine_options import EngineChoice

    try:
        choice = EngineChoice.parse(values)
        refuse_unknown(choice)
    except (EngineUnfit, EngineUnknown) as error:
        raise click.BadParameter(str(error), context, parameter) from error
    return choice


def _executor_names() -> list[str]:
    from nlareport.executors import executor_names

    return executor_names()
