"""How well a model with styles does from every domain to every other: whether translations are of the wanted domain,
and how much those of one picture differ, in styles of random numbers (latent) and in those of references."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations, permutations

import torch
from torch import Tensor

from translate.evaluation.classifier_errors import ClassifierErrors, asking
from translate.evaluation.classifier_training import Trained
from translate.evaluation.intervals import bootstrap_mean
from translate.evaluation.table import Protocol, Score, score
from translate.models.base import Request, Style, Translator
from translate.training.runtime import Runtime

DRAWS = 5
"""Styles of each picture; the protocol as published has 10."""
MOST = 64
"""The most test pictures of a domain that are translated, evenly spaced."""
BATCH = 32


@torch.no_grad()
def evaluate_styles(
    model: Translator,
    of_domain: Sequence[Tensor],
    domains: Sequence[str],
    trained: Trained,
    runtime: Runtime,
    protocol: Protocol,
    delivered: Callable[[Tensor], Tensor] = lambda images: images,
) -> list[Score]:
    """Scores from every domain to every other, in rows "a to b, latent" and "a to b, reference". `of_domain`: test
    images (images, channels, height, width) in [-1, 1] of each domain; those of the target are the references, too.
    `delivered`: translations as they are read again from their files."""
    classifier, errors, scores = trained.classifier, ClassifierErrors.of(trained), []
    how = {**protocol, **trained.protocol, "styles": f"{DRAWS} of each picture"}
    inputs = [_spread(images, MOST).to(runtime.device) for images in of_domain]
    read = [classifier.predict(images).float() for images in inputs]
    features = [classifier.features(images) for images in inputs]
    for origin, to in permutations(range(len(domains)), 2):
        references = _spread(inputs[to], DRAWS)
        with runtime.autocast():
            ways = {
                "latent": [model.drawn_style(seed, to) for seed in range(DRAWS)],
                "reference": [model.read_style(one, to, "a reference") for one in references.split(1)],
            }
        for way, styles in ways.items():
            made = [delivered(_translated(model, inputs[origin], to, style, runtime)) for style in styles]
            # Of each picture the share: its translations in several styles are no independent trials.
            hits = torch.stack([classifier.predict(images)[:, to].double().cpu() for images in made]).mean(0)
            asked = asking(torch.full((len(hits),), to), len(domains))
            apart = bootstrap_mean(spread([classifier.features(images) for images in made]).double().cpu())
            row = f"{domains[origin]} to {domains[to]}, {way}"
            scores += [
                score(
                    "domain_accuracy",
                    row,
                    errors.allowing(bootstrap_mean(hits), asked).times(100),
                    floor={"inputs": 100 * float(read[origin][:, to].mean())},
                    ceiling={"real test images": 100 * float(read[to][:, to].mean())},
                    protocol=how,
                ),
                score(
                    "style_spread",
                    row,
                    replace(apart, warning=errors.warning),
                    floor={"one style": 0.0},
                    ceiling={"between real test images": float(spread(list(features[to].split(1))).mean())},
                    protocol=how,
                ),
            ]
    return scores


def spread(draws: Sequence[Tensor]) -> Tensor:
    """The mean distance between two of several draws of features, each (images, features), for each image."""
    return torch.stack([(one - two).norm(dim=1) for one, two in combinations(draws, 2)]).mean(0)


def _translated(model: Translator, images: Tensor, to: int, style: Style, runtime: Runtime) -> Tensor:
    request = Request.to(to).in_style(style)
    with runtime.autocast():
        made = [model.translate(runtime.layout(some), request).float() for some in images.split(BATCH)]
    return torch.cat(made)


def _spread(images: Tensor, most: int) -> Tensor:
    """At most so many of the images, evenly spaced."""
    return images[torch.linspace(0, len(images) - 1, min(most, len(images))).round().long().to(images.device)]
