// The origin of the npm package http-cache-tests, on a port of its own on the loopback interface.
//
//   node tests/cache/origin.mjs SUITE
//
// SUITE is the package's folder. Prints the origin's URL on its first line, and nothing else; runs until it is ended.

import net from 'node:net'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

const [suite] = process.argv.slice(2)
if (suite === undefined) {
  console.error('usage: node origin.mjs SUITE')
  process.exit(2)
}

// The package's server knows a port to listen at, but no address, and would be open to the network.
const listen = net.Server.prototype.listen
net.Server.prototype.listen = function (port, ...rest) {
  return listen.call(this, port, '127.0.0.1', ...rest)
}

// It reports each request of a test that it did not expect. Whoever started us reads one line and no more.
const report = console.log
console.log = line => {
  const address = /^Listening on (http:\S+[^/])\/$/.exec(line)
  if (address) report(address[1])
}

Object.assign(process.env, {
  npm_config_protocol: 'http',
  npm_config_port: '0',
  npm_config_pidfile: '/dev/null'
})
await import(pathToFileURL(path.resolve(suite, 'server/server.mjs')))
