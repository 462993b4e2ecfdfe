package gormplugin

import (
	"bytes"
	"log"
	"reflect"
	"runtime"
	"strings"
	"sync"
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

// shelf and book are sealed, and each knows the other.
type shelf struct {
	ID    uint
	Name  string `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	Books []book
}

type book struct {
	ID      uint
	Title   string `gorm:"serializer:rowseal;type:bytes" rowseal:"seal"`
	ShelfID uint
	Shelf   *shelf
}

// RowsealID lets others run, as reading a large model would.
func (book) RowsealID() string {
	for range 1000 {
		runtime.Gosched()
	}
	return "books"
}

func TestAModelIsKnownTogetherWithItsAssociations(t *testing.T) {
	schema.RegisterSerializer(serializerName, carrier{})
	parsed, err := schema.Parse(&shelf{}, &sync.Map{}, schema.NamingStrategy{})
	if err != nil {
		t.Fatal(err)
	}
	r, start := &registry{}, make(chan struct{})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			<-start
			if _, err := r.model(parsed, "t"); err != nil {
				t.Error(err)
			}
			if len(r.tables("books")) == 0 {
				t.Error("a statement could name books and be taken for harmless")
			}
		})
	}
	close(start)
	all.Wait()
}
