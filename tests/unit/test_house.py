"""The house rules that a machine can check: who imports whom, who prints, how long is long."""

from __future__ import annotations

import ast
import re
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import NamedTuple

import s3pp

TOP = Path(s3pp.__file__).parent
MOST_LINES = 400
GENERATED = {"library/options.py"}  # by the declarations of the options

# Imports run downwards only; on one floor, only within a room. Floor 0 is one room.
FLOORS = {
    "access": 0,
    "attributes": 0,
    "body_options": 0,
    "cluster": 0,
    "deletion": 0,
    "verification": 0,
    "recorded": 0,
    "job": 0,
    "limits": 0,
    "listing_options": 0,
    "locking": 0,
    "option": 0,
    "output": 0,
    "places": 0,
    "planned": 0,
    "errors": 0,
    "escaping": 0,
    "facts": 0,
    "records": 0,
    "shard": 0,
    "speed": 0,
    "processors": 0,
    "timetable": 0,
    "uploads": 0,
    "s3": 1,
    "sandbox": 1,
    "integrity": 2,
    "localfs": 3,
    # Above localfs: a source leaves out names of temporary files, and sorts names on the disk.
    "sources": 4,
    "transfer": 5,
    "report": 5,
    "pipeline": 6,
    "diagnosis": 7,
    "app": 7,
    "program": 7,
    "args": 7,
    "cli": 8,
    "compat": 8,
    "library": 8,
    "testing": 8,
    # The package itself: its verbs and its command stand on everything.
    "__init__": 9,
    "__main__": 9,
}

# What only one place may import, and that place.
OWNERS: dict[str, str | tuple[str, ...]] = {
    "dask": "pipeline/cluster/bridge.py",
    "distributed": ("pipeline/cluster/bridge.py", "pipeline/cluster/dask_worker.py"),
    "botocore": ("s3/boto_session.py", "s3/identity.py", "s3/probe.py"),
    "aiohappyeyeballs": "s3/peers.py",
    "pycurl": ("s3/curl.py", "s3/multi.py"),
    "multiprocessing": "pipeline/",
    "argparse": ("args/", "cli/", "compat/"),
}


class Module(NamedTuple):
    """A module of the package; ``name`` is its path below it."""

    name: str
    text: str
    tree: ast.Module
    nodes: tuple[ast.AST, ...]  # all of the tree

    @property
    def room(self) -> str:
        return self.name.removesuffix(".py").partition("/")[0]

    @property
    def dotted(self) -> str:
        """As it is imported."""
        path = self.name.removesuffix(".py").removesuffix("/__init__")
        return f"s3pp.{path.replace('/', '.')}"

    @property
    def imports(self) -> Iterator[str]:
        """Every module named in an import, wherever it stands: in functions and for types too."""
        for node in self.nodes:
            if isinstance(node, ast.Import):
                yield from (alias.name for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.name}:{node.lineno} imports relatively"
                assert node.module is not None
                yield node.module
                yield from (f"{node.module}.{alias.name}" for alias in node.names)

    @property
    def rooms_imported(self) -> set[str]:
        """The rooms of this package that are imported; its version belongs to none."""
        parts = [name.split(".") for name in self.imports]
        found = {each[1] for each in parts if each[0] == "s3pp" and len(each) > 1}
        return found - {"__version__"}


def read(path: Path) -> Module:
    text = path.read_text("utf-8")
    tree = ast.parse(text)
    return Module(path.relative_to(TOP).as_posix(), text, tree, tuple(ast.walk(tree)))


@cache
def modules() -> list[Module]:
    return [read(path) for path in sorted(TOP.rglob("*.py"))]


def every_module(rule: Callable[[Module], None]) -> Callable[[], None]:
    """A test that names all modules that break ``rule``, a function that asserts it for one.

    One test for each module would cost more to collect than all rules take to check.
    """

    def test() -> None:
        broken = [f"{module.name}: {why}" for module in modules() if (why := breach(rule, module))]
        assert not broken, "\n".join(broken)

    test.__name__, test.__doc__ = rule.__name__, rule.__doc__
    return test


def breach(rule: Callable[[Module], None], module: Module) -> str:
    """What of ``module`` breaks ``rule``; empty where nothing does."""
    try:
        rule(module)
    except AssertionError as error:
        return str(error) or "breaks it"
    return ""


def test_the_package_is_here() -> None:
    """An empty list would pass every other test."""
    assert {"job.py", "s3/wire.py", "pipeline/supervisor.py"} <= {each.name for each in modules()}


@every_module
def test_imports_run_downwards(module: Module) -> None:
    floor = FLOORS[module.room]
    for room in module.rooms_imported:
        assert room in FLOORS, f"{room} has no floor"
        below = FLOORS[room] < floor
        assert below or room == module.room or floor == FLOORS[room] == 0, f"imports {room}"


@every_module
def test_what_belongs_to_one_place_is_imported_there_alone(module: Module) -> None:
    for name in module.imports:
        owner = OWNERS.get(name.partition(".")[0])
        assert owner is None or module.name.startswith(owner), f"imports {name}"


@every_module
def test_only_report_prints(module: Module) -> None:
    for node in module.nodes:
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
            printing = node.func.id == "print"
            assert not printing or module.room == "report", f"prints in line {node.lineno}"


MUTABLE = (ast.List, ast.Dict, ast.Set, ast.ListComp, ast.DictComp, ast.SetComp)


@every_module
def test_no_module_has_state(module: Module) -> None:
    """What is built while a module is imported is a constant, and named like one."""
    for node in module.nodes:
        assert not isinstance(node, ast.Global), f"global in line {node.lineno}"
    for statement in module.tree.body:
        if not isinstance(statement, ast.Assign | ast.AnnAssign):
            continue
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        for target in targets:
            if isinstance(target, ast.Name) and isinstance(statement.value, MUTABLE):
                constant = target.id.isupper() or target.id.startswith("__")
                assert constant, f"{target.id} in line {statement.lineno}"


@every_module
def test_a_module_says_what_it_is(module: Module) -> None:
    assert ast.get_docstring(module.tree), "no docstring"


@every_module
def test_no_file_is_too_long(module: Module) -> None:
    assert module.text.count("\n") <= MOST_LINES or module.name in GENERATED


AVOIDED = {"manager", "handler", "helper", "helpers", "util", "utils", "info", "data", "item"}


@every_module
def test_names_say_more_than_that_there_is_something(module: Module) -> None:
    names = {module.name.removesuffix(".py").rpartition("/")[2]}
    for node in module.nodes:
        if isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
    words = {word.lower() for name in names for word in re.findall("[A-Z]?[a-z0-9]+", name)}
    assert not words & AVOIDED


MOST_PARAMETERS = 5


@every_module
def test_functions_take_few_parameters(module: Module) -> None:
    """More means a missing type."""
    for node in module.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)
            own = [each.arg for each in given if each.arg not in ("self", "cls")]
            assert len(own) <= MOST_PARAMETERS, f"{node.name} in line {node.lineno}"


MOST_IMPORTS = 15


@every_module
def test_a_module_imports_few_others(module: Module) -> None:
    """A module that needs more does too much, or those below it are too fine."""
    known = {each.dotted for each in modules()}
    own = set()
    for node in module.nodes:
        if isinstance(node, ast.ImportFrom) and node.module in known:
            names = {f"{node.module}.{alias.name}" for alias in node.names}
            own |= names & known or {node.module}
    assert len(own) <= MOST_IMPORTS, f"imports {len(own)} modules of the package"


def test_no_class_name_is_used_twice() -> None:
    """Whoever meets a name in a trace or a search has to find one class."""
    places: dict[str, list[str]] = {}
    for module in modules():
        for node in module.nodes:
            if isinstance(node, ast.ClassDef):
                places.setdefault(node.name, []).append(module.name)
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


# Verbs whose past participle is irregular; the others end in -ed.
IRREGULAR = re.compile(
    "begun|brought|built|chosen|done|driven|fed|felt|found|forgotten|given|gone|grown|held|kept"
    "|known|laid|led|left|lent|lost|made|meant|paid|seen|sent|shown|spent|spoken|spun|stood|stuck"
    "|taken|taught|thought|told|understood|woken|won|written"
)
NO_PARTICIPLES = frozenset({"feed", "need", "seed", "speed", "exceed", "proceed", "succeed"})


def is_participle(word: str) -> bool:
    """Whether ``word``, in lower case, is a past participle or a present one."""
    regular = re.fullmatch(r".{2,}(ed|[^r]ing)", word) and word not in NO_PARTICIPLES
    return bool(regular or IRREGULAR.fullmatch(word))


def acts(node: ast.AST) -> bool:
    """Whether ``node`` is a function that is called for what it does: it waits, or returns nothing.

    Properties name what is, and context managers what holds within them, as in ``closing``.
    """
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
        return False
    decorators = {ast.unparse(each).rpartition(".")[2] for each in node.decorator_list}
    if decorators & {"property", "setter", "contextmanager", "asynccontextmanager"}:
        return False
    returns_nothing = node.returns is not None and ast.unparse(node.returns) == "None"
    return isinstance(node, ast.AsyncFunctionDef) or returns_nothing


@every_module
def test_what_acts_is_named_by_a_verb(module: Module) -> None:
    for node in module.nodes:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and acts(node):
            first = node.name.strip("_").partition("_")[0]
            assert not is_participle(first), f"{node.name} in line {node.lineno}"


DECLARING = {"option", "Option", "add_argument"}


def declared_options(module: Module) -> Iterator[str]:
    """The option strings in calls that declare options; elsewhere they are only mentioned."""
    for node in module.nodes:
        if isinstance(node, ast.Call):
            called = getattr(node.func, "id", getattr(node.func, "attr", ""))
            words = [word for each in node.args for word in ast.walk(each)]
            for word in words if called in DECLARING else ():
                text = word.value if isinstance(word, ast.Constant) else None
                if isinstance(text, str) and re.fullmatch(r"--?[a-z][a-z-]*", text, re.IGNORECASE):
                    yield text


def test_an_option_is_declared_in_one_place() -> None:
    """Two declarations of one option would in time differ: in its default, or what it accepts.

    The commands of older tools have options of their own, with other defaults by intention.
    """
    ours = [module for module in modules() if not module.name.startswith("compat/")]
    places = [(text, module.name) for module in ours for text in declared_options(module)]
    texts = [text for text, _ in places]
    assert {"--mode", "-n", "--dry-run", "--include", "--no-progress", "--port"} <= set(texts)
    assert [place for place in places if texts.count(place[0]) > 1] == []
