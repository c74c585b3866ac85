"""What stands for an image, and what is drawn for a code."""

import pytest
import torch
from tiny import SIZE, tiny_model

from translate.models import MODELS
from translate.models.base import Sampler


def test_an_images_code_is_the_mean_of_what_its_encoder_says():
    model = tiny_model("vae")
    images = torch.rand(5, 3, SIZE, SIZE) * 2 - 1
    mean, log_variance = model.posterior(images)
    assert torch.equal(model.encode(images), mean) and not torch.allclose(mean, log_variance)


@pytest.mark.parametrize("name", [name for name, kind in MODELS.items() if issubclass(kind, Sampler)])
def test_no_layer_draws_in_training_mode(name):
    """Batch norm would make a sample hang on its company."""
    model, modes = tiny_model(name).train(), []
    for layer in model.modules():
        layer.register_forward_pre_hook(lambda layer, inputs: modes.append(layer.training))
    with torch.no_grad():
        model.sample(3)
    assert modes and not any(modes)
