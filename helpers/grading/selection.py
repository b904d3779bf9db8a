"""Which statements of a notebook its answers need: imports, functions, classes and values, found by name.

A learner's notebook also trains, plots, compares with torch and tries things out. The grader runs none of that: it
begins with the names that are asked for and follows what their code uses, as the linker of a compiler does. So a grade
costs no second training, a cell that compares with ``nn.Conv2d`` is no offence, and deleted, added or reordered
cells of other kinds change nothing.
"""

import ast
import builtins
import functools
import symtable
import threading
import warnings
from collections import defaultdict
from dataclasses import dataclass

from helpers.grading.submission import Unreadable

# Calls that change how later code behaves, without giving anything a name.
SETTINGS = (
    "torch.manual_seed", "torch.set_", "torch.use_deterministic", "torch.backends.", "random.seed", "np.random.seed",
    "numpy.random.seed", "sys.path.", "warnings.", "os.environ",
)  # fmt: skip
IMPORTS = (ast.Import, ast.ImportFrom)
INNER_SCOPES = (
    ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp,
    ast.GeneratorExp,
)  # fmt: skip
DEFINITIONS = (*IMPORTS, ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
PROVIDED = {"__name__", "__file__", "__doc__", "display", "get_ipython", "__class__"}
MOST_STATEMENTS = 5000
# CPython 3.11 counts the depth of every tree it builds in one number for all threads, and raises SystemError when two get
# in each other's way (gh-106905); the filters of warnings are shared by all threads, too.
ONE_AT_A_TIME = threading.Lock()


@dataclass(frozen=True)
class Statement:
    """One top-level statement: its cell, its place in the cell, its syntax tree, and the names in play.

    ``binds``, ``changes`` and ``uses`` are names; of those it binds, ``shares`` are those that a function in it declares
    global, and ``calls`` are the plain names that it calls.
    """

    cell: int
    index: int
    tree: ast.stmt
    binds: frozenset
    changes: frozenset
    uses: frozenset
    shares: frozenset
    calls: frozenset


@dataclass(frozen=True)
class Selection:
    """The statements that run, in the notebook's order; names that nothing defines; cells that are not Python."""

    statements: list[Statement]
    missing: list[str]
    broken: dict[int, str]


def statements(submission):
    """Cut a submission's cells into top-level statements.

    Returns
    -------
    (list of Statement, dict of int to str)
        The second: for each cell that is not Python, its number and what is wrong.

    Raises
    ------
    Unreadable
        If there are more than ``MOST_STATEMENTS``.
    """
    found, broken = [], {}
    for cell in submission.cells:
        try:
            with ONE_AT_A_TIME, warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(cell.source)
                if len(found) + len(tree.body) > MOST_STATEMENTS:
                    raise Unreadable(f"The notebook holds more than {MOST_STATEMENTS:,} statements.")
                found += [_statement(cell.number, index, node) for index, node in enumerate(tree.body)]
        except SyntaxError as error:
            broken[cell.number] = f"line {error.lineno}: {error.msg}"
        except (ValueError, RecursionError, MemoryError) as error:
            broken[cell.number] = f"it cannot be read as Python ({type(error).__name__})"
    return found, broken


def select(every, names, broken=()):
    """Choose, from all statements of a notebook, those that ``names`` need.

    Parameters
    ----------
    every : list of Statement
    names : iterable of str
    broken : dict of int to str, optional
        Only passed on.

    Returns
    -------
    Selection
    """
    names = set(names)
    # A call through an imported module (plt.plot, np.testing.assert_allclose) changes nothing that answers are made of.
    modules = {name for statement in every if isinstance(statement.tree, IMPORTS) for name in statement.binds}
    binders, changers, callers, shared = (defaultdict(list) for _ in range(4))
    for position, statement in enumerate(every):
        for index, those in ((binders, statement.binds), (changers, statement.changes - modules), (callers, statement.calls)):
            for name in those:
                index[name].append(position)
        for name in statement.shares & statement.binds if isinstance(statement.tree, DEFINITIONS) else ():
            # Whoever calls a function that sets a global name sets that name.
            shared[name].append(getattr(statement.tree, "name", None))
    functions = {
        name: [every[position] for position in positions if isinstance(every[position].tree, DEFINITIONS)]
        for name, positions in binders.items()
    }
    reach = functools.cache(functools.partial(_reach, functions=functions))
    needed, chosen, waiting = set(), set(), []

    def choose(position):
        if position not in chosen:
            chosen.add(position)
            waiting.extend(every[position].uses)

    for position, statement in enumerate(every):
        if "*" in statement.binds or _is_setting(statement):
            choose(position)
    waiting.extend(names)
    while waiting:
        if (name := waiting.pop()) in needed:
            continue
        needed.add(name)
        # history = train(model), where train uses an older history: that runs the answers, and is no part of them.
        runs = [
            position
            for position in {*binders[name], *changers[name], *(each for one in shared[name] for each in callers[one])}
            if name in names
            or isinstance(every[position].tree, DEFINITIONS)
            or not (name in (used := reach(every[position].calls)) and used & names)
        ]
        if not set(binders[name]) & set(runs):
            runs += binders[name]  # nothing else gives it a value
        for position in runs:
            choose(position)
    kept = [every[position] for position in sorted(chosen)]
    bound = set().union(*(statement.binds for statement in kept)) if kept else set()
    known = bound | set(dir(builtins)) | PROVIDED
    missing = [] if "*" in bound else sorted(needed - known)
    return Selection(kept, missing, dict(broken))


def _reach(names, functions):
    # The names themselves, and all that functions and classes of these names use, directly or through others.
    found, waiting = set(), list(names)
    while waiting:
        if (name := waiting.pop()) not in found:
            found.add(name)
            waiting += [used for statement in functions.get(name, ()) for used in statement.uses | statement.shares]
    return found


def _statement(cell, index, node):
    binds, changes = set(), set()
    module = ast.Module([node], [])
    table = symtable.symtable(ast.unparse(ast.fix_missing_locations(module)), "cell", "exec")
    uses = _global_names(table)
    for part in _outside_functions(node):
        if isinstance(part, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            binds.add(part.name)
        elif isinstance(part, IMPORTS):
            binds |= {(alias.asname or alias.name).split(".")[0] for alias in part.names}
        elif isinstance(part, ast.Name) and isinstance(part.ctx, (ast.Store, ast.Del)):
            binds.add(part.id)
        elif isinstance(part, ast.ExceptHandler) and part.name:
            binds.add(part.name)
        elif isinstance(part, (ast.Attribute, ast.Subscript)) and isinstance(part.ctx, (ast.Store, ast.Del)):
            changes.add(_root(part))
        elif isinstance(part, ast.Call) and isinstance(part.func, ast.Attribute) and not isinstance(node, ast.Assert):
            # layers.append(...), config.update(...). A call of a plain function changes nothing that has a name.
            changes.add(_root(part.func))
        if isinstance(part, ast.Call) and getattr(part.func, "id", None) in ("setattr", "delattr") and part.args:
            changes.add(_root(part.args[0]))
    # Names that a function makes global belong to whoever defines that function.
    shares = {name for part in ast.walk(node) if isinstance(part, ast.Global) for name in part.names}
    calls = set()
    if not isinstance(node, DEFINITIONS):
        calls = {part.func.id for part in ast.walk(node) if isinstance(part, ast.Call) and isinstance(part.func, ast.Name)}
    sets = map(frozenset, (binds | shares, changes - {None}, uses, shares, calls))
    return Statement(cell, index, node, *sets)


def _global_names(table):
    names = {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced() and symbol.is_global()}
    if table.get_type() == "module":
        names |= {symbol.get_name() for symbol in table.get_symbols() if symbol.is_referenced()}
    for child in table.get_children():
        names |= _global_names(child)
    return names


def _outside_functions(node):
    # The node and all below it, but not what is inside functions, classes and the like: that binds nothing up here.
    yield node
    if isinstance(node, INNER_SCOPES):
        return
    for child in ast.iter_child_nodes(node):
        yield from _outside_functions(child)


def _root(node):
    while isinstance(node, (ast.Attribute, ast.Subscript, ast.Call)):
        node = node.func if isinstance(node, ast.Call) else node.value
    return node.id if isinstance(node, ast.Name) else None


def _is_setting(statement):
    if isinstance(statement.tree, ast.ImportFrom) and statement.tree.module == "__future__":
        return True
    if not isinstance(statement.tree, (ast.Expr, ast.Assign)):
        return False
    target = statement.tree.value if isinstance(statement.tree, ast.Expr) else statement.tree.targets[0]
    return ast.unparse(target).startswith(SETTINGS)
