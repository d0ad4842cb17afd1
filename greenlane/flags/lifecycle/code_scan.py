"""Where code asks for flags: by syntax in Python, by quoted keys in other languages.

In Python these are uses: `@feature_flag("x")`, `is_feature_enabled("x")`, OpenFeature's
`get_boolean_value("x", ...)` and its sisters, each with the key as text, as a constant of the same
or of another scanned file (`CHECKOUT`, `Flags.CHECKOUT`), or as text that begins so (an f-string).
In other languages: OpenFeature's getters. Elsewhere a quoted key is a mention: enough to say that
a flag is in the code, not enough to say that it is missing from the definitions.
"""

import ast
import os
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

SKIPPED = frozenset(
    {
        *(".git", ".hg", ".svn", ".tox", ".nox", ".venv", "venv", "node_modules", "__pycache__"),
        *(".mypy_cache", ".ruff_cache", ".pytest_cache", "build", "dist", "cdk.out", "target"),
        *("site-packages", "vendor", ".next", ".terraform"),
    }
)
SUFFIXES = frozenset(
    {
        *(".py", ".pyi", ".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".vue", ".svelte", ".html"),
        *(".go", ".java", ".kt", ".kts", ".scala", ".groovy", ".rb", ".php", ".cs", ".fs"),
        *(".rs", ".swift", ".dart", ".ex", ".exs", ".c", ".cc", ".cpp", ".h", ".m"),
    }
)
LARGEST_BYTES = 1024 * 1024

_ASKS = re.compile(
    r"feature_flag|is_feature_enabled|update_flag|gradual_rollout"
    r"|get_(?:boolean|string|integer|float|object)_(?:value|details)(?:_async)?"
)
_KEYWORDS = frozenset({"flag_key", "feature_name", "flag", "name", "key"})
_GETTER = re.compile(
    r"""\b(?:[gG]et|use)?(?:Boolean|String|Number|Integer|Int|Double|Float|Object)(?:Flag)?"""
    r"""(?:Value|Details)(?:Async)?(?:<[^<>()]*>)?\(\s*(?:[\w.()]+\s*,\s*)?(["'`])([\w.-]+)\1"""
)
_QUOTED = re.compile(r"""(["'`])([A-Za-z0-9][\w.-]{0,127})\1""")


@dataclass(frozen=True, order=True)
class Use:
    """One place that asks for a flag, or (`mention`) only has its key in quotes.

    `prefix` is for a key that is made at run time and begins so.
    """

    key: str
    file: str
    line: int
    mention: bool = False
    prefix: bool = False


@dataclass(frozen=True)
class Scan:
    """What was found; `unclear` are places whose key nobody can read off, or that do not parse."""

    uses: tuple[Use, ...] = ()
    unclear: tuple[str, ...] = ()
    files: int = 0

    def of(self, key: str) -> list[Use]:
        """The places of one flag."""
        return [
            one for one in self.uses if (key.startswith(one.key) if one.prefix else one.key == key)
        ]


@dataclass
class _Module:
    """A Python file: its constants by dotted name, and what its imports mean."""

    file: str
    constants: dict[str, str] = field(default_factory=dict)
    imports: dict[str, str] = field(default_factory=dict)


_Named = Mapping[str, Sequence[tuple[str, _Module]]]


def scan(root: Path, known: Collection[str] = ()) -> Scan:
    """All uses below a folder, or in a file.

    Args:
        root: the folder; dependencies, builds and what begins with a dot are left out.
        known: keys whose mere mention counts.

    Raises:
        FileNotFoundError: there is no such folder.
    """
    if not root.exists():
        raise FileNotFoundError(2, "no such file or folder", str(root))
    known, uses, unclear = frozenset(known), set[Use](), list[str]()
    modules: dict[str, _Module] = {}
    asking: list[tuple[_Module, ast.Module]] = []
    count = 0
    for path in _files(root):
        count += 1
        file = path.relative_to(root).as_posix() if root.is_dir() else path.as_posix()
        text = path.read_text("utf-8", errors="replace")
        if path.suffix in (".py", ".pyi"):
            try:
                tree = ast.parse(text)
                modules[file] = module = _module(file, tree)
            except (SyntaxError, ValueError, RecursionError):
                unclear.append(f"{file}: not Python of this version; searched as text")
            else:
                # Of the others their constants are enough: trees take a hundred times a file.
                if _ASKS.search(text):
                    asking.append((module, tree))
                else:
                    uses |= set(_mentions(module, tree, known, set()))
                continue
        uses |= set(_in_text(text, file, known))
    named = _by_name(modules)
    for module, tree in asking:
        for use in _in_python(module, tree, named, known):
            if isinstance(use, Use):
                uses.add(use)
            else:
                unclear.append(use)
    return Scan(tuple(sorted(uses)), tuple(sorted(unclear)), count)


def _files(root: Path) -> Iterator[Path]:
    if root.is_file():
        yield root
        return
    for folder, folders, files in os.walk(root):
        folders[:] = sorted(
            name for name in folders if name not in SKIPPED and not name.startswith(".")
        )
        for name in sorted(files):
            path = Path(folder) / name
            if path.suffix not in SUFFIXES or path.is_symlink() or not path.is_file():
                continue
            if path.stat().st_size <= LARGEST_BYTES:
                yield path


def _in_text(text: str, file: str, known: frozenset[str]) -> Iterator[Use]:
    asked = set()
    for found in _GETTER.finditer(text):
        asked.add(found.start(2))
        yield Use(found[2], file, text.count("\n", 0, found.start(2)) + 1)
    for found in _QUOTED.finditer(text):
        if found[2] in known and found.start(2) not in asked:
            yield Use(found[2], file, text.count("\n", 0, found.start(2)) + 1, mention=True)


def _module(file: str, tree: ast.Module) -> _Module:
    module = _Module(file)
    package = PurePosixPath(file).with_suffix("").parts
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            # Of a relative import the folder is known; an absolute one is found by its end.
            above = package[: -node.level] if node.level else []
            base = ".".join([*above, *([node.module] if node.module else [])])
            for one in node.names:
                module.imports[one.asname or one.name] = f"{base}.{one.name}"
        elif isinstance(node, ast.Import):
            for one in node.names:
                module.imports[one.asname or one.name] = one.name
    _constants(tree, "", module.constants)
    return module


def _constants(node: ast.Module | ast.ClassDef, place: str, found: dict[str, str]) -> None:
    for part in node.body:
        if isinstance(part, ast.ClassDef):
            _constants(part, f"{place}{part.name}.", found)
            continue
        targets = part.targets if isinstance(part, ast.Assign) else []
        if isinstance(part, ast.AnnAssign):
            targets = [part.target]
        value = part.value if isinstance(part, ast.Assign | ast.AnnAssign) else None
        if isinstance(value, ast.Constant) and isinstance(value.value, str):
            for target in targets:
                if isinstance(target, ast.Name):
                    found[place + target.id] = value.value


def _by_name(modules: Mapping[str, _Module]) -> dict[str, list[tuple[str, _Module]]]:
    """Modules that have constants, with their path, by the last part of that."""
    found: dict[str, list[tuple[str, _Module]]] = {}
    for file, module in modules.items():
        if module.constants:
            path = str(PurePosixPath(file).with_suffix("")).removesuffix("/__init__")
            found.setdefault(path.rpartition("/")[2], []).append((path, module))
    return found


def _in_python(
    module: _Module, tree: ast.Module, named: _Named, known: frozenset[str]
) -> Iterator[Use | str]:
    asked: set[int] = set()
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not _ASKS.fullmatch(_last(node.func)):
            continue
        given = node.args[0] if node.args else None
        for keyword in node.keywords:
            if given is None and keyword.arg in _KEYWORDS:
                given = keyword.value
        if given is None or isinstance(given, ast.Starred):
            continue
        for leaf in _leaves(given):
            asked.add(id(leaf))
            yield _use(module, named, leaf, node)
    yield from _mentions(module, tree, known, asked)


def _mentions(
    module: _Module, tree: ast.Module, known: frozenset[str], asked: set[int]
) -> Iterator[Use]:
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        if node.value in known and id(node) not in asked:
            yield Use(str(node.value), module.file, node.lineno, mention=True)


def _leaves(node: ast.expr) -> Iterator[ast.expr]:
    """What the key may be: both sides of a conditional expression."""
    if isinstance(node, ast.IfExp):
        yield from _leaves(node.body)
        yield from _leaves(node.orelse)
    else:
        yield node


def _use(module: _Module, named: _Named, given: ast.expr, call: ast.Call) -> Use | str:
    line = call.lineno
    if isinstance(given, ast.Constant) and isinstance(given.value, str):
        return Use(given.value, module.file, line)
    if isinstance(given, ast.JoinedStr) and given.values:
        first = given.values[0]
        if isinstance(first, ast.Constant) and first.value:
            return Use(str(first.value), module.file, line, prefix=True)
    name = _dotted(given)
    # An enumeration's member is written with or without `.value`.
    name = name.removesuffix(".value") if name is not None else None
    value = _resolved(module, named, name) if name else None
    if value is not None:
        return Use(value, module.file, line)
    return f"{module.file}:{line}: the key of {_last(call.func)} is made at run time"


def _resolved(module: _Module, named: _Named, name: str) -> str | None:
    """The text of a constant, here or in a file that is imported."""
    if name in module.constants:
        return module.constants[name]
    parts = name.split(".")
    for count in range(len(parts), 0, -1):
        meant = module.imports.get(".".join(parts[:count]))
        if meant is None:
            continue
        whole = [*meant.split("."), *parts[count:]]
        for split in range(len(whole) - 1, 0, -1):
            ending = "/".join(whole[:split])
            for path, other in named.get(whole[split - 1], ()):
                if path == ending or path.endswith(f"/{ending}"):
                    found = other.constants.get(".".join(whole[split:]))
                    if found is not None:
                        return found
    return None


def _last(node: ast.expr) -> str:
    return (_dotted(node) or "").rpartition(".")[2] or getattr(node, "attr", "")


def _dotted(node: ast.expr) -> str | None:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        inner = _dotted(node.value)
        return f"{inner}.{node.attr}" if inner else None
    return None
