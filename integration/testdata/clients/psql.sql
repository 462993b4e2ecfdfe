\set ON_ERROR_STOP on
BEGIN;
INSERT INTO users (id, ssn, name) VALUES (500, 'canary-psql-1', 'canaryPsql');
SELECT id, ssn, name FROM users WHERE ssn = 'canary-psql-1';
UPDATE users SET ssn = 'canary-psql-2' WHERE ssn = 'canary-psql-1';
SELECT id FROM users WHERE ssn IN ('canary-psql-2', 'x') \gdesc
SELECT ssn, dob FROM users WHERE id = 500 \gx
\copy users (id, ssn) from pstdin
510	canary-copied
\.
\copy (select id, ssn from users where id >= 500 order by id) to pstdout
PREPARE find (text) AS SELECT id, ssn FROM users WHERE ssn = $1;
EXECUTE find('canary-psql-2');
DECLARE c CURSOR FOR SELECT id, ssn FROM users WHERE id >= 500 ORDER BY id;
FETCH 1 FROM c;
SELECT num AS n FROM users WHERE id = 1 \gset
SELECT id FROM users WHERE num = :n ORDER BY id;
ROLLBACK;
\set ON_ERROR_STOP off
SELECT upper(ssn) FROM users;
SELECT 1 AS one;
