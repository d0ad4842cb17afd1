"""A copy of what `make synth` wrote, to be changed; assets that stay the same are links."""

import shutil
from pathlib import Path


def copy_assembly(assembly: Path, to: Path, *, own: frozenset[str] = frozenset()) -> Path:
    """Copy an assembly.

    Args:
        assembly: the folder of `make synth`.
        to: where the copy goes.
        own: the names of the assets that are copied too; of the others there are links.
    """
    to.mkdir()
    for entry in assembly.iterdir():
        place = to / entry.name
        if entry.is_file():
            shutil.copyfile(entry, place)
        elif entry.name in own:
            shutil.copytree(entry, place)
        else:
            place.symlink_to(entry.resolve(), target_is_directory=True)
    return to
