"""No message advises what nobody has tried: every one that names a command or an option stands in the registry."""

from __future__ import annotations

import test_quickstart
import test_ways_out_converting
import test_ways_out_data
import test_ways_out_training
from ways_out import SAYS_NO_WAY, WAYS, Message, messages

MODULES = (test_ways_out_training, test_ways_out_converting, test_ways_out_data, test_quickstart)
GIVEN, FOUND, PASSED_ON = "names what was given", "says what was found", "passes on another message"
SAYS_NO_WAY |= {
    ("converting/claim", ", with --eval"): FOUND,
    ("converting/converter", "an attribute is set or cleared, not both"): GIVEN,
    ("converting/cycle_error", "--cycle-error: {}"): PASSED_ON,
    ("converting/gallery", "--gallery {}: cannot be written"): GIVEN,
    ("converting/jobs", "--shard {}/{}: expected 1/{} to {}/{}"): GIVEN,
    ("data/on_device", "data.augment works on the host"): FOUND,
    ("data/on_device", "images are kept in the host's memory instead"): FOUND,
    ("engine", "CUDA graphs need a CUDA device, this is {}"): GIVEN,
    ("engine", "products are for a CPU, this is {}"): GIVEN,
    ("engine", "fused Adam is for cpu and cuda, this is {}"): GIVEN,
    ("evaluate", "--weights-dir {}: no such folder"): GIVEN,
    ("evaluate", "--json {}: is a folder; expected the name of a file"): GIVEN,
    ("evaluate", "--json {}: there is no folder {} to write it to"): GIVEN,
    ("export", "--bytes is for graphs (onnx, torch-export), not for --format"): GIVEN,
    ("export", "data.range [{}, {}] is not in these files"): FOUND,
    ("exporting/port", "--format port: there is no {} in the PyTorch port"): GIVEN,
    ("exporting/port", "--format port: the generator learns the change"): GIVEN,
    ("exporting/port", "--format port: {}"): PASSED_ON,
    ("exporting/port", "--format port: the generator has {} where theirs has"): GIVEN,
    ("image_sets/opening", "data.domains: this method takes two domains, not {}"): GIVEN,
    ("loading", "training.init_from {}: {}"): PASSED_ON,
    ("recipe/reading", "--set {}"): GIVEN,
    ("restorable", "training.safetensors: {}"): PASSED_ON,
    ("run_folder", "images a step (training.batch_size x processes)"): FOUND,
    ("sampling", "--count {}: expected 1 or more"): GIVEN,
    ("training", "as training.skip_limit is {}"): FOUND,
}
STYLE_SHEETS = ("report/style", "report/gallery")


def _stands_in(message: Message, pieces: list[tuple[str, str]]) -> bool:
    return any(module == message.module and piece in message.text for module, piece in pieces)


def test_every_message_with_a_command_an_option_or_a_setting_was_tried() -> None:
    known = [piece for way in WAYS for piece in way.pieces] + list(SAYS_NO_WAY)
    new = [message for message in messages() if message.module not in STYLE_SHEETS and not _stands_in(message, known)]
    assert not new, "\n".join(f"translate/{message.module}.py:{message.line}: {message.text}" for message in new)


def test_the_registry_has_no_message_that_is_gone() -> None:
    there = list(messages())
    for piece in [piece for way in WAYS for piece in way.pieces] + list(SAYS_NO_WAY):
        assert any(_stands_in(message, [piece]) for message in there), piece


def test_what_is_tried_is_a_test_of_its_own() -> None:
    """A trial is found by the test module that registers it."""
    names = {module.__name__ for module in MODULES}
    assert {way.trial.__module__ for way in WAYS} <= names and len({way.trial.__name__ for way in WAYS}) == len(WAYS)
    assert sum(not way.reason for way in WAYS) > 4 * sum(bool(way.reason) for way in WAYS)
