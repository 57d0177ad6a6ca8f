-- name: columns
SELECT attname::text, format_type(atttypid, atttypmod),
  coalesce(CASE WHEN attgenerated <> '' THEN pg_get_expr(adbin, adrelid) END, '')
FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid = to_regclass($1::text) AND attnum > 0 AND NOT attisdropped
