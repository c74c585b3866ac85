"""Clips: frames of videos by number, numbered files in order, samples that mix no clips, and splits by clip."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from clip_files import decoded, numbered, pictures, video

from translate.data.clips.finding import Clip, find_clips, numbered_in
from translate.data.clips.opening import ClipFolder, open_clips
from translate.data.clips.video_frames import READERS, Frame, Video
from translate.data.clips.window import Window, window_of
from translate.data.domain import Domain
from translate.data.settings import DataSettings
from translate.errors import ConfigurationError, ImageError, TranslateError
from translate.inference.clip_jobs import ClipJobs, plan_clips

OPEN_GOP = {"x264-params": "open-gop=1:bframes=3:keyint=12"}
KINDS = {
    "b-frames.mp4": {},
    "open-gop.mp4": {"options": OPEN_GOP},
    "a.mkv": {"options": {"g": "7"}},
    "a.webm": {"encoder": "libvpx-vp9"},
    "a.avi": {"encoder": "mpeg4", "options": {"bf": "2"}},
    "uneven.mp4": {"stamps": [place + place // 3 for place in range(60)]},
}


def opened(root: Path, frames: int = 4, **more: object) -> ClipFolder:
    return open_clips(root, DataSettings(frames=frames, **more))


@pytest.mark.parametrize("name", KINDS)
def test_every_frame_is_found_by_its_number_in_any_order(tmp_path: Path, name: str) -> None:
    pytest.importorskip("av")
    path = video(tmp_path / name, pictures(60), **KINDS[name])
    true, found = decoded(path), Video.at(path)
    assert len(found) == len(true) == 60 and found.lacking == 0
    order = [*range(60), *random.Random(3).sample(range(60), 60), 59, 0, 59]
    for number in order:
        np.testing.assert_array_equal(Frame(found, number).read(3), true[number])


def test_a_reader_decodes_on_and_begins_at_the_key_frame_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("av")
    from translate.data.clips import video_frames

    path = video(tmp_path / "a.mp4", pictures(60), options={"g": "10", "bf": "0", "sc_threshold": "0"})
    found = Video.at(path)
    assert np.flatnonzero(found.keys).tolist() == [0, 10, 20, 30, 40, 50]
    monkeypatch.setattr(video_frames, "KEPT", 0)
    reader = video_frames._Reader(found)
    decoded_ = []
    search = np.searchsorted
    monkeypatch.setattr(video_frames.np, "searchsorted", lambda *of: decoded_.append(search(*of)) or search(*of))
    for number in range(60):
        reader.read(number, path)
    assert decoded_ == list(range(60)), "each once"
    decoded_.clear()
    reader.read(34, path)
    assert decoded_ == [30, 31, 32, 33, 34], "from the key frame before"
    reader.read(31, path)
    assert decoded_ == [30, 31, 32, 33, 34], "held"
    assert len(reader._recent) <= video_frames.LEAST


def test_few_files_are_open_at_once(tmp_path: Path) -> None:
    pytest.importorskip("av")
    from translate.data.clips import video_frames

    found = [Video.at(video(tmp_path / f"{n}.mp4", pictures(6, n))) for n in range(READERS + 3)]
    for one in found * 2:
        Frame(one, 3).read(3)
    assert len(video_frames._READERS._open) <= READERS


def test_a_rotated_video_is_read_as_it_is_shown(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    plain = video(tmp_path / "a.mp4", pictures(8))
    turned = tmp_path / "turned.mp4"
    data = bytearray(plain.read_bytes())
    place = data.index(b"tkhd") + 4 + 4 + 20 + 16  # version and flags; times, id, duration; layer, volume
    one, none = (65536).to_bytes(4, "big"), bytes(4)
    data[place : place + 36] = (
        none + one + none + (2**32 - 65536).to_bytes(4, "big") + none * 4 + (1 << 30).to_bytes(4, "big")
    )
    turned.write_bytes(data)
    with av.open(str(turned)) as file:
        assert next(file.decode(video=0)).rotation in (90, -90)
    frame, flat = Frame(Video.at(turned), 5), decoded(plain)[5]
    assert frame.header()[:2] == (48, 32)
    assert any(np.array_equal(frame.read(3), np.rot90(flat, turns)) for turns in (1, 3))


def test_a_video_that_is_cut_off_has_the_frames_before(tmp_path: Path) -> None:
    pytest.importorskip("av")
    path = video(tmp_path / "a.mp4", pictures(60), options={"g": "5"}, container={"movflags": "faststart"})
    whole = path.read_bytes()
    cut = tmp_path / "clips" / "cut.mp4"
    cut.parent.mkdir()
    cut.write_bytes(whole[: whole.index(b"mdat") + (len(whole) - whole.index(b"mdat")) // 2])
    found = Video.at(cut)
    assert 5 < len(found) < 55 and found.declared == 60 and found.lacking == 60 - len(found)
    np.testing.assert_array_equal(Frame(found, 2).read(3), decoded(path)[2])
    folder = opened(cut.parent)
    assert any("cut.mp4: cut off" in line and "of 60 frames" in line for line in folder.warnings)


def test_uneven_frames_are_said(tmp_path: Path) -> None:
    pytest.importorskip("av")
    even = Video.at(video(tmp_path / "even.mp4", pictures(30)))
    uneven = video(tmp_path / "clips" / "uneven.mp4", pictures(60), **KINDS["uneven.mp4"])
    assert not even.varies and even.rate == pytest.approx(25) and Video.at(uneven).varies
    assert any("varying frame rate" in line and "uneven.mp4" in line for line in opened(uneven.parent).notes)


def test_a_file_that_is_no_video_is_named_and_left_out_if_so_wanted(tmp_path: Path) -> None:
    pytest.importorskip("av")
    (tmp_path / "text.mp4").write_text("no video")
    numbered(tmp_path / "frames", pictures(9))
    with pytest.raises(ConfigurationError, match=r"1 clips cannot be read:\n.*text\.mp4.*\n.*--skip-bad"):
        opened(tmp_path)
    folder = opened(tmp_path, skip_bad=True)
    assert len(folder.splits["train"][0]) == 5 and any("text.mp4" in line for line in folder.warnings)


def test_a_frame_that_is_gone_is_an_error_of_its_name(tmp_path: Path) -> None:
    pytest.importorskip("av")
    path = video(tmp_path / "a.mp4", pictures(6))
    frame = Frame(Video.at(path), 4)
    path.unlink()
    with pytest.raises(ImageError, match=r"a\.mp4"):
        frame.read(3)
    with pytest.raises(TranslateError, match=r"a\.mp4"):
        Video.at(path)


def test_numbers_order_frames_and_gaps_part_them(tmp_path: Path) -> None:
    numbers = [0, 5, 10, 15, 30, 35, 40]
    folder = numbered(tmp_path / "a", pictures(7), numbers)
    (clip,) = numbered_in(folder, "a")
    assert clip.numbers == tuple(numbers) and clip.pieces == (range(4), range(4, 7)) and clip.gaps == 1
    assert clip.lasts(Window(2)) == [1, 2, 5] and clip.lasts(Window(4)) == []
    assert clip.lasts(Window(1, step=2)) == [0, 1, 4]


def test_frames_of_other_names_are_other_clips(tmp_path: Path) -> None:
    for name in ("left_", "right_"):
        numbered(tmp_path / "a", pictures(3), name=name)
    assert [clip.name for clip in numbered_in(tmp_path / "a", "a")] == ["a/left_", "a/right_"]
    (tmp_path / "a" / "left_2.png").write_bytes((tmp_path / "a" / "left_0002.png").read_bytes())
    with pytest.raises(ConfigurationError, match="both are frame 2"):
        numbered_in(tmp_path / "a", "a")
    with pytest.raises(ConfigurationError, match="its name has no number"):
        numbered(tmp_path / "b", pictures(1))
        (tmp_path / "b" / "0000.png").rename(tmp_path / "b" / "cat.png")
        numbered_in(tmp_path / "b", "b")


def test_samples_mix_no_clips_and_targets_follow_inputs(tmp_path: Path) -> None:
    for name, count in (("a", 6), ("b", 7)):
        numbered(tmp_path / "train" / name, pictures(count))
    numbered(tmp_path / "test" / "c", pictures(5))
    folder = opened(tmp_path)
    inputs, targets = folder.splits["train"]
    places = [[(p.path.parent.name, int(p.path.stem)) for p in one.sources] for one in inputs]
    assert places[0] == [("a", 0), ("a", 1), ("a", 2), ("a", 3)] and len(places) == 2 + 3
    for place, target in zip(places, targets, strict=True):
        assert (target.path.parent.name, int(target.path.stem)) == (place[-1][0], place[-1][1] + 1)
        assert [number for _, number in place] == list(range(place[0][1], place[0][1] + 4))
        assert len({name for name, _ in place}) == 1
    assert folder.domains == ("frames", "next") and inputs[0].names == ("t-3", "t-2", "t-1", "t")
    assert [one.path.parent.name for one in folder.splits["test"][1]] == ["c"]


def test_a_step_takes_every_second_frame(tmp_path: Path) -> None:
    numbered(tmp_path / "a", pictures(8))
    folder = opened(tmp_path, frames=2, frame_step=2)
    inputs, targets = folder.splits["train"]
    assert [[int(p.path.stem) for p in one.sources] for one in inputs] == [[0, 2], [1, 3], [2, 4], [3, 5]]
    assert [int(one.path.stem) for one in targets] == [4, 5, 6, 7]
    assert folder.domains == ("frames", "next-2") and inputs[0].names == ("t-2", "t")


@pytest.mark.parametrize("window", [Window(1), Window(4), Window(3, 2), Window(1, 5)])
def test_names_say_the_window(window: Window) -> None:
    layers = [Domain(name) for name in window.names]
    given = Domain.stacked("frames", layers) if len(layers) > 1 else layers[0]
    assert window_of(given, Domain(window.domains[1])) == window
    assert window_of(given, Domain("photo")) is None
    assert window_of(Domain.stacked("x", [Domain("photo"), Domain("mask")]), Domain("next")) is None


def test_clips_are_split_by_their_names_wherever_they_lie(tmp_path: Path) -> None:
    held = set()
    for root in (tmp_path / "here", tmp_path / "there"):
        for number in range(20):
            numbered(root / f"clip{number}", pictures(5, number))
        folder = opened(root)
        test = {clip.name for clip in folder.clips["test"]}
        assert len(test) == 2 and not test & {clip.name for clip in folder.clips["train"]}
        trained = {p.path.parent.name for one in folder.splits["train"][0] for p in one.sources}
        assert not trained & {one.path.parent.name for one in folder.splits["test"][1]}
        held.add(frozenset(test))
    assert len(held) == 1


def test_folds_are_of_clips(tmp_path: Path) -> None:
    for number in range(6):
        numbered(tmp_path / f"clip{number}", pictures(6, number))
    measured = []
    for fold in ("1/3", "2/3", "3/3"):
        folder = opened(tmp_path, fold=fold)
        names = {clip.name for clip in folder.clips["test"]}
        assert len(names) == 2 and not names & {clip.name for clip in folder.clips["train"]}
        assert folder.test_split == f"fold {fold[0]} of 3"
        measured += names
    assert len(set(measured)) == 6
    with pytest.raises(ConfigurationError, match="6 clips to train on: take fewer folds"):
        opened(tmp_path, fold="1/7")


@pytest.mark.parametrize(
    ("count", "settings", "way"),
    [
        (2, {}, r"has the 5 frames that data\.frames=4 needs.*a, has 2: set data\.frames=1, or"),
        (4, {}, r"has 4: set data\.frames=3, or"),
        (1, {}, r"has 1: give longer clips$"),
        (4, {"frames": 2, "frame_step": 5}, r"and data\.frame_step=5 needs.*set data\.frames=2 and data\.frame_step=1"),
        (9, {"frames": 4, "frame_step": 3}, r"set data\.frames=2, or"),
    ],
)
def test_clips_that_are_too_short_say_what_would_do(tmp_path: Path, count: int, settings: dict, way: str) -> None:
    numbered(tmp_path / "a", pictures(count))
    with pytest.raises(ConfigurationError, match=way):
        opened(tmp_path, **settings)
    if found := {key: int(value) for key, value in _advised(tmp_path, settings).items()}:
        assert opened(tmp_path, **settings | found).splits["train"][0]


def _advised(root: Path, settings: dict) -> dict[str, str]:
    import re

    with pytest.raises(ConfigurationError) as refused:
        opened(root, **settings)
    return dict(re.findall(r"data\.(\w+)=(\d+)", str(refused.value).rpartition(": ")[2]))


def test_a_short_clip_among_others_is_left_out_and_named(tmp_path: Path) -> None:
    numbered(tmp_path / "train" / "long", pictures(6))
    numbered(tmp_path / "train" / "short", pictures(3))
    folder = opened(tmp_path)
    assert len(folder.splits["train"][0]) == 2
    assert any("1 clips are left out, as they have not the 5 frames: short 3" in line for line in folder.warnings)


def test_no_clips_say_what_was_looked_for(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("")
    with pytest.raises(ConfigurationError, match=r"no clips here: looked for videos .*\.mp4.*numbered frames.*1 other"):
        opened(tmp_path)


def test_frames_left_out_take_their_samples_along(tmp_path: Path) -> None:
    numbered(tmp_path / "a", pictures(9))
    folder = opened(tmp_path)
    bad = tmp_path / "a" / "0000.png"
    inputs, targets = folder.without({bad}).splits["train"]
    kept = [[int(p.path.stem) for p in (*one.sources, after)] for one, after in zip(inputs, targets, strict=True)]
    assert [numbers[0] for numbers in kept] == [1, 2, 3, 4]
    assert folder.without({bad}).left_out == {bad}


def test_links_out_of_the_folder_are_followed_or_not(tmp_path: Path) -> None:
    pytest.importorskip("av")
    path = video(tmp_path / "elsewhere" / "a.mp4", pictures(8))
    root = numbered(tmp_path / "clips" / "b", pictures(8)).parent
    (root / "link.mp4").symlink_to(path)
    assert [one.name for one in find_clips(root) if isinstance(one, Clip)] == ["link.mp4", "b"]
    assert [one.name for one in find_clips(root, follow_links=False) if isinstance(one, Clip)] == ["b"]
    (root / "c").mkdir()
    (root / "c" / "0001.png").symlink_to(root / "b" / "0001.png")
    (root / "d").mkdir()
    (root / "d" / "0001.png").symlink_to(path)
    jobs, said = plan_clips(root, str(tmp_path / "out")), list[str]()
    assert jobs.within_input(said.append, follow_links=True) is jobs
    assert said == [f"note: {root}: 2 links to files elsewhere are followed; --no-links leaves them out"]
    kept = jobs.within_input(said.append, follow_links=False)
    assert [job.name for job in kept] == ["b", "c"] and isinstance(kept, ClipJobs)
    assert said[1].startswith("warning: ") and said[1].endswith(f"left out: 2: link.mp4, d in {root}")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"frame_step": 2}, "set data.frames, too"),
        ({"frames": 4, "direction": "BtoA"}, "leave out data.direction"),
        ({"frames": 4, "domains": ("a", "b")}, "leave out data.domains"),
        ({"frames": 0}, "greater than or equal to 1"),
    ],
)
def test_settings_that_contradict_clips_are_refused(settings: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        DataSettings(**settings)
