-- What a cached list of a user's batches depends on: an event that changes the list touches one of
-- these ids. Registrations touch the user; every other event touches the batch or the essays that it
-- names, and a rebuild all texts of the rows that it changes.

-- With a filter the list depends on the status of each of the user's batches: on its essays while no
-- outcome and no completion decides it. NULL: these are too many to name.
CREATE OR REPLACE FUNCTION list_tags(
  wanted_user text, statuses text[], after_at timestamptz, after_batch text,
  page_limit bigint, page_offset bigint
) RETURNS text[] LANGUAGE plpgsql STABLE AS $$
DECLARE
  most constant integer := 1000;
  mine text[];
  shown text[];
BEGIN
  IF statuses IS NOT NULL THEN
    SELECT array_agg(b.batch_id) INTO mine FROM (
      SELECT b.batch_id FROM batch_results b
      WHERE b.user_id = wanted_user AND b.registration_at IS NOT NULL LIMIT most + 1) b;
    IF cardinality(mine) > most THEN
      RETURN NULL;
    END IF;
  END IF;
  SELECT array_agg(p.batch_id) INTO shown
  FROM list_page(wanted_user, statuses, after_at, after_batch, page_limit, page_offset) p;
  IF statuses IS NOT NULL THEN
    SELECT shown || array_agg(b.batch_id) INTO shown FROM batch_results b
    WHERE b.batch_id = ANY (mine) AND b.completion_at IS NULL
      AND NOT EXISTS (SELECT FROM phase_outcomes p WHERE p.batch_id = b.batch_id);
  END IF;
  RETURN (SELECT array_agg(DISTINCT t.id COLLATE "C") FROM (
    SELECT unnest(wanted_user || mine || shown)
    UNION ALL SELECT c.essay_id FROM batch_candidates(shown) c
  ) AS t (id));
END
$$;

-- A page with its tags. The tags are read after it, by a snapshot of their own: what is committed in
-- between touches one of those of either moment. `migrate` puts pg_temp last in the path.
CREATE OR REPLACE FUNCTION tagged_list(
  wanted_user text, statuses text[], after_at timestamptz, after_batch text,
  page_limit bigint, page_offset bigint, OUT body text, OUT tags text[]
) LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
  body := list_batches(wanted_user, statuses, after_at, after_batch, page_limit, page_offset);
  IF body IS NOT NULL AND NOT current_setting('transaction_read_only')::boolean THEN
    tags := list_tags(wanted_user, statuses, after_at, after_batch, page_limit, page_offset);
  END IF;
END
$$;
