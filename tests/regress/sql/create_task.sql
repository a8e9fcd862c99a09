-- Tasks are made and refused; nothing here needs the destination to be there.
CREATE EXTENSION pg_courier;
CREATE SERVER dr FOREIGN DATA WRAPPER pg_courier OPTIONS (host '127.0.0.1', port '1', dbname 'shop');
CREATE USER MAPPING FOR CURRENT_USER SERVER dr OPTIONS (user 'courier', password 'secret');
CREATE SERVER unmapped FOREIGN DATA WRAPPER pg_courier OPTIONS (host '127.0.0.1', port '1', dbname 'shop');
CREATE FOREIGN DATA WRAPPER other;
CREATE SERVER stranger FOREIGN DATA WRAPPER other;
CREATE TABLE orders (id int PRIMARY KEY);
CREATE TABLE "Odd-Name" (id int PRIMARY KEY);
CREATE VIEW orders_view AS SELECT * FROM orders;

SELECT courier.create_task('t', server => 'nowhere', include => ARRAY['public.*']);
SELECT courier.create_task('t', server => 'stranger', include => ARRAY['public.*']);
SELECT courier.create_task('t', server => 'unmapped', include => ARRAY['public.*']);
SELECT courier.create_task('', server => 'dr', include => ARRAY['public.*']);
SELECT courier.create_task(repeat('x', 41), server => 'dr', include => ARRAY['public.*']);
SELECT courier.create_task('t', server => 'dr', include => ARRAY['']);
SELECT courier.create_task('t', server => 'dr', include => ARRAY['a.b.c']);
SELECT courier.create_task('t', server => 'dr', include => ARRAY[]::text[]);
SELECT courier.create_task('t', server => 'dr', include => ARRAY[NULL]);
SELECT courier.create_task('t', server => 'dr', include => NULL);
SELECT courier.create_task(NULL, server => 'dr', include => ARRAY['public.*']);
SELECT courier.create_task('t', server => 'dr', include => ARRAY['public.nothing*']);
SELECT courier.create_task('t', server => 'dr', include => ARRAY['public.orders_view']);
SELECT courier.create_task('t', server => 'dr', include => ARRAY['public.*'], exclude => ARRAY['*.*']);
SELECT courier.create_task('t', server => 'dr', include => ARRAY['public.*'], schema_sync => false, full_copy => false, incremental => false);
-- A name without a schema is a table of schema public.
SELECT courier.create_task('by_name', server => 'dr', include => ARRAY['orders']);
SELECT courier.drop_task('by_name');

SELECT courier.create_task('t', server => 'dr', include => ARRAY['public.*', 'public.o*'], exclude => ARRAY['public.tmp_*']);
SELECT courier.create_task('t', server => 'dr', include => ARRAY['public.*']);
SELECT task, server, state FROM courier.tasks;

SELECT courier.resume('t');
SELECT courier.start('ghost');
SELECT courier.pause('ghost');
SELECT courier.resume('ghost');
SELECT courier.drop_task('ghost');
SELECT courier.wait_for('ghost');
SELECT * FROM courier.verify('ghost');
SELECT * FROM courier.plan('ghost');
SELECT * FROM courier.test_connection('ghost');

-- The extension cannot go while there are tasks.
DROP EXTENSION pg_courier CASCADE;
SELECT courier.drop_task('t');
SELECT count(*) FROM courier.tasks;
