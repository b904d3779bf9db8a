"""Which statements of a notebook its answers need: imports, functions, classes and values, found by name.

A learner's notebook also trains, plots, compares with torch and tries things out. The grader runs none of that: it
begins with the names that are asked for and follows what their code uses, as the linker of a compiler does. So a grade
costs no second training, a cell that compares with ``nn.Conv2d`` is no offence, and deleted, added or reordered
cells of other kinds change nothing.
"""

import ast
import builtins
import symtable
import warnings
from dataclasses import dataclass

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
PROVIDED = {"__name__", "__file__", "__doc__", "display", "get_ipython", "__class__"}


@dataclass(frozen=True)
class Statement:
    """One top-level statement: its cell, its place in the cell, its syntax tree, and the names in play."""

    cell: int
    index: int
    tree: ast.stmt
    binds: frozenset
    changes: frozenset
    uses: frozenset


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
    """
    found, broken = [], {}
    for cell in submission.cells:
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                tree = ast.parse(cell.source)
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
    needed, chosen = set(names), set()
    # A call through an imported module (plt.plot, np.testing.assert_allclose) changes nothing that answers are made of.
    modules = {name for statement in every if isinstance(statement.tree, IMPORTS) for name in statement.binds}
    while True:
        more = {
            position
            for position, statement in enumerate(every)
            if position not in chosen
            and (
                statement.binds & needed
                or (statement.changes - modules) & needed
                or "*" in statement.binds
                or _is_setting(statement)
            )
        }
        if not more:
            break
        chosen |= more
        for position in more:
            needed |= every[position].uses
    kept = [every[position] for position in sorted(chosen)]
    bound = set().union(*(statement.binds for statement in kept)) if kept else set()
    known = bound | set(dir(builtins)) | PROVIDED
    missing = [] if "*" in bound else sorted(needed - known)
    return Selection(kept, missing, dict(broken))


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
    # Names that a function makes global belong to whoever defines that function.
    binds |= {name for part in ast.walk(node) if isinstance(part, ast.Global) for name in part.names}
    return Statement(cell, index, node, frozenset(binds), frozenset(changes - {None}), frozenset(uses))


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
    if not isinstance(statement.tree, (ast.Expr, ast.Assign)):
        return False
    target = statement.tree.value if isinstance(statement.tree, ast.Expr) else statement.tree.targets[0]
    return ast.unparse(target).startswith(SETTINGS)
