"""GAN, DCGAN, WGAN and WGAN-GP as one model; the recipe sets the networks and the rules of the game."""

import math
from typing import Literal

from pydantic import Field
from torch import Tensor

from translate.data.batch import Plain
from translate.data.synthetic.point_pictures import columns, heights, places
from translate.models.adversary import AdversarialSettings, Adversary
from translate.models.base import Fakes, ImageSpec, Losses, Sampler, Turn
from translate.models.noise import Noise, draw_noise, fixed_rng
from translate.models.parts import SamplerNetwork
from translate.networks.mlp import MLPSettings
from translate.utils.settings import Settings


class GANConfig(Settings):
    """Settings of `GAN`: the game, the noise and the two networks."""

    name: Literal["gan"] = "gan"
    adversarial: AdversarialSettings = AdversarialSettings()
    """`discriminator_turns` is the k of the original algorithm."""
    code: int = Field(100, ge=1)
    """Length of the noise vector an image is made from."""
    noise: Noise = "normal"
    """Distribution of the noise's numbers."""
    generator: SamplerNetwork = MLPSettings()
    discriminator: SamplerNetwork = MLPSettings()


class GAN(Sampler):
    """Generator G makes images from noise z; discriminator D distinguishes them from real ones.

    min_G max_D  E log D(x) + E log(1 - D(G(z)))   (Goodfellow et al. 2014, eq. 1), or another objective's terms. A
    trained VAE's decoder can serve as generator: `gan.generator.load_state_dict(vae.decoder.state_dict())`.
    """

    Config = GANConfig
    batch_type = Plain

    def __init__(self, config: GANConfig, images: ImageSpec) -> None:
        super().__init__(config, images)
        self.config, self.images = config, images
        self.adversary = Adversary(config.adversarial)
        size = images.side(config.name)
        self.generator = config.generator.generator(config.code, images.channels, size)
        self.discriminator = config.discriminator.discriminator(images.channels, size, labels=0, outputs=1)

    def generate(self, batch: Plain) -> Fakes:
        return {"fake": self._generate(len(batch))}

    def turns(self) -> list[Turn]:
        return [
            self.adversary.discriminator_turn("discriminator", [self.discriminator], self._discriminator_losses),
            self.adversary.generator_turn("generator", [self.generator], self._generator_losses),
        ]

    def _discriminator_losses(self, batch: Plain, fakes: Fakes) -> Losses:
        losses = self.adversary.discriminator_losses(self.discriminator, batch.images, fakes["fake"])
        return losses | divergence(self.config.adversarial, losses["adversarial"])

    def _generator_losses(self, batch: Plain, fakes: Fakes) -> Losses:
        return {"adversarial": self.adversary.generator_loss(self.discriminator, fakes["fake"], batch.images)}

    def _generate(self, count: int) -> Tensor:
        images: Tensor = self.generator(draw_noise(self.config.noise, count, self.config.code, self.generator))
        return images

    def sample(self, count: int, label: int | None = None) -> Tensor:
        with self.in_mode("eval"):
            return self._generate(count)

    def show(self, batch: Plain) -> dict[str, Tensor]:
        with fixed_rng(batch.images.device):
            if self.images.size == 1:
                return self._show_points(batch.images)
            samples = {f"sample {number + 1}": self.sample(len(batch)) for number in range(7)}
        return {"real": batch.images} | samples

    def _show_points(self, real: Tensor) -> dict[str, Tensor]:
        """Columns for points: dots, their density, and the discriminator's score of the plane."""
        samples = self.sample(2000)
        with self.in_mode("eval"):
            score = self.discriminator(places(64).to(real.device)).reshape(64, 64)
        return columns(real, samples) | {"score": heights(score)}


def divergence(settings: AdversarialSettings, loss: Tensor) -> Losses:
    """The lower bound on the distance between real and generated images that the discriminator's loss implies, if any.

    A critic's difference of means is Wasserstein-1, up to its slope. Cross-entropies (real plus fake) are at best 2 log
    2 - 2 JS (Goodfellow et al. 2014, theorem 1).
    """
    loss = loss.detach() / settings.discriminator_weight
    if settings.objective == "wasserstein":
        return {"wasserstein_estimate": -loss}
    if settings.objective in ("minimax", "nonsaturating"):
        return {"jensen_shannon_estimate": math.log(2) - loss / 2}
    return {}
