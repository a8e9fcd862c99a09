-- What 0.2.0 changes in the tables of 0.1.0 (sql/tables.sql). Functions and views are made anew around it.
DROP TABLE courier.user_object;
ALTER TABLE courier.task_table ADD COLUMN destination_relid oid;
-- What is not to be copied is complete as it is.
UPDATE courier.task_table SET state = 'ready' FROM courier.task t
 WHERE t.id = task_id AND NOT t.full_copy AND task_table.state = 'init';
