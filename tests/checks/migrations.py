"""Migrations: none is missing, and each is safe while the old code still runs.

During a deployment the old code serves on the new schema. So a migration may add, but not take
away or rename what the old code uses, nor add a column that the old code's INSERT leaves NULL;
indexes on tables with data are made concurrently; data moves in a migration of its own; everything
reverses. An exception says why where it is made: `safe_because = "..."` on the Migration.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator

import django
from django.apps import apps
from django.db import migrations, models
from django.db.migrations.autodetector import MigrationAutodetector
from django.db.migrations.loader import MigrationLoader
from django.db.migrations.operations.base import Operation
from django.db.migrations.questioner import NonInteractiveMigrationQuestioner
from django.db.migrations.state import ProjectState

OURS = ("saas", "accounts", "billing", "leads", "vpn")
TAKES_AWAY = (
    migrations.RemoveField,
    migrations.DeleteModel,
    migrations.RenameField,
    migrations.RenameModel,
    migrations.AlterModelTable,
)
DATA = (migrations.RunPython,)


def missing(loader: MigrationLoader) -> Iterator[str]:
    """Changes of models without a migration, found without a database."""
    detector = MigrationAutodetector(
        loader.project_state(),
        ProjectState.from_apps(apps),
        NonInteractiveMigrationQuestioner(specified_apps=set(), dry_run=True),
    )
    for label, found in detector.changes(graph=loader.graph).items():
        for migration in found:
            for operation in migration.operations:
                yield f"{label}: no migration does this: {operation.describe()}"


def unsafe(label: str, migration: migrations.Migration) -> Iterator[str]:
    if getattr(migration, "safe_because", ""):
        return
    where = f"{label}.{migration.name}"
    operations = list(flat(migration.operations))
    born = {o.name_lower for o in operations if isinstance(o, migrations.CreateModel)}
    kinds = {isinstance(o, DATA) for o in operations}
    if kinds == {True, False}:
        yield f"{where}: data and schema change in one migration"
    for operation in operations:
        if not operation.reversible:
            yield f"{where}: does not reverse: {operation.describe()}"
        for fault in faults(operation, born):
            yield f"{where}: {fault}: {operation.describe()}"


def faults(operation: Operation, born: set[str]) -> Iterator[str]:
    model = getattr(operation, "model_name_lower", "")
    if isinstance(operation, TAKES_AWAY):
        yield "takes away what the old code uses"
    if model in born:
        return
    if isinstance(operation, migrations.AddField) and not fills_itself(operation.field):
        yield "the old code's INSERT leaves this column NULL; give it a db_default"
    if isinstance(operation, migrations.AlterField) and not operation.field.null:
        yield "may rewrite or lock a table with data"
    if type(operation) is migrations.AddIndex:
        yield "locks out writes; use AddIndexConcurrently"


def fills_itself(field: models.Field) -> bool:  # type: ignore[type-arg]
    return field.null or field.many_to_many or field.db_default is not models.fields.NOT_PROVIDED


def flat(operations: list[Operation]) -> Iterator[Operation]:
    for operation in operations:
        yield operation
        if isinstance(operation, migrations.SeparateDatabaseAndState):
            yield from flat(operation.database_operations)


def main() -> int:
    django.setup()
    loader = MigrationLoader(None)
    found = list(missing(loader))
    for (label, _), migration in sorted(loader.disk_migrations.items()):
        if label in OURS:
            found += unsafe(label, migration)
    print("\n".join(found))
    return bool(found)


if __name__ == "__main__":
    sys.exit(main())
