-- One page of a user's batches, newest first; NULL: ask again, there was too much to derive at once.
SELECT list_batches(:user_id::text, :statuses::text[],
  (:after_created_at::text || 'Z')::timestamptz, :after_batch_id::text,
  :limit::bigint, :offset::bigint) AS body
