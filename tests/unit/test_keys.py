"""The keys of metrics: what they are now, how people read them, and that files of version 0.1 are understood."""

import json
import re
from contextlib import closing

import pytest
import torch

from translate.evaluation.metrics import MEASURES, key_of_table, measure_of
from translate.evaluation.table import score
from translate.reporting.keys import (
    caption,
    current_key,
    current_name,
    current_summary_key,
    current_validations,
    validated,
    validation_key,
)
from translate.reporting.report import read_summary
from translate.reporting.tracking import MetricsLog, read_metrics
from translate.training.loss_meter import LossMeter

FORMER = {
    "discriminator/labels told apart": "discriminator/pair_accuracy",
    "discriminators/labels told apart two": "discriminators/pair_accuracy/two",
    "generator/labels read off generated images": "generator/label_accuracy/generated",
    "discriminators/digits read right": "discriminators/label_accuracy/real",
    "discriminators/classification by b": "discriminators/classification/b",
    "discriminators/gradient penalty b": "discriminators/gradient_penalty/b",
    "autoencoders/kl of translation a": "autoencoders/kl_translated/a",
    "autoencoders/code cycle a": "autoencoders/code_cycle/a",
    "autoencoders/kl a": "autoencoders/kl/a",
    "autoencoder/evidence lower bound": "autoencoder/evidence_lower_bound",
    "discriminator/jensen-shannon estimate": "discriminator/jensen_shannon_estimate",
    "learning rate/code_discriminator": "learning_rate/code_discriminator",
    "skipped steps/generators": "skipped_steps/generators",
    "validation to Blond Hair/l1": "validation/to_Blond_Hair/l1",
    "validation 25 gaussians/near a mode": "validation/25_gaussians/near_a_mode",
    "validation test images/log likelihood by 100 draws": "validation/test_images/log_likelihood_by_100_draws",
}


@pytest.mark.parametrize("then", FORMER)
def test_a_key_of_version_0_1_is_that_of_today_and_stays_it(then):
    assert current_key(then) == FORMER[then] == current_key(FORMER[then])


@pytest.mark.parametrize("key", ["step", "time", "generator/edges a", "critic again/my own loss", "adversarial"])
def test_keys_that_no_version_named_stay_what_they_are(key):
    assert current_key(key) == key


def test_rows_of_both_versions_are_one_curve(tmp_path):
    with closing(MetricsLog(tmp_path / "metrics.jsonl")) as log:
        log.log(1, {"generators/cycle a": 0.5, "validation to b/l1": 0.25})
        log.log(2, {"generators/cycle/a": 0.25, validation_key("to b", "l1"): 0.125})
    one, two = read_metrics(tmp_path / "metrics.jsonl")
    assert one.keys() == two.keys() and one["validation/to_b/l1"] == 0.25


def test_a_summary_of_version_0_1_has_the_keys_of_metrics(tmp_path):
    then = {"to b, l1": {"value": 1.0}, "test images, evidence lower bound": {}, "validation/to_b/psnr": {}, "mine": {}}
    (tmp_path / "summary.json").write_text(json.dumps(then))
    keys = ["validation/to_b/l1", "validation/test_images/evidence_lower_bound", "validation/to_b/psnr", "mine"]
    assert [*read_summary(tmp_path / "summary.json")] == keys
    assert current_summary_key("to a, b, l1") == "validation/to_a,_b/l1"


def test_validations_of_a_checkpoint_keep_their_names():
    assert current_validations({"to my B": {"l1": 1.0}, "test images": {"evidence lower bound": -2.0}}) == {
        "to my B": {"l1": 1.0},
        "test images": {"evidence_lower_bound": -2.0},
    }


def test_losses_that_were_summed_under_former_names_are_summed_on():
    """A name that a plugin chose, and that version 0.1 might have chosen, is still the plugin's."""
    now = {"adversarial/a": 1.0, "label_accuracy/real": 0.5, "cycle a": 3.0}
    former = dict(zip(("adversarial a", "labels read off real images", "cycle a"), now.values(), strict=True))
    meter, device = LossMeter("generators", torch.device("cpu")), torch.device("cpu")
    meter.add({name: torch.tensor(value) for name, value in former.items()})
    resumed = LossMeter("generators", device)
    resumed.restore(meter.state())
    resumed.add({name: torch.tensor(3 * value) for name, value in now.items()})
    assert resumed.read() == {f"generators/{name}": 2 * value for name, value in now.items()}
    with pytest.raises(ValueError, match="and had "):
        resumed.add({"adversarial/a": torch.tensor(1.0)})


def test_people_read_words():
    assert caption("generators/cycle/a") == "generators cycle a"
    assert caption("to_photo/l1") == "to photo l1"
    assert caption("discriminators/pair_accuracy/two") == "discriminators own label scored above a wrong one two"


def test_measures_have_keys_for_programs_and_titles_for_people():
    for name, measure in MEASURES.items():
        assert re.fullmatch(r"[a-z0-9_]+(/[a-z0-9_]+)?", name) and current_name(name) == name
        assert key_of_table(measure.title) == name
    kid = score("kid", "to b", 1.0, space="classifier features")
    assert (kid.key, kid.table) == ("kid/classifier_features", "KID x 1000 in classifier features")
    assert key_of_table(kid.table) == kid.key and measure_of(kid.key) is MEASURES["kid"]
    assert key_of_table("a title of mine") == "a title of mine"


@pytest.mark.parametrize(
    ("name", "measure"), [("to photo", "l1"), ("to B", "error/HU"), ("to a/b", "error/m/s"), ("to A", "kid/inception")]
)
def test_a_validations_key_says_what_and_which_measure(name, measure):
    key = validation_key(name, measure)
    assert validated(key) == (key.split("/")[1], measure)
    assert measure_of(validated(key)[1]).better == "lower"
    assert validated("psnr") == ("", "psnr")
