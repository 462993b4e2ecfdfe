"""Inserts, selects, updates and copies through the proxy with psycopg 2, which writes arguments into the text."""
import io
import sys
import psycopg2
import psycopg2.extras

conn = psycopg2.connect(sys.argv[1])
cur = conn.cursor()
cur.execute("INSERT INTO users (id, ssn, name, num, dob) VALUES (%s, %s, %s, %s, %s)", (500, "canary-it's", "canaryPsy", 42424211, "1987-06-11"))
cur.execute("SELECT id, ssn, name, num, dob FROM users WHERE ssn = %s", ("canary-it's",))
row = cur.fetchone()
assert row[:4] == (500, "canary-it's", "canaryPsy", 42424211) and row[4].isoformat() == "1987-06-11", row
cur.execute("UPDATE users SET ssn = %s WHERE ssn IN %s", ("canary-2", ("canary-it's", "x")))
assert cur.rowcount == 1
cur.execute("SELECT id FROM users WHERE ssn = ANY(%s)", (["canary-2"],))
assert cur.fetchall() == [(500,)]
psycopg2.extras.execute_values(cur, "INSERT INTO users (id, ssn) VALUES %s", [(510, "canary-v1"), (511, "canary-v2")])
cur.copy_expert("COPY users (id, ssn) FROM STDIN WITH (FORMAT csv)", io.StringIO('520,"canary, csv"\n521,canary-csv-2\n'))
out = io.StringIO()
cur.copy_expert("COPY (SELECT id, ssn FROM users WHERE id BETWEEN 510 AND 521 ORDER BY id) TO STDOUT WITH (FORMAT csv)", out)
assert out.getvalue() == '510,canary-v1\n511,canary-v2\n520,"canary, csv"\n521,canary-csv-2\n', out.getvalue()
conn.rollback()
try:
    cur.execute("SELECT id FROM users ORDER BY ssn")
    raise SystemExit("not refused")
except psycopg2.errors.FeatureNotSupported as e:
    assert "ssn" in str(e)
conn.rollback()
cur.execute("SELECT ssn FROM users WHERE id = 1")
assert cur.fetchone() == ("canary-ssn-1",)
print("ok")
