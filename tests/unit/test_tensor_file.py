"""Files that others may shorten are read, never mapped."""

import re
from pathlib import Path

import pytest
import torch
from safetensors import SafetensorError
from safetensors.torch import save_file

import translate
from translate.utils.tensor_file import read_tensors


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.uint8, torch.int64, torch.bool])
def test_what_is_read_is_what_was_written(tmp_path, dtype):
    written = {"a": torch.arange(24).reshape(2, 3, 4).to(dtype), "empty": torch.empty(0, 3, dtype=dtype)}
    save_file(written, tmp_path / "a.safetensors")
    found = read_tensors(tmp_path / "a.safetensors")
    assert found.keys() == written.keys()
    assert all(torch.equal(found[key], written[key]) and found[key].dtype == dtype for key in written)
    data = (tmp_path / "a.safetensors").read_bytes()
    for cut in (0, 5, len(data) - 1):
        (tmp_path / "a.safetensors").write_bytes(data[:cut])
        with pytest.raises(SafetensorError):
            read_tensors(tmp_path / "a.safetensors")


def test_no_part_of_the_package_maps_a_file():
    mapping = re.compile(r"\b(mmap(?!=False)|memmap|load_file|safe_open|mmap_mode)\b\(?")
    found = {}
    for path in Path(translate.__file__).parent.rglob("*.py"):
        code = re.sub(r'""".*?"""|#[^\n]*|"[^"\n]*"', "", path.read_text(encoding="utf-8"), flags=re.DOTALL)
        if names := mapping.findall(code):
            found[path.name] = names
    assert not found
