"""Other words from nltk's WordNet, where the user has it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from wordnet_files import write_wordnet

from flows.attack_needs import refuse_missing_lists
from pipeline_steps.errors import MissingDependencyError
from pipeline_steps.judging_params import AttackParams
from pipeline_steps.noise.word_forms import has_wordnet

ATTACKING = """
import toy_victims as toy
from flows.attack_services import Services

wordnet = Services(None, "no base model", synonyms_from="wordnet")
toy.SERVICES.update(wordnet.named(["neighbours"], "pwws"))
found = toy.attacked("pwws", [toy.passage_of("a good film")])["0"]
print(f"{found.status}: {found.passage.text(found.edits)}")
"""


@pytest.mark.skipif(has_wordnet(), reason="WordNet is on this machine")
def test_wordnet_is_refused_where_it_is_not_and_an_attack_would_ask_it() -> None:
    asked = AttackParams(recipes=("deepwordbug", "pwws"), synonyms_from="wordnet")
    with pytest.raises(MissingDependencyError, match="nltk's WordNet is not here"):
        refuse_missing_lists(asked)
    refuse_missing_lists(asked.model_copy(update={"recipes": ("deepwordbug",)}))


def test_an_attack_takes_the_synonyms_of_a_word_from_wordnet(tmp_path: Path) -> None:
    """The process is another one: nltk keeps the corpus that it found first."""
    synsets = (("a", ("good", "decent", "goods", "not bad")), ("n", ("film", "movie")))
    here = {
        "NLTK_DATA": str(write_wordnet(tmp_path, synsets)),
        "PYTHONPATH": os.pathsep.join([str(Path(__file__).parents[1]), *sys.path]),
    }
    done = subprocess.run(
        [sys.executable, "-c", ATTACKING], env={**os.environ, **here},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert (done.stdout.split("\n")[0], done.returncode) == ("broken: a decent film", 0), (
        done.stderr
    )
