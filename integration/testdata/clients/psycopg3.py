"""Inserts, selects, updates, copies and pipelines through the proxy with psycopg 3."""
import sys
import psycopg

with psycopg.connect(sys.argv[1]) as conn:
    for prepare in (False, True):
        conn.execute("INSERT INTO users (id, ssn, name, num, dob) VALUES (%s, %s, %s, %s, %s)",
                     (500, "canary-psy-1", "canaryPsy", 42424211, "1987-06-11"), prepare=prepare)
        row = conn.execute("SELECT id, ssn, name, num, dob FROM users WHERE ssn = %s", ("canary-psy-1",), prepare=prepare).fetchone()
        assert row[:4] == (500, "canary-psy-1", "canaryPsy", 42424211) and row[4].isoformat() == "1987-06-11", row
        conn.execute("UPDATE users SET ssn = %s WHERE ssn = %s", ("canary-psy-2", "canary-psy-1"), prepare=prepare)
        found = conn.execute("SELECT id FROM users WHERE ssn = ANY(%s)", (["canary-psy-2", "x"],), prepare=prepare).fetchall()
        assert found == [(500,)], found
        for binary in (False, True):
            with conn.cursor(binary=binary) as cur:
                assert cur.execute("SELECT ssn, num FROM users WHERE id = 500").fetchone() == ("canary-psy-2", 42424211)
        conn.execute("DELETE FROM users WHERE id = 500")
    with conn.cursor().copy("COPY users (id, ssn, num) FROM STDIN") as copy:
        for i in range(100):
            copy.write_row((600 + i, f"canary-copy-{i}", 42424000 + i))
    with conn.cursor().copy("COPY users (id, ssn, num) FROM STDIN (FORMAT binary)") as copy:
        copy.set_types(["int4", "text", "int4"])
        copy.write_row((700, "canary-binary", 42424700))
    with conn.cursor().copy("COPY (SELECT id, ssn, num FROM users WHERE id >= 600 ORDER BY id) TO STDOUT") as copy:
        rows = list(copy.rows())
    assert len(rows) == 101 and rows[5] == ("605", "canary-copy-5", "42424005"), rows[:6]
    conn.rollback()
    if psycopg.Pipeline.is_supported():
        with conn.pipeline():
            a = conn.execute("SELECT ssn FROM users WHERE id = 1")
            b = conn.execute("SELECT name FROM users WHERE ssn = %s", ("canary-ssn-2",))
            conn.execute("INSERT INTO users (id, ssn) VALUES (%s, %s)", (501, "canary-pipe"))
            assert a.fetchone() == ("canary-ssn-1",) and b.fetchone() == ("canaryBob",)
    conn.rollback()
    with conn.cursor("c") as cur:
        cur.execute("SELECT id, ssn FROM users ORDER BY id")
        assert cur.fetchmany(2) == [(1, "canary-ssn-1"), (2, "canary-ssn-2")]
    try:
        conn.execute("SELECT upper(ssn) FROM users")
        raise SystemExit("not refused")
    except psycopg.errors.FeatureNotSupported as e:
        assert "ssn" in str(e)
    conn.rollback()
    assert conn.execute("SELECT 1").fetchone() == (1,)
print("ok")
