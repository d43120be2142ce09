"""Mutants, one by one: the mutated source, what it compiles to, where it stands, and what it is a mutant of."""

import ast
from collections.abc import Hashable
from types import CodeType

from cosmic_ray.mutating import mutate_code
from cosmic_ray.plugins import get_operator
from cosmic_ray.work_item import MutationSpec, WorkItem

UNASKED = {"slot_count"}


def mutate(spec: MutationSpec) -> tuple[str, str]:
    """A file's source, and the mutant's."""
    source = spec.module_path.read_text()
    operator = get_operator(spec.operator_name)(**spec.operator_args)
    return source, mutate_code(source, operator, spec.occurrence)


def place(item: WorkItem) -> tuple[str, tuple[int, int], str, int]:
    """Where a mutant stands: of those that are one program, the first is always the same."""
    (spec,) = item.mutations
    return str(spec.module_path), spec.start_pos, spec.operator_name, spec.occurrence


def compiled(source: str) -> Hashable:
    """What a program compiles to, without annotations and line numbers; None for no Python."""
    try:
        tree = ast.parse(source)
        for node in ast.walk(tree):
            if isinstance(node, (ast.arg, ast.AnnAssign)):
                node.annotation = ast.Constant(0)
            elif isinstance(node, ast.FunctionDef):
                node.returns = None
        return instructions(compile(ast.unparse(tree), "", "exec"))
    except SyntaxError:
        return None


def instructions(code: CodeType) -> Hashable:
    """A code object, to be compared: equal constants of different types are different."""
    constants = tuple(instructions(c) if isinstance(c, CodeType) else repr(c) for c in code.co_consts)
    return code.co_name, code.co_code, code.co_names, code.co_varnames, constants


def kind(spec: MutationSpec) -> str:
    """What the mutant is a mutant of: guard, unasked or computing (see run.py)."""
    if spec.module_path.name == "inputs.py":
        return "guard"
    for node in ast.walk(ast.parse(spec.module_path.read_text())):
        if not isinstance(node, ast.stmt) or not node.lineno <= spec.start_pos[0] <= node.end_lineno:
            continue
        raises = isinstance(node, (ast.If, ast.For)) and any(isinstance(part, ast.Raise) for part in ast.walk(node))
        if raises or (isinstance(node, ast.Expr) and ast.unparse(node).startswith("check_")):
            return "guard"
        signature = isinstance(node, ast.FunctionDef) and spec.start_pos[0] < node.body[0].lineno
        if signature or (isinstance(node, ast.FunctionDef) and node.name in UNASKED):
            return "unasked"
    return "computing"
