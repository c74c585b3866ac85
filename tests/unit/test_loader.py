"""Batches as a pure function of seed and step, whatever the threads and the cache."""

import threading
from collections import Counter
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch
from loaders import make_loader

from translate.data.augment import Augmentation
from translate.data.batch import Batch, Labelled, Paired, Plain, SourceLabelled, Unpaired
from translate.data.decoding import Decoding
from translate.data.io.images import Picture, resize, write
from translate.data.loader import Loader, evaluation_batches
from translate.data.source_file import Source
from translate.errors import ConfigurationError, ImageError


@dataclass(frozen=True)
class Held:
    """An image in memory, for tests that ask only which image came, and how often it was decoded."""

    pixels: np.ndarray
    path: Path = Path("held.png")

    def read(self, channels: int) -> np.ndarray:
        READS[id(self)] += 1
        assert self.pixels.shape[2] == channels
        return self.pixels


READS: Counter[int] = Counter()
SMALL = Decoding(3, 16)


def numbered(count: int, size: int = 4, first: int = 0) -> tuple[Held, ...]:
    """Images whose only value is their number."""
    return tuple(Held(np.full((size, size, 1), first + i, np.uint8)) for i in range(count))


def places(count: int, height: int = 12, width: int = 12, shift: int = 0) -> tuple[Held, ...]:
    """Images whose channels are their number, row and column, so that a crop says where it was cut."""
    rows, columns = np.mgrid[:height, :width]
    return tuple(
        Held(np.stack([np.full_like(rows, i), rows, columns], -1).astype(np.uint8) + np.uint8(shift))
        for i in range(count)
    )


def numbered_loader(*counts: int, batch_size: int = 3, seed: int = 0, **settings) -> Loader:
    split = tuple(numbered(count, first=100 * domain) for domain, count in enumerate(counts))
    make = settings.pop("make", Unpaired)
    return make_loader(split, make=make, channels=1, size=4, batch_size=batch_size, seed=seed, **settings)


def numbers(tensor: torch.Tensor) -> list[int]:
    return tensor[:, 0, 0, 0].tolist()


def seen(loader: Loader, steps: int, side: str) -> list[int]:
    return [n for step in range(steps) for n in numbers(getattr(loader.batch(step), side))]


@pytest.fixture(scope="module")
def files(tmp_path_factory) -> tuple[tuple[Source, ...], ...]:
    """Real files of several sizes, in two domains of five and three."""
    folder, rng = tmp_path_factory.mktemp("files"), np.random.default_rng(0)
    split = []
    for domain, count in enumerate((5, 3)):
        paths = [folder / f"{domain}-{i}.png" for i in range(count)]
        for i, path in enumerate(paths):
            write(path, Picture(rng.integers(0, 256, (20 + i, 30 - i, 3), np.uint8)))
        split.append(tuple(Source(path) for path in paths))
    return tuple(split)


def file_loader(files, workers: int = 0, cache_bytes: int = 10**6, **settings) -> Loader:
    settings = {"make": Unpaired, "load_size": 18, "size": 16, "batch_size": 4, "seed": 5, **settings}
    return make_loader(files, channels=3, workers=workers, cache_bytes=cache_bytes, **settings)


def assert_equal(one: Batch, other: Batch) -> None:
    assert type(one) is type(other)
    assert all(torch.equal(a, b) for a, b in zip(one.tensors(), other.tensors(), strict=True))


def test_batches_are_the_same_whatever_the_threads_the_cache_and_the_start(files):
    augment = (Augmentation(name="Rotate", p=0.5), Augmentation(name="GaussNoise", p=0.5))
    reference = [file_loader(files, augment=augment).batch(step) for step in range(12)]
    for settings in ({"workers": 3}, {"workers": 0}, {"workers": 3, "cache_bytes": 0}, {"cache_bytes": 3000}):
        for start in (0, 7):
            stream = file_loader(files, augment=augment, **settings).stream(start)
            for expected, batch in zip(reference[start:], stream, strict=False):
                assert_equal(batch, expected)
            stream.close()


def test_batches_are_integer_images_of_the_crop_size(files):
    batch = file_loader(files).batch(0)
    assert isinstance(batch, Unpaired)
    assert batch.a.shape == batch.b.shape == (4, 3, 16, 16) and batch.a.dtype == torch.uint8


def test_the_seed_changes_order_and_crops(files):
    assert seen(numbered_loader(20, 20, seed=1), 6, "a") != seen(numbered_loader(20, 20, seed=2), 6, "a")
    one, other = (file_loader(files, seed=seed).batch(0) for seed in (1, 2))
    assert not torch.equal(one.a, other.a)


def test_the_seed_changes_the_crops_of_a_single_image():
    def corners(seed):
        loader = make_loader((places(1),), make=Plain, channels=3, size=4, resize="none", batch_size=9, seed=seed)
        return loader.batch(0).images[:, 1:, 0, 0].tolist()

    assert corners(1) == corners(1) != corners(2)


@pytest.mark.parametrize("batch_size", [1, 3, 5, 16])
def test_every_pass_shows_every_image_once_and_nothing_is_dropped(batch_size):
    loader = numbered_loader(7, 4, batch_size=batch_size)
    assert loader.steps_per_epoch == -(-7 // batch_size)
    steps = 28
    a, b = seen(loader, steps, "a"), seen(loader, steps, "b")
    for start in range(0, len(a) - 6, 7):
        assert sorted(a[start : start + 7]) == list(range(7))
    for start in range(0, len(b) - 3, 4):
        assert sorted(b[start : start + 4]) == [100, 101, 102, 103]
    assert set(a[: loader.steps_per_epoch * batch_size]) == set(range(7))


def test_every_pass_has_its_own_order_and_domains_have_theirs():
    loader = numbered_loader(10, 10, batch_size=10)
    orders = {tuple(numbers(loader.batch(step).a)) for step in range(6)}
    assert len(orders) == 6
    assert seen(loader, 1, "a") != [n - 100 for n in seen(loader, 1, "b")]


def test_pairs_share_order_crop_and_flip():
    """The target's pixels are the input's plus 100: any difference in what is cut would show."""
    split = (places(5), places(5, shift=100))
    loader = make_loader(split, make=Paired, channels=3, size=8, resize="none", batch_size=4, seed=3)
    cuts = set()
    for step in range(20):
        batch = loader.batch(step)
        assert torch.equal(batch.target, batch.input + 100)
        for image in batch.input:
            rows, columns = image[1], image[2]
            mirrored = bool(columns[0, 0] > columns[0, -1])
            upright = columns.flip(1) if mirrored else columns
            top, left = int(rows[0, 0]), int(upright[0, 0])
            assert torch.equal(rows, torch.arange(top, top + 8, dtype=torch.uint8)[:, None].expand(8, 8))
            assert torch.equal(upright, torch.arange(left, left + 8, dtype=torch.uint8).expand(8, 8))
            cuts.add((top, left, mirrored))
    assert {top for top, _, _ in cuts} == {left for _, left, _ in cuts} == {0, 1, 2, 3, 4}
    assert {mirrored for _, _, mirrored in cuts} == {False, True}


def test_pairs_share_augmented_geometry_and_keep_the_target_true():
    split = (places(4), places(4, shift=100))
    geometry = (Augmentation(name="RandomRotate90", p=1.0),)
    loader = make_loader(split, make=Paired, channels=3, size=12, batch_size=4, flip=False, augment=geometry)
    batches = [loader.batch(step) for step in range(6)]
    assert all(torch.equal(batch.target, batch.input + 100) for batch in batches)
    assert len({batch.input[:, 1].numpy().tobytes() for batch in batches}) > 1
    colour = (Augmentation(name="RandomGamma", p=1.0),)
    batch = make_loader(split, make=Paired, channels=3, size=12, batch_size=4, flip=False, augment=colour).batch(0)
    assert not torch.equal(batch.target, batch.input + 100)
    assert torch.equal(batch.target[:, 1, :, 0], torch.arange(100, 112, dtype=torch.uint8).expand(4, 12))


def test_crops_reach_every_edge_of_images_that_are_not_square():
    size, height, width = 8, 10, 13
    loader = make_loader(
        (places(4, height, width),), make=Plain, channels=3, size=size, resize="none", batch_size=4, flip=False
    )
    corners = torch.cat([loader.batch(step).images[:, 1:, 0, 0] for step in range(200)])
    rows, columns = (set(corner.tolist()) for corner in corners.T)
    assert rows == set(range(height - size + 1)) and columns == set(range(width - size + 1))
    together = {tuple(corner) for corner in corners.tolist()}
    assert len(together) == len(rows) * len(columns), "rows and columns are drawn apart"


def test_every_image_is_augmented_by_its_own_random_numbers():
    turned = (Augmentation(name="Rotate", p=1, limit=90),)
    loader = make_loader(
        (places(1),), make=Plain, channels=3, size=12, resize="none", batch_size=6, flip=False, augment=turned
    )
    images = loader.batch(0).images
    assert len({image.numpy().tobytes() for image in images}) == 6


def test_memory_holds_no_more_than_its_room():
    split = (numbered(5),)  # of 16 bytes each
    loader = make_loader(split, make=Plain, channels=1, size=4, batch_size=5, cache_bytes=3 * 16)
    READS.clear()
    for step in range(3):
        loader.batch(step)
    assert sorted(READS[id(source)] for source in split[0]) == [1, 1, 1, 3, 3]


def test_unpaired_domains_are_cut_independently():
    loader = make_loader(
        (places(1), places(1)), make=Unpaired, channels=3, size=8, resize="none", batch_size=30, flip=False
    )
    batch = loader.batch(0)
    assert not torch.equal(batch.a[:, 1:, 0, 0], batch.b[:, 1:, 0, 0])


def test_flip_only_when_asked():
    loader = make_loader(
        (places(1), places(1)), make=Unpaired, channels=3, size=12, resize="none", batch_size=20, flip=False
    )
    assert (loader.batch(0).a[:, 2, 0, 0] == 0).all()


def test_square_stretches_and_short_side_keeps_proportions(files):
    source = files[0][0]  # 20 x 30
    stretched = resize(source.read(3), 16, 16)
    one = (files[0][:1], files[0][:1])
    batch = make_loader(one, make=Unpaired, channels=3, size=16, flip=False).batch(0)
    assert np.array_equal(batch.a[0].permute(1, 2, 0).numpy(), stretched)
    whole = resize(source.read(3), 16, 24)
    wide = make_loader(one, make=Unpaired, channels=3, size=16, resize="short_side", flip=False, batch_size=8).batch(0)
    windows = {whole[:, left : left + 16].tobytes() for left in range(9)}
    assert {image.permute(1, 2, 0).numpy().tobytes() for image in wide.a} <= windows


def test_images_that_fit_the_cache_are_decoded_once():
    READS.clear()
    images = numbered(6)
    for room, expected in ((10**6, 1), (3 * 16, None), (0, 4)):
        READS.clear()
        loader = make_loader((images, images), make=Paired, channels=1, size=4, batch_size=6, cache_bytes=room)
        for step in range(4):
            loader.batch(step)
        reads = [READS[id(image)] for image in images]
        if expected is None:  # room for three of the twelve
            assert sum(reads) == 9 * 4 + 3
        else:
            assert reads == [expected * 2] * 6


def test_closing_a_stream_ends_its_threads():
    before = threading.active_count()
    stream = numbered_loader(5, 5, workers=3).stream()
    next(stream)
    assert threading.active_count() > before
    stream.close()
    assert threading.active_count() == before


def test_a_stream_works_only_a_few_batches_ahead():
    loader = numbered_loader(5, 5, batch_size=1, workers=2)
    READS.clear()
    stream = loader.stream()
    next(stream)
    stream.close()
    assert sum(READS.values()) <= 2 * 5


@pytest.mark.parametrize("workers", [0, 2])
def test_an_unreadable_file_is_named_in_the_consuming_thread(files, tmp_path, workers):
    broken = tmp_path / "broken.png"
    broken.write_bytes(b"not an image")
    loader = file_loader(((*files[0], Source(broken)), files[1]), workers=workers)
    threads = threading.active_count()
    with pytest.raises(ImageError, match=r"broken\.png"):
        list(islice(loader.stream(), 10))
    assert threading.active_count() == threads


def test_an_image_too_small_for_the_crop_is_named():
    small = Held(np.zeros((6, 9, 3), np.uint8), Path("small.png"))
    loader = make_loader(((small,), (small,)), make=Unpaired, channels=3, size=8, resize="none")
    with pytest.raises(ImageError, match=r"small\.png: 9 x 6 pixels are too few for a crop of 8"):
        loader.batch(0)


def test_a_pair_of_different_proportions_is_named():
    wide, tall = (Held(np.zeros((*size, 3), np.uint8), Path(f"{size}.png")) for size in ((10, 20), (20, 10)))
    loader = make_loader(((wide,), (tall,)), make=Paired, channels=3, size=8, resize="short_side")
    with pytest.raises(ImageError, match="differ in proportions"):
        loader.batch(0)


def test_sixteen_bits_stay_and_eight_bits_among_them_are_raised():
    deep = Held(np.full((4, 4, 1), 40000, np.uint16))
    split = ((deep, *numbered(1, first=10)), (deep,))
    batch = make_loader(split, make=Unpaired, channels=1, size=4, batch_size=2).batch(0)
    assert batch.a.dtype == batch.b.dtype == torch.uint16
    assert sorted(numbers(batch.a)) == [2570, 40000] and numbers(batch.b) == [40000, 40000]


def test_empty_and_uneven_splits_are_refused():
    with pytest.raises(ConfigurationError, match="domain 1 holds no images"):
        numbered_loader(3, 0)
    with pytest.raises(ConfigurationError, match="3 and 2"):
        numbered_loader(3, 2, make=Paired)


def test_evaluation_shows_every_image_whole_and_in_order(files):
    split = (files[0][:3], files[1])
    batches = list(evaluation_batches(split, Paired, SMALL, 2))
    assert [len(batch) for batch in batches] == [2, 1] and isinstance(batches[0], Paired)
    for name, domain in (("input", 0), ("target", 1)):
        stack = torch.cat([getattr(batch, name) for batch in batches]).permute(0, 2, 3, 1).numpy()
        for image, source in zip(stack, split[domain], strict=True):
            assert np.array_equal(image, resize(source.read(3), 16, 16))


def test_evaluation_of_uneven_domains_ends_with_the_smaller(files):
    assert sum(len(batch) for batch in evaluation_batches(files, Unpaired, SMALL, 2)) == 3


# Labels


def test_plain_images_come_in_the_order_of_a_first_domain():
    plain = numbered_loader(7, batch_size=4, make=Plain)
    assert isinstance(plain.batch(0), Plain) and plain.steps_per_epoch == 2
    both = numbered_loader(7, 3, batch_size=4)
    assert all(torch.equal(plain.batch(step).images, both.batch(step).a) for step in range(5))


def test_labels_of_the_source_go_with_its_images():
    labels = np.eye(5, dtype=np.float32)
    loader = numbered_loader(5, 3, batch_size=4, make=SourceLabelled, labels=[labels])
    unpaired = numbered_loader(5, 3, batch_size=4)
    for step in range(6):
        batch = loader.batch(step)
        assert batch.labels.dtype == torch.float32 and batch.labels.argmax(1).tolist() == numbers(batch.a)
        assert torch.equal(batch.a, unpaired.batch(step).a) and torch.equal(batch.b, unpaired.batch(step).b)


def bucket_loader(*sizes: int, batch_size: int, **settings) -> Loader:
    """Bucket b holds images 10 b, 10 b + 1, ..., labelled with their bucket and number."""
    split = [numbered(size, first=10 * bucket) for bucket, size in enumerate(sizes)]
    labels = [np.array([[bucket, i] for i in range(size)], np.float32) for bucket, size in enumerate(sizes)]
    return make_loader(
        split, labels=labels, make=Labelled, channels=1, size=4, batch_size=batch_size, **{"seed": 0, **settings}
    )


def test_buckets_take_turns_and_each_shows_all_its_images_in_every_pass():
    loader = bucket_loader(5, 2, 1, batch_size=4)
    batches = [loader.batch(step) for step in range(30)]
    images = [number for batch in batches for number in numbers(batch.images)]
    labels = [row for batch in batches for row in batch.labels.tolist()]
    assert labels == [[number // 10, number % 10] for number in images]
    for bucket, size in enumerate((5, 2, 1)):
        drawn = images[bucket::3]
        assert {number // 10 for number in drawn} == {bucket}
        passes = [drawn[start : start + size] for start in range(0, 40 - 40 % size, size)]
        assert all(sorted(numbers) == [10 * bucket + i for i in range(size)] for numbers in passes)
    assert len({tuple(images[0::3][start : start + 5]) for start in range(0, 40, 5)}) > 4


def test_every_bucket_has_its_own_order():
    loader = bucket_loader(10, 10, batch_size=20)
    drawn = numbers(loader.batch(0).images)
    assert sorted(drawn) == list(range(20)) and [n % 10 for n in drawn[0::2]] != [n % 10 for n in drawn[1::2]]


def test_one_bucket_is_plain_sampling():
    one, plain = bucket_loader(7, batch_size=3), numbered_loader(7, batch_size=3, make=Plain)
    assert all(torch.equal(one.batch(step).images, plain.batch(step).images) for step in range(8))
    assert one.steps_per_epoch == plain.steps_per_epoch == 3


def test_labelled_batches_are_the_same_whatever_the_threads_the_cache_and_the_start(files):
    shared = [files[0], files[0][1:4], files[1]]
    labels = [np.full((len(bucket), 2), number, np.float32) for number, bucket in enumerate(shared)]
    settings = {"make": Labelled, "labels": labels, "resize": "centre"}
    reference = [file_loader(shared, **settings).batch(step) for step in range(10)]
    for more in ({"workers": 3}, {"workers": 3, "cache_bytes": 0}, {"cache_bytes": 3000}):
        for start in (0, 7):
            stream = file_loader(shared, **settings, **more).stream(start)
            for expected, batch in zip(reference[start:], stream, strict=False):
                assert_equal(batch, expected)
            stream.close()


def test_an_image_in_two_buckets_is_decoded_once():
    READS.clear()
    images = numbered(6)
    labels = [np.zeros((size, 1), np.float32) for size in (6, 3, 3)]
    split = [images, images[:3], images[3:]]
    loader = make_loader(split, labels=labels, make=Labelled, channels=1, size=4, batch_size=6, cache_bytes=6 * 16)
    for step in range(12):
        loader.batch(step)
    assert [READS[id(image)] for image in images] == [1] * 6


@pytest.mark.parametrize(
    ("sizes", "images"),
    # The largest bucket comes round in as many turns as it has images, each turn one of every bucket.
    [((7,), 7), ((7, 3), 14), ((5, 5, 5), 15), ((9, 1, 1), 27)],
)
def test_an_epoch_shows_every_image_of_the_largest_bucket(sizes, images):
    loader = bucket_loader(*sizes, batch_size=1)
    assert loader.steps_per_epoch == images
    drawn = {numbers(loader.batch(step).images)[0] for step in range(images)}
    assert drawn == {10 * bucket + i for bucket, size in enumerate(sizes) for i in range(size)}


def test_images_in_several_buckets_shorten_an_epoch():
    """Each of four images stands in two of four buckets of two: it comes once in four draws on average."""
    images = numbered(4)
    split = [images[:2], images[2:], images[::2], images[1::2]]
    labels = [np.zeros((2, 1), np.float32)] * 4
    loader = make_loader(split, labels=labels, make=Labelled, channels=1, size=4, batch_size=1)
    assert loader.steps_per_epoch == 4


def test_labels_that_do_not_fit_are_refused():
    one, two = np.zeros((3, 2), np.float32), np.zeros((2, 2), np.float32)
    with pytest.raises(ValueError, match=r"Labelled images need labels of \['3 rows', '2 rows'\], not \['3 rows'\]"):
        numbered_loader(3, 2, make=Labelled, labels=[one])
    with pytest.raises(ValueError, match=r"SourceLabelled images need labels of \['3 rows'\], not none"):
        numbered_loader(3, 2, make=SourceLabelled)
    with pytest.raises(ValueError, match=r"Unpaired images need labels of none, not \['3 rows'\]"):
        numbered_loader(3, 2, labels=[one])
    with pytest.raises(ValueError, match="labels for the same domains"):
        numbered_loader(3, 2, make=Labelled, labels=[one, two[:, :1]])
    with pytest.raises(ValueError, match="Plain batches are made of 1 list, not 2"):
        numbered_loader(3, 2, make=Plain)
    with pytest.raises(ConfigurationError, match="bucket 1 holds no images"):
        numbered_loader(3, 0, make=Labelled, labels=[one, two[:0]])


def test_centre_cuts_the_largest_square_out_of_the_middle():
    (image,) = places(1, height=10, width=7)
    loader = make_loader(((image,),), make=Plain, channels=3, size=7, resize="centre", flip=False)
    rows, columns = loader.batch(0).images[0, 1:]
    assert rows[:, 0].tolist() == list(range(1, 8)) and columns[0].tolist() == list(range(7))
    (wide,) = places(1, height=4, width=9)
    columns = make_loader(((wide,),), make=Plain, channels=3, size=4, resize="centre", flip=False).batch(0).images[0, 2]
    assert columns[0].tolist() == [2, 3, 4, 5]
    shrunk = make_loader(((image,),), make=Plain, channels=3, size=4, resize="centre", flip=False).batch(0).images[0]
    assert np.array_equal(shrunk.permute(1, 2, 0).numpy(), resize(image.pixels[1:8], 4, 4))


def test_evaluation_of_plain_and_labelled_images(files):
    labels = np.arange(10, dtype=np.float32).reshape(5, 2)
    batches = list(evaluation_batches([files[0]], Labelled, Decoding(3, 16, "centre"), 2, [labels]))
    assert [len(batch) for batch in batches] == [2, 2, 1]
    assert torch.cat([batch.labels for batch in batches]).tolist() == labels.tolist()
    for image, source in zip(torch.cat([batch.images for batch in batches]), files[0], strict=True):
        pixels = source.read(3)
        height, width = pixels.shape[:2]
        left = (width - height) // 2
        assert np.array_equal(image.permute(1, 2, 0).numpy(), resize(pixels[:, left : left + height], 16, 16))
    (plain,) = evaluation_batches([files[0]], Plain, SMALL, 8)
    assert np.array_equal(plain.images[0].permute(1, 2, 0).numpy(), resize(files[0][0].read(3), 16, 16))
    source, other = evaluation_batches(files, SourceLabelled, SMALL, 2, [labels])
    assert source.labels.tolist() == [[0, 1], [2, 3]] and other.labels.tolist() == [[4, 5]]
    with pytest.raises(ValueError, match="Labelled batches are made of 1 list, not 2"):
        next(evaluation_batches(files, Labelled, SMALL, 2, [labels, labels[:3]]))
