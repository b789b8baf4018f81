"""Which losses and objectives do not go together, with this problem or with this tuning.

All that can be told from the parameters alone; what the model must say (whether it has dropout)
and what the teachers must say (their labels) is asked when they are loaded.
"""

from __future__ import annotations

from collections.abc import Iterator

from pipeline_steps.finetune_params import FinetuneParams
from pipeline_steps.problem_defaults import WRITING

_REPLACING = ("freelb", "rdrop", "contrastive", "distillation")
_PERTURBING = ("fgm", "pgd", "freelb", "smart")
_BY_STATES = ("contrastive", "hidden")
_BY_WEIGHTS = ("l2sp", "ewc")
_OLD_WEIGHTS_LEARN = ("full", "top_layers", "bitfit")
_WRAPPED = ("lora", "ia3")
_NO_CLASSES = {
    "question_answering": "places in a text",
    "response_selection": "scores of candidates",
    "multi_label_classification": "labels that are each there or not",
    **dict.fromkeys(WRITING, "texts"),
}
_WHOLE_TEXTS = ("text_classification", "multi_label_classification")
_AUGMENTED = (*_WHOLE_TEXTS, "ner", "relation_extraction", "question_answering")
_WITH_BI_ENCODER = ("fgm", "pgd", "freelb", "smart", "rdrop", "l2sp", "replay")
_HEADLESS = ("head", "prompt", "prefix", "in_context")
_OF_LEARNING = ("loss", "reinitialise_layers", "layer_decay", "n_runs", "combine")


def objective_mistakes(problem: str, params: FinetuneParams) -> list[str]:
    """Return what does not fit, each with what does; nothing where all fits.

    Parameters
    ----------
    problem : str
        What the model is for.
    params : FinetuneParams
        Its loss, objective and tuning are looked at.
    """
    return [
        *_loss_mistakes(problem, params),
        *_problem_mistakes(problem, params),
        *_writing_mistakes(problem, params),
        *_bi_encoder_mistakes(problem, params),
        *_augmentation_mistakes(problem, params),
        *_normalisation_mistakes(problem, params),
        *_clashes(params),
        *_tuning_mistakes(params),
        *_hardware_mistakes(params),
    ]


def _loss_mistakes(problem: str, params: FinetuneParams) -> Iterator[str]:
    loss = params.loss
    if problem not in _NO_CLASSES:
        return
    asked = {
        "kind": (loss.kind, "cross_entropy"),
        "label_smoothing": (loss.label_smoothing, 0.0),
        "class_weights": (loss.class_weights, "none"),
    }
    if problem in WRITING:
        del asked["label_smoothing"]
    for name, (value, plain) in asked.items():
        if value != plain:
            yield (
                f"finetune.loss.{name}: {value!r} makes no sense for {problem}, whose answers are "
                f"{_NO_CLASSES[problem]} and no classes; set it to {plain!r}"
            )


def _problem_mistakes(problem: str, params: FinetuneParams) -> Iterator[str]:
    if params.objective.contrastive is not None and problem != "text_classification":
        yield (
            "finetune.objective.contrastive: it compares whole texts that have one label each, and "
            f"{problem} has none such; rdrop and smart work with every problem"
        )


def _writing_mistakes(problem: str, params: FinetuneParams) -> Iterator[str]:
    section = params.pretraining
    if problem in WRITING and section is not None and section.kind == "mlm":
        yield (
            f"finetune.pretraining.kind: mlm hides tokens from an encoder, and {problem} needs a "
            "model that writes; set it to clm, for a decoder alone"
        )


def _bi_encoder_mistakes(problem: str, params: FinetuneParams) -> Iterator[str]:
    if problem != "response_selection" or params.selector != "bi":
        return
    asked = [n for n in params.objective.chosen() if n not in (*_WITH_BI_ENCODER, "contrastive")]
    for name in asked:
        yield (
            f"finetune.objective.{name}: it was made for models that label; with "
            f"finetune.selector bi go {', '.join(_WITH_BI_ENCODER)}"
        )
    if params.tuning.kind in _HEADLESS:
        yield (
            f"finetune.tuning.kind: {params.tuning.kind} does not go with finetune.selector bi, "
            "which has no head and reads conversation and reply apart; set one of them otherwise"
        )


def _augmentation_mistakes(problem: str, params: FinetuneParams) -> Iterator[str]:
    section = params.augmentation
    if section is None:
        return
    if problem not in _AUGMENTED:
        yield (
            f"finetune.augmentation: in {problem} the answer was given to the texts as they are "
            f"written; it works with {', '.join(_AUGMENTED)}; rdrop and smart with every problem"
        )
    moving = [n for n in ("word_loss", "word_swap") if getattr(section, n) > 0]
    if problem == "ner" and moving:
        yield (
            f"finetune.augmentation.{', finetune.augmentation.'.join(moving)}: in ner a word keeps "
            f"its tag and its place; set {' and '.join(moving)} to 0; typos, edits, casing, "
            "synonyms, back_swaps and attacked go"
        )
    if section.swap_words is not None and section.back_swaps == 0:
        yield (
            "finetune.augmentation.swap_words: nothing reads it while back_swaps is 0; set "
            "back_swaps to a share such as 0.1, or swap_words to null"
        )


def _normalisation_mistakes(problem: str, params: FinetuneParams) -> Iterator[str]:
    if params.normalisation is not None and problem not in _WHOLE_TEXTS:
        yield (
            f"finetune.normalisation: it draws words together and apart, and in {problem} what is "
            "asked or answered stands at places of the text as it was written; it works with "
            f"{' and '.join(_WHOLE_TEXTS)}; set it to null"
        )


def _clashes(params: FinetuneParams) -> Iterator[str]:
    replacing = [name for name in _REPLACING if name in params.objective.chosen()]
    if len(replacing) > 1:
        yield (
            f"finetune.objective: {' and '.join(replacing)} would each replace the clean loss; "
            "keep one of them, the others of the section combine with it"
        )


def _tuning_mistakes(params: FinetuneParams) -> Iterator[str]:
    kind, chosen = params.tuning.kind, params.objective.chosen()
    if kind == "in_context":
        yield from _untrained(params)
        return
    if kind == "prompt":
        for name in (*_PERTURBING, *_BY_STATES):
            if name in chosen:
                yield (
                    f"finetune.objective.{name}: with the tuning prompt the vectors that learn "
                    f"stand beside the text, where {name} does not look; it works with every other "
                    "finetune.tuning.kind"
                )
    if kind not in _OLD_WEIGHTS_LEARN:
        for name in _BY_WEIGHTS:
            if name in chosen:
                yield (
                    f"finetune.objective.{name}: with the tuning {kind} the weights of the base "
                    "stay where they are anyway; it works with the finetune.tuning.kind "
                    f"{', '.join(_OLD_WEIGHTS_LEARN)}"
                )


def _untrained(params: FinetuneParams) -> Iterator[str]:
    """Yield what has no object where no gradient of the task is followed."""
    asked = [f"objective.{name}" for name in params.objective.chosen()]
    asked += [
        name
        for name in ("augmentation", "normalisation", "averaging", "pretraining", "student_layers")
        if getattr(params, name) is not None
    ]
    fields = FinetuneParams.model_fields
    asked += [name for name in _OF_LEARNING if getattr(params, name) != fields[name].default]
    if asked:
        yield (
            f"finetune.{', finetune.'.join(asked)}: with the tuning in_context nothing learns; it "
            "works with every other finetune.tuning.kind"
        )


def _hardware_mistakes(params: FinetuneParams) -> Iterator[str]:
    if params.tuning.kind == "prefix" and params.hardware.gradient_checkpointing:
        yield (
            "finetune.hardware.gradient_checkpointing: it drops the past keys and values that the "
            "tuning prefix is made of; set it to false, or finetune.tuning.kind to prompt or lora"
        )
    moving = [name for name in _PERTURBING if name in params.objective.chosen()]
    if moving and params.hardware.compile:
        yield (
            f"finetune.objective.{moving[0]}: it moves the embeddings inside of the model, which a "
            "compiled one does not let it; set finetune.hardware.compile to false"
        )
    if moving and params.precision == "fp16":
        yield (
            f"finetune.objective.{moving[0]}: its moves follow gradients too small for fp16; set "
            "finetune.precision to bf16 or fp32"
        )
