"""What the code of an answer must not use, found in its syntax tree by the judge: no word of the worker is needed.

Two kinds of finding. *Forbidden*: a name that the experiment rules out, such as ``F.conv2d``, under whatever alias.
*Suspect*: code that reaches into the interpreter or the grader (``sys._getframe``, ``exec``, another function put in
the place of torch's), so that what the program does cannot be read from its text. Points with such code are held back
until a person has looked: the report says which line.

It reads names, and names can be built at run time; that is why building them is suspect, and why the worker also counts
the operators that really ran. Its limits are in grading.md.
"""

import ast
import fnmatch
import re
import sys
from collections import ChainMap, Counter, defaultdict
from dataclasses import dataclass

# Modules with which a program changes or inspects the running interpreter instead of computing.
SUSPECT_MODULES = {
    "ctypes", "gc", "inspect", "importlib", "imp", "builtins", "subprocess", "signal", "socket", "__main__", "code",
    "codeop", "dis", "marshal", "atexit", "cffi", "mmap", "pdb", "bdb", "ast", "_thread", "posix", "nt", "runpy",
    "helpers.grading", "site", "torch._C", "torch._dynamo", "torch._inductor", "torch.utils._python_dispatch",
    "torch.overrides", "torch.utils.cpp_extension", "torch.library", "torch.utils._pytree", "sitecustomize", "pkgutil",
    "zipimport",
}  # fmt: skip
# These are suspect through other modules as well: torch.os, warnings.sys.
ANYWHERE = ("ctypes", "gc", "inspect", "importlib", "builtins", "subprocess")
# Where operators are watched: what runs in other threads, processes or compilers is not.
UNWATCHED = (
    "threading", "concurrent", "multiprocessing", "asyncio", "torch.utils.data", "torch.multiprocessing", "torch.jit",
    "torch.compile", "torch.export", "torch.fx", "torch.distributed", "torch.futures", "torch.nn.parallel",
    "torch.nn.DataParallel", "operator.attrgetter", "operator.methodcaller", "numba", "cython", "triton", "ctypes",
)  # fmt: skip
HARMLESS_PRIVATE = {
    "_pair", "_single", "_triple", "_ntuple", "_calculate_fan_in_and_fan_out", "_size_1_t", "_size_2_t", "_size_3_t",
    "_size_any_t", "_LRScheduler", "_Loss", "_Reduction", "_NormBase", "_BatchNorm", "_WeightedLoss",
}  # fmt: skip
# Of modules that are suspect otherwise.
HARMLESS = {"gc.collect", "gc.disable", "gc.enable", "gc.freeze", "gc.isenabled", "multiprocessing.cpu_count"}
# These give the children of a torch.nn.Module by name.
NAMED = {"named_children", "named_modules", "named_parameters", "named_buffers"}
SUSPECT_CALLS = {"exec", "eval", "compile", "__import__", "globals", "vars", "breakpoint", "__builtins__", "__loader__"}
SUSPECT_ATTRIBUTES = {
    "__globals__", "__code__", "__builtins__", "__subclasses__", "__bases__", "__mro__", "__base__", "__closure__",
    "__torch_dispatch__", "__torch_function__", "__loader__", "__spec__", "__getattribute__", "__dict__", "__reduce__",
    "_getframe", "_current_frames", "settrace", "setprofile", "addaudithook", "f_locals", "f_globals", "f_back",
    "tb_frame", "gi_frame", "cr_frame", "ag_frame", "meta_path", "path_hooks",
}  # fmt: skip
SUSPECT_PATHS = (
    "sys.modules", "os._exit", "os.abort", "os.kill*", "os.fork*", "os.exec*", "os.spawn*", "os.posix_spawn*",
    "os.system", "os.popen", "os.write", "os.read", "os.dup*", "os.pipe*", "os.open*", "os.putenv", "os.setsid",
    "os.setpgid", "os.closerange", "os.close", "os.pidfd*", "torch.ops.load_library", "torch.classes*", "torch.hub*",
)  # fmt: skip
# Settings that programs rightly change on a module, and constants that everybody may change.
SETTABLE = ("torch.backends.*", "matplotlib.*", "os.environ*", "sys.path*", "warnings.*", "numpy.random*", "sys.std*")
# What is written down in the code of an answer. More than this is data, such as the weights of a trained network.
MOST_CHARACTERS = 20_000
MOST_NUMBERS = 2_000
DYNAMIC = {"getattr", "hasattr", "setattr", "delattr"}


@dataclass(frozen=True)
class Finding:
    """One place in the code: ``kind`` is "forbidden" or "suspect", ``what`` the name, ``place`` where."""

    kind: str
    what: str
    place: str


def look(statements, forbidden=(), allowed_imports=(), watched=False):
    """Find forbidden and suspect code in selected statements.

    Parameters
    ----------
    statements : list of helpers.grading.selection.Statement
    forbidden, allowed_imports : tuple of str
        As in :class:`helpers.grading.experiments.Experiment`.
    watched : bool
        Whether operators are forbidden, so that running where they are not watched is suspect.

    Returns
    -------
    list of Finding
    """
    scopes, outer, stars = _scopes(statements)
    own = {name for statement in statements for name in statement.binds} - set(outer)
    nodes = [node for statement in statements for node in ast.walk(statement.tree)]
    loaded = {node.id for node in nodes if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    # Where a program has a named_children of its own, its names may be anything.
    renamed = {getattr(node, "name", None) or getattr(node, "arg", None) for node in nodes} & NAMED or {
        node.attr for node in nodes if isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load)
    } & NAMED
    renamed |= {node.value for node in nodes if isinstance(node, ast.Constant) and isinstance(node.value, str)} & NAMED
    found, verdicts, starred = [], {}, _starred(stars, forbidden)
    for statement, aliases in zip(statements, scopes, strict=True):
        looker = _Looker(statement, aliases, starred, own, forbidden, allowed_imports, watched, found)
        looker.loaded, looker.verdicts, looker.named = loaded, verdicts, set() if renamed else _named(statement.tree)
        looker.visit(statement.tree)
    return list(dict.fromkeys(found)) + _data(statements)


def _data(statements):
    # The sum over all statements, and the place of the one with the most.
    characters, numbers = {}, {}
    for statement in statements:
        values = [node.value for node in ast.walk(statement.tree) if isinstance(node, ast.Constant)]
        characters[statement] = sum(len(value) for value in values if isinstance(value, (str, bytes)))
        characters[statement] += sum(value.bit_length() // 4 for value in values if isinstance(value, int))
        numbers[statement] = sum(isinstance(value, (int, float, complex)) for value in values)
    found = []
    for counts, most, what in ((characters, MOST_CHARACTERS, "characters of text"), (numbers, MOST_NUMBERS, "numbers")):
        if sum(counts.values()) > most:
            largest = max(counts, key=counts.get)
            place = f"cell {largest.cell}, line {largest.tree.lineno}"
            found.append(Finding("suspect", f"{sum(counts.values()):,} {what} written into the code", place))
    return found


def _scopes(statements):
    # For each statement, what the names in it stand for; what the notebook's own names stand for; star imports.
    outer, stars = {}, []
    for _ in range(2):  # a name may be used above the cell that gives it a meaning
        scopes = []
        for statement in statements:
            around = {name: outer[name] for name in statement.uses if name in outer}
            inside, more = _aliases(statement.tree, around)
            stars += more
            scopes.append(around | inside)
            imports = isinstance(statement.tree, (ast.Import, ast.ImportFrom))
            # The last one to bind a name has it: a function of one's own after an import of the same name.
            if isinstance(statement.tree, (ast.FunctionDef, ast.ClassDef)):
                outer.pop(statement.tree.name, None)
            for name in statement.binds & inside.keys():
                outer[name] = inside[name] if imports else outer.get(name, inside[name])
    for position, statement in enumerate(statements):
        # A function runs when all names have their last meaning.
        if isinstance(statement.tree, (ast.FunctionDef, ast.AsyncFunctionDef)):
            around = {name: outer[name] for name in statement.uses if name in outer}
            scopes[position] = around | _aliases(statement.tree, around)[0]
    return scopes, outer, list(dict.fromkeys(stars))


def _aliases(tree, around):
    # What names bound in a statement stand for which part of a package, followed through imports and plain assignments
    # (f = torch.nn). A name that is local to a function means nothing elsewhere.
    found, stars = {}, []
    aliases = ChainMap(found, around)
    nodes = list(ast.walk(tree))
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                found[alias.asname or alias.name.split(".")[0]] = (
                    alias.name if alias.asname else alias.name.split(".")[0]
                )
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                if alias.name == "*":
                    stars.append(node.module or "")
                else:
                    found[alias.asname or alias.name] = f"{node.module or ''}.{alias.name}"
    for _ in range(3):  # an alias of an alias of an alias
        for node in nodes:
            if isinstance(node, ast.Assign):
                pairs = [(target, node.value) for target in node.targets]
            elif isinstance(node, (ast.AnnAssign, ast.NamedExpr)) and node.value is not None:
                pairs = [(node.target, node.value)]
            else:
                continue
            for target, value in pairs:
                path = _path(value, aliases)
                if isinstance(target, ast.Name) and path and target.id not in found:
                    found[target.id] = path
    return found, stars


def _named(tree):
    # Pairs of names (model, name) of loops: for name, child in model.named_children().
    pairs = set()
    for node in ast.walk(tree):
        if isinstance(node, (ast.For, ast.comprehension)) and isinstance(node.iter, ast.Call):
            called, target = node.iter.func, node.target
            target = target.elts[0] if isinstance(target, ast.Tuple) and target.elts else target
            if isinstance(called, ast.Attribute) and called.attr in NAMED and isinstance(target, ast.Name):
                pairs.add((ast.unparse(called.value), target.id))
    bound = Counter(
        node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and not isinstance(node.ctx, ast.Load)
    )
    return {(model, name) for model, name in pairs if bound[name] == 1}


def _starred(stars, forbidden):
    # The paths that a name may have by star imports. A module that is not loaded here may hold whatever is forbidden.
    paths = defaultdict(list)
    for module in stars:
        names = dir(sys.modules[module]) if module in sys.modules else [
            pattern.removeprefix(f"{module}.") for pattern in forbidden if pattern.startswith(f"{module}.")
        ]  # fmt: skip
        for name in names:
            paths[name].append(f"{module}.{name}")
    return paths


def _path(node, aliases):
    # The dotted path of an expression made of names, attributes and getattr with a text; None if it is something else.
    if isinstance(node, ast.Name):
        return aliases.get(node.id)
    if isinstance(node, ast.Attribute):
        base = _path(node.value, aliases)
        return f"{base}.{node.attr}" if base else None
    if (
        isinstance(node, ast.Call)
        and isinstance(node.func, ast.Name)
        and node.func.id == "getattr"
        and len(node.args) > 1
    ):
        base, name = _path(node.args[0], aliases), _text(node.args[1])
        return f"{base}.{name}" if base and name else None
    return None


def _text(node):
    # A text that is written down, in one piece or in several.
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        return node.value
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        left, right = _text(node.left), _text(node.right)
        return left + right if left is not None and right is not None else None
    return None


def _is_self(node):
    return isinstance(node, ast.Name) and node.id == "self"


def _begins_plainly(node):
    # A text that is written down, or begins so: f"conv{number}".
    if isinstance(node, ast.JoinedStr) and node.values:
        node = node.values[0]
    text = _text(node)
    return bool(text) and not text.startswith("_")


class _Looker(ast.NodeVisitor):
    def __init__(self, statement, aliases, stars, own, forbidden, allowed_imports, watched, found):
        self.cell, self.globals = statement.cell, statement.uses
        self.function = f", in {statement.tree.name}" if hasattr(statement.tree, "name") else ""
        self.aliases, self.stars, self.own = aliases, stars, own
        self.forbidden, self.allowed_imports, self.found = forbidden, allowed_imports, found
        self.watched, self.called = watched, set()

    def note(self, kind, what, node):
        self.found.append(Finding(kind, what, f"cell {self.cell}, line {node.lineno}{self.function}"))

    def check_path(self, path, node):
        if path not in self.verdicts:
            before = len(self.found)
            self.judge_path(path, node)
            self.verdicts[path] = self.found[before].kind if len(self.found) > before else None
        elif self.verdicts[path]:
            self.note(self.verdicts[path], path, node)

    def judge_path(self, path, node):
        if path in HARMLESS:
            return
        matches = lambda pattern: fnmatch.fnmatchcase(path, pattern) or fnmatch.fnmatchcase(path, pattern + ".*")
        if any(matches(pattern) for pattern in self.forbidden):
            self.note("forbidden", path, node)
        elif any(matches(name) for each in (*SUSPECT_PATHS, *ANYWHERE) for name in (each, f"*.{each}")) or any(
            matches(name) for name in SUSPECT_MODULES
        ):
            self.note("suspect", path, node)
        elif self.watched and (any(matches(name) for name in UNWATCHED) or self.is_private(path)):
            self.note("suspect", path, node)

    def leads_somewhere(self, base):
        patterns = (*self.forbidden, *SUSPECT_PATHS, *SUSPECT_MODULES, *(UNWATCHED if self.watched else ()))
        return any(f"{base}.".startswith(f"{pattern}.") or pattern.startswith(f"{base}.") for pattern in patterns)

    @staticmethod
    def is_private(path):
        parts = path.split(".")
        return parts[0] == "torch" and any(re.match(r"_(?!_)", part) and part not in HARMLESS_PRIVATE for part in parts)

    def imported(self, module, node, given=None):
        # ``given`` is what the statement gives a name to: of "import torch.utils.data", torch.
        if (given or module) not in {path.split(".")[0] for path in HARMLESS}:  # of these, each use is looked up
            self.check_path(given or module, node)
        package = module.split(".")[0]
        if self.allowed_imports and package not in {name.split(".")[0] for name in self.allowed_imports}:
            self.note("forbidden", f"import {module}", node)

    def visit_Import(self, node):
        for alias in node.names:
            name = alias.asname or alias.name.split(".")[0]
            if name in self.loaded:
                self.imported(alias.name, node, alias.name if alias.asname else name)

    def visit_ImportFrom(self, node):
        # The names are looked up where they are used: one line often imports more than is needed.
        self.imported(node.module or "", node)

    def visit_Name(self, node):
        if isinstance(node.ctx, ast.Load):
            builtin = node.id in self.globals and node.id not in self.own
            if builtin and node.id in DYNAMIC - {"hasattr"} and node not in self.called:
                self.note("suspect", f"{node.id} handed on", node)
            if builtin and node.id in SUSPECT_CALLS:
                self.note("suspect", node.id, node)
            if path := self.aliases.get(node.id):
                self.check_path(path, node)
            elif builtin:
                for path in self.stars.get(node.id, ()):
                    self.check_path(path, node)

    def visit_Compare(self, node):
        asks = all(isinstance(each, (ast.In, ast.NotIn)) for each in node.ops)
        for part in (node.left, *node.comparators):
            # "google.colab" in sys.modules: whether something is there, no more.
            if not (asks and part is not node.left and _path(part, self.aliases) == "sys.modules"):
                self.visit(part)

    def visit_Attribute(self, node):
        path = _path(node, self.aliases)
        if isinstance(node.ctx, (ast.Store, ast.Del)):
            if path and not any(fnmatch.fnmatchcase(path, pattern) for pattern in SETTABLE):
                self.note("suspect", f"{path} is replaced", node)
        elif path:
            self.check_path(path, node)
        if node.attr in SUSPECT_ATTRIBUTES and not (_is_self(node.value) and node.attr == "__dict__"):
            self.note("suspect", node.attr, node)
        if not path:  # of a path, only the whole is looked up
            self.generic_visit(node)

    def visit_Subscript(self, node):
        path = _path(node.value, self.aliases)
        if (
            path
            and isinstance(node.ctx, (ast.Store, ast.Del))
            and not any(fnmatch.fnmatchcase(path, p) for p in SETTABLE)
        ):
            self.note("suspect", f"{path}[...] is replaced", node)
        self.generic_visit(node)

    def visit_Call(self, node):
        name = node.func.id if isinstance(node.func, ast.Name) else None
        self.called.add(node.func)
        if name in DYNAMIC and node.args:
            base = _path(node.args[0], self.aliases)
            if name in ("setattr", "delattr") and base:
                self.note("suspect", f"{base} is changed", node)
            elif base and (len(node.args) < 2 or _text(node.args[1]) is None):
                # getattr(torch.optim, name)(...): what is called at once is no module, and none of these is forbidden.
                if node not in self.called or self.leads_somewhere(base):
                    self.note("suspect", f"getattr({base}, ...) with a name made at run time", node)
            elif base:
                self.check_path(f"{base}.{_text(node.args[1])}", node)
            elif len(node.args) > 1 and _text(node.args[1]) in SUSPECT_ATTRIBUTES:
                self.note("suspect", _text(node.args[1]), node)
            elif self.named and len(node.args) > 1 and (ast.unparse(node.args[0]), getattr(node.args[1], "id", None)) in self.named:
                pass
            elif len(node.args) > 1 and not (_is_self(node.args[0]) or _begins_plainly(node.args[1])):
                self.note("suspect", f"{name} with a name made at run time", node)
        self.generic_visit(node)

    def visit_Constant(self, node):
        # operator.attrgetter("__globals__") and its like.
        if isinstance(node.value, str) and node.value in SUSPECT_ATTRIBUTES - {"__dict__"}:
            self.note("suspect", node.value, node)
