package sqlstore

import (
	"bytes"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/rowseal/rowseal/envelope"
	"github.com/rowseal/rowseal/keyring"
	"github.com/rowseal/rowseal/kms"
	"github.com/rowseal/rowseal/kms/localkms"
)

func TestWhatIsCreatedIsReadBackWhole(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		parent := storeKey("0")
		awkward := key("quote ' \" \\ { } \u2028 <b> \u00e9\u0301 \U0001F511 "+strings.Repeat("x", 200), 4294967295)
		awkward.Wraps = []kms.Wrapped{
			{RootKey: `arn:aws:kms:eu-west-1:1:key/a"},{"root":"\`, Blob: []byte{0}},
			{RootKey: `"`, Blob: bytes.Repeat([]byte{0xff}, kms.MaxBlob)},
		}
		awkward.ChangedBy, awkward.Reason = `o'neil "x"`, "because\n\\"
		index := key("a", 1)
		index.Purpose = keyring.PurposeIndex
		global := key("*", 1)
		global.Purpose = keyring.PurposeGlobalIndex
		records := []keyring.Record{
			awkward, key("a", 1), index, global, parent, under(parent, key("b", 1)), with(keyring.Retired, key("c", 1)), with(keyring.Destroyed, key("d", 1)),
		}
		before, err := s.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		stored := create(t, s, records...)
		after, err := s.Now(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		read, err := s.ByID(t.Context(), ids(records))
		if err != nil || len(read) != len(records) {
			t.Fatalf("ByID returned %d records, %v; want %d", len(read), err, len(records))
		}
		for i, want := range records {
			sameRecord(t, stored[i], want)
			at := slices.IndexFunc(read, func(r keyring.Record) bool { return r.ID == want.ID })
			sameRecord(t, read[at], want)
			got := read[at]
			if got.CreatedAt.Before(before) || got.CreatedAt.After(after) || !got.ChangedAt.Equal(got.CreatedAt) {
				t.Errorf("created %v, changed %v; the database's clock went from %v to %v", got.CreatedAt, got.ChangedAt, before, after)
			}
			if got.CreatedAt.Location() != time.UTC {
				t.Errorf("times are in %v, not UTC", got.CreatedAt.Location())
			}
		}
	})
}

func TestByID(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		p, q := storeKey("0"), storeKey("1")
		a, b, c := under(p, key("a", 1)), under(p, key("b", 1)), under(q, key("c", 1))
		d, orphan := key("d", 1), under(storeKey("2"), key("e", 1))
		create(t, s, p, q, a, b, c, d, orphan)
		for _, tt := range []struct {
			name      string
			ask, want []envelope.KeyID
		}{
			{"asks nothing for no ids", nil, nil},
			{"returns a key without a parent alone", []envelope.KeyID{d.ID}, []envelope.KeyID{d.ID}},
			{"adds a parent once for two keys", []envelope.KeyID{a.ID, b.ID}, []envelope.KeyID{a.ID, b.ID, p.ID}},
			{"adds every parent", []envelope.KeyID{a.ID, c.ID, d.ID}, []envelope.KeyID{a.ID, c.ID, d.ID, p.ID, q.ID}},
			{"returns a parent once that was also asked for", []envelope.KeyID{p.ID, a.ID}, []envelope.KeyID{a.ID, p.ID}},
			{"returns a key once that was asked for twice", []envelope.KeyID{d.ID, d.ID}, []envelope.KeyID{d.ID}},
			{"leaves out what does not exist", []envelope.KeyID{newID(), d.ID}, []envelope.KeyID{d.ID}},
			{"leaves out a parent that does not exist", []envelope.KeyID{orphan.ID}, []envelope.KeyID{orphan.ID}},
		} {
			t.Run(tt.name, func(t *testing.T) {
				got, err := s.ByID(t.Context(), tt.ask)
				if err != nil {
					t.Fatal(err)
				}
				sameIDs(t, got, tt.want...)
			})
		}
	})
}

func TestLatest(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		p := storeKey("0")
		rotated1, rotated2 := with(keyring.Retired, key("rotated", 1)), key("rotated", 2)
		ahead1, ahead2 := key("ahead", 1), with(keyring.Retired, key("ahead", 2))
		two1, two2 := key("two", 1), key("two", 2)
		gone1, gone2 := with(keyring.Retired, key("gone", 1)), with(keyring.Destroyed, key("gone", 2))
		retired := with(keyring.Retired, key("retired", 1))
		child, index := under(p, key("child", 1)), key("rotated", 7)
		index.Purpose = keyring.PurposeIndex
		star, global := key("*", 1), key("*", 1)
		star.Purpose, global.Purpose = keyring.PurposeIndex, keyring.PurposeGlobalIndex
		create(t, s, p, rotated1, rotated2, ahead1, ahead2, two1, two2, gone1, gone2, retired, child, index, star, global)
		for _, tt := range []struct {
			name    string
			purpose keyring.Purpose
			tenants []string
			want    []envelope.KeyID
		}{
			{"asks nothing for no tenants", keyring.PurposeTenant, nil, nil},
			{"takes the newest of active keys", keyring.PurposeTenant, []string{"two"}, []envelope.KeyID{two2.ID}},
			{"takes the active key before older ones", keyring.PurposeTenant, []string{"rotated"}, []envelope.KeyID{rotated2.ID}},
			{"takes an active key before a newer retired one", keyring.PurposeTenant, []string{"ahead"}, []envelope.KeyID{ahead1.ID}},
			{"shows a tombstone where no key is active", keyring.PurposeTenant, []string{"gone"}, []envelope.KeyID{gone2.ID}},
			{"shows a retired key where no key is active", keyring.PurposeTenant, []string{"retired"}, []envelope.KeyID{retired.ID}},
			{"adds the parent", keyring.PurposeTenant, []string{"child"}, []envelope.KeyID{child.ID, p.ID}},
			{"keeps purposes apart", keyring.PurposeIndex, []string{"rotated", "two"}, []envelope.KeyID{index.ID}},
			{"keeps the global index key apart from a tenant of its name", keyring.PurposeGlobalIndex, []string{"*"}, []envelope.KeyID{global.ID}},
			{"finds the index key of a tenant of that name", keyring.PurposeIndex, []string{"*"}, []envelope.KeyID{star.ID}},
			{"finds store keys", keyring.PurposeStore, []string{"0", "1"}, []envelope.KeyID{p.ID}},
			{"keeps tenants apart by case", keyring.PurposeTenant, []string{"TWO", "two "}, nil},
			{
				"answers for many, named twice, or unknown", keyring.PurposeTenant,
				[]string{"two", "nobody", "child", "two", "retired"},
				[]envelope.KeyID{two2.ID, child.ID, p.ID, retired.ID},
			},
		} {
			t.Run(tt.name, func(t *testing.T) {
				got, err := s.Latest(t.Context(), tt.purpose, tt.tenants)
				if err != nil {
					t.Fatal(err)
				}
				sameIDs(t, got, tt.want...)
			})
		}
	})
}

func TestCreateKeepsWhatStands(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		first, second := key("a", 1), key("a", 1)
		create(t, s, first)
		t.Run("and returns it at the place of the loser", func(t *testing.T) {
			fresh := key("b", 1)
			got := create(t, s, fresh, second)
			sameRecord(t, got[0], fresh)
			sameRecord(t, got[1], first)
		})
		t.Run("and takes the next version", func(t *testing.T) {
			next := key("a", 2)
			sameRecord(t, create(t, s, next)[0], next)
		})
		t.Run("and the first of two for one place in a call", func(t *testing.T) {
			one, two := key("c", 1), key("c", 1)
			got := create(t, s, one, two)
			if got[0].ID != got[1].ID || (got[0].ID != one.ID && got[0].ID != two.ID) {
				t.Errorf("got %v and %v for one place", got[0].ID, got[1].ID)
			}
		})
		t.Run("and a tombstone blocks its version", func(t *testing.T) {
			dead := with(keyring.Destroyed, first)
			if done, err := s.Update(t.Context(), first, dead); !done || err != nil {
				t.Fatal(done, err)
			}
			if got := create(t, s, second)[0]; got.ID != first.ID || got.State != keyring.Destroyed || len(got.Wraps) != 0 {
				t.Errorf("the tombstone's place holds %v", &got)
			}
		})
		t.Run("and says so when an id is in use", func(t *testing.T) {
			clash := key("z", 1)
			clash.ID = first.ID
			_, err := s.Create(t.Context(), []keyring.Record{clash})
			if err == nil || !strings.Contains(err.Error(), clash.ID.String()) || !strings.Contains(err.Error(), "new id") {
				t.Errorf("got %v", err)
			}
		})
	})
}

func TestUpdate(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		parent := storeKey("0")
		create(t, s, parent)
		stored := create(t, s, key("a", 1))[0]
		changed := stored
		changed.Tenant, changed.Version, changed.Commitment = "other", 9, [32]byte{1} // not Update's business
		changed.State, changed.Parent, changed.ChangedBy, changed.Reason = keyring.Retired, parent.ID, "ann", "rotation"
		changed.Wraps = []kms.Wrapped{{RootKey: "store:" + parent.ID.String(), Blob: []byte("new")}}
		time.Sleep(2 * time.Millisecond) // SQLite's clock ticks once in a millisecond
		if done, err := s.Update(t.Context(), stored, changed); !done || err != nil {
			t.Fatal(done, err)
		}
		want := stored
		want.State, want.Parent, want.Wraps, want.ChangedBy, want.Reason = changed.State, changed.Parent, changed.Wraps, "ann", "rotation"
		now := one(t, s, stored.ID)
		t.Run("replaces what it may and nothing else", func(t *testing.T) { sameRecord(t, now, want) })
		t.Run("sets the time of the change only", func(t *testing.T) {
			if !now.CreatedAt.Equal(stored.CreatedAt) || !now.ChangedAt.After(stored.ChangedAt) {
				t.Errorf("created %v then %v, changed %v then %v", stored.CreatedAt, now.CreatedAt, stored.ChangedAt, now.ChangedAt)
			}
		})
		t.Run("leaves the time where wraps alone change, or nothing does", func(t *testing.T) {
			rewrapped := now
			rewrapped.Wraps = []kms.Wrapped{{RootKey: "store:" + parent.ID.String(), Blob: []byte("newer")}}
			for _, step := range [][2]keyring.Record{{now, rewrapped}, {rewrapped, rewrapped}, {rewrapped, now}} {
				if done, err := s.Update(t.Context(), step[0], step[1]); !done || err != nil {
					t.Fatal(done, err)
				}
				if got := one(t, s, stored.ID); !got.ChangedAt.Equal(now.ChangedAt) {
					t.Errorf("changed %v, then %v", now.ChangedAt, got.ChangedAt)
				}
			}
		})
		moreWraps := now
		moreWraps.Wraps = append(slices.Clone(now.Wraps), kms.Wrapped{RootKey: "r", Blob: []byte{1}})
		unknown := now
		unknown.ID = newID()
		for _, tt := range []struct {
			name string
			old  keyring.Record
		}{
			{"is refused when the state is another", with(keyring.Active, now)},
			{"is refused when the wraps are others", moreWraps},
			{"is refused when the record was destroyed in the caller's eyes only", with(keyring.Destroyed, now)},
			{"is refused when there is no such record", unknown},
		} {
			t.Run(tt.name, func(t *testing.T) {
				done, err := s.Update(t.Context(), tt.old, with(keyring.Destroyed, now))
				if done || err != nil {
					t.Errorf("got %v, %v", done, err)
				}
				sameRecord(t, one(t, s, stored.ID), want)
			})
		}
		t.Run("frees a key of its parent and destroys it", func(t *testing.T) {
			dead := with(keyring.Destroyed, now)
			dead.Parent = envelope.KeyID{}
			if done, err := s.Update(t.Context(), now, dead); !done || err != nil {
				t.Fatal(done, err)
			}
			sameRecord(t, one(t, s, stored.ID), dead)
		})
	})
}

func one(t *testing.T, s *Store, id envelope.KeyID) keyring.Record {
	t.Helper()
	list, err := s.ByID(t.Context(), []envelope.KeyID{id})
	at := slices.IndexFunc(list, func(r keyring.Record) bool { return r.ID == id })
	if err != nil || at < 0 {
		t.Fatalf("key %v: %v, %v", id, list, err)
	}
	return list[at]
}

func TestList(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		p := storeKey("0")
		a1, a2, b := key("a", 1), key("a", 2), under(p, key("b", 1))
		dead, index := with(keyring.Destroyed, key("c", 1)), key("a", 1)
		index.Purpose = keyring.PurposeIndex
		create(t, s, p, a1, a2, b, dead, index)
		for _, tt := range []struct {
			name   string
			filter keyring.Filter
			want   []envelope.KeyID
		}{
			{"returns all without a filter", keyring.Filter{}, []envelope.KeyID{p.ID, a1.ID, a2.ID, b.ID, dead.ID, index.ID}},
			{"narrows by tenant", keyring.Filter{Tenant: "a"}, []envelope.KeyID{a1.ID, a2.ID, index.ID}},
			{"narrows by purpose", keyring.Filter{Purpose: keyring.PurposeTenant}, []envelope.KeyID{a1.ID, a2.ID, b.ID, dead.ID}},
			{"leaves out what a store key wraps, and tombstones", keyring.Filter{RootWrapped: true}, []envelope.KeyID{p.ID, a1.ID, a2.ID, index.ID}},
			{"narrows by all at once", keyring.Filter{Tenant: "a", Purpose: keyring.PurposeIndex, RootWrapped: true}, []envelope.KeyID{index.ID}},
			{"finds nothing of a stranger", keyring.Filter{Tenant: "nobody"}, nil},
		} {
			for _, limit := range []int{1, 2, 100} {
				t.Run(tt.name, func(t *testing.T) {
					var got []keyring.Record
					var after envelope.KeyID
					for {
						page, err := s.List(t.Context(), tt.filter, after, limit)
						if err != nil {
							t.Fatal(err)
						}
						if len(page) > limit {
							t.Fatalf("a page of %d records, limit %d", len(page), limit)
						}
						if len(page) == 0 {
							break
						}
						got, after = append(got, page...), page[len(page)-1].ID
					}
					sameIDs(t, got, tt.want...)
					if !slices.IsSortedFunc(got, func(a, b keyring.Record) int { return bytes.Compare(a.ID[:], b.ID[:]) }) {
						t.Errorf("not by ascending id: %v", ids(got))
					}
				})
			}
		}
	})
}

func TestManyKeysInOneCall(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		const n = 10_000
		p := storeKey("0")
		records, tenants := []keyring.Record{p}, make([]string, n)
		for i := range tenants {
			r := under(p, key("tenant "+newID().String(), 1))
			records, tenants[i] = append(records, r), r.Tenant
		}
		create(t, s, records...)
		byID, err := s.ByID(t.Context(), ids(records[1:]))
		if err != nil {
			t.Fatal(err)
		}
		sameIDs(t, byID, ids(records)...)
		latest, err := s.Latest(t.Context(), keyring.PurposeTenant, tenants)
		if err != nil {
			t.Fatal(err)
		}
		sameIDs(t, latest, ids(records)...)
	})
}

type request func(t *testing.T, s *Store) error

type invalidRequest struct {
	name string
	do   request
	says string
}

func invalidRequests() []invalidRequest {
	change := func(f func(r *keyring.Record)) request {
		return func(t *testing.T, s *Store) error {
			r := key("a", 1)
			f(&r)
			_, err := s.Create(t.Context(), []keyring.Record{key("good", 1), r})
			if left, lerr := s.List(t.Context(), keyring.Filter{}, envelope.KeyID{}, 10); lerr != nil || len(left) != 0 {
				t.Errorf("left behind: %v, %v", left, lerr)
			}
			return err
		}
	}
	wrap := func(w kms.Wrapped) func(r *keyring.Record) {
		return func(r *keyring.Record) { r.Wraps = []kms.Wrapped{w} }
	}
	latest := func(p keyring.Purpose, tenants ...string) request {
		return func(t *testing.T, s *Store) error {
			_, err := s.Latest(t.Context(), p, tenants)
			return err
		}
	}
	list := func(f keyring.Filter, limit int) request {
		return func(t *testing.T, s *Store) error {
			_, err := s.List(t.Context(), f, envelope.KeyID{}, limit)
			return err
		}
	}
	return []invalidRequest{
		{"a zero id", change(func(r *keyring.Record) { r.ID = envelope.KeyID{} }), "id is zero"},
		{"version 0", change(func(r *keyring.Record) { r.Version = 0 }), "versions begin at 1"},
		{"an empty tenant", change(func(r *keyring.Record) { r.Tenant = "" }), "1 to 255"},
		{"a long tenant", change(func(r *keyring.Record) { r.Tenant = strings.Repeat("x", 256) }), "1 to 255"},
		{"a tenant that is not UTF-8", change(func(r *keyring.Record) { r.Tenant = "\xff" }), "not UTF-8"},
		{"a tenant with NUL", change(func(r *keyring.Record) { r.Tenant = "a\x00b" }), "without NUL"},
		{"an unknown purpose", change(func(r *keyring.Record) { r.Purpose = "row" }), "tenant, index, index-global, store"},
		{"an unknown state", change(func(r *keyring.Record) { r.State = "" }), "active, retired, destroyed"},
		{"an active key without wraps", change(func(r *keyring.Record) { r.Wraps = nil }), "no wraps"},
		{"a tombstone with wraps", change(func(r *keyring.Record) { r.State = keyring.Destroyed }), "still has wraps"},
		{"a missing commitment", change(func(r *keyring.Record) { r.Commitment = [32]byte{} }), "no commitment"},
		{"a wrap without a root key", change(wrap(kms.Wrapped{Blob: []byte{1}})), "wrap 1"},
		{"a root key with a space", change(wrap(kms.Wrapped{RootKey: "a b", Blob: []byte{1}})), "wrap 1"},
		{"an empty blob", change(wrap(kms.Wrapped{RootKey: "r"})), "wrap 1"},
		{"a long blob", change(wrap(kms.Wrapped{RootKey: "r", Blob: make([]byte, kms.MaxBlob+1)})), "wrap 1"},
		{"too many wraps", change(func(r *keyring.Record) { r.Wraps = slices.Repeat(r.Wraps, 65) }), "up to 64"},
		{"a long reason", change(func(r *keyring.Record) { r.Reason = strings.Repeat("x", 1025) }), "Reason is 1025 bytes"},
		{"a name that is not UTF-8", change(func(r *keyring.Record) { r.ChangedBy = "\xff" }), "ChangedBy"},
		{"a search for an empty tenant", latest(keyring.PurposeTenant, "a", ""), "1 to 255"},
		{"a search for a tenant that is not UTF-8", latest(keyring.PurposeTenant, "\xff"), "not UTF-8"},
		{"a search for a tenant with NUL", latest(keyring.PurposeTenant, "\x00"), "without NUL"},
		{"a search for an unknown purpose", latest("row", "a"), "tenant, index, index-global, store"},
		{"a list of nothing", list(keyring.Filter{}, 0), "at least 1"},
		{"a list of a tenant that is not UTF-8", list(keyring.Filter{Tenant: "\xff"}, 1), "not UTF-8"},
		{"a list of an unknown purpose", list(keyring.Filter{Purpose: "row"}, 1), "tenant, index, index-global, store"},
		{"an update that leaves a tombstone its wraps", func(t *testing.T, s *Store) error {
			r := key("a", 1)
			dead := r
			dead.State = keyring.Destroyed
			_, err := s.Update(t.Context(), r, dead)
			return err
		}, "still has wraps"},
		{"an update from what cannot have been read", func(t *testing.T, s *Store) error {
			r := key("a", 1)
			_, err := s.Update(t.Context(), with("new", r), r)
			return err
		}, "active, retired, destroyed"},
	}
}

func TestInvalidRequestsAreRefused(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		for _, tt := range invalidRequests() {
			t.Run(tt.name, func(t *testing.T) {
				err := tt.do(t, s)
				var e *Error
				if !errors.Is(err, ErrInvalid) || !errors.As(err, &e) || e.Store != s.Name() {
					t.Fatalf("got %v", err)
				}
				if !strings.Contains(err.Error(), tt.says) {
					t.Errorf("%q does not say %q", err, tt.says)
				}
			})
		}
	})
}

// TestAnEndedTenantIsFound: its mark names itself as Parent, and is returned once.
func TestAnEndedTenantIsFound(t *testing.T) {
	each(t, func(t *testing.T, s *Store) {
		root := localkms.Memory()
		k, err := keyring.New(keyring.Config{Roots: []kms.KMS{root}, Store: s})
		if err != nil {
			t.Fatal(err)
		}
		if err := k.Prepare(t.Context(), "a"); err != nil {
			t.Fatal(err)
		}
		for _, tenant := range []string{"a", "without keys"} {
			for range 2 {
				if _, err := k.Shred(t.Context(), tenant, "ann", "asked"); err != nil {
					t.Fatal(err)
				}
			}
			list, err := s.Latest(t.Context(), keyring.PurposeTenant, []string{tenant})
			if err != nil || len(list) != 1 || !list[0].Ended() {
				t.Errorf("latest of %s: %v, %v", tenant, list, err)
				continue
			}
			if list, err = s.ByID(t.Context(), []envelope.KeyID{list[0].ID}); err != nil || len(list) != 1 || !list[0].Ended() {
				t.Errorf("by id: %v, %v", list, err)
			}
		}
		if err := k.Bar(t.Context(), "barred", "ann", ""); err != nil {
			t.Fatal(err)
		}
		if list, err := s.Latest(t.Context(), keyring.PurposeTenant, []string{"barred"}); err != nil || len(list) != 1 || !list[0].Mark() || list[0].Ended() {
			t.Errorf("barred: %v, %v", list, err)
		}
	})
}
