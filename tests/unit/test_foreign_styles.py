"""StarGAN v2's released file of networks, converted with as it is."""

import pytest
import torch
from test_networks_stargan_v2 import GOLDEN, arrays, golden

import translate
from translate.errors import ConfigurationError
from translate.networks.foreign_file import read_state

NAMES = {"generator": "generator", "mapping_network": "mapping", "style_encoder": "style_encoder"}


@pytest.fixture
def released(tmp_path):
    """nets_ema as released: the golden networks, which fit together."""
    if not GOLDEN.is_dir():
        pytest.skip(f"no golden outputs at {GOLDEN}")
    states = {name: dict(read_state(GOLDEN / f"starganv2_{file}.pth")) for name, file in NAMES.items()}
    path = tmp_path / "100000_nets_ema.ckpt"
    torch.save(states, path)
    return path, states


@golden
def test_the_released_file_converts_by_seed_and_by_reference(released):
    path, _ = released
    converter = translate.load(path, device="cpu", precision="float32")
    assert converter.targets == ["0", "1", "2"] and converter.images.crop == (64, 64)
    held, read = arrays("generator"), arrays("style_encoder")
    images = held["input"].clamp(-1, 1)
    style = converter.request("2", read["input"][:1].clamp(-1, 1)).style
    assert style is not None and len(style.code) == 8
    with torch.no_grad():
        wanted = converter.model.style_encoder(read["input"][:1].clamp(-1, 1))[0, 2]
        made = converter.model.generator(images, torch.tensor(style.code)[None]).clamp(-1, 1)
    assert torch.allclose(torch.tensor(style.code), wanted, atol=1e-5)
    found = converter.convert(images, to="2", style=read["input"][:1].clamp(-1, 1))
    assert torch.allclose(found, made, atol=1e-5)
    assert not torch.equal(converter.convert(images, to="2", style=1), converter.convert(images, to="2", style=2))


@golden
def test_networks_of_faces_and_weights_that_do_not_fit_are_named(released):
    path, states = released
    deeper = {key.replace("encode.3", "encode.4"): value for key, value in states["generator"].items()}
    torch.save({**states, "generator": states["generator"] | deeper}, path)
    with pytest.raises(ConfigurationError, match="for faces, whose generator takes skips under masks of landmarks"):
        translate.load(path)
    del states["generator"]["to_rgb.0.weight"]
    torch.save(states, path)
    with pytest.raises(ConfigurationError, match=r"do not fit a StyledGenerator.*norm\.weight"):
        translate.load(path)
