"""WGAN-GP (Gulrajani et al. 2017) as a bare loop: images from noise, by a critic with a gradient penalty.

python examples/wgan_gp.py --steps 5000 --size 32 --data shapes --out example-wgan-gp

`--data` is `shapes`, which is rendered, or a folder of images; `--size` 32, 64, ... Writes OUT/samples.png.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.optim import Adam

from translate.data.batch import Plain
from translate.data.crops import Cropping
from translate.data.decoding import Decoding
from translate.data.io.images import to_float
from translate.data.labelled import unlabelled
from translate.data.loader import Loader
from translate.data.synthetic.shapes import render_set
from translate.losses.adversarial import OBJECTIVES, gradient_penalty
from translate.networks import initialise
from translate.networks.dcgan import DCGANDiscriminator, DCGANGenerator
from translate.reporting.grids import save_grid

GAN = OBJECTIVES["wasserstein"]
LAMBDA, CRITIC_STEPS = 10.0, 5
CODE, BATCH, RATE, BETAS = 64, 32, 1e-4, (0.0, 0.9)


class WGAN(nn.Module):
    """Generator G: z -> x, critic D: x -> a number; batch norm in D would tie images of a batch to each other."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.G = DCGANGenerator(CODE, 3, size, filters=32)
        self.D = DCGANDiscriminator(3, size, filters=32, normalisation="none")
        initialise(self)  # N(0, 0.02)

    def optimizers(self) -> list[Adam]:
        return [Adam(network.parameters(), lr=RATE, betas=BETAS) for network in (self.D, self.G)]

    def noise(self, count: int) -> Tensor:
        """Codes (count, CODE) from N(0, 1), with the type and on the device of the weights."""
        return self.G.head.weight.new_empty(count, CODE).normal_()

    def step(self, real: Tensor, step: int, critic: Adam, generator: Adam) -> dict[str, float]:
        """Takes step number `step`, from 0, on images (batch, 3, size, size) in [-1, 1]; returns the losses."""
        # min_D  E D(G(z)) - E D(x) + LAMBDA E (|grad D(x^)| - 1)^2,  x^ between x and G(z)   (equation 3)
        fake = self.G(self.noise(len(real)))
        difference = GAN.discriminator_loss(self.D(real), self.D(fake.detach()))
        penalty = gradient_penalty(self.D, real, fake)
        critic.zero_grad()
        (difference + LAMBDA * penalty).backward()
        critic.step()
        losses = {"distance": -difference.item(), "penalty": penalty.item()}
        if (step + 1) % CRITIC_STEPS:
            return losses

        # min_G  -E D(G(z)), after every few steps of the critic (algorithm 1)
        loss_g = GAN.generator_loss(self.D(fake))
        generator.zero_grad()
        loss_g.backward()
        generator.step()
        return losses


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=5000)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--data", default="shapes")
    parser.add_argument("--out", type=Path, default=Path("example-wgan-gp"))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    root = Path(given.data)
    if given.data == "shapes":  # scenes
        root = render_set(given.out / f"shapes-{given.size}", view="unpaired", size=given.size) / "trainA"
    elif not root.is_dir():
        parser.error(f"--data {root}: no such folder")
    sources = unlabelled(root).splits["train"].sources
    decoding, cropping = Decoding(channels=3, side=given.size), Cropping(given.size)
    loader = Loader([sources], Plain, decoding, cropping, batch_size=BATCH)
    torch.manual_seed(0)
    model = WGAN(given.size).to(given.device)
    optimizers = model.optimizers()
    shown = model.noise(8 * 8).split(8)
    for step, batch in zip(range(given.steps), loader.stream(), strict=False):
        losses = model.step(to_float(batch.images.to(given.device)), step, *optimizers)
        if step % 50 == 0:
            print(step, {name: round(loss, 4) for name, loss in losses.items()}, flush=True)

    with torch.no_grad():
        columns = {f"sample {number}": model.eval().G(codes) for number, codes in enumerate(shown, start=1)}
    save_grid(given.out / "samples.png", {"real": to_float(batch.images[:8]), **columns})


if __name__ == "__main__":
    main()
