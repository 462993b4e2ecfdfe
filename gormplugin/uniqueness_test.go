package gormplugin_test

import (
	"fmt"
	"strings"
	"testing"

	"gorm.io/gorm"
	"gorm.io/gorm/clause"

	"github.com/rowseal/rowseal/gormplugin"
)

// mailbox has an address that no two rows share; seat one that no two rows of
// a tenant share.
type mailbox struct {
	ID   uint
	Mail string `gorm:"serializer:rowseal;type:bytes;uniqueIndex" rowseal:"search=equality,scope=global"`
	Size int
}

type seat struct {
	ID    uint
	OrgID string  `gorm:"size:40;uniqueIndex:one_seat,priority:1" rowseal:"tenant"`
	Email string  `gorm:"serializer:rowseal;type:bytes;uniqueIndex:one_seat,priority:2" rowseal:"search=equality"`
	Name  *string `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Role  string
}

func TestSealedConflictTargets(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		must(t, l.AutoMigrate(&mailbox{}, &seat{}))
		must(t, l.Create(&mailbox{Mail: mail(1), Size: 1}).Error)
		if err := l.Create(&mailbox{Mail: mail(1), Size: 2}).Error; err == nil || strings.Contains(err.Error(), canary) {
			t.Errorf("a second mailbox of one address: %v", err)
		}
		onMail := clause.OnConflict{Columns: []clause.Column{{Name: "mail"}}}
		skip, all, some := onMail, onMail, onMail
		skip.DoNothing, all.UpdateAll, some.DoUpdates = true, true, clause.AssignmentColumns([]string{"size", "mail"})
		for i, conflict := range []clause.OnConflict{skip, all, some} {
			must(t, l.Clauses(conflict).Create([]*mailbox{{Mail: mail(1), Size: 10 + i}, {Mail: mail(20 + i), Size: 5}}).Error)
			var got mailbox
			must(t, l.Where("mail = ?", mail(1)).Take(&got).Error)
			if want := []int{1, 11, 12}[i]; got.Size != want || got.Mail != mail(1) {
				t.Errorf("conflict %d left %+v, want size %d", i, got, want)
			}
		}
		var n int64
		if must(t, l.Model(&mailbox{}).Count(&n).Error); n != 4 {
			t.Errorf("%d mailboxes", n)
		}

		seatOf := clause.OnConflict{Columns: []clause.Column{{Name: "org_id"}, {Name: "email"}}, DoUpdates: clause.AssignmentColumns([]string{"role", "name"})}
		for _, org := range []string{"a", "b", "a"} {
			must(t, l.Clauses(seatOf).Create(&seat{OrgID: org, Email: mail(1), Role: "r" + org, Name: ptr(canary + org)}).Error)
		}
		var seats []seat
		must(t, l.Order("org_id").Find(&seats).Error)
		if len(seats) != 2 || seats[0].Role != "ra" || *seats[1].Name != canary+"b" || seats[1].Email != mail(1) {
			t.Errorf("seats %+v", seats)
		}
		l.mustHideCanariesIn(t, "mailboxes", "seats")
	})
}

func TestConditionsUseTheIndex(t *testing.T) {
	databases(t, func(t *testing.T, l *lab) {
		must(t, l.AutoMigrate(&mailbox{}, &seat{}, &contact{}))
		dry := l.WithContext(gormplugin.WithTenant(t.Context(), "a")).Session(&gorm.Session{DryRun: true})
		for want, tx := range map[string]*gorm.DB{
			"mail":     dry.Where("mail = ?", mail(1)).Find(&[]mailbox{}),
			"in":       dry.Where("mail IN ?", []string{mail(1), mail(2)}).Find(&[]mailbox{}),
			"one_seat": dry.Where(&seat{OrgID: "a", Email: mail(1)}).Find(&[]seat{}),
			"contacts": dry.Where(map[string]any{"email": mail(1)}).Find(&[]contact{}),
		} {
			must(t, tx.Error)
			if plan := l.plan(t, tx.Statement); !strings.Contains(plan, "rowseal_contacts_email_eq") && !strings.Contains(plan, "idx_mailboxes_mail") && !strings.Contains(plan, "one_seat") {
				t.Errorf("%s: no index in\n%s", want, plan)
			}
		}
	})
}

// plan returns how the database runs a statement where it would rather not
// read whole tables.
func (l *lab) plan(t *testing.T, stmt *gorm.Statement) string {
	t.Helper()
	explain := map[string]string{"sqlite": "EXPLAIN QUERY PLAN ", "postgres": "EXPLAIN ", "mysql": "EXPLAIN "}[l.kind]
	var lines []map[string]any
	must(t, l.stock.Transaction(func(tx *gorm.DB) error {
		if l.kind == "postgres" {
			must(t, tx.Exec("SET LOCAL enable_seqscan = off").Error)
		}
		rows, err := tx.Statement.ConnPool.QueryContext(t.Context(), explain+stmt.SQL.String(), stmt.Vars...)
		if err != nil {
			return err
		}
		defer func() { _ = rows.Close() }()
		for rows.Next() {
			line := map[string]any{}
			if err := tx.ScanRows(rows, &line); err != nil {
				return err
			}
			lines = append(lines, line)
		}
		return rows.Err()
	}))
	return fmt.Sprint(lines)
}
