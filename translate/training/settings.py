"""The settings of `training` in a recipe: how long and how fast to train, and what to keep."""

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from translate.errors import ConfigurationError
from translate.training.runtime import Precision
from translate.training.schedules import ScheduleSettings
from translate.utils.settings import Seed, Settings

OptimizerName = Literal["adam", "adamw", "rmsprop"]
ADAMS = {"adam", "adamw"}
"""Those that take betas."""
Beta = Annotated[float, Field(ge=0, lt=1)]


class NetworkTraining(Settings):
    """How one network is trained; null is as `training` says for all."""

    optimizer: OptimizerName | None = None
    """Its optimizer."""
    lr: float | None = Field(None, gt=0)
    """Its learning rate."""
    betas: tuple[Beta, Beta] | None = None
    """Its Adam's decay rates."""
    weight_decay: float | None = Field(None, ge=0)
    """See `training.weight_decay`."""
    clip: float | None = Field(None, ge=0)
    """See `training.clip`."""
    ema: float | None = Field(None, ge=0, lt=1)
    """Of a generator; 0 keeps no average of this one."""


class TrainingSettings(ScheduleSettings):
    """How long and how fast to train, and what to keep."""

    steps: int | None = Field(None, ge=1)
    """Length of the run in steps, each of which takes one batch."""
    epochs: float | None = Field(None, gt=0)
    """Exactly one of `steps` and `epochs`; an epoch is one pass over the larger domain."""
    batch_size: int = Field(1, ge=1)
    """Images of each domain in a step."""
    accumulate: int = Field(1, ge=1)
    """Number of parts a batch is split into, averaging their gradients: less memory, same step."""
    seed: Seed = 0
    """Of initial weights, order of images, crops and noise: the same seed gives the same run."""
    init_from: str | None = None
    """Folder of a run or a checkpoint with initial weights for the networks (averaged ones, if it kept them);
    optimizers and schedule start from scratch. Null draws weights from the seed."""
    init_networks: dict[str, str] = Field(default_factory=dict)
    """Which networks begin with which ones of `init_from`, if names differ, e.g. {generator_a: generator, generator_b:
    generator}; all others then begin with random weights."""
    optimizer: OptimizerName = "adam"
    """Adam, AdamW (Loshchilov and Hutter 2019), or RMSprop as in WGAN."""
    lr: float = Field(2e-4, gt=0)
    """Learning rate of all networks, before the schedule changes it."""
    network_lr: dict[str, float] = Field(default_factory=dict)
    """Learning rates of individual networks by name, e.g. {discriminator: 4e-4}; the others use `lr`."""
    networks: dict[str, NetworkTraining] = Field(default_factory=dict)
    """What is different for individual networks by name, e.g. {discriminator: {lr: 4e-4, clip: 1}}."""
    betas: tuple[Beta, Beta] = (0.5, 0.999)
    """Adam's decay rates of the means of gradients and of their squares; 0.5 is usual for GANs."""
    weight_decay: float = Field(0.0, ge=0)
    """Factor on the weights that is added to their gradients (an L2 penalty); of AdamW, the share that each step takes
    off them, times the learning rate."""
    clip: float = Field(0.0, ge=0)
    """Largest Euclidean norm of each network's gradient, which is shortened to it; 0 leaves gradients as they are."""
    ema: float | None = Field(None, gt=0, lt=1)
    """Decay of the moving average of the generators' weights, which is then used to convert; null keeps none."""
    precision: Precision = "auto"
    """Of convolutions: `bf16` is faster on GPUs and some processors; `auto` is bf16 where it is fast."""
    skip_limit: int = Field(20, ge=1)
    """A turn with losses or gradients that are not finite is skipped; this many in a row end the run, the next time
    losses are logged (log_every)."""
    log_every: int = Field(50, ge=1)
    """Steps between two rows of metrics.jsonl, and between two lines on the screen."""
    sample_every: int = Field(1000, ge=1)
    """Steps between two grids of samples."""
    validate_every: int = Field(1000, ge=1)
    """Steps between two measurements on test images."""
    best_by: str | None = None
    """The measure of validations that chooses the best checkpoint, averaged over them: l1, psnr, ssim, error/HU,
    mean_iou, pixel_accuracy, patch_distance, or one of the method's own. Null: the L1 of images, the mean IoU of label
    maps, the SI-SDR of sound; without known truth the patch distance of two domains, else the newest is the best."""
    patience: int | None = Field(None, ge=1)
    """Ends training after this many validations in a row that brought no better value of that measure; null never
    does. Every better step is then saved."""
    validation_images: int = Field(64, ge=1)
    """Number of test images measured against the truth; of unpaired ones, those of each domain that are compared."""
    checkpoint_every: int = Field(1000, ge=1)
    """Steps between two checkpoints."""
    keep: int = Field(3, ge=1)
    """Number of newest checkpoints to keep, in addition to the best."""
    keep_every: int | None = Field(None, ge=1)
    """Also keeps checkpoints of steps divisible by this number; null keeps no others."""

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if (self.steps is None) == (self.epochs is None):
            raise ValueError("give exactly one of steps and epochs (set the other to null)")
        if self.init_networks and self.init_from is None:
            raise ValueError("init_networks names networks of init_from, which is not set; leave it out")
        if self.batch_size % self.accumulate:
            raise ValueError(
                f"accumulate {self.accumulate} does not split batch_size {self.batch_size} into equal parts"
            )
        for name, own in self.networks.items():
            if own.lr and name in self.network_lr:
                raise ValueError(f"networks.{name}.lr and network_lr.{name} are two rates for one network; give one")
            if own.betas and self.of(name).optimizer not in ADAMS:
                raise ValueError(f"networks.{name}.betas has no effect, for only adam has them; leave it out")
        return self

    def refuse_idle(self) -> None:
        """Raises ConfigurationError for betas that no optimizer takes; runs of earlier versions may have them."""
        kinds = {self.optimizer, *(own.optimizer for own in self.networks.values())}
        if not kinds & ADAMS and self.betas != type(self).model_fields["betas"].default:
            raise ConfigurationError(
                "training.betas: no effect, for only adam has them; leave it out, or set training.optimizer=adam"
            )

    def of(self, network: str) -> Self:
        """The settings as they are for one network, by its name."""
        own = self.networks.get(network, NetworkTraining()).model_dump(exclude_none=True)
        return self.model_copy(update={"lr": self.network_lr.get(network, self.lr), **own})
