"""The house rules that a reader relies on and no other tool checks."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest

from engine.host.config import cache
from engine.host.paths import paths
from engine.operations import configuring
from engine.store.queries import Queries

ROOT = Path(__file__).resolve().parents[2]
MOST_LINES = 400
PRODUCT = sorted([*(ROOT / "engine").rglob("*.py"), *(ROOT / "chronos_tui").rglob("*.py")])
STATEMENTS = sorted((ROOT / "engine" / "store" / "sql").glob("*.sql"))


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _imports(path: Path, *, at_the_top: bool) -> set[str]:
    """Return the modules that a file imports; at the top: only those that are loaded whenever it is."""
    tree = ast.parse(path.read_text())
    nodes: list[ast.AST] = list(_loaded_at_once(tree)) if at_the_top else list(ast.walk(tree))
    found = set()
    for node in nodes:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and node.level == 0:
            found |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
    return found


def _loaded_at_once(tree: ast.Module) -> list[ast.stmt]:
    found: list[ast.stmt] = []
    for node in tree.body:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        found += [one for one in ast.walk(node) if isinstance(one, ast.stmt)] if isinstance(node, ast.If) else [node]
    return found


def _package(module: str) -> str:
    return module.partition(".")[0]


def test_every_import_obeys_the_floors() -> None:
    tool = Path(sys.executable).with_name("lint-imports")
    found = subprocess.run([tool, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("path", PRODUCT, ids=_name)
def test_a_module_says_first_what_it_is(path: Path) -> None:
    first = path.read_text().split("\n", 1)[0]
    assert re.match(r'"""[`A-Z].*[.!?]', first), f"the first line is {first!r}"


@pytest.mark.parametrize("path", PRODUCT, ids=_name)
def test_a_module_fits_into_a_head(path: Path) -> None:
    lines = path.read_text().count("\n")
    assert lines <= MOST_LINES, f"{lines} lines; split it"


@pytest.mark.parametrize("path", STATEMENTS, ids=_name)
def test_every_statement_has_a_name_and_a_why(path: Path) -> None:
    for block in re.split(r";\s*\n", path.read_text()):
        text = block.strip()
        if text:
            assert re.match(r"-- [a-z0-9_]+: .{8,}", text), text[:80]


def test_statement_names_are_unique_and_all_of_them_are_used() -> None:
    known = Queries().names()
    heads = [
        f"{path.stem}.{name}"
        for path in STATEMENTS
        for name in re.findall(r"^-- ([a-z0-9_]+): ", path.read_text(), re.MULTILINE)
    ]
    assert sorted(heads) == known
    code = "\n".join(path.read_text() for path in PRODUCT)
    unused = [name for name in known if not name.startswith("filters.") and f'"{name}"' not in code]
    assert unused == []


def test_sql_stands_in_the_store_alone() -> None:
    statement = re.compile(r"""["'](SELECT|INSERT INTO|UPDATE|DELETE FROM|CREATE TABLE) [a-z*]""")
    found = [_name(path) for path in PRODUCT if statement.search(path.read_text())]
    # A migration's own row is written by the module that runs migrations, and an unknown file is looked at before
    # anything is known of it. RESTORE.md shows statements to whoever has nothing but sqlite3.
    looking = {"engine/store/opening.py", "engine/store/judging.py", "engine/store/snapshot.py"}
    assert set(found) <= {"engine/store/migrate.py", "engine/operations/backup/restorenote.py", *looking}


def test_one_module_begins_transactions() -> None:
    begins = [_name(path) for path in PRODUCT if re.search(r"""["']BEGIN\b""", path.read_text())]
    # The child that copies a live database reads it in one transaction of its own and can write nothing.
    assert set(begins) == {"engine/store/database.py", "engine/store/snapshot.py"}


def test_one_sqlite_library_for_the_whole_process() -> None:
    """Two libraries on one file drop each other's locks: a committed row was lost that way."""
    importers = {
        module: [_name(path) for path in PRODUCT if module in _imports(path, at_the_top=False)]
        for module in ("sqlite3", "pysqlite3")
    }
    assert importers["pysqlite3"] == []
    outside = [name for name in importers["sqlite3"] if not name.startswith("engine/store/")]
    # They use a connection that the store lends them, or look at the library's version.
    lent = {"engine/operations/restore/applying.py", "engine/operations/doctor.py"}
    assert set(outside) <= {*lent, "engine/operations/health.py"}


HEAVY = {
    "asyncio", "cryptography", "email", "falcon", "inspect", "jinja2", "keyring", "logging", "loguru", "platformdirs",
    "psutil", "pydantic", "requests", "rich", "ruamel", "schedule", "smtplib", "sqlite_utils", "ssl", "textual",
    "urllib3", "waitress", "yagmail",
}  # fmt: skip


def test_nothing_heavy_is_imported_by_a_light_module() -> None:
    light = [ROOT / "engine" / name for name in ("model.py", "errors.py", "clock.py", "intake.py")]
    for floor in ("rules", "store"):
        light += (ROOT / "engine" / floor).glob("*.py")
    light += [ROOT / "engine" / "host" / f"{name}.py" for name in ("files", "locks", "log", "paths", "secrets_env")]
    light += [ROOT / "engine" / "operations" / f"{name}.py" for name in ("context", "enqueue", "ordering")]
    found = {
        _name(path): sorted(loaded)
        for path in light
        if (loaded := {_package(module) for module in _imports(path, at_the_top=True)} & HEAVY)
    }
    assert found == {}


_INTAKE = """
import sys
from engine.host.paths import paths
from engine.intake import Intake
from engine.model import NewMessage
intake = Intake.open(paths(sys.argv[1], None, {}), {}, actor="cron")
intake.enqueue(NewMessage("box", text="hi"))
intake.close()
print(*sorted(name for name in sys.modules if "." not in name))
"""


def test_taking_a_message_in_loads_nothing_heavy(tmp_path: Path) -> None:
    """What a `chronos send` from cron pays for, measured at the modules that are there in the end."""
    directory = tmp_path / "data"
    directory.mkdir(mode=0o700)
    (directory / "config.yaml").write_text("targets: {box: {channel: maildir, path: mail}}\n")
    where = paths(str(directory), None, {})
    # A file that was written just now may change within its time stamp and is not cached: look at it from later on.
    cache.load_cached(where, {}, lambda: configuring.load(where, {}), now_ns=lambda: time.time_ns() + 10**10)
    done = subprocess.run(
        [sys.executable, "-c", _INTAKE, directory], cwd=ROOT, check=True, capture_output=True, text=True
    )
    heavy = HEAVY | {"dataclasses"}
    assert set(done.stdout.split()) & heavy == set()


def test_no_broad_except_but_where_work_of_others_is_run() -> None:
    """The dispatcher's tick, a sender, a chore, an act that was asked for, the door, a request, what a child runs."""
    allowed = {
        "engine/dispatcher.py",
        "engine/senders.py",
        "engine/upkeep.py",
        "engine/operations/commanding.py",
        "engine/host/children.py",
        "engine/inbound/http/app.py",
        "engine/inbound/http/door.py",
        "engine/host/rootkeys/keyring_child.py",
    }
    found = {
        _name(path)
        for path in PRODUCT
        if any(
            isinstance(node, ast.ExceptHandler) and isinstance(node.type, ast.Name) and node.type.id == "Exception"
            for node in ast.walk(ast.parse(path.read_text()))
        )
    }
    assert {name for name in found if name.startswith("engine/")} <= allowed
