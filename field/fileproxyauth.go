package field

// texts reads those of the values that are plain texts.
func (r *fileReader) texts(values map[string]*yamlNode, into map[string]*string) {
	for name, s := range into {
		if v := values[name]; v != nil {
			*s, _ = r.text(v)
		}
	}
}

func (r *fileReader) proxyTLS(n *yamlNode) (t ProxyTLS) {
	values := r.mapping(n, proxyTLSWords)
	r.texts(values, map[string]*string{"cert": &t.Cert, "key": &t.Key, "client_ca": &t.ClientCA})
	if v := values["require"]; v != nil {
		t.Require = r.boolean(v)
	}
	if (values["cert"] == nil || values["key"] == nil) && len(values) > 0 {
		r.fail(n, "needs both cert and key, each the path of a PEM file")
	}
	if v := values["client_name"]; v != nil {
		t.ClientName = ProxyName(r.word(v, proxyNameWords) + 1)
		if values["client_ca"] == nil {
			r.fail(v, "goes with client_ca, which has clients show a certificate; add it")
		}
	}
	if v := values["client_users"]; v != nil {
		t.ClientUsers = r.proxyNamed(v)
		if values["client_name"] == nil {
			r.fail(v, "goes with client_name, which says what name of a certificate counts; add it")
		}
	}
	return t
}

// proxyNamed reads pairs of a certificate's name and a user. A name may have several users, a user several names.
func (r *fileReader) proxyNamed(n *yamlNode) (list []ProxyNamed) {
	if n.kind != yamlSequence || len(n.items) == 0 {
		r.fail(n, "is no list; accepted: [{name: NAME, user: USER}]")
		return nil
	}
	for _, item := range n.items {
		var p ProxyNamed
		values := r.mapping(item, proxyNamedWords)
		r.texts(values, map[string]*string{"name": &p.Name, "user": &p.User})
		if values["name"] == nil || values["user"] == nil {
			r.fail(item, "needs both name, of a certificate, and user")
		}
		list = append(list, p)
	}
	return list
}

func (r *fileReader) proxyAuth(n *yamlNode) (a ProxyAuth) {
	values := r.mapping(n, proxyAuthWords)
	r.texts(values, map[string]*string{"users": &a.Users, "query": &a.Query})
	if v := values["service"]; v != nil {
		a.Service = r.proxyService(v)
	}
	if v := values["mock"]; v != nil {
		a.Mock = r.proxyMock(v)
	}
	switch users, query := values["users"] != nil, values["query"] != nil; {
	case users && query:
		r.fail(n, "names both a file of users and a query; keep one")
	case !users && !query && len(values) > 0:
		r.fail(n, "does not say who the users are; add users: FILE or query: SQL")
	}
	return a
}

// proxyService takes no password from the file itself, which is kept where policies are read.
func (r *fileReader) proxyService(n *yamlNode) (s ProxyService) {
	values := r.mapping(n, proxyServiceWords)
	r.texts(values, map[string]*string{"user": &s.User, "password_file": &s.PasswordFile, "password_env": &s.PasswordEnv})
	if values["user"] == nil {
		r.fail(n, "names no user")
	}
	if values["password_file"] != nil && values["password_env"] != nil {
		r.fail(n, "has both password_file and password_env; keep one")
	}
	return s
}

func (r *fileReader) proxyMock(n *yamlNode) (m ProxyMock) {
	values := r.mapping(n, proxyMockWords)
	r.texts(values, map[string]*string{"secret_file": &m.SecretFile})
	if v := values["iterations"]; v != nil {
		m.Iterations = r.integer(v, 1, maxIterations)
	}
	return m
}
