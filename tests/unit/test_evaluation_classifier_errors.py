"""What the classifier behind `translate evaluate` leaves of the shares it reads when it is often wrong itself."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch
from test_evaluate import RULER
from test_evaluation import ATTRIBUTES, STYLES, reader
from tiny import data_of

from translate.data.batch import SourceLabelled
from translate.evaluation.classifier_errors import ClassifierErrors, asking
from translate.evaluation.intervals import Estimate, wilson
from translate.evaluation.metrics import MEASURES
from translate.evaluation.spaces import classifier_space
from translate.evaluation.table import Score, as_text
from translate.models import MODELS
from translate.runs.evaluate import evaluate, write_scores
from translate.runs.train import train

MANY = 10**12
TO = asking(torch.tensor([1]), 2)


def errors_of(missed: tuple[int, int], mistaken: tuple[int, int], domains: int = 2) -> ClassifierErrors:
    """Wrong in so many, of so many, held-out images of each domain, and of those without it."""
    shares = (wilson(*counts) if counts[1] else Estimate(0.0, 0.0, 1.0, 0) for counts in (missed, mistaken))
    return ClassifierErrors(*((share,) * domains for share in shares), warning="")


@pytest.mark.parametrize(("missed", "mistaken"), [(0, 0), (0.02, 0.24), (0.24, 0.24), (0.1, 0.02)])
@pytest.mark.parametrize("share", [0.02, 0.3, 0.775, 1.0])
def test_the_interval_holds_the_share_that_is_as_wanted_however_wrong_the_judge(share, missed, mistaken):
    """150 translations, a classifier measured on 100 images with and 100 without the domain, drawn anew 300 times."""
    rng = np.random.default_rng(0)
    inside = plain = 0
    for _ in range(300):
        read = wilson(int(rng.binomial(150, share * (1 - missed) + (1 - share) * mistaken)), 150)
        counts = [(int(rng.binomial(100, rate)), 100) for rate in (missed, mistaken)]
        allowed = errors_of(*counts).allowing(read, TO)
        assert allowed.low <= read.low <= allowed.value == read.value <= read.high <= allowed.high
        inside += allowed.low <= share <= allowed.high
        plain += read.low <= share <= read.high
    assert inside >= 0.94 * 300
    if abs(share * missed - (1 - share) * mistaken) > 0.15:
        assert plain < 0.5 * 300, "Wilson's alone is about what was read"


def test_a_judge_that_never_errs_leaves_the_interval_alone():
    read = wilson(93, 120)
    allowed = errors_of((0, MANY), (0, MANY)).allowing(read, TO)
    assert (allowed.value, allowed.low, allowed.high) == pytest.approx((read.value, read.low, read.high), abs=1e-9)


def test_errors_that_are_known_exactly_move_the_ends_by_just_as_much():
    read, known = wilson(60, 120), errors_of((MANY // 10, MANY), (MANY // 5, MANY))
    allowed = known.allowing(read, TO)
    assert (allowed.low, allowed.high) == pytest.approx((read.low - 0.2, read.high + 0.1), abs=1e-5)
    # To be read as without a domain is to be missed where it is, and mistaken where it is not: the other way round.
    absent = known.allowing(read, asking(torch.tensor([1]), 2, 0.0))
    assert (absent.low, absent.high) == pytest.approx((read.low - 0.1, read.high + 0.2), abs=1e-5)
    # Of three readings one wants the domain: the mean of the errors, by how often each can happen.
    mixed = known.allowing(read, asking(torch.tensor([1, 0, 1]), 2, torch.tensor([1.0, 0.0, 0.0])))
    assert (mixed.low, mixed.high) == pytest.approx((read.low - 0.4 / 3, read.high + 0.5 / 3), abs=1e-5)


def test_rogan_and_gladens_share_lies_inside():
    """(read + specificity - 1) / (sensitivity + specificity - 1), of errors that are known exactly."""
    for missed, mistaken, share in [(0.1, 0.2, 0.7), (0.3, 0.05, 0.4), (0.0, 0.24, 0.9)]:
        read = share * (1 - missed) + (1 - share) * mistaken
        corrected = (read - mistaken) / (1 - missed - mistaken)
        exact = Estimate(read, read, read, MANY)
        found = errors_of((round(missed * MANY), MANY), (round(mistaken * MANY), MANY)).allowing(exact, TO)
        assert corrected == pytest.approx(share) and found.low <= share <= found.high
        assert (found.low, found.high) == pytest.approx((read - mistaken, min(read + missed, 1)), abs=1e-5)


def test_a_judge_without_held_out_images_leaves_everything_open_and_says_so():
    blind = reader(STYLES)
    blind.facts["held_out"]["present"] = {"photo": [20, 20], "sketch": [0, 0], "paint": [20, 20]}
    blind.facts["held_out"]["absent"] = {"photo": [20, 20], "sketch": [40, 40], "paint": [20, 20]}
    found = ClassifierErrors.of(blind)
    assert "(sketch in 0 of 0)" in found.warning
    sketches = found.allowing(wilson(5, 50), asking(torch.tensor([1]), 3))
    assert sketches.high == 1 and sketches.low == 0
    assert found.allowing(wilson(5, 50), asking(torch.tensor([0]), 3)).high < 0.4


def test_a_warning_names_what_is_read_right_too_seldom():
    assert ClassifierErrors.of(reader(STYLES, 90, 100)).warning == ""
    assert "reads 89.0% of 9 held-out real images right" in ClassifierErrors.of(reader(STYLES, 89, 100)).warning
    rare = reader(ATTRIBUTES, 95, 100)  # beards are rare: not to see them costs little
    rare.facts["held_out"]["present"] = {"hat": [95, 100], "beard": [1, 4], "young": [95, 100]}
    assert "(beard in 1 of 4): below 90%" in ClassifierErrors.of(rare).warning
    rare.facts["held_out"]["absent"] = {"hat": [50, 100], "beard": [80, 100], "young": [70, 100]}
    assert (
        "(beard in 1 of 4, no hat in 50 of 100, no young in 70 of 100 and 1 more)" in ClassifierErrors.of(rare).warning
    )
    assert "no photo" not in ClassifierErrors.of(reader(STYLES, 50, 100)).warning, (
        "those are the images of other classes"
    )


def test_distances_in_the_features_of_a_weak_classifier_say_so():
    assert "reads 50.0%" in classifier_space(reader(STYLES, 50, 100)).warning
    assert classifier_space(reader(STYLES)).warning == ""


def test_warnings_come_before_all_tables_and_once():
    scores = [Score("one", "a", 1.0), Score("two", "a", 2.0, warning="weak"), Score("two", "b", 2.0, warning="weak")]
    lines = as_text(scores).splitlines()
    assert lines[:3] == ["warning: weak", "", "one"]
    assert lines.count("warning: weak") == 1
    assert as_text(scores[:1]).splitlines()[0] == "one"


FIRST = ("cyclegan", "stargan", "unit-digits", "cgan")
"""One of each batch type that has labels or domains."""
JUDGED = [name for name, kind in MODELS.items() if not kind.batch_type.pairs]


@pytest.mark.parametrize(
    "model", [pytest.param(name, marks=[] if name in FIRST else pytest.mark.slow) for name in JUDGED]
)
def test_what_a_weak_classifier_judges_begins_with_how_weak_it_is(tiny_recipe, tmp_path, monkeypatch, model):
    def often_wrong(classifier, batches, domains, runtime):
        counts = {name: [763, 1000] for name in domains}
        return {"images": 1000, "all": 0.763, "domains": {}, "present": counts, "absent": counts}

    monkeypatch.setattr("translate.evaluation.classifier_training.accuracy", often_wrong)
    monkeypatch.setattr("translate.runs.evaluations.DRAWN", 60)
    settings = [f"data.{key}={value}" for key, value in data_of(model, tmp_path / "data").items()]
    run = train(tiny_recipe(model), out=tmp_path / "run", overrides=settings, quiet=True, tracking="disabled")
    scores = evaluate(run, classifier=RULER, device="cpu", quiet=True)
    assert as_text(scores).startswith("warning: the classifier used here reads 76.3% of 1000 held-out")
    written = json.loads(write_scores(scores, run).read_text())
    told = {entry["table"] for entry in written if "76.3% of 1000" in entry["warning"]}
    read = {entry["table"] for entry in written if "widened by the classifier's" in str(entry["protocol"])}
    assert read and read <= told
    distances = {f"{what} in classifier features" for what in ("KID x 1000", "Frechet distance")}
    if MODELS[model].batch_type is SourceLabelled:
        distances = set()
    elif getattr(MODELS[model], "styled", False):
        distances = {MEASURES["style_spread"].title}
    assert told - read == distances
    for entry in written:
        if entry["table"] in read and entry["name"] != "all":
            assert entry["high"] == 100 or entry["high"] - entry["value"] > 23.7
            assert entry["low"] == 0 or entry["value"] - entry["low"] > 23.7
