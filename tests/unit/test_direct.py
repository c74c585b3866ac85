"""Direct translation: what keeps the output near the input, by pixels and by an encoder."""

import pytest
import torch
from tiny import SIZE, TINY, random_batch, tiny_model, tiny_trainer
from torchvision.models import resnet18

from translate.data.batch import Unpaired
from translate.errors import ConfigurationError


def _losses(settings, size=SIZE):
    model = tiny_model("direct", settings={**TINY["direct"], **settings})
    batch = Unpaired(torch.rand(2, 3, size, size), torch.rand(2, 3, size, size))
    fakes = model.generate(batch)
    (turn,) = [turn for turn in model.turns() if turn.trains_generators]
    return model, batch, fakes, turn.losses(batch, fakes)


def test_pixels_are_compared_by_their_mean_absolute_difference():
    _, batch, fakes, losses = _losses({"content": "pixels", "content_weight": 3})
    assert float(losses["content"]) == pytest.approx(3 * float((fakes["b"] - batch.a).abs().mean()), rel=1e-5)


def test_an_encoder_in_a_file_compares_instead_and_is_not_trained(tmp_path):
    torch.manual_seed(0)
    encoder = resnet18(weights=None, num_classes=2)
    torch.save(encoder.state_dict(), tmp_path / "encoder.pth")
    settings = {"content": "encoder", "encoder_weights": str(tmp_path / "encoder.pth")}
    model, _, fakes, losses = _losses(settings, size=64)
    (gradient,) = torch.autograd.grad(losses["content"], fakes["b"])
    assert losses["content"] > 0 and gradient.abs().max() > 0
    assert not any(weight.numel() == 512 * 2 for weight in model.parameters())


def test_a_model_with_an_encoder_converts_where_its_file_is_not():
    model = tiny_model("direct", settings={**TINY["direct"], "content": "encoder", "encoder_weights": "nowhere.pth"})
    assert model.convert(torch.zeros(1, 3, SIZE, SIZE), 1).shape == (1, 3, SIZE, SIZE)
    with pytest.raises(ConfigurationError, match=r"model\.encoder_weights: no weights at nowhere\.pth"):
        tiny_trainer(model)


def test_without_content_the_output_leaves_the_input_and_with_it_stays():
    def distance(weight):
        model = tiny_model("direct", settings={**TINY["direct"], "content_weight": weight})
        trainer = tiny_trainer(model, lr=3e-3)
        for step in range(60):
            trainer.step(random_batch(model, seed=step))
        with torch.no_grad():
            images = random_batch(model, size=8, seed=999).a
            return float((model.convert(images, 1) - images).abs().mean())

    assert distance(50.0) < 0.8 * distance(0.0)
