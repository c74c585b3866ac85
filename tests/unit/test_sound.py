"""Sound: spectrograms and back, files that are wrong, measures against other implementations, windows and the whole."""

from __future__ import annotations

import math
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
import speech_files as speech
import torch
from scipy.ndimage import uniform_filter1d

from translate.data.domain import Domain
from translate.data.planes import coloured, planes
from translate.data.sound.files import blocks, facts_of, read, survey
from translate.data.sound.kind import domain_of
from translate.data.sound.level import Loudness, loudness_of
from translate.data.sound.resampling import apart, resampled
from translate.data.sound.settings import SoundSettings
from translate.data.sound.source import Sound
from translate.data.sound.spectrum import Spectrum, held
from translate.data.sound.translating import context_of, reach_of, step_of, translated
from translate.errors import ImageError
from translate.evaluation.sound_measures import ideally_masked, si_sdr, stoi
from translate.inference.sound import windows_of

FORMS = [Spectrum(), Spectrum(form="complex"), Spectrum(rate=8000, window=254, hop=50)]


def unchanged(pixels: np.ndarray) -> np.ndarray:
    return pixels


def decibels(samples: np.ndarray, true: np.ndarray) -> float:
    return 10 * math.log10(np.square(true, dtype=np.float64).sum() / np.square(samples - true, dtype=np.float64).sum())


def written(path: Path, samples: np.ndarray, rate: int = speech.RATE, subtype: str = "PCM_16") -> Path:
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


@pytest.mark.parametrize("spectrum", FORMS, ids=str)
def test_a_network_that_changes_nothing_loses_nothing_that_is_heard(spectrum: Spectrum) -> None:
    """16 bits of a file have 98 dB of full scale, some 70 below speech."""
    samples = speech.tones(1, 20_001).astype(np.float32)
    assert decibels(translated(samples, spectrum.rate, spectrum, unchanged), samples) > 80
    assert decibels(translated(samples / 1000, spectrum.rate, spectrum, unchanged), samples / 1000) > 60


@pytest.mark.parametrize("count", [1, 2, 127, 128, 255, 256, 5000])
@pytest.mark.parametrize("rate", [16000, 8000, 44100, 192000])
def test_every_length_stays_and_silence_stays_silent(count: int, rate: int) -> None:
    random = np.random.default_rng(count)
    for spectrum in FORMS:
        made = translated(random.normal(size=count).astype(np.float32) / 9, rate, spectrum, unchanged)
        assert made.shape == (count,) and made.dtype == np.float32
        silence = translated(np.zeros(count, np.float32), rate, spectrum, unchanged)
        assert np.abs(silence).max() < 1e-12


def test_another_rate_keeps_what_both_can_hold() -> None:
    time = np.arange(44100) / 44100
    samples = (0.3 * np.sin(2 * np.pi * 440 * time) + 0.1 * np.sin(2 * np.pi * 3000 * time)).astype(np.float32)
    made = translated(samples, 44100, Spectrum(), unchanged)
    assert decibels(made[2000:-2000], samples[2000:-2000]) > 50
    assert apart(44101, 16000) and not apart(44100, 16000) and not apart(11025, 16000)


def test_the_louder_the_lighter_and_magnitudes_never_leave_their_range() -> None:
    spectrum, full = Spectrum(), torch.sign(torch.randn(16000, generator=torch.Generator().manual_seed(0)))
    for samples in (full, torch.ones(16000), torch.sin(torch.arange(16000) * 0.5)):
        made = spectrum.planes(spectrum.of(samples))
        assert made.min() >= -1 and made.max() <= 1
    tone = 0.5 * torch.sin(2 * torch.pi * 16000 / 510 * 32 * torch.arange(16000) / 16000)
    loudness = spectrum.of(tone)[60].abs()
    assert loudness.argmax() == 32 and loudness.max() == pytest.approx(0.25, rel=1e-3)


def test_complex_planes_are_the_spectrogram_compressed() -> None:
    spectrum = Spectrum(form="complex")
    given = spectrum.of(torch.randn(9000, generator=torch.Generator().manual_seed(0)) / 9)
    made = spectrum.planes(given)
    assert made.shape == (2, *given.shape) and made.abs().max() <= 1
    torch.testing.assert_close(torch.view_as_complex(made.permute(1, 2, 0).contiguous()).angle(), given.angle())
    torch.testing.assert_close(made.square().sum(0).sqrt(), given.abs() ** 0.3)


@pytest.mark.parametrize("form", ["magnitude", "complex"])
def test_pictures_have_low_frequencies_below_and_time_to_the_right(form: str) -> None:
    spectrum = Spectrum(form=form)
    time = np.arange(16000) / 16000
    low_then_high = 0.4 * np.sin(2 * np.pi * np.where(time < 0.5, 500, 6000) * time)
    domain = domain_of("a", spectrum)
    pixels = held(spectrum.planes(spectrum.of(torch.from_numpy(low_then_high))))
    shown = coloured(planes(pixels.permute(2, 0, 1)[None], domain), domain)
    assert shown.shape == (1, 3, 256, 126)
    light = shown[0].mean(0)
    assert light[:, 30].argmax() == pytest.approx(255 - 16, abs=1) and light[:, 95].argmax() == pytest.approx(64, abs=1)
    assert light[:, 30].max() > 0.4 and light[100:200, 30].max() < -0.9


def test_si_sdr_is_that_of_torchmetrics_and_of_its_closed_form() -> None:
    from torchmetrics.functional.audio import scale_invariant_signal_distortion_ratio as theirs

    random = np.random.default_rng(0)
    clean = random.normal(size=8000)
    for scale in (0.01, 0.5, 3):
        samples = scale * (clean + 0.3 * random.normal(size=8000))
        wanted = float(theirs(torch.from_numpy(samples), torch.from_numpy(clean)))
        assert si_sdr(samples, clean) == pytest.approx(wanted, abs=1e-6)
    time = np.arange(8000)
    one, other = np.sin(2 * np.pi * time / 80), np.sin(2 * np.pi * time / 40)
    assert si_sdr(5 * (one + 0.1 * other), one) == pytest.approx(20, abs=1e-9)
    assert si_sdr(clean * 2, clean) == math.inf
    with pytest.raises(ValueError, match="silent"):
        si_sdr(clean, clean * 0)
    with pytest.raises(ValueError, match="as many samples"):
        si_sdr(clean[1:], clean)


def test_stoi_falls_with_noise_and_knows_what_is_too_short() -> None:
    clean = speech.tones(3, 48000)
    values = [stoi(speech.mixed(clean, speech.noise("white", 1, 48000), level), clean, 16000) for level in (20, 5, -5)]
    assert 1 > values[0] > values[1] > values[2]
    assert stoi(clean, clean, 16000) == pytest.approx(1, abs=1e-6)
    assert math.isnan(stoi(clean[:1000], clean[:1000], 16000))


def test_the_ideal_mask_is_far_above_the_noisy_sound() -> None:
    clean = speech.tones(4, 32000).astype(np.float32)
    noisy = speech.mixed(clean, speech.noise("white", 2, 32000), 5).astype(np.float32)
    masked = ideally_masked(noisy, clean, 16000, Spectrum())
    assert si_sdr(noisy, clean) == pytest.approx(5, abs=0.3)
    assert si_sdr(masked, clean) > si_sdr(noisy, clean) + 8
    assert decibels(ideally_masked(clean, clean, 16000, Spectrum()), clean) > 100  # a mask of 1


BAD = {
    "silent": "silent from beginning to end",
    "loud": "values up to 2, where 1 is full scale",
    "nan": "1 samples are not finite",
    "none": "holds no samples",
    "cut": r"cut short: its header says 32,000 bytes of sound, and 12,000 are missing",
    "strange": "44,101 samples a second have no ratio to 16,000",
    "text": "cannot be read as sound",
    "empty": "the file is empty",
}


def bad_file(kind: str, folder: Path) -> Path:
    path, samples = folder / f"{kind}.wav", np.sin(np.arange(16000) * 0.1)
    match kind:
        case "silent":
            written(path, samples * 0)
        case "loud":
            samples[7] = 2
            written(path, samples, subtype="FLOAT")
        case "nan":
            samples[7] = np.nan
            written(path, samples, subtype="FLOAT")
        case "none":
            written(path, samples[:0])
        case "cut":
            path.write_bytes(written(path, samples).read_bytes()[:-12000])
        case "strange":
            written(path, samples, 44101)
        case _:
            path.write_bytes(b"RIFF or not" * (kind == "text"))
    return path


@pytest.mark.parametrize("kind", BAD)
def test_what_cannot_be_learned_from_is_named(kind: str, tmp_path: Path) -> None:
    path = bad_file(kind, tmp_path)
    with pytest.raises(ImageError, match=rf"{kind}\.wav: .*{BAD[kind]}"):
        Sound(path).read(1)


@pytest.mark.parametrize("suffix", [".flac", ".ogg"])
def test_other_files_that_are_cut_short_are_noticed(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{suffix}"
    soundfile.write(path, np.random.default_rng(0).normal(size=80000) / 9, 16000)
    whole = path.read_bytes()
    assert len(read(path)[0]) == 80000
    path.write_bytes(whole[: len(whole) // 2])
    with pytest.raises(ImageError, match=rf"a\{suffix}: (cut short|cannot be read as sound)"):
        read(path)


def test_a_file_from_a_pipe_says_no_length_and_is_whole(tmp_path: Path) -> None:
    path = written(tmp_path / "a.wav", np.sin(np.arange(16000) * 0.1))
    data = bytearray(path.read_bytes())
    place = data.index(b"data") + 4
    data[4:8] = data[place : place + 4] = (0x7FFFF000).to_bytes(4, "little")
    path.write_bytes(data)
    assert facts_of(path).samples == 16000


def test_a_sound_is_read_as_its_domain_says(tmp_path: Path) -> None:
    stereo = np.stack([speech.tones(1, 16000), speech.tones(2, 16000)], 1)
    path = written(tmp_path / "a.wav", stereo, subtype="FLOAT")
    spectrum = Spectrum(rate=8000, window=254, hop=64)
    sound = Sound.of(Sound(path), domain_of("a", spectrum))
    pixels = sound.read(1)
    assert pixels.shape == (126, 128, 1) == (*sound.size(), 1) and pixels.dtype == np.uint16
    mean = resampled(stereo.astype(np.float32).mean(1), 16000, 8000)
    wanted = held(spectrum.planes(spectrum.of(torch.from_numpy(mean)))).numpy()
    assert np.abs(pixels.astype(int) - wanted).max() <= 1
    assert sound.identity() != Sound(path).identity()
    assert sound.too_short(126) == "" and "too short for crops of 1.01 seconds" in sound.too_short(127)
    header, (picture, _) = sound.header(), sound.decoded()
    assert header[:3] == picture.pixels.shape and header.dtype == picture.pixels.dtype


def test_the_domain_is_kept_and_told_from_others() -> None:
    import json
    from dataclasses import asdict, replace

    domain = replace(domain_of("noisy", Spectrum(hop=100)), level=-25.5)
    facts = json.loads(json.dumps(asdict(domain)))
    assert Domain.of(facts) == domain and Domain.of(facts).level == -25.5
    del facts["level"]
    assert Domain.of(facts).level is None, "of an earlier version"
    assert domain.like(domain_of("clean", Spectrum(hop=100))) and not domain.like(domain_of("clean", Spectrum()))
    assert str(domain) == "sound as magnitudes of 256 frequencies every 6.25 ms, at 16,000 Hz"
    with pytest.raises(ValueError, match="give an even number"):
        SoundSettings(window=511)
    with pytest.raises(ValueError, match="no sound comes back"):
        SoundSettings(window=510, hop=300)


def blurred(pixels: np.ndarray, frames: int = 41) -> np.ndarray:
    """Looks 20 frames to each side, and begins anew at the edges, as padding does."""
    return uniform_filter1d(pixels.astype(np.float64), frames, axis=0, mode="constant").round().astype(np.uint16)


def test_how_far_a_network_looks_is_found() -> None:
    spectrum = Spectrum(window=30, hop=8)
    assert reach_of(unchanged, spectrum) == 0
    assert reach_of(blurred, spectrum) == 20
    assert reach_of(lambda pixels: (pixels - pixels.mean(0) + 30000).clip(0, 65535).astype(np.uint16), spectrum) is None


@pytest.mark.parametrize("rate", [16000, 44100, 8000])
def test_windows_are_equal_to_the_whole(rate: int, tmp_path: Path) -> None:
    spectrum, stride, count = Spectrum(), 4, 12 * rate + 17
    samples = np.resize(speech.tones(5, 48000), count).astype(np.float32)
    facts = facts_of(written(tmp_path / "a.wav", samples, rate))
    windows = windows_of(facts, spectrum, stride, 20, 2 * rate)
    assert len(windows) > 4 and windows[0].first == 0 and windows[-1].last == count
    assert all(one.last == two.first for one, two in pairwise(windows))
    step = step_of(spectrum, rate, stride)
    assert step * spectrum.rate % (rate * spectrum.hop * stride) == 0
    assert context_of(spectrum, rate, stride, 20) % step == 0
    parts = [translated(samples[one.start : one.end], rate, spectrum, blurred)[one.kept] for one in windows]
    whole = translated(samples, rate, spectrum, blurred)
    assert np.abs(np.concatenate(parts) - whole).max() < 1e-4 * np.abs(whole).max()
    torn = [translated(samples[one.first : one.last], rate, spectrum, blurred) for one in windows]
    assert np.abs(np.concatenate(torn) - whole).max() > 1e-2 * np.abs(whole).max(), "without context it shows"


def test_a_file_is_read_in_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = written(tmp_path / "a.wav", speech.tones(1, 5000), subtype="FLOAT")
    monkeypatch.setattr("translate.data.sound.files.AT_ONCE", 999)
    facts = facts_of(path)
    parts = list(blocks(path, facts, 100, 4321))
    assert max(map(len, parts)) == 999
    np.testing.assert_array_equal(np.concatenate(parts), read(path)[0][100:4321])
    assert survey(path, facts).peak == np.abs(read(path)[0]).max()


def level_of(samples: np.ndarray, rate: int = 16000, heard: int = 16000, parts: int = 1) -> float:
    (found,) = loudness_of(np.array_split(samples[:, None].astype(np.float32), parts), rate, heard)
    return found.level


def test_the_level_is_the_root_of_the_mean_square_of_what_is_heard_and_no_pause() -> None:
    time = np.arange(44100) / 44100
    low, high = (0.5 * np.sin(2 * np.pi * pitch * time) for pitch in (400, 12000))
    assert level_of(low, 44100) == pytest.approx(0.5 / math.sqrt(2), rel=1e-3)
    assert level_of(low + high, 44100) == pytest.approx(level_of(low, 44100), rel=1e-3), "16,000 Hz hold no 12,000"
    assert level_of(low + high, 44100, heard=48000) == pytest.approx(0.5, rel=1e-3)
    paused = np.concatenate([low, 0.001 * low, 0 * low, 0 * low])
    assert level_of(paused, 44100) == pytest.approx(level_of(low, 44100), rel=0.1)
    assert np.sqrt(np.square(paused).mean()) < 0.6 * level_of(low, 44100), "with pauses it is less than that"
    assert level_of(low[:1000], 44100) == pytest.approx(np.sqrt(np.square(low[:1000]).mean()), rel=1e-2)
    assert level_of(0 * low) == 0


def test_a_level_does_not_depend_on_how_a_file_is_read_and_grows_with_the_sound() -> None:
    samples = np.concatenate([speech.tones(1, 30_001), np.zeros(20_000), 0.1 * speech.tones(2, 17_123)])
    whole = level_of(samples)
    for parts in (2, 7, 50):
        assert level_of(samples, parts=parts) == pytest.approx(whole, rel=1e-6)
    for times in (1e-4, 0.1, 3.0):
        assert level_of(times * samples) == pytest.approx(times * whole, rel=1e-5)


def test_gains_bring_sound_to_a_level_and_none_above_full_scale() -> None:
    assert Loudness(peak=0.02, level=0.005).gain(-26.0) == pytest.approx(10 ** (-26 / 20) / 0.005)
    assert Loudness(peak=0.9, level=0.005).gain(-26.0) == pytest.approx(1 / 0.9)
    assert Loudness(peak=0.0, level=0.0).gain(-26.0) == 1
    assert Loudness(peak=0.02, level=0.005).gain(None) == 1, "of an earlier version: as it was"
    assert Loudness(peak=4.0, level=1.0).gain(None) == 0.25


def cleaned(pixels: np.ndarray) -> np.ndarray:
    """A network that knows loudness: what is faint is silenced, as noise of the level it learned from."""
    return np.where(pixels < 20_000, pixels // 3, blurred(pixels, 3)).astype(np.uint16)


@pytest.mark.parametrize("decibels_off", [-20, 10])
def test_a_louder_sound_gives_the_same_translation_as_much_louder(decibels_off: float) -> None:
    samples, times = speech.tones(3, 30_000).astype(np.float32), np.float32(10 ** (decibels_off / 20))

    def made(given: np.ndarray, usual: float | None) -> np.ndarray:
        (loudness,) = loudness_of([given[:, None]], 16000, 16000)
        return translated(given, 16000, Spectrum(), cleaned, gain=loudness.gain(usual))

    assert decibels(made(samples * times, -30.0), times * made(samples, -30.0)) > 60
    assert decibels(made(samples * times, None), times * made(samples, None)) < 25, "the network knows loudness"
