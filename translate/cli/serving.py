"""`translate serve`: a page and an HTTP API that translate pictures with trained models."""

from pathlib import Path

import click

from translate.cli.common import with_plugins
from translate.cli.completing import RUN
from translate.cli.options import takes
from translate.inference.options import ModelOptions
from translate.serving.options import ServingOptions
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
    from translate.inference.formats.exported import needed

    for module in ("starlette", "uvicorn", "python_multipart"):
        needed(module, "serve")
    from translate.serving.server import serve as serve_runs

    def ready(link: str) -> None:
        answer(link)
        if "?token=" in link:
            say("whoever has this link may send pictures; on other computers, put this one's address into it")
        then("open the link above; Ctrl-C stops the server when the picture under way is done")

    done = serve_runs(runs, model, serving, ready)
    say(f"stopped; {done:,} {'picture was' if done == 1 else 'pictures were'} translated")
