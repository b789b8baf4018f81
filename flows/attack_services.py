"""What attacks ask beside the victim: each service is made of a checkpoint when it is needed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from flows.gradients import reading_of, saliencies
from flows.victims import Victim, refuse_without_vectors
from pipeline_steps.attack_types import AttackResult
from pipeline_steps.errors import ConfigurationError
from pipeline_steps.evaluation.attacks.passage import Edits, Passage, Row
from pipeline_steps.evaluation.attacks.pool import Service
from pipeline_steps.evaluation.attacks.readings import slips
from pipeline_steps.evaluation.attacks.search import (
    FLIPS,
    MASKED,
    NEIGHBOURS,
    READINGS,
    SALIENCY,
    SIMILARITY,
    TRIGGERS,
)
from pipeline_steps.noise.word_forms import wordnet_synonyms

if TYPE_CHECKING:
    from pipeline_steps.inference.word_vectors import TextVectors

Questions = Sequence[tuple[Passage, Edits]]
_NEIGHBOURS = 40  # of a word; a recipe takes fewer of them
_FLIPS = 10
_PROPOSALS = 20


class Services:
    """The services of one victim, by name; models are loaded when a recipe first needs them.

    Parameters
    ----------
    victim : Victim
        Whose gradients are asked for.
    base_model : str
        What it was trained from, for the head of its masked language model.
    held_out : sequence of mapping
        Rows that are not attacked, for what is found once and tried on all that are.
    target : str, optional
        The label that rows are to get, towards which gradients go; without it they go away from
        the true one.
    synonyms_from : str
        What knows other words: ``vectors`` or ``wordnet``.
    """

    def __init__(
        self,
        victim: Victim,
        base_model: str,
        held_out: Sequence[Row] = (),
        target: str | None = None,
        synonyms_from: str = "vectors",
    ) -> None:
        self.victim = victim
        self.held_out = held_out
        self.target = target
        self.base_model = base_model
        self.synonyms_from = synonyms_from
        self._made: dict[str, Service] = {}
        self._vectors: TextVectors | None = None
        self._slips: dict[str, list[str]] = {}

    def named(self, names: Sequence[str], recipe: str) -> dict[str, Service]:
        """Return the services that a recipe needs.

        Raises
        ------
        ConfigurationError
            If the victim has no label to take a gradient for, or no word vectors.
        CheckpointError
            If its base model has no masked-language head.
        """
        makers: Mapping[str, Callable[[], Service]] = {
            SALIENCY: lambda: self._white_box(recipe, self._saliency),
            FLIPS: lambda: self._white_box(recipe, self._flips),
            NEIGHBOURS: lambda: self._neighbours,
            SIMILARITY: lambda: self._similarity,
            MASKED: self._masked,
            READINGS: lambda: self._readings,
            TRIGGERS: lambda: self._triggers(recipe),
        }
        for name in names:
            if name not in self._made:
                self._made[name] = makers[name]()
        return {name: self._made[name] for name in names}

    def _white_box(self, recipe: str, service: Service) -> Service:
        problem = self.victim.problem
        if self.victim.predictor is None:
            raise ConfigurationError(
                f"{recipe} asks for gradients, and a model that runs elsewhere gives none",
                expected="a model directory, whose weights are read here",
                fix="leave out hotflip, universal_trigger and the gradient ranking: deepwordbug "
                "and textfooler, for example, ask for answers only",
            )
        if problem.name != "text_classification":
            raise ConfigurationError(
                f"{recipe} asks for gradients, and there are none for {problem.name}",
                expected="a text classifier, whose loss is of one label",
                fix=f"set attack.ranking to recipe or random, and leave {recipe} out",
            )
        refuse_without_vectors(self.victim.predictor, recipe)
        return service

    @property
    def vectors(self) -> TextVectors:
        """The default base model's vectors, loaded once."""
        from pipeline_steps.inference.word_vectors import TextVectors

        self._vectors = self._vectors or TextVectors.default()
        return self._vectors

    def _neighbours(self, questions: Questions) -> list[Any]:
        """Return other words with their cosines; to share a sense is to be as near as can be."""
        if self.synonyms_from == "wordnet":
            return [[_synonyms(word) for word in p.spellings] for p, _ in questions]
        near = self.vectors.neighbours
        return [[near(word, _NEIGHBOURS) for word in p.spellings] for p, _ in questions]

    def _similarity(self, questions: Questions) -> list[float]:
        """Return the cosine of each changed text with the original."""
        return self.cosines([(p.text({}), p.text(edits)) for p, edits in questions])

    def cosines(self, texts: Sequence[tuple[str, str]]) -> list[float]:
        """Return the cosine of the vectors of each two texts."""
        different = list(dict.fromkeys(text for pair in texts for text in pair))
        places = {text: place for place, text in enumerate(different)}
        vectors = self.vectors.sentences(different)
        return [float(vectors[places[a]] @ vectors[places[b]]) for a, b in texts]

    def _readings(self, questions: Questions) -> list[Any]:
        """Return for each word of each row the slips that are read otherwise, one a reading."""
        return [[self._read_otherwise(word) for word in p.spellings] for p, _ in questions]

    def _read_otherwise(self, word: str) -> list[str]:
        """Return one slip a reading; of a model that runs elsewhere every slip is another one."""
        predictor = self.victim.predictor
        if predictor is None:
            return slips(word)
        found = self._slips.get(word)
        if found is None:
            spelt = [word, *slips(word)]
            read = predictor.encode(spelt).token_ids
            by_reading = {tuple(ids): new for ids, new in zip(read[::-1], spelt[::-1], strict=True)}
            by_reading.pop(tuple(read[0]))
            found = self._slips[word] = sorted(by_reading.values())
        return found

    def with_similarity(self, results: Sequence[AttackResult]) -> list[AttackResult]:
        """Return results with the cosine of both texts of broken rows, whatever the attack."""
        broken = [result for result in results if result.status == "broken"]
        texts = [(result.original, result.perturbed) for result in broken]
        found = self.cosines(texts) if broken else []
        known = {r.example_id: cosine for r, cosine in zip(broken, found, strict=True)}
        return [r.model_copy(update={"similarity": known.get(r.example_id)}) for r in results]

    def _triggers(self, recipe: str) -> Service:
        from flows.universal_triggers import TriggerFinder

        def found(questions: Questions) -> list[Any]:
            return [finder.of_label(passage.row["label"]) for passage, _ in questions]

        service = self._white_box(recipe, found)
        finder = TriggerFinder(self.victim, self.held_out, self.target)
        return service

    def _masked(self) -> Service:
        from pipeline_steps.inference.base_model import resolve_base_model
        from pipeline_steps.inference.masked_words import MaskedLanguageModel

        model = MaskedLanguageModel(self.base_model, resolve_base_model(self.base_model).path)

        def of_passage(passage: Passage) -> list[Any]:
            found: list[Any] = []
            for place, text in passage.pieces.items():
                spans = [(w.start, w.end) for w in passage.words if w.place == place]
                found += model.proposals(text, spans, _PROPOSALS)
            return found

        def proposals(questions: Questions) -> list[Any]:
            return [of_passage(passage) for passage, _ in questions]

        return proposals

    def _saliency(self, questions: Questions) -> list[Any]:
        predictor = self.victim.predictor
        assert predictor is not None  # noqa: S101 - _white_box has asked
        return saliencies(predictor, [passage for passage, _ in questions], self.target)

    def _flips(self, questions: Questions) -> list[Any]:
        from pipeline_steps.inference.flips import word_flips

        predictor, labels = self.victim.predictor, self.victim.labels
        assert predictor is not None  # noqa: S101 - _white_box has asked
        readings = [
            reading_of(passage.changed(edits), passage.spans(edits), labels, self.target)
            for passage, edits in questions
        ]
        return [word_flips(predictor, reading, _FLIPS) for reading in readings]


def _synonyms(word: str) -> list[tuple[str, float]]:
    return [(new, 1.0) for new in wordnet_synonyms(word.lower())]
