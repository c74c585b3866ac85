"""pix2pix (Isola et al. 2017) as a bare loop: a conditional GAN that learns from pairs.

python examples/pix2pix.py --steps 1500 --size 64 --data shapes --out example-pix2pix

`--data` is `shapes`, which is rendered, or a folder of pairs. Writes OUT/samples.png.
"""

import argparse
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn.functional import l1_loss
from torch.optim import Adam

from translate.data.batch import Paired
from translate.data.crops import Cropping
from translate.data.decoding import Decoding
from translate.data.io.images import to_float
from translate.data.layouts.folders import open_folder
from translate.data.loader import Loader, evaluation_batches
from translate.data.synthetic.shapes import render_set
from translate.losses.adversarial import OBJECTIVES
from translate.networks import PatchDiscriminator, UNetGenerator, initialise
from translate.reporting.grids import save_grid

GAN = OBJECTIVES["nonsaturating"]
LAMBDA = 100.0  # weight of the distance to the target
BATCH, RATE, BETAS = 4, 2e-4, (0.5, 0.999)


class Pix2Pix(nn.Module):
    """Generator G: x -> y, with dropout as its noise; discriminator D, which looks at an image beside its input."""

    def __init__(self, size: int) -> None:
        super().__init__()
        levels = min(8, (size & -size).bit_length() - 1)  # halvings of `size`, down to one pixel if it is a power of 2
        self.G = UNetGenerator(3, 3, filters=16, levels=levels)
        self.D = PatchDiscriminator(3 + 3, filters=32, layers=2, normalisation="batch")
        initialise(self)  # N(0, 0.02)

    def optimizers(self) -> list[Adam]:
        return [Adam(network.parameters(), lr=RATE, betas=BETAS) for network in (self.D, self.G)]

    def step(self, x: Tensor, y: Tensor, discriminator: Adam, generator: Adam) -> dict[str, float]:
        """Takes one step on pairs (batch, 3, size, size) in [-1, 1]; returns the losses."""
        # max_D  E log D(x, y) + E log(1 - D(x, G(x)))   (equation 1)
        fake = self.G(x)
        real, shown = (torch.cat([x, image], 1) for image in (y, fake.detach()))
        loss_d = GAN.discriminator_loss(self.D(real), self.D(shown))
        discriminator.zero_grad()
        loss_d.backward()
        discriminator.step()

        # min_G  -E log D(x, G(x)) + LAMBDA E |y - G(x)|   (equation 4, and section 3.3)
        loss_g, distance = GAN.generator_loss(self.D(torch.cat([x, fake], 1))), l1_loss(fake, y)
        generator.zero_grad()
        (loss_g + LAMBDA * distance).backward()
        generator.step()
        return {"discriminator": loss_d.item(), "generator": loss_g.item(), "distance": distance.item()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=1500)
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--data", default="shapes")
    parser.add_argument("--out", type=Path, default=Path("example-pix2pix"))
    parser.add_argument("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    given = parser.parse_args()

    root = Path(given.data)
    if given.data == "shapes":  # scenes in two styles
        root = render_set(given.out / f"shapes-{given.size}", view="paired", size=given.size)
    elif not root.is_dir():
        parser.error(f"--data {root}: no such folder")
    split = open_folder(root, wanted="paired").splits
    decoding, cropping = Decoding(channels=3, side=given.size), Cropping(given.size)
    loader = Loader(split["train"], Paired, decoding, cropping, batch_size=BATCH)

    torch.manual_seed(0)
    model = Pix2Pix(given.size).to(given.device)
    optimizers = model.optimizers()
    for step, batch in zip(range(given.steps), loader.stream(), strict=False):
        batch = batch.map(lambda pixels: to_float(pixels.to(given.device)))
        losses = model.step(batch.input, batch.target, *optimizers)
        if step % 50 == 0:
            print(step, {name: round(loss, 4) for name, loss in losses.items()}, flush=True)

    test = next(evaluation_batches(split["test"], Paired, decoding, batch_size=8))
    x, y = test.map(lambda pixels: to_float(pixels.to(given.device))).tensors()
    with torch.no_grad():
        # In training mode, one image at a time: dropout is the noise, and batch norm has the image's own statistics.
        outputs = torch.cat([model.G(image) for image in x.split(1)])
    save_grid(given.out / "samples.png", {"x": x, "G(x)": outputs, "y": y})


if __name__ == "__main__":
    main()
