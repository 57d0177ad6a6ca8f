SELECT n, repeat('x', :width::int) AS filler, 100 / (:bad::int - n) AS divided FROM generate_series(1, :count::int) n
