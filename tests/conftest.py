"""For all tests."""

import os

# moto would otherwise make hundreds of machine images for each account that a test begins with.
os.environ.setdefault("MOTO_EC2_LOAD_DEFAULT_AMIS", "false")
