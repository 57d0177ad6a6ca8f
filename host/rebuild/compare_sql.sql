-- Statements of compare_sql.h, and parts of them. A word in braces is explained in compare_sql.c.
-- The names that they give are in capitals, as no declared column is: it would be read instead.

-- name: candidates
CREATE UNLOGGED TABLE {shadow}."candidates_{name}" AS {compared}

-- name: all
CREATE UNLOGGED TABLE {differences} AS {compared}

-- name: compared
WITH joined AS (
  SELECT "L", "S" FROM {live}.{table} "L" FULL JOIN {shadow}.{table} "S" USING ({keys})),
{found}

-- The candidates, and rows that either side has written since.
-- name: recent
CREATE UNLOGGED TABLE {differences} AS
WITH joined AS (
  SELECT "L", "S"
  FROM (
    SELECT {keys} FROM {shadow}."candidates_{name}"
    UNION SELECT {keys} FROM {live}.{table} WHERE age(xmin) <= age(xid '{since}')
    UNION SELECT {keys} FROM {shadow}.{table} WHERE age(xmin) <= age(xid '{since}')) "K"
  LEFT JOIN {live}.{table} "L" USING ({keys})
  LEFT JOIN {shadow}.{table} "S" USING ({keys})),
{found}

-- One row a key: L, the declared columns as wanted, IN_LIVE, WANTED, KEPT.
-- name: wanted
kept AS (SELECT "L", "S"{keeps} FROM joined),
wanted AS (
  SELECT "L", ("L").{key} IS NOT NULL AS "IN_LIVE",
    ("S").{key} IS NOT NULL OR {lives_on} AS "WANTED",
    (false{kept}) AS "KEPT"{wanted_keys}{wanted_values}
  FROM kept)

-- name: found
{wanted}
SELECT *
FROM (
  SELECT {columns},
    CASE WHEN NOT "WANTED" THEN 'extra' WHEN NOT "IN_LIVE" THEN 'missing' ELSE 'differing' END
      AS "KIND", "IN_LIVE", "WANTED", array_remove(ARRAY[NULL::text{differing}], NULL) AS "COLUMNS",
    to_jsonb("L") AS "LIVE"
  FROM wanted) "D"
WHERE "IN_LIVE" <> "WANTED" OR "IN_LIVE" AND cardinality("COLUMNS") > 0

-- name: kept
WITH joined AS (
  SELECT "L", "S" FROM {live}.{table} "L" FULL JOIN {shadow}.{table} "S" USING ({keys})),
{wanted}
SELECT count(*) OVER (), {key_text} FROM wanted "D" WHERE "KEPT" ORDER BY {d.keys} LIMIT $1::int8

-- name: outside
SELECT count(*) OVER (), {key_text}, string_agg("FROM", '; ' ORDER BY "FROM")
FROM (
  SELECT {keys}, NULL AS "FROM" FROM {live}.{table} WHERE false{outside_rows}) "D"
GROUP BY {d.keys}
ORDER BY {d.keys} LIMIT $1::int8

-- name: written_outside
SELECT DISTINCT ON ({l.keys}) {l.keys},
  concat('{group}: ', "O".topic, '/', "O".partition, '/', "O"."offset", ', ', "O".handler,
    ' depends on ', "O".rests_on) AS "FROM"
FROM {live}.{table} "L" LEFT JOIN {shadow}.{table} "S" USING ({keys})
JOIN {shadow}.outside_events "O" ON "O".event_id = ("L").{event_id} AND "O".at = ("L").{at}
WHERE {wins}

-- name: kept_extreme
SELECT {l.keys}, '{group}: the {rule} is not in the log'
FROM {live}.{table} "L" LEFT JOIN {shadow}.{table} "S" USING ({keys})
WHERE {wins}

-- Whether the live group (of L) wins over the shadow's (of S) by the declared rule.
-- name: version_wins
(("S").{at} IS NULL OR (("L").{at}, ("L").{event_id}) {sign} (("S").{at}, ("S").{event_id}))

-- name: value_wins
(("L").{value} IS NOT NULL AND (("S").{value} IS NULL OR ("L").{value} {sign} ("S").{value}))

-- An item that the limit leaves out is no reason to keep the row, as after a lower limit.
-- name: set_wins
(("L").{value} IS NOT NULL AND (("S").{value} IS NULL OR NOT ("L").{value} <@ ("S").{value} AND
  NOT {union} <@ ("S").{value}))

-- Whether the live group's event cannot be derived again: it is lost, or asked another system.
-- name: lost
 OR ("L").{at} < timestamptz {lost_before}

-- name: asked
 OR EXISTS (SELECT FROM {shadow}.outside_events "O"
   WHERE "O".event_id = ("L").{event_id} AND "O".at = ("L").{at})

-- name: counts
SELECT "KIND", count(*) FROM {differences} GROUP BY 1 ORDER BY 1

-- name: report
SELECT "KIND", {key_text}, "C", "LIVE" ->> "C", to_jsonb("D") ->> "C"
FROM (SELECT * FROM {differences} ORDER BY {keys} LIMIT $1::int8) "D"
LEFT JOIN LATERAL unnest("COLUMNS") WITH ORDINALITY AS "U" ("C", "N")
  ON "KIND" = 'differing' OR "C" = ANY ('{}'::text[]{version_columns})
ORDER BY {d.keys}, "N"

-- name: rows
SELECT "KIND", "COUNT", "KEY"
FROM (
  SELECT "KIND", count(*) OVER (PARTITION BY "KIND") AS "COUNT",
    row_number() OVER (PARTITION BY "KIND" ORDER BY {keys}) AS "PLACE", {key_text} AS "KEY"
  FROM {differences}) "R"
WHERE "PLACE" <= $1::int8
ORDER BY "KIND", "PLACE"

-- Reads values only for the rows that are shown.
-- name: columns
SELECT "C", "COUNT", "KEY", left(("D")."LIVE" ->> "C", 300), left(to_jsonb("D") ->> "C", 300)
FROM (
  SELECT "C", "D", count(*) OVER (PARTITION BY "C") AS "COUNT",
    row_number() OVER (PARTITION BY "C" ORDER BY {keys}) AS "PLACE", {key_text} AS "KEY"
  FROM {differences} "D" CROSS JOIN LATERAL unnest("COLUMNS") AS "U" ("C")
  WHERE "KIND" = 'differing') "R"
WHERE "PLACE" <= $1::int8
ORDER BY "COUNT" DESC, "C", "PLACE"

-- name: ids
SELECT DISTINCT "ID"
FROM {differences} "D" LEFT JOIN {live}.{table} "T" ON {keys_equal}
CROSS JOIN LATERAL unnest(ARRAY[NULL::text{texts}]{lists}) AS "U" ("ID")
WHERE "ID" IS NOT NULL

-- name: delete
DELETE FROM {live}.{table} "T" USING {differences} "D" WHERE "D"."KIND" = 'extra' AND {keys_equal}

-- name: upsert
INSERT INTO {live}.{table} ({columns})
SELECT {columns} FROM {differences} WHERE "KIND" <> 'extra' ORDER BY {keys}
ON CONFLICT ({keys}) DO UPDATE SET {replaced}
