// socket.io's Redis adapter does its work: three servers, clients at each, every broadcast to everyone once.
import { createServer } from 'node:http'
import { Server } from 'socket.io'
import { io } from 'socket.io-client'
import { createAdapter, createShardedAdapter } from '@socket.io/redis-adapter'
import { createClient } from 'redis'
import { assert, check, host, pause, port, until } from './check.mjs'

for (const [kind, make] of [['adapter', createAdapter], ['sharded adapter', createShardedAdapter]]) {
  const servers = []
  const clients = []
  const got = new Map()
  const all = []
  await check(`${kind}: it starts`, async () => {
    for (let i = 0; i < 3; i++) {
      const publisher = createClient({ socket: { host, port } })
      publisher.on('error', () => {})
      await publisher.connect()
      const subscriber = publisher.duplicate()
      await subscriber.connect()
      all.push(publisher, subscriber)
      const http = createServer()
      const server = new Server(http, { adapter: make(publisher, subscriber) })
      server.on('connection', (socket) => {
        socket.on('join', (room, done) => { socket.join(room); done() })
        socket.on('ask', (done) => done(`server ${i}`))
      })
      await new Promise((resolve) => http.listen(0, '127.0.0.1', resolve))
      servers.push(server)
      for (let j = 0; j < 4; j++) {
        const client = io(`http://127.0.0.1:${http.address().port}`, { transports: ['websocket'] })
        got.set(client, [])
        client.on('news', (message) => got.get(client).push(message))
        client.on('question', (done) => done(1))
        clients.push(client)
        await new Promise((resolve, reject) => { client.on('connect', resolve); client.on('connect_error', reject) })
      }
    }
    await pause(200)
  })
  await check(`${kind}: a broadcast reaches everyone once, in order`, async () => {
    for (let i = 0; i < 200; i++) servers[i % 3].emit('news', i)
    await until(() => [...got.values()].every((messages) => messages.length >= 200), 'all messages')
    await pause(100)
    for (const messages of got.values()) {
      assert.deepEqual([...messages].sort((a, b) => a - b), Array.from({ length: 200 }, (_, i) => i))
      for (const from of [0, 1, 2]) {
        const own = messages.filter((i) => i % 3 === from)
        assert.deepEqual(own, [...own].sort((a, b) => a - b))
      }
      messages.length = 0
    }
  })
  await check(`${kind}: a room across servers`, async () => {
    const members = [0, 5, 10].map((i) => clients[i])
    await Promise.all(members.map((one) => new Promise((resolve) => one.emit('join', 'room', resolve))))
    await pause(200)
    servers[1].to('room').emit('news', 'to the room')
    await until(() => members.every((one) => got.get(one).length === 1), 'the message')
    await pause(100)
    assert.equal([...got.values()].filter((messages) => messages.length).length, 3)
    for (const messages of got.values()) messages.length = 0
  })
  await check(`${kind}: who is there, on all servers`, async () => {
    assert.equal((await servers[0].fetchSockets()).length, 12)
    assert.equal((await servers[2].in('room').fetchSockets()).length, 3)
  })
  await check(`${kind}: a broadcast with acknowledgements`, async () => {
    const answers = await servers[0].timeout(5000).emitWithAck('question')
    assert.equal(answers.length, 12)
  })
  await check(`${kind}: servers among themselves`, async () => {
    servers[1].on('sum', (a, b, done) => done(a + b))
    servers[2].on('sum', (a, b, done) => done(a + b))
    assert.deepEqual(await servers[0].serverSideEmitWithAck('sum', 1, 2), [3, 3])
  })
  await check(`${kind}: clients are sent away from another server`, async () => {
    servers[2].in('room').disconnectSockets(true)
    await until(async () => (await servers[0].fetchSockets()).length === 9, 'nine left')
  })
  for (const client of clients) client.close()
  for (const server of servers) server.close()
  await pause(100)
  for (const one of all) if (one.isOpen) one.destroy()
}
process.exit(0)
