"""Who knows styles takes them, and who knows none refuses them by name."""

from itertools import combinations

import pytest
import torch
from tiny import SPEC, SPECS, random_batch, tiny_model

from translate.errors import ConfigurationError
from translate.models import MODELS
from translate.models.base import Request, Style, Translator

TRANSLATORS = [name for name, kind in MODELS.items() if issubclass(kind, Translator)]
STYLED = [name for name in TRANSLATORS if MODELS[name].styled]


@pytest.mark.parametrize("name", [name for name in TRANSLATORS if name not in STYLED])
def test_a_model_without_styles_refuses_them_by_name(name):
    model = tiny_model(name)
    domains = SPECS.get(model.batch_type, SPEC).domains
    request = Request.to(model.targets()[0]).in_style(Style((0.0,), "seed:7"))
    with pytest.raises(ConfigurationError, match=r"--style seed:7: this model knows no styles: .*leave --style out"):
        model.require(request, domains)
    for asked in (lambda: model.drawn_style(7, 0), lambda: model.read_style(torch.zeros(1, 3, 16, 16), 0, "seed:7")):
        with pytest.raises(ConfigurationError, match="--style seed:7: this model knows no styles"):
            asked()


@pytest.mark.parametrize("name", STYLED)
def test_a_model_with_styles_gives_each_request_its_own(name):
    model = tiny_model(name)
    image, mode = random_batch(model, size=1).tensors()[0], model.training
    for to in model.targets():
        styles = [model.drawn_style(1, to), model.drawn_style(2, to)]
        if name == "oasis":
            with pytest.raises(ConfigurationError, match=r"--style that: .* give --style seed:7"):
                model.read_style(image, to, "that")
        else:
            styles.append(model.read_style(image, to, "that"))
        requests = [Request.to(to).in_style(style) for style in styles]
        for request in requests:
            model.require(request, SPECS[model.batch_type].domains)
        made = [model.translate(image, request) for request in requests]
        assert all(not torch.equal(one, other) for one, other in combinations(made, 2))
        assert model.drawn_style(1, to) == styles[0]
    assert model.training == mode
