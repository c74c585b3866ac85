"""What `translate evaluate` measures, on models and readers whose every answer is known."""

from __future__ import annotations

import hashlib
from types import SimpleNamespace

import pytest
import torch
from tiny import CPU
from torch import Tensor, nn

from translate.data.batch import Labelled, Plain
from translate.data.io.images import to_pixels
from translate.data.labels import UNKNOWN, LabelGroup
from translate.evaluation.classifier import Classifier
from translate.evaluation.classifier_training import Trained
from translate.evaluation.colour_map import fit_affine_colour
from translate.evaluation.distances import spread
from translate.evaluation.features import gather, thumbnails
from translate.evaluation.flips import gather_labelled, translate_flips
from translate.evaluation.intervals import wilson
from translate.evaluation.labelled import evaluate_labelled
from translate.evaluation.likeness import evaluate_distances, evaluate_diversity
from translate.evaluation.metrics import absolute_error, psnr, ssim
from translate.evaluation.spaces import INCEPTION_FILE, Missing, Space, classifier_space, inception_space
from translate.evaluation.table import Score
from translate.evaluation.unpaired import evaluate_unpaired
from translate.evaluation.validation import Direction
from translate.models.base import ImageSpec
from translate.models.labels import Labels

ATTRIBUTES = ImageSpec(1, 8, ("hat", "beard", "young"), (LabelGroup(3, False),))
HAIR = ImageSpec(1, 8, ("black", "blond", "male"), (LabelGroup(3, False),), alternatives=((0, 1),))
STYLES = ImageSpec(1, 8, ("photo", "sketch", "paint"), (LabelGroup(3, True),))
PROTOCOL = {"split": "test"}


class PixelReader(Classifier):
    """Reads the label of domain d off the pixel of column d in the first row."""

    def __init__(self, images: ImageSpec) -> None:
        nn.Module.__init__(self)  # without the network, which it does not look through
        self.labels, self.size, self.count = Labels(images), images.crop, len(images.domains)
        self.network = nn.ModuleDict({"fc": nn.Identity()})

    def features(self, images: Tensor) -> Tensor:
        return images[:, 0, 0, : self.count]


def reader(images: ImageSpec, right: int = 10**12, of: int = 10**12) -> Trained:
    """Reads `right` of `of` held-out images right, with each domain and without it; by default it is known not to
    err."""
    counts, share = {name: [right, of] for name in images.domains}, right / of
    held_out = {"images": 9, "all": share, "domains": dict.fromkeys(images.domains, share)}
    held_out |= {"present": counts, "absent": counts}
    return Trained(PixelReader(images), {"steps": 1, "held_out": held_out, "sha256": "abc123"})


def show(labels: Tensor, seed: int = 0) -> Tensor:
    """Images of noise that the reader reads `labels` off; unknown ones as no."""
    images = torch.rand(len(labels), 1, 8, 8, generator=torch.Generator().manual_seed(seed)) - 0.5
    images[:, 0, 0, : labels.shape[1]] = torch.where(labels == 1, 0.5, -0.5)
    return images


def batches(labels: Tensor, size: int = 3) -> list[Labelled]:
    images = show(labels)
    return [Labelled(*pair) for pair in zip(images.split(size), labels.split(size), strict=True)]


def plain(images: Tensor, size: int = 100) -> list[Plain]:
    return [Plain(part) for part in images.split(size)]


def obey(images: Tensor, wanted: Tensor) -> Tensor:
    changed = images.clone()
    changed[:, 0, 0, : wanted.shape[1]] = torch.where(wanted == 1, 0.5, -0.5)
    return changed


def ignore(images: Tensor, wanted: Tensor) -> Tensor:
    return images


def table(scores: list[Score], begins: str) -> dict[str, Score]:
    return {score.name: score for score in scores if score.table.startswith(begins)}


ROWS = torch.tensor([[1, 0, 0], [0, 1, 0], [1, 1, 1], [0, 0, 1], [0, 0, 0]]).float()


def test_a_model_that_obeys_makes_no_errors():
    scores = evaluate_labelled(obey, batches(ROWS), ATTRIBUTES, reader(ATTRIBUTES), CPU, protocol=PROTOCOL)
    errors = table(scores, "classification error")
    assert list(errors) == ["hat", "beard", "young", "all"]
    for name in ("hat", "beard", "young"):
        assert (errors[name].value, errors[name].images) == (0, 5)
        assert errors[name].high == pytest.approx(100 * wilson(0, 5).high)
    assert errors["all"].value == 0
    assert [error.floor["untranslated input"] for error in errors.values()] == [100] * 4
    assert [error.ceiling["real images"] for error in errors.values()] == [0] * 4
    assert errors["hat"].protocol["split"] == "test"
    assert errors["hat"].protocol["classifier"].startswith("sha256 abc123, reads 100.0% of 9 held-out")
    kept = table(scores, "other attributes")
    assert [row.value for row in kept.values()] == [100] * 3
    # 2 of 5 have a hat, 2 a beard, 2 are young: another image agrees with 0.4^2 + 0.6^2.
    assert kept["hat"].floor["another image"] == pytest.approx(100 * 0.52)
    assert kept["hat"].ceiling["untouched input"] == 100


def test_a_model_that_ignores_labels_scores_the_floor_and_changes_nothing():
    scores = evaluate_labelled(ignore, batches(ROWS), ATTRIBUTES, reader(ATTRIBUTES), CPU)
    for row in table(scores, "classification error").values():
        assert row.value == row.floor["untranslated input"] == 100
    for row in table(scores, "change").values():
        assert row.value == row.floor["untouched input"] == 0
        assert row.ceiling["another input"] > 0.1


def test_errors_and_what_else_changed_are_counted():
    def careless(images: Tensor, wanted: Tensor) -> Tensor:
        """Never puts a hat on, and makes everyone young."""
        changed = obey(images, wanted)
        changed[:, 0, 0, 0] = torch.minimum(changed[:, 0, 0, 0], images[:, 0, 0, 0])
        changed[:, 0, 0, 2] = 0.5
        return changed

    scores = evaluate_labelled(careless, batches(ROWS), ATTRIBUTES, reader(ATTRIBUTES), CPU)
    errors = table(scores, "classification error")
    # Hats are to go on three images, and stay off; of five, the two that are young are to grow old, and do not.
    assert [errors[name].value for name in ("hat", "beard", "young")] == [60, 0, 40]
    assert errors["all"].value == pytest.approx(100 * 5 / 15)
    assert (errors["hat"].low, errors["hat"].high) == pytest.approx((100 * wilson(3, 5).low, 100 * wilson(3, 5).high))
    kept = table(scores, "other attributes")
    # Beards stay all, of the other attribute only the two young ones.
    assert kept["hat"].value == pytest.approx(70)
    assert kept["young"].value == 100


def test_real_images_that_are_misread_are_the_ceiling():
    labels = ROWS.clone()
    labels[0, 1] = 1  # its image shows none
    misread = [Labelled(show(ROWS), labels)]
    errors = table(evaluate_labelled(obey, misread, ATTRIBUTES, reader(ATTRIBUTES), CPU), "classification error")
    assert errors["beard"].ceiling["real images"] == pytest.approx(20)
    assert errors["hat"].ceiling["real images"] == 0
    assert errors["all"].ceiling["real images"] == pytest.approx(100 / 15)
    # To take the beard of an image that shows none off is no work: there the input is as wanted.
    assert errors["beard"].floor["untranslated input"] == pytest.approx(80)


def test_only_one_attribute_is_asked_for_and_unknown_ones_not_at_all():
    labels = ROWS.clone()
    labels[1] = UNKNOWN
    asked = []

    def note(images: Tensor, wanted: Tensor) -> Tensor:
        asked.append(wanted)
        return obey(images, wanted)

    _, flips = translate_flips(note, batches(labels, 5), ATTRIBUTES, PixelReader(ATTRIBUTES), CPU)
    for number, (wanted, flip) in enumerate(zip(asked, flips, strict=True)):
        assert flip.images.tolist() == [0, 2, 3, 4]
        expected = labels[[0, 2, 3, 4]].clone()
        expected[:, number] = 1 - expected[:, number]
        assert torch.equal(wanted, expected)
        assert len(flip.outputs) == int((labels[:, number] == 0).sum())


def test_an_alternative_that_is_set_clears_the_other():
    labels = torch.tensor([[1, 0, 1], [0, 1, 0], [0, 0, 1]]).float()
    _, flips = translate_flips(obey, batches(labels), HAIR, PixelReader(HAIR), CPU)
    # The first is black-haired already; the second's blond hair goes.
    assert flips[0].images.tolist() == [1, 2]
    assert flips[0].wanted.tolist() == [[1, 0, 0], [1, 0, 1]]
    assert flips[2].wanted.tolist() == [[1, 0, 0], [0, 1, 1], [0, 0, 0]]
    scores = evaluate_labelled(obey, batches(labels), HAIR, reader(HAIR), CPU)
    # The other colour is no attribute that should stay.
    assert {name: row.images for name, row in table(scores, "other attributes").items()} == {
        "black": 2, "blond": 2, "male": 3,
    }  # fmt: skip
    # Two of three are male: another image agrees with the one that is not by 1/3, with the other by 2/3.
    assert table(scores, "other attributes")["black"].floor["another image"] == pytest.approx(50)


def test_each_image_goes_to_every_other_class():
    labels = torch.eye(3)[[0, 0, 0, 1, 1, 2]]

    def no_paint(images: Tensor, wanted: Tensor) -> Tensor:
        return torch.where(wanted[:, 2, None, None, None] == 1, images, obey(images, wanted))

    scores = evaluate_labelled(no_paint, batches(labels, 4), STYLES, reader(STYLES), CPU)
    errors = table(scores, "classification error")
    assert {name: (row.value, row.images) for name, row in errors.items()} == {
        "photo": (0, 3), "sketch": (0, 4), "paint": (100, 5), "all": (pytest.approx(100 * 5 / 12), 6),
    }  # fmt: skip
    assert not table(scores, "other attributes")


def test_a_real_image_that_is_misread_is_an_error_of_its_own_class_alone():
    labels = torch.eye(3)[[0, 0, 0, 1, 1, 2]]
    said = torch.eye(3)[[1, 0, 0, 1, 1, 2]]  # the first shows a photo
    scores = evaluate_labelled(obey, [Labelled(show(labels), said)], STYLES, reader(STYLES), CPU)
    errors = table(scores, "classification error")
    ceilings = {name: row.ceiling["real images"] for name, row in errors.items()}
    assert ceilings == pytest.approx({"photo": 0, "sketch": 100 / 3, "paint": 0, "all": 100 / 6})


def test_two_domains_are_read_beside_inputs_and_real_targets():
    two = ImageSpec(1, 8, ("horse", "zebra"), (LabelGroup(2, True),))
    horses, zebras = torch.eye(2)[[0] * 7 + [1]], torch.eye(2)[[1] * 4 + [0]]
    inputs, targets = show(horses), show(zebras, seed=1)

    def stripes(images: Tensor) -> Tensor:
        striped = obey(images, torch.eye(2)[[1] * len(images)])
        striped[0] = images[0]  # the first of each batch stays what it was
        return striped

    heard = []
    scores = evaluate_unpaired(
        stripes,
        plain(inputs, 4),
        plain(targets, 4),
        1,
        "to zebra",
        reader(two),
        CPU,
        protocol=PROTOCOL,
        done=heard.append,
    )
    (share,) = table(scores, "translations that").values()
    assert (share.value, share.images, share.name) == (75, 8, "to zebra")
    assert (share.low, share.high) == pytest.approx((100 * wilson(6, 8).low, 100 * wilson(6, 8).high))
    assert share.floor == {"inputs": pytest.approx(12.5)}
    assert share.ceiling == {"real test images": pytest.approx(80)}
    assert heard == [4, 4]
    (change,) = table(scores, "change").values()
    # Two of 64 pixels turn by the whole of 0.5, in five of eight images.
    assert change.value == pytest.approx(5 / 8 * 2 * 0.5 / 64, rel=1e-5)
    (diversity,) = table(scores, "diversity").values()
    assert diversity.value > 0.5 * diversity.ceiling["inputs"] > 0
    for what, shown in (("inputs", inputs), ("real images", targets)):
        assert diversity.ceiling[what] == pytest.approx(spread(thumbnails(shown)).value)


class Converting(SimpleNamespace):
    """A model that converts to domain 1 by a function."""

    def __init__(self, function):
        super().__init__(convert=lambda images, to: function(images))


def test_the_truth_stands_beside_what_learns_nothing():
    inputs = torch.rand(6, 3, 16, 16, generator=torch.Generator().manual_seed(0)) - 0.5
    truths = (inputs.roll(1, 1) * 0.8 + 0.1).clamp(-1, 1)
    colour_map = fit_affine_colour(inputs, truths)
    direction = Direction("to b", 1, inputs, truths, colour_map)
    scores = direction.scores(Converting(lambda x: x), CPU, PROTOCOL)
    for score, measure in zip(scores, (absolute_error, psnr, ssim), strict=True):
        untouched = float(measure(inputs, truths))
        assert score.value == pytest.approx(untouched, rel=1e-6) == score.floor["untouched input"]
        assert score.low < score.value < score.high
        assert score.images == 6
    assert scores[0].floor["best colour map"] == pytest.approx(0, abs=1e-6)
    known = {image.sum().item(): truth for image, truth in zip(inputs, truths, strict=True)}
    exact = direction.scores(Converting(lambda x: torch.stack([known[image.sum().item()] for image in x])), CPU, {})
    assert [score.value for score in exact] == [0, float("inf"), pytest.approx(1)]
    assert [score.better for score in exact] == ["lower", "higher", "higher"]


def plain_space(name: str = "pixels") -> Space:
    return Space(name, "none", "none", "", lambda images: images[:, 0, :2, :2].flatten(1))


def test_one_image_for_all_inputs_has_no_diversity():
    inputs = show(ROWS.repeat(4, 1))
    one, many = (gather(plain(images, 6), CPU, ()) for images in (inputs[:1].expand(20, -1, -1, -1), inputs))
    (score,) = evaluate_diversity("to b", one, many, many, {})
    assert score.value == pytest.approx(0, abs=1e-6) == score.floor["one image for all"]
    assert score.ceiling["inputs"] == score.ceiling["real images"] > 0.05
    # Black and white differ by the whole of the scale.
    extremes = gather(plain(torch.tensor([-1.0, 1.0])[:, None, None, None].expand(2, 1, 32, 32)), CPU, ())
    assert evaluate_diversity("to b", extremes, many, many, {})[0].value == pytest.approx(1, rel=1e-6)
    assert evaluate_diversity("to b", one.at(torch.tensor([0])), many, many, {}) == []


def test_distances_stand_between_inputs_and_other_real_images():
    space, missing = plain_space(), Missing("Inception", "unavailable: file X wanted")
    generator = torch.Generator().manual_seed(0)
    reals, others, outputs, inputs = (
        gather(plain(torch.randn(150, 1, 8, 8, generator=generator) + shift), CPU, [space, missing])
        for shift in (0.0, 0.0, 0.5, 2.0)
    )
    scores = evaluate_distances("to b", outputs, inputs, others, [space, missing], PROTOCOL, reference=reals)
    kid, frechet, absent = scores
    assert (kid.table, frechet.table) == ("KID x 1000 in pixels", "Frechet distance in pixels")
    for score in (kid, frechet):
        assert score.ceiling["real test images"] < score.value < score.floor["untouched inputs"]
        assert (score.images, score.reals) == (150, 150)
        assert {"extractor", "resize for it", "split"} <= score.protocol.keys()
    assert frechet.value == pytest.approx(4 * 0.25, rel=0.3)
    assert "2048" in frechet.note
    assert kid.low < kid.value < kid.high
    assert (absent.value, absent.note) == (None, "unavailable: file X wanted")
    few = evaluate_distances("to b", outputs.at(torch.tensor([0])), inputs, reals, [space], {})
    assert (few[0].value, few[0].note) == (None, "unavailable: translations are fewer than two")
    # Without other real images there is no ceiling.
    assert evaluate_distances("to b", outputs, inputs, reals, [space], {})[0].ceiling == {}


def test_distances_of_labelled_images_are_to_training_images_of_the_domain():
    labels = ROWS.repeat(6, 1)
    space = classifier_space(reader(ATTRIBUTES))
    assert "abc123" in space.extractor
    assert "not with papers" in space.remark
    reference = gather_labelled(batches(ROWS.repeat(4, 1)), CPU, [space])
    assert reference[1].shape == (20, 3)
    scores = evaluate_labelled(
        obey, batches(labels), ATTRIBUTES, reader(ATTRIBUTES), CPU, spaces=[space], reference=reference
    )
    rows = table(scores, "KID")
    assert list(rows) == ["hat", "beard", "young"]
    # 18 of 30 have no hat, and get one; 8 of the 20 training images have it.
    assert (rows["hat"].images, rows["hat"].reals) == (18, 8)
    assert rows["hat"].value < rows["hat"].floor["untouched inputs"]


def test_inception_is_never_downloaded_and_told_where_absent(tmp_path, monkeypatch):
    monkeypatch.delenv("TRANSLATE_WEIGHTS_DIR", raising=False)
    told = inception_space(None, CPU)
    assert isinstance(told, Missing)
    assert INCEPTION_FILE in told.reason
    assert "--weights-dir" in told.reason
    monkeypatch.setenv("TRANSLATE_WEIGHTS_DIR", str(tmp_path))
    told = inception_space(None, CPU)
    assert told == Missing("Inception", f"unavailable: needs the file {tmp_path / INCEPTION_FILE}")
    (tmp_path / INCEPTION_FILE).write_bytes(b"something else")
    told = inception_space(None, CPU)
    assert isinstance(told, Missing)
    assert hashlib.sha256(b"something else").hexdigest() in told.reason


def test_a_file_of_weights_can_run_no_code(tmp_path):
    pytest.importorskip("torch_fidelity", reason="torch-fidelity is not installed")

    class Harm:
        def __reduce__(self):
            return (open, (str(tmp_path / "harmed"), "w"))

    torch.save({"weights": Harm()}, tmp_path / "unnamed.pth")
    begins = hashlib.sha256((tmp_path / "unnamed.pth").read_bytes()).hexdigest()[:8]
    (tmp_path / "unnamed.pth").rename(tmp_path / f"weights-{begins}.pth")
    told = inception_space(tmp_path, CPU, file=f"weights-{begins}.pth")
    assert isinstance(told, Missing)
    assert "not a file of weights" in told.reason
    assert not (tmp_path / "harmed").exists()


def test_inceptions_features_of_a_given_file(tmp_path, monkeypatch):
    module = pytest.importorskip(
        "torch_fidelity.feature_extractor_inceptionv3", reason="torch-fidelity is not installed"
    )
    network = module.FeatureExtractorInceptionV3
    with monkeypatch.context() as patched:
        # Its random weights stand in for the file that nobody may download.
        patched.setattr(module, "load_state_dict_from_url", lambda *args, **kwargs: {})
        patched.setattr(network, "load_state_dict", lambda self, state: None)
        theirs = network("inception", ["2048"])
    for layer in theirs.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_normal_(layer.weight)  # as torch leaves them, nothing of the images would come through
    torch.save(theirs.state_dict(), tmp_path / "unnamed.pth")
    begins = hashlib.sha256((tmp_path / "unnamed.pth").read_bytes()).hexdigest()[:8]
    (tmp_path / "unnamed.pth").rename(tmp_path / f"weights-{begins}.pth")
    space = inception_space(tmp_path, CPU, file=f"weights-{begins}.pth")
    assert isinstance(space, Space)
    assert f"sha256 {begins}" in space.extractor
    images = torch.rand(2, 1, 20, 20) * 2 - 1
    features = space.features(images)
    assert features.shape == (2, 2048)
    assert (features[0] - features[1]).abs().max() > 0.01
    torch.testing.assert_close(features, theirs(to_pixels(images).repeat(1, 3, 1, 1))[0])
