"""The advice of messages about clusters, followed. See `ways_out.py`."""

from __future__ import annotations

import pytest
from ways_out import User, taken, tried


@tried(
    ("runs/convert", "--ray {} is for folders of images, not for {}; leave it out"),
    ("runs/convert", "--cycle-error is not computed on a cluster; leave it, or --ray {}, out"),
    ("runs/convert", "--shard: --ray {} divides the folder by itself; leave one of them out"),
)
def what_a_cluster_does_not_do(user: User) -> None:
    run = user.run("pix2pix")
    user.photos()
    convert = ("convert", run, "photos", "out", "--ray", "local")
    photo = next((user.folder / "photos").iterdir())
    alone = user.refused("convert", run, photo, "out.png", "--ray", "local")
    assert taken(alone, "(--ray) local is for folders of images, not for single files; leave it out")
    user.gets("convert", run, photo, "out.png")
    assert taken(user.refused(*convert, "--cycle-error"), "(--cycle-error) is not computed on a cluster; leave it, or")
    assert taken(user.refused(*convert, "--shard", "1/2"), "(--shard): --ray local divides the folder by itself")
    user.gets(*convert[:-2], "--cycle-error")
    user.gets(*convert[:-2], "--shard", "1/2")


@tried(
    ("runs/on_ray/cluster", "--ray {}: nothing answers there ({})"),
    ("runs/on_ray/cluster", "--ray {}: expected auto, local, or HOST:PORT of the cluster's head"),
    ("runs/on_ray/cluster", "name its HOST:PORT, or give --ray local for this machine alone"),
    ("runs/on_ray/cluster", "--cpus-per-worker {}: no machine of the cluster has as many"),
)
def clusters_that_are_not_there(user: User) -> None:
    pytest.importorskip("ray", reason='needs Ray: pip install "image-translate[ray]"')
    run = user.run("pix2pix")
    user.photos()
    convert = ("convert", run, "photos", "out", "--ray", "local")
    for address, words in (
        ("127.0.0.1:9", "--ray 127.0.0.1:9: nothing (answers) there"),
        ("somewhere", "expected auto, (local), or HOST:PORT"),
        ("auto", "give --ray (local) for this machine alone"),
    ):
        assert taken(user.refused(*convert[:-1], address), words)
    assert taken(user.refused(*convert, "--cpus-per-worker", "1000"), "(--cpus-per-worker) 1000: no machine")
    user.gets(*convert)
