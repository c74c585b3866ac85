"""StackGAN: two stages, their sizes and conditions."""

import pytest
import torch
from tiny_samplers import SPEC, batch_of, losses_of, model_of
from torch import nn

from translate.errors import ConfigurationError
from translate.losses import gaussian
from translate.models.base import ImageSpec
from translate.models.stackgan import StackGAN


@pytest.mark.parametrize("joint", [True, False])
def test_the_second_stage_moves_the_first_only_where_both_are_joint(joint):
    model, batch = model_of(StackGAN, joint=joint), batch_of(StackGAN)
    losses = losses_of(model, "generators", batch, model.generate(batch))
    first = list(model.generator_one.parameters())
    gradients = torch.autograd.grad(losses["adversarial/two"], first, allow_unused=True)
    assert (gradients[0] is not None) == joint


def test_stages_are_judged_at_their_own_sizes():
    model, batch = model_of(StackGAN), batch_of(StackGAN)
    seen = []
    for network in (model.discriminator_one, model.discriminator_two):
        network.register_forward_pre_hook(lambda module, inputs: seen.append(inputs[0]))
    fakes = model.generate(batch)
    assert fakes["small"].shape == (4, 3, 8, 8) and fakes["large"].shape == (4, 3, 16, 16)
    losses_of(model, "discriminators", batch, fakes)
    assert [images.shape[-1] for images in seen] == [8, 8, 8, 16, 16, 16]
    torch.testing.assert_close(seen[0], nn.functional.avg_pool2d(batch.images, 2))


def test_conditions_are_drawn_anew_and_their_divergence_is_paid_for_both_stages():
    model, batch = model_of(StackGAN, kl=2.0), batch_of(StackGAN)
    losses = losses_of(model, "generators", batch, model.generate(batch))
    conditions = (model.generator_one_condition, model.generator_two_condition)
    expected = sum(gaussian.kl_to_standard(*condition(batch.labels)).mean() for condition in conditions)
    torch.testing.assert_close(losses["kl"], 2 * expected / model.config.condition)


@pytest.mark.parametrize(("size", "enlargement"), [(16, 8), (8, 4), (20, 2)])
def test_a_first_stage_that_is_too_small_is_refused(size, enlargement):
    spec = ImageSpec(1, size, SPEC.domains, SPEC.groups)
    with pytest.raises(ConfigurationError, match=f"data.size is {size}"):
        model_of(StackGAN, spec, enlargement=enlargement)


def test_stackgans_divergence_is_weighed_per_number_of_the_condition():
    """Summed over the numbers it would cost more than telling ten classes apart is worth, and labels be ignored."""
    model, batch = model_of(StackGAN), batch_of(StackGAN)
    fakes = model.generate(batch)
    losses = losses_of(model, "generators", batch, fakes)
    width = model.config.condition
    torch.testing.assert_close(losses["kl"], 2.0 * fakes["kl"].mean() / width)
    wider = model_of(StackGAN, kl=6.0)
    torch.testing.assert_close(losses_of(wider, "generators", batch, fakes)["kl"], 6.0 * fakes["kl"].mean() / width)
