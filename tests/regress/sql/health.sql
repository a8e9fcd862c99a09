-- Health, slots, accounts, replica identity and prechecks: the answers of one server, and who may ask.
CREATE EXTENSION pg_courier;
CREATE ROLE regress_owner LOGIN REPLICATION;
CREATE ROLE regress_outsider LOGIN;
SELECT courier.grant_usage('regress_owner');
CREATE SERVER dr FOREIGN DATA WRAPPER pg_courier OPTIONS (host '127.0.0.1', port '1', dbname 'shop');
GRANT USAGE ON FOREIGN SERVER dr TO regress_owner;
CREATE USER MAPPING FOR PUBLIC SERVER dr OPTIONS (user 'courier', password 'top secret');
CREATE SCHEMA app;
GRANT USAGE, CREATE ON SCHEMA app TO regress_owner;
SET ROLE regress_owner;
CREATE TABLE app.keyed (id int PRIMARY KEY, v text);
CREATE TABLE app.unique_only (id int NOT NULL UNIQUE, v text);
CREATE TABLE app.bare (id int, v text);
CREATE TABLE app.wasteful (id int PRIMARY KEY);
ALTER TABLE app.wasteful REPLICA IDENTITY FULL;
SELECT courier.create_task('t', server => 'dr', include => ARRAY['app.*']);

-- Prechecks name what fails; the destination is not there.
SELECT item, status, object FROM courier.precheck('t') WHERE status IN ('failed', 'warning') AND category IN ('connectivity', 'tables', 'rights') ORDER BY item, object;
SELECT item, count(*) FROM courier.precheck('t') WHERE category LIKE 'destination%' AND status <> 'skipped' GROUP BY item;
SELECT count(*) FROM courier.precheck('t') p WHERE p::text LIKE '%top secret%';
SELECT count(*) > 40 AS many, count(*) FILTER (WHERE about = '') AS unexplained FROM courier.precheck_items();
SELECT courier.start('t');
SELECT courier.ignore_precheck('t', 'destination_connect', 'it will come back');
SELECT courier.ignore_precheck('t', 'no_such_item', 'because');
SELECT courier.ignore_precheck('t', 'replica_identity', ' ');
SELECT courier.ignore_precheck('t', 'replica_identity', 'insert only');
SELECT item, status, split_part(detail, ' on ', 1) AS detail FROM courier.precheck('t') WHERE status = 'ignored' AND object = 'app.bare';
SELECT courier.ignore_precheck('t', 'replica_identity', NULL);
SELECT item, object, statement, result FROM courier.apply_fixes('t') WHERE result NOT LIKE 'by hand%' ORDER BY statement;

-- Replica identity: advised, set, remembered, and given to later tables.
SELECT table_name, current, advised, statement FROM courier.replica_identity('t');
CALL courier.set_replica_identity('t');
CALL courier.set_replica_identity('t', dry_run => false);
SELECT table_name, current, statement FROM courier.replica_identity('t');
CREATE TABLE app.later (id int);
CREATE TABLE app.later_keyed (id int);
ALTER TABLE app.later_keyed ADD PRIMARY KEY (id);
CREATE TABLE app.renamed_away (id int);
ALTER TABLE app.renamed_away RENAME TO came_back;
CREATE TEMP TABLE passing (id int);
SELECT relname, relreplident FROM pg_class WHERE relname IN ('later', 'later_keyed', 'came_back', 'passing') ORDER BY 1;
SELECT courier.drop_task('t', restore_replica_identity => true);
SELECT relname, relreplident FROM pg_class WHERE relnamespace = 'app'::regnamespace AND relkind = 'r' ORDER BY 1;
CREATE TABLE app.after_all (id int);
SELECT relreplident FROM pg_class WHERE relname = 'after_all';
RESET ROLE;

-- Accounts and settings are text to read.
SELECT s AS account_sql FROM courier.account_sql('source', 'My "User"') s;
SELECT courier.account_sql('destination', 'copier');
SELECT courier.account_sql('standby', 'replica');
SELECT courier.account_sql('dr', 'rescue');
SELECT courier.account_sql('monitor', 'watcher');
SELECT courier.account_sql('king', 'arthur');
SELECT courier.account_sql('source', '');
SELECT courier.account_sql('source', E'x\n\\! id');
SELECT item, status, fix FROM courier.check_account('regress_owner', 'source');
SELECT item, status, fix FROM courier.check_account('regress_outsider', 'dr');
SELECT item, status, fix FROM courier.check_account('nobody_yet', 'standby');
SELECT count(*) AS traces FROM pg_roles WHERE rolname LIKE 'courier_probe%';
SELECT l FROM courier.hba_lines('My User', '10.0.0.5') l WHERE l LIKE 'host%';
SELECT l FROM courier.hba_lines('copier', '0.0.0.0/0') l LIMIT 1;
SELECT l FROM courier.hba_lines('rescue', '10.0.0.5', 'dr') l WHERE l LIKE 'host%';
SELECT courier.hba_lines('copier', 'next door');
SELECT courier.hba_lines('', '10.0.0.0/8');
SELECT courier.hba_lines('mover', '10.0.0.0/8', 'source');
SELECT courier.hba_lines(E'evil\nhost all all all trust', '10.0.0.0/8');
SELECT name, needed, statement, takes_effect FROM courier.source_settings(3) WHERE name <> 'max_worker_processes';

-- Health: every check of an idle server is fine, apart from what this machine's disks say.
SELECT item, status, task FROM courier.health() WHERE item NOT LIKE 'disk%' ORDER BY 1;
SELECT courier.threshold('no_such_threshold');
SELECT slot_name FROM pg_create_physical_replication_slot('standby', true);
SELECT slot_name, owner_kind, active, retained_bytes >= 0 AS keeps FROM courier.slots;
SELECT slot_name, owner_kind, result FROM courier.drop_orphaned_slots();
SELECT slot_name, owner_kind, result FROM courier.drop_orphaned_slots(named => ARRAY['standby']);
SELECT slot_name, owner_kind, result FROM courier.drop_orphaned_slots(dry_run => false, named => ARRAY['standby']);
SELECT count(*) FROM pg_replication_slots;
SELECT kind, task, message FROM courier.events WHERE kind = 'slot';
SELECT kind, task, message FROM courier.events WHERE task = 't';

-- A prepared alert: a low threshold raises it, health_check records each change once, and clears it.
SET courier.disk_free_warning = 100;
SET courier.disk_free_critical = 0;
SELECT courier.health_check();
SELECT courier.health_check();
SELECT item, status, cleared_at IS NULL AS open FROM courier.alerts WHERE item = 'disk_wal';
SET courier.disk_free_critical = 100;
SELECT courier.health_check();
SELECT item, status, cleared_at IS NULL AS open FROM courier.alerts WHERE item = 'disk_wal';
SET courier.disk_free_warning = 0;
SET courier.disk_free_critical = 0;
SELECT courier.health_check();
SELECT item, status, cleared_at IS NULL AS open FROM courier.alerts WHERE item = 'disk_wal';

-- A role that may use the extension sees its own; what concerns the server is for pg_monitor.
SET ROLE regress_owner;
SELECT item, status FROM courier.health();
SELECT count(*) FROM courier.alerts;
SELECT kind FROM courier.events ORDER BY at;
SELECT count(*) FROM courier.heartbeat;
SELECT count(*) FROM courier.alert;
SELECT courier.guard_task(1);
SELECT * FROM courier.drop_orphaned_slots();
SELECT courier.record_alerts('[]');
SELECT * FROM courier.check_account('regress_owner', 'source');
RESET ROLE;

-- An outsider sees nothing and may do nothing.
SET ROLE regress_outsider;
SELECT * FROM courier.precheck('t');
SELECT * FROM courier.health();
SELECT courier.health_check();
SELECT * FROM courier.slots;
SELECT * FROM courier.alerts;
RESET ROLE;

-- The history is bounded, and event triggers do no harm where there is no task.
SELECT count(*) FROM courier.events WHERE message IS NULL;
DROP OWNED BY regress_owner CASCADE;
DROP ROLE regress_owner, regress_outsider;
