"""Auto-encoder and variational auto-encoder (Kingma & Welling 2014): a single player on the same contract."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from translate.data.batch import Plain
from translate.data.synthetic.point_pictures import columns
from translate.losses.adversarial import full_precision
from translate.losses.gaussian import draw, kl_to_standard, log_density
from translate.models.base import Fakes, ImageSpec, Losses, Sampler, Turn
from translate.models.noise import draw_noise, fixed_rng
from translate.models.parts import SamplerNetwork
from translate.networks.mlp import MLPSettings
from translate.utils.settings import Settings


class VAEConfig(Settings):
    """Settings of `VAE`: the distribution of a pixel, the code and the two networks."""

    name: Literal["vae"] = "vae"
    variational: bool = True
    """False gives a plain auto-encoder: the code is a point, and nothing shapes the distribution of codes."""
    code: int = Field(50, ge=1)
    """Length of the code of an image."""
    likelihood: Literal["bernoulli", "gaussian"] = "bernoulli"
    """A pixel's distribution: `bernoulli`, black or white with the decoder's probability, or `gaussian` around the
    decoder's value."""
    sigma: float = Field(1.0, gt=0)
    """Standard deviation of a `gaussian` pixel, on the scale [-1, 1]."""
    kl: float = Field(1.0, ge=0)
    """Weight of the divergence; 1 is the evidence lower bound."""
    binarise: bool = False
    """Makes each pixel black or white at random, with its grey value as probability, redrawn at each step."""
    encoder: SamplerNetwork = MLPSettings()
    decoder: SamplerNetwork = MLPSettings()


@dataclass(frozen=True)
class Evidence:
    """Lower bounds of log p(x), in nats per image, for test images (count, channels, size, size) in [-1, 1].

    With `binarise`, for models trained on binarised images, the test images are binarised too, once.
    `evidence_lower_bound` is what training maximises; `log_likelihood_by_100_draws` is a tighter bound, from `draws`
    codes per image.
    """

    images: Tensor
    binarise: bool = False
    name: str = "test images"
    draws: int = 100

    @property
    def protocol(self) -> str:
        return f"{len(self.images):,} test images: nats per image, which lie below the true log p(x)"

    def measure(self, model: Any, runtime: Any, batch_size: int = 256) -> dict[str, float]:
        images = self.binarised() if self.binarise else self.images
        bounds, likelihoods = [], []
        with torch.no_grad(), runtime.autocast(), fixed_rng(runtime.device), model.in_mode("eval"):
            for part in images.split(batch_size):
                placed = runtime.layout(part.to(runtime.device))
                bounds.append(torch.stack([model.log_evidence(placed) for _ in range(10)]).mean(0).cpu())
                likelihoods.append(model.log_evidence(placed, self.draws).cpu())
        return {
            "evidence_lower_bound": float(torch.cat(bounds).mean()),
            f"log_likelihood_by_{self.draws}_draws": float(torch.cat(likelihoods).mean()),
        }

    def baselines(self) -> dict[str, dict[str, float]]:
        """The bound of independent pixels, each white with its own best probability, in nats per binarised image."""
        white = (1 + self.binarised()) / 2
        odds = white.mean(0)
        return {
            "pixels alone": {
                "evidence_lower_bound": float(-torch.special.entr(odds).add(torch.special.entr(1 - odds)).sum())
            }
        }

    def binarised(self) -> Tensor:
        with fixed_rng(torch.device("cpu")):
            return binarised(self.images)


def binarised(images: Tensor) -> Tensor:
    """Draws -1 or 1 for each value in [-1, 1]: 1 with probability (1 + value) / 2 (Burda et al. 2016, section 5.1)."""
    return 2 * torch.bernoulli((1 + images) / 2) - 1


class VAE(Sampler):
    """The encoder gives q(z|x), the distribution of codes z for an image x; the decoder gives p(x|z), that of images.

    Minimises -ELBO = -E_q log p(x|z) + KL(q(z|x) || N(0, I)), in nats per image. The decoder has the form of a GAN's
    generator, and the encoder that of a discriminator with a code for a logit.
    """

    Config = VAEConfig
    batch_type = Plain

    def __init__(self, config: VAEConfig, images: ImageSpec) -> None:
        super().__init__(config, images)
        self.config, self.images = config, images
        outputs = 2 * config.code if config.variational else config.code
        size = images.side(config.name)
        self.encoder = config.encoder.discriminator(images.channels, size, labels=0, outputs=outputs)
        self.decoder = config.decoder.generator(config.code, images.channels, size)

    def generate(self, batch: Plain) -> Fakes:
        images = binarised(batch.images) if self.config.binarise else batch.images
        if not self.config.variational:
            return {"images": images, "decoded": self.decoder.unbounded(self.encode(images))}
        mean, log_variance = self.posterior(images)
        decoded = self.decoder.unbounded(draw(mean, log_variance))
        return {"images": images, "decoded": decoded, "mean": mean, "log variance": log_variance}

    def turns(self) -> list[Turn]:
        return [Turn("autoencoder", [self.encoder, self.decoder], self._losses, trains_generators=True)]

    def _losses(self, batch: Plain, fakes: Fakes) -> Losses:
        reconstruction = -self.log_likelihood(fakes["decoded"], fakes["images"]).mean()
        if not self.config.variational:
            return {"reconstruction": reconstruction}
        kl = kl_to_standard(fakes["mean"], fakes["log variance"]).mean()
        bound = -(reconstruction + kl).detach()
        return {"reconstruction": reconstruction, "kl": self.config.kl * kl, "evidence_lower_bound": bound}

    def posterior(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and log variance of q(z|x), each (batch, code), for images in [-1, 1]; only if variational."""
        mean, log_variance = self.encoder(images).chunk(2, 1)
        return mean, log_variance

    def encode(self, images: Tensor) -> Tensor:
        """The code (batch, code) of images (batch, channels, size, size) in [-1, 1]: the mean of q(z|x)."""
        mean: Tensor = self.encoder(images)[:, : self.config.code]
        return mean

    def decode(self, code: Tensor) -> Tensor:
        """Images (batch, channels, size, size) in [-1, 1], each pixel the mean of p(x|z)."""
        images: Tensor = self.decoder(code)
        return images

    def log_likelihood(self, decoded: Tensor, images: Tensor) -> Tensor:
        """log p(x|z) in nats (batch,); `decoded` is the decoder's output before its tanh."""
        decoded, images = full_precision(decoded.flatten(1)), full_precision(images.flatten(1))
        if self.config.likelihood == "bernoulli":
            # (1 + tanh a) / 2 = sigmoid(2 a)
            return -F.binary_cross_entropy_with_logits(2 * decoded, (1 + images) / 2, reduction="none").sum(1)
        variance = self.config.sigma**2
        squared = (torch.tanh(decoded) - images).square() / variance
        return -(squared + math.log(2 * math.pi * variance)).sum(1) / 2

    def log_evidence(self, images: Tensor, draws: int = 1) -> Tensor:
        """A lower bound of log p(x) in nats (batch,): log mean p(x|z) p(z) / q(z|x) over `draws` samples z from q.

        One draw estimates the evidence lower bound; more draws come closer to log p(x) (Burda et al. 2016, eq. 8).
        """
        mean, log_variance = self.posterior(images)
        ratios = []
        for _ in range(draws):
            code = draw(mean, log_variance)
            prior = log_density(code, torch.zeros_like(mean), torch.zeros_like(mean))
            likelihood = self.log_likelihood(self.decoder.unbounded(code), images)
            ratios.append(likelihood + prior - log_density(code, mean, log_variance))
        return torch.logsumexp(torch.stack(ratios), 0) - math.log(draws)

    def sample(self, count: int, label: int | None = None) -> Tensor:
        """The decoder's means for codes from N(0, I), which a plain auto-encoder's were not trained to follow."""
        with self.in_mode("eval"):
            return self.decode(draw_noise("normal", count, self.config.code, self.decoder))

    def validations(self, test: Callable[[], Tensor]) -> list[Evidence]:
        return [Evidence(test(), self.config.binarise)] if self.config.variational else []

    def show(self, batch: Plain) -> dict[str, Tensor]:
        """Each image, the interpolation from its code to the next image's, and a sample."""
        with fixed_rng(batch.images.device), self.in_mode("eval"):
            if self.images.size == 1:
                return columns(batch.images, self.sample(2000))
            code = self.encode(batch.images)
            way = {f"{share} %": self.decode(torch.lerp(code, code.roll(-1, 0), share / 100)) for share in (25, 50, 75)}
            return {
                "input": batch.images,
                "0 %": self.decode(code),
                **way,
                "100 %": self.decode(code.roll(-1, 0)),
                "sample": self.sample(len(batch)),
            }
