"""The laws of the code base: what imports what, how kernels are written, and what no file may contain.

Each law is a function that yields one sentence per offence, with file and line.
"""

from __future__ import annotations

import ast
import functools
import importlib
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]

# Floors, lowest first.  A module imports from its own floor or a lower one; a new module is given a floor here.
FLOORS = [
    ["kernels"],
    ["support"],
    ["bodies"],
    ["geometry"],
    ["observations", "scene", "world", "finding", "result", "uncertainty"],
    ["render"],
    ["system", "terms", "settings"],
    ["refinement", "checks", "verdicts"],
    ["tracking"],
    ["torch"],
    ["metrics", "io", "usd", "report", "contacts"],
    ["formats"],
    ["scenes"],
    ["ablation"],
    ["cli", "batches", "__main__"],
]
KERNEL_IMPORTS = {
    *("warp", "numpy", "math", "typing", "collections", "os", "concurrent", "contextlib", "contextvars"),
    *("functools", "itertools", "warnings"),
}
HEAVY = {
    *("pxr", "cv2", "torch", "matplotlib", "imageio_ffmpeg", "PIL"),
    *("yourdfpy", "lxml", "trimesh", "networkx", "tqdm"),
}
LINE_LIMIT = 500
ARGUMENT_LIMIT = 14  # of kernels, their functions and launchers; what belongs together goes into a struct


def python_files(*folders: str) -> list[Path]:
    """Python files below these folders of the checkout."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def tracked_files() -> list[Path]:
    """Files under version control, or the source folders when git is not at hand."""
    listing = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode == 0 and listing.stdout:
        return [path for name in listing.stdout.split("\0") if name and (path := ROOT / name).is_file()]
    return python_files("warpprior", "kernels", "scenes", "tests", "examples", "bench")


def at(path: Path, node: ast.AST | int) -> str:
    """``file:line`` for a message."""
    line = node if isinstance(node, int) else getattr(node, "lineno", 1)
    return f"{path.relative_to(ROOT)}:{line}"


@functools.cache
def parse(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), filename=str(path))


def module_name(path: Path) -> str:
    """Import name of a source file; kernels/ and scenes/ are packages of warpprior."""
    parts = path.relative_to(ROOT).with_suffix("").parts
    parts = parts[:-1] if parts[-1] == "__init__" else parts
    return ".".join(parts if parts[0] == "warpprior" else ("warpprior", *parts))


def imports_of(tree: ast.AST, package: str) -> Iterator[tuple[ast.stmt, str]]:
    """Every imported module; ``from a import b`` gives ``a.b`` and relative imports are resolved in ``package``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            origin = ".".join(filter(None, [base, node.module]))
            yield from ((node, f"{origin}.{alias.name}") for alias in node.names)


def imports_in(path: Path) -> Iterator[tuple[ast.stmt, str]]:
    """Every import of a source file."""
    name = module_name(path)
    return imports_of(parse(path), name if path.name == "__init__.py" else name.rpartition(".")[0])


def imports_at_load(path: Path) -> Iterator[tuple[ast.stmt, str]]:
    """Imports that run when the module is imported: outside functions and ``if TYPE_CHECKING``."""
    for node in parse(path).body:
        checking = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if not checking and not isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield from imports_of(node, module_name(path))


def is_warp(node: ast.AST, names: set[str]) -> bool:
    """Is the node ``wp.<name>`` for one of the names?"""
    return isinstance(node, ast.Attribute) and node.attr in names and getattr(node.value, "id", "") in ("wp", "warp")


def is_kernel(node: ast.AST) -> bool:
    """Is the node a function decorated with ``@wp.kernel`` or ``@wp.kernel(...)``?"""
    if not isinstance(node, ast.FunctionDef):
        return False
    return any(is_warp(getattr(decorator, "func", decorator), {"kernel"}) for decorator in node.decorator_list)


def imports_point_down() -> Iterator[str]:
    """A floor imports from itself and from below."""
    height = {name: level for level, names in enumerate(FLOORS) for name in names}
    for path in python_files("warpprior", "kernels", "scenes"):
        own = [*module_name(path).split("."), ""][1]
        if own and own not in height:
            yield f"{at(path, 1)}: warpprior.{own} has no floor; give it one in tests/test_laws.py"
            continue
        for node, target in imports_in(path):
            parts = target.split(".")
            if parts[0] == "warpprior" and len(parts) > 1 and height.get(parts[1], 0) > height.get(own, 0):
                yield f"{at(path, node)}: warpprior.{own} imports {target}, which is on a higher floor"


def terms_and_jobs_stay_apart() -> Iterator[str]:
    """Terms do not import each other, nor do the jobs; what they share has a file of its own."""
    shared = {"__init__", "term"}
    terms = [path for path in python_files("warpprior/terms") if path.stem not in shared]
    jobs = [ROOT / "warpprior" / name / "run.py" for name in ("refinement", "tracking")]
    for peers in (terms, jobs):
        names = {module_name(path) for path in peers} | ({"warpprior.terms"} if peers is terms else set())
        for path in peers:
            for node, target in imports_in(path):
                sibling = target if target in names else ".".join(target.split(".")[:3])
                if sibling in names - {module_name(path)}:
                    yield f"{at(path, node)}: {module_name(path)} imports its sibling {sibling}"


def kernels_import_warp_only() -> Iterator[str]:
    """The ground floor imports warp, numpy for constants, and itself."""
    for path in python_files("kernels"):
        for node, target in imports_in(path):
            if target.split(".")[0] not in KERNEL_IMPORTS and not target.startswith("warpprior.kernels"):
                yield f"{at(path, node)}: a kernel module imports {target}"


def kernels_live_on_the_ground_floor() -> Iterator[str]:
    """No kernel, Warp function or launch outside kernels/."""
    names = {"kernel", "func", "func_grad", "func_replay", "launch", "launch_tiled"}
    for path in python_files("warpprior", "scenes"):
        for node in ast.walk(parse(path)):
            if is_warp(node, names):
                yield f"{at(path, node)}: wp.{node.attr} belongs in kernels/"


def kernels_stand_above_their_launchers() -> Iterator[str]:
    """A kernel is called _verb_noun, its outputs come last as ..._out, and verb_noun directly below launches it."""
    for path in python_files("kernels"):
        body = parse(path).body
        for node, below in zip(body, [*body[1:], None], strict=True):
            if not is_kernel(node):
                continue
            if not re.fullmatch(r"_[a-z0-9]+(_[a-z0-9]+)+", node.name):
                yield f"{at(path, node)}: kernel {node.name} is not named _verb_noun"
            if not isinstance(below, ast.FunctionDef) or below.name != node.name[1:]:
                found = getattr(below, "name", "nothing")
                yield f"{at(path, node)}: below kernel {node.name} comes {found}, not its launcher {node.name[1:]}"
            outputs = [argument.arg.endswith("_out") for argument in node.args.args]
            if not any(outputs) or outputs != sorted(outputs):
                yield f"{at(path, node)}: kernel {node.name} does not end with its outputs, named ..._out"


def launches_name_inputs_outputs_and_device() -> Iterator[str]:
    """Every launch lists inputs, outputs and the device."""
    for path in python_files("kernels"):
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.Call) and is_warp(node.func, {"launch", "launch_tiled"}):
                missing = {"inputs", "outputs", "device"} - {keyword.arg for keyword in node.keywords}
                if missing:
                    yield f"{at(path, node)}: the launch does not give {', '.join(sorted(missing))}"


def kernels_do_not_multiply_in_place() -> Iterator[str]:
    """Warp's adjoint of ``*=`` and ``/=`` is silently wrong."""
    for path in python_files("kernels"):
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.AugAssign) and isinstance(node.op, (ast.Mult, ast.Div)):
                yield f"{at(path, node)}: {ast.unparse(node)} has no right gradient in Warp; write it out"


def kernels_take_few_arguments() -> Iterator[str]:
    """No function in kernels/ has more arguments than the limit."""
    for path in python_files("kernels"):
        for node in ast.walk(parse(path)):
            if not isinstance(node, ast.FunctionDef):
                continue
            count = len([*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs])
            if count > ARGUMENT_LIMIT:
                yield f"{at(path, node)}: {node.name} has {count} arguments, at most {ARGUMENT_LIMIT}"


def every_kernel_file_is_tested() -> Iterator[str]:
    """Each kernel module has a test file of its name, or some test imports it."""
    tests = python_files("tests")
    imported = {target for path in tests for _, target in imports_of(parse(path), "tests")}
    stems = {path.stem for path in tests}
    for path in python_files("kernels"):
        name = module_name(path)
        if path.name == "__init__.py" or f"test_{path.stem}" in stems:
            continue
        if not any(f"{target}.".startswith(f"{name}.") for target in imported):
            yield f"{at(path, 1)}: no test imports {name}, and there is no tests/test_{path.stem}.py"


def heavy_libraries_load_late() -> Iterator[str]:
    """Slow and optional libraries are imported inside the functions that need them."""
    for path in python_files("warpprior", "kernels", "scenes"):
        for node, target in imports_at_load(path):
            if target.split(".")[0] in HEAVY:
                yield f"{at(path, node)}: {target} is imported with the module; import it inside a function"


def warp_settings_are_changed_in_two_places() -> Iterator[str]:
    """What Warp prints is said where kernels begin, all else in warpprior/support/device.py, for programs."""
    allowed = {ROOT / "kernels" / "__init__.py", ROOT / "warpprior" / "support" / "device.py"}
    for path in python_files("warpprior", "kernels", "scenes"):
        for node in ast.walk(parse(path)):
            if path in allowed or not isinstance(node, (ast.Assign, ast.AugAssign, ast.AnnAssign)):
                continue
            targets = getattr(node, "targets", [getattr(node, "target", None)])
            if any(ast.unparse(target).startswith(("wp.config.", "warp.config.")) for target in targets):
                yield f"{at(path, node)}: {ast.unparse(node)} changes Warp for the whole process"


def nothing_runs_untrusted_code() -> Iterator[str]:
    """No pickle, eval or exec; np.load says allow_pickle=False."""
    for path in python_files("warpprior", "scenes"):
        for node, target in imports_in(path):
            if target.split(".")[0] in ("pickle", "dill", "joblib", "marshal"):
                yield f"{at(path, node)}: {target} can run code from a file"
        for node in ast.walk(parse(path)):
            if not isinstance(node, ast.Call):
                continue
            called = ast.unparse(node.func)
            if called in ("eval", "exec"):
                yield f"{at(path, node)}: {called}() runs text as code"
            safe = any(word.arg == "allow_pickle" and ast.unparse(word.value) == "False" for word in node.keywords)
            if called in ("np.load", "numpy.load") and not safe:
                yield f"{at(path, node)}: np.load without allow_pickle=False"


def files_are_short() -> Iterator[str]:
    """No source file is longer than the limit, none is called utils."""
    for path in python_files("warpprior", "kernels", "scenes", "tests", "examples", "bench"):
        count = len(path.read_text(encoding="utf-8").splitlines())
        if count > LINE_LIMIT:
            yield f"{at(path, 1)}: {count} lines, at most {LINE_LIMIT}"
        if re.search(r"\b(utils?|helpers?|misc)\b", path.stem.replace("_", " ")):
            yield f"{at(path, 1)}: name it after what is in it"


def files_hold_no_leftovers() -> Iterator[str]:
    """No paths of one machine and no reminders in tracked text."""
    machine = re.compile(r"(?<![\w.~$}>])/(?:work|home|root|Users)/\w|[A-Z]:\\\\?Users")
    reminder = re.compile(r"\b(" + "|".join(["TO" + "DO", "FIX" + "ME"]) + r")\b")
    for path in tracked_files():
        try:
            lines = path.read_text(encoding="utf-8").splitlines()
        except UnicodeDecodeError:
            continue
        for number, line in enumerate(lines, start=1):
            if path != Path(__file__).resolve() and machine.search(line):
                yield f"{at(path, number)}: a path of one machine: {line.strip()[:80]}"
            if path.suffix in (".py", ".toml", ".md", "") and reminder.search(line):
                yield f"{at(path, number)}: a reminder: {line.strip()[:80]}"


def every_test_is_a_documented_function() -> Iterator[str]:
    """Tests are functions with a docstring, not classes."""
    for path in python_files("tests"):
        for node in parse(path).body:
            if isinstance(node, ast.ClassDef) and node.name.startswith("Test"):
                yield f"{at(path, node)}: {node.name} is a class; write functions"
            if isinstance(node, ast.FunctionDef) and node.name.startswith("test_") and not ast.get_docstring(node):
                yield f"{at(path, node)}: {node.name} has no docstring"


LAWS = [
    imports_point_down,
    terms_and_jobs_stay_apart,
    kernels_import_warp_only,
    kernels_live_on_the_ground_floor,
    kernels_stand_above_their_launchers,
    launches_name_inputs_outputs_and_device,
    kernels_do_not_multiply_in_place,
    kernels_take_few_arguments,
    every_kernel_file_is_tested,
    heavy_libraries_load_late,
    warp_settings_are_changed_in_two_places,
    nothing_runs_untrusted_code,
    files_are_short,
    files_hold_no_leftovers,
    every_test_is_a_documented_function,
]


@pytest.mark.parametrize("law", LAWS, ids=lambda law: law.__name__)
def test_law(law):
    """No file breaks the law; the message lists every offence."""
    offences = list(dict.fromkeys(law()))
    assert not offences, f"{law.__doc__}\n" + "\n".join(offences)


def source_modules() -> list[str]:
    """Import names of everything a wheel holds."""
    names = (module_name(path) for path in python_files("warpprior", "kernels", "scenes"))
    return [name for name in names if not name.endswith("__main__")]


def test_importing_everything_loads_nothing_heavy():
    """Importing the package and each of its modules leaves optional and slow libraries unloaded."""
    script = (
        "import importlib, sys, warpprior\n"
        "assert 'warp' not in sys.modules, 'import warpprior imports warp'\n"
        "for name in sys.argv[1:]:\n"
        "    importlib.import_module(name)\n"
        "print(' '.join(sorted(sys.modules)))\n"
    )
    command = [sys.executable, "-c", script, *source_modules()]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stderr
    loaded = {name.split(".")[0] for name in found.stdout.split()}
    assert not loaded & HEAVY, f"import loads {sorted(loaded & HEAVY)}"


def test_public_names_exist():
    """Every name in an __all__ can be had, the lazy ones of the package too."""
    missing = []
    for name in source_modules():
        module = importlib.import_module(name)
        missing += [f"{name}.{public}" for public in getattr(module, "__all__", ()) if not hasattr(module, public)]
    assert not missing, f"named in __all__ but not there: {', '.join(missing)}"
