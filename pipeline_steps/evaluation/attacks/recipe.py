"""What an attack says of itself: whose it is, where it deviates, what it needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from pipeline_steps.evaluation.attacks.search import (
    SALIENCY,
    Ranking,
    Search,
    by_gradient,
    by_random_order,
)

Wanted = Literal["recipe", "gradient", "random"]
_RANKINGS: Mapping[str, Ranking] = {"gradient": by_gradient, "random": by_random_order}


@dataclass(frozen=True)
class Recipe:
    """An attack of the literature, as it is run here.

    ``needs``: the services that its search asks beside the victim. ``ranked``: whether words are
    ranked, so that ``attack.ranking`` means something. ``unscouted``: the model that is judged
    answers all, because what is said of a row rests on answers that broke nothing.
    """

    name: str
    paper: str
    deviations: str
    made: Callable[[Ranking | None], Search]
    needs: tuple[str, ...] = ()
    ranked: bool = False
    unscouted: bool = False

    def search(self, ranking: Wanted = "recipe") -> Search:
        """Return the search; one that ranks no words is the same for every ranking."""
        return self.made(_RANKINGS.get(ranking))

    def services(self, ranking: Wanted = "recipe") -> tuple[str, ...]:
        """Return the names of the services that the search asks."""
        return (*self.needs, *([SALIENCY] if self.ranked and ranking == "gradient" else []))


def named(*recipes: Recipe) -> Mapping[str, Recipe]:
    """Return recipes by their names."""
    return {recipe.name: recipe for recipe in recipes}
