"""The relativistic objective with both penalties gives what R3GAN's release computes, on the golden batches."""

from collections import OrderedDict
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from translate.losses.adversarial import OBJECTIVES, r1_penalty, r2_penalty

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "second"
NETWORKS = {
    "linear": lambda: OrderedDict(flat=nn.Flatten(), head=nn.Linear(192, 1)),
    "conv": lambda: OrderedDict(conv1=nn.Conv2d(3, 6, 4, 2, 1), act=nn.LeakyReLU(0.2), conv2=nn.Conv2d(6, 1, 4)),
}

pytestmark = pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"no golden outputs at {GOLDEN}")


@pytest.mark.parametrize("objective", ["relativistic", "relativistic_means"])
@pytest.mark.parametrize("name", NETWORKS)
def test_losses_and_gradients_are_the_published_ones(name: str, objective: str) -> None:
    loss, network = OBJECTIVES[objective], nn.Sequential(NETWORKS[name]())
    network.load_state_dict(torch.load(GOLDEN / f"r3gan_{name}.pth", weights_only=True))
    with np.load(GOLDEN / f"r3gan_{name}.npz") as file:
        known = {key: torch.from_numpy(file[key]) for key in file.files}
    real, fake, gamma = known["real"], known["fake"].requires_grad_(), float(known["gamma"])

    penalties = gamma * (r1_penalty(network, real) + r2_penalty(network, fake))
    paid = loss.discriminator_loss(network(real), network(fake.detach())) + penalties
    paid.backward()
    assert paid.item() == pytest.approx(float(known["loss_discriminator"]), abs=1e-5)
    for key, weight in network.named_parameters():
        wanted = known[f"gradient_discriminator_{key}"]
        assert (weight.grad - wanted).abs().max() <= 1e-4 * max(float(wanted.abs().max()), 1e-3)

    paid = loss.generator_loss(network(fake), network(real).detach())
    (felt,) = torch.autograd.grad(paid, fake)
    assert paid.item() == pytest.approx(float(known["loss_generator"]), abs=1e-5)
    wanted = known["gradient_generator_fake"]
    assert (felt - wanted).abs().max() <= 1e-4 * float(wanted.abs().max())
