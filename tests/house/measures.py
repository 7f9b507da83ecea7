"""Counts lines, tokens, comprehensions and imports in Python source.

A *docstring* is any string that is a statement of its own, so the string below a
constant counts too. A *token* is one that ``tokenize`` reports, without comments,
docstrings, line ends and indents. An f-string is one token on every Python version.
A *code line* is a line on which a token starts. It is never blank, a comment or part
of a docstring. Files of three lines or fewer are left out of the counts of files,
lines and module lines, and of those only.

Shares of lines are shares of the lines that are not blank. A function runs from its
``def`` to its last line, with the functions inside it; its body is counted in code
lines. A comprehension is *nested* if it has a second ``for`` or holds another one.
"""

import ast
import io
import re
import statistics
import tokenize
from collections.abc import Iterator

SMALL_FILE = 3
OPENINGS = ("What", "Whether", "Which", "How", "Those", "Another")
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
LAYOUT = {"COMMENT", "NEWLINE", "NL", "INDENT", "DEDENT", "ENDMARKER"}


class Module:
    """One source file, parsed: ``token_lines`` has the line of each counted token."""

    def __init__(self, text: str):
        self.lines = text.splitlines()
        self.nodes = list(ast.walk(ast.parse(text)))
        self.docstrings = [node for node in self.nodes if is_docstring(node)]
        self.functions = self.nodes_of(*FUNCTIONS)
        self.classes = self.nodes_of(ast.ClassDef)
        self.comprehensions = self.nodes_of(*COMPREHENSIONS)
        self.comments = 0
        self.token_lines: list[int] = []
        self._read_tokens(text)
        self.code_lines = set(self.token_lines)

    def nodes_of(self, *kinds: type) -> list:
        """The nodes of the syntax tree that are of these kinds."""
        return [node for node in self.nodes if isinstance(node, kinds)]

    def _read_tokens(self, text: str) -> None:
        docstring_lines = set()
        for node in self.docstrings:
            docstring_lines.update(range(node.lineno, node.end_lineno + 1))

        # Python 3.12 and later split an f-string: only its first token counts.
        f_string_depth = 0
        for token in tokenize.generate_tokens(io.StringIO(text).readline):
            kind = tokenize.tok_name[token.type]
            line = token.start[0]
            in_docstring = kind == "STRING" and line in docstring_lines
            counts = kind not in LAYOUT and not in_docstring and f_string_depth == 0
            self.comments += kind == "COMMENT"
            f_string_depth += (kind == "FSTRING_START") - (kind == "FSTRING_END")
            if counts:
                self.token_lines.append(line)

    def body_length(self, function: ast.AST) -> int:
        """The number of code lines in the body of a function."""
        body = range(function.body[0].lineno, function.end_lineno + 1)
        return len(self.code_lines.intersection(body))

    def function_tokens(self, function: ast.AST) -> int:
        """The number of tokens of a function, its ``def`` line included."""
        lines = range(function.lineno, function.end_lineno + 1)
        return sum(line in lines for line in self.token_lines)


def is_docstring(node: ast.AST) -> bool:
    """True if the node is a statement that is nothing but a string."""
    is_constant = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    return is_constant and isinstance(node.value.value, str)


def opening(docstring: ast.Expr) -> str:
    """The first word of a docstring if it is one of ``OPENINGS``, else nothing."""
    word = re.search(r"\w+", docstring.value.value)
    return word.group() if word and word.group() in OPENINGS else ""


def is_nested(comprehension: ast.AST) -> bool:
    """True for a comprehension with a second ``for`` or another one inside."""
    inside = list(ast.walk(comprehension))[1:]
    holds_another = any(isinstance(node, COMPREHENSIONS) for node in inside)
    return holds_another or len(comprehension.generators) > 1


def method_count(definition: ast.ClassDef) -> int:
    """The number of functions written in the body of a class."""
    return sum(isinstance(node, FUNCTIONS) for node in definition.body)


def figures(sources: dict[str, str]) -> dict[str, float]:
    """All figures by their label, from the text of each file by its path."""
    lengths, lines, bodies, sizes, methods = [], [], [], [], [0]
    comprehensions, docstrings = [], []
    tokens = code = comments = choices = stars = 0
    for text in sources.values():
        module = Module(text)
        if len(module.lines) > SMALL_FILE:
            lengths.append(len(module.lines))
        lines.extend(line for line in module.lines if line.strip())
        tokens += len(module.token_lines)
        code += len(module.code_lines)
        comments += module.comments
        choices += len(module.nodes_of(ast.IfExp))
        stars += len(module.nodes_of(ast.Starred))
        comprehensions.extend(module.comprehensions)
        docstrings.extend(module.docstrings)
        methods.extend(map(method_count, module.classes))
        bodies.extend(map(module.body_length, module.functions))
        sizes.extend(map(module.function_tokens, module.functions))

    opened = [word for word in map(opening, docstrings) if word]
    nested = sum(map(is_nested, comprehensions))
    over_88 = sum(len(line) > 88 for line in lines)
    over_100 = sum(len(line) > 100 for line in lines)
    imports = imports_between_rooms(sources)
    root_modules = [room for room in imports if f"recursive/{room}.py" in sources]
    return {
        "files": len(lengths),
        "lines": sum(lengths),
        "code lines": code,
        "tokens": tokens,
        "tokens per code line": tokens / max(code, 1),
        **spread("module lines", lengths),
        **spread("function body lines", bodies),
        **spread("tokens per function", sizes),
        "comprehensions per 100 code lines": percent(len(comprehensions), code),
        "nested comprehensions per 100": percent(nested, code),
        "if-expressions per 100": percent(choices, code),
        "starred unpackings per 100": percent(stars, code),
        "lines over 100 columns, %": percent(over_100, len(lines)),
        "lines over 88 columns, %": percent(over_88, len(lines)),
        "comments, % of lines": percent(comments, len(lines)),
        "docstrings opening What...Another, %": percent(len(opened), len(docstrings)),
        "docstrings opening What...Another": len(opened),
        "docstrings opening What...Those": len(opened) - opened.count("Another"),
        "most methods in one class": max(methods),
        "root modules, without __init__": len(root_modules),
        "levels of imports": longest_chain(imports),
    }


def percent(part: int, whole: int) -> float:
    """100 times ``part / whole``, and 0 if there is no whole."""
    return 100 * part / max(whole, 1)


def spread(label: str, values: list[int]) -> dict[str, int]:
    """The median, the ninth decile and the largest of some values, labelled."""
    ordered = sorted(values) or [0]
    return {
        f"{label}, median": statistics.median_low(ordered),
        f"{label}, p90": ordered[len(ordered) * 9 // 10],
        f"{label}, largest": ordered[-1],
    }


def imports_between_rooms(sources: dict[str, str]) -> dict[str, set[str]]:
    """The other rooms that each room imports: a room is a package or a root module.

    dict[str, set[str]] inside functions are left out. Those for type checkers are counted.
    """
    room_by_path = {path: path.split("/")[1].removesuffix(".py") for path in sources}
    imports = {room: set() for room in room_by_path.values() if room != "__init__"}
    for path, room in room_by_path.items():
        for name in imported_names(ast.parse(sources[path])):
            package, target = f"{name}.".split(".")[:2]
            is_room = package == "recursive" and target in imports
            if is_room and room in imports and target != room:
                imports[room].add(target)
    return imports


def imported_names(node: ast.AST) -> Iterator[str]:
    """The absolute dotted names that are imported when the module is loaded."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import):
            yield from (alias.name for alias in child.names)
        elif isinstance(child, ast.ImportFrom):
            yield from (f"{child.module}.{alias.name}" for alias in child.names)
        elif not isinstance(child, FUNCTIONS):
            yield from imported_names(child)


def longest_chain(imports: dict[str, set[str]], chain: tuple[str, ...] = ()) -> int:
    """The number of rooms in the longest chain of imports that repeats no room."""
    # Nearly all imports go one way, so there are few enough chains to try them all.
    longest = len(chain)
    targets = imports[chain[-1]] if chain else imports.keys()
    for target in targets - set(chain):
        longest = max(longest, longest_chain(imports, (*chain, target)))
    return longest
