-- What the schema generator makes for a list of tables, for people who want to read or run it by hand. The generator itself is in the library
-- (`src/schema`); the catalogs are asked with sql/query/schema.

CREATE FUNCTION courier.schema_ddl(
    relations oid[], with_grants boolean DEFAULT false, sequences oid[] DEFAULT '{}', available_class oid[] DEFAULT '{}',
    available_object oid[] DEFAULT '{}'
)
RETURNS TABLE (section text, ordinal integer, kind text, object text, statement text, present_sql text, differs_sql text)
LANGUAGE c STABLE
AS 'MODULE_PATHNAME', 'schema_ddl_wrapper';
COMMENT ON FUNCTION courier.schema_ddl(oid[], boolean, oid[], oid[], oid[]) IS
'Statements that create the given tables, and the schemas, types, sequences and extensions they need, on an empty database: run in order of ordinal, pre-data before the rows and post-data after them. with_grants adds the privileges of other roles, sequences names sequences that are created with the tables; available_class and available_object name what the destination has of what is not created (functions, operators, views), by catalog and oid. present_sql is a query for the destination that is true when the statement is not needed there (any more); differs_sql, where it is not null, is one that answers null, or says how what has that name there differs. Oids that are neither a table nor a view of a user are ignored; what is left out is listed by courier.schema_omissions(). Errors: 22004 an argument is null, 22023 available_class and available_object are not of one length.';

CREATE FUNCTION courier.schema_omissions(
    relations oid[], sequences oid[] DEFAULT '{}', available_class oid[] DEFAULT '{}', available_object oid[] DEFAULT '{}'
)
RETURNS TABLE (kind text, object text, relid oid, reason text)
LANGUAGE c STABLE
AS 'MODULE_PATHNAME', 'schema_omissions_wrapper';
COMMENT ON FUNCTION courier.schema_omissions(oid[], oid[], oid[], oid[]) IS
'What belongs to the given tables and is not created by courier.schema_ddl(), and why. A reason that starts with "cannot" means that a statement of schema_ddl() will fail: do not start with this selection. Errors: as of courier.schema_ddl().';
