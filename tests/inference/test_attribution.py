"""What each word did for an answer adds up to what the text did."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from foreign_models import save_foreign_model
from tiny_models import save_tokenizer
from tiny_predictors import predictor
from tokenizers import Tokenizer, models, pre_tokenizers, processors
from transformers import (
    AutoModelForSequenceClassification,
    BartConfig,
    PreTrainedTokenizerFast,
    T5Config,
)

from pipeline_steps.inference.attribution import word_attributions
from pipeline_steps.inference.flips import word_flips
from pipeline_steps.inference.foreign_heads import load_foreign
from pipeline_steps.inference.moved_vectors import moved_vectors
from pipeline_steps.inference.predictor import Predictor
from pipeline_steps.inference.readings import Reading
from pipeline_steps.inference.saliency import word_saliencies

ENCODER_DECODERS = {
    "t5": T5Config(
        vocab_size=64, d_model=16, d_kv=8, d_ff=32, num_layers=1, num_heads=2, pad_token_id=0,
        eos_token_id=3, decoder_start_token_id=0,
    ),
    "bart": BartConfig(
        vocab_size=64, d_model=16, encoder_layers=1, decoder_layers=1, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=32, decoder_ffn_dim=32, scale_embedding=True,
        max_position_embeddings=64, pad_token_id=0, eos_token_id=3, decoder_start_token_id=0,
    ),
}  # fmt: skip
SENTENCE = "the good card was very bad"


def words_of(text: str, which: int = 0) -> list[tuple[int, int, int]]:
    found, at = [], 0
    for word in text.split():
        start = text.index(word, at)
        at = start + len(word)
        found.append((which, start, at))
    return found


def answers(asked: Predictor, reading: Reading, *, blank: bool) -> np.ndarray[Any, Any]:
    """Return the log probabilities of a text, or of the same with zeros for its words' vectors."""
    pairs = None if reading.pair is None else [reading.pair]
    ids = torch.tensor(asked.encode([reading.text], pairs).token_ids)
    table: Any = asked.model.get_input_embeddings()  # type: ignore[operator]
    added = torch.isin(ids, torch.tensor([2, 3]))  # [CLS], [SEP]
    with torch.no_grad():
        moves = -table(ids) * ~added[..., None] * float(blank)
        with moved_vectors(asked.model, moves):
            logits = asked.model(input_ids=ids, attention_mask=torch.ones_like(ids)).logits
    found: np.ndarray[Any, Any] = logits[0].log_softmax(dim=-1).numpy()
    return found


@pytest.mark.parametrize("rival", [None, 0])
@pytest.mark.parametrize("pair", [None, "my fee is not good"])
def test_the_words_of_a_row_add_up_to_what_it_adds_to_a_blank_text(
    tmp_path: Path, pair: str | None, rival: int | None
) -> None:
    asked = predictor(tmp_path)
    for name, parameter in asked.model.named_parameters():
        if parameter.dim() == 2 and "embeddings" not in name:
            parameter.data *= 15.0  # far from a line: one step does not do
    words = words_of(SENTENCE) + ([] if pair is None else words_of(pair, 1))
    reading = Reading(SENTENCE, pair, 1, words, rival=rival)
    whole, blank = (answers(asked, reading, blank=blank) for blank in (False, True))
    gained = whole - blank
    wanted = gained[1] - (0.0 if rival is None else gained[rival])
    (found,) = word_attributions(asked, [reading])
    assert abs(wanted) > 0.05
    assert found.words.sum() == pytest.approx(wanted, abs=1e-4)
    assert found.blank == pytest.approx(float(np.exp(blank[1])), abs=1e-6)
    (rough,) = word_attributions(asked, [reading], steps=1)
    assert rough.words.sum() != pytest.approx(wanted, abs=1e-3)


def test_what_words_are_given_does_not_depend_on_the_rows_beside_them_and_turns_round_with_the_rival(
    tmp_path: Path,
) -> None:
    asked = predictor(tmp_path)
    readings = [
        Reading(SENTENCE, None, 1, words_of(SENTENCE), rival=0),
        Reading("good card", "the fee", 0, words_of("good card")),
        Reading(SENTENCE, None, 0, words_of(SENTENCE), rival=1),
        Reading("bad", None, 1, words_of("bad")),
    ]
    together = word_attributions(asked, readings)
    for found, reading in zip(together, readings, strict=True):
        (alone,) = word_attributions(asked, [reading])
        assert found.words == pytest.approx(alone.words, abs=1e-5)
        assert found.blank == pytest.approx(alone.blank, abs=1e-6)
    assert together[0].words == pytest.approx(-together[2].words, abs=1e-5)
    asked.batch_tokens = 16
    few_at_once = word_attributions(asked, readings)
    assert few_at_once[0].words == pytest.approx(together[0].words, abs=1e-5)


def test_a_word_that_the_model_does_not_look_at_is_given_nothing(tmp_path: Path) -> None:
    asked = predictor(tmp_path)
    table: Any = asked.model.get_input_embeddings()  # type: ignore[operator]
    table.weight.data[asked.tokenizer.convert_tokens_to_ids("very")] = 0.0
    (found,) = word_attributions(asked, [Reading(SENTENCE, None, 1, words_of(SENTENCE))])
    given = dict(zip(SENTENCE.split(), found.words, strict=True))
    assert given["very"] == 0.0
    assert min(abs(value) for word, value in given.items() if word != "very") > 0.0


@pytest.mark.parametrize("architecture", sorted(ENCODER_DECODERS))
def test_where_a_decoder_reads_the_text_again_its_words_count_there_too(
    tmp_path: Path, architecture: str
) -> None:
    asked = predictor(tmp_path)
    torch.manual_seed(1)
    config = ENCODER_DECODERS[architecture]
    asked.model = AutoModelForSequenceClassification.from_config(config).eval()
    table: Any = asked.model.get_input_embeddings()  # type: ignore[operator]
    table.weight.data[1] = 0.0
    ids = torch.tensor(asked.encode([SENTENCE]).token_ids)
    written = ~torch.isin(ids, torch.tensor([2, 3]))
    with torch.no_grad():
        blank = asked.model(input_ids=torch.where(written, 1, ids)).logits  # 1: its vector is 0
        with moved_vectors(asked.model, -table(ids) * written[..., None]):
            moved = asked.model(input_ids=ids).logits
    assert torch.equal(moved, blank)
    reading = Reading(SENTENCE, None, 1, words_of(SENTENCE))
    (found,), (lengths,) = word_attributions(asked, [reading]), word_saliencies(asked, [reading])
    assert np.abs(found.words).min() > 0.0
    assert lengths.min() > 0.0


def test_a_model_with_token_types_is_asked_with_them(tmp_path: Path) -> None:
    path = save_foreign_model(tmp_path / "m", ("a", "b"))
    asked = load_foreign(path, "text_classification", renamed={})
    reading = Reading("card", "bad", 1, [(0, 0, 4), (1, 0, 3)])
    (found,) = word_attributions(asked, [reading])
    gained = answers(asked, reading, blank=False) - answers(asked, reading, blank=True)
    assert found.words.sum() == pytest.approx(gained[1], abs=1e-5)


def blank_before_words(path: Path) -> PreTrainedTokenizerFast:
    """Return a tokenizer that counts the blank before a word to its token, as DeBERTa's does."""
    save_tokenizer(path)
    names = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *("\u2581" + w for w in ("good", "bad", "card"))]
    tokenizer = Tokenizer(models.WordLevel({w: i for i, w in enumerate(names)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="[PAD]", unk_token="[UNK]")


def test_a_word_whose_token_begins_with_the_blank_before_it_is_that_word(tmp_path: Path) -> None:
    asked = predictor(tmp_path / "m")
    asked.tokenizer = blank_before_words(tmp_path / "t")
    spans = asked.tokenizer("good card", return_offsets_mapping=True)["offset_mapping"]
    assert spans[2] == (4, 9)
    reading = Reading("good card", None, 1, words_of("good card"))
    (lengths,), (one,) = word_saliencies(asked, [reading]), word_attributions(asked, [reading])
    assert min(lengths) > 0.0
    assert min(abs(one.words)) > 0.0
    assert [bool(flips) for flips in word_flips(asked, reading, 2)] == [True, True]
