"""Figures of how open the package's design is: python tools/measure_house.py [FOLDER OF A CHECKOUT]."""

import ast
import re
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path

ROOMS = (
    "core",
    "data",
    "networks",
    "metrics",
    "models",
    "samples",
    "training",
    "runs",
    "evaluation",
    "editing",
    "experiments",
    "commands",
)
"""The rooms from the ground up: each imports only those before it."""
Function = ast.FunctionDef | ast.AsyncFunctionDef


def functions(tree: ast.AST) -> Iterator[Function]:
    return (node for node in ast.walk(tree) if isinstance(node, Function))


def inner(function: Function) -> int:
    """Return the number of functions inside a function, at any depth, without lambdas."""
    return sum(1 for _ in functions(function)) - 1


def hints(function: Function) -> Iterator[ast.expr]:
    """Return the annotations of a function's arguments and of its result."""
    arguments = [*function.args.posonlyargs, *function.args.args, *function.args.kwonlyargs]
    found = [a.annotation for a in [*arguments, function.args.vararg, function.args.kwarg] if a] + [function.returns]
    return (hint for hint in found if hint)


def uses(nodes: Iterable[ast.expr], names: set[str]) -> Counter[str]:
    """Count how often each of some names stands in expressions."""
    found = (n.id for node in nodes for n in ast.walk(node) if isinstance(n, ast.Name))
    return Counter(name for name in found if name in names)


def names_for_any(package: Path) -> set[str]:
    """Return the package's names of types that stand for `Any` or contain it, such as a mapping of trees."""
    values: dict[str, ast.expr] = {}
    for file in package.rglob("*.py"):
        for node in ast.parse(file.read_text()).body:
            target = node.target if isinstance(node, ast.AnnAssign) else None
            if isinstance(node, ast.Assign) and len(node.targets) == 1:
                target = node.targets[0]
            if isinstance(target, ast.Name) and target.id[0].isupper() and not target.id.isupper() and node.value:
                values[target.id] = node.value
    names: set[str] = set()
    while more := {name for name, value in values.items() if uses([value], {"Any", *names})} - names:
        names |= more
    return names


def imports(file: Path) -> Iterator[tuple[str, int]]:
    """Return (module, line) of all imports of the package in a file, at any place."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "jaxgen":
            names = [f"jaxgen.{a.name}" for a in node.names] if node.module == "jaxgen" else [node.module]
        elif isinstance(node, ast.Import):
            names = [a.name for a in node.names if a.name.split(".")[0] == "jaxgen"]
        else:
            continue
        yield from ((name, node.lineno) for name in names)


def upward(package: Path) -> list[str]:
    found = []
    for file in package.rglob("*.py"):
        room = file.relative_to(package).parts[0]
        for module, line in imports(file):
            other = module.split(".")[1] if "." in module else ""
            if room in ROOMS and other in ROOMS and ROOMS.index(other) > ROOMS.index(room):
                found.append(f"{file.relative_to(package)}:{line} {module}")
    return found


def options(package: Path) -> tuple[int, int, int]:
    """Return (declarations, different names, classes of the deepest config or group) of the experiments' options."""
    names, bases = [], {}
    for file in [*package.glob("experiments/*.py"), *package.rglob("training/config.py")]:
        for node in ast.parse(file.read_text()).body:
            if isinstance(node, ast.ClassDef) and any("dataclass" in ast.unparse(d) for d in node.decorator_list):
                key = node.name if node.name != "Config" else f"{file.stem}.Config"
                bases[key] = [ast.unparse(base).split(".")[-1] for base in node.bases]
                fields = [e for e in node.body if isinstance(e, ast.AnnAssign)]
                names += [e.target.id for e in fields if not ast.unparse(e.annotation).endswith("Options")]  # groups

    def depth(name: str) -> int:
        return 1 + sum(depth(base) for base in bases.get(name, []) if base in bases)

    return len(names), len(set(names)), max(map(depth, bases))


def main() -> None:
    root = Path(sys.argv[1] if len(sys.argv) > 1 else ".")
    package = root / "jaxgen"
    found = [(file, f) for file in package.rglob("*.py") for f in functions(ast.parse(file.read_text()))]
    length = {f"{file.relative_to(root)}:{f.name}": f.end_lineno - f.lineno + 1 for file, f in found}
    holds = {f"{file.relative_to(root)}:{f.name}": inner(f) for file, f in found}
    longest, most = max(length, key=length.get), max(holds, key=holds.get)
    declared, different, deepest = options(package)
    long = sum(n > 60 for n in length.values())
    print(f"longest function: {length[longest]} lines ({longest}); above 60 lines: {long}")
    print(f"most functions in a function: {holds[most]} ({most}); more than two: {sum(n > 2 for n in holds.values())}")
    hinted = [hint for _, f in found for hint in hints(f)]
    aliases = uses(hinted, names_for_any(package))
    print(f"Any in signatures: {uses(hinted, {'Any'}).total()}; names that stand for it or hold it: {aliases.total()}")
    print(f"  {', '.join(f'{name} {count}' for name, count in aliases.most_common())}")
    print(f"options: {declared} declarations of {different}; classes of the deepest config: {deepest}")
    print(f"imports upwards: {len(upward(package))} {upward(package)[:5]}")
    lines = (root / "README.md").read_text().splitlines()
    files = [file for file in package.rglob("*.py")]
    total = [len(file.read_text().splitlines()) for file in files]
    print(f"README: {len(lines)} lines")
    print(f"modules: {len(files)}, {sum(total)} lines; above 300 lines: {sum(n > 300 for n in total)}")
    strings = sum(len(re.findall(r"functions\[\"|in [\w.]*\.functions", file.read_text())) for file in files)
    print(f"look-ups in tables of strings: {strings}")


if __name__ == "__main__":
    main()
