// Inserts, selects, updates and prepares through the proxy with node's pg.
const assert = require('assert')
const { Client } = require('pg')

async function main() {
  const client = new Client({ connectionString: process.argv[2] })
  await client.connect()
  await client.query('BEGIN')
  for (const name of [undefined, 'insert']) {
    await client.query({ name, text: 'INSERT INTO users (id, ssn, num, doc) VALUES ($1, $2, $3, $4)', values: [500, 'canary-node-1', 42424211, { canary: 1 }] })
    const { rows, fields } = await client.query('SELECT id, ssn, num, doc FROM users WHERE ssn = $1', ['canary-node-1'])
    assert.deepStrictEqual(rows, [{ id: 500, ssn: 'canary-node-1', num: 42424211, doc: { canary: 1 } }])
    assert.deepStrictEqual(fields.map((f) => f.dataTypeID), [23, 25, 23, 3802])
    await client.query('UPDATE users SET ssn = $1 WHERE ssn = ANY($2)', ['canary-node-2', ['canary-node-1', 'x']])
    const found = await client.query({ name: name && 'select', text: 'SELECT id FROM users WHERE ssn = $1', values: ['canary-node-2'] })
    assert.deepStrictEqual(found.rows, [{ id: 500 }])
    await client.query('DELETE FROM users WHERE id = 500')
  }
  const both = await client.query("SELECT ssn FROM users WHERE id = 1; SELECT name FROM users WHERE ssn = 'canary-ssn-2'")
  assert.deepStrictEqual(both.map((r) => r.rows), [[{ ssn: 'canary-ssn-1' }], [{ name: 'canaryBob' }]])
  await client.query('ROLLBACK')
  await assert.rejects(client.query('SELECT upper(ssn) FROM users'), (e) => e.code === '0A000' && e.message.includes('ssn'))
  assert.deepStrictEqual((await client.query('SELECT 1 AS one')).rows, [{ one: 1 }])
  await client.end()
  console.log('ok')
}

main().catch((e) => {
  console.error(e)
  process.exit(1)
})
