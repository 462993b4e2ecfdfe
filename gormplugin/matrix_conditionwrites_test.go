package gormplugin_test

import (
	"gorm.io/gorm"
	"gorm.io/gorm/clause"
)

// groupEntries put equal sealed values together.
func groupEntries[S secrets, K findable]() []entry[S] {
	type rows = []map[string]any
	clients := func(tx *gorm.DB) *gorm.DB { return tx.Model(&client[K]{}) }
	by := func(name string, query func(tx *gorm.DB) *gorm.DB) entry[S] {
		return entry[S]{name: name, run: finding[rows, S](func(tx *gorm.DB, m *rows) *gorm.DB { return query(clients(tx)).Scan(m) })}
	}
	count := func(name string, query func(tx *gorm.DB) *gorm.DB) entry[S] {
		return entry[S]{name: name, run: finding[int64, S](func(tx *gorm.DB, n *int64) *gorm.DB { return query(clients(tx)).Count(n) })}
	}
	return []entry[S]{
		by("GROUP BY", func(tx *gorm.DB) *gorm.DB {
			return tx.Select("mail, count(*) AS n, count(mail) AS values_in, min(id) AS least").Group("mail").Order("least")
		}),
		by("GROUP BY, the column not selected", func(tx *gorm.DB) *gorm.DB { return tx.Select("count(*) AS n").Group("mail").Order("n") }),
		by("GROUP BY an alias of the column", func(tx *gorm.DB) *gorm.DB {
			return tx.Select("clients.mail AS address, min(id) AS least").Group("clients.mail").Order("least")
		}),
		by("GROUP BY a sealed and a plain column", func(tx *gorm.DB) *gorm.DB {
			return tx.Select("role, mail, count(*) AS n, min(id) AS least").Group("role").Group("mail").Order("least")
		}),
		by("GROUP BY two sealed columns", func(tx *gorm.DB) *gorm.DB {
			return tx.Select("mail, alias, count(*) AS n, min(id) AS least").Group("mail, alias").Order("least")
		}),
		by("GROUP BY with a condition", func(tx *gorm.DB) *gorm.DB {
			return tx.Select("mail, count(*) AS n, min(id) AS least").Where("alias <> ?", mail(1)).Group("mail").Order("least")
		}),
		by("HAVING of a count", func(tx *gorm.DB) *gorm.DB {
			return tx.Select("mail, min(id) AS least").Group("mail").Having("count(*) > ?", 3).Order("least")
		}),
		by("HAVING of a sealed column", func(tx *gorm.DB) *gorm.DB {
			return tx.Select("mail, count(*) AS n, min(id) AS least").Group("mail").Having("mail <> ?", mail(1)).Order("least")
		}),
		by("HAVING of a count of distinct values", func(tx *gorm.DB) *gorm.DB {
			return tx.Select("role, count(DISTINCT mail) AS n").Group("role").Having("count(DISTINCT alias) > ?", 1).Order("role")
		}),
		by("GROUP BY a plain column with a condition", func(tx *gorm.DB) *gorm.DB {
			return tx.Select("role, count(mail) AS n").Where("mail <> ?", mail(1)).Group("role").Order("role")
		}),
		by("GROUP BY of a join", func(tx *gorm.DB) *gorm.DB {
			return tx.Select("clients.mail, count(e.id) AS n, min(clients.id) AS least").Joins("LEFT JOIN estates e ON e.mail = clients.mail").Group("clients.mail").Order("least")
		}),
		{name: "DISTINCT", run: func(w *world[S]) (any, error) {
			var found []client[K]
			err := w.Distinct("mail").Find(&found).Error
			var got []*string
			for _, c := range found {
				got = append(got, plainKeys(c.Keys).Mail)
			}
			return sorted(got), err
		}},
		{name: "DISTINCT of two columns", run: func(w *world[S]) (any, error) {
			var got []client[K]
			err := w.Distinct("mail", "role").Where("alias <> ?", mail(1)).Find(&got).Error
			var keys []*string
			for _, c := range got {
				text := c.Role + " NULL"
				if m := plainKeys(c.Keys).Mail; m != nil {
					text = c.Role + " " + *m
				}
				keys = append(keys, &text)
			}
			return sorted(keys), err
		}},
		{name: "Pluck of distinct values", run: func(w *world[S]) (any, error) {
			var got []*string
			err := clients(w.DB).Distinct().Where("mail IS NOT NULL").Pluck("mail", &got).Error
			return sorted(got), err
		}},
		{name: "Raw with SELECT DISTINCT", run: func(w *world[S]) (any, error) {
			var got []*string
			err := w.Raw("SELECT DISTINCT mail FROM clients WHERE mail <> ?", mail(1)).Scan(&got).Error
			return sorted(got), err
		}},
		count("Count of distinct values", func(tx *gorm.DB) *gorm.DB { return tx.Distinct("mail") }),
		count("Count of distinct values with a condition", func(tx *gorm.DB) *gorm.DB { return tx.Where("mail <> ?", "").Distinct("alias") }),
		count("Count of groups", func(tx *gorm.DB) *gorm.DB { return tx.Group("mail") }),
		count("Count with Select of a DISTINCT count", func(tx *gorm.DB) *gorm.DB { return tx.Select("COUNT(DISTINCT(mail))") }),
	}
}

// sorted tells values of a result without an order apart, and how often they
// are in it.
func sorted(values []*string) map[string]int {
	n := map[string]int{}
	for _, v := range values {
		if v == nil {
			n["NULL"]++
		} else {
			n["= "+*v]++
		}
	}
	return n
}

// conditionWrites change the rows that sealed values find.
func conditionWrites[S secrets, K findable]() []entry[S] {
	type one = client[K]
	by := func(name string, write func(tx *gorm.DB) *gorm.DB) entry[S] {
		return entry[S]{name: name, run: func(w *world[S]) (any, error) { return result(nil, write(w.DB)) }}
	}
	model := func(tx *gorm.DB) *gorm.DB { return tx.Model(&one{}) }
	found := func(name string, find func(tx *gorm.DB, c *one) *gorm.DB) entry[S] {
		return entry[S]{name: name, run: finding[one, S](find)}
	}
	return []entry[S]{
		by("Update of a plain column", func(tx *gorm.DB) *gorm.DB { return model(tx).Where("mail = ?", mail(1)).Update("role", "seen") }),
		by("Update that finds nothing", func(tx *gorm.DB) *gorm.DB { return model(tx).Where("mail = ?", "nobody").Update("role", "seen") }),
		by("Update of the column itself", func(tx *gorm.DB) *gorm.DB {
			return model(tx).Where("org_id = ?", "a").Where("mail = ?", mail(1)).Update("mail", canary+" new")
		}),
		by("Update of the column to NULL", func(tx *gorm.DB) *gorm.DB {
			return model(tx).Where("org_id = ?", "b").Where("mail = ?", mail(1)).Update("mail", nil)
		}),
		by("Updates with a struct", func(tx *gorm.DB) *gorm.DB {
			return model(tx).Where(&one{OrgID: "a", Keys: mailed[K](mail(1))}).Updates(one{Role: "s", Keys: K(plainKeys{Note: canary + " s"})})
		}),
		by("Updates with a map", func(tx *gorm.DB) *gorm.DB {
			return model(tx).Where("org_id = ?", "b").Where("mail IN ?", []string{mail(1), ""}).Updates(map[string]any{"role": "m", "note": canary + " m"})
		}),
		by("UpdateColumn", func(tx *gorm.DB) *gorm.DB { return model(tx).Where("mail <> ?", mail(1)).UpdateColumn("role", "seen") }),
		by("Update of a model with a condition", func(tx *gorm.DB) *gorm.DB {
			return tx.Model(&one{ID: 3, OrgID: "a"}).Where("alias = ?", mail(0)).Update("note", canary+" m")
		}),
		by("Update by a sub-query", func(tx *gorm.DB) *gorm.DB {
			return model(tx).Where("mail IN (?)", fresh(tx).Model(&estate[K]{}).Select("mail").Where("mail <> ?", mail(0))).Update("role", "seen")
		}),
		by("Exec UPDATE", func(tx *gorm.DB) *gorm.DB {
			return tx.Exec("UPDATE clients SET role = ? WHERE mail = ? AND role <> ?", "raw", mail(1), "x")
		}),
		by("Exec UPDATE with @named", func(tx *gorm.DB) *gorm.DB {
			return tx.Exec("UPDATE clients SET role = @role WHERE mail IN @list", map[string]any{"role": "raw", "list": []string{mail(1), ""}})
		}),
		by("Exec DELETE", func(tx *gorm.DB) *gorm.DB {
			return tx.Exec("DELETE FROM clients WHERE mail = ? OR alias IN ?", mail(1), []string{mail(0)})
		}),
		by("Delete", func(tx *gorm.DB) *gorm.DB { return tx.Where("mail = ?", mail(1)).Delete(&one{}) }),
		by("Delete, inline", func(tx *gorm.DB) *gorm.DB { return tx.Delete(&one{}, "mail = ?", mail(1)) }),
		by("Delete, inline map", func(tx *gorm.DB) *gorm.DB { return tx.Delete(&one{}, map[string]any{"mail": []string{mail(1), ""}}) }),
		by("Delete with a struct", func(tx *gorm.DB) *gorm.DB { return tx.Where(&one{Keys: mailed[K](mail(1))}).Delete(&one{}) }),
		by("Delete of a model with a condition", func(tx *gorm.DB) *gorm.DB { return tx.Where("mail = ?", mail(1)).Delete(&one{ID: 3}) }),
		by("Delete by a sub-query", func(tx *gorm.DB) *gorm.DB {
			return tx.Where("mail IN (?)", fresh(tx).Model(&estate[K]{}).Select("mail").Where("name = ?", "e1")).Delete(&one{})
		}),
		found("FirstOrCreate that is there", func(tx *gorm.DB, c *one) *gorm.DB {
			return tx.Where(one{Keys: mailed[K](mail(1))}).Attrs(one{Role: "made"}).FirstOrCreate(c)
		}),
		found("FirstOrCreate that is not there", func(tx *gorm.DB, c *one) *gorm.DB {
			return tx.Where(one{OrgID: "a", Keys: mailed[K](mail(9))}).Attrs(one{Role: "made", Keys: K(plainKeys{Note: canary + " made"})}).FirstOrCreate(c)
		}),
		found("FirstOrCreate with a map", func(tx *gorm.DB, c *one) *gorm.DB {
			return tx.Where(map[string]any{"mail": mail(9), "org_id": "a"}).FirstOrCreate(c)
		}),
		found("FirstOrCreate, inline", func(tx *gorm.DB, c *one) *gorm.DB {
			return tx.FirstOrCreate(c, one{OrgID: "b", Keys: mailed[K](mail(9))})
		}),
		found("FirstOrCreate with Assign that is there", func(tx *gorm.DB, c *one) *gorm.DB {
			return tx.Where(one{OrgID: "a", Keys: mailed[K](mail(1))}).Assign(one{Role: "assigned", Keys: K(plainKeys{Note: canary + " assigned"})}).FirstOrCreate(c)
		}),
		found("FirstOrCreate with Assign that is not there", func(tx *gorm.DB, c *one) *gorm.DB {
			return tx.Where(one{OrgID: "a", Keys: mailed[K](mail(9))}).Assign(one{Role: "assigned"}).FirstOrCreate(c)
		}),
	}
}

// conflictEntries insert rows whose sealed values are there already.
func conflictEntries[S secrets, U unique]() []entry[S] {
	onMail := clause.OnConflict{Columns: []clause.Column{{Name: "mail"}}}
	onBoth := clause.OnConflict{Columns: []clause.Column{{Name: "org_id"}, {Name: "email"}}}
	insert := func(name string, conflict clause.OnConflict, change func(c *clause.OnConflict), rows func() []berth[U]) entry[S] {
		change(&conflict)
		return entry[S]{name: name, run: func(w *world[S]) (any, error) {
			return result(nil, w.Clauses(conflict).Create(rows()))
		}}
	}
	mails := func() []berth[U] {
		return []berth[U]{
			{OrgID: "a", Keys: berthed[U](mail(1), mail(11)), Size: 11}, {OrgID: "a", Keys: berthed[U](mail(3), mail(12)), Size: 12},
		}
	}
	both := func() []berth[U] {
		return []berth[U]{
			{OrgID: "a", Keys: U(plainUnique{Email: mail(11), Label: ptr(canary + " u")}), Size: 11},
			{OrgID: "c", Keys: U(plainUnique{Email: mail(11)}), Size: 12},
			{OrgID: "b", Keys: U(plainUnique{Email: ""}), Size: 13},
		}
	}
	nothing := func(c *clause.OnConflict) { c.DoNothing = true }
	all := func(c *clause.OnConflict) { c.UpdateAll = true }
	some := func(c *clause.OnConflict) { c.DoUpdates = clause.AssignmentColumns([]string{"size", "label"}) }
	return []entry[S]{
		insert("DoNothing", onMail, nothing, mails),
		insert("UpdateAll", onMail, all, mails),
		insert("AssignmentColumns", onMail, some, mails),
		insert("DoNothing, with the tenant", onBoth, nothing, both),
		insert("UpdateAll, with the tenant", onBoth, all, both),
		insert("AssignmentColumns, with the tenant", onBoth, some, both),
		insert("Assignments of a value", onMail, func(c *clause.OnConflict) {
			c.DoUpdates = clause.Assignments(map[string]any{"size": 99, "label": canary + " assigned"})
		}, func() []berth[U] { return mails()[:1] }),
		{name: "a second row of one value", alone: true, want: true, run: func(w *world[S]) (any, error) {
			// Which error it is depends on the database; that there is one does not.
			return w.Create(&berth[U]{OrgID: "a", Keys: berthed[U](mail(2), mail(15))}).Error != nil || w.DryRun, nil
		}},
	}
}
