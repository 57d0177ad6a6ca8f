-- The current state of each of :keys, for reactions/@name@.
SELECT t.@column@ AS key, count(*)::integer AS count,
  (extract(epoch FROM max(t.@at@)) * 1000000)::bigint AS at_us
FROM @table@ t
WHERE t.@column@ = ANY(:keys::@cast@[])
GROUP BY t.@column@
HAVING max(t.@at@) IS NOT NULL
