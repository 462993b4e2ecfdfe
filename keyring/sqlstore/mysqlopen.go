package sqlstore

import (
	"crypto/fips140"
	"database/sql"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/go-sql-driver/mysql"
)

// openMySQL returns a Store for mysql://user:password@host:3306/database?….
func openMySQL(connection string) (*Store, error) {
	config, err := mySQLConfig(connection)
	if err != nil {
		return nil, &Error{
			Op: "open", Store: "MySQL", Err: fmt.Errorf("%w: %w", ErrInvalid, err),
			Remedy: "write mysql://user:password@host:3306/database?tls=true, special characters escaped (%2F for /)",
		}
	}
	connector, err := mysql.NewConnector(config)
	if err != nil {
		return nil, &Error{Op: "open", Store: "MySQL", Err: fmt.Errorf("%w: the driver refuses the parameters", ErrInvalid)}
	}
	db := sql.OpenDB(connector)
	db.SetMaxOpenConns(poolSize)
	db.SetMaxIdleConns(poolSize)
	db.SetConnMaxIdleTime(maxIdleTime)
	db.SetConnMaxLifetime(maxLifetime)
	return New(Config{
		DB: db, Dialect: MySQL, CloseDB: true,
		Name: fmt.Sprintf("MySQL %s, database %s", config.Addr, config.DBName),
	})
}

// mySQLConfig reads the URL. Its errors hold none of its parts, because what
// cannot be parsed may be a password.
func mySQLConfig(connection string) (*mysql.Config, error) {
	u, err := url.Parse(connection)
	if err != nil {
		return nil, errors.New("the connection string is not a URL")
	}
	query := u.Query()
	network, address := "tcp", u.Host
	if socket := query.Get("socket"); socket != "" {
		network, address = "unix", socket
		query.Del("socket")
	} else if u.Port() == "" {
		address = net.JoinHostPort(u.Hostname(), "3306")
	}
	database := strings.TrimPrefix(u.Path, "/")
	switch {
	case u.Hostname() == "" && network == "tcp":
		return nil, errors.New("the connection string names no host")
	case database == "" || strings.Contains(database, "/"):
		return nil, errors.New("the connection string names no database")
	case u.Fragment != "" || strings.ContainsAny(address, "()"):
		return nil, errors.New("the connection string has a # or a bracket that is not escaped")
	case query.Has("charset") || query.Has("collation") || query.Has("parseTime"):
		return nil, errors.New("charset, collation and parseTime are the store's to choose")
	}
	// The account is not passed through the driver's parser, which has no
	// escapes for it.
	config, err := mysql.ParseDSN(network + "(" + address + ")/" + url.PathEscape(database) + "?" + query.Encode())
	if err != nil {
		return nil, errors.New("the driver does not understand a parameter")
	}
	if u.User != nil {
		config.User = u.User.Username()
		config.Passwd, _ = u.User.Password()
	}
	// Sets the connection's, whatever the server's defaults are.
	config.Params = withDefaults(config.Params, map[string]string{
		"autocommit": "1", "sql_mode": "'STRICT_ALL_TABLES'", "innodb_lock_wait_timeout": "10",
	})
	config.ClientFoundRows = true
	config.Logger = &mysql.NopLogger{} // what it would say is in the errors
	if fips140.Enforced() && config.Passwd != "" {
		config.AllowNativePasswords = false // it panics: SHA-1
	}
	return config, nil
}

func withDefaults(given, defaults map[string]string) map[string]string {
	for name, value := range given {
		defaults[name] = value
	}
	return defaults
}
