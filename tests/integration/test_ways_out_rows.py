"""Messages whose advice one command takes, a row each: what is wrong, what the message advises, what is right.

See `ways_out.Row`.
"""

from __future__ import annotations

import pytest
from ways_out import WAYS, Row, User, Way

CONVERT, TRAIN = "convert run-pix2pix photos out", "train cyclegan.yaml --data unpaired --dry-run"
CGAN = "train cgan.yaml --data labelled --dry-run"
PIX2PIX = "train pix2pix.yaml --data paired --dry-run"
VIT = "model.generator.kind=vit-unet model.generator.widths=[2,2] model.generator.width=2 model.generator.heads=1"
ENHANCED = "model.generator.kind=enhanced model.generator.filters=1 model.generator.downsamplings=1"
ROWS = (
    Row(
        "models/remembering",
        "is of features that the discriminator's last layers compare: set model.discriminator.head=batch_norm (with "
        "model.discriminator.scales=1), or model.cache=0",
        f"{TRAIN} model.cache=2",
        r"set (model\.discriminator\.head=batch_norm)",
        f"{TRAIN} model.cache=2 {{}}",
    ),
    Row(
        "networks/vit_unet",
        "take fewer model.generator.widths",
        f"{TRAIN} {VIT} data.size=18",
        r"take fewer (model\.generator\.widths)",
        f"{TRAIN} {VIT} data.size=18 {{}}=[2]",
    ),
    Row(
        "networks/vit_unet",
        "model.generator.residual keeps the channels, and cannot make {} of {}; set model.generator.residual: false",
        f"{PIX2PIX} {VIT} model.generator.residual=true data.derive.holes={{}}",
        r"set (model\.generator\.residual): false",
        f"{PIX2PIX} {VIT} {{}}=false data.derive.holes={{{{}}}}",
    ),
    Row(
        "runs/initial_weights",
        "training.init_networks.{}={}: no network '{}'; {} are",
        f"{TRAIN} training.init_from=run-pix2pix training.init_networks.generator_a=nobody",
        r"no network 'nobody'; discriminator and (generator) are",
        f"{TRAIN} training.init_from=run-pix2pix training.init_networks.generator_a={{}} model.generator.kind=unet "
        "model.generator.levels=3 model.generator.filters=4",
    ),
    Row(
        "models/pix2pix",
        "feature_matching compares an image with its target, which adversarial.augment changes in other ways; leave "
        "one of them out",
        f"{PIX2PIX} model.feature_matching=10 model.adversarial.augment=[colour]",
        "leave one of them out",
        f"{PIX2PIX} model.feature_matching=10",
    ),
    Row(
        "runs/initial_weights",
        "model.generator.fixed leaves a network as it begins, which is at random: give the run of the first stage as "
        "training.init_from, or set model.generator.fixed=false",
        f"{PIX2PIX} {ENHANCED} model.generator.fixed=true",
        "or set (model.generator.fixed=false)",
        f"{PIX2PIX} {ENHANCED} {{}}",
    ),
    Row(
        "models/pix2pix",
        "set model.perceptual=0",
        f"{PIX2PIX} data.size=8 data.load_size=8 model.perceptual=1",
        "or set (model.perceptual=0)",
        f"{PIX2PIX} data.size=8 data.load_size=8 {{}}",
    ),
    Row(
        "networks/pix2pixhd",
        "take fewer model.generator.downsamplings",
        f"{PIX2PIX} model.generator.kind=enhanced model.generator.filters=1 model.generator.downsamplings=4",
        "take fewer (model.generator.downsamplings)",
        f"{PIX2PIX} model.generator.kind=enhanced model.generator.filters=1 {{}}=1",
    ),
    Row(
        "networks/spade",
        "take fewer model.generator.levels",
        f"{PIX2PIX} model.generator.kind=spade model.generator.filters=1 model.generator.levels=5",
        "take fewer (model.generator.levels)",
        f"{PIX2PIX} model.generator.kind=spade model.generator.filters=1 {{}}=3",
    ),
    Row(
        "models/images",
        "--steps {}: this model translates an image at once, not in steps; leave --steps out",
        f"{CONVERT} --steps 4",
        "leave --steps out",
        CONVERT,
    ),
    Row(
        "runs/export",
        "--steps is for graphs, which hold so many; --format {} keeps all: leave it out",
        "export run-bridge hub --format hub --steps 2",
        "(--steps) is for graphs, .* leave it out",
        "export run-bridge hub --format hub",
    ),
    Row(
        "models/bridge",
        "this bridge draws random numbers in each of its {} steps, which a graph cannot: export it with --steps 1, or "
        "--format hub, which holds the model itself",
        "export run-bridge graph.pt2",
        "export it with (--steps 1)",
        "export run-bridge graph.pt2 {}",
    ),
    Row(
        "networks/time_unet",
        "give model.generator.multiples fewer numbers",
        "train bridge.yaml --data paired --dry-run model.generator.multiples=[1,1,1,1,1,1]",
        "give (model.generator.multiples) fewer numbers",
        "train bridge.yaml --data paired --dry-run {}=[1,1]",
    ),
    Row(
        "models/adversary",
        "sees more of these than of those: set model.adversarial.objective: nonsaturating",
        f"{CGAN} model.adversarial.objective=relativistic",
        "set model.adversarial.objective: (nonsaturating)",
        f"{CGAN} model.adversarial.objective={{}}",
    ),
    Row(
        "runs/augmenting/variants",
        "{}: converts to nothing of what --to names; leave the run out",
        "augment run-cyclegan run-stargan unpaired out --to A",
        "run-stargan: converts to nothing of what --to names; leave the run out",
        "augment run-cyclegan unpaired out --to A",
    ),
    Row(
        "cli/data",
        "{}: no effect without a recipe; leave it out, or give --recipe, too",
        "data check unpaired training.lr=1",
        "give (--recipe), too",
        "data check unpaired training.lr=1 {} cyclegan",
    ),
    Row(
        "models/parts",
        "model.generator.kind {}: says of no inner features, and {} compares an image and its translation by them; set "
        "model.generator.kind: resnet",
        "train cut.yaml --data unpaired --dry-run model.generator.kind=unet",
        r"set model\.generator\.kind: (resnet)",
        "train cut.yaml --data unpaired --dry-run model.generator.kind={}",
    ),
    Row(
        "inference/extras",
        "--gallery {}: the gallery is a page; end its name in .html",
        f"{CONVERT} --gallery page",
        r"end its name in (\.html)",
        f"{CONVERT} --gallery page{{}}",
    ),
    Row(
        "inference/extras",
        "--manifest {}: named like an image; name it .jsonl",
        f"{CONVERT} --manifest rows.png",
        r"name it (\.jsonl)",
        f"{CONVERT} --manifest rows{{}}",
    ),
    Row(
        "inference/extras",
        "--gallery {}: is the manifest, too; name another file",
        f"{CONVERT} --manifest both.html --gallery both.html",
        "(--gallery) both.html: .* name another file",
        f"{CONVERT} --manifest both.html {{}} another.html",
    ),
    Row(
        "runs/evaluate",
        "--weights-dir {}: {}; or leave it out",
        "evaluate run-pix2pix --weights-dir photos",
        "--weights-dir photos: .*; or leave it out",
        "evaluate run-pix2pix",
    ),
    Row(
        "training/settings",
        "training.betas: no effect, for only adam has them; leave it out, or set training.optimizer=adam",
        f"{TRAIN} training.optimizer=rmsprop training.betas=[0,0.9]",
        "set (training.optimizer=adam)",
        f"{TRAIN} {{}} training.betas=[0,0.9]",
    ),
    Row(
        "runs/not_a_run",
        "no such run; expected the folder that `translate train` wrote{}",
        "convert run-pix2pix-1 photos out",
        r"did you mean (\S+)\?",
        "convert {} photos out",
    ),
    Row(
        "runs/not_a_run",
        "a recipe, not a trained run; `translate train {}` trains it",
        "convert pix2pix.yaml paired out",
        "`translate (train .*)` trains it",
        "{} --data paired",
    ),
    Row(
        "runs/not_a_run",
        "an image, not a run; the run comes first: translate convert RUN IMAGE OUTPUT",
        "convert photos/one.png photos out",
        "translate (convert) RUN IMAGE OUTPUT",
        "{} run-pix2pix photos/one.png out",
    ),
    Row(
        "runs/not_a_run",
        "`translate data check {}`",
        "evaluate unpaired",
        "`translate (.*)` says",
        "{}",
    ),
    Row(
        "runs/folder",
        "{}: holds other files but no run to resume; give another --out",
        "train cyclegan.yaml --data unpaired --out photos --resume",
        "give another (--out)",
        "train cyclegan.yaml --data unpaired {} another",
    ),
    Row(
        "runs/build",
        "training.networks: no network '{}'{}",
        f"{TRAIN} training.networks.nobody.lr=1e-4",
        r"known: ([a-z_]+)",
        f"{TRAIN} training.networks.{{}}.lr=1e-4",
    ),
    Row(
        "runs/build",
        "training.networks.{}.ema: only generators are averaged ({}); leave it out",
        f"{TRAIN} training.networks.discriminator_a.ema=0.9",
        r"only generators are averaged \((\w+)",
        f"{TRAIN} training.networks.{{}}.ema=0.9",
    ),
    Row(
        "data/checks/looking",
        "data.domains.{}.span: no effect on files of 8 bits, whose 0 and 255 are black and white; leave it out",
        f"{TRAIN} data.domains.A.span=[0,100]",
        r"data\.domains\.A\.span: no effect on files of 8 bits, .*; leave it out",
        TRAIN,
    ),
    Row(
        "inference/sizing",
        "--size trained translates at its own",
        f"{CONVERT} --size native",
        "(--size trained) translates at its own",
        f"{CONVERT} {{}} --overwrite",
        code=0,
    ),
    Row(
        "inference/sizing",
        "--size native takes them as they are",
        CONVERT,
        "(--size native) takes them as they are",
        f"{CONVERT} {{}} --overwrite",
        code=0,
    ),
    Row(
        "inference/sizing",
        "--keep-size no leaves them so",
        CONVERT,
        r"\((--keep-size no) leaves them so",
        f"{CONVERT} {{}} --overwrite",
        code=0,
    ),
    Row(
        "inference/sizing",
        "--keep-size yes brings them back",
        f"{CONVERT} --keep-size no",
        r"\((--keep-size yes) brings them back",
        f"{CONVERT} {{}} --overwrite",
        code=0,
    ),
    Row(
        "runs/convert",
        "--keep-size no is not for {}; leave it out",
        f"{CONVERT} --keep-size no --cycle-error",
        "--keep-size no is not for --cycle-error, .*; (leave it out)",
        CONVERT,
    ),
    Row(
        "recipe/explaining",
        "train it: translate train {} --data FOLDER",
        "explain gan-ring",
        "train it: translate (train gan-ring --data) FOLDER",
        "{} ring --dry-run",
        code=0,
    ),
    Row(
        "recipe/explaining",
        "all its keys: translate recipes {}",
        "explain gan-ring",
        "all its keys: translate (recipes gan-ring)",
        "{}",
        code=0,
    ),
    Row(
        "inference/extras",
        "--truth is shown in a page or in sheets; add --gallery page.html, or --compare DIR",
        f"{CONVERT} --truth photos",
        "add (--gallery page.html)",
        f"{CONVERT} --truth photos {{}}",
    ),
)
WAYS += [Way(((row.module, row.piece),), row) for row in ROWS]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: f"{row.module}: {row.piece[:40]}")
def test_the_advice_works(row: Row, user: User) -> None:
    row(user)
