"""Scenes of three Regions under load: `make demo-regions`, and with `ARGS="--scene lost-home"`."""

import argparse
import json
import sys
import time

from rich.console import Console

from greenlane.errors import GreenlaneError
from greenlane.local.demo import regions_bad, regions_lost_home
from greenlane.local.demo.regions_setting import DIRECTORY
from greenlane.local.errors import LocalCloudError
from greenlane.local.stage import check_sources

SCENES = {scene.NAME: scene for scene in (regions_bad, regions_lost_home)}


def main() -> int:
    """Play a scene; 0 only if every promise held."""
    parser = argparse.ArgumentParser(prog="python -m greenlane.local.demo.regions")
    parser.add_argument("--scene", choices=sorted(SCENES), default=regions_bad.NAME)
    parser.add_argument("--json", action="store_true", help="print the summary as JSON")
    given = parser.parse_args()
    scene = SCENES[given.scene]
    console = Console(stderr=given.json, highlight=False)
    began = time.monotonic()
    console.print(f"[bold]{scene.TITLE}[/bold]")
    try:
        check_sources()
        DIRECTORY.mkdir(parents=True, exist_ok=True)
        result = scene.play(console)
    except (GreenlaneError, LocalCloudError) as error:
        raise SystemExit(str(error)) from error
    text = json.dumps(result.as_json(), indent=2)
    (DIRECTORY / "summary.json").write_text(text + "\n", encoding="utf-8")
    console.print()
    for line in result.lines():
        console.print(line, soft_wrap=True)
    verdict = "a promise was broken" if result.broken else "every promise held"
    seconds = time.monotonic() - began
    console.print(f"\n{verdict}, {seconds:.0f} s in all; see {DIRECTORY / 'summary.json'}")
    if given.json:
        print(text)
    return 1 if result.broken else 0


if __name__ == "__main__":
    sys.exit(main())
