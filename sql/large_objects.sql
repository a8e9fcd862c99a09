-- Large objects, which no stream carries: compared, and copied, when somebody asks for it.

CREATE FUNCTION courier.large_objects(task text)
    RETURNS TABLE(loid oid, state text, source_bytes bigint, destination_bytes bigint, statement text)
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'large_objects_wrapper';
COMMENT ON FUNCTION courier.large_objects(text) IS
'The large objects that are not the same on both sides, compared by hashes of all that they hold; none when all are. state: missing (on the destination), different, privileges (the same, but for its owner or privileges: statement makes them so there; behind the last copy, as the task''s user may not read what belongs to somebody else), not on the source (it stays there: nobody knows whose it is; statement removes it), unreadable (the task''s owner may not read it here, or the task''s user there). Reads all large objects of both databases. Errors: 22004 the task is null, 42704 it does not exist or is not the caller''s, 55000 this server or this destination is not the task''s.';

CREATE FUNCTION courier.copy_some_large_objects(
    task text, behind oid, OUT last oid, OUT sent bigint, OUT bytes bigint, OUT remaining bigint
) RETURNS SETOF record
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'copy_some_large_objects_wrapper';
COMMENT ON FUNCTION courier.copy_some_large_objects(text, oid) IS
'Internal: a round of courier.copy_large_objects(): those behind an oid, one transaction on the destination. last is null when none was left.';

CREATE FUNCTION courier.tell_of_large_objects(task text, sent bigint, bytes bigint, remaining bigint) RETURNS void
    LANGUAGE c VOLATILE
    AS 'MODULE_PATHNAME', 'tell_of_large_objects_wrapper';
COMMENT ON FUNCTION courier.tell_of_large_objects(text, bigint, bigint, bigint) IS
'Internal: writes down in courier.events what courier.copy_large_objects() has come to.';

CREATE PROCEDURE courier.copy_large_objects(task text)
    LANGUAGE plpgsql
    AS $$
-- No SET clause: a procedure that commits must not have one. A search_path that is set ends with each transaction. So everything
-- here is qualified, types and operators too: what is not runs what the caller's search_path finds, with the caller's rights.
DECLARE
    round pg_catalog.record;
    behind pg_catalog.oid := 0;
    sent pg_catalog.int8 := 0;
    bytes pg_catalog.int8 := 0;
    remaining pg_catalog.int8 := 0;
BEGIN
    -- Within a transaction it could not commit: it says so before anything is done.
    COMMIT;
    LOOP
        PERFORM pg_catalog.set_config('search_path', 'pg_catalog, pg_temp', true);
        SELECT r.* INTO round FROM courier.copy_some_large_objects(task, behind) r;
        EXIT WHEN round.last IS NULL;
        behind := round.last;
        sent := sent OPERATOR(pg_catalog.+) round.sent;
        bytes := bytes OPERATOR(pg_catalog.+) round.bytes;
        remaining := remaining OPERATOR(pg_catalog.+) round.remaining;
        -- Nothing of the source is held longer than a round takes.
        COMMIT;
    END LOOP;
    PERFORM courier.tell_of_large_objects(task, sent, bytes, remaining);
    COMMIT;
    RAISE NOTICE '% large objects copied, % kB', sent, bytes OPERATOR(pg_catalog./) 1024;
    IF remaining OPERATOR(pg_catalog.>) 0 THEN
        RAISE WARNING '% large objects are not the same there', remaining
            USING HINT = pg_catalog.format('SELECT * FROM courier.large_objects(%L);', task);
    END IF;
END
$$;
COMMENT ON PROCEDURE courier.copy_large_objects(text) IS
'Copies the large objects of the database under their oids, with privileges, and with owners as far as the task''s user may give them: those that are not the same on the destination. No stream carries what is written into them later: call it again, the last time when nobody writes on the source any more. What is only on the destination stays there. Up to 64 MB, or one large object, are one transaction; what is interrupted goes on with the next call. An object that is written at the same time is as it was at one moment. Errors: those of courier.large_objects(), 2D000 the call is part of a transaction. One that the destination''s user may not write is left, and counted.';
