-- One page of a user's batches, newest first, with what it depends on. The body is NULL if there was too
-- much to derive at once: ask again. The tags are NULL if they are too many.
SELECT body, tags FROM tagged_list(:user_id::text, :statuses::text[],
  (:after_created_at::text || 'Z')::timestamptz, :after_batch_id::text,
  :limit::bigint, :offset::bigint)
