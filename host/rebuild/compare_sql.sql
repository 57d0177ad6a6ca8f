-- Statements of compare_sql.h, and parts of them. A word in braces is explained in compare_sql.c.

-- name: candidates
CREATE UNLOGGED TABLE {shadow}."candidates_{name}" AS {compared}

-- name: all
CREATE UNLOGGED TABLE {differences} AS {compared}

-- name: compared
WITH joined AS (SELECT l, s FROM {live}.{table} l FULL JOIN {shadow}.{table} s USING ({keys})),
{found}

-- The candidates, and rows that either side has written since.
-- name: recent
CREATE UNLOGGED TABLE {differences} AS
WITH joined AS (
  SELECT l, s
  FROM (
    SELECT {keys} FROM {shadow}."candidates_{name}"
    UNION SELECT {keys} FROM {live}.{table} WHERE age(xmin) <= age(xid '{since}')
    UNION SELECT {keys} FROM {shadow}.{table} WHERE age(xmin) <= age(xid '{since}')) k
  LEFT JOIN {live}.{table} l USING ({keys})
  LEFT JOIN {shadow}.{table} s USING ({keys})),
{found}

-- One row a key: l, the declared columns as wanted, IN_LIVE, WANTED, KEPT.
-- name: wanted
kept AS (SELECT l, s{keeps} FROM joined),
wanted AS (
  SELECT l, (l).{key} IS NOT NULL AS "IN_LIVE", (s).{key} IS NOT NULL OR {lives_on} AS "WANTED",
    (false{kept}) AS "KEPT"{wanted_keys}{wanted_values}
  FROM kept)

-- name: found
{wanted}
SELECT *
FROM (
  SELECT {columns},
    CASE WHEN NOT "WANTED" THEN 'extra' WHEN NOT "IN_LIVE" THEN 'missing' ELSE 'differing' END
      AS "KIND", "IN_LIVE", "WANTED", array_remove(ARRAY[NULL::text{differing}], NULL) AS "COLUMNS",
    to_jsonb(l) AS "LIVE"
  FROM wanted) d
WHERE "IN_LIVE" <> "WANTED" OR "IN_LIVE" AND cardinality("COLUMNS") > 0

-- name: kept
WITH joined AS (SELECT l, s FROM {live}.{table} l FULL JOIN {shadow}.{table} s USING ({keys})),
{wanted}
SELECT count(*) OVER (), {key_text} FROM wanted WHERE "KEPT" ORDER BY {keys} LIMIT $1::int8

-- name: outside
SELECT count(*) OVER (), {key_text}, string_agg("FROM", '; ' ORDER BY "FROM")
FROM (
  SELECT {keys}, NULL AS "FROM" FROM {live}.{table} WHERE false{outside_rows}) w
GROUP BY {keys}
ORDER BY {keys} LIMIT $1::int8

-- name: written_outside
SELECT DISTINCT ON ({l.keys}) {l.keys},
  concat('{group}: ', o.topic, '/', o.partition, '/', o."offset", ', ', o.handler, ' depends on ',
    o.rests_on) AS "FROM"
FROM {live}.{table} l LEFT JOIN {shadow}.{table} s USING ({keys})
JOIN {shadow}.outside_events o ON o.event_id = (l).{event_id} AND o.at = (l).{at}
WHERE {wins}

-- name: kept_extreme
SELECT {l.keys}, '{group}: the {rule} is not in the log'
FROM {live}.{table} l LEFT JOIN {shadow}.{table} s USING ({keys})
WHERE {wins}

-- Whether the live group (of l) wins over the shadow's (of s) by the declared rule.
-- name: version_wins
((s).{at} IS NULL OR ((l).{at}, (l).{event_id}) {sign} ((s).{at}, (s).{event_id}))

-- name: value_wins
((l).{value} IS NOT NULL AND ((s).{value} IS NULL OR (l).{value} {sign} (s).{value}))

-- An item that the limit leaves out is no reason to keep the row, as after a lower limit.
-- name: set_wins
((l).{value} IS NOT NULL AND ((s).{value} IS NULL OR NOT (l).{value} <@ (s).{value} AND
  NOT {union} <@ (s).{value}))

-- Whether the live group's event cannot be derived again: it is lost, or asked another system.
-- name: lost
 OR (l).{at} < timestamptz {lost_before}

-- name: asked
 OR EXISTS (SELECT FROM {shadow}.outside_events o
   WHERE o.event_id = (l).{event_id} AND o.at = (l).{at})

-- name: counts
SELECT "KIND", count(*) FROM {differences} GROUP BY 1 ORDER BY 1

-- name: report
SELECT "KIND", {key_text}, c, "LIVE" ->> c, to_jsonb(d) ->> c
FROM (SELECT * FROM {differences} ORDER BY {keys} LIMIT $1::int8) d
LEFT JOIN LATERAL unnest("COLUMNS") WITH ORDINALITY AS u (c, n)
  ON "KIND" = 'differing' OR c = ANY ('{}'::text[]{version_columns})
ORDER BY {d.keys}, n

-- name: rows
SELECT "KIND", "COUNT", "KEY"
FROM (
  SELECT "KIND", count(*) OVER (PARTITION BY "KIND") AS "COUNT",
    row_number() OVER (PARTITION BY "KIND" ORDER BY {keys}) AS "PLACE", {key_text} AS "KEY"
  FROM {differences}) d
WHERE "PLACE" <= $1::int8
ORDER BY "KIND", "PLACE"

-- Reads values only for the rows that are shown.
-- name: columns
SELECT "C", "COUNT", "KEY", left(("D")."LIVE" ->> "C", 300), left(to_jsonb("D") ->> "C", 300)
FROM (
  SELECT "C", "D", count(*) OVER (PARTITION BY "C") AS "COUNT",
    row_number() OVER (PARTITION BY "C" ORDER BY {keys}) AS "PLACE", {key_text} AS "KEY"
  FROM {differences} "D" CROSS JOIN LATERAL unnest("COLUMNS") AS u ("C")
  WHERE "KIND" = 'differing') x
WHERE "PLACE" <= $1::int8
ORDER BY "COUNT" DESC, "C", "PLACE"

-- name: ids
SELECT DISTINCT id
FROM {differences} d LEFT JOIN {live}.{table} t ON {keys_equal}
CROSS JOIN LATERAL unnest(ARRAY[NULL::text{texts}]{lists}) id
WHERE id IS NOT NULL

-- name: delete
DELETE FROM {live}.{table} t USING {differences} d WHERE d."KIND" = 'extra' AND {keys_equal}

-- name: upsert
INSERT INTO {live}.{table} ({columns})
SELECT {columns} FROM {differences} WHERE "KIND" <> 'extra' ORDER BY {keys}
ON CONFLICT ({keys}) DO UPDATE SET {replaced}
