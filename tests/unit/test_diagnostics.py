"""The doctor: made-up patients with one illness each, and healthy ones."""

from __future__ import annotations

import pytest
import torch
from tiny import paired_folder, random_batch, tiny_model, tiny_trainer
from torch import Tensor, nn

from translate.data.batch import Labelled, Paired, Unpaired
from translate.models import MODELS
from translate.models.base import Relabeller, Translator
from translate.reporting.report import write_report
from translate.training.diagnostics import FIRST, Diagnostics, read_findings

COPY = "the output equals the input"
INVERTED = "the colours are inverted"
ONE = "one image comes out for all inputs"
BLIND = "the labels are ignored"
WON = "the discriminator has won"


def photos(seed: int, count: int = 4) -> Tensor:
    """Smooth pictures in [-1, 1]."""
    rng = torch.Generator().manual_seed(seed)
    small = torch.rand(count, 3, 4, 4, generator=rng) * 2 - 1
    return nn.functional.interpolate(small, (16, 16), mode="bilinear")


def brighter(images: Tensor, to: int) -> Tensor:
    """What a healthy translator does: another look for each domain, the content kept."""
    return (0.7 * images + 0.25 * (to + 1) * torch.tensor([1.0, -0.5, 0.2])[:, None, None]).clamp(-1, 1)


PATIENTS = {
    "identity": (lambda images, to: images, {COPY}),
    "identity but for what nobody sees": (lambda images, to: images + 0.01, {COPY}),
    "negation": (lambda images, to: -images * (1 - 0.3 * to), {INVERTED}),
    "constant": (lambda images, to: torch.full_like(images, 0.3 * to), {ONE}),
    "one picture": (lambda images, to: photos(9, 1).expand_as(images) * (1 - 0.3 * to), {ONE}),
    "healthy": (brighter, set()),
}


def patient(base: type, function) -> Translator:
    class Patient(base):
        def __init__(self) -> None:
            nn.Module.__init__(self)

        def convert(self, images: Tensor, to: int) -> Tensor:
            return function(images, to)

        def relabel(self, images: Tensor, labels: Tensor) -> Tensor:
            raise NotImplementedError

        def targets(self) -> list[int]:
            return {Relabeller: [0, 1, 2]}.get(base, [1])

        def turns(self) -> list:
            return []

        generate = show = stride = None

    return Patient()


def findings(model, samples, folder, step: int = FIRST) -> set[str]:
    told: list[str] = []
    doctor = Diagnostics(model, samples, folder, 0, told.append)
    doctor.examine(step)
    doctor.examine(step + 1)
    assert len(told) == len(doctor.found) and read_findings(folder / "doctor.jsonl") == doctor.found
    return {finding.kind for finding in doctor.found}


@pytest.mark.parametrize("name", PATIENTS)
@pytest.mark.parametrize("kind", ["paired", "unpaired", "labelled"])
def test_each_illness_is_found_and_no_other(tmp_path, name, kind) -> None:
    function, expected = PATIENTS[name]
    samples = {
        "paired": Paired(photos(1), brighter(photos(1), 1)),
        "unpaired": Unpaired(photos(1), photos(2)),
        "labelled": Labelled(photos(1), torch.eye(3)[[0, 1, 2, 0]]),
    }[kind]
    base = Relabeller if kind == "labelled" else Translator
    assert findings(patient(base, function), samples, tmp_path) == expected


@pytest.mark.parametrize(("noise", "expected"), [(0.0, {BLIND}), (1e-3, {BLIND}), (0.3, set())])
def test_a_translator_that_ignores_its_labels_is_found(tmp_path, noise, expected) -> None:
    model = patient(Relabeller, lambda images, to: brighter(images, 1) + noise * to)
    assert findings(model, Labelled(photos(1), torch.eye(3)[[0, 1, 2, 0]]), tmp_path) == expected


def test_of_a_class_that_images_are_in_already_a_copy_is_right(tmp_path) -> None:
    model = patient(Relabeller, lambda images, to: images if to == 0 else brighter(images, to))
    assert findings(model, Labelled(photos(1), torch.eye(3)[[0, 0, 0, 0]]), tmp_path) == set()


def test_pairs_say_what_is_wanted(tmp_path) -> None:
    """Next to no change, a negative, and one picture for all are no illness where the truth is so."""
    images = photos(1)
    for number, truth in enumerate((images + 0.01, -images, photos(9, 1).expand_as(images))):
        model = patient(Translator, lambda inputs, to, truth=truth: truth)
        folder = tmp_path / str(number)
        folder.mkdir()
        assert findings(model, Paired(images, truth), folder) == set()


def test_nothing_is_said_of_the_first_steps(tmp_path) -> None:
    model = patient(Translator, lambda images, to: images)
    told: list[str] = []
    Diagnostics(model, Unpaired(photos(1), photos(2)), tmp_path, 0, told.append).examine(FIRST - 1)
    assert not told and not (tmp_path / "doctor.jsonl").exists()


def test_a_finding_is_told_once_in_a_run_and_shown_in_its_report(tmp_path) -> None:
    model, samples = patient(Translator, lambda images, to: -images), Unpaired(photos(1), photos(2))
    told: list[str] = []
    Diagnostics(model, samples, tmp_path, 0, told.append).examine(700)
    assert len(told) == 1 and told[0].startswith("warning: the colours are inverted")
    assert "correlation" in told[0] and "-1" in told[0] and "training.seed" in told[0]
    Diagnostics(model, samples, tmp_path, 700, told.append).examine(800)
    assert len(told) == 1, "a resumed run knows what was told"
    Diagnostics(model, samples, tmp_path, 600, told.append).examine(650)
    assert len(told) == 2, "of a checkpoint before it, nothing was found yet"
    (tmp_path / "recipe.yaml").write_text("name: x\n")
    page = write_report(tmp_path).read_text()
    assert "What is wrong" in page and "the colours are inverted" in page and "since step 650" in page


def heard(folder, model, *losses: tuple[float, float], step: int = FIRST) -> set[str]:
    doctor = Diagnostics(model, Paired(photos(1), photos(2)), folder, 0, lambda line: None)
    for judge, generator in losses:
        doctor.follow(step, {"discriminator/adversarial": judge, "generator/adversarial": generator})
    return {finding.kind for finding in doctor.found}


def test_a_discriminator_that_has_won_is_heard(tmp_path) -> None:
    model = tiny_model("pix2pix")
    won, even = (0.001, 7.0), (1.2, 0.8)
    assert heard(tmp_path, model, won, won, (0.002, 7.5)) == {WON}
    (tmp_path / "doctor.jsonl").unlink()
    for losses in ([even] * 9, [won] * 2, [won, even, won, won], [(0.001, 9.0), (0.001, 8.0), (0.001, 7.0)]):
        assert heard(tmp_path, model, *losses) == set()
    assert heard(tmp_path, model, won, won, won, step=FIRST - 1) == set()


def test_what_an_interrupted_run_heard_is_recalled(tmp_path) -> None:
    doctor = Diagnostics(tiny_model("pix2pix"), Paired(photos(1), photos(2)), tmp_path, 0, lambda line: None)
    won = {"discriminator/adversarial": 0.001, "generator/adversarial": 7.0}
    doctor.recall([won, {"validation to b/l1": 0.1}, won])
    doctor.follow(FIRST, won)
    assert {finding.kind for finding in doctor.found} == {WON}


@pytest.mark.parametrize("name", MODELS)
def test_healthy_losses_of_every_method_are_heard_in_peace_and_a_won_game_is_not(tmp_path, name) -> None:
    """Also of a critic, whose loss has no scale, and of a model without a game."""
    model = tiny_model(name)
    trainer = tiny_trainer(model)
    for step in range(6):  # a generator may have its turn less often
        trainer.step(random_batch(model, seed=step))
    games = [key for key in trainer.read_losses() if key.partition("/")[2].startswith("adversarial")]
    roles = {turn.name: turn.trains_generators for turn in model.turns()}
    doctor = Diagnostics(model, Unpaired(photos(1), photos(2)), tmp_path, 0, lambda line: None)
    for _ in range(4):
        doctor.follow(FIRST, dict.fromkeys(games, 1.0))
    assert not doctor.found
    for game in [key for key in games if not roles[key.partition("/")[0]]]:
        doctor = Diagnostics(model, Unpaired(photos(1), photos(2)), None, 0, lambda line: None)
        for step in range(3):
            doctor.follow(FIRST, dict.fromkeys(games, 1.0 + step) | {game: 1e-4})
        has_scale = model.adversary.unsure is not None
        assert {finding.kind for finding in doctor.found} == ({WON} if has_scale else set()), game


def test_looking_changes_nothing(run_cli, tiny_recipe, tmp_path) -> None:
    """Batch norms in training mode, as pix2pix converts by, would count the samples."""
    arguments = ["train", tiny_recipe("pix2pix"), "--data", paired_folder(tmp_path / "data"), "--device", "cpu"]
    for every in (1, 4):
        shown = [f"training.sample_every={every}", f"training.validate_every={every}"]
        options = [option for value in shown for option in ("--set", value)]
        assert run_cli(*arguments, *options, "--out", f"run{every}").exit_code == 0
    one, four = (tmp_path / f"run{every}" / "checkpoints/step-00000004/model.safetensors" for every in (1, 4))
    assert one.read_bytes() == four.read_bytes()
