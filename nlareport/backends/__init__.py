"""The engines that run models: a table of names, each loaded on first use.

To add an engine, write a module here with a class that takes an `EngineSettings` and has the methods of the roles it
answers (`nlareport.engines`), then add its line to `ENGINES`. Importing this package imports no torch.
"""

from collections.abc import Mapping
from dataclasses import replace
from importlib import import_module
from typing import Any, cast

from nlareport.engine_options import ROLES, ChosenEngine, EngineChoice, EngineSettings
from nlareport.engines import METHODS_OF_ROLE, Engine, EngineFacts, Engines
from nlareport.errors import EngineUnfit, EngineUnknown

ENGINES: Mapping[str, str] = {
    "transformers": "nlareport.backends.transformers_local:TransformersEngine",
    "scripted": "nlareport.backends.scripted:ScriptedEngine",
}
"""Name to ``module:Class``; the class takes an `EngineSettings`, and says `takes_address` when it asks a server."""


def load_engine(name: str, settings: EngineSettings | None = None) -> Engine:
    """The engine of this name, imported on first use; one that answers every role.

    Raises:
        EngineUnknown: the table has no such name.
    """
    return cast(Engine, _engine_class(name)(settings or EngineSettings()))


def load_engines(choice: EngineChoice, settings: EngineSettings) -> Engines:
    """The chosen engine of every role; roles that chose the same engine share it.

    Raises:
        EngineUnknown: the table has no such name.
        EngineUnfit: an engine cannot do what it was chosen for.
    """
    opened: dict[ChosenEngine, EngineFacts] = {}
    for chosen in (choice.of(role) for role in ROLES):
        if chosen not in opened:
            roles = tuple(role for role in settings.roles if choice.of(role) == chosen)
            _refuse_unfit(chosen, roles)
            opened[chosen] = _engine_class(chosen.name)(replace(settings, address=chosen.address, roles=roles))
    by_role: dict[str, Any] = {role: opened[choice.of(role)] for role in ROLES}
    return Engines(choice, **by_role)


def refuse_unknown(choice: EngineChoice) -> None:
    """Pass when the table has every engine that was chosen.

    Raises:
        EngineUnknown: it has not.
    """
    for role in ROLES:
        _refuse_unknown_name(choice.of(role).name)


def _refuse_unfit(chosen: ChosenEngine, roles: tuple[str, ...]) -> None:
    """Pass when an engine can do what it was chosen for; asked of its class, so that nothing is opened for it."""
    engine_class = _engine_class(chosen.name)
    answered = [
        role for role, methods in METHODS_OF_ROLE.items() if all(hasattr(engine_class, name) for name in methods)
    ]
    if missing := [role for role in roles if role not in answered]:
        raise EngineUnfit(
            f"The engine {chosen.name} cannot run the {missing[0]}, it runs {' and '.join(answered) or 'no role'}; "
            f"choose another for it with --engine {missing[0]}=NAME."
        )
    takes_address = getattr(engine_class, "takes_address", False)
    if takes_address and chosen.address is None:
        raise EngineUnfit(
            f"The engine {chosen.name} needs a server; say where it listens with --engine {chosen.name}@ADDRESS."
        )
    if chosen.address is not None and not takes_address:
        raise EngineUnfit(f"The engine {chosen.name} uses no server; leave out @{chosen.address}.")


def _refuse_unknown_name(name: str) -> None:
    if name not in ENGINES:
        raise EngineUnknown(f"No engine is called {name!r}; choose from {', '.join(ENGINES)}.")


def _engine_class(name: str) -> Any:
    _refuse_unknown_name(name)
    module, _, class_name = ENGINES[name].partition(":")
    return getattr(import_module(module), class_name)
