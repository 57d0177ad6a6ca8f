-- Where the database has Citus, citus/lists.sql has what ../list_tags.sql does.
DROP FUNCTION IF EXISTS list_tags(text, text[], timestamptz, text, bigint, bigint);
