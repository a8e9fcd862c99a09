-- The wrapper's options: where the destination is, and who logs in there.
CREATE EXTENSION pg_courier;
CREATE SERVER dr FOREIGN DATA WRAPPER pg_courier OPTIONS (host '127.0.0.1', port '5433', dbname 'shop');
CREATE SERVER more FOREIGN DATA WRAPPER pg_courier OPTIONS (service 's', sslmode 'verify-full', sslrootcert '/ca', connect_timeout '5', target_session_attrs 'read-write');
CREATE USER MAPPING FOR CURRENT_USER SERVER dr OPTIONS (user 'courier', password 'secret');

-- Mistakes.
CREATE SERVER bad FOREIGN DATA WRAPPER pg_courier OPTIONS (hosst 'nowhere');
CREATE SERVER bad FOREIGN DATA WRAPPER pg_courier OPTIONS (host 'h', password 'secret');
CREATE SERVER bad FOREIGN DATA WRAPPER pg_courier OPTIONS (host 'h', user 'u');
CREATE SERVER bad FOREIGN DATA WRAPPER pg_courier OPTIONS (host 'h', replication 'database');
ALTER SERVER dr OPTIONS (SET port 'many');
CREATE SERVER bad FOREIGN DATA WRAPPER pg_courier OPTIONS (host 'h', sslmode 'bogus');
CREATE SERVER bad FOREIGN DATA WRAPPER pg_courier OPTIONS (hostaddr 'localhost');
CREATE SERVER bad FOREIGN DATA WRAPPER pg_courier OPTIONS (host 'h', connect_timeout '5 s');
CREATE SERVER bad FOREIGN DATA WRAPPER pg_courier OPTIONS (host 'h', gssencmode 'require');
CREATE SERVER bad FOREIGN DATA WRAPPER pg_courier OPTIONS (host 'h', require_auth 'scram');
CREATE SERVER bad FOREIGN DATA WRAPPER pg_courier OPTIONS (host 'h', oauth_issuer 'https://login');
CREATE USER MAPPING FOR PUBLIC SERVER dr OPTIONS (user 'u', host 'h');
CREATE USER MAPPING FOR PUBLIC SERVER dr OPTIONS (usr 'u');
CREATE FOREIGN TABLE t (a int) SERVER dr;
SELECT * FROM t;
