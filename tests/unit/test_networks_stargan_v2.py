"""StarGAN v2's networks: published parameter counts, and the outputs of the published code."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from translate.errors import ConfigurationError
from translate.losses.adversarial import OBJECTIVES, r1_penalty
from translate.networks.foreign_file import read_state
from translate.networks.foreign_stargan_v2 import fill
from translate.networks.stargan_v2 import (
    DomainDiscriminator,
    FunnelSettings,
    MappingNetwork,
    StyledGenerator,
    StyleEncoder,
)

GOLDEN = Path(__file__).parents[3] / "shared" / "golden" / "second"
golden = pytest.mark.skipif(not GOLDEN.is_dir(), reason=f"no golden outputs at {GOLDEN}")
SMALL_FUNNEL = {"filters": 4, "widest": 16, "layers": 4}


def arrays(name: str) -> dict[str, Tensor]:
    with np.load(GOLDEN / f"starganv2_{name}.npz") as held:
        return {key: torch.from_numpy(held[key]) for key in held.files}


def filled(network: nn.Module, name: str, parameters: int) -> nn.Module:
    assert sum(weight.numel() for weight in network.parameters()) == parameters
    fill(network, read_state(GOLDEN / f"starganv2_{name}.pth"))
    return network.eval()


def apart(found: Tensor, wanted: Tensor) -> float:
    return float((found - wanted).detach().abs().max())


def test_parameters_are_as_many_as_published() -> None:
    """At 256 px with two domains; the mapping network also with three."""
    with torch.device("meta"):
        networks = {
            StyledGenerator(3, 64): 33_892_995,
            MappingNetwork(64, 2): 2_438_272,
            MappingNetwork(64, 3): 3_259_072,
            StyleEncoder(3, 64, 2, 256): 20_916_928,
            DomainDiscriminator(3, 2, 256): 20_852_290,
        }
    for network, parameters in networks.items():
        assert sum(weight.numel() for weight in network.parameters()) == parameters, type(network).__name__


@golden
@torch.no_grad()
def test_the_generator_gives_the_published_outputs() -> None:
    held = arrays("generator")
    network = filled(StyledGenerator(3, 8, filters=4, widest=16, downsamplings=2), "generator", 25_371)
    # Values reach 9: 1e-5 of the largest.
    assert apart(network(held["input"], held["style"]), held["output_eval"]) < 1e-5 * held["output_eval"].abs().max()


@golden
@torch.no_grad()
def test_the_mapping_network_gives_the_published_styles() -> None:
    held = arrays("mapping")
    styles = filled(MappingNetwork(8, 3, latent=4, hidden=16), "mapping", 3_752)(held["latent"])
    assert apart(styles[torch.arange(3), held["domain"]], held["style"]) < 1e-5


@golden
@torch.no_grad()
def test_the_style_encoder_gives_the_published_styles() -> None:
    held = arrays("style_encoder")
    styles = filled(StyleEncoder(3, 8, 3, 64, **SMALL_FUNNEL), "style_encoder", 16_268)(held["input"])
    assert apart(styles[torch.arange(3), held["domain"]], held["style"]) < 1e-5


@golden
def test_the_discriminator_gives_the_published_scores_losses_and_penalty() -> None:
    held = arrays("discriminator")
    network, loss = filled(DomainDiscriminator(3, 3, 64, **SMALL_FUNNEL), "discriminator", 15_911), OBJECTIVES
    scores = network(held["input"])
    picked = scores[torch.arange(3), held["domain"]]
    assert apart(scores, held["score_all_domains"]) < 1e-5
    assert apart(picked, held["score"]) < 1e-5
    of_both = loss["nonsaturating"].discriminator_loss(picked, picked)
    assert apart(of_both, held["loss_real"] + held["loss_fake"]) < 1e-5
    r1 = r1_penalty(lambda images: network(images)[torch.arange(3), held["domain"]], held["input"])
    assert apart(r1, held["r1"]) < 1e-5


def test_a_style_changes_what_is_made_and_a_zero_style_is_an_instance_norm() -> None:
    torch.manual_seed(0)
    network = StyledGenerator(3, 4, filters=4, widest=8, downsamplings=1, blocks=1)
    images, styles = torch.rand(2, 3, 8, 12), torch.randn(2, 4)
    assert not torch.equal(network(images, styles), network(images, -styles))
    norm = network.decode[0].norm1
    nn.init.zeros_(norm.fc.weight), nn.init.zeros_(norm.fc.bias)
    features = torch.randn(2, 8, 4, 6)
    assert apart(norm(features, styles), nn.functional.instance_norm(features)) < 1e-5


def test_a_size_that_cannot_be_halved_so_often_is_refused_by_name() -> None:
    with pytest.raises(ConfigurationError, match=r"data\.size is 48, and style encoders of 5 layers take mult"):
        FunnelSettings(layers=5).encoder(3, 8, 2, 48)
    with pytest.raises(ValueError, match="takes images of 16x16, not 16x24"):
        StyleEncoder(3, 4, 2, 16, filters=4, layers=2)(torch.zeros(1, 3, 16, 24))
