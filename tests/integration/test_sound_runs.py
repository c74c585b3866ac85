"""Runs on sound: trained, measured, shown, resumed and converted; and what is said of sound that does not suit."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
import speech_files as speech
import yaml
from PIL import Image
from ways_out import User, command_in, taken, tried, ways_of

import translate
from translate.data.sound.spectrum import Spectrum
from translate.evaluation.sound_measures import si_sdr
from translate.inference import sound as converting
from translate.runs.loading import load_model
from translate.training.checkpoint import load_checkpoint

SMALL = {
    "model": {
        "name": "pix2pix",
        "convert_mode": "eval",
        "generator": {"kind": "unet", "filters": 4, "levels": 3, "dropout": 0.0},
        "discriminator": {"filters": 4, "layers": 1},
    },
    "data": {"size": [32, 64], "resize": "none", "flip": False, "sound": {"rate": 8000, "window": 126, "hop": 32}},
    "training": {"steps": 4, "batch_size": 2, "sample_every": 4, "validate_every": 2, "checkpoint_every": 2},
}
WAYS = ["training.precision=float32", "training.schedule=constant", "data.workers=0"]


def small(folder: Path) -> str:
    (folder / "small.yaml").write_text(yaml.safe_dump(SMALL))
    return "small.yaml"


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pairs of tones and a run on them."""
    folder = tmp_path_factory.mktemp("sound")
    speech.tone_set(folder / "tones")
    translate.train(
        folder / small(folder), folder / "tones", out=folder / "run", device="cpu", overrides=WAYS, quiet=True
    )
    return folder


def there(user: User, trained: Path) -> User:
    shutil.copytree(trained, user.folder, dirs_exist_ok=True)
    return user


def test_a_run_learns_from_pairs_of_sounds(user: User) -> None:
    speech.tone_set(user.folder / "tones", suffix=".flac")
    command = user.train(small(user.folder), *WAYS, data="tones")
    said = user.gets(*command, "--out", "run")
    assert "train: 4 pairs of clean and noisy" in said and "direction BtoA: from noisy to clean" in said
    assert "noisy: sound as magnitudes of 64 frequencies every 4 ms, at 8,000 Hz (data.sound says otherwise)" in said
    assert "convert with `translate convert run noisy/ out/`" in said
    loaded = load_model(user.folder / "run")
    assert loaded.images.domains == ("noisy", "clean")
    assert [kind.sound for kind in loaded.images.kinds] == [Spectrum(8000, 126, 32)] * 2
    rows = [json.loads(line) for line in (user.folder / "run" / "metrics.jsonl").read_text().splitlines()]
    assert any({"validation/to_clean/si_sdr", "validation/to_clean/stoi"} <= row.keys() for row in rows)
    summary = json.loads((user.folder / "run" / "summary.json").read_text())["validation/to_clean/si_sdr"]
    floor, ceiling = (summary[name] for name in ("noisy input", "ideal ratio mask"))
    assert floor < ceiling and summary["better"] == "higher" and summary["unit"] == "dB"
    with Image.open(user.folder / "run" / "samples" / "step-00000004.png") as grid:
        places = json.loads(grid.text["translate:places"])
        assert places["columns"] == ["input", "output", "target"] and places["boxes"][0][0][2:] == [32, 64]
    assert "si_sdr" in load_checkpoint(user.folder / "run" / "checkpoints", "best").facts["best_measured"]

    user.gets(*command, "training.steps=2", "--out", "parts")
    user.gets(*command, "--out", "parts", "--resume")
    whole, parts = (load_checkpoint(user.folder / one / "checkpoints", "latest").weights() for one in ("run", "parts"))
    assert all((whole[key] == parts[key]).all() for key in whole)


def test_scores_stand_between_the_noisy_input_and_the_ideal_mask(user: User, trained: Path) -> None:
    there(user, trained)
    said = user.gets("evaluate", "run", "--device", "cpu", "--json", "scores.json")
    assert "SI-SDR to the clean sound, dB" in said and "floor: noisy input" in said
    first, second = json.loads((user.folder / "scores.json").read_text())
    assert (first["key"], second["key"]) == ("si_sdr", "stoi") and first["images"] == 2
    values = []
    for name in ("0004.wav", "0005.wav"):
        noisy, clean = (soundfile.read(user.folder / "tones" / side / "test" / name)[0] for side in ("noisy", "clean"))
        values.append(si_sdr(noisy, clean))
    assert first["floor"]["noisy input"] == pytest.approx(np.mean(values), abs=1e-4)
    user.gets("convert", "run", "tones/noisy/test", "out", "--device", "cpu")
    made = [
        si_sdr(soundfile.read(user.folder / "out" / name)[0], soundfile.read(f"tones/clean/test/{name}")[0])
        for name in ("0004.wav", "0005.wav")
    ]
    assert first["value"] == pytest.approx(np.mean(made), abs=0.1), "what is measured is what is delivered"


KEPT = {
    "a.wav": ("WAV", "PCM_16", 16000, 2),
    "b.wav": ("WAV", "PCM_24", 44100, 1),
    "c.wav": ("WAV", "FLOAT", 8000, 1),
    "d.flac": ("FLAC", "PCM_16", 22050, 3),
    "e.wav": ("WAV", "PCM_U8", 16000, 1),
    "sub/f.wav": ("WAVEX", "PCM_32", 192000, 1),
    "g.ogg": ("OGG", "VORBIS", 48000, 1),
}


def test_length_rate_channels_and_type_of_samples_stay(user: User, trained: Path) -> None:
    there(user, trained)
    for name, (format, subtype, rate, channels) in KEPT.items():
        samples = np.stack([0.1 * speech.tones(number, rate + 123, rate) for number in range(channels)], 1)
        path = user.folder / "in" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        with soundfile.SoundFile(path, "w", rate, channels, subtype, format=format) as file:
            file.title = f"title of {name}"
            file.write(samples)
    said = user.gets("convert", "run", "in", "out", "--manifest", "rows.jsonl", "--device", "cpu")
    assert "7 converted" in said
    for name, (format, subtype, rate, channels) in KEPT.items():
        with soundfile.SoundFile(user.folder / "out" / name.replace(".ogg", ".wav")) as file:
            kept = (file.format, file.subtype, file.samplerate, file.channels)
            wanted = ("WAV", "PCM_16", rate, channels) if name == "g.ogg" else (format, subtype, rate, channels)
            assert kept == wanted and file.frames == rate + 123 and file.title == f"title of {name}"
    notes = {
        row["source"]: row["note"] for row in map(json.loads, (user.folder / "rows.jsonl").read_text().splitlines())
    }
    assert "nothing is left above 4,000 Hz" in notes["in/sub/f.wav"] and "8 bits in and out" in notes["in/e.wav"]
    assert "VORBIS became PCM_16" in notes["in/g.ogg"] and notes["in/c.wav"] == ""
    assert "0 converted, 7 skipped" in user.gets("convert", "run", "in", "out", "--device", "cpu")
    user.gets("convert", "run", "in/g.ogg", "one.ogg", "--device", "cpu")
    assert soundfile.info("one.ogg").subtype == "VORBIS" and soundfile.info("one.ogg").frames == 48123
    user.gets("convert", "run", "in/c.wav", "one.flac", "--device", "cpu")
    assert soundfile.info("one.flac").subtype == "PCM_24"


def test_channels_are_translated_one_by_one_and_floats_above_full_scale_stay(user: User, trained: Path) -> None:
    there(user, trained)
    one, other = speech.tones(1, 9000), speech.tones(2, 9000)
    files = {"both": np.stack([one, other], 1), "one": one, "other": other, "loud": 40 * one / np.abs(one).max()}
    (user.folder / "in").mkdir()
    for name, samples in files.items():
        soundfile.write(f"in/{name}.wav", samples, 16000, subtype="FLOAT")
    user.gets("convert", "run", "in", "out", "--device", "cpu", "--precision", "float32")
    made = {name: soundfile.read(f"out/{name}.wav")[0] for name in files}
    np.testing.assert_allclose(made["both"], np.stack([made["one"], made["other"]], 1), atol=1e-6)
    assert np.abs(made["loud"]).max() > 1 and np.abs(made["both"]).max() > 0


def test_quieter_files_give_the_same_sound_as_much_quieter(user: User, trained: Path) -> None:
    there(user, trained)
    (given,) = (kind for kind in load_model("run").images.each if kind.name == "noisy")
    assert given.level is not None and -30 < given.level < -15
    (user.folder / "in").mkdir()
    samples = speech.mixed(speech.tones(1, 30_000), speech.noise("white", 1, 30_000), 20)
    quiet = np.stack([samples, 0.1 * samples], 1)
    for name, found in {"usual": samples, "quiet": 0.1 * samples, "both": quiet}.items():
        soundfile.write(f"in/{name}.wav", found, 16000, subtype="FLOAT")
    user.gets("convert", "run", "in", "out", "--device", "cpu")
    usual, made, both = (soundfile.read(f"out/{name}.wav")[0] for name in ("usual", "quiet", "both"))
    np.testing.assert_allclose(made, 0.1 * usual, atol=1e-3 * np.abs(made).max())
    np.testing.assert_allclose(both, np.stack([usual, made], 1), atol=1e-6)
    assert si_sdr(usual, samples) < 60, "the network changes what it is given"


def test_what_is_above_full_scale_is_counted(user: User, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there(user, trained)
    soundfile.write("a.wav", 0.6 * np.sin(np.arange(16000) * 0.1), 16000)
    monkeypatch.setattr(converting, "translated", lambda samples, **how: 2 * samples)
    said = user.gets("convert", "run", "a.wav", "b.wav", "--device", "cpu")
    count = int(taken(said, r"(\S+) samples above full scale, up to 1.2, were cut").replace(",", ""))
    source = soundfile.read("a.wav")[0]
    assert count == (np.abs(2 * source) > 1).sum() and np.abs(soundfile.read("b.wav")[0]).max() > 0.999


def long_file(user: User, seconds: int = 40) -> None:
    soundfile.write("long.wav", np.resize(speech.tones(3, 48000), seconds * 16000), 16000, subtype="FLOAT")


def test_a_long_file_in_windows_is_as_the_whole(user: User, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    there(user, trained)
    long_file(user)
    lengths: list[int] = []
    whole = converting.translated

    def noted(samples: np.ndarray, **how: object) -> np.ndarray:
        lengths.append(len(samples))
        return whole(samples, **how)

    monkeypatch.setattr(converting, "translated", noted)
    monkeypatch.setattr(converting, "WINDOW", 1_000_000)
    command = ("convert", "run", "long.wav")
    user.gets(*command, "whole.wav", "--device", "cpu", "--precision", "float32")
    monkeypatch.setattr(converting, "WINDOW", 512)
    user.gets(*command, "parts.wav", "--device", "cpu", "--precision", "float32")
    assert lengths[0] == 640_000 and len(lengths) > 8 and max(lengths[1:]) < 100_000
    one, other = (soundfile.read(f"{name}.wav")[0] for name in ("whole", "parts"))
    assert len(one) == len(other) == 640_000
    assert np.abs(one - other).max() < 1e-3 * np.abs(one).max()


def test_a_network_that_looks_at_the_whole_file_gets_it(
    user: User, trained: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there(user, trained)
    command = user.train("small.yaml", *WAYS, "model.convert_mode=train", "--out", "statistics", data="tones")
    user.gets(*command)
    long_file(user)
    monkeypatch.setattr(converting, "WINDOW", 512)
    said = user.gets("convert", "statistics", "long.wav", "out.wav", "--device", "cpu")
    assert "long.wav: the network looks at the whole file at once" in said
    assert soundfile.info("out.wav").frames == 640_000


def test_bad_files_are_named_and_others_converted(user: User, trained: Path) -> None:
    there(user, trained)
    (user.folder / "in").mkdir()
    good = np.sin(np.arange(16000) * 0.1) / 9
    soundfile.write("in/good.wav", good, 16000)
    soundfile.write("in/silent.wav", good * 0, 16000)
    soundfile.write("in/nan.wav", np.where(np.arange(16000) == 9, np.nan, good), 16000, subtype="FLOAT")
    soundfile.write("in/none.wav", good[:0], 16000)
    Path("in/cut.wav").write_bytes(Path("in/good.wav").read_bytes()[:-1000])
    Path("in/text.wav").write_text("not sound")
    said = user.refused("convert", "run", "in", "out", "--device", "cpu", code=3)
    assert "2 converted, 0 skipped, 4 failed" in said
    for line in (
        "in/nan.wav: 1 samples are not finite numbers (NaN or infinite)",
        "in/none.wav: holds no samples",
        "in/cut.wav: cut short: its header says 32,000 bytes of sound, and 1,000 are missing",
        "in/text.wav: cannot be read as sound",
        "in/silent.wav: silent from beginning to end",
    ):
        assert line in said
    assert sorted(path.name for path in Path("out").glob("[!.]*")) == ["good.wav", "silent.wav"]
    assert not np.any(soundfile.read("out/silent.wav")[0])
    assert "cut short" in user.refused("convert", "run", "in/cut.wav", "o.wav", "--device", "cpu", code=1)


def test_links_to_sound_elsewhere_are_named_or_left_out(user: User, trained: Path) -> None:
    there(user, trained)
    shutil.copytree("tones/noisy/test", "in")
    Path("in/away.wav").symlink_to(user.folder / "tones/noisy/train/0000.wav")
    Path("in/here.wav").symlink_to("0004.wav")
    said = user.gets("convert", "run", "in", "out", "--device", "cpu")
    assert "in: 1 link to a file elsewhere is followed; --no-links leaves them out" in said and "4 converted" in said
    said = user.gets("convert", "run", "in", "other", "--device", "cpu", "--no-links")
    assert re.search(r"left out: 1: in/away.wav", said) and "3 converted" in said
    assert sorted(path.name for path in Path("other").glob("*.wav")) == ["0004.wav", "0005.wav", "here.wav"]
    for name in ("0004.wav", "0005.wav", "here.wav"):
        Path("in", name).unlink()
    said = user.refused("convert", "run", "in", "none", "--device", "cpu", "--no-links")
    assert "in: there are only links to places elsewhere, which --no-links leaves out" in said


def test_images_and_sound_are_told_apart(user: User, trained: Path) -> None:
    there(user, trained)
    user.run("pix2pix")
    user.photos()
    said = user.refused("convert", "run", "photos", "out", "--device", "cpu")
    assert "the model takes sound as magnitudes" in said and "give WAV, FLAC or OGG files" in said
    said = user.refused("convert", "run-pix2pix", "tones/noisy/test", "out", "--device", "cpu")
    assert "sound, and the model takes 8-bit RGB" in said
    Path("a.mp3").write_text("x")
    assert "a.mp3: sound is read from WAV, FLAC and OGG" in user.refused("convert", "run", "a.mp3", "o.wav")
    assert "'.mp3' is not written here" in user.refused("convert", "run", "tones/noisy/test/0004.wav", "o.mp3")
    assert "--size 64: is for images" in user.refused(
        "convert", "run", "tones/noisy/test/0004.wav", "o.wav", "--size", "64", "--device", "cpu"
    )
    assert "sound is learned from pairs only" in user.refused(
        *user.train(user.recipe("cyclegan"), "data.layout=unpaired", *OF_TONES, data="tones")
    )


OF_TONES = ("data.resize=none", "data.flip=false", "data.size=[32,256]", "data.load_size=null")


def test_a_folder_of_sound_is_checked(user: User) -> None:
    speech.tone_set(user.folder / "tones")
    said = user.gets("data", "check", "tones")
    assert "train noisy: 4 sounds, 0.1 minutes in all, 2 to 2 seconds; 4 of 16,000 Hz, mono, PCM_16" in said
    assert "train with `translate train speech --data tones`" in said
    train = user.folder / "tones" / "noisy" / "train"
    soundfile.write(train / "0001.wav", np.zeros(32000), 16000)
    soundfile.write(train / "0002.wav", speech.tones(2, 30000), 16000)
    (train / "0003.wav").write_bytes((train / "0003.wav").read_bytes()[:-5000])
    said = user.refused("data", "check", "tones", code=3)
    assert re.search(r"silent from beginning to end, nothing to learn from: 1: \S*0001.wav", said)
    assert re.search(r"differ in length or rate; cut them alike: 1: \S*0002.wav", said)
    assert "0003.wav: cut short" in said
    command = user.train(small(user.folder), *WAYS, "--out", "run", data="tones")
    assert "0002.wav has 30,000 samples at 16,000 Hz, and" in user.refused(*command)
    soundfile.write(train / "0002.wav", speech.tones(2, 32000), 16000)
    said = user.refused(*command)
    assert "2 images cannot be used" in said and "0001.wav: silent" in said and "0003.wav: cut short" in said
    user.gets(*command, "--skip-bad")


@tried(
    ("data/sound/finding", "train with the recipe speech, or set data.resize=none, data.flip=false and "),
    ("data/sound/source", "frames, the first number of data.size"),
    ("data/sound/finding", "data.sound: no effect, as {} holds images; leave it out"),
    ("data/sound/finding", "data.domains.{}.kind: sound, and its files are images: leave it out"),
    ("data/sound/finding", "data.domains.{}.kind: {}"),
    ("data/checks/looking", "{}: {} (data.sound says otherwise)"),
    ("runs/next_steps", "convert with `translate convert {} {} {}`"),
)
def settings_that_do_not_suit_sound(user: User) -> None:
    speech.tone_set(user.folder / "tones")
    recipe = user.recipe("pix2pix", steps=1)
    advised = taken(user.refused(*user.train(recipe, data="tones")), r"data.resize=none.*")
    settings = [one.rstrip(",") for one in advised.split() if "=" in one]
    command = user.train(recipe, *settings, "data.load_size=null", "--out", "run", data="tones")
    said = user.gets(*command)
    key = taken(said, r"noisy: sound as .* \((data.sound) says otherwise\)")
    assert "every 4 ms" in user.gets(*command, f"{key}.hop=64", "--out", "finer")
    shutil.copytree("tones/noisy/test", "noisy")
    user.gets(*command_in(said), "--device", "cpu")
    kind = "data.domains.noisy.kind=labels"
    assert "data.domains.noisy.kind: labels: no effect on sound; leave it out" in user.refused(
        *command, kind, "--out", "no"
    )
    said = user.refused(*command, "data.size=[512,256]", "--out", "other")
    assert f"set fewer than {taken(said, r'set fewer than ([0-9]+) frames')} frames" in said
    user.gets(*command, "data.size=[64,256]", "--out", "other")
    command = user.train(recipe, data=user.data("paired"))
    assert "data.sound: no effect" in user.refused(*command, "data.sound.rate=8000")
    assert "its files are images" in user.refused(*command, "data.domains.A.kind=sound")
    user.gets(*command)


@tried(("evaluation/sound_measures", 'STOI needs pystoi: pip install "image-translate[sound]"'))
def without_pystoi(user: User) -> None:
    user.monkeypatch.setitem(__import__("sys").modules, "pystoi", None)
    speech.tone_set(user.folder / "tones")
    assert "image-translate[sound]" in user.refused(*user.train(small(user.folder), *WAYS, data="tones"))


@tried(("data/sound/files", 'sound needs soundfile and SciPy: pip install "image-translate[sound]"'))
def without_soundfile(user: User) -> None:
    speech.tone_set(user.folder / "tones")
    user.monkeypatch.setitem(__import__("sys").modules, "soundfile", None)
    assert "image-translate[sound]" in user.refused(*user.train(small(user.folder), *WAYS, data="tones"))
    assert "image-translate[sound]" in user.refused("convert", "run", "tones/noisy", "out")


@tried(("serving/translating", "{} is sound, and pictures are taken here: use `translate convert`"))
def a_served_model_of_sound(user: User) -> None:
    from translate.data.sound.kind import domain_of
    from translate.serving.refusal import Refusal
    from translate.serving.translating import _refuse_layers

    with pytest.raises(Refusal, match="use `translate convert`"):
        _refuse_layers(domain_of("noisy", Spectrum()))


@pytest.mark.skipif(not speech.has_espeak(), reason="espeak-ng is not installed, so nothing is spoken")
def test_speech_that_is_spoken_is_learned_from(user: User) -> None:
    speech.speech_set(user.folder / "speech", 4, 2)
    user.gets(*user.train(small(user.folder), *WAYS, "training.steps=30", "training.log_every=10", data="speech"))
    rows = [json.loads(line) for line in next(Path("runs").glob("*/metrics.jsonl")).read_text().splitlines()]
    losses = [row["generator/reconstruction"] for row in rows if "generator/reconstruction" in row]
    assert len(losses) > 2 and losses[-1] < losses[0]
    assert all(0 < row["validation/to_clean/stoi"] < 1 for row in rows if "validation/to_clean/stoi" in row)


@pytest.mark.parametrize("trial", ways_of(__name__))
def test_the_advice_works(trial, user: User) -> None:
    trial(user)
