"""What a resumed run may be given, and what it tells of what is not as it was."""

import shlex
import shutil

import pytest
from tiny import labelled_folder, paired_folder, unpaired_folder, write_images
from ways_out import tried

from translate.data.batch import Plain
from translate.errors import ConfigurationError
from translate.recipe import DataSettings, load_recipe
from translate.runs.image_sets.opening import open_data
from translate.runs.train import resolved, train
from translate.training.checkpoint import load_checkpoint


@pytest.fixture
def begun(run_cli, tiny_recipe, tmp_path):
    """A tiny run of two steps on d/unp; the command that goes on with it."""
    unpaired_folder(tmp_path / "d" / "unp")
    recipe = tiny_recipe("cyclegan")
    ended = run_cli("train", recipe, "--data", "d/unp", "--out", "run", "--device", "cpu", "--set", "training.steps=2")
    assert ended.exit_code == 0, ended.output
    return lambda *more: run_cli("train", recipe, "--out", "run", "--device", "cpu", "--resume", *more)


@pytest.mark.parametrize("spelt", ["d/unp", "d/unp/", "absolute", "moved"])
def test_the_same_images_are_known_again_however_their_place_is_spelt(begun, tmp_path, spelt):
    place = {"absolute": tmp_path / "d" / "unp", "moved": tmp_path / "e" / "other"}.get(spelt, spelt)
    if spelt == "moved":
        (tmp_path / "e").mkdir()
        (tmp_path / "d" / "unp").rename(place)
    resumed = begun("--data", place)
    assert resumed.exit_code == 0, resumed.stderr
    assert "warning" not in resumed.stderr
    assert load_checkpoint(tmp_path / "run" / "checkpoints").step == 4


def test_a_run_is_continued_on_its_own_images_unless_others_are_named(begun, tmp_path):
    """As --help says: --data only if they have moved."""
    assert begun().exit_code == 0
    assert load_checkpoint(tmp_path / "run" / "checkpoints").step == 4
    (tmp_path / "d" / "unp").rename(tmp_path / "d" / "moved")
    gone = begun("--set", "training.steps=6")
    assert gone.exit_code == 2 and "d/unp" in gone.stderr
    assert begun("--set", "training.steps=6", "--data", "d/moved").exit_code == 0


def test_images_of_the_current_folder_are_those_of_its_absolute_path(tmp_path, monkeypatch):
    write_images(tmp_path, ["a.png", "b.png"])
    monkeypatch.chdir(tmp_path)
    settings = [DataSettings(set=place, size=16) for place in (".", str(tmp_path))]
    first, second = (open_data(each, Plain, lambda line: None).listing() for each in settings)
    assert first == second and list(first) == ["images"]


def test_images_that_came_are_counted_and_the_run_goes_on_with_them(begun, tmp_path):
    write_images(tmp_path / "d" / "unp" / "trainA", ["more1.png", "more2.png"])
    resumed = begun("--data", "d/unp")
    assert resumed.exit_code == 0
    assert "warning: the training images have changed since the run began: A: 6 then, 8 now" in resumed.stderr
    again = begun("--data", "d/unp", "--set", "training.steps=6")
    assert again.exit_code == 0 and "warning" not in again.stderr, "it knows the eight now"


def test_other_names_are_told_where_the_number_is_the_same(begun, tmp_path):
    folder = tmp_path / "d" / "unp" / "trainB"
    (folder / "Btrain0.png").rename(folder / "renamed.png")
    assert "B: 6 then, 6 other images now" in begun("--data", "d/unp").stderr


def test_images_that_came_are_looked_through_before_the_first_step(begun, tmp_path):
    (tmp_path / "d" / "unp" / "trainA" / "broken.png").write_bytes(b"not an image")
    refused = begun("--data", "d/unp")
    assert refused.exit_code == 2 and "broken.png" in refused.stderr
    assert begun("--data", "d/unp", "--skip-bad").exit_code == 0


def test_a_moved_run_leaves_out_what_it_was_begun_without(run_cli, tiny_recipe, tmp_path):
    data = labelled_folder(tmp_path / "lab")
    (data / "train" / "b" / "broken.png").write_bytes(b"not an image")
    command = ["train", tiny_recipe("stargan"), "--out", "run", "--device", "cpu", "--skip-bad"]
    assert run_cli(*command, "--data", data, "--set", "training.steps=2").exit_code == 0
    data.rename(tmp_path / "elsewhere")
    resumed = run_cli(*command, "--data", "elsewhere", "--resume")
    assert resumed.exit_code == 0 and "have changed since" not in resumed.stderr
    assert list(load_checkpoint(tmp_path / "run" / "checkpoints").facts["skipped"]) == ["elsewhere/train/b/broken.png"]


def test_a_checkpoint_that_knows_no_images_resumes_where_they_were(begun, tmp_path, monkeypatch):
    monkeypatch.setattr("translate.runs.setup.checkpoint_to_resume", _without_images)
    refused = begun("--data", "d/unp/")
    assert refused.exit_code == 2 and "data.set" in refused.stderr
    resumed = begun("--data", "d/unp")
    assert resumed.exit_code == 0 and "warning" not in resumed.stderr


def _without_images(folder):
    checkpoint = load_checkpoint(folder / "checkpoints")
    del checkpoint.facts["images"]
    return checkpoint, []


def test_the_refusal_names_a_command_that_works(begun, run_cli, tmp_path):
    refused = begun("--data", "d/unp", "--set", "training.lr=0.5")
    assert refused.exit_code == 2 and "training.lr: 0.0002 then, 0.5 now" in refused.stderr
    command = refused.stderr.partition("`translate ")[2].partition("`")[0].split()
    assert command == ["train", "run/recipe.yaml", "--out", "run", "--resume"]
    done = run_cli(*command, "--device", "cpu", "--set", "training.steps=3")
    assert done.exit_code == 0 and load_checkpoint(tmp_path / "run" / "checkpoints").step == 3


@tried(("runs/folder", "`translate train {} --out {} training.init_from={} {}`"))
@pytest.mark.parametrize(
    "words",
    [
        ["training.lr=1e-5"],
        ["training.network_lr={generator_a: 1e-5}", "model.cycle=5"],
        ["training.batch_size=1", "training.ema=0.9", "data.flip=false"],
    ],
)
def test_a_changed_setting_is_answered_by_a_new_run_with_these_weights(begun, run_cli, tmp_path, words):
    refused = begun("--data", "d/unp", *words)
    assert refused.exit_code == 2 and "training.init_from=run" in refused.stderr
    command = shlex.split(refused.stderr.split("`")[3])
    assert command[:5] == ["translate", "train", "run/recipe.yaml", "--out", "run-2"]
    anew = run_cli(*command[1:], "--device", "cpu", "--set", "training.steps=1")
    assert anew.exit_code == 0 and "run: its weights after step 2 are what this run begins with" in anew.stderr
    wanted = load_recipe("run/recipe.yaml", words)
    known = load_recipe("run-2/recipe.yaml", ["training.init_from=null", "training.steps=2"])
    assert known == wanted.model_copy(update={"name": known.name})


@pytest.mark.parametrize(
    ("words", "gone", "without"),
    [
        ("training.network_lr={generator_a: 1e-5}", "training.network_lr.generator_a", "training.network_lr={}"),
        ("training.networks.generator_a.lr=1e-5", "training.networks.generator_a.lr", "training.networks={}"),
    ],
)
def test_a_rate_that_is_gone_is_a_change_too(run_cli, tiny_recipe, tmp_path, words, gone, without):
    data = unpaired_folder(tmp_path / "d" / "unp")
    command = ["train", tiny_recipe("cyclegan"), "--data", data, "--out", "run", "--device", "cpu"]
    assert run_cli(*command, words, "training.steps=2").exit_code == 0
    refused = run_cli(*command, "--resume")
    assert refused.exit_code == 2 and f"{gone}: 1e-05 then, null now" in refused.stderr
    again = shlex.split(refused.stderr.split("`")[3])
    assert without in again and run_cli(*again[1:], "--device", "cpu").exit_code == 0
    training = load_recipe("run-2/recipe.yaml").training
    assert training.network_lr == training.networks == {}


def test_weights_that_do_not_fit_are_not_offered(begun):
    refused = begun("--data", "d/unp", "model.generator.filters=8")
    assert refused.exit_code == 2 and "init_from" not in refused.stderr


@tried(("runs/setup", "(training.keep=N keeps the newest N, training.keep_every=N every N-th step)"))
def test_what_becomes_of_old_checkpoints_is_said_once_with_the_settings_that_keep_them(run_cli, tiny_recipe, tmp_path):
    data, said = unpaired_folder(tmp_path / "d" / "unp"), "older ones are deleted (training.keep=N keeps"
    command = ["train", tiny_recipe("cyclegan"), "--data", data, "--device", "cpu", "training.checkpoint_every=1"]
    few = run_cli(*command, "--out", "few", "training.keep=2")
    assert few.stderr.count(said) == 1 and "checkpoints every 1 steps: the newest 2 and the best are kept" in few.stderr
    # What it names does keep them.
    for name, word in (("all", "training.keep=4"), ("every", "training.keep_every=1")):
        assert run_cli(*command, "--out", name, "training.keep=2", word).exit_code == 0
        assert len(list((tmp_path / name / "checkpoints").glob("step-*"))) == 4
    assert said not in run_cli(*command, "--out", "none", "training.keep=4").stderr


def test_a_runs_own_recipe_without_its_folder_is_answered_by_the_command_that_goes_on(begun, run_cli, tmp_path):
    refused = run_cli("train", "run/recipe.yaml", "--resume", "--device", "cpu")
    assert refused.exit_code == 2 and not (tmp_path / "runs").exists()
    command = refused.stderr.partition("`translate ")[2].partition("`")[0].split()
    assert command == ["train", "run/recipe.yaml", "--out", "run", "--resume"]
    done = run_cli(*command, "--device", "cpu", "--set", "training.steps=3")
    assert done.exit_code == 0 and load_checkpoint(tmp_path / "run" / "checkpoints").step == 3


def test_a_recipe_that_is_called_recipe_yaml_and_is_of_no_run_resumes_as_any(run_cli, tiny_recipe, tmp_path):
    (tmp_path / "mine").mkdir()
    recipe = shutil.copy(tiny_recipe("cyclegan"), tmp_path / "mine" / "recipe.yaml")
    command = ["train", recipe, "--data", unpaired_folder(tmp_path / "unp"), "--device", "cpu", "--resume"]
    assert run_cli(*command, "training.steps=1").exit_code == 0
    assert "resuming after step 1" in run_cli(*command, "training.steps=2").stderr


def test_a_schedule_that_is_stretched_is_told(begun, tmp_path):
    """Linear over two steps: the second is taken at 1 / 2. Over six, the third is still at 1."""
    resumed = begun("--data", "d/unp", "--set", "training.steps=6")
    assert "the schedule now spans 6 steps: learning rate 0.0001 -> 0.0002" in resumed.stderr
    assert "schedule now" not in begun("--data", "d/unp", "--set", "training.steps=6").stderr


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ("data.domains={A: {channels: 3}, B: {unit: HU}}", []),
        ("data.domains={A: {channels: 3}, B: {unit: HU}}", ["--domains", "A,B"]),
        ("data.domains={A: {channels: 3}, B: {unit: HU}}", ["data.domains.A.channels=3"]),
        ("data.domains={A: {channels: 3}, B: {unit: HU}}", ["data.domains={B: {}}"]),
        ("data.domains=[horse, zebra]", []),
        ("data.channels=3", []),
    ],
)
def test_what_a_run_was_told_of_its_domains_stays_when_it_goes_on_without(run_cli, tiny_recipe, tmp_path, first, then):
    command = ["train", tiny_recipe("pix2pix"), "--data", paired_folder(tmp_path / "d"), "--out", "run", "--device=cpu"]
    assert run_cli(*command, first, "training.steps=1").exit_code == 0
    begun = load_recipe("run/recipe.yaml").data
    resumed = run_cli(*command, "--resume", "training.steps=2", *then)
    assert resumed.exit_code == 0, resumed.stderr
    assert load_recipe("run/recipe.yaml").data == begun
    assert load_checkpoint(tmp_path / "run" / "checkpoints").facts["recipe"]["data"] == begun.model_dump(mode="json")


def test_a_dry_run_does_not_resume(run_cli):
    refused = run_cli("train", "cyclegan", "--data", "shapes", "--dry-run", "--resume")
    assert refused.exit_code == 2 and "--dry-run" in refused.stderr


@pytest.mark.parametrize(
    ("model", "settings", "told"),
    [
        ("cyclegan", ["data.direction=BtoA"], "data.direction: "),
        ("stargan", ["data.direction=BtoA", "data.layout=unpaired"], "data.layout, data.direction: "),
        ("cyclegan", ["data.also=[more]"], "data.also: "),
        ("pix2pix", ["data.balanced=true"], "data.balanced: "),
        ("gan", ["data.domains=[a, b]"], "data.domains: "),
    ],
)
@pytest.mark.parametrize("command", [[], ["--dry-run"]])
def test_a_setting_that_cannot_act_is_refused(run_cli, tiny_recipe, model, settings, told, command):
    words = [word for setting in settings for word in ("--set", setting)]
    refused = run_cli("train", tiny_recipe(model), "--data", "shapes", *words, *command)
    assert refused.exit_code == 2 and told in refused.stderr
    assert "no effect" in refused.stderr


@pytest.mark.parametrize(
    ("setting", "told"),
    [("data.shapes.train=8", "the data set is not shapes"), ("training.halve_every=5", "training.schedule is linear")],
)
@pytest.mark.parametrize("command", [[], ["--dry-run"]])
def test_a_setting_of_another_set_or_schedule_is_refused_in_a_command(run_cli, tiny_recipe, setting, told, command):
    refused = run_cli("train", tiny_recipe("cyclegan"), "--data", "horses", setting, *command)
    assert refused.exit_code == 2 and "without effect" in refused.stderr and told in refused.stderr


def test_a_recipes_own_settings_of_another_set_are_let_be(tmp_path):
    own = load_recipe("stargan-shapes", ["data.set=flowers"])
    assert own.data.shapes.styles and resolved("stargan-shapes", "flowers", []) == own
    assert resolved("unit", "shapes", ["data.shapes.train=8", "training.halve_every=5"]).data.shapes.train == 8


def test_steps_and_epochs_in_one_command_are_refused(run_cli, tiny_recipe, tmp_path):
    data = unpaired_folder(tmp_path / "unp")
    command = ["train", tiny_recipe("cyclegan"), "--data", data, "--device", "cpu", "--set", "training.epochs=0.3"]
    refused = run_cli(*command, "--set", "training.steps=5")
    assert refused.exit_code == 2 and "training.steps and --set training.epochs" in refused.stderr
    # The recipe's steps give way to the command's epochs, whether they are taken back or not.
    assert run_cli(*command, "--set", "training.steps=null").exit_code == 0


def test_overrides_of_a_recipe_that_is_none_to_be_read_are_refused(tiny_recipe, tmp_path):
    with pytest.raises(ConfigurationError, match="load_recipe"):
        train(load_recipe(str(tiny_recipe("cyclegan"))), out=tmp_path / "run", overrides=["training.steps=3"])
    assert not (tmp_path / "run").exists()
