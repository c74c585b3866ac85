"""No message advises what nobody has tried: every one that names a command or an option stands in the registry."""

from __future__ import annotations

import importlib
from pathlib import Path

from ways_out import SAYS_NO_WAY, WAYS, Message, messages

for path in Path(__file__).parent.glob("test_*.py"):
    if "from ways_out import" in path.read_text() and path != Path(__file__):
        importlib.import_module(path.stem)

GIVEN, FOUND, PASSED_ON = "names what was given", "says what was found", "passes on another message"
SAYS_NO_WAY |= {
    ("converting/claim", ", with --eval"): FOUND,
    ("converting/converter", "an attribute is set or cleared, not both"): GIVEN,
    ("converting/cycle_error", "--cycle-error: {}"): PASSED_ON,
    ("converting/foreign", "(the port's --model colorization)"): FOUND,
    ("converting/foreign", "--dropout on: {}"): PASSED_ON,
    ("converting/manifest", "--manifest {}: {} rows could not be written: {}"): FOUND,
    ("converting/jobs", "--shard {}/{}: expected 1/{} to {}/{}"): GIVEN,
    ("data/on_device", "data.augment works on the host"): FOUND,
    ("data/on_device", "images are kept in the host's memory instead"): FOUND,
    ("engine", "CUDA graphs need a CUDA device, this is {}"): GIVEN,
    ("engine", "products are for a CPU, this is {}"): GIVEN,
    ("engine", "fused Adam is for cpu and cuda, this is {}"): GIVEN,
    ("evaluate", "--weights-dir {}: no such folder"): GIVEN,
    ("evaluate", "--json {}: there is no folder {} to write it to"): GIVEN,
    ("export", "--bytes is for graphs (onnx, torch-export), not for --format"): GIVEN,
    ("export", "data.range [{}, {}] is not in these files"): FOUND,
    ("exporting/port", "--format port: the generator is antialiased"): GIVEN,
    ("exporting/port", "--format port: the generator learns the change"): GIVEN,
    ("exporting/port", "--format port: {}"): PASSED_ON,
    ("exporting/port", "--format port: the generator has {} where theirs has"): GIVEN,
    ("export", "--format {}"): GIVEN,
    ("image_sets/opening", "data.domains: this method takes two domains, not {}"): GIVEN,
    ("beginning", "training.init_from {}: {}"): PASSED_ON,
    ("networks/signatures", "on the way up only (--no_antialias)"): FOUND,
    ("networks/signatures", "on the way down only (--no_antialias_up)"): FOUND,
    ("networks/signatures", "a StyleGAN2 network (as CUT's --netG stylegan2)"): FOUND,
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
    told = "\n".join(f"translate/{message.module}.py:{message.line}: {message.text}" for message in new)
    assert not new, f"{told}\nenter each as a Row in test_ways_out_rows.py; ways_out.py says how"


def test_the_registry_has_no_message_that_is_gone() -> None:
    there, known = list(messages()), [piece for way in WAYS for piece in way.pieces] + list(SAYS_NO_WAY)
    assert not [piece for piece in known if not any(_stands_in(message, [piece]) for message in there)]


def test_most_are_run() -> None:
    assert sum(not way.reason for way in WAYS) > 4 * sum(bool(way.reason) for way in WAYS)
