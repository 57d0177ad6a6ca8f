-- name: columns
SELECT attname::text, format_type(atttypid, atttypmod),
  coalesce(CASE WHEN attgenerated <> '' THEN pg_get_expr(adbin, adrelid) END, ''),
  attnotnull AND NOT atthasdef AND attidentity = ''
FROM pg_attribute LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
WHERE attrelid = to_regclass($1::text) AND attnum > 0 AND NOT attisdropped
ORDER BY attnum

-- name: comparable
-- Whether Postgres finds an operator = for the two types, perhaps behind implicit casts;
-- a domain's values are of its base.
WITH castable AS (
  SELECT t.oid AS of, coalesce(nullif(t.typbasetype, 0), t.oid) AS as_type FROM pg_type t
  UNION
  SELECT t.oid, c.casttarget
  FROM pg_type t JOIN pg_cast c ON c.castsource = coalesce(nullif(t.typbasetype, 0), t.oid)
  WHERE c.castcontext = 'i')
SELECT EXISTS (
    SELECT
    FROM pg_operator o
    JOIN castable l ON l.as_type = o.oprleft AND l.of = to_regtype($1::text)
    JOIN castable r ON r.as_type = o.oprright AND r.of = to_regtype($2::text)
    WHERE o.oprname = '=' AND o.oprresult = 'bool'::regtype)

-- name: enums
SELECT typname::text
FROM pg_type
WHERE typtype = 'e' AND pg_type_is_visible(oid)
ORDER BY 1

-- name: unique
-- ON CONFLICT needs a unique index over exactly the key, without a condition.
SELECT 1
FROM pg_index i
WHERE indrelid = to_regclass($1::text) AND indisunique AND indisvalid AND indimmediate
  AND indpred IS NULL
  AND (
    SELECT array_agg(attname::text ORDER BY attname)
    FROM pg_attribute
    WHERE attrelid = indrelid AND attnum = ANY (indkey[0:indnkeyatts - 1]))
    = (SELECT array_agg(k ORDER BY k) FROM unnest($2::text[]) AS k)
