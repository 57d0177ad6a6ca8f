-- One page of a user's batches, newest first.
WITH mine AS (
  SELECT b.batch_id, b.registration_at
  FROM batch_results b
  WHERE b.user_id = :user_id::text AND b.registration_at IS NOT NULL
    AND (:statuses::text[] IS NULL
      OR (SELECT a.result_status::text FROM batch_answer(b.batch_id) a) = ANY (:statuses::text[]))
),
page AS (
  SELECT m.batch_id, m.registration_at, a.body
  FROM (
    SELECT * FROM mine
    WHERE :after_batch_id::text IS NULL
      OR registration_at < (:after_created_at::text || 'Z')::timestamptz
      OR (registration_at = (:after_created_at::text || 'Z')::timestamptz
        AND batch_id > :after_batch_id::text)
    ORDER BY registration_at DESC, batch_id
    LIMIT :limit::bigint OFFSET :offset::bigint
  ) m CROSS JOIN LATERAL batch_answer(m.batch_id) a
)
SELECT '{"batches":[' || coalesce(string_agg(body, ',' ORDER BY registration_at DESC, batch_id), '')
  || '],"pagination":{"limit":' || :limit::bigint || ',"offset":' || :offset::bigint
  || ',"total":' || (SELECT count(*) FROM mine)
  || ',"next_cursor":' || coalesce((
    SELECT to_json(wire_time(p.registration_at) || '|' || p.batch_id)::text FROM page p
    WHERE (SELECT count(*) FROM page) = :limit::bigint
    ORDER BY p.registration_at, p.batch_id DESC LIMIT 1), 'null')
  || '}}' AS body
FROM page
