"""What attacks ask beside the victim, with the models that are here."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from tiny_models import configurations, save_tokenizer
from tiny_predictors import predictor
from tiny_workspaces import change_params
from toy_victims import passage_of
from transformers import AutoModelForMaskedLM
from warm_commands import WarmCommands

from flows.attack_services import Services
from flows.bounding import within_ball
from flows.victims import CheckpointVictim
from pipeline_steps.errors import CheckpointError, ConfigurationError
from pipeline_steps.evaluation.attacks.readings import slips
from pipeline_steps.inference.base_model import DEFAULT_BASE_MODEL as MINILM
from pipeline_steps.inference.flips import word_flips
from pipeline_steps.inference.masked_words import MaskedLanguageModel
from pipeline_steps.inference.normalising.normaliser import Normaliser
from pipeline_steps.inference.prompted.classifier import Prompt, PromptedClassifier
from pipeline_steps.inference.readings import Reading
from pipeline_steps.inference.saliency import word_saliencies
from pipeline_steps.inference.tokenization import with_normaliser
from pipeline_steps.inference.word_vectors import TextVectors
from pipeline_steps.judging_params import BallParams

PROMPT = Prompt(
    model="masked", before=(), between=(), after=(), labels=((5,), (6,)), bias=(0.0, 0.0),
    score="sum", special_ids=(), mask_id=4, pad_id=0, max_positions=64,
)  # fmt: skip
SENTENCE = "the good card was very bad"


@pytest.fixture(scope="module")
def vectors() -> TextVectors:
    return TextVectors.default()


def test_near_words_are_near_in_meaning_and_the_word_is_not_among_them(
    vectors: TextVectors,
) -> None:
    assert [word for word, _ in vectors.neighbours("Terrible", 2)] == ["horrible", "awful"]
    assert "film" not in [word for word, _ in vectors.neighbours("film", 10)]
    assert vectors.neighbours("xyzzyq", 5) == []


def test_slips_that_the_victim_mends_are_no_readings(tmp_path: Path) -> None:
    victim = CheckpointVictim(predictor(tmp_path))
    plain = Services(victim, MINILM)
    (before,) = plain._readings([(passage_of("good"), {})])
    weights = {"good": 9.0, "card": 5.0, "food": 1.0}
    with_normaliser(victim.predictor.tokenizer, Normaliser(weights))
    (after,) = Services(victim, MINILM)._readings([(passage_of("good"), {})])
    assert before[0]
    assert "food" in after[0]
    assert not {"goood", "god", "ogod", "goid"} & set(after[0])
    spelt = ["good", *after[0]]
    read = [tuple(ids) for ids in victim.predictor.encode(spelt).token_ids]
    assert len(set(read)) == len(read)


def test_of_a_model_that_runs_elsewhere_every_slip_is_another_reading() -> None:
    service = Services(SimpleNamespace(predictor=None), MINILM)  # type: ignore[arg-type]
    ((found,),) = service._readings([(passage_of("good"), {})])
    assert found == slips("good")


def test_a_text_is_nearer_to_a_paraphrase_than_to_another_text(vectors: TextVectors) -> None:
    service = Services(SimpleNamespace(), MINILM)  # type: ignore[arg-type]
    service._vectors = vectors
    passage = passage_of("a good film")
    same, near, far = service._similarity(
        [(passage, {}), (passage, {2: "movie"}), (passage, {2: "thunderstorm"})]
    )
    assert same == pytest.approx(1.0, abs=1e-5)
    assert same > near > far


def test_the_vector_of_a_text_does_not_depend_on_the_texts_beside_it(vectors: TextVectors) -> None:
    texts = ["a good film", "a good film about very little indeed", "dull"]
    together = vectors.sentences(texts)
    alone = np.concatenate([vectors.sentences([text]) for text in texts])
    assert np.allclose(together, alone, atol=1e-5)


def test_a_base_without_its_masked_language_head_is_refused() -> None:
    with pytest.raises(CheckpointError, match="has no masked-language head"):
        Services(SimpleNamespace(), MINILM).named(["masked"], "bae")  # type: ignore[arg-type]


def test_a_masked_language_model_proposes_words_of_its_vocabulary(tmp_path: Path) -> None:
    torch.manual_seed(0)
    AutoModelForMaskedLM.from_config(configurations()["bert"]).save_pretrained(tmp_path)
    save_tokenizer(tmp_path)
    model = MaskedLanguageModel("tiny", tmp_path)
    (proposed,) = model.proposals(SENTENCE, [(4, 8)], 5)
    shares = [share for _, share in proposed]
    assert 0 < len(proposed) <= 5
    assert shares == sorted(shares, reverse=True)
    assert {word for word, _ in proposed} <= set(model.tokenizer.get_vocab())


def test_the_gain_of_a_flip_is_the_slope_of_the_loss_towards_it(tmp_path: Path) -> None:
    victim = predictor(tmp_path)
    words = [(0, start, start + len(w)) for w in SENTENCE.split() for start in [SENTENCE.index(w)]]
    gains = word_flips(victim, Reading(SENTENCE, None, 1, words), 3)
    ids = victim.tokenizer([SENTENCE])["input_ids"]
    table: Any = victim.model.get_input_embeddings()  # type: ignore[operator]

    def loss(word: int, new: str, step: float) -> float:
        vectors = table(torch.tensor(ids)).detach().clone()
        other = table.weight[victim.tokenizer.convert_tokens_to_ids(new)].detach()
        vectors[0, word + 1] += step * (other - vectors[0, word + 1])
        logits = victim.model(inputs_embeds=vectors).logits
        return float(torch.nn.functional.cross_entropy(logits, torch.tensor([1])))

    with torch.no_grad():
        for word, several in enumerate(gains):
            for new, gain in several:
                slope = (loss(word, new, 0.05) - loss(word, new, -0.05)) / 0.1
                assert slope == pytest.approx(gain, abs=2e-4, rel=0.05)
    assert all(np.diff([gain for _, gain in several]).max() <= 0 for several in gains)


def test_towards_a_label_the_gains_are_those_away_from_it_turned_round(tmp_path: Path) -> None:
    asked, every = predictor(tmp_path), 10_000
    words = [(0, 0, 4), (0, 5, 9)]
    up, down = (
        word_flips(asked, Reading("good card", None, 1, words, wanted=wanted), every)
        for wanted in (False, True)
    )
    for left, reached in zip(up, down, strict=True):
        turned = {word: -gain for word, gain in left}
        assert dict(reached) == pytest.approx(turned, abs=1e-6)


def test_gradients_go_to_the_target_where_an_attack_has_one(tmp_path: Path) -> None:
    victim = CheckpointVictim(predictor(tmp_path))
    asked, passage = victim.predictor, passage_of("bad card", "bad")
    services = Services(victim, MINILM, target="good").named(["flips", "saliency"], "hotflip")
    words = [(0, 0, 3), (0, 4, 8)]
    wanted = Reading("bad card", None, 1, words, wanted=True)
    (flips,), (lengths,) = (services[name]([(passage, {})]) for name in ("flips", "saliency"))
    assert flips == word_flips(asked, wanted, 10)
    assert lengths == pytest.approx(word_saliencies(asked, [wanted])[0])


def test_the_saliency_of_a_row_does_not_depend_on_the_rows_beside_it(tmp_path: Path) -> None:
    asked, words = predictor(tmp_path), [(0, 0, 4), (0, 5, 9)]
    readings = [Reading("good card", pair, 1, words) for pair in (None, "the fee", "", None)]
    together = word_saliencies(asked, readings)
    for found, reading in zip(together, readings, strict=True):
        assert found == pytest.approx(word_saliencies(asked, [reading])[0], abs=1e-6)
    assert together[0] != pytest.approx(together[1], rel=1e-3)


def test_a_language_model_with_a_prompt_has_no_gradients_to_ask_for(tmp_path: Path) -> None:
    asked = predictor(tmp_path)
    asked.model = PromptedClassifier(asked.model, PROMPT)
    victim = CheckpointVictim(asked)
    for name in ("flips", "saliency", "triggers"):
        with pytest.raises(ConfigurationError, match="tuning in_context gives none"):
            Services(victim, MINILM).named([name], "hotflip")
    with pytest.raises(ConfigurationError, match="the ball asks for gradients"):
        within_ball(victim, [passage_of("good card").row], BallParams())


def test_gradients_of_what_has_no_label_are_refused(tmp_path: Path) -> None:
    services = Services(CheckpointVictim(predictor(tmp_path, "ner")), MINILM)
    with pytest.raises(ConfigurationError, match="there are none for ner"):
        services.named(["flips"], "hotflip")


def test_the_white_box_of_a_classifier_answers_for_every_word_of_rows(tmp_path: Path) -> None:
    services = Services(CheckpointVictim(predictor(tmp_path)), MINILM)
    asked = [(passage_of(SENTENCE), {}), (passage_of("good card"), {0: "bad"})]
    white_box = services.named(["flips", "saliency"], "hotflip")
    assert [len(found) for found in white_box["flips"](asked)] == [6, 2]
    assert [len(found) for found in white_box["saliency"](asked)] == [6, 2]


def test_attacks_on_a_trained_version_get_their_services_and_the_ranking_of_the_parameters(
    holdfast: WarmCommands, trained: tuple[Path, dict[str, Any]]
) -> None:
    root, _ = trained
    recipes = ["deepwordbug", "textfooler", "hotflip"]
    change_params(root, attack={"recipes": recipes, "n_examples": 8, "ranking": "gradient"})
    ended = holdfast("attack", "--json", cwd=root, skip=["reproduce_data"])
    assert ended.code == 0, ended.stderr
    queries = {a["report"]["suite"]: a["cost"]["n_queries"] for a in ended.printed["attacks"]}
    assert set(queries) == set(recipes)
    # Four moves a word at most, and no word is masked.
    words = sum(result["n_words"] for result in ended.printed["attacks"][0]["results"])
    assert 0 < queries["deepwordbug"] <= 4 * words
