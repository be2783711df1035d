// ioredis: what its README offers, each with its result verified.
import { Redis } from 'ioredis'
import { assert, check, host, pause, port, until } from './check.mjs'

const open = []
const connect = (options = {}) => {
  const redis = new Redis({ host, port, ...options })
  redis.on('error', () => {})
  open.push(redis)
  return redis
}
const redis = connect()

await check('set and get', async () => {
  assert.equal(await redis.set('s', 'v'), 'OK')
  assert.equal(await redis.get('s'), 'v')
  assert.equal(await redis.get('none'), null)
})
await check('binary values', async () => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, i) => i))
  await redis.set('binary', bytes)
  assert.deepEqual(await redis.getBuffer('binary'), bytes)
})
await check('a value of 20 MB', async () => {
  const bytes = Buffer.alloc(20_000_000, 'x')
  await redis.set('large', bytes)
  assert.equal(Buffer.compare(await redis.getBuffer('large'), bytes), 0)
  await redis.del('large')
})
await check('hashes', async () => {
  await redis.hset('h', { a: '1', b: '2' })
  await redis.hset('h', new Map([['c', '3']]))
  assert.deepEqual(await redis.hgetall('h'), { a: '1', b: '2', c: '3' })
})
await check('lists, sets, sorted sets', async () => {
  await redis.rpush('l', 1, 2, 3)
  assert.deepEqual(await redis.lrange('l', 0, -1), ['1', '2', '3'])
  await redis.sadd('set', 'a', 'b')
  assert.deepEqual((await redis.smembers('set')).sort(), ['a', 'b'])
  await redis.zadd('z', 1, 'one', 2, 'two')
  assert.deepEqual(await redis.zrange('z', 0, -1, 'WITHSCORES'), ['one', '1', 'two', '2'])
})
await check('mget and mset', async () => {
  await redis.mset({ m1: '1', m2: '2', m3: '3' })
  assert.deepEqual(await redis.mget('m1', 'm2', 'm3', 'none'), ['1', '2', '3', null])
})
await check('an error is an error', async () => {
  await assert.rejects(redis.incr('l'), /WRONGTYPE/)
})
await check('an unknown command', async () => {
  await assert.rejects(redis.call('NOTACOMMAND', 'a'), /unknown command/)
})
await check('a pipeline', async () => {
  const pipeline = redis.pipeline()
  for (let i = 0; i < 10000; i++) pipeline.set(`p:${i}`, i)
  for (let i = 0; i < 10000; i++) pipeline.get(`p:${i}`)
  const results = await pipeline.exec()
  for (let i = 0; i < 10000; i++) assert.deepEqual(results[10000 + i], [null, String(i)])
})
await check('an error in a pipeline', async () => {
  const results = await redis.pipeline().set('q', 'a').incr('q').get('q').exec()
  assert.equal(results[0][1], 'OK')
  assert.match(results[1][0].message, /not an integer/)
  assert.equal(results[2][1], 'a')
})
await check('a transaction', async () => {
  const results = await redis.multi().set('{t}a', '1').incr('{t}a').get('{t}a').exec()
  assert.deepEqual(results, [[null, 'OK'], [null, 2], [null, '2']])
})
await check('a transaction without a pipeline', async () => {
  await redis.multi({ pipeline: false })
  assert.equal(await redis.set('{t}b', '1'), 'QUEUED')
  assert.deepEqual(await redis.exec(), [[null, 'OK']])
})
await check('a transaction with a bad command', async () => {
  await assert.rejects(redis.multi().set('{t}a').get('{t}a').exec(), /EXECABORT/)
})
await check('discard', async () => {
  await redis.set('{t}d', 'kept')
  await redis.multi({ pipeline: false })
  await redis.set('{t}d', 'lost')
  assert.equal(await redis.discard(), 'OK')
  assert.equal(await redis.get('{t}d'), 'kept')
})
await check('watch', async () => {
  const other = connect()
  await redis.watch('{t}w')
  await other.set('{t}w', 'changed')
  assert.equal(await redis.multi().set('{t}w', 'mine').exec(), null)
  await redis.watch('{t}w')
  assert.deepEqual(await redis.multi().set('{t}w', 'mine').exec(), [[null, 'OK']])
})
await check('publish and subscribe', async () => {
  const subscriber = connect()
  const got = []
  subscriber.on('message', (channel, message) => got.push([channel, message]))
  subscriber.on('pmessage', (pattern, channel, message) => got.push([pattern, channel, message]))
  assert.equal(await subscriber.subscribe('news', 'music'), 2)
  assert.equal(await subscriber.psubscribe('n?ws'), 3)
  for (let i = 0; i < 500; i++) await redis.publish('news', String(i))
  await redis.publish('music', 'la')
  await until(() => got.length >= 1001, '1001 messages')
  await pause(50)
  assert.equal(got.length, 1001)
  assert.deepEqual(got.filter((m) => m[0] === 'news').map((m) => m[1]), Array.from({ length: 500 }, (_, i) => String(i)))
  assert.deepEqual(got.filter((m) => m[0] === 'n?ws').map((m) => m[2]), Array.from({ length: 500 }, (_, i) => String(i)))
  assert.equal(await subscriber.unsubscribe('news', 'music'), 1)
  assert.equal(await subscriber.punsubscribe(), 0)
  assert.equal(await subscriber.set('after', '1'), 'OK')
})
await check('a subscriber that reconnects subscribes again', async () => {
  const subscriber = connect({ retryStrategy: () => 20 })
  const got = []
  subscriber.on('message', (_, message) => got.push(message))
  await subscriber.subscribe('again')
  subscriber.disconnect(true)
  await until(async () => {
    await redis.publish('again', 'x')
    return got.length > 0
  }, 'a message after reconnecting')
})
await check('sharded publish and subscribe', async () => {
  const subscriber = connect()
  const got = []
  subscriber.on('smessage', (channel, message) => got.push([channel, message]))
  await subscriber.ssubscribe('shard')
  await redis.spublish('shard', 'hello')
  await until(() => got.length, 'a message')
  assert.deepEqual(got, [['shard', 'hello']])
})
await check('scripts by defineCommand', async () => {
  redis.defineCommand('echo2', { numberOfKeys: 1, lua: 'return {KEYS[1], ARGV[1]}' })
  assert.deepEqual(await redis.echo2('k', 'v'), ['k', 'v'])
  assert.deepEqual(await redis.echo2('k', 'w'), ['k', 'w'])
  const results = await redis.pipeline().echo2('k', 'x').set('s', '1').exec()
  assert.deepEqual(results, [[null, ['k', 'x']], [null, 'OK']])
})
await check('a script that was flushed is sent again', async () => {
  redis.defineCommand('one', { numberOfKeys: 1, lua: 'return redis.call("INCR", KEYS[1])' })
  await redis.del('counted')
  assert.equal(await redis.one('counted'), 1)
  await redis.script('FLUSH')
  assert.equal(await redis.one('counted'), 2)
})
await check('functions', async () => {
  await redis.function('LOAD', 'REPLACE', "#!lua name=lib\nredis.register_function('twice', function(keys, args) return args[1] * 2 end)")
  assert.equal(await redis.fcall('twice', 1, 'k', '21'), 42)
})
await check('blocking commands', async () => {
  const blocked = connect()
  const popped = blocked.blpop('queue', 5)
  await pause(100)
  await redis.rpush('queue', 'job')
  assert.deepEqual(await popped, ['queue', 'job'])
  assert.equal(await blocked.brpop('queue', 0.2), null)
  const moved = blocked.blmove('{q}from', '{q}to', 'LEFT', 'RIGHT', 5)
  await pause(50)
  await redis.rpush('{q}from', 'moved')
  assert.equal(await moved, 'moved')
})
await check('streams', async () => {
  const id = await redis.xadd('stream', '*', 'field', 'value')
  assert.deepEqual(await redis.xread('STREAMS', 'stream', '0'), [['stream', [[id, ['field', 'value']]]]])
  await redis.xgroup('CREATE', 'stream', 'group', '0')
  const [[, [[got]]]] = await redis.xreadgroup('GROUP', 'group', 'me', 'COUNT', 1, 'STREAMS', 'stream', '>')
  assert.equal(got, id)
  assert.equal(await redis.xack('stream', 'group', id), 1)
  const reader = connect()
  const next = reader.xread('BLOCK', 5000, 'STREAMS', 'stream', '$')
  await pause(100)
  const later = await redis.xadd('stream', '*', 'a', 'b')
  assert.deepEqual(await next, [['stream', [[later, ['a', 'b']]]]])
})
await check('scanning by streams', async () => {
  const seen = new Set()
  for await (const keys of redis.scanStream({ match: 'p:*', count: 1000 })) for (const key of keys) seen.add(key)
  assert.equal(seen.size, 10000)
})
await check('hscan, sscan, zscan', async () => {
  for (const [kind, key, count] of [['hscanStream', 'h', 6], ['sscanStream', 'set', 2], ['zscanStream', 'z', 4]]) {
    let seen = 0
    for await (const part of redis[kind](key)) seen += part.length
    assert.equal(seen, count)
  }
})
await check('databases', async () => {
  const third = connect({ db: 3 })
  await third.set('inthree', '1')
  assert.equal(await redis.get('inthree'), null)
  await redis.select(3)
  assert.equal(await redis.get('inthree'), '1')
  await redis.select(0)
  assert.equal(await third.move('inthree', 4), 1)
  assert.equal(await third.get('inthree'), null)
})
await check('a key prefix', async () => {
  const prefixed = connect({ keyPrefix: 'prefix:' })
  await prefixed.set('a', '1')
  assert.equal(await redis.get('prefix:a'), '1')
})
await check('automatic pipelining', async () => {
  const automatic = connect({ enableAutoPipelining: true })
  const values = await Promise.all(Array.from({ length: 1000 }, (_, i) => automatic.get(`p:${i}`)))
  assert.deepEqual(values, Array.from({ length: 1000 }, (_, i) => String(i)))
})
await check('a hundred connections', async () => {
  const all = Array.from({ length: 100 }, () => connect())
  const counts = await Promise.all(all.map((one) => one.incr('hundred')))
  assert.deepEqual(counts.sort((a, b) => a - b), Array.from({ length: 100 }, (_, i) => i + 1))
  await Promise.all(all.map((one) => one.quit()))
})
await check('a name for the connection', async () => {
  const named = connect({ connectionName: 'compat' })
  assert.equal(await named.client('GETNAME'), 'compat')
  assert.match(await named.client('LIST'), /name=compat /)
})
await check('the connection is killed and comes back', async () => {
  const killed = connect({ retryStrategy: () => 20 })
  const id = await killed.client('ID')
  assert.equal(await redis.client('KILL', 'ID', id), 1)
  await until(async () => (await killed.client('ID')) !== id, 'another connection')
  assert.equal(await killed.get('s'), '1')
})
await check('monitor', async () => {
  const monitor = await connect().monitor()
  open.push(monitor)
  const seen = []
  monitor.on('monitor', (_, args) => seen.push(args))
  await redis.set('watched', 'by monitor')
  await until(() => seen.some((args) => args[1] === 'watched'), 'the command')
})
await check('expiry', async () => {
  await redis.set('short', '1', 'PX', 100)
  assert.ok((await redis.pttl('short')) > 0)
  await until(async () => (await redis.get('short')) === null, 'expiry')
})
await check('keyspace notifications', async () => {
  await redis.config('SET', 'notify-keyspace-events', 'KEA')
  const subscriber = connect()
  const got = []
  subscriber.on('pmessage', (_, channel, message) => got.push([channel, message]))
  await subscriber.psubscribe('__keyspace@0__:noted')
  await redis.set('noted', '1')
  await until(() => got.length, 'a notification')
  assert.deepEqual(got, [['__keyspace@0__:noted', 'set']])
})
await check('object, memory, debug', async () => {
  assert.equal(await redis.object('ENCODING', 'hundred'), 'int')
  assert.ok((await redis.memory('USAGE', 'h')) > 0)
})
await check('info', async () => {
  assert.match(await redis.info(), /redis_version:/)
  assert.ok((await redis.dbsize()) > 10000)
})
await check('geo', async () => {
  await redis.geoadd('geo', 13.361389, 38.115556, 'Palermo', 15.087269, 37.502669, 'Catania')
  assert.equal(await redis.geodist('geo', 'Palermo', 'Catania', 'km'), '166.2742')
})
await check('bits and hyperloglogs', async () => {
  await redis.setbit('bits', 7, 1)
  assert.equal(await redis.bitcount('bits'), 1)
  await redis.pfadd('hll', 'a', 'b', 'c')
  assert.equal(await redis.pfcount('hll'), 3)
})
await check('key commands over several keys with one tag', async () => {
  await redis.mset('{u}a', '1', '{u}b', '2')
  await redis.rename('{u}a', '{u}c')
  assert.equal(await redis.get('{u}c'), '1')
  assert.equal(await redis.copy('{u}c', '{u}d'), 1)
  await redis.sadd('{u}x', 1, 2, 3)
  await redis.sadd('{u}y', 2, 3, 4)
  assert.deepEqual((await redis.sinter('{u}x', '{u}y')).sort(), ['2', '3'])
})
await check('quit', async () => {
  assert.equal(await connect().quit(), 'OK')
})
for (const one of open) one.disconnect()
