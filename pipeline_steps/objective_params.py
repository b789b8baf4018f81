"""The sections ``finetune.loss`` and ``finetune.objective``: what is learnt from, part by part."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, model_validator

from pipeline_steps.section import Positive, Section, Share

_OverZero = Annotated[float, Field(gt=0)]
_NotNegative = Annotated[float, Field(ge=0)]
_Part = Annotated[float, Field(gt=0, lt=1)]


class LossParams(Section):
    """How far an answer is from the truth."""

    kind: Literal["cross_entropy", "focal"] = "cross_entropy"
    """cross_entropy, or focal (Lin et al. 2017): what is already right counts less."""
    label_smoothing: Share = 0.0
    """Share of the target given to all other labels; for cross_entropy."""
    gamma: _NotNegative = 2.0
    """How much less what is already right counts; read where kind is focal."""
    class_weights: Literal["none", "balanced", "effective"] = "none"
    """balanced: every label weighs the same; effective: less so (Cui et al. 2019, beta 0.999)."""

    @model_validator(mode="after")
    def _smoothing_is_of_cross_entropy(self) -> LossParams:
        if self.kind == "focal" and self.label_smoothing > 0:
            raise ValueError(
                f"label_smoothing is {self.label_smoothing}, and the focal loss has none: set it "
                "to 0, or kind to cross_entropy"
            )
        return self


class FgmParams(Section):
    """The loss a step uphill from the embeddings (Miyato et al. 2017)."""

    epsilon: _OverZero = 0.1
    """L2 length of each row's step, in units of the embeddings."""
    weight: _OverZero = 1.0
    """Of the adversarial loss beside the clean one."""


class PgdParams(Section):
    """The loss at the end of several steps uphill within a ball (Madry et al. 2018)."""

    epsilon: _OverZero = 0.1
    """Radius of the ball of each row, in units of the embeddings."""
    step_size: _OverZero = 0.03
    """Length of one step."""
    steps: Positive = 3
    """Steps uphill."""
    initial_magnitude: _NotNegative = 0.0
    """Size of the random start; 0: at the row itself."""
    weight: _OverZero = 1.0
    """Of the adversarial loss beside the clean one."""


class FreeLbParams(Section):
    """The mean loss along the way uphill (Zhu et al. 2020)."""

    step_size: _OverZero = 0.1
    """Length of one step, in units of the embeddings."""
    initial_magnitude: _NotNegative = 0.1
    """Size of the random start."""
    epsilon: _NotNegative = 0.6
    """Radius of the ball of each row; 0: no ball."""
    steps: Positive = 3
    """Points on the way."""


class SmartParams(Section):
    """Answers must not change under small moves of the embeddings (Jiang et al. 2020)."""

    weight: _OverZero = 1.0
    """Of the divergence beside the clean loss."""
    epsilon: _OverZero = 1e-3
    """Largest move of any number, in units of the embeddings."""
    step_size: _OverZero = 1e-3
    """Length of one step."""
    noise: _OverZero = 1e-5
    """Standard deviation of the random start."""
    steps: Positive = 1
    """Steps uphill."""


class RDropParams(Section):
    """Two dropout masks, one answer (Liang et al. 2021)."""

    alpha: _OverZero = 1.0
    """Weight of the divergence of the two passes."""


class ContrastiveParams(Section):
    """Texts of one label near each other (Gunel et al. 2021)."""

    weight: Annotated[float, Field(gt=0, le=1)] = 0.9
    """Share of the contrastive loss; the clean one has the rest."""
    temperature: _OverZero = 0.3
    """Of the similarities."""
    pooling: Literal["auto", "first", "last", "mean"] = "auto"
    """Which token stands for a text; auto: as the architecture reads."""


class DistillationParams(Section):
    """The answers of teachers beside the labels (Hinton et al. 2015)."""

    teachers: tuple[str, ...] = Field(min_length=1)
    """Directories of checkpoints with the same labels and tokenizer; several speak as one."""
    weight: Annotated[float, Field(gt=0, le=1)] = 0.5
    """Share of the teachers; the labels have the rest."""
    temperature: _OverZero = 2.0
    """Softens the answers."""


class HiddenParams(Section):
    """The hidden states of a teacher (Sun et al. 2019; Jiao et al. 2020)."""

    teacher: str
    """Directory of a checkpoint with the same tokenizer."""
    layers: tuple[tuple[int, int], ...] | None = Field(default=None, min_length=1)
    """Pairs of [own layer, teacher's layer], 0: the embeddings; null: spread evenly."""
    distance: Literal["mse", "cosine"] = "mse"
    """Of one token's states."""
    positions: Literal["all", "first"] = "all"
    """Tokens that are compared."""
    weight: _OverZero = 1.0
    """Beside the loss."""


class L2SpParams(Section):
    """Weights stay near where they started (Li et al. 2018); set weight_decay to 0 beside it."""

    alpha: _NotNegative = 0.1
    """On the distance of the base's weights from where they started."""
    beta: _NotNegative = 0.01
    """On the size of the new head's weights."""


class EwcParams(Section):
    """Weights that earlier data needed stay where they were (Kirkpatrick et al. 2017)."""

    checkpoint: str
    """Directory of the checkpoint that learnt the earlier data; usually also the base_model."""
    examples: str
    """Parquet file of the earlier examples, which the Fisher information is estimated on."""
    weight: _OverZero = 1.0
    """The paper's lambda; must be searched."""
    n_rows: Positive = 500
    """Rows that are read for it, at most."""


class LwfParams(Section):
    """On new rows, still say what an old model said (Li and Hoiem 2016)."""

    checkpoint: str
    """Directory of the old model's checkpoint; labels it has and the rows lack are kept."""
    weight: _OverZero = 1.0
    """Beside the loss."""
    temperature: _OverZero = 2.0
    """Softens the answers."""


class ReplayParams(Section):
    """Earlier rows come again among the new ones."""

    examples: str
    """Parquet file of earlier examples, as data/splits/train.parquet of an earlier workspace."""
    share: _Part = 0.1
    """Share of earlier rows in each epoch."""


class ObjectiveParams(Section):
    """What is asked beside the loss; null: not asked."""

    fgm: FgmParams | None = None
    """{}: also learn a step uphill from each row (Miyato et al. 2017)."""
    pgd: PgdParams | None = None
    """{}: also learn the end of several steps uphill (Madry et al. 2018)."""
    freelb: FreeLbParams | None = None
    """{}: learn the way uphill in place of the row (Zhu et al. 2020)."""
    smart: SmartParams | None = None
    """{}: the same answer under small moves (Jiang et al. 2020)."""
    rdrop: RDropParams | None = None
    """{}: the same answer under two dropout masks (Liang et al. 2021)."""
    contrastive: ContrastiveParams | None = None
    """{}: texts of one label near each other (Gunel et al. 2021)."""
    distillation: DistillationParams | None = None
    """{teachers: [DIR]}: answers of other checkpoints beside the labels (Hinton et al. 2015)."""
    hidden: HiddenParams | None = None
    """{teacher: DIR}: hidden states of another checkpoint (Jiao et al. 2020)."""
    l2sp: L2SpParams | None = None
    """{}: stay near the base's weights (Li et al. 2018)."""
    ewc: EwcParams | None = None
    """{checkpoint: DIR, examples: FILE}: keep what earlier data needs (Kirkpatrick et al. 2017)."""
    lwf: LwfParams | None = None
    """{checkpoint: DIR}: still say what an old model said (Li and Hoiem 2016)."""
    replay: ReplayParams | None = None
    """{examples: FILE}: earlier rows come again."""

    def chosen(self) -> tuple[str, ...]:
        """Return the names of what is asked, in the order of the fields."""
        return tuple(name for name in type(self).model_fields if getattr(self, name) is not None)


class PretrainingParams(Section):
    """Reading plain text before the task (Gururangan et al. 2020)."""

    kind: Literal["mlm", "clm"] = "mlm"
    """mlm: tell hidden tokens, for encoders; clm: tell the next one, for decoders."""
    examples: str | None = None
    """Texts: one a line, .jsonl, or .parquet of examples; null: the training rows."""
    epochs: Positive = 3
    """Passes over the texts."""
    learning_rate: _OverZero = 1e-4
    """Peak; linear warm-up, then linear decay."""
    mask_share: _Part = 0.15
    """Share of the tokens that are hidden; for mlm."""
    whole_words: bool = False
    """Hide the tokens of a word together; for mlm."""


class AttackedParams(Section):
    """Training rows as attacks rewrote them, the mildest first (Yoo and Qi 2021, A2T)."""

    texts: str
    """Parquet file that `holdfast attack --training-texts` wrote."""
    probability: Share = 0.5
    """Share of the attacked rows that are read as an attack left them."""
    ramp_epochs: NonNegativeInt = 3
    """Epochs over which stronger attacks come, none in the first one; 0: all at once."""

    def share_in(self, epoch: int) -> float:
        """Return the share of the texts, mildest first, that an epoch may show."""
        return _grown(epoch, self.ramp_epochs)


def _grown(epoch: int, ramp_epochs: int) -> float:
    """Return how much of a ramp is behind an epoch, counted from 0."""
    return 1.0 if ramp_epochs == 0 else min(1.0, epoch / ramp_epochs)


class AugmentationParams(Section):
    """Rows that read otherwise in each epoch, with the noise of the suites (Wei and Zou 2019)."""

    probability: Share = 0.5
    """Share of the rows that are changed in an epoch, once the ramp is over."""
    ramp_epochs: NonNegativeInt = 0
    """Epochs over which that share grows, the first one reads the rows as they are; 0: at once."""
    typos: Share = 0.02
    """Share of the letters of a changed row that are mistyped."""
    edits: Share = 0.0
    """Share of its words that get one slip, as character attacks make them."""
    casing: Share = 0.0
    """Share of its words that change their case."""
    word_loss: Share = 0.1
    """Share of its words that are left out."""
    word_swap: Share = 0.05
    """Share of its words that change places with the next."""
    synonyms: Share = 0.0
    """Share of its words that have synonyms and become one; no opposites, no other forms."""
    synonyms_from: Literal["vectors", "wordnet"] = "vectors"
    """vectors: near words by the base model's own word vectors; wordnet: nltk's, if it is here."""
    back_swaps: Share = 0.0
    """Share of its words in swap_words that come back as another word with the same pivot."""
    swap_words: str | None = None
    """File of lines word TAB pivot (a translation); null: British and American spellings."""
    attacked: AttackedParams | None = None
    """{texts: FILE}: rows as attacks rewrote them, the mildest first; null: none."""

    def rates(self) -> dict[str, float]:
        """Return the kinds of noise that are asked for, with their rates."""
        kinds = ("word_loss", "word_swap", "casing", "edits", "typos")
        return {kind: getattr(self, kind) for kind in kinds if getattr(self, kind) > 0}

    def share_in(self, epoch: int) -> float:
        """Return the share of the rows that are changed in an epoch, counted from 0."""
        return self.probability * _grown(epoch, self.ramp_epochs)
