"""MinAtar's games, and how one is loaded."""

from __future__ import annotations

import functools
import importlib.util
import sys
from pathlib import Path
from typing import Any, Literal, get_args

__all__ = ["GAMES", "Game", "load_game"]

Game = Literal["asterix", "breakout", "freeway", "seaquest", "space_invaders"]
GAMES: tuple[Game, ...] = get_args(Game)


@functools.cache
def load_game(game: Game) -> Any:
    """Return a game's class, `minatar.environments.<game>.Env`.

    The module is loaded from its file: its package imports matplotlib and seaborn, which take seconds, for displays
    that training does not have.
    """
    package = importlib.util.find_spec("minatar")
    assert package is not None, "MinAtar is a dependency of this package"
    assert package.submodule_search_locations is not None, "it is a package, too"
    path = Path(package.submodule_search_locations[0]) / "environments" / f"{game}.py"
    spec = importlib.util.spec_from_file_location(f"{__package__}.loaded.{game}", path)
    assert spec is not None, path
    assert spec.loader is not None, path
    module = importlib.util.module_from_spec(spec)
    sys.modules[module.__name__] = module
    spec.loader.exec_module(module)
    return module.Env
