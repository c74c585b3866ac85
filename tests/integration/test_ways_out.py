"""No message advises what nobody has tried: every one that names a command or an option stands in the registry."""

from __future__ import annotations

import importlib
from pathlib import Path

from ways_out import SAYS_NO_WAY, WAYS, Message, messages

for path in Path(__file__).parents[1].rglob("test_*.py"):
    if "from ways_out import" in path.read_text() and path != Path(__file__):
        importlib.import_module(path.stem)

GIVEN, FOUND, PASSED_ON = "names what was given", "says what was found", "passes on another message"
SAYS_NO_WAY |= {
    ("inference/provenance", ", with --eval"): FOUND,
    ("inference/requests", "an attribute is set or cleared, not both"): GIVEN,
    ("inference/cycle_error", "--cycle-error: {}"): PASSED_ON,
    ("inference/derived", "around these the network changes pixels, too, which `translate convert`"): FOUND,
    ("inference/foreign", "(the port's --model colorization)"): FOUND,
    ("inference/foreign", "--dropout on: {}"): PASSED_ON,
    ("inference/fitting", "--tile {}: {}"): PASSED_ON,
    ("inference/manifest", "--manifest {}: {} rows could not be written: {}"): FOUND,
    ("inference/jobs", "--shard {}/{}: expected 1/{} to {}/{}"): GIVEN,
    ("inference/jobs", "there are only links to places elsewhere, which --no-links leaves out"): GIVEN,
    ("data/cache/device", "data.augment works on the host"): FOUND,
    ("data/cache/device", "data.derive works on the host"): FOUND,
    ("data/cache/device", "images are cached in main memory instead"): FOUND,
    ("training/runtime", "CUDA graphs need a CUDA device, this is {}"): GIVEN,
    ("training/runtime", "conv-as-matmul is for a CPU, this is {}"): GIVEN,
    ("training/runtime", "fused Adam is for cpu and cuda, this is {}"): GIVEN,
    ("runs/evaluate", "--weights-dir {}: no such folder"): GIVEN,
    ("runs/flicker", "--clips {}: neither a video nor a folder of clips"): GIVEN,
    ("runs/flicker", "--clips {}: no clips here: {}"): GIVEN,
    ("runs/flicker", "--clips {}: a {} translates no pictures"): GIVEN,
    ("runs/flicker", "--clips {}: the model translates {} to {}, which no video holds"): GIVEN,
    ("runs/flicker", ", by --steady"): FOUND,
    ("runs/evaluate", "--json {}: there is no folder {} to write it to"): GIVEN,
    ("runs/export", "--bytes is for graphs, not for --format"): GIVEN,
    ("inference/formats/port", "--format port: the generator is antialiased"): GIVEN,
    ("inference/formats/port", "--format port: the generator learns the change"): GIVEN,
    ("inference/formats/port", "--format port: {}"): PASSED_ON,
    ("inference/formats/port", "--format port: the generator has {} where theirs has"): GIVEN,
    ("inference/formats/hub", "--format {}"): GIVEN,
    ("inference/formats/port", "--format {}"): GIVEN,
    ("runs/image_sets/opening", "data.domains: this method takes two domains, not {}"): GIVEN,
    ("runs/initial_weights", "training.init_from {}: {}"): PASSED_ON,
    ("networks/signatures", "on the way up only (--no_antialias)"): FOUND,
    ("networks/signatures", "on the way down only (--no_antialias_up)"): FOUND,
    ("networks/signatures", "a StyleGAN2 network (as CUT's --netG stylegan2)"): FOUND,
    ("recipe/reading", "--set {}"): GIVEN,
    ("recipe/plugins", "--plugin {}: adds nothing to {}"): GIVEN,
    ("recipe/plugins", "--plugin {}"): PASSED_ON,
    ("recipe/plugins", "--plugin {}: {}"): PASSED_ON,
    ("training/state", "training.safetensors: {}"): PASSED_ON,
    ("runs/rescheduling", "--change-schedule: the learning rates are those that the run has"): FOUND,
    ("runs/resuming", "images a step (training.batch_size x processes)"): FOUND,
    ("inference/sampling", "--count {}: expected 1 or more"): GIVEN,
    ("training/loop", "as training.skip_limit is {}"): FOUND,
    ("inference/provenance", ", with --depth {}"): FOUND,
    ("inference/provenance", ", with --steps {}"): FOUND,
}


def _stands_in(message: Message, pieces: list[tuple[str, str]]) -> bool:
    return any(module == message.module and piece in message.text for module, piece in pieces)


def test_every_message_with_a_command_an_option_or_a_setting_was_tried() -> None:
    known = [piece for way in WAYS for piece in way.pieces] + list(SAYS_NO_WAY)
    new = [message for message in messages() if not _stands_in(message, known)]
    told = "\n".join(f"translate/{message.module}.py:{message.line}: {message.text}" for message in new)
    assert not new, f"{told}\nenter each as a Row in test_ways_out_rows.py; ways_out.py says how"


def test_the_registry_has_no_message_that_is_gone() -> None:
    there, known = list(messages()), [piece for way in WAYS for piece in way.pieces] + list(SAYS_NO_WAY)
    assert not [piece for piece in known if not any(_stands_in(message, [piece]) for message in there)]


def test_most_are_run() -> None:
    assert sum(not way.reason for way in WAYS) > 4 * sum(bool(way.reason) for way in WAYS)
