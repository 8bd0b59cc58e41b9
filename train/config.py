"""Every option of a training run, once: default, help and bounds. No heavy imports: the command line is made of it."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_type_hints

from restore.errors import UsageError

CONFIG_NAME = "config.json"
STATE_NAME = "state.pt"
RECIPES = ("classes", "regression", "pix2pix", "nogan", "two-stage")


def _option(
    default: Any,
    help_text: str,
    *,
    choices: tuple[str, ...] = (),
    least: float | None = None,
    above: float | None = None,
    most: float | None = None,
    flag: str = "",
) -> Any:
    """A field of `TrainConfig`: its default, its help, and which values it takes.

    Args:
        least, above, most: bounds of a number. None as a value is always within.
        flag: its name on the command line, where it is not the field's.
    """
    metadata = {"help": help_text, "choices": choices, "least": least, "above": above, "most": most, "flag": flag}
    if isinstance(default, dict):
        return dataclasses.field(default_factory=dict, metadata=metadata)
    return dataclasses.field(default=default, metadata=metadata)


@dataclass(frozen=True)
class TrainConfig:
    """A training run, fully resolved. Its defaults are those of recipe `classes`; see `train.presets` for the others.

    Raises:
        UsageError: a value that makes no sense, named by its flag.
    """

    # What from, and where to.
    data: str = _option("", "Folder of images (any depth), tar shards, a text file of paths, or a data set's name.")
    data_root: str = _option("data", "Where data sets that --data names lie.")
    output: str = _option("", "Folder of the run. [default: runs/<recipe>-<time>]")
    val: str | None = _option(None, "Held-out pictures, as --data. [default: taken from --data by the seed]")
    val_count: int = _option(200, "Held-out pictures measured.", least=1)
    also: dict[str, Any] = _option(
        {}, "Further pictures, PATH=TIMES: as --data, each taken so many times an epoch, none held out. Repeatable."
    )
    subset: int | None = _option(None, "Train on so many pictures, drawn by the seed.", least=1)

    # What is trained.
    recipe: str = _option("classes", "Which set-up.", choices=RECIPES)
    preset: str | None = _option(None, "A published variant: coco-sample, landscapes (pix2pix), places (regression).")
    stages: str | None = _option(None, "Only these stages of the recipe, such as gan. Comma between. [default: all]")
    init: str | None = _option(None, "Start from a checkpoint's weights: a file, a run, or `default`.")
    generator: str = _option(
        "efficientnet_unet",
        "Which network; checkpoint: that of --init, and the default with it.",
        choices=("unet", "residual_unet", "resnet_unet", "resnet_regression", "efficientnet_unet", "checkpoint"),
    )
    generator_arguments: dict[str, Any] = _option(
        {}, "An argument of the generator, NAME=JSON, such as variant=2. Repeatable.", flag="generator-arg"
    )
    encoder_weights: str = _option("package", "package, imagenet (downloaded), none, or a file.")
    initialisation: str = _option(
        "default", "Of layers without pretrained weights.", choices=("default", "normal", "xavier", "kaiming")
    )
    ab_scale: float = _option(110.0, "ab of which a regressing network says 1.", above=0)
    discriminator: str = _option("patch", "The judge of a GAN.", choices=("patch", "pixel"))
    discriminator_arguments: dict[str, Any] = _option(
        {}, "Of the discriminator: filters=64, downs=3, spectral=true. Repeatable.", flag="discriminator-arg"
    )
    sync_batchnorm: bool = _option(False, "BatchNorm over all GPUs of a distributed run.")

    # Losses.
    loss: str = _option("l1", "On ab, of regression and of GANs.", choices=("l1", "mse", "huber"))
    pixel_weight: float = _option(100.0, "Weight of that loss beside a GAN's others (λ).", least=0)
    gan_loss: str = _option("vanilla", "Of GANs.", choices=("vanilla", "lsgan", "hinge"))
    gan_weight: float = _option(1.0, "Weight of the adversarial loss.", least=0)
    feature_loss: str = _option(
        "none",
        "Features compared: of VGG19 (downloaded), of a packaged encoder, or of the discriminator.",
        choices=("vgg", "package", "discriminator", "none"),
    )
    feature_weight: float = _option(1.0, "Weight of the feature loss.", least=0)
    feature_weights: str | None = _option(None, "File of VGG19-bn's weights, instead of a download.")
    colorfulness_weight: float = _option(0.0, "Weight of a term that rewards colourfulness (DDColor: 0.5).", least=0)
    temperature: float | None = _option(
        None, "T of the annealed mean; recipe classes. [default: that of --init, or 0.7]", above=0
    )
    rebalance: float | None = _option(
        None, "u: 0 vivid, 1 natural; recipe classes. [default: that of --init, or 0]", least=0, most=1
    )

    # Pictures.
    size: int = _option(128, "Side of the training crops in pixels.", least=32)
    working_size: int | None = _option(
        None, "Size at which the model will colour. [default: that of --init, or 256]", least=32
    )
    framing: str = _option(
        "random",
        "random: crops of --crop to 1 of the short side; resized: random resized crops of 8 to 100 % of the area; "
        "whole: the whole picture as a square.",
        choices=("random", "resized", "whole"),
    )
    crop: float = _option(0.6, "Smallest share of the short side in a random crop.", above=0, most=1)
    resize: str = _option(
        "auto",
        "How crops get their size; auto: by how much they shrink.",
        choices=("auto", "bilinear", "bicubic", "area"),
    )
    flip: float = _option(0.5, "Share of pictures that are mirrored.", least=0, most=1)
    degrade: float = _option(0.5, "Film-like degradation of the input, 0 to 1.", least=0, most=1)

    wear: float = _option(
        0.0, "Marks of age on the input, 0 to 1, times --degrade: frames, dirt, scratches, halation, uneven light, "
        "fading, tone, grain, lost sharpness, JPEG blocks.", least=0, most=1,
    )  # fmt: skip
    hints: float = _option(
        0.0, "Share of the samples that are told true colours at places; above 0 for a model that takes hints.",
        least=0, most=1,
    )  # fmt: skip

    # How long, and in what steps.
    steps: int | None = _option(None, "Stop after so many steps, shared out over the stages.", least=1)
    epochs: float | None = _option(None, "Stop after so many epochs. [default: 20, if nothing bounds the run]", above=0)
    minutes: float | None = _option(None, "Stop after so many minutes of training.", above=0)
    stage_steps: str | None = _option(None, "Steps of each stage, such as 3000,500.")
    discriminator_steps: int = _option(0, "Steps in which the discriminator learns alone, before the GAN.", least=0)
    batch: int = _option(32, "Samples a step, over all processes.", least=1)
    accumulate: int = _option(1, "Compute a batch in so many parts, to save memory.", least=1)
    optimizer: str = _option("adamw", "Which optimiser.", choices=("adamw", "adam"))
    beta1: float = _option(0.9, "First moment's decay.", least=0, most=1)
    beta2: float = _option(0.999, "Second moment's decay.", least=0, most=1)
    learning_rate: float = _option(2e-3, "Peak rate of new layers.", above=0)
    encoder_learning_rate: float | None = _option(5e-4, "Peak rate of a pretrained encoder.", above=0)
    hint_learning_rate: float = _option(2e-3, "Peak rate of the layers that take hints.", above=0)
    pretrain_learning_rate: float | None = _option(None, "Rate of the first of two stages.", above=0)
    discriminator_learning_rate: float | None = _option(
        None, "Rate of the discriminator. [default: the generator's]", above=0
    )
    weight_decay: float = _option(0.01, "Of the generator.", least=0)
    discriminator_weight_decay: float = _option(0.0, "Of the discriminator, where it grows too strong.", least=0)
    schedule: str = _option(
        "cosine", "Of the rate, over a stage; linear: constant, then falling in the second half.",
        choices=("cosine", "constant", "linear"),
    )  # fmt: skip
    warmup: float = _option(0.03, "Share of a stage with a rising rate.", least=0, most=1)
    clip: float = _option(1.0, "Largest norm of the gradient; 0: any.", least=0)
    freeze_norms: str = _option(
        "none", "Where BatchNorm keeps its statistics, as small batches may need; it then costs no time.",
        choices=("none", "encoder", "all"),
    )  # fmt: skip
    ema: float = _option(0.999, "Decay of the averaged weights.", least=0, most=1)

    # Watching.
    val_every: int = _option(1000, "Steps between measurements.", least=1)
    patience: int = _option(0, "End a stage after so many measurements without a better one; 0: never.", least=0)
    record_every: int = _option(20, "Steps between lines of losses.", least=1)
    sample_every: int = _option(0, "Steps between sheets of samples besides those of measurements; 0: none.", least=0)
    save_every: int = _option(500, "Steps between saved states.", least=1)
    tensorboard: bool = _option(False, "Write TensorBoard's files too.")

    # Machine.
    precision: str = _option(
        "auto", "auto: the fastest. mixed: bf16, the depthwise encoder in fp32.",
        choices=("auto", "fp32", "bf16", "fp16", "mixed"),
    )  # fmt: skip
    device: str = _option("auto", "auto, cpu, cuda or mps.")
    cache: str | None = _option(
        None, "Folder of a local disk that keeps decoded pictures, so that later epochs only cut crops."
    )
    cache_gb: float | None = _option(
        None, "The most that --cache may take. [default: leaves 5 % of the disk free]", above=0
    )
    workers: int | None = _option(None, "Decoding processes. [default: one a core, at most 8]", least=0)
    seed: int = _option(0, "Of split, order, crops and noise.", least=0)

    def __post_init__(self) -> None:
        for option in dataclasses.fields(self):
            check_value(option, getattr(self, option.name), flag_of(option))
        if self.size % 32:
            raise UsageError(f"--size must be a multiple of 32, not {self.size}")
        if self.batch % self.accumulate:
            raise UsageError(f"--batch {self.batch} can't be computed in {self.accumulate} equal parts (--accumulate)")
        for path, times in self.also.items():
            if not isinstance(times, int) or isinstance(times, bool) or times < 1:
                raise UsageError(f"--also {path}={times}: how many times must be a whole number of at least 1")
        if self.generator == "checkpoint" and self.init is None:
            raise UsageError("--generator checkpoint needs --init", "Name the checkpoint, or another generator")
        if self.cache_gb is not None and self.cache is None:
            raise UsageError("--cache-gb needs --cache", "Name a folder, or leave it out")
        self.given_stage_steps()

    @property
    def folder(self) -> Path:
        return Path(self.output)

    def given_stage_steps(self) -> tuple[int, ...]:
        """`stage_steps` as numbers; empty where it is None."""
        if self.stage_steps is None:
            return ()
        try:
            steps = tuple(int(part) for part in self.stage_steps.split(","))
        except ValueError:
            steps = ()
        if not steps or min(steps) < 1:
            raise UsageError(f"--stage-steps {self.stage_steps!r} are no numbers of steps", "Such as 3000,500")
        return steps

    def to_json(self) -> str:
        return json.dumps(dataclasses.asdict(self), indent=2) + "\n"


OPTIONS = {option.name: option for option in dataclasses.fields(TrainConfig)}
OPTION_TYPES: dict[str, Any] = get_type_hints(TrainConfig)


def flag_of(option: dataclasses.Field[Any]) -> str:
    """`--learning-rate` of `learning_rate`."""
    return "--" + (option.metadata["flag"] or option.name.replace("_", "-"))


def check_value(option: dataclasses.Field[Any], value: Any, called: str) -> None:
    """
    Args:
        called: how the user gave it: a flag, or a key of a file.

    Raises:
        UsageError: of another type, or outside the option's choices or bounds.
    """
    if value is None and "None" in str(option.type):
        return
    kind = str(option.type).removesuffix(" | None")
    types: dict[str, tuple[type, ...]] = {"str": (str,), "int": (int,), "float": (int, float), "bool": (bool,)}
    right = types.get(kind, (dict,))
    if not isinstance(value, right) or (isinstance(value, bool) and kind != "bool"):
        what = {"str": "text", "int": "a whole number", "float": "a number", "bool": "true or false"}.get(
            kind, "a table"
        )
        raise UsageError(f"{called} must be {what}, not {value!r}")
    limits = option.metadata
    if limits["choices"] and value not in limits["choices"]:
        raise UsageError(f"{called} {value!r} is unknown", f"Known: {', '.join(limits['choices'])}")
    if limits["least"] is not None and limits["most"] is not None:
        if not limits["least"] <= value <= limits["most"]:
            raise UsageError(f"{called} must be between {limits['least']} and {limits['most']}, not {value}")
    elif limits["least"] is not None and not value >= limits["least"]:
        raise UsageError(f"{called} must be at least {limits['least']}, not {value}")
    if limits["above"] is not None and not value > limits["above"]:
        raise UsageError(f"{called} must be above {limits['above']}, not {value}")
    if limits["most"] is not None and not value <= limits["most"]:
        raise UsageError(f"{called} must be at most {limits['most']}, not {value}")
