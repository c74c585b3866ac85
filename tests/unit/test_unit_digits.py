"""UNIT on digits: what each weight of its recipe adds, and to whom."""

import pytest
import torch
from tiny import TINY, random_batch, tiny_model
from torch import nn

BARE = {**TINY["unit-digits"], "translated": 0}


def _turn(model, trains_generators):
    (turn,) = [turn for turn in model.turns() if turn.trains_generators is trains_generators]
    return turn


def _losses(model, fakes, trains_generators=False):
    """Of the same dice at every call."""
    torch.manual_seed(7)
    return _turn(model, trains_generators).losses(random_batch(model), fakes)


def _model(**settings):
    model = tiny_model("unit-digits", settings={**BARE, **settings}).train()
    return model, model.generate(random_batch(model))


def test_the_cycle_is_the_squared_distance_of_what_comes_back():
    model, fakes = _model(cycle=2)
    batch = random_batch(model)
    found = _losses(model, fakes, trains_generators=True)["cycle"]
    torch.manual_seed(7)
    b, a = model.autoencoders.swap(fakes["ba"], fakes["ab"])
    wanted = 2 * ((a - batch.a).double().square().sum() + (b - batch.b).double().square().sum()) / 4
    assert found.item() == pytest.approx(wanted.item(), rel=1e-5)
    assert "cycle" not in _losses(*_model(), trains_generators=True)


def test_a_swap_draws_each_image_in_the_other_domain():
    """In evaluation images do not see each other, and without noise there are no dice."""
    model, _ = _model()
    coders, batch = model.autoencoders.eval(), random_batch(model)
    with torch.no_grad():
        coders.code.deviation.bias.fill_(-1e4)
        as_b, as_a = coders.swap(batch.a, batch.b)
        assert torch.allclose(as_b, coders.translate(batch.a, 0, 1), atol=1e-6)
        assert torch.allclose(as_a, coders.translate(batch.b, 1, 0), atol=1e-6)


def test_what_is_painted_is_named_by_where_it_comes_from_and_where_it_goes():
    model, batch = _model()[0].eval(), random_batch(tiny_model("unit-digits"))
    coders = model.autoencoders
    with torch.no_grad():
        for weight in coders.parameters():  # at first all that is decoded is grey
            if weight.dim() == 4:
                nn.init.kaiming_normal_(weight)
        coders.code.deviation.bias.fill_(-1e4)  # no noise
        fakes = model.generate(batch)
        for name, images in (("aa", batch.a), ("ab", batch.a), ("ba", batch.b), ("bb", batch.b)):
            own, other = ("ab".index(domain) for domain in name)
            torch.testing.assert_close(fakes[name], coders.translate(images, own, other), rtol=0, atol=1e-5)
    names = ("aa", "ab", "ba", "bb")
    assert all((fakes[one] - fakes[two]).abs().max() > 1e-3 for one in names for two in names if one < two)


@pytest.mark.parametrize(("judged", "counts"), [("all", True), ("translations", False)])
@pytest.mark.parametrize("trains_generators", [False, True], ids=["discriminators", "autoencoders"])
def test_what_is_decoded_into_its_own_domain_is_judged_where_that_is_wanted(judged, counts, trains_generators):
    model, fakes = _model(judged=judged, features=0)
    others = {**fakes, "aa": fakes["aa"] * 0.5, "bb": fakes["bb"] * 0.5}
    found = [_losses(model, images, trains_generators)["adversarial"].item() for images in (fakes, others)]
    assert (found[0] != found[1]) is counts


def test_content_is_the_squared_distance_of_images_to_their_translations():
    model, fakes = _model(content=2)
    batch = random_batch(model)
    squares = [(fakes[to] - images).double().square().sum() for to, images in (("ab", batch.a), ("ba", batch.b))]
    wanted = 2 * sum(squares)
    found = _losses(model, fakes, trains_generators=True)["content"]
    assert found.item() == pytest.approx(wanted.item() / 4, rel=1e-5)
    assert "content" not in _losses(*_model(), trains_generators=True)


def test_the_classifier_learns_the_labels_of_translations_of_the_source_alone():
    """The classes are read off b's likenesses of a, by b's reading; those of a's likenesses of b have no labels."""
    model, fakes = _model(translated=1)
    name = "classification/translated"

    def read(**others):
        return _losses(model, {**fakes, **others})[name].item()

    assert read() == read(ba=-fakes["ba"], aa=-fakes["aa"], bb=-fakes["bb"]) != read(ab=-fakes["ab"])
    assert name not in _losses(*_model()) and name not in _losses(model, fakes, trains_generators=True)


def test_translations_keep_the_source_s_labels_and_what_is_read_in_the_target():
    """Without dropout: cross-entropy to the label for a drawn as b, to the softmax of a's reading for b drawn as a."""
    model, fakes = _model(semantic=3)
    batch, judges = random_batch(model), model.discriminators.eval()
    fakes = {**fakes, "ab": -batch.a, "ba": -batch.b}  # at first all are grey
    read_ab, read_ba = judges(fakes["ab"], 1)[1].double(), judges(fakes["ba"], 0)[1].double()
    shares = judges(batch.b, 0)[1].double().softmax(1)
    wanted = -(batch.labels * read_ab.log_softmax(1)).sum(1) - (shares * read_ba.log_softmax(1)).sum(1)
    found = _losses(model, fakes, trains_generators=True)["semantic"]
    assert found.item() == pytest.approx(3 * wanted.mean().item(), rel=1e-5)
    assert "semantic" not in _losses(model, fakes)  # the classifier is not moved towards the translations


def test_what_is_read_in_the_target_is_a_label_and_has_no_gradient():
    model, _ = _model(semantic=1)
    labels = model.pseudo_labels(random_batch(model).b.requires_grad_())
    assert not labels.requires_grad and torch.allclose(labels.sum(1), torch.ones(len(labels)))


def test_the_target_s_own_layer_learns_to_read_the_source_where_that_is_wanted():
    for both_layers in (False, True):
        model, fakes = _model(both_layers=both_layers, adversarial_weight=1e-9, features=0)
        losses = _losses(model, fakes)
        sum(loss for name, loss in losses.items() if name.startswith("classification")).backward()
        moved = [front.layer.conv.weight.grad is not None for front in model.discriminators.fronts]
        assert moved == [True, both_layers]


def test_domains_that_start_alike_translate_and_read_alike():
    def differ(alike):
        model, _ = _model(alike=alike)
        model.eval()
        images = random_batch(model).a
        drawn = [model.autoencoders.translate(images, 0, other) for other in (0, 1)]
        read = [model.classify(images, domain) for domain in (0, 1)]
        return [not torch.equal(*pair) for pair in (drawn, read)]

    assert differ(alike=False) == [True, True] and differ(alike=True) == [False, False]


def test_a_classifier_of_the_source_alone_reads_the_target_by_the_layer_that_learnt():
    model, _ = _model(adversarial_weight=0)
    images = random_batch(model).b
    assert torch.equal(model.classify(images, 1), model.classify(images, 0))
    assert not torch.equal(*(_model()[0].classify(images, domain) for domain in (0, 1)))
