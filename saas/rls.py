"""Migration operations for row-level security; the measurements are in docs/architecture.md.

One policy per tenant table, an equality and nothing else: any OR in it stops PostgreSQL from
pruning partitions and using indexes (measured at a thousandfold). The role `harbor_ops` has a
policy of its own.
"""

from __future__ import annotations

from django.db import migrations

from saas.tenancy import OPS_ROLE

SETTING = "nullif(current_setting('app.brand', true), '')::bigint"


class TenantPolicy(migrations.RunSQL):
    """Put the tenant policy on `table` (and on its partitions, which can be named directly)."""

    def __init__(self, table: str, column: str = "brand_id") -> None:
        self.table = table
        self.column = column
        super().__init__(
            sql=_for_each_part(table, _policy_sql(column)),
            reverse_sql=_for_each_part(
                table,
                "DROP POLICY tenant ON %1$I; DROP POLICY ops ON %1$I;"
                " ALTER TABLE %1$I NO FORCE ROW LEVEL SECURITY;"
                " ALTER TABLE %1$I DISABLE ROW LEVEL SECURITY",
            ),
        )

    def deconstruct(self) -> tuple[str, list[str], dict[str, str]]:
        return (self.__class__.__qualname__, [self.table, self.column], {})

    def describe(self) -> str:
        return f"Row-level security on {self.table}"


def _policy_sql(column: str) -> str:
    return (
        "ALTER TABLE %1$I ENABLE ROW LEVEL SECURITY; ALTER TABLE %1$I FORCE ROW LEVEL SECURITY;"
        f" CREATE POLICY tenant ON %1$I USING ({column} = {SETTING});"
        f" CREATE POLICY ops ON %1$I TO {OPS_ROLE} USING (true) WITH CHECK (true)"
    )


def _for_each_part(table: str, statements: str) -> str:
    quoted = statements.replace("'", "''")
    return f"""
    DO $body$
    DECLARE part regclass;
    BEGIN
      FOR part IN SELECT relid FROM pg_partition_tree('{table}'::regclass)
        UNION SELECT '{table}'::regclass
      LOOP
        EXECUTE format('{quoted}', part::text);
      END LOOP;
    END $body$"""  # noqa: S608 - both come from migrations


class OpsFunction(migrations.RunSQL):
    """Create a SECURITY DEFINER function that runs as `harbor_ops`.

    `signature` is `name(type, ...)`; `sql` the CREATE FUNCTION statement, whose body must repeat
    the tenant's equality itself. Only the application's role may execute it.
    """

    def __init__(self, signature: str, sql: str) -> None:
        self.signature = signature
        self.body = sql
        super().__init__(
            sql=f"""
            GRANT CREATE ON SCHEMA public TO {OPS_ROLE};
            {sql.rstrip().rstrip(";")};
            ALTER FUNCTION {signature} SECURITY DEFINER SET search_path = public, pg_temp;
            ALTER FUNCTION {signature} OWNER TO {OPS_ROLE};
            REVOKE CREATE ON SCHEMA public FROM {OPS_ROLE};
            SET LOCAL ROLE {OPS_ROLE};
            REVOKE ALL ON FUNCTION {signature} FROM PUBLIC;
            GRANT EXECUTE ON FUNCTION {signature} TO SESSION_USER;
            SET LOCAL ROLE NONE""",
            reverse_sql=f"SET LOCAL ROLE {OPS_ROLE}; DROP FUNCTION {signature};"
            " SET LOCAL ROLE NONE",
        )

    def deconstruct(self) -> tuple[str, list[str], dict[str, str]]:
        return (self.__class__.__qualname__, [self.signature, self.body], {})

    def describe(self) -> str:
        return f"Function {self.signature}, run as {OPS_ROLE}"
