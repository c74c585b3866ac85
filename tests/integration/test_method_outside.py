"""A method in a file of its own, without an edit of the package: the file is the command."""

import subprocess
import sys

from tiny import unpaired_folder, write_images

METHOD = """
from typing import Literal

from translate.cli import main
from translate.data.batch import Unpaired
from translate.models.base import Translator, Turn, l1
from translate.models import MODELS
from translate.models.parts import GeneratorSettings, ResnetSettings, build_generator
from translate.utils.settings import Settings


class MeanColourConfig(Settings):
    name: Literal["mean-colour"] = "mean-colour"
    generator: GeneratorSettings = ResnetSettings()


class MeanColour(Translator):
    Config = MeanColourConfig
    batch_type = Unpaired

    def __init__(self, config, images):
        super().__init__(config, images)
        self.generator = build_generator(config.generator, images.channels, images.size)

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
main()
"""
RECIPE = """
model: {name: mean-colour, generator: {kind: resnet, filters: 4, blocks: 1}}
data: {size: 16, load_size: 18}
training: {steps: 2}
"""


def test_a_file_with_a_method_trains_and_converts_as_the_command_does(tmp_path):
    (tmp_path / "mine.py").write_text(METHOD)
    (tmp_path / "mine.yaml").write_text(RECIPE)
    unpaired_folder(tmp_path / "data")
    write_images(tmp_path / "photos", ["x.png"])
    for words in (["train", "mine.yaml", "--data", "data", "--out", "run"], ["convert", "run", "photos", "out"]):
        command = [sys.executable, "mine.py", *words, "--device", "cpu"]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "out" / "x.png").is_file()
