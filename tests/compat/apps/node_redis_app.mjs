// node-redis: what its README offers, each with its result verified. The protocol is the third argument.
import { createClient, createClientPool, RESP_TYPES } from 'redis'
import { assert, check, host, pause, port, until } from './check.mjs'

const RESP = Number(process.argv[4] ?? 2)
const open = []
const connect = async (options = {}) => {
  const client = createClient({ socket: { host, port }, RESP, ...options })
  client.on('error', () => {})
  open.push(client)
  return client.connect()
}
const client = await connect()

await check('set and get', async () => {
  assert.equal(await client.set('s', 'v'), 'OK')
  assert.equal(await client.get('s'), 'v')
  assert.equal(await client.get('none'), null)
})
await check('options of set', async () => {
  assert.equal(await client.set('s', 'w', { condition: 'NX' }), null)
  assert.equal(await client.set('s', 'w', { condition: 'XX', GET: true }), 'v')
})
await check('binary values', async () => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
  await client.set('binary', bytes)
  const got = await client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer }).get('binary')
  assert.deepEqual(got, bytes)
})
await check('hashes', async () => {
  await client.hSet('h', { a: '1', b: '2' })
  assert.deepEqual({ ...(await client.hGetAll('h')) }, { a: '1', b: '2' })
})
await check('numbers as the protocol has them', async () => {
  await client.zAdd('z', [{ score: 1.5, value: 'a' }, { score: 2, value: 'b' }])
  assert.equal(await client.zScore('z', 'a'), 1.5)
  assert.deepEqual(await client.zRangeWithScores('z', 0, -1), [{ value: 'a', score: 1.5 }, { value: 'b', score: 2 }])
})
await check('commands in one turn are pipelined', async () => {
  await Promise.all(Array.from({ length: 10000 }, (_, i) => client.set(`p:${i}`, `${i}`)))
  const got = await Promise.all(Array.from({ length: 10000 }, (_, i) => client.get(`p:${i}`)))
  assert.deepEqual(got, Array.from({ length: 10000 }, (_, i) => `${i}`))
})
await check('mSet and mGet', async () => {
  await client.mSet({ m1: '1', m2: '2', m3: '3' })
  assert.deepEqual(await client.mGet(['m1', 'm2', 'm3', 'none']), ['1', '2', '3', null])
})
await check('a transaction', async () => {
  assert.deepEqual(await client.multi().set('{t}a', '1').incr('{t}a').get('{t}a').exec(), ['OK', 2, '2'])
})
await check('a pipeline by multi', async () => {
  assert.deepEqual(await client.multi().set('pa', '1').set('pb', '2').get('pa').execAsPipeline(), ['OK', 'OK', '1'])
})
await check('watch', async () => {
  const one = await connect()
  await one.watch('{t}w')
  await client.set('{t}w', 'changed')
  await assert.rejects(one.multi().set('{t}w', 'mine').exec(), /Watch|watched/i)
  await one.watch('{t}w')
  assert.deepEqual(await one.multi().set('{t}w', 'mine').exec(), ['OK'])
})
await check('an error within a transaction', async () => {
  await client.set('{t}s', 'text')
  await assert.rejects(client.multi().incr('{t}s').get('{t}s').exec(), (failed) => failed.replies?.length === 2 && failed.replies[1] === 'text')
})
await check('publish and subscribe', async () => {
  const subscriber = await connect()
  const got = []
  await subscriber.subscribe('news', (message, channel) => got.push([channel, message]))
  await subscriber.pSubscribe('n?ws', (message, channel) => got.push(['pattern', channel, message]))
  for (let i = 0; i < 500; i++) await client.publish('news', `${i}`)
  await until(() => got.length >= 1000, '1000 messages')
  await pause(50)
  assert.equal(got.length, 1000)
  assert.deepEqual(got.filter((m) => m[0] === 'news').map((m) => m[1]), Array.from({ length: 500 }, (_, i) => `${i}`))
  await subscriber.unsubscribe('news')
  await subscriber.pUnsubscribe()
  assert.equal(await subscriber.get('m1'), '1')
})
await check('sharded publish and subscribe', async () => {
  const subscriber = await connect()
  const got = []
  await subscriber.sSubscribe('shard', (message) => got.push(message))
  await client.sPublish('shard', 'hello')
  await until(() => got.length, 'a message')
  assert.deepEqual(got, ['hello'])
})
await check('binary messages', async () => {
  const subscriber = await connect()
  const got = []
  await subscriber.subscribe('bytes', (message) => got.push(message), true)
  await client.publish('bytes', Buffer.from([0, 13, 10, 255]))
  await until(() => got.length, 'a message')
  assert.deepEqual(got, [Buffer.from([0, 13, 10, 255])])
})
await check('scan, hscan, sscan, zscan iterators', async () => {
  const seen = new Set()
  for await (const keys of client.scanIterator({ MATCH: 'p:*', COUNT: 1000 })) for (const key of keys) seen.add(key)
  assert.equal(seen.size, 10000)
  let fields = 0
  for await (const part of client.hScanIterator('h')) fields += part.length
  assert.equal(fields, 2)
})
await check('blocking commands', async () => {
  const blocked = await connect()
  const popped = blocked.blPop('queue', 5)
  await pause(100)
  await client.rPush('queue', 'job')
  assert.deepEqual({ ...(await popped) }, { key: 'queue', element: 'job' })
  assert.equal(await blocked.blPop('queue', 0.2), null)
})
await check('a pool', async () => {
  const pool = await createClientPool({ socket: { host, port }, RESP }, { minimum: 2, maximum: 5 }).connect()
  const counts = await Promise.all(Array.from({ length: 100 }, () => pool.incr('pooled')))
  assert.deepEqual(counts.sort((a, b) => a - b), Array.from({ length: 100 }, (_, i) => i + 1))
  assert.deepEqual(await pool.execute(async (one) => { await one.watch('{t}p'); return one.multi().set('{t}p', '1').exec() }), ['OK'])
  await pool.close()
})
await check('duplicate', async () => {
  const other = await client.duplicate().connect()
  open.push(other)
  assert.equal(await other.get('m2'), '2')
})
await check('streams and groups', async () => {
  const id = await client.xAdd('stream', '*', { field: 'value' })
  await client.xGroupCreate('stream', 'group', '0')
  const got = await client.xReadGroup('group', 'me', { key: 'stream', id: '>' }, { COUNT: 1 })
  const messages = Array.isArray(got) ? got[0].messages : Object.values(got)[0]
  assert.equal(messages[0].id, id)
  assert.equal(await client.xAck('stream', 'group', id), 1)
  assert.equal((await client.xPending('stream', 'group')).pending, 0)
  assert.equal((await client.xInfoStream('stream')).length, 1)
})
await check('scripts', async () => {
  assert.equal(await client.eval('return KEYS[1] .. ARGV[1]', { keys: ['a'], arguments: ['b'] }), 'ab')
  const sha = await client.scriptLoad('return ARGV[1] + 1')
  assert.equal(await client.evalSha(sha, { arguments: ['41'] }), 42)
})
await check('functions', async () => {
  await client.functionLoad("#!lua name=lib\nredis.register_function('twice', function(keys, args) return args[1] * 2 end)", { REPLACE: true })
  assert.equal(await client.fCall('twice', { keys: ['k'], arguments: ['21'] }), 42)
  assert.ok((await client.functionList()).length >= 1)
})
await check('databases', async () => {
  const third = await connect({ database: 3 })
  await third.set('inthree', '1')
  assert.equal(await client.get('inthree'), null)
})
await check('names and numbers of clients', async () => {
  const named = await connect({ name: 'compat' })
  assert.equal(await named.clientGetName(), 'compat')
  const info = await named.clientInfo()
  assert.equal(info.name, 'compat')
  assert.equal(info.id, await named.clientId())
  assert.ok((await client.clientList()).some((one) => one.name === 'compat'))
})
await check('the connection is killed and comes back', async () => {
  const killed = await connect({ socket: { host, port, reconnectStrategy: () => 20 } })
  const id = await killed.clientId()
  assert.equal(await client.clientKill({ filter: 'ID', id }), 1)
  await until(async () => (await killed.clientId()) !== id, 'another connection')
})
await check('monitor', async () => {
  const monitor = await connect()
  const seen = []
  await monitor.monitor((line) => seen.push(String(line)))
  await client.set('watched', 'by monitor')
  await until(() => seen.some((line) => line.includes('watched')), 'the command')
})
await check('object, memory, info', async () => {
  assert.equal(await client.objectEncoding('pooled'), 'int')
  assert.ok((await client.memoryUsage('h')) > 0)
  assert.match(await client.info('server'), /redis_version:/)
  assert.ok((await client.dbSize()) > 10000)
  assert.ok((await client.commandCount()) > 200)
})
await check('configuration', async () => {
  const before = (await client.configGet('hz')).hz
  await client.configSet('hz', '11')
  assert.equal((await client.configGet('hz')).hz, '11')
  await client.configSet('hz', before)
})
await check('access control', async () => {
  assert.equal(await client.aclWhoAmI(), 'default')
  assert.equal(await client.aclSetUser('compat', ['on', '>secret', '~*', '+@all', '&*']), 'OK')
  const user = await connect({ username: 'compat', password: 'secret' })
  assert.equal(await user.aclWhoAmI(), 'compat')
  await assert.rejects(connect({ username: 'compat', password: 'wrong', socket: { host, port, reconnectStrategy: false } }), /WRONGPASS/)
  assert.equal(await client.aclDelUser('compat'), 1)
})
if (RESP === 3) {
  await check('client-side cache', async () => {
    const cached = await connect({ clientSideCache: { ttl: 0, maxEntries: 100, evictPolicy: 'LRU' } })
    await client.set('cached', '1')
    assert.equal(await cached.get('cached'), '1')
    assert.equal(await cached.get('cached'), '1')
    await client.set('cached', '2')
    await until(async () => (await cached.get('cached')) === '2', 'the invalidation', 3000)
  })
}
await check('geo and bits', async () => {
  await client.geoAdd('geo', [{ longitude: 13.361389, latitude: 38.115556, member: 'Palermo' }, { longitude: 15.087269, latitude: 37.502669, member: 'Catania' }])
  assert.equal(Math.round(await client.geoDist('geo', 'Palermo', 'Catania', 'km')), 166)
  await client.setBit('bits', 7, 1)
  assert.equal(await client.bitCount('bits'), 1)
})
await check('a value of 20 MB', async () => {
  const text = 'x'.repeat(20_000_000)
  await client.set('large', text)
  assert.ok((await client.get('large')) === text)
})
await check('close', async () => {
  const one = await connect()
  const last = one.get('m1')
  await one.close()
  assert.equal(await last, '1')
})
for (const one of open) if (one.isOpen) one.destroy()
