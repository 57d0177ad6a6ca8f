SELECT :texts::text[] AS texts, :bigs::int8[] AS bigs, :booleans::boolean[] AS booleans,
  :uuids::uuid[] AS uuids, '[0:1]={a,b}'::text[] AS bounds,
  ARRAY[[1, 2], [3, NULL]] AS matrix, ARRAY['\x00ff'::bytea] AS bytes
