"""Plugins: a method, a network, a loss or a layout in a file of its own, without an edit of the package."""

import json
import re
import shutil
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import numpy as np
import pytest
import torch
from documents import code_blocks
from instance_files import nuclei
from PIL import Image
from tiny import TINY_DATA, TINY_TRAINING, paired_folder, put, tiny_settings, unpaired_folder, write_images
from ways_out import tried

import translate
from translate.cli import main
from translate.errors import ConfigurationError
from translate.models.parts import GENERATORS
from translate.recipe import plugins
from translate.recipe.plugins import TABLES

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
METHOD = """
from typing import Literal

from translate.data.batch import Unpaired
from translate.models import MODELS
from translate.models.base import Translator, Turn, l1
from translate.models.parts import Generator
from translate.networks.resnet import ResnetSettings
from translate.utils.settings import Settings


class MeanColourConfig(Settings):
    name: Literal["mean-colour"] = "mean-colour"
    generator: Generator = ResnetSettings()


class MeanColour(Translator):
    Config = MeanColourConfig
    batch_type = Unpaired

    def __init__(self, config, images):
        super().__init__(config, images)
        self.generator = config.generator.initialised(images.channels, images.size)

    def generate(self, batch):
        return {"b": self.generator(batch.a)}

    def turns(self):
        return [Turn("generator", [self.generator], self._losses, trains_generators=True)]

    def _losses(self, batch, fakes):
        return {"colour": l1(fakes["b"].mean((0, 2, 3)), batch.b.mean((0, 2, 3)))}

    def convert(self, images, to):
        return self.generator(images)

    def targets(self):
        return [1]

    @property
    def stride(self):
        return self.generator.stride

    def show(self, batch):
        return {"a": batch.a, "to b": self.convert(batch.a, 1), "b": batch.b}


MODELS["mean-colour"] = MeanColour
"""
WATCHING = """
from translate.evaluation.metrics import MEASURES, Measure
from translate.reporting.tracking import TRACKERS, Tracker, pictures_in


class Written(Tracker):
    def __init__(self, run, mode):
        self.path = run.folder / "tracked.txt"

    def log(self, step, values):
        with self.path.open("a") as file:
            print(step, *values, file=file)

    def images(self, step, name, picture):
        self.log(step, [name, picture.name])

    def table(self, step, name, grid, samples=()):
        found = [f"{column}:{len(pictures)}" for column, pictures in pictures_in(grid).items()]
        self.log(step, [name, "table", *samples, *found])

    def artifact(self, name, folder, aliases=(), facts=None):
        self.log(facts["step"], [name, "artifact", folder.name, *aliases])

    def summary(self, values):
        self.log(values["best/step"], ["summary", *values])

    def finish(self, exit_code=0):
        self.log(exit_code, ["finished"])

    @classmethod
    def left_to_do(cls, folders):
        return f"look into {folders[0]}"


MEASURES["worst"] = Measure("worst error", lambda images, truths: (images - truths).abs().max(), better="lower")
TRACKERS["written"] = Written
"""
NETWORK = """
from typing import Literal

from torch import nn

from translate.models.parts import GENERATORS
from translate.networks.settings import Generator, GeneratorSettings


class TintSettings(GeneratorSettings):
    kind: Literal["tint"] = "tint"
    filters: int = 1

    def build(self, channels, size):
        return Tint(channels, **self.options)


class Tint(Generator):
    stride = 1

    def __init__(self, channels, filters):
        super().__init__()
        self.layers = nn.Sequential(nn.Conv2d(channels, filters, 1), nn.Conv2d(filters, channels, 1), nn.Tanh())

    def forward(self, images):
        return self.layers(images)


GENERATORS["tint"] = TintSettings
"""
RECIPE = """
model: {name: mean-colour, generator: {kind: resnet, filters: 4, blocks: 1}}
data: {size: 16, load_size: 18, workers: 0}
training: {steps: 2, checkpoint_every: 1}
"""


@pytest.fixture(autouse=True)
def forget(monkeypatch):
    """A function that takes all plugins out of the process, as if it were a new one; it also ends each test."""
    before = {name: dict(table) for name, table in TABLES.items()}

    def forgotten():
        for name, table in TABLES.items():
            table.clear()
            table.update(before[name])
        plugins._loaded.clear()
        plugins.load_installed.cache_clear()

    forgotten()
    yield forgotten
    forgotten()


@pytest.fixture
def run_anew(run_cli, forget):
    """Runs a command line as a new process would: without the plugins of the one before."""

    def run(*arguments):
        forget()
        return run_cli(*arguments)

    return run


@pytest.fixture
def place(tmp_path):
    (tmp_path / "mine.py").write_text(METHOD)
    (tmp_path / "mine.yaml").write_text(RECIPE)
    unpaired_folder(tmp_path / "data")
    write_images(tmp_path / "photos", ["x.png"])
    return tmp_path


TRAIN = ("train", "mine.yaml", "--data", "data", "--out", "run", "--device", "cpu", "--quiet")
CONVERT = ("convert", "run", "photos", "out", "--device", "cpu", "--quiet")
PLUGIN = ("--plugin", "mine.py")
ASKS = "made with the plugin mine.py (SHA-256 "


def test_a_file_that_ends_by_being_the_command_trains_and_converts(place):
    (place / "mine.py").write_text(f"from translate.cli import main\n{METHOD}\nmain()\n")
    for words in (TRAIN, CONVERT):
        command = [sys.executable, "mine.py", *words]
        ended = subprocess.run(command, cwd=place, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
    assert (place / "out" / "x.png").is_file()


@tried(
    ("recipe/mistakes", "a plugin's: give it as --plugin FILE"),
    ("recipe/plugins", "the plugin {} (SHA-256 {}): give its file as --plugin FILE"),
)
def test_a_run_remembers_its_plugin_and_every_command_asks_for_it(place, run_anew, forget):
    ended = run_anew(*TRAIN)
    assert ended.exit_code == 2 and "'model.name' is mean-colour; known: " in ended.stderr
    assert "give it as --plugin FILE" in ended.stderr
    assert run_anew(*TRAIN, *PLUGIN).exit_code == 0

    facts = json.loads((place / "run" / "checkpoints" / "step-00000002" / "checkpoint.json").read_text())
    assert [plugin["name"] for plugin in facts["plugins"]] == ["mine.py"]
    assert json.loads((place / "run" / "plugins.json").read_text()) == facts["plugins"]
    assert "plugin" not in (place / "run" / "recipe.yaml").read_text()

    again = ("train", "run/recipe.yaml", "--out", "run", "--resume", "--device", "cpu", "training.steps=3")
    commands = {
        again: 0,
        CONVERT: 0,
        ("evaluate", "run", "--device", "cpu"): 0,
        ("export", "run", "hub"): 0,
        ("convert", "hub", "photos", "out-of-hub", "--device", "cpu"): 0,
    }
    for words, code in commands.items():
        refused = run_anew(*words)
        assert refused.exit_code == 2 and ASKS in refused.stderr and "give its file as --plugin FILE" in refused.stderr
        ended = run_anew(*words, *PLUGIN)
        assert ended.exit_code == code and "warning: run" not in ended.stderr, ended.stderr
    assert (place / "out" / "x.png").is_file() and (place / "out-of-hub" / "x.png").is_file()

    forget()
    with pytest.raises(ConfigurationError, match="plugin=FILE in Python"):
        translate.load("run", device="cpu")
    photo = Image.open("photos/x.png")
    converted = translate.load("run", device="cpu", plugin="mine.py").convert(photo)
    assert converted.size == photo.size


def test_no_code_is_run_because_a_run_names_it(place, run_anew):
    (place / "mine.py").write_text(f"{METHOD}\nopen('was-run', 'w').close()\n")
    assert run_anew(*TRAIN, *PLUGIN).exit_code == 0
    Path("was-run").unlink()
    for folder in ("run", "run/checkpoints/step-00000002"):
        shutil.copy("mine.py", folder)
    assert run_anew(*CONVERT).exit_code == 2 and not Path("was-run").exists()
    assert run_anew(*CONVERT, *PLUGIN).exit_code == 0 and Path("was-run").exists()


def test_a_plugin_that_has_changed_is_taken_with_a_warning(place, run_anew):
    assert run_anew(*TRAIN, *PLUGIN).exit_code == 0
    with open("mine.py", "a") as file:
        file.write("# better\n")
    ended = run_anew(*CONVERT, *PLUGIN)
    assert ended.exit_code == 0
    assert "made with another version of the plugin mine.py" in ended.stderr and "warning: " in ended.stderr


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (None, "--plugin mine.py: cannot be read: No such file"),
        ("x = (\n", "SyntaxError"),
        ("\nx = 1 / 0\n", "--plugin mine.py: line 2: ZeroDivisionError: division by zero"),
        ("x = 1\n", "adds nothing to MODELS, GENERATORS, "),
    ],
)
def test_a_plugin_that_cannot_be_is_refused_with_the_reason(place, run_anew, text, says):
    Path("mine.py").unlink()
    if text is not None:
        Path("mine.py").write_text(text)
    ended = run_anew(*TRAIN, *PLUGIN)
    assert ended.exit_code == 2 and says in ended.stderr, ended.stderr
    assert not Path("run").exists()


@pytest.fixture
def installed(place, monkeypatch):
    """Installs a package's module `mine` as an entry point of the group."""
    monkeypatch.syspath_prepend(place)
    found = [EntryPoint("mine", "mine", "translate.plugins")]
    monkeypatch.setattr(plugins, "entry_points", lambda group: found if group == "translate.plugins" else [])

    def new_process():
        sys.modules.pop("mine", None)

    new_process()
    yield new_process
    new_process()


@tried(("recipe/plugins", "install that one, or give --plugin {} to take this one"))
def test_an_installed_plugin_needs_no_option_while_it_stays_the_same(place, run_anew, installed):
    assert run_anew(*TRAIN).exit_code == 0
    installed()
    assert run_anew(*CONVERT).exit_code == 0
    with open("mine.py", "a") as file:
        file.write("# better\n")
    installed()
    refused = run_anew(*CONVERT, "--overwrite")
    assert refused.exit_code == 2 and "install that one, or give --plugin" in refused.stderr
    installed()
    assert run_anew(*CONVERT, "--overwrite", *PLUGIN).exit_code == 0


def test_an_installed_plugin_that_fails_is_left_out_and_named(place, run_anew, installed):
    Path("mine.py").write_text("import nothing_of_the_kind\n")
    ended = run_anew("recipes")
    assert ended.exit_code == 0 and "the installed plugin mine (mine) is left out: ModuleNotFoundError" in ended.stderr


def test_a_generator_is_a_class_its_settings_and_a_line(place, run_anew, forget):
    """Two classes and one line in one file: it trains, converts and is exported as those of the package are."""
    Path("mine.py").write_text(NETWORK)
    chosen = ("model.generator.kind=tint", "model.discriminator.layers=1", "data.size=16", "data.load_size=16")
    trained = ("train", "cyclegan", *TRAIN[2:], *chosen, "training.steps=2", "data.workers=0", *PLUGIN)
    assert run_anew(*trained).exit_code == 0
    recipe = json.loads((place / "run/checkpoints/step-00000002/checkpoint.json").read_text())["recipe"]
    assert recipe["model"]["generator"]["kind"] == "tint" and recipe["model"]["generator"]["filters"] == 1
    refused = run_anew(*CONVERT, "--to", "B")
    assert refused.exit_code == 2 and ASKS in refused.stderr
    assert run_anew(*CONVERT, "--to", "B", *PLUGIN).exit_code == 0
    exported = run_anew("export", "run", "mine.pt2", "--to", "B", *PLUGIN)
    assert exported.exit_code == 0, exported.stderr


GREY_TO_COLOUR = ("train", "pix2pix", "--data", "unlike", *TRAIN[4:], "training.steps=1", "data.workers=0", *PLUGIN)


@pytest.fixture
def unlike(place):
    """Grey images and their colour partners, tiny."""
    paired_folder(place / "unlike")
    for path in (place / "unlike").glob("*A/*.png"):
        Image.open(path).convert("L").save(path)
    return "model.discriminator.layers=1", "data.size=16", "data.load_size=16"


def test_the_generator_of_the_documents_stands_between_domains_of_unlike_channels(unlike, run_anew):
    (block,) = (block for block in code_blocks("python") if "one-layer" in block.text)
    Path("mine.py").write_text(block.text)
    chosen = (*unlike, "model.generator.kind=one-layer", "model.generator.width=5")
    ended = run_anew(*GREY_TO_COLOUR, *chosen)
    assert ended.exit_code == 0, ended.stderr
    loaded = translate.load("run", plugin="mine.py")
    assert loaded.convert(np.zeros((16, 16), np.uint8)).shape == (16, 16, 3)


def test_a_generator_that_only_has_build_is_refused_between_them_with_what_to_define(unlike, run_anew):
    Path("mine.py").write_text(NETWORK)
    refused = run_anew(*GREY_TO_COLOUR, *unlike, "model.generator.kind=tint")
    assert refused.exit_code == 2 and not Path("run").exists()
    assert "tint: gives as many channels as it takes, not 3 from 1" in refused.stderr
    assert "set model.generator.kind to unet or resnet, or let TintSettings define build_between" in refused.stderr
    Path("mine.py").write_text(
        NETWORK.replace("build(self, channels", "build_between(self, channels, out").replace("Tint(c", "Tint(out, c")
        .replace("self, channels, filters", "self, out, channels, filters").replace("filters, channels", "filters, out")
    )  # fmt: skip
    assert run_anew(*GREY_TO_COLOUR, *unlike, "model.generator.kind=tint").exit_code == 0


def test_a_layout_is_a_function_and_a_line(place, run_anew):
    Path("mine.py").write_text(
        "from translate.data.layouts.two_domains import LAYOUTS, Layout\n"
        "def dated(root, wanted):\n"
        "    places = root / '2019', root / '2024'\n"
        "    return Layout({'train': places}, ('before', 'after')) if all(p.is_dir() for p in places) else None\n"
        "LAYOUTS['dated'] = dated\n"
    )
    put(place / "dated", "2019/a.png", "2019/b.png", "2024/c.png", width=16, height=16)
    ended = run_anew("data", "check", "dated", *PLUGIN)
    assert "before" in ended.output and "after" in ended.output, ended.output
    assert "before" not in run_anew("data", "check", "dated").output


def test_an_objective_is_three_terms_and_a_line(place, run_anew):
    Path("mine.py").write_text(
        "from translate.losses.adversarial import OBJECTIVES, AdversarialLoss\n"
        "one = lambda x: (x - 1).abs()\n"
        "OBJECTIVES['absolute'] = AdversarialLoss(real=one, fake=lambda x: x.abs(), generator=one)\n"
    )
    tiny = [f"model.{key}={json.dumps(value)}" for key, value in tiny_settings("cyclegan").items()]
    words = (*tiny, "model.adversarial.objective=absolute", "data.size=16", "data.load_size=16", "training.steps=1")
    refused = run_anew("train", "cyclegan", *TRAIN[2:], *words)
    assert refused.exit_code == 2 and "expected one of minimax, nonsaturating, " in refused.stderr
    assert run_anew("train", "cyclegan", *TRAIN[2:], *words, *PLUGIN).exit_code == 0


@pytest.mark.parametrize("file", ["custom_loss.py", "custom_generator.py"])
def test_an_example_trains_and_converts_with_the_two_commands_it_gives(tmp_path, run_anew, file):
    """On a few tiny steps of rendered shapes, but else word for word."""
    commands = [line.split()[1:] for line in (EXAMPLES / file).read_text().splitlines() if "    translate " in line]
    (train, convert) = ([word.replace("examples/", f"{EXAMPLES}/") for word in words] for words in commands)
    plugins.load_plugin(EXAMPLES / file)
    generators = {"filters": 2, "levels": 2} if file == "custom_generator.py" else {"filters": 2, "blocks": 1}
    small = [f"model.generator.{key}={value}" for key, value in generators.items()]
    small += ["model.discriminator.filters=2", "model.discriminator.layers=1", "model.pool=2", "data.workers=0"]
    small += ["data.shapes.train=4", "data.shapes.test=2", "data.size=32", "data.load_size=32", "training.steps=2"]
    train[train.index("--data") + 1] = "shapes"
    ended = run_anew(*train, *small, "training.log_every=1", "--device", "cpu", "--out", convert[1])
    assert ended.exit_code == 0, ended.output
    write_images(tmp_path / "photos", ["x.png"])
    ended = run_anew(*convert, "--device", "cpu", "--to", "outlined")
    assert ended.exit_code == 0 and (tmp_path / convert[3] / "x.png").is_file(), ended.output
    if file == "custom_loss.py":
        logged = (tmp_path / convert[1] / "metrics.jsonl").read_text()
        for loss in ("edges/a", "edges/b", "adversarial/a", "cycle/a"):
            assert f"generators/{loss}" in logged


def test_the_help_names_every_kind_of_plugin() -> None:
    words = {
        "MODELS": "method", "GENERATORS": "network", "DISCRIMINATORS": "network", "SAMPLER_NETWORKS": "network",
        "OBJECTIVES": "loss", "two_domains.LAYOUTS": "layout", "classes.LAYOUTS": "layout", "KINDS": "kind of domain",
        "MEASURES": "measure", "TRACKERS": "tracker",
    }  # fmt: skip
    assert words.keys() == TABLES.keys()
    said = next(option.help for option in main.commands["train"].params if option.name == "plugin") or ""
    assert [word for word in words.values() if f"a {word}" not in said] == []


def test_what_a_plugin_adds_keeps_the_contract(forget):
    """The contract tests are parametrised over the tables: they hold for what is added, too."""
    import test_contract
    import test_tables

    for file in ("custom_loss.py", "custom_generator.py"):
        plugins.load_plugin(EXAMPLES / file)
    for check in (
        test_contract.test_every_parameter_has_one_owner_among_the_networks,
        test_contract.test_each_turn_moves_its_own_networks_and_no_others,
        test_contract.test_show_gives_columns_of_images,
        test_contract.test_networks_are_modules_of_the_model,
    ):
        check("cyclegan-edges")
    test_tables.test_a_generator_keeps_the_size_and_the_range_and_is_of_its_kind("attention-unet")
    test_tables.test_a_generator_trains_in_every_method_that_takes_one("attention-unet")
    between = GENERATORS["attention-unet"](filters=2, levels=2).between(1, 3, 32)
    assert between(torch.zeros(1, 1, 32, 32)).shape == (1, 3, 32, 32)


def test_edges_are_compared_by_hand():
    edges = plugins.load_plugin(EXAMPLES / "custom_loss.py") and sys.modules["translate_plugin_custom_loss"]
    flat, step = torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 4)
    step[..., 2:] = 1.0
    # Sobel: half a step at the two columns beside it, of four; nothing the other way.
    assert float(edges.edge_distance(flat, step)) == pytest.approx(1 / 8)
    assert float(edges.edge_distance(step + 0.5, step)) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("raise SystemExit(0)\n", "--plugin mine.py: line 1: SystemExit: 0"),
        ("MODELS['mine'] = 3\n", "TypeError: MODELS['mine']: expected a class that extends Model, got 3"),
        ("GENERATORS['mine'] = Model\n", "GENERATORS['mine']: expected a class that extends GeneratorSettings"),
        ("OBJECTIVES['mine'] = print\n", "OBJECTIVES['mine']: expected an instance of Objective"),
        ("MEASURES['mine'] = print\n", "MEASURES['mine']: expected an instance of Measure"),
        ("TRACKERS['mine'] = print\n", "TRACKERS['mine']: expected a class that extends Tracker"),
        ("LAYOUTS['mine'] = 'trainA'\n", "two_domains.LAYOUTS['mine']: expected a function, got 'trainA'"),
        ("MODELS['mine'] = Model\n1 / 0\n", "line 7: ZeroDivisionError"),
    ],
)
def test_a_plugin_that_ends_or_misfits_is_refused_and_adds_nothing(place, run_anew, text, says):
    imports = (
        "from translate.data.layouts.two_domains import LAYOUTS\n"
        "from translate.evaluation.metrics import MEASURES; from translate.reporting.tracking import TRACKERS\n"
        "from translate.losses.adversarial import OBJECTIVES\n"
        "from translate.models import MODELS\n"
        "from translate.models.base import Model; from translate.models.parts import GENERATORS\n"
    )
    Path("mine.py").write_text(text if "SystemExit" in text else imports + text)
    ended = run_anew(*TRAIN, *PLUGIN)
    assert ended.exit_code == 2 and says in ended.stderr, ended.output
    assert not any("mine" in table for table in TABLES.values())


def test_an_installed_plugin_that_ends_the_process_is_left_out(place, run_anew, installed):
    Path("mine.py").write_text("raise SystemExit(0)\n")
    ended = run_anew("recipes")
    assert "is left out: SystemExit: 0" in ended.stderr and "cyclegan" in ended.stdout


def test_two_plugins_of_one_name_are_both_remembered(place, run_anew):
    Path("other").mkdir()
    Path("other/mine.py").write_text(NETWORK)
    both = (*PLUGIN, "--plugin", "other/mine.py")
    chosen = ("model.generator.kind=tint", "model.generator.filters=2")
    assert run_anew(*TRAIN, *both, *chosen).exit_code == 0
    assert [plugin["name"] for plugin in json.loads(Path("run/plugins.json").read_text())] == ["mine.py"] * 2
    assert run_anew(*CONVERT, *both).exit_code == 0


def test_a_plugin_may_be_renamed(place, run_anew):
    assert run_anew(*TRAIN, *PLUGIN).exit_code == 0
    Path("mine.py").rename("mine (1).py")
    ended = run_anew(*CONVERT, "--plugin", "mine (1).py")
    assert ended.exit_code == 0 and "warning" not in ended.stderr, ended.stderr


def test_a_plugin_is_asked_for_even_if_its_name_is_close_to_a_known_one(place, run_anew):
    Path("near.yaml").write_text(RECIPE.replace("mean-colour", "cyclegan-edges"))
    ended = run_anew("train", "near.yaml", *TRAIN[2:])
    assert "did you mean 'cyclegan'?" in ended.stderr and "give it as --plugin FILE" in ended.stderr


def test_a_plugin_of_a_measure_and_a_tracker_serves_a_run_that_does_without_it_later(place, run_anew, tiny_recipe):
    Path("mine.py").write_text(WATCHING)
    pairs = ("--data", paired_folder(place / "pairs"), "--out", "run", "--device", "cpu", "-q")
    trained = run_anew("train", tiny_recipe("pix2pix"), *pairs, *PLUGIN, "--tracker", "written", "--artifact")
    assert trained.exit_code == 0, trained.output
    tracked = Path("run/tracked.txt").read_text()
    assert "validation/to_B/worst" in tracked and "0 samples step-00000000.png" in tracked
    assert re.search(r"^0 samples table [^\n]*input:\d output:\d target:\d", tracked, re.M), tracked
    assert re.search(r"run artifact step-\d{8} .*latest step-\d+$", tracked, re.M) and "summary best/step" in tracked
    assert tracked.endswith("0 finished\n") and trained.stderr.splitlines()[-1] == "look into run"
    assert "validation/to_B/worst" in json.loads(Path("run/summary.json").read_text())
    assert not Path("run/plugins.json").exists()
    converted = run_anew(*CONVERT)
    assert converted.exit_code == 0, converted.output


def test_no_plugin_may_be_said_as_none(place, forget):
    with pytest.raises(ConfigurationError, match="no recipe 'nowhere'"):
        translate.train("nowhere", "shapes", plugin=None)
    with pytest.raises(ConfigurationError, match="no such run"):
        translate.load("nowhere", plugin=None)


KIND = """
from dataclasses import replace

from translate.data.domain import KINDS

IMAGE = KINDS["image"]
KINDS["depth"] = replace(
    IMAGE,
    words=lambda domain: "depth",
    planes=lambda held, domain: -IMAGE.planes(held, domain),
    settings=("span", "unit"),
)
"""


def test_a_further_kind_of_domain_is_one_entry_of_a_table(tmp_path, run_anew):
    """Near is bright, as it is not in depths."""
    for path in (nuclei(tmp_path / "set", 2) / "instances").rglob("*.png"):
        Image.fromarray(np.asarray(Image.open(path)) * np.uint16(9)).save(path)
    recipe = {"model": tiny_settings("pix2pix"), "data": TINY_DATA, "training": TINY_TRAINING | {"steps": 2}}
    (tmp_path / "recipe.yaml").write_text(json.dumps(recipe))
    (tmp_path / "kind.py").write_text(KIND)
    command = ["train", "recipe.yaml", "--data", "set", "--out", "run", "data.domains.instances.kind=depth"]
    assert "no kind 'depth'" in run_anew(*command).output
    assert run_anew(*command, "--plugin", "kind.py").exit_code == 0
    near = translate.load("run", device="cpu", plugin="kind.py")
    assert str(near.images.domain(0)) == "depth" and near.images.domain(0).span != (0, 1)
    assert run_anew("convert", "run", "set/instances/test", "out", "--plugin", "kind.py").exit_code == 0
