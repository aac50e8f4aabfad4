"""What the site takes from outside docs/: the README, pages for linked files of the repository, and public names.

Three things happen to a page when it is read:

- A page of ``WHOLE`` stands for a file at the root of the repository and begins with its text.
- A link that leaves docs/ is led to a page of the site that shows the file, or lists the folder.
- A block ``{api}`` with the name of a module becomes the reference of its ``__all__``.  An object that several modules
  offer is described once, in the first of ``MODULES``; the others name it.  A block ``{api} types`` describes the
  classes that fields and signatures of public objects name, and that no module offers.

What docstrings refer to and the reference does not describe is shown in its source; what does not exist is an error.
"""

import ast
import dataclasses
import enum
import functools
import html
import importlib
import inspect
import os
import re
import sys
import typing
from collections.abc import Iterator
from pathlib import Path

from docutils import nodes
from sphinx.util import logging
from sphinx.util.inspect import stringify_signature

ROOT = Path(__file__).resolve().parents[1]
DOCS = ROOT / "docs"
WHOLE = {"index": "README.md", "contributing": "CONTRIBUTING.md", "changelog": "CHANGELOG.md"}
MODULES = [
    "warpprior",
    *(f"warpprior.{name}" for name in ("terms", "render", "geometry", "torch", "bodies", "usd", "metrics")),
]
LINK = re.compile(r"\]\(([^)#\s]+)(#[^)\s]*)?\)")
API = re.compile(r"^```\{api\} (\S+)\n```$", re.MULTILINE)
logger = logging.getLogger(__name__)


def read_page(app, docname: str, content: list[str]) -> None:
    """Take in the file that a page stands for, turn its links, and write out its references."""
    origin = DOCS / docname
    text = content[0]
    if docname in WHOLE:
        origin = ROOT / WHOLE[docname]
        text = origin.read_text(encoding="utf-8") + "\n" + text.partition("-->")[2]
    text = LINK.sub(lambda link: turned(app, docname, origin.parent, link), text)
    content[0] = API.sub(lambda block: reference(block[1]), text)


def turned(app, docname: str, folder: Path, link: re.Match) -> str:
    """A link as the site needs it."""
    target, anchor = link[1], link[2] or ""
    if re.match(r"[a-z]+:", target):
        return link[0]
    path = Path(os.path.normpath(folder / target))
    if not path.exists():
        logger.warning("there is no %s", target, location=docname, type="repository")
        return link[0]
    page = next((page for page, whole in WHOLE.items() if ROOT / whole == path), None)
    here = (DOCS / docname).parent
    if page or path.is_relative_to(DOCS):
        return f"]({os.path.relpath(DOCS / f'{page}.md' if page else path, here)}{anchor})"
    shown(app).add(path)
    return f"](repository:{os.path.relpath(DOCS / source_page(path), here)}.html)"


def shown(app) -> set[Path]:
    """Files and folders of the repository that pages link to; kept from build to build."""
    if not hasattr(app.env, "repository_paths"):
        app.env.repository_paths = set()
    return app.env.repository_paths


def source_page(path: Path) -> str:
    """Name of the page that shows a file or folder."""
    return f"source/{path.relative_to(ROOT)}"


def source_pages(app) -> Iterator[tuple[str, dict, str]]:
    """A page for each file that is linked to, and for what is in each folder."""
    paths = set(shown(app))
    paths.update(file for path in shown(app) if path.is_dir() for file in files_of(path))
    for path in sorted(paths):
        body = listed(path) if path.is_dir() else highlighted(app, path)
        title = str(path.relative_to(ROOT)) + ("/" if path.is_dir() else "")
        yield source_page(path), {"title": title, "body": f"<h1>{title}</h1>\n{body}", "parents": []}, "page.html"


def files_of(folder: Path) -> list[Path]:
    """The sources in a folder and below."""
    return sorted(path for path in folder.rglob("*.py") if path.name != "__init__.py" or path.stat().st_size)


def highlighted(app, path: Path) -> str:
    """A file, coloured."""
    language = {".py": "python", ".toml": "toml", ".md": "markdown"}.get(path.suffix, "text")
    return app.builder.highlighter.highlight_block(path.read_text(encoding="utf-8"), language, linenos=False)


def listed(folder: Path) -> str:
    """The files of a folder, with the first sentence of each."""
    rows = []
    for path in files_of(folder):
        first = (ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or "").partition("\n\n")[0]
        link = os.path.relpath(f"{path}.html", folder.parent)
        rows.append(f'<li><a href="{link}">{path.relative_to(folder)}</a>: {html.escape(first)}</li>')
    return "<ul>\n" + "\n".join(rows) + "\n</ul>"


@functools.cache
def homes() -> dict[int, str]:
    """Where each public object is described: the first public module that offers it, by identity."""
    found: dict[int, str] = {}
    for module in filter(None, map(imported, MODULES)):
        for name in getattr(module, "__all__", ()):
            found.setdefault(id(getattr(module, name)), f"{module.__name__}.{name}")
    return found


def imported(name: str):
    """A module of ours, or None where this version has none of that name."""
    try:
        return importlib.import_module(name) if name.split(".")[0] == "warpprior" else None
    except ModuleNotFoundError as error:
        if not (error.name or "").startswith("warpprior"):
            raise
        return None


def reference(name: str) -> str:
    """Directives that describe a module and its public names, or the types that they name."""
    if name == "types":
        places = [(home.rpartition(".")[0], home.rpartition(".")[2], value) for home, value in named_types().items()]
        return fenced(line for place in places for line in described(*place))
    module = importlib.import_module(name)
    lines, others = [f".. automodule:: {name}", "   :no-members:", ""], []
    for public in sorted(getattr(module, "__all__", ()), key=str.lower):
        value = getattr(module, public)
        place = homes().get(id(value), f"{name}.{public}")
        if place == f"{name}.{public}":
            lines += described(name, public, value)
        else:
            others.append(f":py:obj:`{public} <{place}>`")
    return fenced([*lines, *([f"Also here: {', '.join(others)}."] if others else [])])


def fenced(lines) -> str:
    """A block of reStructuredText within a page of Markdown."""
    return "\n".join(["```{eval-rst}", *lines, "```"])


@functools.cache
def named_types() -> dict[str, type]:
    """Classes of ours that fields and signatures of public objects name and no public module offers."""
    found: dict[str, type] = {}
    public = [getattr(*place) for place in map(split, homes().values())]
    todo = list(public)
    while todo:
        for named in annotations(todo.pop()):
            ours = inspect.isclass(named) and named.__module__.startswith("warpprior.") and id(named) not in homes()
            if ours and not named.__name__.startswith("_") and f"{named.__module__}.{named.__name__}" not in found:
                found[f"{named.__module__}.{named.__name__}"] = named
                todo.append(named)
    return dict(sorted(found.items(), key=lambda item: item[0].rpartition(".")[2].lower()))


def split(place: str) -> tuple:
    """Module and name of a public object."""
    module, _, name = place.rpartition(".")
    return importlib.import_module(module), name


def annotations(value) -> Iterator:
    """Every type that a class's fields and methods, or a function, are annotated with, taken apart."""
    holders = [value]
    if inspect.isclass(value):
        public = (member for name, member in vars(value).items() if not name.startswith("_"))
        members = [getattr(member, "fget", getattr(member, "__func__", member)) for member in public]
        holders += [member for member in members if inspect.isfunction(member)]
        holders += [value.__init__] if inspect.isfunction(value.__init__) else []
    for holder in holders:
        try:
            waiting = list(typing.get_type_hints(holder).values())
        except (NameError, TypeError):  # named for the type checker alone, or nothing that has types
            continue
        while waiting:
            hint = waiting.pop()
            yield hint
            waiting += typing.get_args(hint)


def described(module: str, name: str, value) -> list[str]:
    """The directive for one public object."""
    if inspect.isclass(value):
        kind = "exception" if issubclass(value, BaseException) else "class"
        options = ["   :members:", "   :show-inheritance:"]
        if issubclass(value, enum.Enum):
            options.append("   :undoc-members:")
        return [f".. auto{kind}:: {module}.{name}", *options, ""]
    kind = "function" if callable(value) else "data"
    return [f".. auto{kind}:: {module}.{name}", ""]


def find_reference(app, env, node, content):
    """A name that the reference does not have as it stands: the public one, or else its source."""
    if node.get("refdomain") != "py" or "reftarget" not in node:
        return None
    target = node["reftarget"]
    if node["reftype"] == "attr":
        target = owner_of(target, node.get("py:class")) or target
    name = target.rpartition(".")[2]
    domain = env.get_domain("py")
    for place in (f"{module}.{name}" for module in [*MODULES, *sorted(sys.modules)]):
        if place in domain.objects and place.startswith("warpprior."):
            return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", place, node, content)
    path = defining_file(target)
    if path is None:
        return None
    shown(app).add(path)
    link = os.path.relpath(DOCS / source_page(path), (DOCS / node["refdoc"]).parent)
    return nodes.reference("", "", content, refuri=f"{link}.html", internal=True)


def owner_of(target: str, here: str | None) -> str | None:
    """The class whose docstring describes an attribute, where the attribute has no place of its own."""
    owner, _, name = target.rpartition(".")
    owner = (owner or here or "").rpartition(".")[2]
    for module in [module for key, module in sorted(sys.modules.items()) if key.split(".")[0] == "warpprior"]:
        text = inspect.getdoc(getattr(module, owner, None)) or ""
        if owner and re.search(rf"^ +([\w, ]+, )?{name}(, [\w, ]+)?:", text, re.MULTILINE):
            return owner
    return None


def defining_file(target: str) -> Path | None:
    """The source of a module, or of what a module holds, by its full or its bare name."""
    ours = {name: module for name, module in sorted(sys.modules.items()) if name.split(".")[0] == "warpprior"}
    home, _, name = target.rpartition(".")
    if home and (module := ours.get(target) or imported(target)):
        return Path(module.__file__)
    for module in [ours.get(home) or imported(home)] if home else ours.values():
        value = getattr(module, name, None)
        if value is not None:
            owner = ours.get(getattr(value, "__module__", ""), module)
            return Path(owner.__file__)
    return None


def short_defaults(app, what: str, name: str, value, options, signature: str | None, returns: str | None):
    """Signatures of classes with long default values, or such as are made anew, say ``...`` for them."""
    if not dataclasses.is_dataclass(value) or not signature:
        return None
    try:
        whole = inspect.signature(value, eval_str=True)  # full names, of which there may be two of one short form
    except NameError:  # named for the type checker alone
        whole = inspect.signature(value)
    shown = [
        parameter.replace(default=Elided()) if len(repr(parameter.default)) > 40 or factory(parameter) else parameter
        for parameter in whole.parameters.values()
    ]
    return stringify_signature(whole.replace(parameters=shown), unqualified_typehints=True), returns


def factory(parameter: inspect.Parameter) -> bool:
    """Is the default value of a field made anew for each object?"""
    return repr(parameter.default) == "<factory>"


class Elided:
    """A default value that is not written out."""

    def __repr__(self) -> str:
        return "..."


def as_written(app, what: str, name: str, value, options, lines: list[str]) -> None:
    """Single backticks in docstrings are code here, and what comes before a colon is no type."""
    lines[:] = [re.sub(r"(?<![`:\w])`([^`\n]+)`(?![`_])", r"``\1``", line) for line in lines]
    if what in ("attribute", "data", "property"):
        lines[:0] = ["..", ""]


def setup(app) -> dict:
    """Enter everything above with Sphinx."""
    app.connect("source-read", read_page)
    app.connect("html-collect-pages", source_pages)
    app.connect("missing-reference", find_reference)
    app.connect("autodoc-process-signature", short_defaults)
    app.connect("autodoc-process-docstring", as_written, priority=400)
    return {"parallel_read_safe": False, "parallel_write_safe": True}
