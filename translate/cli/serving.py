"""`translate serve` translates pictures over HTTP; `translate watch` shows a page that follows trainings."""

from collections.abc import Callable
from pathlib import Path

import click

from translate.cli.common import with_plugins
from translate.cli.completing import RUN
from translate.cli.options import takes
from translate.inference.options import ModelOptions
from translate.serving.options import ServingOptions, WatchingOptions
from translate.utils.printing import answer, say, then


@click.command()
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=RUN)
@takes(serving=ServingOptions, model=ModelOptions)
@with_plugins
def serve(runs: tuple[Path, ...], serving: ServingOptions, model: ModelOptions) -> None:
    """Serve a page to drop pictures on, and an HTTP API; /openapi.json describes it.

    \b
    translate serve runs/cyclegan-horse2zebra
    translate serve runs/a runs/b --host 0.0.0.0             (for other computers, with the printed token)
    curl -F image=@horse.jpg -F to=zebra http://127.0.0.1:8000/api/convert -o zebra.jpg
    """
    _need("starlette", "uvicorn", "python_multipart")
    from translate.serving.server import serve as until_stopped
    from translate.serving.server import server_for

    server = server_for(runs, model, serving)
    done = until_stopped(
        server, _says("send pictures", "Ctrl-C stops the server when the picture under way is done")
    ).counts.answers[200]
    say(f"stopped; {done:,} {'picture was' if done == 1 else 'pictures were'} translated")


@click.command()
@click.argument("runs", metavar="[RUN...]", nargs=-1, type=RUN)
@takes(watching=WatchingOptions)
def watch(runs: tuple[Path, ...], watching: WatchingOptions) -> None:
    """Serve a page that follows runs while they train: curves, samples, state; it can ask them to save or to stop.

    RUN is the folder of a run, or one that holds runs, also those that begin later; without any, runs/.

    \b
    translate watch                                          (and open the printed link)
    translate watch runs/cyclegan-horse2zebra elsewhere/runs
    ssh -L 8001:127.0.0.1:8001 MACHINE translate watch       (for a run on another machine: open the link here)
    """
    _need("starlette", "uvicorn")
    from translate.serving.server import serve as until_stopped
    from translate.serving.server import watch_for

    until_stopped(
        watch_for(runs, watching), _says("follow the runs, and stop them", "Ctrl-C stops the server, and no run")
    )
    say("stopped; the runs go on")


def _need(*modules: str) -> None:
    from translate.inference.formats.exported import needed

    for module in modules:
        needed(module, "serve")


def _says(may: str, stops: str) -> Callable[[str], None]:
    """What is said once a server listens: the link, what its owner `may` do, and what `stops` it."""

    def ready(link: str) -> None:
        answer(link)
        if "?token=" in link:
            say(f"whoever has this link may {may}; on other computers, put this one's address into it")
        then(f"open the link above; {stops}")

    return ready
