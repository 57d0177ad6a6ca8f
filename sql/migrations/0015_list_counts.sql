-- Lists of users with many batches, cheaper: how many batches a user has by status is kept, and a page
-- with a filter reads its own batches in their order. What is kept stays, and processes of the release
-- before go on to use it.

DROP INDEX batch_lists_of_user;
DROP INDEX batch_lists_by_hash;
CREATE INDEX batch_lists_of_user ON batch_lists (user_id, status, registered_at DESC, batch_id);

-- Users all of whose registered batches are in batch_lists.
CREATE UNLOGGED TABLE list_users (
  user_id text PRIMARY KEY,
  epoch integer NOT NULL,
  is_derived boolean NOT NULL, -- no batch lacks its status
  counts jsonb NOT NULL -- how many batches have each status
);
