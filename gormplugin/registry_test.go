package gormplugin

import (
	"bytes"
	"log"
	"reflect"
	"strings"
	"testing"

	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	"gorm.io/gorm/schema"
	"gorm.io/gorm/utils/tests"
)

func TestAStructThatGORMCannotParseIsTriedOnce(t *testing.T) {
	var out bytes.Buffer
	before := logger.Default
	logger.Default = logger.New(log.New(&out, "", 0), logger.Config{LogLevel: logger.Error})
	t.Cleanup(func() { logger.Default = before })
	db, err := gorm.Open(tests.DummyDialector{}, &gorm.Config{NamingStrategy: schema.NamingStrategy{}})
	if err != nil {
		t.Fatal(err)
	}
	type unreadable struct{ Value any }
	r := &registry{}
	for range 3 {
		if s := r.parsed(&gorm.Statement{DB: db}, reflect.TypeFor[unreadable]()); s != nil {
			t.Errorf("got %v", s)
		}
	}
	if n := strings.Count(out.String(), "failed to parse field"); n != 1 {
		t.Errorf("%d messages: %s", n, out.String())
	}
}
