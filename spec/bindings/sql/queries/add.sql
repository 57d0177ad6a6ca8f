INSERT INTO things VALUES (:name::text)
