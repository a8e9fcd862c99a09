-- Facts about the source that several questions of a precheck need. $1: the slot's name. $2: who asks. The list of preloaded libraries,
-- as the beginning of a new one, is for those who may read it.
SELECT EXISTS (SELECT FROM pg_catalog.pg_replication_slots r WHERE r.slot_name = $1) AS slot_there,
       courier.wal_rate() AS wal_rate,
       w.free AS wal_free, w.total AS wal_total, d.free AS data_free, d.total AS data_total,
       current_setting('server_version_num')::integer AS source_version,
       b.datcollate, b.datctype,
       CASE WHEN pg_has_role($2::oid, 'pg_read_all_settings', 'USAGE')
            THEN COALESCE((SELECT string_agg(quote_literal(trim(l, ' "')) || ', ', '' ORDER BY n)
                             FROM unnest(string_to_array(current_setting('shared_preload_libraries'), ',')) WITH ORDINALITY AS u(l, n)
                            WHERE trim(l, ' "') <> ''), '') END AS libraries
  FROM courier.disk_space() w, courier.disk_space() d, pg_catalog.pg_database b
 WHERE w.what = 'wal' AND d.what = 'data' AND b.datname = current_database()
