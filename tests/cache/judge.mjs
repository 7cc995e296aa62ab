// Asks a cache all questions of the npm package http-cache-tests and compares the answers with those that are known.
//
//   node tests/cache/judge.mjs SUITE CACHE [EXPECTED]
//
// SUITE is the package's folder, CACHE the URL of a cache in front of origin.mjs, EXPECTED the list beside this file if not given.
// Prints how many tests passed, and every one whose answer is another than EXPECTED has it. Exits with 0 if no test that should
// pass failed, 1 if one did, 2 if nothing could be said.

import fs from 'node:fs'
import path from 'node:path'
import { pathToFileURL } from 'node:url'

// Tests that run at a time: the package's own number.
const AT_ONCE = 100
// A test says that a response is fresh for two seconds and asks again at once. A machine that stands still meanwhile makes it fail, so
// whatever fails and should not is asked again.
const ATTEMPTS = 3
// Four times what a run takes.
const LIMIT_MS = 240_000

const [suite, cache, expectedFile] = process.argv.slice(2)
if (cache === undefined) giveUp('usage: node judge.mjs SUITE CACHE [EXPECTED]')
setTimeout(() => giveUp(`no verdict within ${LIMIT_MS / 1000} s`), LIMIT_MS).unref()

const part = name => import(pathToFileURL(path.resolve(suite, name)))
const { default: suites } = await part('tests/index.mjs')
const { default: surrogate } = await part('tests/surrogate-control.mjs')
const { default: fetch } = await part('node_modules/node-fetch/lib/index.mjs').catch(() => part('../node-fetch/lib/index.mjs'))
const client = await part('client/config.mjs')
const { makeCacheTest, testResults } = await part('client/test.mjs')

const tests = new Map()
for (const test of [...suites, surrogate].flatMap(suite => suite.tests)) {
  if (test.browser_only !== true) tests.set(test.id, { kind: 'required', depends_on: [], ...test })
}
const expected = JSON.parse(fs.readFileSync(expectedFile ?? new URL('expected.json', import.meta.url), 'utf8'))
const known = new Set(Object.values(expected).flatMap(group => Object.keys(group)))
for (const id of known) if (!tests.has(id)) giveUp(`EXPECTED names ${id}, which is no test of this suite`)

client.setFetch(fetch)
client.setUseBrowserCache(false)
client.setBaseUrl(cache.replace(/\/$/, ''))

await ask([...tests.keys()])
const wrong = () => [...tests.keys()].filter(id => !passed(id) && !known.has(id))
for (let attempt = 1; attempt < ATTEMPTS && wrong().length > 0; attempt++) {
  const again = new Set(wrong().flatMap(id => [id, ...tests.get(id).depends_on]))
  console.log(`asking again: ${[...again].join(', ')}`)
  await ask([...again])
}

for (const kind of ['required', 'optimal', 'check']) {
  const ids = [...tests.keys()].filter(id => tests.get(id).kind === kind)
  const word = kind === 'check' ? 'answered with yes' : 'passed'
  console.log(`${kind}: ${ids.filter(passed).length} of ${ids.length} ${word}`)
}
for (const id of known) if (passed(id)) console.log(`now passes, and need not be in the list: ${id}`)
const failed = wrong()
for (const id of failed) console.log(`FAILED ${id} (${tests.get(id).kind}): ${reason(id)}`)
process.exit(failed.length > 0 ? 1 : 0)

async function ask (ids) {
  for (let from = 0; from < ids.length; from += AT_ONCE) {
    const some = ids.slice(from, from + AT_ONCE)
    for (const id of some) delete testResults[id]
    // A run writes into its test: the next one needs it as it was.
    await Promise.all(some.map(id => makeCacheTest(structuredClone(tests.get(id)))))
  }
}

// As the package's own pages count: a test whose premises do not hold says nothing, whatever came of it.
function passed (id) {
  return testResults[id] === true && tests.get(id).depends_on.every(passed)
}

function reason (id) {
  if (testResults[id] !== true) return testResults[id].join(': ')
  return `its premise does not hold: ${tests.get(id).depends_on.filter(premise => !passed(premise)).join(', ')}`
}

function giveUp (why) {
  console.error(why)
  process.exit(2)
}
