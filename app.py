"""Synthesize the stacks: `python app.py`, offline and without credentials.

`CDK_OUTDIR` says where to. The context of `cdk.json` is read here as well, so that the CDK's
command line is not needed; where that runs, its own context wins.
"""

import json
from pathlib import Path

from infra.application import build_app, chosen
from infra.settings import Settings


def main() -> None:
    """Read the settings, write the assembly."""
    file = Path(__file__).resolve().parent / "cdk.json"
    context = json.loads(file.read_text())["context"]
    build_app(Settings.from_context(chosen(context)), context=context).synth()


if __name__ == "__main__":
    main()
