"""Tables hash-partitioned by brand: the migration operation, and ids that PostgreSQL hands out.

Every unique key of such a table holds `brand_id`; its primary key is `(brand_id, ...)`. The brand
is also the distribution key that a distributed PostgreSQL needs later (docs/scale.md).
"""

from __future__ import annotations

from typing import Any

from django.db import migrations, models
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.migrations.state import ProjectState
from django.db.models import Func, Value

PARTITIONS = 16


class NextVal(Func):
    """`nextval('sequence')` as a column's default."""

    function = "nextval"
    output_field = models.BigIntegerField()


def sequence_id(table: str) -> Any:
    """Return the `id` of a partitioned table: half of a composite key, so it can't be AutoField."""
    return models.BigIntegerField(db_default=NextVal(Value(f"{table}_id_seq")), editable=False)


def bare_key(to: str) -> Any:
    """Return a foreign key without constraint and index of its own: the migrations declare the
    composite one, and every index of a partitioned table begins with the brand."""
    return models.ForeignKey(
        to, on_delete=models.DO_NOTHING, related_name="+", db_index=False, db_constraint=False
    )


class CreatePartitioned(migrations.CreateModel):
    """CreateModel for a table in PARTITIONS hash partitions of `brand_id`.

    A default of `nextval('<table>_id_seq')` finds its sequence made here.
    """

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        table = to_state.apps.get_model(app_label, self.name)._meta.db_table
        plain = schema_editor.sql_create_table
        schema_editor.sql_create_table = f'{plain} PARTITION BY HASH ("brand_id")'
        schema_editor.execute(f"CREATE SEQUENCE {table}_id_seq AS bigint")
        try:
            super().database_forwards(app_label, schema_editor, from_state, to_state)
        finally:
            schema_editor.sql_create_table = plain
        for remainder in range(PARTITIONS):
            schema_editor.execute(
                f"CREATE TABLE {table}_p{remainder:02d} PARTITION OF {table}"
                f" FOR VALUES WITH (MODULUS {PARTITIONS}, REMAINDER {remainder})"
            )

    def database_backwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,
        to_state: ProjectState,
    ) -> None:
        table = from_state.apps.get_model(app_label, self.name)._meta.db_table
        super().database_backwards(app_label, schema_editor, from_state, to_state)
        schema_editor.execute(f"DROP SEQUENCE {table}_id_seq")

    def describe(self) -> str:
        return f"{super().describe()}, in {PARTITIONS} partitions"


class AddPartitionedIndex(migrations.AddIndex):
    """AddIndex on a partitioned table that is in use: CONCURRENTLY is refused on the parent, so
    each partition gets its own and the parent adopts them. For a migration with `atomic = False`;
    safe to repeat after it stopped in the middle."""

    def database_forwards(
        self,
        app_label: str,
        schema_editor: BaseDatabaseSchemaEditor,
        from_state: ProjectState,  # noqa: ARG002
        to_state: ProjectState,
    ) -> None:
        model = to_state.apps.get_model(app_label, self.model_name)
        name, table = self.index.name, model._meta.db_table
        made = str(self.index.create_sql(model, schema_editor))
        schema_editor.execute(f'DROP INDEX IF EXISTS "{name}"')
        schema_editor.execute(made.replace(f'"{name}" ON', f'"{name}" ON ONLY'))
        for number in range(PARTITIONS):
            part = f"_p{number:02d}"
            schema_editor.execute(f'DROP INDEX CONCURRENTLY IF EXISTS "{name}{part}"')
            schema_editor.execute(
                made.replace(f'INDEX "{name}"', f'INDEX CONCURRENTLY "{name}{part}"').replace(
                    f'"{table}"', f'"{table}{part}"'
                )
            )
            schema_editor.execute(f'ALTER INDEX "{name}" ATTACH PARTITION "{name}{part}"')
