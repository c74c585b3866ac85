"""Runs on clips: trained, shown as film strips, measured beside copying, and used on videos and folders of frames."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from clip_files import HEIGHT, WIDTH, decoded, numbered, pictures, video
from PIL import Image
from ways_out import SAYS_NO_WAY, User, command_in, taken, tried, ways_of

from translate.data.augment import GEOMETRY, Augmentation
from translate.data.batch import Paired
from translate.data.settings import DataSettings
from translate.evaluation.next_frame import RollOuts, baselines_of
from translate.reporting.grids import pictures_in, places_in
from translate.runs.image_sets.opening import open_data
from translate.runs.loading import load, load_model
from translate.training.runtime import choose_runtime

FRAMES = 3
EXACT = ("--device", "cpu", "--precision", "float32")
SAYS_NO_WAY |= {
    ("inference/provenance", ", with --roll-out {}"): "says what a folder holds",
    ("data/clips/opening", " and data.frame_step={}"): "part of the message about clips that are too short",
    ("data/clips/opening", "{}: no clip to train on has the {} frames"): "what it advises is a message of its own",
}


def clips(root: Path, count: int = 4, length: int = 12) -> Path:
    for number in range(count):
        numbered(root / ("test" if number == 0 else "train") / f"clip{number}", pictures(length, number, (24, 24)))
    return root


def trained(user: User, *settings: str, data: str = "clips") -> str:
    """Trains a run here; returns what was said."""
    return user.gets(*user.train(user.recipe("pix2pix"), f"data.frames={FRAMES}", *settings, "--out", "run", data=data))


def rows(run: Path) -> dict[str, float]:
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return next(row for row in reversed(lines) if "validation/to_next/l1" in row)


def test_a_run_learns_the_next_frame_and_shows_films(user: User) -> None:
    clips(user.folder / "clips")
    said = trained(user)
    assert "samples of 3 frames and the next" in said and "train: 3 clips of 36 frames, 27 samples" in said
    run = user.folder / "run"
    given, target = load_model(run).images.each
    assert [layer.name for layer in given.layers] == ["t-2", "t-1", "t"] and target.name == "next"
    film = run / "samples" / "step-00000004.png"
    places = places_in(film)
    assert places and places.columns == ["t-2", "t-1", "t", *(f"t+{ahead}" for ahead in range(1, 9))]
    assert places.rows[:2] == ["clip0 from 2: predicted", "clip0 from 2: truth"]
    strip = pictures_in(film)
    for first, second in zip(places.rows[::2], places.rows[1::2], strict=True):
        assert first.endswith(": predicted") and second.endswith(": truth")
    assert np.array_equal(strip["t"][0], strip["t"][1]) and not np.array_equal(strip["t+1"][0], strip["t+1"][1])
    measured = rows(run)
    assert {f"validation/to_next/l1/{ahead}_ahead" for ahead in range(2, 9)} <= measured.keys()
    summary = json.loads((run / "summary.json").read_text())
    entry = summary["validation/to_next/l1"]
    assert entry["last frame"] > 0 and entry["straight line"] > 0 and "best colour map" not in entry
    assert entry["last frame"] < summary["validation/to_next/l1/8_ahead"]["last frame"]
    assert "clip0 from 2: predicted" in (run / "report.html").read_text()
    scores = user.gets("evaluate", "run", "--device", "cpu")
    assert "floor: last frame" in scores and "floor: straight line" in scores and "8 ahead" in scores


def test_baselines_are_copying_and_a_straight_line() -> None:
    given = torch.tensor([0.1, 0.4, 0.8]).reshape(1, 3, 1, 1, 1)
    for distance, line in ((1, 1.0), (2, 1.0)):  # .8 + .4 is clipped
        found = baselines_of(given, distance)
        assert found["last frame"].item() == pytest.approx(0.8) and found["straight line"].item() == line
    falling = baselines_of(given.flip(1), 2)
    assert falling["straight line"].item() == pytest.approx(0.1 - 2 * 0.3)
    assert baselines_of(given[:, :1]).keys() == {"last frame"}


def test_a_roll_out_feeds_on_its_own_predictions() -> None:
    class Sum(torch.nn.Module):
        """The next number is half the sum of the last two: known in closed form."""

        def convert(self, images: torch.Tensor, to: int) -> torch.Tensor:
            return images.sum(1, keepdim=True) / 2

    start = torch.tensor([0.0, 0.5]).reshape(1, 2, 1, 1).expand(1, 2, 4, 4)
    outs = RollOuts(start, torch.zeros(1, 3, 1, 4, 4), ["one"], (["t-1", "t"], ["t+1", "t+2", "t+3"]))
    found = outs.predicted(Sum(), 1, None, choose_runtime("cpu", "float32"))  # type: ignore[arg-type]
    assert found[0, :, 0, 0, 0].tolist() == [0.25, 0.375, 0.3125]


def test_frames_of_a_sample_share_crop_and_flip(tmp_path: Path) -> None:
    still = pictures(1, size=(24, 24)) * 8
    for number in range(3):
        numbered(tmp_path / f"clip{number}", still)
    settings = DataSettings(set=str(tmp_path), frames=3, size=16, load_size=20, workers=0)
    batch = open_data(settings, Paired, lambda line: None).loader(4, 0).batch(3)
    frames = [*torch.split(batch.input, 3, 1), batch.target]
    assert all(torch.equal(frame, frames[0]) for frame in frames)
    assert not torch.equal(frames[0][0], frames[0][1]), "samples differ"


@pytest.mark.parametrize("name", ["Rotate", "ElasticTransform", "RandomBrightnessContrast", "GaussNoise"])
def test_frames_of_a_sample_are_augmented_alike_and_the_target_by_geometry_alone(tmp_path: Path, name: str) -> None:
    still = pictures(1, size=(24, 24)) * 8
    for number in range(3):
        numbered(tmp_path / f"clip{number}", still)
    own = {"set": str(tmp_path), "frames": 3, "size": 24, "load_size": 24, "flip": False, "workers": 0}

    def batch(augment: tuple[Augmentation, ...]) -> list[torch.Tensor]:
        data = DataSettings(**own, augment=augment)
        found = open_data(data, Paired, lambda line: None).loader(4, 0).batch(3)
        return [*torch.split(found.input, 3, 1), found.target]

    plain, (first, *others, target) = batch(()), batch((Augmentation(name=name, p=1.0),))
    assert all(torch.equal(frame, first) for frame in others) and not torch.equal(first, plain[0])
    assert torch.equal(target, first) == (name in GEOMETRY) and torch.equal(target, plain[-1]) != (name in GEOMETRY)


def test_videos_and_their_frames_as_files_are_the_same_data(tmp_path: Path) -> None:
    pytest.importorskip("av")
    for number in range(3):
        path = video(tmp_path / "videos" / f"clip{number}.mp4", pictures(8, number))
        numbered(tmp_path / "files" / f"clip{number}.mp4", decoded(path))
    batches = []
    for name in ("videos", "files"):
        settings = DataSettings(set=str(tmp_path / name), frames=3, size=16, load_size=20, workers=0)
        batches.append(open_data(settings, Paired, lambda line: None).loader(4, 0).batch(1))
    for one, other in zip(batches[0].tensors(), batches[1].tensors(), strict=True):
        # Files of RGB may be resized while they are decoded, to the same pixels.
        assert torch.equal(one, other)


def test_a_folder_of_frames_becomes_a_folder_of_predictions(user: User) -> None:
    clips(user.folder / "clips")
    trained(user)
    frames = user.folder / "clips" / "test" / "clip0"
    user.gets("convert", "run", frames, "out", *EXACT)
    names = sorted(path.name for path in (user.folder / "out").glob("*.png"))
    assert names == [f"{number:04d}.png" for number in range(FRAMES, 12)]
    converter = load(user.folder / "run", device="cpu", precision="float32")
    for number in (FRAMES, 9):
        given = {
            name: Image.open(frames / f"{number - back:04d}.png") for name, back in (("t-2", 3), ("t-1", 2), ("t", 1))
        }
        wanted = converter.convert(given)
        made = np.asarray(Image.open(user.folder / "out" / f"{number:04d}.png"))
        assert made.shape == (24, 24, 3) and np.array_equal(made, np.asarray(wanted))
    before = (user.folder / "out" / "0005.png").stat().st_mtime_ns
    (user.folder / "out" / "0004.png").unlink()
    assert "1 converted, 0 skipped" in user.gets(
        "convert", "run", frames, "out", "--device", "cpu", "--precision", "float32"
    )
    assert (user.folder / "out" / "0005.png").stat().st_mtime_ns == before and (
        user.folder / "out" / "0004.png"
    ).exists()
    assert "0 converted, 1 skipped" in user.gets(
        "convert", "run", frames, "out", "--device", "cpu", "--precision", "float32"
    )
    assert "holds translations by" in user.refused("convert", "run", frames, "out", "--roll-out", 2, "--device", "cpu")


def test_a_clip_of_frames_goes_on_beyond_its_end(user: User) -> None:
    clips(user.folder / "clips")
    trained(user)
    frames = user.folder / "clips" / "test" / "clip0"
    user.gets("convert", "run", frames, "on", "--roll-out", 3, *EXACT)
    assert sorted(path.name for path in (user.folder / "on").glob("*.png")) == ["0012.png", "0013.png", "0014.png"]
    again = user.folder / "again"
    shutil.copytree(frames, again)
    shutil.copy(user.folder / "on" / "0012.png", again)
    user.gets("convert", "run", again, "next", "--roll-out", 1, *EXACT)
    second, other = ((user.folder / place / "0013.png").read_bytes() for place in ("on", "next"))
    assert second == other, "the second is what follows the first"


def test_a_video_becomes_a_film_of_predictions(user: User) -> None:
    av = pytest.importorskip("av")
    clips(user.folder / "clips")
    trained(user)
    stamps = [place + place // 3 for place in range(12)]
    source = video(user.folder / "clip.mp4", pictures(12), stamps=stamps)
    user.gets("convert", "run", "clip.mp4", "out.mp4", *EXACT)

    def times(path: Path) -> list[float]:
        with av.open(str(path)) as file:
            return [frame.time for frame in file.decode(video=0)]

    assert times(user.folder / "out.mp4") == pytest.approx(times(source))
    made, true = decoded(user.folder / "out.mp4"), decoded(source)
    assert made[0].shape == (HEIGHT, WIDTH, 3)
    near = [float(np.abs(a.astype(int) - b).mean()) for a, b in zip(made, true, strict=True)]
    assert max(near[:FRAMES]) < 3, "before the first prediction the frames are as they were"
    converter = load(user.folder / "run", device="cpu", precision="float32")
    wanted = converter.convert(
        {name: Image.fromarray(true[place]) for name, place in (("t-2", 4), ("t-1", 5), ("t", 6))}
    )
    assert float(np.abs(made[7].astype(int) - np.asarray(wanted)).mean()) < 3
    user.gets("convert", "run", "clip.mp4", "on.mp4", "--roll-out", 2, *EXACT)
    going, step = times(user.folder / "on.mp4"), stamps[-1] - stamps[-2]
    assert len(going) == 14 and going[:12] == pytest.approx(times(source))
    assert np.diff(going[11:]) == pytest.approx([step / 25] * 2)
    on = decoded(user.folder / "on.mp4")
    assert max(float(np.abs(a.astype(int) - b).mean()) for a, b in zip(on, [*true, *on[12:]], strict=True)) < 3


def changes(frames: list[np.ndarray], shown: list[np.ndarray]) -> float:
    """The mean difference of neighbours among frames that are `shown` for those of a clip, where that stays the same
    within 12 levels of 255; of clips so small that nothing is taken to move."""
    found = []
    for before, now, was, become in zip(frames, frames[1:], shown, shown[1:], strict=False):
        same = np.abs(now.astype(float) - before).mean(2) < 12
        found.append(np.abs(become.astype(float) - was)[same].mean() / 255)
    return float(np.mean(found))


def test_evaluate_says_how_much_predictions_flicker_beside_the_clip(user: User) -> None:
    clips(user.folder / "clips")
    trained(user)
    said = user.gets("evaluate", "run", "--json", "scores.json", "--device", "cpu")
    assert "flicker, 0-1 scale (lower is better)" in said and "floor: the clip itself" in said
    (row,) = (one for one in json.loads(Path("scores.json").read_text()) if one["key"] == "flicker")
    user.gets("convert", "run", "clips/test/clip0", "out", "--device", "cpu")
    made = [np.asarray(Image.open(path)) for path in sorted(Path("out").glob("*.png"))]
    true = [np.asarray(Image.open(path)) for path in sorted(Path("clips/test/clip0").glob("*.png"))][FRAMES:]
    assert len(made) == len(true) == 9 and row["images"] == 8
    assert row["floor"]["the clip itself"] == pytest.approx(changes(true, true), abs=1e-6)
    assert row["value"] == pytest.approx(changes(true, made), abs=1e-3), "what is measured is what is delivered"
    assert row["value"] > 3 * row["floor"]["the clip itself"]


def test_evaluate_measures_given_clips_of_a_model_of_pictures(user: User) -> None:
    clips(user.folder / "clips", count=2)
    run = user.run("pix2pix")
    said = user.gets("evaluate", run, "--clips", "clips", "--json", "scores.json", "--device", "cpu")
    steadied = [one for one in json.loads(Path("scores.json").read_text()) if one["key"] == "flicker"]
    assert [one["name"] for one in steadied] == ["to B", "to B, by --steady"] and "by --steady" in said
    assert steadied[0]["value"] > steadied[1]["value"] > 0 and steadied[0]["images"] == 22
    assert steadied[0]["protocol"]["split"] == "the first 32 frames of 2 clips"
    Path("empty").mkdir()
    assert "no clips here" in user.refused("evaluate", run, "--clips", "empty", "--device", "cpu")
    assert "neither a video nor a folder" in user.refused("evaluate", run, "--clips", "none", "--device", "cpu")


def test_a_folder_of_clips_becomes_one_of_clips_and_names_what_fails(user: User) -> None:
    pytest.importorskip("av")
    clips(user.folder / "clips")
    trained(user)
    numbered(user.folder / "in" / "frames", pictures(6))
    numbered(user.folder / "in" / "few", pictures(2))
    video(user.folder / "in" / "a.mp4", pictures(6))
    command = ("convert", "run", "in", "out", "--device", "cpu", "--manifest", "rows.jsonl")
    said = user.refused(*command, code=3)
    assert "2 converted, 0 skipped, 1 failed" in said and "few: 2 frames, and 4 in a row are needed" in said
    assert len(list((user.folder / "out" / "frames").glob("*.png"))) == 3 and (user.folder / "out" / "a.mp4").exists()
    found = [json.loads(line) for line in (user.folder / "rows.jsonl").read_text().splitlines()]
    assert sorted(row["status"] for row in found) == ["failed", "written", "written"]


def test_check_describes_clips(user: User) -> None:
    pytest.importorskip("av")
    for number in range(3):
        video(user.folder / "films" / f"{number}.mp4", pictures(8, number))
    said = user.gets("data", "check", "films")
    assert "2 clips of 16 frames, 8 samples" in said and f"8 frames of {WIDTH} x {HEIGHT}, 25 a second" in said
    assert command_in(said, "train")[:2] == ["train", "next-frame"]
    still = pictures(1) * 8
    numbered(user.folder / "films" / "still", still)
    numbered(user.folder / "films" / "test" / "copy", still)
    said = user.refused("data", "check", "films", "--recipe", "next-frame", code=3)
    assert "repeat the one before" in said and "clips that hold frames of training clips" in said


@tried(("data/clips/opening", "set data.frames={}{}, or give longer clips"))
def clips_that_are_too_short(user: User) -> None:
    numbered(user.folder / "clips" / "a", pictures(3))
    command = [*user.train(user.recipe("pix2pix"), data="clips"), "--dry-run"]
    said = user.refused(*command, "data.frames=4")
    assert "no clip to train on has the 5 frames that data.frames=4 needs" in said and "a, has 3" in said
    user.gets(*command, taken(said, r"set (data\.frames=\d), or"))


@tried(
    ("data/clips/opening", "repair or remove them, or leave them out with --skip-bad"),
    ("data/clips/opening", "{}: data.fold is one of {}, and there are {} clips to train on: take fewer folds"),
)
def clips_that_cannot_be_read_or_are_too_few(user: User) -> None:
    pytest.importorskip("av")
    numbered(user.folder / "clips" / "a", pictures(6))
    (user.folder / "clips" / "no.mp4").write_text("no video")
    command = [*user.train(user.recipe("pix2pix"), data="clips"), "data.frames=2", "--dry-run"]
    user.gets(*command, taken(user.refused(*command), r"leave them out with (--skip-bad)"))
    numbered(user.folder / "clips" / "b", pictures(6))
    said = user.refused(*command, "--skip-bad", "data.fold=1/3")
    assert "there are 2 clips to train on: take fewer folds" in said
    user.gets(*command, "--skip-bad", "data.fold=1/2")


@tried(("data/settings", "frame_step is of clips: set data.frames, too"))
def a_step_between_frames_of_no_clips(user: User) -> None:
    numbered(user.folder / "clips" / "a", pictures(6))
    command = [*user.train(user.recipe("pix2pix"), data="clips"), "data.frame_step=2", "--dry-run"]
    user.gets(*command, f"{taken(user.refused(*command), r'set (data.frames), too')}=2")


@tried(("data/checks/clips", "a larger data.frame_step may help"))
def clips_that_repeat_their_frames(user: User) -> None:
    twice = [frame for frame in pictures(12) for _ in range(2)]
    numbered(user.folder / "clips" / "a", twice)
    said = user.gets("data", "check", "clips", "data.frames=2")
    key = taken(said, r"a larger (data\.frame_step) may help")
    command = [*user.train(user.recipe("pix2pix"), data="clips"), "data.frames=2", "--dry-run"]
    user.gets(*command, f"{key}=2")


@tried(
    ("inference/clips", "; --roll-out 1 predicts what follows them"),
    ("inference/media", "--steady: blends translations, and this model predicts frames; leave it out"),
    ("inference/options", "translates images and tells no next frames; leave it out"),
    ("runs/next_steps", "convert with `translate convert {} {} {}`"),
)
def clips_without_a_next_frame_and_models_that_know_none(user: User) -> None:
    pytest.importorskip("av")
    clips(user.folder / "clips")
    said = trained(user)
    video(user.folder / "clip.mp4", pictures(8))
    convert = command_in(said, "convert")
    taken(user.refused(*convert, "--device", "cpu", "--steady"), "(--steady): blends .* leave it out")
    user.gets(*convert, "--device", "cpu")
    numbered(user.folder / "short", pictures(FRAMES))
    command = ["convert", "run", "short", "out", "--device", "cpu"]
    said = user.refused(*command, code=3)
    user.gets(*command[:3], "on", *command[4:], *taken(said, r"; (--roll-out 1) predicts").split())
    run, photos = user.run("pix2pix"), user.photos()
    for source, output in ((photos, "x"), ("clip.mp4", "x.mp4")):
        plain = ["convert", run, source, output, "--device", "cpu"]
        assert "leave it out" in user.refused(*plain, "--roll-out", 2)
        user.gets(*plain)


@pytest.mark.parametrize("trial", ways_of(__name__))
def test_the_advice_works(trial, user: User) -> None:
    trial(user)


def test_a_resumed_run_goes_on_to_the_same_bit(user: User) -> None:
    clips(user.folder / "clips")
    trained(user, "training.schedule=constant")
    settings = (f"data.frames={FRAMES}", "training.schedule=constant", "training.steps=2")
    command = user.train("pix2pix.yaml", *settings, "--out", "half", data="clips")
    user.gets(*command)
    user.gets(*(word for word in command if word != "training.steps=2"), "--resume")
    one, other = (load_model(user.folder / name).model.state_dict() for name in ("run", "half"))
    assert all(torch.equal(one[key], other[key]) for key in one)
    assert re.search(r"validation/to_next/l1/3_ahead", (user.folder / "half" / "metrics.jsonl").read_text())
