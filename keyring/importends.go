package keyring

import (
	"context"
	"io"
)

// noteEnd gathers the tenants that the file says were shredded or barred.
func (i *importer) noteEnd(r *Record) error {
	if r.Mark() && !r.Purpose.shared() {
		i.ends[r.Tenant] = Destroyed
		i.marks[r.ID] = true
	}
	return nil
}

// endTenants ends in the store what ended in the file, or notes that it lives on.
func (i *importer) endTenants(ctx context.Context, file io.ReadSeeker) error {
	i.lives = map[string]bool{}
	if len(i.ends) == 0 {
		return nil
	}
	if err := i.read(file, i.barredOnly); err != nil {
		return err
	}
	for tenant, to := range i.ends {
		alive, err := i.alive(ctx, tenant, to)
		if err != nil {
			return err
		}
		if len(alive) == 0 {
			continue
		}
		if !i.cfg.Destroy {
			i.lives[tenant] = true
			i.leaveNew(alive)
			continue
		}
		if err := i.k.end(ctx, tenant, to, i.cfg.By, "shredded, says an export"); err != nil {
			return err
		}
		if to == Destroyed {
			i.done.Destroyed += int64(len(alive))
		}
	}
	return nil
}

// barredOnly finds tenants whose values still open: they have a mark, and keys that live.
func (i *importer) barredOnly(r Record) error {
	_, ends := i.ends[r.Tenant]
	switch {
	case !ends || r.Purpose.shared():
	case r.State == Destroyed:
		i.dead[r.ID] = true
	default:
		i.ends[r.Tenant] = Retired
	}
	return nil
}

// alive returns the keys of a tenant that are not yet at the end of its life, to.
func (i *importer) alive(ctx context.Context, tenant string, to State) (alive []Record, err error) {
	for _, p := range tenantPurposes {
		list, err := i.k.versions(ctx, p, tenant)
		if err != nil {
			return nil, err
		}
		for _, r := range list {
			if r.State == Active || r.State == Retired && to == Destroyed {
				alive = append(alive, r)
			}
		}
	}
	return alive, nil
}

// leaveNew notes keys of a tenant that lives on; those that the file has as tombstones are noted with these.
func (i *importer) leaveNew(alive []Record) {
	for n := range alive {
		if !i.dead[alive[n].ID] {
			i.leave(&alive[n])
		}
	}
}

// settle ends what the import itself brought back to tenants that were shredded while it ran,
// or while an earlier one did that was stopped before this. Such keys stand as the file has
// them. Of a tenant that was barred only, whose keys may live, others do not.
func (i *importer) settle(ctx context.Context, file io.ReadSeeker) error {
	marked := map[string]bool{}
	err := i.k.Each(ctx, Filter{}, func(r Record) error {
		if r.Mark() && !i.lives[r.Tenant] && i.ends[r.Tenant] == "" {
			marked[r.Tenant] = true
		}
		return nil
	})
	if err != nil || len(marked) == 0 {
		return err
	}
	brought := map[string][]Record{}
	err = i.read(file, func(r Record) error {
		if r.State != Destroyed && !r.Purpose.shared() && marked[r.Tenant] {
			brought[r.Tenant] = append(brought[r.Tenant], r)
		}
		return nil
	})
	for tenant, list := range brought {
		if err == nil {
			err = i.settleTenant(ctx, tenant, list)
		}
	}
	return err
}

func (i *importer) settleTenant(ctx context.Context, tenant string, file []Record) error {
	alive, err := i.alive(ctx, tenant, Destroyed)
	if err != nil || len(alive) == 0 {
		return err
	}
	to := Destroyed
	active := false
	for n := range alive {
		s := &alive[n]
		active = active || s.State == Active
		if !asInFile(s, file) {
			to = Retired
		}
	}
	if to == Retired && !active {
		return nil
	}
	return i.k.end(ctx, tenant, to, i.cfg.By, "")
}

// asInFile reports whether s is a record of the file that nobody changed since.
func asInFile(s *Record, file []Record) bool {
	for n := range file {
		r := &file[n]
		if r.ID == s.ID {
			return r.State == s.State && r.ChangedAt.UnixMicro() == s.ChangedAt.UnixMicro() || r.Version != s.Version
		}
	}
	return false
}
