-- Run on the source after the statements were generated: takes away by hand exactly what the generator leaves out, so that any other
-- difference between the two dumps is a fault. DROP ... CASCADE removes what depends on a function, and nothing else.

SET client_min_messages = warning;

DROP PUBLICATION courier_schema_fixture;
DROP SEQUENCE sales.not_needed;
ALTER DOMAIN left_out.checked DROP DEFAULT;
DROP FUNCTION left_out.double(int) CASCADE;
DROP FUNCTION left_out.same(int, int) CASCADE;
DROP FUNCTION left_out.fire() CASCADE;
ALTER TABLE left_out.inherits_unselected NO INHERIT left_out.not_selected;
DROP TABLE left_out.not_selected CASCADE;

-- Triggers that fire for replicated rows are made so that they do not.
ALTER TABLE sales.all_types ENABLE TRIGGER ts;
ALTER TABLE sales.tree DISABLE TRIGGER no_noise;
