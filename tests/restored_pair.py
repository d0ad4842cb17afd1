"""Two real PostgreSQL databases: the old one after an accident, and the new one of before it."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from psycopg.conninfo import conninfo_to_dict

from greenlane.clock import SystemClock
from greenlane.migrations.databases.model import Database as Described
from greenlane.migrations.databases.model import Endpoint
from greenlane.migrations.restoring.model import (
    Looked,
    Point,
    Restored,
    RestorePlan,
    RestoreRequest,
    RestoreRun,
    Rto,
)
from greenlane.migrations.restoring.verifying import look
from greenlane.migrations.running.psycopg_session import connector
from tests.builders import NOW, SERVICE
from tests.postgres import Database

BEFORE = """
CREATE TABLE people (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL,
    email text UNIQUE,
    shout text GENERATED ALWAYS AS (upper(name)) STORED
);
INSERT INTO people (name, email) SELECT 'name ' || n, n || '@example.org'
FROM generate_series(1, 100) n;
CREATE TABLE "Odd Orders" (person bigint REFERENCES people, place int, PRIMARY KEY (person, place));
INSERT INTO "Odd Orders" SELECT n, 1 FROM generate_series(1, 50) n;
CREATE TABLE audit (at timestamptz DEFAULT now(), said text);
INSERT INTO audit (said) SELECT 'line ' || n FROM generate_series(1, 10) n;
CREATE INDEX audit_said ON audit (said);
CREATE TABLE keyless (said text);
INSERT INTO keyless VALUES ('a'), ('a'), ('b');
"""
ACCIDENT = """
DELETE FROM "Odd Orders" WHERE person <= 40;
DELETE FROM people WHERE id <= 30;
ALTER TABLE people DROP COLUMN name CASCADE;
DROP TABLE audit;
DELETE FROM keyless WHERE said = 'b';
UPDATE people SET email = 'new@example.org' WHERE id = 60;
INSERT INTO people (email) VALUES ('later@example.org');
"""
TABLES = ("public.people", "public.Odd Orders", "public.audit", "public.keyless")


@dataclass
class Pair:
    """Both databases, and where they are."""

    old: Database
    new: Database

    def endpoint(self, database: Database) -> Endpoint:
        found: dict[str, Any] = conninfo_to_dict(database.dsn)
        return Endpoint(
            host=found["host"],
            port=int(found.get("port", 5432)),
            dbname=found["dbname"],
            user=found["user"],
        )

    def run(self, **asks: Any) -> RestoreRun:
        """A restore whose new database is available."""
        given = {
            "restore": "fix-1",
            "database": "orders",
            "run": "m-0",
            "tables": TABLES,
            "requested_by": "ada",
            "reason": "rows were lost",
        } | asks
        new = self.endpoint(self.new)
        return RestoreRun(
            request=RestoreRequest.model_validate(given),
            execution="arn:test",
            epoch=1,
            described=Described(
                service=SERVICE,
                engine="postgres",
                instance="orders-1",
                endpoint=self.endpoint(self.old),
            ),
            plan=RestorePlan(
                point=Point(source="marker", at=NOW - timedelta(hours=1), lsn="0/0", run="m-0"),
                kind="instance",
                old="orders-1",
                new="greenlane-orders-fix-1",
                rto=Rto(seconds=None, basis="unknown"),
            ),
            started_at=NOW,
            approval_seconds=60,
            writers_seconds=60,
            restored=Restored(host=new.host, port=new.port, arn="arn", at=NOW, seconds=60),
        )

    def look(self, **asks: Any) -> Looked:
        """What both hold."""
        return look(
            connector(self.new.dsn), connector(self.old.dsn), self.run(**asks), SystemClock()
        )
