-- name: missing_indexes
-- Numbers, from 0, of the tables $1 without an index that begins with the column $2.
SELECT w.at - 1
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w (name, indexed, at)
WHERE NOT EXISTS (
  SELECT 1
  FROM pg_index i
  JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
  JOIN pg_class c ON c.oid = i.indexrelid
  JOIN pg_am m ON m.oid = c.relam
  WHERE i.indrelid = to_regclass(quote_ident(w.name)) AND a.attname = w.indexed AND i.indisvalid
    AND i.indpred IS NULL AND m.amname = 'btree')
ORDER BY w.at
