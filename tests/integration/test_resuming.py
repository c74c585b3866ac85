"""What a resumed run may be given, and what it tells of what is not as it was."""

import math
import re
import shlex
import shutil

import pytest
from tiny import labelled_folder, paired_folder, unpaired_folder, write_images
from ways_out import tried

from translate.data.batch import Plain
from translate.errors import ConfigurationError
from translate.recipe import DataSettings, load_recipe
from translate.reporting.tracking import read_metrics
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


@tried(("runs/resuming", "`translate train {} --out {} training.init_from={} {}`"))
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


def _rates(folder, network="generator_a"):
    return {
        row["step"]: row[f"learning_rate/{network}"]
        for row in read_metrics(folder / "metrics.jsonl")
        if f"learning_rate/{network}" in row
    }


@tried(("runs/resuming", "; to go on with other learning rates, add --change-schedule"))
def test_a_run_goes_on_at_other_learning_rates_where_that_is_said_twice(begun, tmp_path):
    run, words = tmp_path / "run", ["--data", "d/unp", "training.steps=6", "training.log_every=1", "training.lr=1e-3"]
    words += ["training.schedule=cosine", "training.decay_from=0"]
    losses = (run / "metrics.jsonl").read_text()
    refused = begun(*words)
    assert refused.exit_code == 2 and (run / "metrics.jsonl").read_text() == losses
    changed = begun(*words, refused.stderr.partition("learning rates, add ")[2].split()[0])
    assert changed.exit_code == 0, changed.output
    told = re.search("schedule changed after step 2: (.*)", changed.stderr)[1].split(", ")
    assert set(told) == {"lr 0.0002 -> 0.001", "schedule linear -> cosine", "decay_from 0.5 -> 0.0"}
    assert (run / "metrics.jsonl").read_text().startswith(losses), "what was before stays as it was"
    closed_form = {step: 1e-3 * (1 - math.cos(math.pi * (7 - step) / 7)) / 2 for step in range(3, 7)}
    assert {step: rate for step, rate in _rates(run).items() if step > 2} == pytest.approx(closed_form)
    training = load_recipe(run / "recipe.yaml").training
    assert (training.lr, training.schedule, training.decay_from) == (1e-3, "cosine", 0)
    again = begun(*words, "training.steps=7")
    assert again.exit_code == 0 and "schedule changed" not in again.stderr, again.output
    assert _rates(run)[7] == pytest.approx(1e-3 * (1 - math.cos(math.pi / 8)) / 2)
    page = (run / "report.html").read_text()
    assert "<dt>schedule changed</dt><dd>after step 2: " in page and told[0].replace(">", "&gt;") in page


@pytest.mark.parametrize("word", ["network_lr={discriminator_a: 1e-5}", "networks.discriminator_a.lr=1e-5"])
def test_the_rate_of_one_network_changes_and_is_told_when_runs_are_compared(begun, run_cli, tmp_path, word):
    words = ["--data", "d/unp", "--change-schedule", "training.schedule=constant"]
    assert begun(*words, f"training.{word}", "training.steps=3").exit_code == 0
    rates = [_rates(tmp_path / "run", name)[3] for name in ("discriminator_a", "discriminator_b")]
    assert rates == pytest.approx([1e-5, 2e-4])
    assert "after step 2: " in run_cli("compare", "run").stdout


@tried(
    ("runs/train", "--change-schedule is for a run that goes on: add --resume"),
    ("runs/rescheduling", "give a larger training.steps, too"),
)
def test_a_changed_schedule_needs_a_run_and_steps_that_are_left(begun, run_cli, tiny_recipe):
    alone = run_cli("train", tiny_recipe("cyclegan"), "--data", "d/unp", "--change-schedule", "--out", "new")
    assert alone.exit_code == 2 and "add --resume" in alone.stderr
    words = ["--data", "d/unp", "training.lr=1e-3", "--change-schedule"]
    refused = begun(*words, "training.steps=2")
    assert refused.exit_code == 2 and "give a larger training.steps, too" in refused.stderr
    assert load_recipe("run/recipe.yaml").training.lr == 2e-4
    assert begun(*words, "training.steps=3").exit_code == 0
    # As a queue does that starts the same command again.
    assert "nothing changes" in begun(*words, "training.steps=3").stderr


def _killed(*_: object) -> None:
    raise SystemExit(137)


def test_a_change_that_no_checkpoint_knows_yet_goes_on_with_the_runs_own_recipe(begun, run_cli, tmp_path, monkeypatch):
    """As --resume says: a process may be killed between the change and the next checkpoint."""
    run, words = tmp_path / "run", ["--data", "d/unp", "--change-schedule", "training.lr=1e-3", "training.steps=3"]
    with monkeypatch.context() as patched:
        patched.setattr("translate.runs.train._go", _killed)
        assert begun(*words).exit_code == 137
    own = ["train", "run/recipe.yaml", "--out", "run", "--resume", "--device", "cpu"]
    refused = run_cli(*own, "training.lr=1e-2")
    assert refused.exit_code == 2 and "training.lr: 0.0002 then, 0.01 now" in refused.stderr, (
        "nobody asked for this one"
    )
    kept = (run / "rescheduled.json").read_text()
    (run / "rescheduled.json").write_text(kept[:-9])
    refused = run_cli(*own)
    assert refused.exit_code == 2 and "add --change-schedule" in refused.stderr
    (run / "rescheduled.json").write_text(kept)
    resumed = run_cli(*own)
    assert resumed.exit_code == 0 and "schedule changed after step 2: lr 0.0002 -> 0.001" in resumed.stderr
    assert _rates(run)[3] == pytest.approx(1e-3 * 0.5, rel=0.5)
    checkpoint = load_checkpoint(run / "checkpoints")
    assert checkpoint.facts["rescheduled"] == [{"step": 2, "changed": {"training.lr": (2e-4, 1e-3)}}]
    text = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").write_text(text.replace("lr: 0.001", "lr: 0.01"))
    assert "add --change-schedule" in run_cli(*own, "training.steps=4").stderr, "a change of another checkpoint"


def test_changing_back_is_one_more_change(begun, tmp_path):
    words = ["--data", "d/unp", "--change-schedule"]
    assert begun(*words, "training.lr=1e-3", "training.steps=3").exit_code == 0
    assert begun(*words, "training.lr=2e-4", "training.steps=4").exit_code == 0
    changes = load_checkpoint(tmp_path / "run" / "checkpoints").facts["rescheduled"]
    assert [(one["step"], one["changed"]["training.lr"]) for one in changes] == [(2, (2e-4, 1e-3)), (3, (1e-3, 2e-4))]


@tried(("runs/many", "first train it with the learning rates of the others, without --change-schedule"))
def test_the_schedules_of_several_runs_change_once_all_have_begun(run_cli, tiny_recipe, tmp_path):
    data, recipe = unpaired_folder(tmp_path / "d" / "unp"), tiny_recipe("cyclegan")
    words = ["train", recipe, "--data", data, "--out", "r", "--device", "cpu", "-q", "training.steps=2"]
    assert run_cli(*words, "--seeds", "0").exit_code == 0
    change = [*words[:-1], "training.steps=3", "training.lr=1e-3", "--change-schedule", "--seeds", "0,1"]
    refused = run_cli(*change)
    assert refused.exit_code == 2 and "r-seed1 has not begun: first train it" in refused.stderr
    assert run_cli(*words, "--seeds", "0,1").exit_code == 0
    assert run_cli(*change).exit_code == 0
    for seed in (0, 1):
        assert load_checkpoint(tmp_path / f"r-seed{seed}" / "checkpoints").facts["rescheduled"][0]["step"] == 2
    assert "trained already" in run_cli(*[word for word in change if word != "-q"]).stderr


def test_no_other_setting_changes_with_the_schedule(begun):
    refused = begun("--data", "d/unp", "training.lr=1e-3", "training.ema=0.9", "--change-schedule")
    assert refused.exit_code == 2 and "training.ema: null then, 0.9 now" in refused.stderr
    assert "add --change-schedule" not in refused.stderr


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


@tried(("runs/beginning", "(training.keep=N keeps the newest N, training.keep_every=N every N-th step)"))
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
        ("data.domains={B: {unit: HU}, A: {}}", []),
        ("data.domains={B: {unit: HU}, A: {}}", ["--domains", "B,A"]),
        ("data.domains={B: {unit: HU}, A: {}}", ["data.domains.B.unit=HU"]),
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
