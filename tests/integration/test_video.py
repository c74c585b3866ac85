"""A clip, converted frame by frame: written and read back by FFmpeg's own libraries."""

import struct
from fractions import Fraction

import numpy as np
import pytest
from test_converter import Negative
from tiny import CPU, SPEC

from translate.errors import ConfigurationError, TranslateError
from translate.inference import video
from translate.inference.converter import Converter
from translate.inference.steady import Steady
from translate.models.base import Request

av = pytest.importorskip("av", reason='needs PyAV: pip install "image-translate[video]"')
COLOURS = [(200, 40, 60), (30, 180, 90), (60, 70, 210), (128, 128, 128), (230, 220, 40), (20, 20, 20)]


def clip(path, size=(48, 32), rate=Fraction(12), audio=True, pts=None, matrix=5, encoder="libx264", pixel=None):
    """A frame of each colour, with half a second of silence."""
    width, height = size
    odd = width % 2 or height % 2
    with av.open(str(path), "w") as file:
        stream = file.add_stream(encoder, rate=rate, options={"crf": "4"})
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv444p" if odd else "yuv420p"
        stream.codec_context.colorspace = matrix
        stream.codec_context.sample_aspect_ratio = pixel or Fraction(0, 1)
        sound = file.add_stream("aac" if path.suffix != ".webm" else "libopus", rate=48000) if audio else None
        for index, colour in enumerate(COLOURS):
            pixels = np.full((height, width, 3), colour, np.uint8)
            pixels[: height // 2, : width // 2] //= 2  # the top left is darker
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame = frame.reformat(format=stream.pix_fmt, dst_colorspace=matrix)
            frame.pts = pts[index] if pts else index
            frame.time_base = 1 / rate
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
        if sound:
            for index in range(24):
                frame = av.AudioFrame.from_ndarray(np.zeros((1, 960), np.float32), format="fltp", layout="mono")
                frame.sample_rate, frame.pts = 48000, 960 * index
                file.mux(sound.encode(frame))
            file.mux(sound.encode(None))
    return path


def convert(source, output, **options):
    return video.convert_video(Converter(Negative(), SPEC, CPU), source, output, Request.to(1), **options)


def frames(path, matrix=5):
    with av.open(str(path)) as file:
        return [(frame.time, frame.to_ndarray(format="rgb24", src_colorspace=matrix)) for frame in file.decode(video=0)]


@pytest.mark.parametrize(("name", "matrix"), [("out.mp4", 5), ("out.mkv", 1), ("out.webm", 5)])
@pytest.mark.parametrize("batch", [1, 4])
def test_frames_times_colours_and_audio_are_kept(tmp_path, name, matrix, batch):
    webm = name.endswith("webm")
    source = clip(
        tmp_path / ("clip.webm" if webm else "clip.mp4"), matrix=matrix, encoder="libvpx-vp9" if webm else "libx264"
    )
    told, counted = [], []
    record = convert(source, tmp_path / name, batch_size=batch, log=told.append, done=lambda: counted.append(1))
    assert record.status == "written" and record.size == (48, 32) and not told and len(counted) == len(COLOURS)
    before, after = frames(source, matrix), frames(tmp_path / name, matrix)
    # From the first on: Matroska begins where the audio does, a little before the picture.
    times = [[round(when - moments[0][0], 2) for when, _ in moments] for moments in (before, after)]
    assert times[0] == times[1] and times[0][-1] == round(5 / 12, 2)
    for (_, one), (_, other) in zip(before, after, strict=True):
        assert other.shape == (32, 48, 3)
        # Away from edges, which lossy codecs blur.
        for where in (np.s_[4:12, 4:20], np.s_[20:, 28:]):
            assert np.abs(255.0 - one[where] - other[where]).mean() < 4
    with av.open(str(source)) as old, av.open(str(tmp_path / name)) as new:
        assert new.streams.video[0].average_rate == old.streams.video[0].average_rate
        packets = [[bytes(p) for p in file.demux(audio=0) if p.size] for file in (old, new)]
        assert packets[0] == packets[1] and len(packets[0]) > 20, "audio is copied, not encoded anew"
        assert new.streams.video[0].codec_context.colorspace in (matrix, 6 if matrix == 5 else matrix)
    assert {path.name for path in tmp_path.iterdir()} == {source.name, name}


def test_an_odd_size_is_kept_and_told(tmp_path):
    told = []
    convert(clip(tmp_path / "clip.mp4", size=(47, 31)), tmp_path / "out.mp4", log=told.append)
    assert frames(tmp_path / "out.mp4")[0][1].shape == (31, 47, 3)
    assert len(told) == 1 and "yuv444p" in told[0]


def test_uneven_times_are_kept(tmp_path):
    source = clip(tmp_path / "clip.mp4", pts=[0, 1, 4, 5, 9, 10], audio=False)
    convert(source, tmp_path / "out.mp4")
    assert [round(when * 12) for when, _ in frames(tmp_path / "out.mp4")] == [0, 1, 4, 5, 9, 10]


def turn_right(source):
    """Writes a quarter turn into the clip's header, as telephones do."""
    data = source.read_bytes()
    matrix = data.index(b"tkhd") + 4 + 40
    quarter = struct.pack(">9i", 0, 1 << 16, 0, -(1 << 16), 0, 0, 32 << 16, 0, 1 << 30)
    source.write_bytes(data[:matrix] + quarter + data[matrix + 36 :])


def test_a_phones_rotation_is_applied(tmp_path):
    source = clip(tmp_path / "clip.mp4", audio=False)
    turn_right(source)
    assert convert(source, tmp_path / "out.mp4").size == (32, 48)
    with av.open(str(tmp_path / "out.mp4")) as file:
        first = next(file.decode(video=0))
        assert first.rotation == 0
        upright = first.to_ndarray(format="rgb24").astype(float)
    # Dark at the top left, turned to the right: at the top right; its negative is bright.
    assert upright[4:20, 20:28].mean() > upright[4:20, 4:12].mean() + 30


def test_audio_that_does_not_fit_is_left_out_and_told(tmp_path):
    told = []
    convert(clip(tmp_path / "clip.mp4"), tmp_path / "out.webm", log=told.append)
    assert told == [".webm holds no aac audio: it is left out"]
    with av.open(str(tmp_path / "out.webm")) as file:
        assert len(file.streams.video) == 1 and not file.streams.audio


def test_a_failure_half_way_leaves_no_file(tmp_path):
    class Failing(Negative):
        def convert(self, images, to):
            if len(self.sizes) == 3:
                raise KeyboardInterrupt
            return super().convert(images, to)

    source = clip(tmp_path / "clip.mp4")
    with pytest.raises(KeyboardInterrupt):
        video.convert_video(Converter(Failing(), SPEC, CPU), source, tmp_path / "out.mp4", Request.to(1))
    assert [path.name for path in tmp_path.iterdir()] == ["clip.mp4"]


def test_what_is_no_video_is_told(tmp_path):
    (tmp_path / "text.mp4").write_text("not a video " * 100)
    with pytest.raises(TranslateError, match=r"text\.mp4: not a video of a kind"):
        convert(tmp_path / "text.mp4", tmp_path / "out.mp4")
    with pytest.raises(ConfigurationError, match="the output is the input"):
        video.plan_video(tmp_path / "text.mp4", tmp_path)
    with pytest.raises(ConfigurationError, match="name a file that ends so"):
        video.plan_video(tmp_path / "text.mp4", tmp_path / "out.avi")


def test_without_pyav_the_extra_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(ConfigurationError, match=r"image-translate\[video\]"):
        video.count_frames(tmp_path / "x.mp4")


def test_the_command_line_converts_a_clip(run_cli, tiny_recipe, tmp_path):
    from tiny import unpaired_folder

    data = unpaired_folder(tmp_path / "data")
    assert run_cli("train", tiny_recipe("cyclegan"), "--data", data, "--out", "run", "-q").exit_code == 0
    clip(tmp_path / "clip.mp4")
    common = ("convert", "run", "clip.mp4", "out", "--to", "B", "--device", "cpu")
    result = run_cli(*common)
    assert result.exit_code == 0, result.output
    assert result.stdout.strip() == "1 converted, 0 skipped, 0 failed" and "6/6 frames" in result.stderr
    assert len(frames(tmp_path / "out" / "clip.mp4")) == 6
    assert "1 skipped" in run_cli(*common).stdout
    refused = run_cli(*common, "--cycle-error")
    assert refused.exit_code == 2 and "not for a video" in refused.stderr


@pytest.mark.parametrize("suffix", [".mp4", ".m4v", ".mov", ".mkv"])
@pytest.mark.parametrize("turned", [False, True])
def test_pixels_that_are_not_square_keep_their_shape(tmp_path, suffix, turned):
    source = clip(tmp_path / "clip.mp4", audio=False, pixel=Fraction(64, 45))
    if turned:
        turn_right(source)
    convert(source, tmp_path / f"out{suffix}")
    with av.open(str(tmp_path / f"out{suffix}")) as file:
        shape = file.streams.video[0].sample_aspect_ratio
        assert (file.streams.video[0].width, shape) == ((32, Fraction(45, 64)) if turned else (48, Fraction(64, 45)))


@pytest.mark.parametrize(("pixel", "size"), [(Fraction(64, 45), (68, 32)), (Fraction(4, 5), (48, 40))])
def test_a_container_of_square_pixels_gets_a_larger_picture_of_the_same_shape(tmp_path, pixel, size):
    told = []
    source = clip(tmp_path / "clip.mp4", audio=False, pixel=pixel)
    record = convert(source, tmp_path / "out.webm", log=told.append)
    with av.open(str(tmp_path / "out.webm")) as file:
        video = file.streams.video[0]
        assert (video.width, video.height) == size == record.size and video.sample_aspect_ratio in (None, 1)
    assert told == [f".webm holds square pixels only: scaled to {size[0]} x {size[1]}, which plays in the same shape"]


def test_square_pixels_stay_square(tmp_path):
    convert(clip(tmp_path / "clip.mp4", audio=False), tmp_path / "out.mp4")
    with av.open(str(tmp_path / "out.mp4")) as file:
        assert file.streams.video[0].sample_aspect_ratio in (None, 1)


def cut(path, share):
    """The clip without its end, as a download that broke off or a camera without power leaves it."""
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def noise(path, encoder="libx264", audio=True, **options):
    """Four seconds that do not compress, with their index where it survives a cut."""
    rng = np.random.default_rng(0)
    with av.open(str(path), "w", options={"movflags": "faststart"} if path.suffix == ".mp4" else options) as file:
        stream = file.add_stream(encoder, rate=Fraction(12))
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for index in range(48):
            pixels = rng.integers(0, 256, (32, 48, 3), dtype=np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24").reformat(format="yuv420p")
            frame.pts, frame.time_base = index, Fraction(1, 12)
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))
    return path


@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv", "clip.webm"])
@pytest.mark.parametrize("share", [0.5, 0.95, 1])
def test_a_clip_that_was_cut_off_is_converted_as_far_as_it_goes_and_told(tmp_path, name, share):
    source = cut(noise(tmp_path / name, "libvpx-vp9" if name.endswith("webm") else "libx264"), share)
    record = convert(source, tmp_path / f"out{source.suffix}")
    there = len(frames(tmp_path / f"out{source.suffix}"))
    if share == 1:
        assert record.lacking == "" and there == 48
    else:
        assert there < 48 and record.lacking.startswith(f"{source}: {there} ")
        assert "of 4.0 seconds); the file is cut off or damaged" in record.lacking


@pytest.mark.parametrize("options", [{"pts": [0, 1, 4, 5, 9, 10]}, {"rate": Fraction(30000, 1001)}, {"audio": False}])
@pytest.mark.parametrize("name", ["clip.mp4", "clip.mkv"])
def test_a_whole_clip_lacks_nothing(tmp_path, name, options):
    """Sound longer than the picture, uneven times, rates that are no round number."""
    assert convert(clip(tmp_path / name, **options), tmp_path / "out.mp4").lacking == ""


PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:4,\nclip.mp4\n#EXT-X-ENDLIST\n",
    "concat": "ffconcat version 1.0\nfile clip.mp4\n",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n",
    "dash": '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period/></MPD>',
}


@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_list_of_other_files_is_no_video_whatever_it_is_called(tmp_path, kind):
    clip(tmp_path / "clip.mp4")
    (tmp_path / "list.mp4").write_text(PLAYLISTS[kind])
    for read in (video.count_frames, lambda path: convert(path, tmp_path / "out.mp4")):
        with pytest.raises(TranslateError, match=r"list\.mp4: not a video of a kind that is read here"):
            read(tmp_path / "list.mp4")
    assert not (tmp_path / "out.mp4").exists()


@pytest.mark.parametrize("name", ["concat:clip.mp4", "pipe:0.mp4", "http:x.mp4", "100%03d.mp4"])
def test_a_name_is_no_protocol_and_no_pattern(tmp_path, monkeypatch, name):
    from pathlib import Path

    clip(tmp_path / "clip.mp4", audio=False).rename(tmp_path / name)
    monkeypatch.chdir(tmp_path)
    convert(Path(name), Path("out.mp4"))
    assert len(frames(tmp_path / "out.mp4")) == len(COLOURS)


def test_the_command_line_tells_what_a_cut_clip_lacks(run_cli, tmp_path):
    import torch

    from translate.networks.foreign import port_state
    from translate.networks.resnet import ResnetGenerator

    torch.manual_seed(0)
    torch.save(port_state(ResnetGenerator(3, 3, filters=4, blocks=1)), tmp_path / "g.pth")
    cut(noise(tmp_path / "clip.mp4"), 0.5)
    result = run_cli("convert", "g.pth", "clip.mp4", "out.mp4", "--manifest", "rows.jsonl", "-q", "--device", "cpu")
    assert result.exit_code == 3 and "missing: clip.mp4: " in result.stderr and " of 48 frames" in result.stderr
    assert (tmp_path / "out.mp4").is_file() and "cut off" in (tmp_path / "rows.jsonl").read_text()


def test_a_steadied_clip_tells_how_much_it_flickers(tmp_path):
    said = []
    source = clip(tmp_path / "clip.mp4", size=(64, 64))
    record = convert(source, tmp_path / "out.mp4", steady=Steady(), log=said.append)
    assert record.to_json()["flicker"] == pytest.approx(record.measures["flicker"])
    assert {"flicker", "flicker_unsteadied", "flicker_of_input"} <= record.to_json().keys()
    assert "flicker" in said[-1] and "unsteadied" in said[-1]
    assert "flicker" not in convert(source, tmp_path / "plain.mp4").to_json()
    # Each frame is of another colour, so that there is nothing to blend.
    for (_, one), (_, other) in zip(frames(tmp_path / "out.mp4"), frames(tmp_path / "plain.mp4"), strict=True):
        np.testing.assert_array_equal(one, other)
