"""What is given as a run and is none: each command says what it is, and how to go on."""

import json
import shlex
import shutil
from pathlib import Path

import pytest
import tiny
import torch
from tiny import unpaired_folder, write_images
from ways_out import command_in, tried

import translate
from translate.networks.foreign import port_state
from translate.networks.resnet import ResnetGenerator
from translate.recipe import parse_recipe


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a tiny run, and everything that could be taken for one."""
    root = tmp_path_factory.mktemp("place")
    values = {"name": "tiny", "model": tiny.TINY["cyclegan"], "data": tiny.TINY_DATA, "training": tiny.TINY_TRAINING}
    data = unpaired_folder(root / "data" / "horse2zebra")
    recipe = parse_recipe(json.loads(json.dumps(values)), "tiny")
    translate.train(recipe, data, out=root / "runs" / "one", tracking="disabled", device="cpu", quiet=True)
    shutil.copytree(root / "runs" / "one", root / "runs" / "young one", ignore=shutil.ignore_patterns("checkpoints"))
    write_images(root / "photos", ["a.png"])
    (root / "empty").mkdir()
    (root / "texts").mkdir()
    (root / "texts" / "a.txt").write_text("x")
    (root / "weights").mkdir()
    torch.save(port_state(ResnetGenerator(3, 3, filters=4, blocks=1)), root / "weights" / "latest_net_G_A.pth")
    (root / "mine.yaml").write_text("base: cyclegan\n")
    (root / "model.zip").write_bytes(b"PK")
    return root


# Path -> what is said of it.
TOLD = {
    "photos": "photos: holds images but is not a run; `translate data check photos`",
    "photos/a.png": "photos/a.png: an image, not a run",
    "mine.yaml": "mine.yaml: a recipe, not a trained run; `translate train mine.yaml`",
    "runs/one/recipe.yaml": "the recipe of the run runs/one; give that folder",
    "runs/one/checkpoints": "holds checkpoints but is not a run; give runs/one",
    "runs": "holds runs but is not one; give runs/one",
    "empty": "empty: an empty folder, not a run",
    "texts": "texts: holds neither a run",
    "weights": "holds files of networks but is not a run; give one of them, such as weights/latest_net_G_A.pth",
    "model.zip": "an archive, not a run",
    "runs/ones": "no such run; expected the folder that `translate train` wrote; did you mean runs/one?",
    "runs/one/checkpoints/step-00000004/model.safetensors": "the weights alone; give their folder",
}
COMMANDS = {
    "convert": ["photos", "out"],
    "sample": ["out"],
    "evaluate": [],
    "compare": [],
    "export": ["out.onnx"],
}


@pytest.fixture
def there(place, run_cli, monkeypatch):
    def run(*arguments):
        monkeypatch.chdir(place)
        return run_cli(*arguments)

    # run_cli goes to its own folder when it is made; commands run in `place`.
    return run


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize("path", TOLD)
def test_what_is_no_run_is_named(there, command, path):
    refused = there(command, path, *COMMANDS[command])
    assert refused.exit_code == 2, refused.output
    assert TOLD[path] in refused.stderr and "Traceback" not in refused.output


@tried(("runs/not_a_run", "`translate train {} --out {} --resume`"))
def test_a_run_without_checkpoints_is_told_and_the_command_that_goes_on_works(there, place):
    for command in ("convert", "evaluate", "export"):
        refused = there(command, "runs/young one", *COMMANDS[command])
        assert refused.exit_code == 2 and "a run that has saved no checkpoint yet" in refused.stderr
    words = shlex.split(refused.stderr.split("`")[1])
    assert words[:2] == ["translate", "train"] and there(*words[1:], "--device", "cpu").exit_code == 0
    shutil.rmtree(place / "runs" / "young one" / "checkpoints")


def test_the_input_named_first_gives_the_command_in_the_right_order(there, tmp_path):
    refused = there("convert", "photos", "runs/one", str(tmp_path / "out put"), "--to", "zebra")
    assert refused.exit_code == 2 and "the run comes first" in refused.stderr
    words = shlex.split(refused.stderr.split("`")[1])
    assert there(*words[1:], "--to", "zebra", "--device", "cpu").exit_code == 0
    assert (tmp_path / "out put" / "a.png").is_file()


@tried(("runs/not_a_run", "the file of a model, which `translate convert` and `translate export` take"))
def test_a_generators_file_is_no_run_to_evaluate(there, tmp_path):
    refused = there("evaluate", "weights/latest_net_G_A.pth")
    assert refused.exit_code == 2
    for command, words in (("convert", ["photos", "converted"]), ("export", ["model.pt2"])):
        assert f"`translate {command}`" in refused.stderr
        assert there(command, "weights/latest_net_G_A.pth", *words[:-1], tmp_path / words[-1]).exit_code == 0


@tried(
    ("runs/not_a_run", "an empty folder, not a run; expected one that `translate train` wrote"),
    (
        "runs/not_a_run",
        "(recipe.yaml, checkpoints) nor images; expected a folder that `translate train` wrote",
    ),
)
def test_a_folder_without_a_run_is_one_once_train_has_written_it(user):
    user.data()
    for name in ("empty", "texts"):
        Path(name).mkdir()
    Path("texts", "a.txt").write_text("x")
    for name in ("empty", "texts"):
        assert command_in(user.refused("export", name, "hub", "--format", "hub")) == ["train"]
    user.gets(*user.train(user.recipe("cyclegan", steps=1), "--out", "empty"))
    user.gets("export", "empty", "hub", "--format", "hub")
