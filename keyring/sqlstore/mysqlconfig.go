package sqlstore

import "github.com/go-sql-driver/mysql"

// MySQLConfig reads mysql://user:password@host:3306/database?… as a store does, with the settings that a store's
// connections have, for programs that open the same database. Its errors hold none of the URL's parts.
func MySQLConfig(url string) (*mysql.Config, error) { return mySQLConfig(url) }
