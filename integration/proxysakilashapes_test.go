package integration

// sakilaCalls call sakila's functions.
var sakilaCalls = []shape{
	{sql: "SELECT film_in_stock(1, 1)"},
	{sql: "SELECT * FROM film_in_stock($1, $2)", args: args("1", "2")},
	{sql: "SELECT film_not_in_stock(2, 2)"},
	{sql: "SELECT inventory_id, inventory_in_stock(inventory_id) FROM inventory WHERE film_id = $1", args: args("1")},
	{sql: "SELECT inventory_held_by_customer(9)"},
	{sql: "SELECT get_customer_balance(148, '2006-01-01')"}, // its body calls a function that PostgreSQL does not have
	{sql: "SELECT last_day('2005-02-10')"},
	{sql: "SELECT rental_id, last_day(rental_date) FROM rental WHERE customer_id = 148"},
	{sql: "SELECT group_concat(title) FROM film WHERE film_id < 5"},
	{sql: "SELECT _group_concat($1, $2)", args: args("a", "b")},
	{sql: "SELECT last_updated()"},
	{sql: "SELECT c.customer_id, c.first_name, c.email FROM customer c WHERE c.customer_id IN (SELECT inventory_held_by_customer(i.inventory_id) FROM inventory i WHERE i.film_id < 100)"},
	{sql: "SELECT c.email, last_day(c.create_date::timestamp) FROM customer c WHERE c.customer_id < 4"},
	{sql: "SELECT group_concat(first_name) FROM customer WHERE customer_id < 5"},
	{sql: "SELECT _group_concat(first_name, last_name) FROM customer WHERE customer_id < 5"},
	{sql: "SELECT * FROM rewards_report(5, 20.00)"},
	{sql: "SELECT customer_id FROM rewards_report(5, 20.00)"},
	{sql: "SELECT rewards_report(0, 20.00)"},
}

// rewardees is what rewards_report makes before its last statement; the date is one that has payments.
var rewardees = []string{
	"CREATE TEMPORARY TABLE tmpCustomer (customer_id INTEGER NOT NULL PRIMARY KEY) ON COMMIT DROP",
	`INSERT INTO tmpCustomer (customer_id) SELECT p.customer_id FROM payment AS p
		WHERE DATE(p.payment_date) BETWEEN '2005-07-01' AND '2005-07-31'
		GROUP BY customer_id HAVING SUM(p.amount) > 20 AND COUNT(customer_id) > 15`,
}

// sakilaBodies are the statements in the bodies of sakila's functions.
var sakilaBodies = []shape{
	{sql: "SELECT CASE WHEN $2 IS NULL THEN $1 WHEN $1 IS NULL THEN $2 ELSE $1 || ', ' || $2 END", args: args("a", "b")},
	{sql: "SELECT inventory_id FROM inventory WHERE film_id = $1 AND store_id = $2 AND inventory_in_stock(inventory_id)", args: args("1", "1")},
	{sql: "SELECT inventory_id FROM inventory WHERE film_id = $1 AND store_id = $2 AND NOT inventory_in_stock(inventory_id)", args: args("2", "2")},
	{sql: "SELECT COALESCE(SUM(film.rental_rate),0) FROM film, inventory, rental WHERE film.film_id = inventory.film_id AND inventory.inventory_id = rental.inventory_id AND rental.rental_date <= $1 AND rental.customer_id = $2", args: args("2005-08-01", "148")},
	{sql: "SELECT COALESCE(SUM(payment.amount),0) FROM payment WHERE payment.payment_date <= $1 AND payment.customer_id = $2", args: args("2005-08-01", "148")},
	{sql: "SELECT customer_id FROM rental WHERE return_date IS NULL AND inventory_id = $1", args: args("9")},
	{sql: "SELECT count(*) FROM rental WHERE inventory_id = $1", args: args("9")},
	{sql: "SELECT COUNT(rental_id) FROM inventory LEFT JOIN rental USING(inventory_id) WHERE inventory.inventory_id = $1 AND rental.return_date IS NULL", args: args("9")},
	{sql: "SELECT CASE WHEN EXTRACT(MONTH FROM $1::timestamp) = 12 THEN (((EXTRACT(YEAR FROM $1::timestamp) + 1) operator(pg_catalog.||) '-01-01')::date - INTERVAL '1 day')::date END", args: args("2005-12-24")},
	{sql: "CREATE TEMPORARY TABLE tmpCustomer (customer_id INTEGER NOT NULL PRIMARY KEY) ON COMMIT DROP"},
	{sql: rewardees[1], setup: rewardees[:1]},
	{sql: "SELECT c.* FROM tmpCustomer AS t INNER JOIN customer AS c ON t.customer_id = c.customer_id", setup: rewardees},
	{sql: "DROP TABLE tmpCustomer", setup: rewardees},
}

// sakilaTriggers write tables whose triggers are sakila's.
var sakilaTriggers = []shape{
	{sql: "UPDATE customer SET active = 0 WHERE customer_id = 1 RETURNING last_update = now()"},
	{sql: "UPDATE staff SET email = $1 WHERE staff_id = 1 RETURNING last_update = now(), email, first_name, username", args: args("canary@sakilastaff.com")},
	{sql: "UPDATE address SET phone = $1 WHERE address_id = 7 RETURNING phone", args: args("canary-555-0199")},
	{sql: "UPDATE film SET description = 'A new one' WHERE film_id = 1 RETURNING fulltext"},
	{sql: "UPDATE actor SET last_name = 'Nobody' WHERE actor_id = 1 RETURNING first_name, last_name, last_update = now()"},
	{sql: "INSERT INTO payment (payment_id, customer_id, staff_id, rental_id, amount, payment_date) VALUES (90001, 1, 1, 76, 2.50, '2007-03-04')"}, // by a rule into a child
	{sql: "SELECT tableoid::regclass::text AS child, amount FROM payment WHERE customer_id = 1 AND payment_date > '2007-01-01'", setup: []string{"INSERT INTO payment (payment_id, customer_id, staff_id, rental_id, amount, payment_date) VALUES (90001, 1, 1, 76, 2.50, '2007-03-04')"}},
}

// sakilaReads are what an application of the rental shops reads.
var sakilaReads = []shape{
	{sql: "SELECT * FROM customer WHERE customer_id = $1", args: args("148")},
	{sql: "SELECT customer_id, first_name, last_name, email FROM customer ORDER BY customer_id LIMIT 20 OFFSET 40", ordered: true},
	{sql: "SELECT customer_id, first_name, last_name FROM customer WHERE customer_id > $1 ORDER BY customer_id LIMIT 25", args: args("300"), ordered: true},
	{sql: "SELECT first_name, last_name FROM customer WHERE store_id = 1 AND NOT activebool OR active = 0"},
	{sql: "SELECT count(*), count(email), count(DISTINCT store_id) FROM customer"},
	{sql: "SELECT store_id, count(*) FROM customer GROUP BY store_id ORDER BY store_id", ordered: true},
	{sql: "SELECT c.first_name, c.last_name, a.address, a.phone, ci.city, co.country FROM customer c JOIN address a USING (address_id) JOIN city ci USING (city_id) JOIN country co USING (country_id) WHERE co.country = 'Germany'"},
	{sql: "SELECT c.customer_id, c.email, sum(p.amount) AS spent FROM customer c JOIN payment p ON p.customer_id = c.customer_id GROUP BY c.customer_id HAVING sum(p.amount) > 180 ORDER BY spent DESC, c.customer_id", ordered: true},
	{sql: "SELECT c.email, t.spent FROM (SELECT customer_id, sum(amount) AS spent FROM payment GROUP BY customer_id ORDER BY 2 DESC, 1 LIMIT 10) t JOIN customer c USING (customer_id) ORDER BY t.spent DESC, c.customer_id", ordered: true},
	{sql: "WITH late AS (SELECT customer_id, count(*) AS n FROM rental WHERE return_date IS NULL GROUP BY customer_id) SELECT c.first_name, c.last_name, c.email, late.n FROM late JOIN customer c ON c.customer_id = late.customer_id WHERE late.n > 1"},
	{sql: "SELECT r.rental_id, f.title, c.first_name, s.first_name AS clerk FROM rental r JOIN inventory i USING (inventory_id) JOIN film f USING (film_id) JOIN customer c ON c.customer_id = r.customer_id JOIN staff s ON s.staff_id = r.staff_id WHERE r.rental_date::date = '2005-07-27' ORDER BY r.rental_id LIMIT 40", ordered: true},
	{sql: "SELECT s.store_id, m.first_name, m.last_name, m.email, a.phone FROM store s JOIN staff m ON m.staff_id = s.manager_staff_id JOIN address a ON a.address_id = s.address_id"},
	{sql: "SELECT staff_id, username, password IS NOT NULL AS set FROM staff"},
	{sql: "SELECT password FROM staff WHERE username = $1", args: args("Mike")},
	{sql: "SELECT c.customer_id, (SELECT max(r.rental_date) FROM rental r WHERE r.customer_id = c.customer_id) AS last_rental, c.email FROM customer c WHERE c.store_id = 2 ORDER BY c.customer_id LIMIT 10", ordered: true},
	{sql: "SELECT c.email FROM customer c WHERE NOT EXISTS (SELECT FROM rental r WHERE r.customer_id = c.customer_id AND r.rental_date > '2005-08-23')"},
	{sql: "SELECT c.customer_id, c.last_name, x.title FROM customer c CROSS JOIN LATERAL (SELECT f.title FROM rental r JOIN inventory i USING (inventory_id) JOIN film f USING (film_id) WHERE r.customer_id = c.customer_id ORDER BY r.rental_date DESC, f.title LIMIT 1) x WHERE c.customer_id BETWEEN 10 AND 20"},
	{sql: "SELECT c.customer_id, c.first_name, rank() OVER (PARTITION BY c.store_id ORDER BY c.customer_id) FROM customer c WHERE c.customer_id < 30"},
	{sql: "SELECT customer_id, email FROM customer WHERE email IS NULL"},
	{sql: "SELECT 'customer' AS kind, customer_id AS id, first_name FROM customer WHERE customer_id < 5 UNION ALL SELECT 'staff', staff_id, first_name FROM staff"},
	{sql: "SELECT CASE WHEN active = 1 THEN email END AS mail FROM customer WHERE customer_id < 30"},
	{sql: "SELECT CASE WHEN active = 1 THEN first_name ELSE last_name END AS called FROM customer WHERE customer_id < 30"},
	{sql: "SELECT lag(first_name) OVER (ORDER BY customer_id), COALESCE(first_name, last_name) AS called, first_name::text, last_name::varchar, (SELECT email FROM staff WHERE staff_id = 1) FROM customer WHERE customer_id < 30"},
	{sql: "SELECT first_name, email FROM customer WHERE customer_id < 4 UNION ALL SELECT NULL, NULL"},
	{sql: "SELECT * FROM (VALUES (1, (SELECT email FROM customer WHERE customer_id = 1)), (2, NULL)) AS v(i, mail)"},
	{sql: "SELECT first_name, last_name FROM actor WHERE last_name = $1", args: args("GUINESS")},
	{sql: "SELECT date_trunc('month', payment_date) AS month, sum(amount) FROM payment GROUP BY 1 ORDER BY 1", ordered: true},
	{sql: "SELECT id, phone, city, country, notes, sid FROM customer_list WHERE country = $1", args: args("Germany")},
	{sql: "SELECT store, total_sales FROM sales_by_store"},
	{sql: "SELECT customer.*, address.* FROM customer, address WHERE customer.address_id = address.address_id AND customer_id < 5"},
	{sql: "SELECT customer_id, first_name FROM customer NATURAL JOIN (SELECT store_id, manager_staff_id FROM store) s WHERE manager_staff_id = 2"},
	{sql: "SELECT DISTINCT ON (store_id) store_id, first_name, email FROM customer ORDER BY store_id, customer_id", ordered: true},
	{sql: "SELECT a.address, c.email FROM address a LEFT JOIN customer c USING (address_id) WHERE c.email IS NULL"},
	{sql: "TABLE staff"},
	{sql: "SELECT * FROM ONLY customer WHERE customer_id = 1"},
	{sql: "SELECT (c).email, (c.*) IS NULL AS gone FROM customer c WHERE customer_id < 3"},
	{sql: "SELECT * FROM mails WHERE customer_id = $1", args: args("1"), setup: []string{"CREATE VIEW mails AS SELECT customer_id, email AS mail FROM customer"}},
	{sql: "SELECT * FROM customer", setup: []string{"CREATE TEMPORARY TABLE customer (id int, email text) ON COMMIT DROP", "INSERT INTO customer VALUES (1, 'plain@example.org')"}},
	{sql: "SELECT * FROM customer WHERE email = $1", args: args("plain@example.org"), setup: []string{
		"CREATE SCHEMA shop", "CREATE TABLE shop.customer (id int, email text)", "SET LOCAL search_path = shop, public", "INSERT INTO customer VALUES (1, 'plain@example.org')",
	}},
	{sql: "SELECT note, email FROM customer WHERE customer_id = 3", setup: []string{"ALTER TABLE customer ADD COLUMN note text", "UPDATE customer SET note = 'new' WHERE customer_id = 3"}},
	{sql: "PREPARE who(int) AS SELECT first_name, email FROM customer WHERE customer_id = $1; EXECUTE who(5); EXECUTE who(6); DEALLOCATE who", simple: true},
	{sql: "PREPARE who AS SELECT CASE WHEN active = 1 THEN email END FROM customer WHERE customer_id = 5; EXECUTE who; DEALLOCATE who", simple: true},
	{sql: "EXECUTE who('MARY.SMITH@sakilacustomer.org')", setup: []string{"PREPARE who(text) AS SELECT customer_id, email FROM customer WHERE email = $1"}, simple: true},
	{sql: "DECLARE c CURSOR FOR SELECT COALESCE(first_name, last_name) FROM customer WHERE customer_id < 9; FETCH 3 FROM c; CLOSE c", simple: true},
	{sql: "DECLARE c CURSOR FOR SELECT customer_id, email FROM customer ORDER BY customer_id; FETCH 3 FROM c; MOVE 10 IN c; FETCH 2 FROM c; CLOSE c", simple: true, ordered: true},
}

// sakilaFinds compare sealed columns.
var sakilaFinds = []shape{
	{sql: "SELECT customer_id, first_name FROM customer WHERE email = $1", args: args("MARY.SMITH@sakilacustomer.org")},
	{sql: "SELECT * FROM customer WHERE last_name = $1 AND first_name = $2", args: args("SMITH", "MARY")},
	{sql: "SELECT customer_id FROM customer WHERE first_name IN ('MARY', 'PATRICIA', $1)", args: args("LINDA")},
	{sql: "SELECT customer_id, email FROM customer WHERE email = ANY ($1)", args: args("{MARY.SMITH@sakilacustomer.org,CLARA.SHAW@sakilacustomer.org,nobody}")},
	{sql: "SELECT count(*) FROM customer WHERE first_name <> $1", args: args("MARY")},
	{sql: "SELECT first_name, count(*) FROM customer GROUP BY first_name HAVING count(*) > 1"},
	{sql: "SELECT count(DISTINCT last_name), count(DISTINCT first_name) FROM customer"},
	{sql: "SELECT DISTINCT first_name FROM customer WHERE customer_id < 100"},
	{sql: "SELECT a.customer_id, b.customer_id AS other FROM customer a JOIN customer b ON a.first_name = b.first_name AND a.customer_id < b.customer_id"},
	{sql: "SELECT r.rental_id, r.rental_date FROM rental r JOIN customer c USING (customer_id) WHERE c.email = $1 ORDER BY r.rental_date DESC, r.rental_id LIMIT 5", args: args("CLARA.SHAW@sakilacustomer.org"), ordered: true},
	{sql: "SELECT sum(p.amount) FROM payment p WHERE p.customer_id = (SELECT customer_id FROM customer WHERE email = $1)", args: args("CLARA.SHAW@sakilacustomer.org")},
	{sql: "SELECT EXISTS (SELECT 1 FROM customer WHERE email = $1)", args: args("canary.nobody@sakilacustomer.org")},
	{sql: "SELECT username FROM staff WHERE email = $1 AND active", args: args("Jon.Stephens@sakilastaff.com")},
	{sql: "SELECT customer_id FROM customer WHERE email IS DISTINCT FROM $1 AND customer_id < 4", args: args("MARY.SMITH@sakilacustomer.org")},
	{sql: "SELECT customer_id FROM customer WHERE (first_name, last_name) = ('MARY', 'SMITH')"},
	{sql: "SELECT customer_id FROM customer WHERE email = $1::text", args: args("MARY.SMITH@sakilacustomer.org")},
	{sql: "SELECT customer_id FROM customer WHERE email = 'MARY.SMITH@sakilacustomer.org'::varchar(50)"},
	{sql: "SELECT customer_id FROM mails WHERE mail = $1", args: args("MARY.SMITH@sakilacustomer.org"), setup: []string{"CREATE VIEW mails AS SELECT customer_id, email AS mail FROM customer"}},
	{sql: "PREPARE who(text) AS SELECT customer_id FROM customer WHERE email = $1; EXECUTE who('MARY.SMITH@sakilacustomer.org'); DEALLOCATE who", simple: true},
	{sql: "SELECT first_name, string_agg(customer_id::text, ',' ORDER BY customer_id) AS ids FROM customer GROUP BY first_name HAVING count(*) > 1"},
	{sql: "SELECT last_name, count(*) FROM customer GROUP BY last_name ORDER BY count(*) DESC, min(customer_id) LIMIT 5", ordered: true},
	{sql: "SELECT store_id, count(DISTINCT first_name) FROM customer GROUP BY ROLLUP (store_id)"},
	{sql: "SELECT * FROM (SELECT customer_id, first_name, row_number() OVER (PARTITION BY first_name ORDER BY customer_id) AS n FROM customer) t WHERE n = 2"},
	{sql: "SELECT c.customer_id FROM customer c WHERE EXISTS (SELECT FROM customer d WHERE d.last_name = c.first_name)"}, // no domain is shared
	{sql: "SELECT customer_id FROM customer WHERE email IN (SELECT email FROM staff)"},
	{sql: "SELECT CASE first_name WHEN 'MARY' THEN 1 WHEN 'LINDA' THEN 2 ELSE 0 END AS n FROM customer WHERE customer_id < 5"},
}

// sakilaWrites change customers, addresses and staff.
var sakilaWrites = []shape{
	{sql: "INSERT INTO customer (customer_id, store_id, first_name, last_name, email, address_id) VALUES ($1, 1, $2, $3, $4, 5) RETURNING customer_id, first_name, email, create_date", args: args("9001", "CANARYANN", "CANARYSON", "canary.ann@sakilacustomer.org")},
	{sql: "INSERT INTO customer (customer_id, store_id, first_name, last_name, email, address_id) VALUES (9001, 1, 'CANARYA', 'CANARYB', NULL, 5), (9002, 2, 'CANARYC', 'CANARYD', 'canary.c@sakilacustomer.org', 6)"},
	{sql: "INSERT INTO customer VALUES (9003, 1, 'CANARYE', 'CANARYF', 'canary.e@sakilacustomer.org', 5, true, '2006-02-14', '2006-02-15', 1) RETURNING *"},
	{sql: "INSERT INTO customer (customer_id, store_id, first_name, last_name, address_id) VALUES (1, 1, 'CANARYA', 'CANARYB', 5) ON CONFLICT (customer_id) DO UPDATE SET first_name = EXCLUDED.first_name, active = 1"},
	{sql: "INSERT INTO customer (customer_id, store_id, first_name, last_name, address_id) VALUES (1, 1, 'CANARYA', 'CANARYB', 5)"},          // a key that is taken
	{sql: "INSERT INTO customer (customer_id, store_id, first_name, address_id) VALUES (9004, 1, 'CANARYA', 5)"},                             // a name that must be there
	{sql: "INSERT INTO customer (customer_id, store_id, first_name, last_name, address_id) VALUES (9004, 1, repeat('x', 46), 'CANARYB', 5)"}, // what the server computes
	{sql: "INSERT INTO customer (customer_id, store_id, first_name, last_name, address_id) VALUES (9004, 1, $1, $2, 5)", args: args("CANARY-of-more-characters-than-the-column-does-take", "CANARYB")},
	{sql: "INSERT INTO address (address_id, address, district, city_id, phone) VALUES (9001, '1 Main Street', 'Lazio', 300, $1)", args: args("canary-555-0100")},
	{sql: "WITH a AS (INSERT INTO address (address_id, address, district, city_id, phone) VALUES (9001, '1 Main Street', 'Lazio', 300, $1) RETURNING address_id) INSERT INTO customer (customer_id, store_id, first_name, last_name, email, address_id) SELECT 9001, 1, $2, $3, $4, 5 FROM a", args: args("canary-555-0100", "CANARYANN", "CANARYSON", "canary.ann@sakilacustomer.org")},
	{sql: "UPDATE customer SET email = $1 WHERE customer_id = $2", args: args("canary.mary@sakilacustomer.org", "1")},
	{sql: "UPDATE customer SET email = $1, last_name = $2 WHERE email = $3 RETURNING customer_id, last_name, email", args: args("canary.mary@sakilacustomer.org", "CANARYSON", "MARY.SMITH@sakilacustomer.org")},
	{sql: "UPDATE customer SET email = NULL, active = 0 WHERE store_id = 2"},
	{sql: "UPDATE customer SET active = 0 WHERE customer_id IN (SELECT customer_id FROM rental GROUP BY customer_id HAVING count(*) < 15)"},
	{sql: "UPDATE customer c SET first_name = 'CANARYX' FROM address a WHERE a.address_id = c.address_id AND a.district = 'Buenos Aires'"},
	{sql: "UPDATE staff SET password = $1 WHERE staff_id = $2", args: args("canary-8cb2237d0679ca88db6464eac60da9634", "2")},
	{sql: "UPDATE staff SET password = NULL"},
	{sql: "UPDATE customer SET (first_name, last_name) = ('CANARYA', 'CANARYB') WHERE customer_id = 7 RETURNING *, last_update = now()", setup: []string{"ALTER TABLE customer DISABLE TRIGGER last_updated"}},
	{sql: "MERGE INTO customer c USING (VALUES (1), (9100)) AS s(id) ON c.customer_id = s.id WHEN MATCHED THEN UPDATE SET email = 'canary.m@sakilacustomer.org' WHEN NOT MATCHED THEN INSERT (customer_id, store_id, first_name, last_name, address_id) VALUES (s.id, 1, 'CANARYM', 'CANARYN', 5)"},
	{sql: "INSERT INTO customer SELECT customer_id + 9000, store_id, first_name, last_name, email, address_id, activebool, create_date, last_update, active FROM customer WHERE customer_id < 4"},
	{sql: "UPDATE customer SET first_name = last_name WHERE customer_id = 1"},
	{sql: "UPDATE address SET address2 = phone WHERE address_id = 7"},
	{sql: "DELETE FROM payment WHERE customer_id = (SELECT customer_id FROM customer WHERE email = $1)", args: args("MARY.SMITH@sakilacustomer.org")},
	{sql: "DELETE FROM customer WHERE customer_id = 9009 OR email = 'canary.nobody@sakilacustomer.org'"},
	{sql: "DELETE FROM customer WHERE email = $1", args: args("MARY.SMITH@sakilacustomer.org")}, // rentals refer to her
}

// sakilaRefusals look into sealed columns.
var sakilaRefusals = []shape{
	{sql: "SELECT customer_id, last_name FROM customer ORDER BY last_name, first_name LIMIT 20", ordered: true},
	{sql: "SELECT customer_id FROM customer WHERE last_name LIKE $1", args: args("SMI%")},
	{sql: "SELECT customer_id FROM customer WHERE lower(email) = $1", args: args("mary.smith@sakilacustomer.org")},
	{sql: "SELECT first_name || ' ' || last_name AS name FROM customer WHERE customer_id = 1"},
	{sql: "SELECT id, name FROM customer_list WHERE name = $1", args: args("MARY SMITH")},
	{sql: "SELECT id FROM customer_list ORDER BY name LIMIT 5"},
	{sql: "SELECT split_part(email, '@', 2), count(*) FROM customer GROUP BY 1"},
	{sql: "SELECT min(last_name) FROM customer"},
	{sql: "SELECT length(email), md5(email), pg_column_size(email) FROM customer WHERE customer_id = 1"},
	{sql: "SELECT encode(email, 'hex') FROM customer WHERE customer_id = 1"},
	{sql: "SELECT substr(email, 9, 16) FROM customer WHERE customer_id = 1"},
	{sql: "SELECT concat(first_name, ' ', last_name) FROM customer WHERE customer_id = 1"},
	{sql: "SELECT format('%s', email) FROM customer WHERE customer_id = 1"},
	{sql: "SELECT pg_typeof(email) FROM customer WHERE customer_id = 1"},
	{sql: "SELECT email::bytea FROM customer WHERE customer_id = 1"},
	{sql: "SELECT customer_id FROM customer c WHERE c::text LIKE '%x%'"},
	{sql: "SELECT query_to_xml('SELECT email FROM customer WHERE customer_id = 1', true, false, '')"},
	{sql: "SELECT table_to_xml('staff', true, false, '')"},
	{sql: "SELECT id FROM customer_list WHERE phone = ' '"},
	{sql: "SELECT string_agg(email, ',') FROM customer"},
	{sql: "SELECT most_common_vals FROM pg_stats WHERE tablename = 'customer' AND attname = 'store_id'"},
	{sql: "SELECT row_to_json(c) FROM customer c WHERE customer_id = 1"},
	{sql: "SELECT staff_id FROM staff WHERE username = 'Mike' AND password = $1", args: args("8cb2237d0679ca88db6464eac60da96345513964")},
	{sql: "UPDATE staff SET password = $1", args: args("canary-8cb2237d0679ca88db6464eac60da9634")},
	{sql: "UPDATE customer SET email = lower(email) WHERE customer_id = 1"},
	{sql: "CREATE TABLE customer_backup AS SELECT * FROM customer"},
	{sql: "SELECT c.customer_id FROM customer c JOIN actor a ON a.last_name = c.last_name"},
	{sql: "SELECT first_name FROM customer UNION SELECT first_name FROM staff"},
}

// sakilaCopyOut are exports.
var sakilaCopyOut = []string{
	"COPY customer TO STDOUT",
	"COPY customer (customer_id, first_name, last_name, email) TO STDOUT WITH (FORMAT csv, HEADER)",
	"COPY customer (customer_id, email) TO STDOUT WITH (FORMAT binary)",
	"COPY staff TO STDOUT",
	"COPY (SELECT customer_id, email FROM customer WHERE email = 'MARY.SMITH@sakilacustomer.org') TO STDOUT WITH (FORMAT csv)",
	"COPY (SELECT c.email, sum(p.amount) FROM customer c JOIN payment p USING (customer_id) GROUP BY c.customer_id ORDER BY c.customer_id) TO STDOUT",
	"COPY (SELECT * FROM customer_list) TO STDOUT",
}

// sakilaCopyIn are imports.
var sakilaCopyIn = []step{
	{
		sql:  "COPY customer (customer_id, store_id, first_name, last_name, email, address_id) FROM STDIN WITH (FORMAT csv)",
		data: "9001,1,CANARYANN,\"CANARY, SON\",canary.ann@sakilacustomer.org,5\n9002,2,CANARYBEN,\"CANARY\"\"S\",,6\n",
	},
	{
		sql:  "COPY address (phone, address_id, address, district, city_id) FROM STDIN",
		data: "canary-555-0100\t9001\t1 Main Street\tLazio\t300\n\t9002\t2 Main Street\tLazio\t300\n",
	},
}

// sakilaCorners are statements whose names, types or places are easily misread.
var sakilaCorners = []shape{
	{sql: "WITH RECURSIVE r AS (SELECT customer_id, first_name FROM customer WHERE customer_id = 1 UNION ALL SELECT c.customer_id, c.first_name FROM customer c JOIN r ON c.customer_id = r.customer_id + 1 WHERE r.customer_id < 5) SELECT * FROM r"},
	{sql: "SELECT c FROM (SELECT email AS c FROM customer WHERE customer_id < 4) c"},
	{sql: "SELECT customer_id AS email FROM customer ORDER BY email LIMIT 3", ordered: true},
	{sql: "SELECT customer_id, email FROM customer ORDER BY email IS NULL, customer_id LIMIT 3", ordered: true},
	{sql: "SELECT e FROM customer AS c(a, b, e) WHERE a = 1"},
	{sql: "SELECT (SELECT email FROM customer WHERE customer.customer_id = rental.customer_id) FROM rental WHERE rental_id < 10"},
	{sql: "SELECT * FROM generate_series(1, 3) g JOIN customer c ON c.customer_id = g"},
	{sql: `SELECT "first_name" "f", 'x' AS email FROM customer WHERE customer_id = 1`},
	{sql: "SELECT count(*) FILTER (WHERE first_name = 'MARY') FROM customer"},
	{sql: "SELECT email IS NOT NULL AND email <> '' AS has FROM customer WHERE customer_id < 5"},
	{sql: "SELECT nullif(email, 'MARY.SMITH@sakilacustomer.org') FROM customer WHERE customer_id < 5"},
	{sql: "SELECT customer_id FROM customer WHERE email = ANY (ARRAY['MARY.SMITH@sakilacustomer.org', NULL])"},
	{sql: "SELECT count(*) FROM customer WHERE first_name NOT IN ('MARY', 'LINDA')"},
	{sql: "SELECT first_name, count(*) OVER (PARTITION BY first_name) FROM customer WHERE customer_id < 200"},
	{sql: "SELECT customer_id FROM customer WHERE (store_id, email) IN (SELECT store_id, email FROM customer WHERE customer_id = 1)"},
	{sql: "SELECT t.m, t.n FROM (SELECT email AS m, count(*) AS n FROM customer GROUP BY email) t WHERE t.m = $1", args: args("MARY.SMITH@sakilacustomer.org")},
	{sql: "SELECT DISTINCT store_id, email FROM customer WHERE customer_id < 10"},
	{sql: "SELECT first_name, last_name, count(*) FROM customer GROUP BY first_name, last_name HAVING first_name = 'MARY'"},
	{sql: "SELECT first_name, store_id, count(*) FROM customer WHERE customer_id < 50 GROUP BY GROUPING SETS ((first_name), (store_id), ())"},
	{sql: "SELECT customer_id FROM customer WHERE email = 'MARY.SMITH@sakilacustomer.org '"},
	{sql: "SELECT customer_id, email FROM customer WHERE email = $1 FOR UPDATE SKIP LOCKED", args: args("MARY.SMITH@sakilacustomer.org")},
	{sql: "SELECT first_name FROM customer c JOIN actor a USING (first_name)"},
	{sql: "SELECT a.actor_id, x.email FROM actor a LEFT JOIN LATERAL (SELECT c.email FROM customer c WHERE c.first_name = a.first_name) x ON true"},
	{sql: "SELECT coalesce(email, 'none') FROM customer WHERE customer_id < 5"},
	{sql: "SELECT greatest(first_name, last_name) FROM customer WHERE customer_id < 5"},
	{sql: "SELECT unnest(ARRAY[email]) FROM customer WHERE customer_id < 5"},
	{sql: "SELECT array_agg(customer_id ORDER BY last_name) FROM customer"},
	{sql: "SELECT mode() WITHIN GROUP (ORDER BY first_name) FROM customer"},
	{sql: "SELECT json_build_object('mail', email) FROM customer WHERE customer_id < 5"},
	{sql: "SELECT customer_id FROM customer WHERE email BETWEEN 'A' AND 'B'"},
	{sql: "SELECT customer_id FROM customer WHERE email ~ '^MARY'"},
	{sql: "SELECT first_name FROM customer WHERE customer_id < 9 EXCEPT ALL SELECT first_name FROM customer WHERE customer_id > 2"},
	{sql: "SELECT email INTO TEMPORARY mails FROM customer"},
	{sql: "UPDATE customer SET email = CASE WHEN customer_id = 1 THEN 'canary.x@sakilacustomer.org' ELSE email END WHERE customer_id < 3"},
	{sql: "UPDATE customer SET email = s.email FROM staff s WHERE s.store_id = customer.store_id"},
	{sql: "INSERT INTO address (address_id, address, district, city_id, phone) SELECT 9005, address, district, city_id, phone FROM address WHERE address_id = 7"},
	{sql: "INSERT INTO customer (customer_id, store_id, first_name, last_name, email, address_id) VALUES (1, 1, 'CANARYA', 'CANARYB', 'canary.z@sakilacustomer.org', 5) ON CONFLICT (customer_id) DO UPDATE SET email = EXCLUDED.email, last_name = customer.last_name WHERE customer.email IS DISTINCT FROM EXCLUDED.email"},
	{sql: "INSERT INTO customer (customer_id, store_id, first_name, last_name, email, address_id) VALUES (9001, 1, 'CANARYA', 'CANARYB', 'MARY.SMITH@sakilacustomer.org', 5)", setup: []string{"CREATE UNIQUE INDEX customer_email ON customer (email)"}},
	{sql: "INSERT INTO customer (customer_id, store_id, first_name, last_name, email, address_id) VALUES (9001, 1, 'CANARYA', 'CANARYB', 'MARY.SMITH@sakilacustomer.org', 5) ON CONFLICT (email) DO UPDATE SET first_name = EXCLUDED.first_name", setup: []string{"CREATE UNIQUE INDEX customer_email ON customer (email)"}},
	{sql: "DELETE FROM customer c USING staff s WHERE c.email = s.email"},
}

// sakilaMigrations change the schema.
var sakilaMigrations = []shape{
	{sql: "CREATE TABLE child () INHERITS (customer)"},
	{sql: "SELECT customer_id, email FROM customer WHERE customer_id > 9000", setup: []string{"CREATE TABLE child (nick text) INHERITS (customer)", "INSERT INTO child (customer_id, store_id, first_name, last_name, email, address_id) VALUES (9001, 1, 'CANARYA', 'CANARYB', 'canary.z@sakilacustomer.org', 5)"}},
	{sql: "CREATE TABLE customer2 (LIKE customer INCLUDING ALL)"},
	{sql: "CREATE MATERIALIZED VIEW mails AS SELECT customer_id, email FROM customer"},
	{sql: "ALTER TABLE customer ALTER COLUMN first_name TYPE varchar(60)"},
	{sql: "ALTER TABLE customer ALTER COLUMN email SET NOT NULL"},
	{sql: "ALTER TABLE customer ADD CHECK (email LIKE '%@%')"},
	{sql: "ALTER TABLE customer ALTER COLUMN email SET DEFAULT 'canary@sakilacustomer.org'"},
	{sql: "ALTER TABLE customer RENAME COLUMN email TO mail"},
	{sql: "ALTER TABLE customer RENAME COLUMN active TO level"},
	{sql: "CREATE INDEX customer_mail ON customer (lower(email))"},
	{sql: "CREATE INDEX customer_mail ON customer (email, store_id)"},
	{sql: "COMMENT ON COLUMN customer.email IS 'where receipts go'"},
	{sql: "CREATE TRIGGER mail BEFORE UPDATE ON customer FOR EACH ROW WHEN (OLD.email IS DISTINCT FROM NEW.email) EXECUTE FUNCTION last_updated()"},
	{sql: "CREATE RULE keep AS ON UPDATE TO customer WHERE NEW.email = 'canary@sakilacustomer.org' DO INSTEAD NOTHING"},
	{sql: "CREATE FUNCTION mail(i int) RETURNS text LANGUAGE sql AS 'SELECT email FROM customer WHERE customer_id = $1'"},
	{sql: "LOCK TABLE customer IN SHARE MODE"},
	{sql: "TRUNCATE payment, rental"},
	{sql: "GRANT SELECT ON customer TO PUBLIC"},
	{sql: "DO $$ BEGIN UPDATE customer SET email = 'canary@sakilacustomer.org'; END $$"},
}
