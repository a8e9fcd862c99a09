-- The statements with which 0.1.0 made its helper schema on a destination.
CREATE SCHEMA IF NOT EXISTS courier_applied;
CREATE TABLE IF NOT EXISTS courier_applied.progress (
   task_id uuid PRIMARY KEY, task text NOT NULL, source text NOT NULL, end_lsn pg_lsn NOT NULL,
   commit_time timestamptz, pre_data boolean NOT NULL DEFAULT false, updated_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
   source_id text NOT NULL, epoch bigint NOT NULL DEFAULT 0, writer bigint NOT NULL DEFAULT 0,
   CONSTRAINT progress_one_writer CHECK (writer = epoch)) WITH (fillfactor = 10);
COMMENT ON TABLE courier_applied.progress IS
   'What pg_courier has applied to this database, one row a task; updated in the transaction that carries the data';
CREATE TABLE IF NOT EXISTS courier_applied.table_progress (
   task_id uuid NOT NULL, relid oid NOT NULL, table_name text NOT NULL, snapshot text NOT NULL,
   sync_lsn pg_lsn NOT NULL, source_id text NOT NULL, copied_rows bigint NOT NULL DEFAULT 0, copied_at timestamptz NOT NULL DEFAULT pg_catalog.now(),
   PRIMARY KEY (task_id, relid));
CREATE TABLE IF NOT EXISTS courier_applied.conflicts (
   id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, task_id uuid NOT NULL, at timestamptz NOT NULL DEFAULT pg_catalog.now(),
   lsn pg_lsn NOT NULL, commit_lsn pg_lsn NOT NULL, relid oid NOT NULL, table_name text NOT NULL, change text NOT NULL,
   sqlstate text NOT NULL, message text NOT NULL, decision text NOT NULL, key jsonb, source_row jsonb, destination_row jsonb);
COMMENT ON TABLE courier_applied.conflicts IS
   'Changes that pg_courier did not apply as they were, one row each; written in the transaction that decided so';
COMMENT ON TABLE courier_applied.table_progress IS
   'Tables that pg_courier has copied to this database, with the source snapshot of each copy';
