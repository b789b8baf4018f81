"""Teachers, old models and earlier rows: asked, checked, part of what decides the weights."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from builders import write_examples
from killed_training import kill_training
from objective_runs import PROBLEMS, params, run, weights
from safetensors.torch import load_file
from tiny_models import save_tiny_model, save_tokenizer, with_other_words
from transformers import AutoModel, BertConfig, BertModel
from tuned_models import OTHERS

from pipeline_steps.errors import TrainingError
from pipeline_steps.inference.examples_file import read_examples
from pipeline_steps.inference.learners.catalog import get_learner
from pipeline_steps.inference.predictor import Predictor
from pipeline_steps.training.data import Collator, EncodedDataset
from pipeline_steps.training.further import further_digests
from pipeline_steps.training.replaying import ReplayPlanner, labels_to_learn
from pipeline_steps.training.teaching import record
from pipeline_steps.types import Checkpoint

SECTIONS = ("distillation", "ensemble", "hidden", "l2sp", "ewc", "lwf", "replay")


@pytest.fixture(scope="module")
def old(base, data, tmp_path_factory) -> dict[str, Checkpoint]:
    """Return a checkpoint of each problem."""
    root = tmp_path_factory.mktemp("old")
    return {
        problem: run(base, data, root / problem, problem, seed=7, learning_rate=1e-2)
        for problem in PROBLEMS
    }


def section(name: str, checkpoint: Checkpoint, examples: Path) -> dict[str, Any]:
    path = str(checkpoint.path)
    return {
        "distillation": {"distillation": {"teachers": [path]}},
        "ensemble": {"distillation": {"teachers": [path, path], "weight": 1.0}},
        "hidden": {"hidden": {"teacher": path}},
        "l2sp": {"l2sp": {"alpha": 10.0}},
        "ewc": {"ewc": {"checkpoint": path, "examples": str(examples), "n_rows": 6}},
        "lwf": {"lwf": {"checkpoint": path}},
        "replay": {"replay": {"examples": str(examples), "share": 0.5}},
    }[name]


@pytest.mark.parametrize("name", SECTIONS)
def test_an_objective_trains_and_what_it_asked_is_recorded(name, base, data, old, tmp_path) -> None:
    checkpoint = old["text_classification"]
    objective = section(name, checkpoint, data["text_classification"][1].path)
    trained = run(base, data, tmp_path, objective=objective)
    (point,) = trained.training["history"]
    parts = [value for key, value in point.items() if key.startswith("train_")]
    assert len(parts) == {"replay": 0, "distillation": 1, "ensemble": 1}.get(name, 2)
    assert all(math.isfinite(value) and value > 0 for value in parts)
    assert trained.further_digests == further_digests(params(base, objective=objective))
    assert bool(trained.further_digests) == (name != "l2sp")
    assert set(weights(trained)) == set(weights(checkpoint))


@pytest.mark.parametrize("problem", PROBLEMS[1:])
def test_all_of_them_together_train_on_every_problem(problem, base, data, old, tmp_path) -> None:
    objective: dict[str, Any] = {}
    for name in SECTIONS:
        objective |= section(name, old[problem], data[problem][1].path)
    trained = run(base, data, tmp_path, problem, objective=objective)
    (point,) = trained.training["history"]
    parts = {key: value for key, value in point.items() if key.startswith("train_")}
    kinds = ("Distillation", "HiddenDistillation", "L2SP", "EWC", "LwF")
    assert set(parts) == {f"train_{kind}" for kind in kinds}
    assert all(math.isfinite(value) and value > 0 for value in parts.values())


def test_a_student_at_full_weight_ends_nearer_to_its_teacher(base, data, old, tmp_path) -> None:
    settings = {"epochs": 6, "early_stopping_patience": None, "learning_rate": 3e-3}
    path = old["text_classification"].path
    teacher = Predictor.from_checkpoint(path)
    texts = read_examples(data["text_classification"][1].path).texts

    def distance(objective: dict[str, Any], root: Path) -> float:
        student = Predictor.from_checkpoint(
            run(base, data, root, objective=objective, **settings).path
        )
        softmax = [torch.tensor(p.logits(texts)).softmax(-1) for p in (teacher, student)]
        return float((softmax[0] - softmax[1]).abs().mean())

    asked = {"distillation": {"teachers": [str(path)], "weight": 1.0}}
    assert distance(asked, tmp_path / "a") < distance({}, tmp_path / "b")


@pytest.mark.parametrize("problem", PROBLEMS)
def test_what_is_recorded_is_what_a_live_teacher_says(problem, data, old) -> None:
    """Batches of like length and padding do not matter: the divergence is the same."""
    learner, checkpoint = get_learner(problem), old[problem]
    predictor = Predictor.from_checkpoint(checkpoint.path)
    rows = read_examples(data[problem][1].path)
    encoded = learner.encode(predictor.tokenizer, rows, 64, 16)
    said = record([predictor.model], encoded.token_ids, 0, 64)
    targets = learner.targets(encoded, rows, checkpoint.labels)
    made = EncodedDataset(encoded, targets, {"teacher_logits": said})
    batch = Collator(0, learner.as_tensor)([made[i] for i in range(8)])
    labels, spoken = batch.pop("labels"), batch.pop("teacher_logits")
    assert spoken.shape[:2] == (8, 1)
    with torch.no_grad():
        live = predictor.model(**batch)
        recorded = type(live)(logits=spoken[:, 0])
        assert float(learner.divergence(live, recorded, labels, 8)) == pytest.approx(0, abs=1e-5)


def test_another_teacher_under_the_same_name_is_trained_anew(base, data, old, tmp_path) -> None:
    teacher = shutil.copytree(old["text_classification"].path, tmp_path / "teacher")
    objective = {"distillation": {"teachers": [str(teacher)]}}
    first = run(base, data, tmp_path, objective=objective)
    assert run(base, data, tmp_path, objective=objective) == first
    other = run(base, data, tmp_path / "other", seed=8, learning_rate=1e-2)
    shutil.rmtree(teacher)
    shutil.copytree(other.path, teacher)
    assert run(base, data, tmp_path, objective=objective).digest != first.digest


def wide_base(path: Path) -> Path:
    """Return a base of another width with the tokenizer of the others."""
    save_tiny_model(path)
    torch.manual_seed(3)
    config = BertConfig(
        vocab_size=64, hidden_size=24, num_hidden_layers=4, num_attention_heads=2,
        intermediate_size=32, max_position_embeddings=64, pad_token_id=0,
    )  # fmt: skip
    BertModel(config).save_pretrained(path)
    return path


def test_a_projection_is_learnt_and_left_out_of_the_checkpoint(base, data, tmp_path) -> None:
    """A wide and deep teacher: layers are spread evenly, the narrow student is projected."""
    teacher = run(wide_base(tmp_path / "wide"), data, tmp_path / "teacher")
    objective = {"hidden": {"teacher": str(teacher.path)}}
    settings = {"epochs": 3, "early_stopping_patience": None, "objective": objective}
    student = run(base, data, tmp_path, **settings)
    assert not [name for name in weights(student) if "projection" in name]
    parts = [point["train_HiddenDistillation"] for point in student.training["history"]]
    assert parts[-1] < parts[0]
    with pytest.raises(TrainingError, match=r"no place for the projection[\s\S]*kind to full"):
        run(base, data, tmp_path / "lora", tuning={"kind": "lora"}, objective=objective)


def test_a_student_is_made_of_some_layers_of_its_base(base, data, old, tmp_path) -> None:
    teacher = str(old["text_classification"].path)
    student = run(
        base, data, tmp_path, student_layers=[1],
        objective={"distillation": {"teachers": [teacher]}, "hidden": {"teacher": teacher}},
    )  # fmt: skip
    found = weights(student)
    assert any("layer.0." in name for name in found)
    assert not any("layer.1." in name for name in found)
    assert Predictor.from_checkpoint(student.path).model.config.num_hidden_layers == 1
    with pytest.raises(TrainingError, match=r"layers to keep: \[5\]"):
        run(base, data, tmp_path / "no", student_layers=[5])


def test_strong_anchors_keep_the_weights_where_they_were(base, data, old, tmp_path) -> None:
    """From the old checkpoint on: plain training leaves it farther than with either anchor."""
    start = old["text_classification"]
    before = weights(start)
    examples = str(data["text_classification"][0].path)

    def moved(name: str, objective: dict[str, Any]) -> float:
        after = weights(
            run(start.path, data, tmp_path / name, epochs=3, weight_decay=0.0, objective=objective)
        )
        return float(sum((after[n] - before[n]).square().sum() for n in before))

    free = moved("free", {})
    assert moved("l2sp", {"l2sp": {"alpha": 100.0}}) < free
    ewc = {"checkpoint": str(start.path), "examples": examples, "weight": 1e4, "n_rows": 20}
    assert moved("ewc", {"ewc": ewc}) < free


def new_labels(path: Path) -> Any:
    rows = [{"text": f"the {w} fee", "label": ("zero", "plus")[w == "good"]}
            for w in ("good", "film", "loan", "very") * 8]  # fmt: skip
    return write_examples(path, rows)


def test_labels_that_only_earlier_rows_or_an_old_model_have_are_kept(
    base, data, old, tmp_path
) -> None:
    """Training rows say zero and plus, the earlier ones minus and plus."""
    train = data["text_classification"][0].model_copy(
        update={"path": new_labels(tmp_path / "new.parquet"), "digest": "other", "n_examples": 32}
    )
    rows = {"text_classification": (train, train)}
    replay = {"replay": {"examples": str(data["text_classification"][0].path), "share": 0.3}}
    found = run(base, rows, tmp_path / "replay", objective=replay)
    assert found.labels == ("minus", "plus", "zero")
    for name in ("ewc", "lwf"):
        examples = data["text_classification"][0].path
        asked = section(name, old["text_classification"], examples)
        found = run(base, rows, tmp_path / name, objective=asked)
        assert found.labels == ("plus", "zero", "minus")
    logits = Predictor.from_checkpoint(found.path).logits(["the good fee"])
    assert logits.shape == (1, 3)


def test_tags_of_an_old_tagger_come_behind_the_new_ones(data) -> None:
    rows = read_examples(data["ner"][0].path)
    found = labels_to_learn(get_learner("ner"), rows, None, ("O", "B-person", "I-person"))
    assert found[0] == "O"
    assert found[-2:] == ("B-person", "I-person")


def test_every_epoch_has_all_new_rows_and_its_share_of_earlier_ones() -> None:
    lengths = np.random.default_rng(0).integers(3, 20, 100).tolist()
    planner = ReplayPlanner(lengths, 60, 0.25, 64, seed=3)
    seen: list[int] = []
    for epoch in range(6):
        planner.set_epoch(epoch)
        batches = list(planner)
        assert len(batches) == len(planner)
        rows = [row for batch in batches for row in batch]
        assert sorted(row for row in rows if row < 60) == list(range(60))
        seen += [row for row in rows if row >= 60]
        assert 0.9 < planner.padding_efficiency(lengths) <= 1
    assert len(seen) == 6 * 20
    assert set(np.bincount(seen, minlength=100)[60:]) <= {2, 3, 4}


def test_foreign_teachers_are_refused_all_at_once(base, data, old, tmp_path) -> None:
    train = data["text_classification"][0].model_copy(
        update={"path": new_labels(tmp_path / "new.parquet"), "digest": "other"}
    )
    other_labels = run(base, {"text_classification": (train, train)}, tmp_path / "labels")
    other_words = run(with_other_words(base, tmp_path / "words"), data, tmp_path / "tokens")
    teachers = [str(other_labels.path), str(other_words.path)]
    with pytest.raises(TrainingError) as caught:
        run(base, data, tmp_path / "no", objective={"distillation": {"teachers": teachers}})
    assert "teachers.0: the teacher has 2 labels, differing in minus" in caught.value.received
    assert "teachers.1: the tokenizer of" in caught.value.received


def test_a_teacher_of_another_problem_is_refused(base, data, old, tmp_path) -> None:
    objective = {"lwf": {"checkpoint": str(old["ner"].path)}}
    with pytest.raises(TrainingError, match="was trained for ner"):
        run(base, data, tmp_path, objective=objective)


def test_earlier_examples_of_another_problem_are_refused_all_at_once(
    base, data, old, tmp_path
) -> None:
    """Tagged sentences have no label; that was a traceback, or nothing at all."""
    tagged = data["ner"][0].path
    asked = section("ewc", old["text_classification"], tagged)
    objective = {**asked, "replay": {"examples": str(tagged)}}
    said = r"replay\.examples: .* has tags in the target, tokens in the target\n.*ewc\.examples"
    with pytest.raises(TrainingError, match=said):
        run(base, data, tmp_path, objective=objective)


def test_what_is_not_there_is_named_all_at_once(base, data, tmp_path) -> None:
    objective = {
        "distillation": {"teachers": ["no/such"]},
        "replay": {"examples": "no/such.parquet"},
    }
    with pytest.raises(TrainingError) as caught:
        run(base, data, tmp_path, objective=objective)
    assert "distillation.teachers.0: no/such is no finished checkpoint" in caught.value.received
    assert "replay.examples: there is no file" in caught.value.received
    assert not (tmp_path / "work").exists()


def test_hidden_layers_that_are_not_there_are_refused(base, data, old, tmp_path) -> None:
    hidden = {"teacher": str(old["text_classification"].path), "layers": [[0, 0], [2, 9]]}
    with pytest.raises(TrainingError, match=r"hidden\.layers names \[\[2, 9\]\]"):
        run(base, data, tmp_path, objective={"hidden": hidden})


def test_of_an_encoder_with_a_decoder_that_labels_the_encoders_states_are_followed(
    data, tmp_path
) -> None:
    AutoModel.from_config(OTHERS["t5"]).save_pretrained(tmp_path / "t5")
    save_tokenizer(tmp_path / "t5")
    teacher = run(tmp_path / "t5", data, tmp_path / "teacher", seed=7)
    objective = {"hidden": {"teacher": str(teacher.path)}}
    trained = run(tmp_path / "t5", data, tmp_path / "student", objective=objective)
    assert trained.training["history"][-1]["train_HiddenDistillation"] > 0.0


def test_states_that_stand_beside_learnt_vectors_are_followed_by_nobody(
    base, data, tmp_path
) -> None:
    teacher = run(base, data, tmp_path / "teacher", tuning={"kind": "prompt", "n_tokens": 4})
    with pytest.raises(TrainingError, match="tuned by prompt: its states hold learnt vectors"):
        run(base, data, tmp_path / "no", objective={"hidden": {"teacher": str(teacher.path)}})


def test_the_states_of_a_teacher_that_learnt_from_pairs_are_followed(base, data, tmp_path) -> None:
    teacher = run(base, data, tmp_path / "teacher", few_shot={"n_iterations": 1})
    objective = {"hidden": {"teacher": str(teacher.path)}}
    trained = run(base, data, tmp_path / "student", objective=objective)
    assert trained.training["history"][-1]["train_HiddenDistillation"] > 0.0


def test_the_fisher_information_is_estimated_once(base, data, old, tmp_path) -> None:
    """A training that goes on after a kill reads it, to where the model is."""
    from pipeline_steps.training.consolidation import consolidated
    from pipeline_steps.training.teaching import load_old_models

    objective = section("ewc", old["ner"], data["ner"][1].path)
    asked = params(base, "ner", objective=objective)
    learner = get_learner("ner")
    (model,) = load_old_models(asked, "ner", learner, torch.device("cpu")).values()
    trained, _ = learner.build(model.checkpoint.path, model.checkpoint.labels)
    made = consolidated(asked.objective.ewc, model, trained, work=tmp_path, pad_id=0, seed=0)
    (file,) = tmp_path.iterdir()
    assert any(name.startswith("classifier") for name in made.fisher)
    changed = {name: tensor + 1 for name, tensor in load_file(file).items()}
    from safetensors.torch import save_file

    save_file(changed, file)
    again = consolidated(asked.objective.ewc, model, trained, work=tmp_path, pad_id=0, seed=0)
    name = next(iter(made.fisher))
    assert torch.equal(again.fisher[name], made.fisher[name] + 1)
    elsewhere = trained.to("meta")
    there = consolidated(asked.objective.ewc, model, elsewhere, work=tmp_path, pad_id=0, seed=0)
    assert {t.device.type for t in (*there.fisher.values(), *there.anchor.values())} == {"meta"}


def test_what_is_known_of_an_old_output_holds_it_at_its_new_place(data, old, tmp_path) -> None:
    """The labels of the new rows come first, so an old one stands elsewhere than it did."""
    from pipeline_steps.training.consolidation import consolidated
    from pipeline_steps.training.teaching import load_old_models

    start = old["text_classification"]
    objective = section("ewc", start, data["text_classification"][1].path)
    asked = params(start.path, objective=objective)
    learner = get_learner("text_classification")
    (model,) = load_old_models(asked, start.problem, learner, torch.device("cpu")).values()
    trained, _ = learner.build(start.path, ("plus", "zero", "minus"))
    made = consolidated(asked.objective.ewc, model, trained, work=tmp_path, pad_id=0, seed=0)
    before, after = model.model.classifier.weight, made.anchor["classifier.weight"]
    places = [start.labels.index(label) for label in ("plus", "minus")]
    assert torch.equal(after[[0, 2]], before[places])
    known = made.fisher["classifier.weight"]
    assert bool((known[[0, 2]] > 0).any())
    assert not known[1].any(), "what nobody knew is free"


@pytest.mark.slow
def test_a_killed_run_with_objectives_ends_with_the_same_weights(base, data, tmp_path) -> None:
    """They draw starts and masks, choose rows, add noise to them, and learn a projection."""
    teacher = run(wide_base(tmp_path / "wide"), data, tmp_path / "teacher")
    rows = data["text_classification"]
    objective = {
        "pgd": {"steps": 1, "initial_magnitude": 0.3},
        "rdrop": {},
        "hidden": {"teacher": str(teacher.path)},
        "replay": {"examples": str(rows[1].path), "share": 0.3},
        "lwf": {"checkpoint": str(teacher.path)},
    }
    settings = {
        "epochs": 2, "checkpoints_per_epoch": 2, "early_stopping_patience": None,
        "accumulation_steps": 2, "objective": objective, "augmentation": {"ramp_epochs": 1},
    }  # fmt: skip
    straight = run(base, data, tmp_path / "straight", **settings)
    broken = tmp_path / "broken"
    stop = straight.training["steps_planned"] * 3 // 4
    assert stop > straight.training["steps_planned"] // 2
    kill_training(stop, rows, params(base, **settings), broken)
    assert list(broken.glob("work/checkpoint-*/model.safetensors"))
    resumed = run(base, data, broken, **settings)
    assert resumed.digest == straight.digest
    assert resumed.training["history"] == straight.training["history"]


@pytest.mark.parametrize("kind", ["lora", "adalora", "ia3"])
def test_a_merged_checkpoint_goes_on_where_it_ended_with_updates_of_its_own(
    kind, base, data, tmp_path
) -> None:
    """What continual learning begins at: body and head as they were, new rows and old ones."""
    tuning = {"kind": kind}
    first = run(base, data, tmp_path / "first", tuning=tuning, learning_rate=1e-2)
    replay = {"examples": str(data["text_classification"][1].path), "share": 0.5}
    settings = {"tuning": tuning, "objective": {"replay": replay}}
    still = {"learning_rate": 1e-12, "head_learning_rate": 1e-12}
    same = weights(run(first.path, data, tmp_path / "still", **settings, **still))
    before = weights(first)
    assert set(same) == set(before)
    assert all(torch.allclose(same[name], before[name], atol=1e-6) for name in before)
    moved = weights(run(first.path, data, tmp_path / "on", **settings, learning_rate=1e-2))
    assert set(moved) == set(before)
    assert any(not torch.allclose(moved[name], before[name], atol=1e-6) for name in before)
