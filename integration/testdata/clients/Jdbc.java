import java.io.StringReader;
import java.io.StringWriter;
import java.sql.Array;
import java.sql.Connection;
import java.sql.Date;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import org.postgresql.PGConnection;

/** Inserts, selects, updates, batches and copies through the proxy with JDBC, which prepares on the server after five runs. */
public class Jdbc {
    static void check(boolean ok, Object what) {
        if (!ok) throw new IllegalStateException(String.valueOf(what));
    }

    public static void main(String[] args) throws Exception {
        try (Connection conn = DriverManager.getConnection(args[0])) {
            conn.setAutoCommit(false);
            try (PreparedStatement insert = conn.prepareStatement("INSERT INTO users (id, ssn, num, dob) VALUES (?, ?, ?, ?)");
                 PreparedStatement select = conn.prepareStatement("SELECT id, ssn, num, dob FROM users WHERE ssn = ?")) {
                for (int i = 0; i < 12; i++) { // from text to binary results, and to named statements
                    insert.setInt(1, 500 + i);
                    insert.setString(2, "canary-jdbc-" + i);
                    insert.setInt(3, 42424200 + i);
                    insert.setDate(4, Date.valueOf("1987-06-11"));
                    check(insert.executeUpdate() == 1, "insert");
                    select.setString(1, "canary-jdbc-" + i);
                    try (ResultSet rs = select.executeQuery()) {
                        check(rs.next(), "no row " + i);
                        check(rs.getInt(1) == 500 + i && rs.getString(2).equals("canary-jdbc-" + i) && rs.getInt(3) == 42424200 + i, rs.getString(2));
                        check(rs.getDate(4).toString().equals("1987-06-11"), rs.getDate(4));
                        check(rs.getMetaData().getColumnTypeName(2).equals("text"), rs.getMetaData().getColumnTypeName(2));
                    }
                }
            }
            try (PreparedStatement batch = conn.prepareStatement("UPDATE users SET ssn = ? WHERE id = ?")) {
                for (int i = 0; i < 12; i++) {
                    batch.setString(1, "canary-batch-" + i);
                    batch.setInt(2, 500 + i);
                    batch.addBatch();
                }
                check(batch.executeBatch().length == 12, "batch");
            }
            try (PreparedStatement any = conn.prepareStatement("SELECT count(*) FROM users WHERE ssn = ANY(?)")) {
                Array list = conn.createArrayOf("text", new String[] {"canary-batch-1", "canary-batch-2", "x"});
                any.setArray(1, list);
                try (ResultSet rs = any.executeQuery()) {
                    rs.next();
                    check(rs.getInt(1) == 2, rs.getInt(1));
                }
            }
            try (Statement fetch = conn.createStatement()) { // a portal that is fetched in pieces
                fetch.setFetchSize(5);
                int n = 0;
                try (ResultSet rs = fetch.executeQuery("SELECT ssn FROM users WHERE id >= 500")) {
                    while (rs.next()) {
                        check(rs.getString(1).startsWith("canary-batch-"), rs.getString(1));
                        n++;
                    }
                }
                check(n == 12, n);
            }
            PGConnection pg = conn.unwrap(PGConnection.class);
            pg.getCopyAPI().copyIn("COPY users (id, ssn) FROM STDIN", new StringReader("600\tcanary-copy\n"));
            StringWriter out = new StringWriter();
            pg.getCopyAPI().copyOut("COPY (SELECT id, ssn FROM users WHERE id = 600) TO STDOUT", out);
            check(out.toString().equals("600\tcanary-copy\n"), out);
            conn.rollback();
            try (Statement refused = conn.createStatement()) {
                refused.executeQuery("SELECT upper(ssn) FROM users");
                check(false, "not refused");
            } catch (SQLException e) {
                check(e.getSQLState().equals("0A000") && e.getMessage().contains("ssn"), e);
            }
            conn.rollback();
        }
        System.out.println("ok");
    }
}
