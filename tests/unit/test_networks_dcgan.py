"""DCGAN's, the perceptrons' and StackGAN's networks: published counts, shapes, and that labels are looked at."""

import math

import pytest
import torch

from translate.networks.blocks import initialise
from translate.networks.dcgan import DCGANDiscriminator, DCGANGenerator, beside
from translate.networks.mlp import MLPDiscriminator, MLPGenerator
from translate.networks.stackgan import ConditioningAugmentation, StageTwoGenerator


def _count(network):
    return sum(weight.numel() for weight in network.parameters())


def test_the_published_networks_have_their_published_number_of_weights():
    """As PyTorch's DCGAN example prints them, for 64 px, 100 numbers of noise and 64 filters."""
    assert _count(DCGANGenerator(100, 3, 64)) == 3_576_704
    assert _count(DCGANDiscriminator(3, 64)) == 2_765_568


def test_filters_halve_as_the_size_doubles_and_stop_at_eight_fold():
    def widths(network):
        return [stage.conv.out_channels for stage in [network.project, *network.up]]

    assert widths(DCGANGenerator(4, 1, 32, filters=2)) == [8, 4, 2]
    assert widths(DCGANGenerator(4, 1, 64, filters=2)) == [16, 8, 4, 2]
    assert widths(DCGANGenerator(4, 1, 256, filters=2)) == [16, 16, 16, 8, 4, 2]


@pytest.mark.parametrize("size", [8, 16, 32, 64])
@pytest.mark.parametrize("normalisation", ["batch", "none", "instance"])
def test_dcgan_shapes(size, normalisation):
    generator = DCGANGenerator(5, 3, size, filters=2, normalisation=normalisation)
    images = generator(torch.randn(2, 5))
    assert images.shape == (2, 3, size, size)
    assert images.abs().max() <= 1
    assert DCGANDiscriminator(3, size, 0, 7, filters=2, normalisation=normalisation)(images).shape == (2, 7)
    labels = torch.eye(4)[:2]
    assert DCGANDiscriminator(3, size, 4, 1, filters=2, normalisation=normalisation)(images, labels).shape == (2, 1)


@pytest.mark.parametrize("size", [4, 28, 0, 48])
def test_a_size_that_is_no_power_of_two_is_refused(size):
    with pytest.raises(ValueError, match=f"not {size}"):
        DCGANGenerator(5, 3, size)
    with pytest.raises(ValueError, match=f"not {size}"):
        DCGANDiscriminator(3, size)


def test_batch_norm_stands_everywhere_but_before_the_ends():
    generator, discriminator = DCGANGenerator(5, 3, 32, filters=2), DCGANDiscriminator(3, 32, filters=2)
    norms = [type(stage.norm).__name__ for stage in [generator.project, *generator.up]]
    assert norms == ["BatchNorm2d"] * 3
    assert [type(stage.norm).__name__ for stage in discriminator.down] == ["Identity", "BatchNorm2d", "BatchNorm2d"]
    assert not any(name.endswith("conv.bias") for name, _ in generator.named_parameters())
    without = DCGANDiscriminator(3, 32, filters=2, normalisation="none")
    assert all(stage.conv.bias is not None for stage in without.down)


def test_weights_start_as_published():
    torch.manual_seed(0)
    generator = DCGANGenerator(100, 3, 64)
    initialise(generator)
    assert generator.up[0].conv.weight.std().item() == pytest.approx(0.02, rel=0.01)
    assert generator.up[0].norm.weight.mean().item() == pytest.approx(1, abs=0.01)


def test_a_generator_is_the_tanh_of_what_it_says_unbounded():
    for generator in (DCGANGenerator(5, 1, 16, filters=2), MLPGenerator(5, 1, 16, width=8, layers=2)):
        generator.eval()
        code = torch.randn(3, 5, generator=torch.Generator().manual_seed(0))
        unbounded = generator.unbounded(code)
        assert torch.equal(generator(code), torch.tanh(unbounded))
        # The odds of a white pixel, as a Bernoulli decoder takes them.
        torch.testing.assert_close((1 + generator(code)) / 2, torch.sigmoid(2 * unbounded))


@pytest.mark.parametrize("make", [DCGANDiscriminator, MLPDiscriminator])
def test_discriminators_look_at_labels_and_batches_of_one_do(make):
    torch.manual_seed(0)
    discriminator = make(1, 16, labels=3).eval()
    image = torch.randn(1, 1, 16, 16)
    scores = torch.cat([discriminator(image, label[None]) for label in torch.eye(3)])
    assert len(scores.unique()) == 3


def test_labels_become_planes_beside_the_features():
    joined = beside(torch.zeros(2, 1, 3, 4), torch.tensor([[1.0, 0.0], [0.0, 5.0]]))
    assert joined.shape == (2, 3, 3, 4)
    assert (joined[0, 1] == 1).all() and (joined[1, 2] == 5).all() and joined.sum() == 12 * 6


def test_perceptrons_have_the_layers_asked_for():
    assert _count(MLPGenerator(2, 2, 1, width=8, layers=2)) == (2 * 8 + 8) + (8 * 8 + 8) + (8 * 2 + 2)
    assert _count(MLPDiscriminator(1, 28, width=500, layers=1)) == (784 * 500 + 500) + 501
    assert _count(MLPDiscriminator(2, 1, outputs=3, layers=0)) == 2 * 3 + 3
    assert MLPGenerator(4, 3, 5)(torch.randn(2, 4)).shape == (2, 3, 5, 5)


@pytest.mark.parametrize(("small", "size"), [(8, 16), (8, 32), (16, 64), (64, 256)])
def test_the_second_stage_enlarges(small, size):
    network = StageTwoGenerator(1, 3, small, size, filters=4, residual_blocks=1)
    assert network(torch.zeros(2, 1, small, small), torch.randn(2, 3)).shape == (2, 1, size, size)
    assert len(network.up) == math.log2(size // small) + 2


@pytest.mark.parametrize(("small", "size"), [(16, 16), (16, 48), (6, 24), (32, 16)])
def test_a_second_stage_that_does_not_enlarge_by_a_power_of_two_is_refused(small, size):
    with pytest.raises(ValueError, match="times"):
        StageTwoGenerator(1, 3, small, size)


def test_the_second_stage_reads_both_the_image_and_the_code():
    torch.manual_seed(0)
    network = StageTwoGenerator(1, 3, 8, 16, filters=4, residual_blocks=1).eval()
    image, code = torch.rand(1, 1, 8, 8), torch.randn(1, 3)
    fakes = network(image, code)
    assert not torch.equal(fakes, network(-image, code))
    assert not torch.equal(fakes, network(image, -code))


def test_conditions_are_linear_in_the_label():
    condition = ConditioningAugmentation(3, 5)
    mean, log_variance = condition(torch.eye(3))
    assert mean.shape == log_variance.shape == (3, 5)
    assert torch.equal(torch.cat([mean, log_variance], 1), condition.linear.weight.T + condition.linear.bias)
