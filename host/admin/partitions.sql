-- name: partitions
-- Of a group with many partitions one row a topic, with their sums: a page shows no thousands.
WITH own AS (
  SELECT * FROM aggregator_state.consumer_offsets WHERE consumer_group = $1::text
), shape AS (SELECT count(*) > 500 AS by_topic FROM own)
SELECT topic, partition, 1 AS partitions, next_offset, applied, superseded, ignored, duplicate,
  rejected, expired, skipped, scripts, last_time
FROM own, shape
WHERE NOT by_topic
UNION ALL
SELECT topic, NULL, count(*), sum(greatest(next_offset, 0)), sum(applied), sum(superseded),
  sum(ignored), sum(duplicate), sum(rejected), sum(expired), sum(skipped),
  CASE WHEN count(DISTINCT scripts) = 1 THEN min(scripts) END, max(last_time)
FROM own, shape
WHERE by_topic
GROUP BY topic
ORDER BY topic, partition
