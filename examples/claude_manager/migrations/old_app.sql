-- What the version before 2.0.0 asks; it must go on working until the contract.
SELECT name FROM people WHERE visitor = 'somebody';
INSERT INTO people (visitor, name) VALUES ('old_app', 'asked by the check')
ON CONFLICT (visitor) DO UPDATE SET name = excluded.name, visits = people.visits + 1;
