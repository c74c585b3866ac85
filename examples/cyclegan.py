"""CycleGAN (Zhu et al. 2017) as a bare loop: two generators that undo each other, learnt from unpaired images.

python examples/cyclegan.py --data DATA writes samples.png; DATA is `shapes`, or has trainA/ trainB/ testA/ testB/.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss
from torch.optim import Adam

from translate.data.batch import Unpaired
from translate.data.crops import Cropping
from translate.data.decoding import Decoding
from translate.data.io.images import to_float
from translate.data.layouts.folders import open_folder
from translate.data.loader import Loader, evaluation_batches
from translate.data.synthetic.shapes import render_set
from translate.losses.adversarial import OBJECTIVES
from translate.losses.image_pool import ImagePool
from translate.networks import PatchDiscriminator, ResnetGenerator, initialise
from translate.reporting.grids import save_grid

GAN = OBJECTIVES["lsgan"]
CYCLE = 2.0  # the paper's 10 suits photos; where domains are alike, it holds small networks at their input for long
BATCH, RATE, BETAS = 4, 5e-4, (0.5, 0.999)


class CycleGAN(nn.Module):
    """Generators F: b -> a and G: a -> b, a discriminator of each domain, and the fakes that it is shown again."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.F, self.G = (ResnetGenerator(3, 3, filters=16, blocks=3, downsamplings=1, residual=True) for _ in "FG")
        self.D_a, self.D_b = (PatchDiscriminator(3, filters=32, layers=2) for _ in "ab")
        self.pool_a, self.pool_b = (ImagePool(50, 3, size) for _ in "ab")
        initialise(self)  # N(0, 0.02)
        for generator in (self.F, self.G):
            nn.init.zeros_(generator.head.weight)  # it learns the change to its input, and starts from none

    def optimizers(self) -> list[Adam]:
        players = (self.F, self.G), (self.D_a, self.D_b)
        return [Adam(nn.ModuleList(networks).parameters(), lr=RATE, betas=BETAS) for networks in players]

    def step(self, a: Tensor, b: Tensor, generators: Adam, discriminators: Adam) -> dict[str, float]:
        """Takes one step on images (batch, 3, size, size) in [-1, 1]; returns the losses."""
        # L(G, F) = GAN(G, D_b) + GAN(F, D_a) + CYCLE (E |F(G(a)) - a| + E |G(F(b)) - b|)   (equation 3)
        fake_a, fake_b = self.F(b), self.G(a)
        loss_g = GAN.generator_loss(self.D_a(fake_a)) + GAN.generator_loss(self.D_b(fake_b))
        cycle = l1_loss(self.F(fake_b), a) + l1_loss(self.G(fake_a), b)
        generators.zero_grad()
        (loss_g + CYCLE * cycle).backward()
        generators.step()
        # The discriminators are shown fakes of now and of earlier steps (section 4).
        shown_a, shown_b = self.D_a(self.pool_a.exchange(fake_a)), self.D_b(self.pool_b.exchange(fake_b))
        loss_d = GAN.discriminator_loss(self.D_a(a), shown_a) + GAN.discriminator_loss(self.D_b(b), shown_b)
        discriminators.zero_grad()
        loss_d.backward()
        discriminators.step()
        return {"generators": loss_g.item(), "cycle": cycle.item(), "discriminators": loss_d.item()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--data", default="shapes")
    parser.add_argument("--out", type=Path, default=Path("example-cyclegan"))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()
    root = Path(given.data)
    if given.data == "shapes":  # scenes in two styles
        root = render_set(given.out / f"shapes-{given.size}", view="unpaired", size=given.size)
    elif not root.is_dir():
        parser.error(f"--data {root}: no such folder")
    split = open_folder(root, wanted="unpaired").splits
    decoding, cropping = Decoding(channels=3, side=given.size), Cropping(given.size)
    loader = Loader(split["train"], Unpaired, decoding, cropping, batch_size=BATCH)
    torch.manual_seed(0)
    model = CycleGAN(given.size).to(given.device)
    optimizers = model.optimizers()
    for step, batch in zip(range(given.steps), loader.stream(), strict=False):
        for optimizer in optimizers:  # the rate stays for half of the steps, then falls to 0 (section 4)
            optimizer.param_groups[0]["lr"] = RATE * min(1.0, 2 - 2 * step / given.steps)
        batch = batch.map(lambda pixels: to_float(pixels.to(given.device)))
        losses = model.step(*batch.tensors(), *optimizers)
        if step % 50 == 0:
            print(step, {name: round(loss, 4) for name, loss in losses.items()}, flush=True)
    test = next(evaluation_batches(split["test"], Unpaired, decoding, batch_size=8))
    a, b = test.map(lambda pixels: to_float(pixels.to(given.device))).tensors()
    with torch.no_grad():
        to_b, to_a = model.eval().G(a), model.F(b)
        columns = {"a": a, "G(a)": to_b, "F(G(a))": model.F(to_b), "b": b, "F(b)": to_a, "G(F(b))": model.G(to_a)}
    save_grid(given.out / "samples.png", columns)


if __name__ == "__main__":
    main()
